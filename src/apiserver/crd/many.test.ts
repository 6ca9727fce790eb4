import { expect, test } from 'vitest';
import { builtinKinds } from '#resources/index.ts';
import type { ApiResponse } from '../contract.ts';
import { startTestServer } from '../testing.ts';
import { platformDefinition } from './fake-platform.ts';

const definitions = 200;
const inFlight = 20;
const collection = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const v2Protobuf = { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' };

const status = (r: ApiResponse): number => ('status' in r ? r.status : 0);
const bodyOf = (r: ApiResponse): string => (r.type === 'bytes' ? String(r.body) : '');

type Server = Awaited<ReturnType<typeof startTestServer>>;

/** Creates the definitions with some requests in flight; `each` is called after each. */
async function install(t: Server, from: number, to: number, each: (left: number) => void): Promise<void> {
  const numbers = Array.from({ length: to - from }, (_, i) => from + i).values();
  let left = to - from;
  const work = async (): Promise<void> => {
    for (const n of numbers) {
      expect(status(await t.call('POST', collection, platformDefinition(n)))).toBe(201);
      each(--left);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}

test('while many definitions are installed other requests are answered in between', async () => {
  const t = await startTestServer(builtinKinds);
  /** How many definitions were still to come when a request was answered. */
  const answered: number[] = [];
  let left = definitions;
  const reads: Promise<unknown>[] = [];
  await install(t, 0, definitions, (now) => {
    left = now;
    for (const path of ['/healthz', '/api/v1/namespaces', '/apis/apps/v1'])
      reads.push(t.call('GET', path).then((r) => answered.push(status(r) === 200 ? left : -1)));
  });
  await Promise.all(reads);
  expect(answered).toHaveLength(3 * definitions);
  expect(answered).not.toContain(-1);
  // A read is answered before the requests in flight with it are all done: hardly any is left for the end.
  expect(answered.filter((n) => n === 0).length).toBeLessThanOrEqual(3 * inFlight);
  expect(t.server.registry.groups().filter((g) => g.endsWith('.platform.example.org'))).toHaveLength(definitions / 10);
  await t.server.close();
}, 120_000);

test('the documents of all kinds are made in turns, once for all who wait, and again after a change', async () => {
  const t = await startTestServer(builtinKinds);
  await install(t, 0, 40, () => undefined);
  let done = false;
  let meanwhile = 0;
  const others = async (): Promise<void> => {
    while (!done) {
      await t.call('GET', '/healthz');
      meanwhile++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const reading = others();
  const [first, second] = await Promise.all([
    t.call('GET', '/openapi/v2', undefined, v2Protobuf),
    t.call('GET', '/openapi/v2', undefined, v2Protobuf),
  ]);
  done = true;
  await reading;
  expect(meanwhile).toBeGreaterThan(40);
  if (first.type !== 'bytes' || second.type !== 'bytes') throw new Error('no document');
  expect(second.body).toBe(first.body);
  const before = bodyOf(await t.call('GET', '/openapi/v2'));
  expect(Object.keys((JSON.parse(before) as { definitions: object }).definitions)).toContain('org.example.platform.g3.v1beta1.Managed39');
  expect(bodyOf(await t.call('GET', '/openapi/v2'))).toBe(before);
  await install(t, 40, 41, () => undefined);
  expect(bodyOf(await t.call('GET', '/openapi/v2'))).toContain('Managed40');
  await t.server.close();
}, 120_000);

test('instances of a definition whose schema was put aside are checked by it all the same', async () => {
  const t = await startTestServer(builtinKinds);
  // More versions than schemas are kept compiled.
  await install(t, 0, 150, () => undefined);
  const write = (n: number, more: object) => {
    const group = `g${Math.floor(n / 10)}.platform.example.org`;
    const object = { apiVersion: `${group}/v1beta1`, kind: `Managed${n}`, metadata: { name: 'x' }, spec: {}, ...more };
    return t.call('POST', `/apis/${group}/v1beta1/managed${n}s`, object);
  };
  for (let n = 0; n < 150; n++) expect(status(await write(n, {}))).toBe(201);
  const refused = await write(1, { metadata: { name: 'y' }, spec: 'text' });
  expect(refused).toMatchObject({
    status: 422,
    object: { message: expect.stringContaining('spec in body must be of type object') as string },
  });
  await t.server.close();
}, 120_000);
