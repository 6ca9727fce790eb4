/** Tests of kubectl as tables of shell lines and what they print. */
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { clientTools, executable, type ServerNode } from '../harness/node.ts';

/** A shell line, and what it prints on both outputs together: the whole of it as text, or a part as a pattern. `! command` must fail. */
export type Row = readonly [line: string, prints: string | RegExp];

/** Debian's kubectl 1.20, which scripts/test.sh fetches; it may be missing. */
export const oldKubectl = join(executable, '../../.cache/kubernetes-client/usr/bin/kubectl');

async function shell(node: ServerNode, namespace: string, line: string, kubectl: string): Promise<{ code: number; output: string }> {
  const result = await node.inside('env', [
    '-C',
    node.folder,
    `PATH=${dirname(kubectl)}:/usr/bin:/bin`,
    `HOME=${node.folder}`,
    `TMPDIR=${node.folder}`,
    `KUBECONFIG=${join(node.folder, `kubeconfig-${namespace}`)}`,
    'sh',
    '-c',
    `exec 2>&1\n${line}`,
  ]);
  return { code: result.code, output: result.stdout.trimEnd() };
}

export type Table = (namespace: string, rows: readonly Row[], kubectl?: string) => void;

/** Makes one test of each row; they run in order, in a namespace of their own, in the node's network and folder. */
export const tableOf =
  (node: () => ServerNode): Table =>
  (namespace, rows, kubectl = clientTools().kubectl) => {
    beforeAll(async () => {
      await node().ok(['create', 'namespace', namespace]);
      copyFileSync(node().kubeconfig, join(node().folder, `kubeconfig-${namespace}`));
      const set = await shell(node(), namespace, `kubectl config set-context --current --namespace=${namespace}`, kubectl);
      expect(set).toMatchObject({ code: 0 });
    });
    test.each(rows)('%s', async (line, prints) => {
      const { code, output } = await shell(node(), namespace, line, kubectl);
      if (typeof prints === 'string') expect(output).toBe(prints);
      else expect(output).toMatch(prints);
      expect(code).toBe(0);
    });
  };
