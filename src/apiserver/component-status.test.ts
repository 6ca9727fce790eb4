import { expect, test } from 'vitest';
import { builtinKinds } from '#resources/index.ts';
import { componentStatusReader } from './component-status.ts';
import { bodyOf, startTestServer } from './testing.ts';

const path = '/api/v1/componentstatuses';

const withComponents = () =>
  startTestServer(builtinKinds, {
    computed: [
      componentStatusReader(() => [
        { name: 'scheduler', problem: () => undefined },
        { name: 'controller-manager', problem: () => 'waiting for the informers' },
        { name: 'etcd-0', problem: () => Promise.reject(new Error('no answer within 2 s')) },
      ]),
    ],
  });

const healthy = (name: string) => ({
  kind: 'ComponentStatus',
  apiVersion: 'v1',
  metadata: { name },
  conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
});

async function read(query: string, as?: 'Table'): Promise<unknown> {
  const t = await withComponents();
  const response = await t.call('GET', `${path}${query}`);
  return JSON.parse((await bodyOf(response, { representation: { as }, includeObject: 'None' })).toString('utf8'));
}

test('components that work are Healthy, those that say what is wrong are not, of those that do not answer nothing is known', async () => {
  expect(await read('')).toEqual({
    kind: 'ComponentStatusList',
    apiVersion: 'v1',
    metadata: {},
    items: [
      {
        metadata: { name: 'controller-manager' },
        conditions: [{ type: 'Healthy', status: 'False', message: 'waiting for the informers' }],
      },
      { metadata: { name: 'etcd-0' }, conditions: [{ type: 'Healthy', status: 'Unknown', error: 'no answer within 2 s' }] },
      { metadata: { name: 'scheduler' }, conditions: healthy('scheduler').conditions },
    ],
  });
  expect(await read('/scheduler')).toEqual(healthy('scheduler'));
});

test('kubectl shows name, status, message and error', async () => {
  expect(await read('', 'Table')).toMatchObject({
    columnDefinitions: [{ name: 'Name' }, { name: 'Status' }, { name: 'Message' }, { name: 'Error' }],
    rows: [
      { cells: ['controller-manager', 'Unhealthy', 'waiting for the informers', ''] },
      { cells: ['etcd-0', 'Unhealthy', '', 'no answer within 2 s'] },
      { cells: ['scheduler', 'Healthy', 'ok', ''] },
    ],
  });
});

test('selectors choose components by name and label', async () => {
  expect(await read('?fieldSelector=metadata.name%3Dscheduler')).toMatchObject({ items: [{ metadata: { name: 'scheduler' } }] });
  expect(await read('?labelSelector=a%3Db')).toMatchObject({ items: [] });
  const t = await withComponents();
  expect(await t.call('GET', `${path}?fieldSelector=spec.a%3Db`)).toMatchObject({ status: 400 });
});

test('every answer says that the kind is deprecated, and Endpoints say so too', async () => {
  const t = await withComponents();
  const warnings = ['v1 ComponentStatus is deprecated in v1.19+'];
  expect(await t.call('GET', path)).toMatchObject({ warnings });
  expect(await t.call('GET', `${path}/scheduler`)).toMatchObject({ warnings });
  expect(await t.call('GET', `${path}/none`)).toMatchObject({
    status: 404,
    object: { message: 'componentstatuses "none" not found' },
    warnings,
  });
  expect(await t.call('GET', '/api/v1/endpoints')).toMatchObject({
    warnings: ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
  });
  expect(await t.call('POST', path, healthy('mine'))).toMatchObject({ status: 405 });
});
