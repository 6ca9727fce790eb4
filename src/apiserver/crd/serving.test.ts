import { expect, test } from 'vitest';
import { createKubeClient } from '#client/kube-client.ts';
import type { CustomResourceDefinition } from '#kube/generated/apiextensions-v1.ts';
import type { KubeObject } from '#kube/object.ts';
import { customResourceDefinitions, type ResourceRef } from '#kube/refs.ts';
import { builtinKinds } from '#resources/index.ts';
import type { ApiResponse, WatchMessage } from '../contract.ts';
import { startTestServer } from '../testing.ts';
import { createServing } from './serving.ts';

const apples: ResourceRef = {
  group: 'example.com',
  version: 'v1',
  kind: 'Apple',
  plural: 'apples',
  singular: 'apple',
  namespaced: false,
  shortNames: [],
  categories: [],
};
const collection = '/apis/example.com/v1/apples';
const name = 'apples.example.com';

/** A definition whose n-th state has one field that must be n, and a field that only this state knows. */
const state = (n: number): CustomResourceDefinition =>
  ({
    kind: 'CustomResourceDefinition',
    apiVersion: 'apiextensions.k8s.io/v1',
    metadata: { name },
    spec: {
      group: 'example.com',
      scope: 'Cluster',
      names: { plural: 'apples', singular: 'apple', kind: 'Apple', listKind: 'AppleList' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: {
                  type: 'object',
                  properties: { state: { type: 'integer', default: n, enum: [n] }, [`only${n}`]: { type: 'string', default: 'yes' } },
                },
              },
            },
          },
        },
      ],
    },
  }) as unknown as CustomResourceDefinition;

const start = async () => {
  const t = await startTestServer(builtinKinds);
  const client = createKubeClient(t.transport);
  await client.create(customResourceDefinitions, state(0));
  const change = (spec: unknown) => client.patch(customResourceDefinitions, { name }, 'merge', { spec } as never);
  return { ...t, client, change };
};
const apple = (of: string): KubeObject => ({ kind: 'Apple', apiVersion: 'example.com/v1', metadata: { name: of }, spec: {} }) as never;
const open = async (t: Awaited<ReturnType<typeof start>>): Promise<AsyncIterator<WatchMessage>> => {
  const response = await t.call('GET', `${collection}?watch=true&resourceVersion=0`);
  if (response.type !== 'watch') throw new Error('no watch');
  return response.messages[Symbol.asyncIterator]();
};
const textOf = (r: ApiResponse): string => (r.type === 'bytes' ? String(r.body) : '');

test('watches end when the definition says something else, not when only its metadata or conditions change', async () => {
  const t = await start();
  const watch = await open(t);
  const next = watch.next();
  await t.client.patch(customResourceDefinitions, { name }, 'merge', { metadata: { labels: { a: 'b' } } });
  await t.client.create(apples, apple('one'));
  expect(await next).toMatchObject({ value: { type: 'events', items: [{ type: 'ADDED' }] } });
  const end = watch.next();
  await t.change({ versions: state(1).spec.versions });
  expect(await end).toEqual({ done: true, value: undefined });
  const again = await open(t);
  expect(await again.next()).toMatchObject({ value: { items: [{ entry: { object: expect.any(Function) as unknown } }] } });
  await again.return?.(undefined);
  await t.server.close();
});

test('watches of a version end when it is no longer served, and lists find nothing', async () => {
  const t = await start();
  const watch = await open(t);
  const end = watch.next();
  await t.change({ versions: [{ ...state(0).spec.versions[0], served: false }] });
  expect(await end).toEqual({ done: true, value: undefined });
  expect(await t.call('GET', collection)).toMatchObject({ status: 404 });
  await t.server.close();
});

test('watches see the last objects go, and end with the definition', async () => {
  const t = await start();
  await t.client.create(apples, apple('one'));
  const watch = await open(t);
  expect(await watch.next()).toMatchObject({ value: { items: [{ type: 'ADDED' }] } });
  const gone = watch.next();
  await t.client.delete(customResourceDefinitions, { name });
  expect(await gone).toMatchObject({ value: { items: [{ type: 'DELETED' }] } });
  expect(await watch.next()).toEqual({ done: true, value: undefined });
  expect(await t.call('GET', collection)).toMatchObject({ status: 404 });
  await t.server.close();
});

test('requests that began under a state are waited for before its watches end', async () => {
  const serving = createServing();
  const leave = serving.enter();
  const second = serving.enter();
  const ended = serving.end();
  leave();
  leave();
  expect(serving.ended.aborted).toBe(false);
  second();
  await ended;
  expect(serving.ended.aborted).toBe(true);
});

test('while a definition changes a hundred times, every request sees one state of it, whole', async () => {
  const t = await start();
  let changing = true;
  const wrong: unknown[] = [];
  let written = 0;
  const writers = Array.from({ length: 8 }, async (_, w) => {
    for (let i = 0; changing; i++) {
      const made = await t.call('POST', collection, apple(`w${w}-${i}`));
      // Default, enum and the field that only one state knows come from the same schema.
      const { spec } = (made.type === 'entry' ? made.entry.object() : undefined) as { spec: Record<string, unknown> };
      if (spec[`only${String(spec['state'])}`] !== 'yes' || Object.keys(spec).length !== 2) wrong.push(spec);
      written++;
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
  const watchers = Array.from({ length: 2 }, async () => {
    let opened = 0;
    while (changing) {
      const watch = await open(t);
      opened++;
      for (let m = await watch.next(); m.done !== true; m = await watch.next()) if (m.value.type === 'error') wrong.push(m.value);
    }
    return opened;
  });
  for (let n = 1; n <= 100; n++) {
    await t.change({ versions: state(n).spec.versions });
    // What is read after the change is of the new state: OpenAPI, and what server-side apply knows.
    if (n % 25 === 0) {
      expect(textOf(await t.call('GET', '/openapi/v3/apis/example.com/v1'))).toContain(`"only${n}"`);
      const applied = await t.client.apply(apples, { ...apple('applied'), spec: { [`only${n}`]: 'set' } } as never, 'me', { force: true });
      expect(applied).toMatchObject({ spec: { state: n, [`only${n}`]: 'set' } });
      await t.client.delete(apples, { name: 'applied' });
    }
  }
  changing = false;
  await t.client.delete(customResourceDefinitions, { name });
  await Promise.all(writers);
  for (const opened of await Promise.all(watchers)) expect(opened).toBeGreaterThan(10);
  expect(wrong).toEqual([]);
  expect(written).toBeGreaterThan(100);
  await t.server.close();
}, 60_000);
