import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../harness/machine.ts';
import { createScenario, executable } from '../harness/node.ts';

test('every acknowledged write survives 50 kills with SIGKILL under concurrent writes, and revisions never go back', {
  timeout: 600_000,
}, async () => {
  await using scenario = await createScenario();
  const server = await scenario.addServer('durable');
  mkdirSync(server.dataDir, { recursive: true });
  const [enter = '', ...args] = server.host.enter;
  const result = await run(
    enter,
    [...args, process.execPath, join(import.meta.dirname, 'hammer.ts'), executable, server.dataDir, server.kubeconfig, '50', '7'],
    { timeoutMs: 580_000 },
  );
  const log = readFileSync(join(server.folder, 'hammer.log'), 'utf8').slice(-2000);
  expect({ ...result, log }).toMatchObject({ code: 0 });
  const report = JSON.parse(result.stdout) as { rounds: number; acknowledged: number; lost: string[]; backwards: string[] };
  expect(report).toMatchObject({ rounds: 50, lost: [], backwards: [] });
  expect(report.acknowledged).toBeGreaterThanOrEqual(1000);
});
