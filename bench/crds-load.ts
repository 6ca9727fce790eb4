/** Installs definitions and measures: run by crds.ts beside the server. Arguments: kubeconfig, the server's process id, how many. */
import { setTimeout as sleep } from 'node:timers/promises';
import { platformDefinition } from '../src/apiserver/crd/fake-platform.ts';
import { call, sessions } from './http2-client.ts';
import { cpuSeconds, megabytes } from './process.ts';

const [kubeconfig = '', pidText = '', countText = ''] = process.argv.slice(2);
const pid = Number(pidText);
const count = Number(countText);
const inFlight = 20;
const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const v2Protobuf = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

const connect = sessions(kubeconfig);
const writer = connect();
const reader = connect();
const row = (name: string, value: string): void => {
  process.stdout.write(`${name.padEnd(48)} ${value}\n`);
};
const memory = (): string => `${megabytes(pid, 'VmRSS')}, of which ${megabytes(pid, 'RssAnon')} private`;
const quantile = (sorted: readonly number[], q: number): string => `${(sorted[Math.floor(q * (sorted.length - 1))] ?? 0).toFixed(0)} ms`;

const bodies = Array.from({ length: count }, (_, i) => JSON.stringify(platformDefinition(i)));
row('definitions', `${count}, ${(bodies.reduce((sum, b) => sum + b.length, 0) / 1e6).toFixed(1)} MB of JSON`);
row('memory before', memory());

const waits: number[] = [];
let installing = true;
async function read(): Promise<void> {
  while (installing) {
    for (const path of ['/readyz', '/api/v1/namespaces', '/apis/apps/v1/deployments']) {
      const start = performance.now();
      const { status } = await call(reader, 'GET', path);
      if (status !== 200) throw new Error(`${path}: ${status}`);
      waits.push(performance.now() - start);
    }
    await sleep(20);
  }
}

const cpuBefore = cpuSeconds(pid);
const start = performance.now();
const reading = read();
const queue = bodies.values();
const refused: number[] = [];
await Promise.all(
  Array.from({ length: inFlight }, async () => {
    for (const body of queue) {
      const { status } = await call(writer, 'POST', collection, body);
      if (status !== 201) refused.push(status);
    }
  }),
);
const seconds = (performance.now() - start) / 1000;
installing = false;
await reading;
waits.sort((a, b) => a - b);
row('refused', String(refused.length));
row('installed in', `${seconds.toFixed(1)} s, ${(cpuSeconds(pid) - cpuBefore).toFixed(1)} CPU s`);
row('other requests answered meanwhile', String(waits.length));
row('they took (median, p99, longest)', `${quantile(waits, 0.5)}, ${quantile(waits, 0.99)}, ${quantile(waits, 1)}`);
row('memory after', memory());

async function measure(name: string, path: string, accept = 'application/json'): Promise<void> {
  const cpu = cpuSeconds(pid);
  const from = performance.now();
  const { status, bytes } = await call(reader, 'GET', path, undefined, undefined, accept);
  if (status !== 200) throw new Error(`${path}: ${status}`);
  row(name, `${(performance.now() - from).toFixed(0)} ms, ${(cpuSeconds(pid) - cpu).toFixed(2)} CPU s, ${(bytes / 1e6).toFixed(2)} MB`);
}
await measure('aggregated discovery', '/apis', aggregated);
await measure('aggregated discovery again', '/apis', aggregated);
await measure('index of OpenAPI v3', '/openapi/v3');
await measure('OpenAPI v3 of one group (ten kinds)', '/openapi/v3/apis/g1.platform.example.org/v1beta1');
await measure('OpenAPI v2 as protobuf', '/openapi/v2', v2Protobuf);
await measure('OpenAPI v2 as protobuf again', '/openapi/v2', v2Protobuf);
row('memory after', memory());
await sleep(30_000);
row('memory half a minute later', memory());
writer.close();
reader.close();
