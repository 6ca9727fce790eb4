/** Worker: the network of a node, fed with objects by the test instead of by an API server. */

import type { KubeTransport } from '#client/contract.ts';
import { createInformerFactory } from '#client/informer-factory.ts';
import { createKubeClient } from '#client/kube-client.ts';
import type { Stored } from '#kube/object.ts';
import { Channel } from '#lib/channel.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { cleanUpNodeNetwork, createNodeNetwork, type NetworkPaths } from '#net/node-network.ts';
import { realClock } from '#platform/clock.ts';
import { realExec } from '#platform/exec.ts';
import { createLogger } from '#platform/log.ts';
import { realRandom } from '#platform/random.ts';
import { serveCommands } from './namespaces.ts';

type Frame = { readonly type: string; readonly object: unknown };

let revision = 1;
const objects = new Map<string, Map<string, Stored>>();
const watches = new Map<string, Channel<Frame>[]>();
const pluralOf = (path: string): string => /([a-z]+)(?:\?|$)/.exec(path)?.[1] ?? '';

const transport: KubeTransport = {
  call: async ({ path }) => ({
    apiVersion: 'v1',
    kind: 'List',
    metadata: { resourceVersion: String(revision) },
    items: [...(objects.get(pluralOf(path))?.values() ?? [])],
  }),
  watch: (path, signal) => {
    const channel = new Channel<Frame>(10_000);
    signal.addEventListener('abort', () => channel.close());
    watches.set(pluralOf(path), [...(watches.get(pluralOf(path)) ?? []), channel]);
    return channel;
  },
};

function put(plural: string, object: Stored): void {
  const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
  const all = objects.get(plural) ?? new Map<string, Stored>();
  objects.set(plural, all);
  const stored = { ...object, metadata: { ...object.metadata, uid: `${plural} ${key}`, resourceVersion: String(++revision) } };
  const type = all.has(key) ? 'MODIFIED' : 'ADDED';
  all.set(key, stored);
  for (const w of watches.get(plural) ?? []) w.push({ type, object: stored });
}

function remove(plural: string, key: string): void {
  const old = objects.get(plural)?.get(key);
  if (old === undefined) return;
  objects.get(plural)?.delete(key);
  const last = { ...old, metadata: { ...old.metadata, resourceVersion: String(++revision) } };
  for (const w of watches.get(plural) ?? []) w.push({ type: 'DELETED', object: last });
}

interface Options {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly paths: NetworkPaths;
}

const tasks = new TaskGroup();
let network: ReturnType<typeof createNodeNetwork> | undefined;
const log = createLogger({ debug: process.env['DEBUG'] !== undefined });

serveCommands({
  start: async (args) => {
    const options = args as unknown as Options;
    const client = createKubeClient(transport);
    const informers = createInformerFactory({ client, clock: realClock, random: realRandom, log });
    informers.start(tasks);
    network = createNodeNetwork({
      client,
      informers,
      policyInformers: informers,
      nodeName: options.nodeName,
      nodeIps: [options.nodeIp],
      clusterCidrs: ['10.42.0.0/16'],
      serviceCidrs: ['10.43.0.0/16'],
      clusterDns: ['10.43.0.10'],
      clusterDomain: 'cluster.local',
      paths: options.paths,
      exec: realExec,
      clock: realClock,
      random: realRandom,
      log,
    });
    await network.start();
  },
  put: (args) => put(String(args['plural'] as unknown), args['object'] as unknown as Stored),
  remove: (args) => remove(String(args['plural'] as unknown), String(args['key'] as unknown)),
  notReady: () => network?.notReady() ?? null,
  stop: () => network?.stop(),
  cleanUp: (args) => cleanUpNodeNetwork({ exec: realExec, log, paths: (args as unknown as Options).paths }),
});
