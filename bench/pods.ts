/** Run in the server's network: creates pods one after another and measures, by a watch, when each is Running. */
import { CoreV1Api, KubeConfig, type V1Pod, Watch } from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromFile(process.argv[2] ?? '');
const core = config.makeApiClient(CoreV1Api);
const times: number[] = [];
const waiting = new Map<string, () => void>();
const watch = await new Watch(config).watch(
  '/api/v1/namespaces/default/pods',
  {},
  (_type, pod: V1Pod) => {
    if (pod.status?.phase === 'Running') waiting.get(pod.metadata?.name ?? '')?.();
  },
  () => undefined,
);
for (let i = 0; i < 11; i++) {
  const name = `bench-${i}`;
  const running = new Promise<void>((resolve) => waiting.set(name, resolve));
  const start = performance.now();
  const spec = {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'example.test/bench:1', command: ['sleep', '100000'] }],
  };
  await core.createNamespacedPod({ namespace: 'default', body: { metadata: { name }, spec } });
  await running;
  // The first warms up caches.
  if (i > 0) times.push(performance.now() - start);
  await core.deleteNamespacedPod({ namespace: 'default', name, gracePeriodSeconds: 0 });
}
watch.abort();
times.sort((a, b) => a - b);
process.stdout.write(`${JSON.stringify({ medianMs: times[5], slowestMs: times.at(-1) })}\n`);
process.exit(0);
