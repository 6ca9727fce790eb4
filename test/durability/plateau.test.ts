import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../harness/machine.ts';
import { createScenario } from '../harness/node.ts';

interface Report {
  readonly patches: number;
  readonly sizes: readonly number[];
  readonly settled: number;
  readonly old: number;
  readonly oldWatch: string;
  readonly recent: number;
  readonly recentWatch: string;
  readonly n: string;
}

const valueBytes = 10_000;

test('ten thousand patches of one object let the database file grow to a plateau, and it falls again when they are forgotten', {
  timeout: 900_000,
}, async () => {
  await using scenario = await createScenario();
  const node = await scenario.addServer('plateau', ['--disable-agent', '--kube-apiserver-arg', 'etcd-compaction-interval=5s']);
  await node.start();
  const [enter = '', ...args] = node.host.enter;
  const database = join(node.dataDir, 'server/db/state.db');
  const result = await run(
    enter,
    [...args, process.execPath, join(import.meta.dirname, 'patch.ts'), node.kubeconfig, database, '7', '1440'],
    { timeoutMs: 880_000 },
  );
  expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: '' });
  const report = JSON.parse(result.stdout) as Report;
  expect(report.patches).toBeGreaterThanOrEqual(10_000);
  // Sixteen clients write at once: the last to be asked for need not be the last that was written.
  expect(Number(report.n)).toBeGreaterThan(report.patches - 16);
  // Far less than all that was written, and in the end no more than at the beginning but for what the moment brings.
  const written = report.patches * valueBytes;
  for (const size of report.sizes) expect(size).toBeLessThan(written / 3);
  expect(Math.max(...report.sizes.slice(4))).toBeLessThan(Math.max(...report.sizes.slice(0, 4)) + written / 5);
  expect(report.settled).toBeLessThanOrEqual(Math.max(...report.sizes) / 2);
  expect({ old: report.old, recent: report.recent }).toEqual({ old: 410, recent: 200 });
  expect(JSON.parse(report.oldWatch)).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
  expect(JSON.parse(report.recentWatch)).toMatchObject({ type: 'MODIFIED', object: { data: { n: report.n } } });
});
