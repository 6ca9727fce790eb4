/** Starts a node with the images that upstream's tests use, as far as they can be made on the spot, and runs the tests in its network. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ImageSpec } from '../harness/image.ts';
import { clientTools, createScenario } from '../harness/node.ts';

const [folder = '', focus = '', skip = ''] = process.argv.slice(2);

const agnhost: Omit<ImageSpec, 'name'> = {
  programs: [join(folder, 'agnhost')],
  files: { agnhost: '#!/bin/sh\nexec /bin/agnhost "$@"\n' },
  entrypoint: ['/bin/agnhost'],
  command: ['pause'],
};
const web: Omit<ImageSpec, 'name'> = {
  files: { 'www/index.html': '<html><body><h1>It works!</h1></body></html>\n' },
  command: ['httpd', '-f', '-p', '80', '-h', '/www'],
};
const images: readonly ImageSpec[] = [
  { name: 'k8s.gcr.io/e2e-test-images/agnhost:2.21', ...agnhost },
  { name: 'k8s.gcr.io/pause:3.2', ...agnhost },
  { name: 'docker.io/library/busybox:1.29' },
  ...['httpd:2.4.38-alpine', 'httpd:2.4.39-alpine', 'nginx:1.14-alpine', 'nginx:1.15-alpine'].map((name) => ({
    name: `docker.io/library/${name}`,
    ...web,
  })),
  {
    name: 'gcr.io/kubernetes-e2e-test-images/sample-apiserver:1.17',
    programs: [join(folder, 'sample-apiserver')],
    entrypoint: ['/bin/sample-apiserver'],
  },
  {
    name: 'k8s.gcr.io/etcd:3.4.13-0',
    programs: ['/usr/bin/etcd'],
    files: { 'usr/local/bin/etcd': '#!/bin/sh\nexec /bin/etcd "$@"\n' },
  },
];

await using scenario = await createScenario();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void scenario[Symbol.asyncDispose]().then(() => process.exit(1)));
const node = await scenario.addServer('e2e');
await node.start();
await node.nodeReady();
for (const image of images) await node.addImage(image);
const [enter = '', ...enterArgs] = node.host.enter;
const tests = spawn(
  enter,
  [
    ...enterArgs,
    join(folder, 'e2e.test'),
    `--kubeconfig=${node.kubeconfig}`,
    `--host=${node.url}`,
    '--provider=local',
    `--kubectl-path=${clientTools().kubectl}`,
    `--ginkgo.focus=${focus}`,
    `--ginkgo.skip=${skip}`,
    '--ginkgo.noColor',
    '--num-nodes=1',
    '--dump-logs-on-failure=false',
  ],
  { stdio: 'inherit', env: { ...process.env, KUBECONFIG: node.kubeconfig } },
);
const [code] = (await once(tests, 'exit')) as [number | null];
process.exitCode = code ?? 1;
