import { expect, test } from 'vitest';
import { realClock } from '#platform/clock.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import type { ApiResponse } from './contract.ts';
import { createHealth, createStartHooks, type HealthCheck, healthPaths, probe } from './health.ts';
import { parseRequestInfo } from './request-info.ts';

const checks: readonly HealthCheck[] = [
  { name: 'log', live: true, problem: () => undefined },
  { name: 'etcd', live: true, problem: () => Promise.resolve('the disk is gone') },
  { name: 'informer-sync', live: false, problem: () => Promise.reject(new Error('no answer within 2 s')) },
];

async function ask(path: string, of: readonly HealthCheck[] = checks): Promise<Extract<ApiResponse, { type: 'bytes' }> | undefined> {
  const [pathname = '', query = ''] = path.split('?');
  const search = new URLSearchParams(query);
  const request = { method: 'GET', path: pathname, query: search, headers: {}, body: undefined, user: { name: 'a', groups: [] } };
  const signal = new AbortController().signal;
  const response = await createHealth(() => of)({ ...request, signal }, parseRequestInfo('GET', pathname, search));
  if (response !== undefined && response.type !== 'bytes') throw new Error('health is answered with text');
  return response;
}

test('a failing check fails the whole, is named and keeps its reason to itself', async () => {
  expect(await ask('/livez')).toMatchObject({
    status: 500,
    contentType: 'text/plain; charset=utf-8',
    body: '[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\nlivez check failed\n',
  });
  expect(await ask('/readyz')).toMatchObject({
    body: '[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n[-]informer-sync failed: reason withheld\nreadyz check failed\n',
  });
});

test('all well is "ok", and with verbose every check', async () => {
  const well = checks.slice(0, 1);
  expect(await ask('/healthz', well)).toMatchObject({ status: 200, body: 'ok' });
  expect(await ask('/healthz?verbose', well)).toMatchObject({ status: 200, body: '[+]ping ok\n[+]log ok\nhealthz check passed\n' });
});

test('excluded checks are not asked, and those that do not exist are told', async () => {
  expect(await ask('/livez?exclude=etcd')).toMatchObject({ status: 200, body: 'ok' });
  expect(await ask('/livez?verbose&exclude=etcd&exclude=b&exclude=a')).toMatchObject({
    status: 200,
    body: '[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for "a", "b"\nlivez check passed\n',
  });
});

test('each check has a path of its own, which tells the reason', async () => {
  expect(await ask('/livez/ping')).toMatchObject({ status: 200, body: 'ok' });
  expect(await ask('/livez/etcd')).toMatchObject({ status: 500, body: 'internal server error: the disk is gone\n' });
  expect(await ask('/livez/informer-sync')).toBeUndefined();
  expect(await ask('/readyz/informer-sync')).toMatchObject({ status: 500, body: 'internal server error: no answer within 2 s\n' });
  expect(healthPaths(checks)).toContain('/readyz/informer-sync');
  expect(healthPaths(checks)).not.toContain('/livez/informer-sync');
});

test('a hook is healthy when its work has been done', async () => {
  const hooks = createStartHooks(['rbac/bootstrap-roles']);
  const work = Promise.withResolvers<number>();
  const run = hooks.run('rbac/bootstrap-roles', () => work.promise);
  expect(await ask('/livez/poststarthook/rbac/bootstrap-roles', hooks.checks)).toMatchObject({
    status: 500,
    body: 'internal server error: not finished\n',
  });
  work.resolve(1);
  expect(await run).toBe(1);
  expect(await ask('/livez/poststarthook/rbac/bootstrap-roles', hooks.checks)).toMatchObject({ status: 200 });
});

test('a probe gives the error of what it asks, and fails when there is no answer in time', async () => {
  expect(await probe({ ask: () => Promise.resolve(1), limitMs: 1000, clock: realClock })).toBeUndefined();
  expect(await probe({ ask: () => Promise.reject(new Error('broken')), limitMs: 1000, clock: realClock })).toBe('broken');
  const clock = fakeClock();
  const silent = probe({ ask: () => new Promise(() => undefined), limitMs: 2000, clock });
  await Promise.all([expect(silent).rejects.toThrow('no answer within 2 s'), clock.advance(2000)]);
});
