import { describe, expect, test } from 'vitest';
import { events1 } from '#kube/refs.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { parseAdmissionConfiguration } from './configuration.ts';
import { createEventRateLimit } from './event-rate-limit.ts';
import { type AskOptions, ask } from './testing.ts';

const configuration = (limits: unknown): string =>
  JSON.stringify({
    kind: 'AdmissionConfiguration',
    plugins: [
      {
        name: 'EventRateLimit',
        configuration: { apiVersion: 'eventratelimit.admission.k8s.io/v1alpha1', kind: 'Configuration', limits },
      },
    ],
  });
const parse = (limits: unknown) => parseAdmissionConfiguration(configuration(limits), () => '').eventLimits ?? [];

interface Sent {
  readonly namespace?: string;
  readonly user?: string;
  readonly component?: string;
  readonly involved?: string;
}

function limited(...limits: object[]) {
  const clock = fakeClock();
  const plugin = createEventRateLimit(parse(limits), clock);
  const send = async (
    { namespace = 'default', user = 'alice', component = 'kubelet', involved = 'p' }: Sent = {},
    more: AskOptions = {},
  ) => {
    const object = {
      metadata: { name: 'e', namespace },
      source: { component, host: 'n1' },
      involvedObject: { kind: 'Pod', namespace, name: involved, uid: 'u', apiVersion: 'v1' },
    };
    try {
      await ask([plugin], events1, { object, namespace, user: { name: user, groups: [] }, ...more });
      return 'taken';
    } catch (error) {
      const { code, reason, message } = error as { code: number; reason: string; message: string };
      return `${code} ${reason}: ${message}`;
    }
  };
  return { clock, send };
}

describe('a limit', () => {
  test.each<[string, Sent, Sent, string]>([
    ['Server', {}, { namespace: 'other', user: 'bob', component: 'x' }, 'limit reached on type Server for key '],
    ['Namespace', {}, { user: 'bob' }, 'limit reached on type Namespace for key default'],
    ['User', {}, { namespace: 'other' }, 'limit reached on type User for key alice'],
    ['SourceAndObject', {}, { user: 'bob' }, 'limit reached on type SourceAndObject for key kubeletn1Poddefaultpuv1'],
  ])('of type %s counts what has the same key', async (type, first, second, message) => {
    const { send } = limited({ type, qps: 1, burst: 1 });
    expect(await send(first)).toBe('taken');
    expect(await send(second)).toBe(`429 TooManyRequests: Too many requests: ${message}`);
  });

  test.each<[string, Sent]>([
    ['Namespace', { namespace: 'other' }],
    ['User', { user: 'bob' }],
    ['SourceAndObject', { involved: 'q' }],
    ['SourceAndObject', { component: 'scheduler' }],
  ])('of type %s leaves others alone: %j', async (type, other) => {
    const { send } = limited({ type, qps: 1, burst: 1 });
    expect([await send(), await send(other)]).toEqual(['taken', 'taken']);
  });

  test('lets a burst through, and then as many a second as it says', async () => {
    const { clock, send } = limited({ type: 'Server', qps: 2, burst: 3 });
    const sent = async (): Promise<number> => {
      let taken = 0;
      while (taken < 10 && (await send()) === 'taken') taken++;
      return taken;
    };
    expect(await sent()).toBe(3);
    await clock.advance(500);
    expect(await sent()).toBe(1);
    await clock.advance(60_000);
    expect(await sent()).toBe(3);
  });

  test('remembers as many keys as its cache holds, the last seen', async () => {
    const { send } = limited({ type: 'User', qps: 1, burst: 1, cacheSize: 2 });
    for (const user of ['a', 'b', 'c']) expect(await send({ user })).toBe('taken');
    expect(await send({ user: 'a' })).toBe('taken');
    expect(await send({ user: 'c' })).toMatch(/^429/);
  });

  test('of several each counts and is told', async () => {
    const { send } = limited({ type: 'Namespace', qps: 1, burst: 1 }, { type: 'User', qps: 1, burst: 1 });
    await send();
    expect(await send()).toBe(
      '429 TooManyRequests: Too many requests: [limit reached on type Namespace for key default, limit reached on type User for key alice]',
    );
  });

  test('counts updates, and neither dry runs nor deletions', async () => {
    const { send } = limited({ type: 'Server', qps: 1, burst: 1 });
    expect(await send({}, { dryRun: true })).toBe('taken');
    expect(await send({}, { operation: 'DELETE' })).toBe('taken');
    expect(await send({}, { operation: 'UPDATE' })).toBe('taken');
    expect(await send()).toMatch(/^429/);
  });
});

test.each<[unknown, string]>([
  [[], 'limits: Invalid value: []: must not be empty'],
  [
    [{ type: 'Pod', qps: 1, burst: 1 }],
    'limits[0].type: Unsupported value: "Pod": supported values: "Server", "Namespace", "User", "SourceAndObject"',
  ],
  [[{ type: 'Server', qps: 0, burst: 1 }], 'limits[0].qps: Invalid value: 0: must be positive'],
  [[{ type: 'Server', qps: 1, burst: -1 }], 'limits[0].burst: Invalid value: -1: must be positive'],
  [[{ type: 'User', qps: 1, burst: 1, cacheSize: -1 }], 'limits[0].cacheSize: Invalid value: -1: must not be negative'],
  [[{ type: 'User', qps: 0.5, burst: 1 }], 'limits[0].qps: must be a whole number'],
])('the configuration %j is refused', (limits, message) => {
  expect(() => parse(limits)).toThrow(message);
});
