/**
 * Run in the server's network: the official client's informer on ConfigMaps of namespace "watched". Prints one line of
 * JSON for each line it reads: {"names": sorted names it holds, "errors": how often it had to start again}.
 */
import { createInterface } from 'node:readline';
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromFile(process.argv[2] ?? '');
const core = config.makeApiClient(CoreV1Api);
const held = new Set<string>();
let errors = 0;
const informer = makeInformer(config, '/api/v1/namespaces/watched/configmaps', () =>
  core.listNamespacedConfigMap({ namespace: 'watched' }),
);
informer.on('add', (o) => void held.add(o.metadata?.name ?? ''));
informer.on('delete', (o) => void held.delete(o.metadata?.name ?? ''));
informer.on('error', () => {
  errors += 1;
  setTimeout(() => void informer.start().catch(() => undefined), 200);
});
await informer.start();
for await (const _line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify({ names: [...held].sort(), errors })}\n`);
}
await informer.stop();
process.exit(0);
