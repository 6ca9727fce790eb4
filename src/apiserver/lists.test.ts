/** What a list or watch gives for each combination of its parameters: kubernetes.io api-concepts, "Resource versions". */
import { beforeAll, describe, expect, test } from 'vitest';
import { fakeClock } from '#platform/fake-clock.ts';
import { memoryLogger } from '#platform/log.ts';
import { builtinKinds } from '#resources/index.ts';
import { createMemoryStore } from '#store/drivers/memory/memory-store.ts';
import { createWatchCache } from '#store/watch-cache.ts';
import { bodyOf, startTestServer, type TestServer } from './testing.ts';
import { parseServed, presentStored } from './view.ts';

const maps = '/api/v1/namespaces/default/configmaps';
interface Shown {
  readonly status: number;
  readonly names?: string;
  readonly revision?: string;
  readonly continue?: string;
  readonly remaining?: number;
  readonly reason?: string;
  readonly message?: string;
}

interface Body {
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string; readonly remainingItemCount?: number };
  readonly items?: readonly { readonly metadata: { readonly name: string } }[];
  readonly reason?: string;
  readonly message?: string;
}

/** What a client reads of an answer. */
async function ask(t: TestServer, query: string): Promise<Shown> {
  const response = await t.call('GET', `${maps}?${query}`);
  if (response.type !== 'list' && response.type !== 'object') throw new Error(response.type);
  const body = JSON.parse((await bodyOf(response)).toString('utf8')) as Body;
  const { metadata, items, reason, message } = body;
  return {
    status: response.status,
    ...(items === undefined ? {} : { names: items.map((i) => i.metadata.name).join(''), revision: metadata.resourceVersion ?? '' }),
    ...(metadata.continue === undefined ? {} : { continue: metadata.continue }),
    ...(metadata.remainingItemCount === undefined ? {} : { remaining: metadata.remainingItemCount }),
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
}

const map = (name: string) => ({ metadata: { name, labels: { even: String('bd'.includes(name)) } } });

/** A server that remembers 50 events, with the objects a to e made at revisions 2 to 6 and b changed at 7. */
async function start(ringEvents = 50): Promise<TestServer> {
  const clock = fakeClock();
  const store = createMemoryStore();
  const cache = await createWatchCache(store, { present: presentStored, parse: parseServed, ringEvents }, { clock, log: memoryLogger() });
  const t = await startTestServer(builtinKinds, { cache, clock, storeStats: store.stats });
  for (const name of 'abcde') await t.call('POST', maps, map(name));
  await t.call('PUT', `${maps}/b`, { ...map('b'), data: { x: 'y' } });
  return t;
}

const invalid = (field: string, why: string): Shown => ({
  status: 422,
  reason: 'Invalid',
  message: `ListOptions.meta.k8s.io "" is invalid: ${field}: ${why}`,
});
const match = 'resourceVersionMatch';
const forbidden = (why: string): Shown => invalid(match, `Forbidden: ${why}`);
const now = { status: 200, names: 'abcde', revision: '7' };

describe('a list', () => {
  let t: TestServer;
  beforeAll(async () => {
    t = await start();
  });

  test.each<[string, string, Shown]>([
    ['nothing: the most recent', '', now],
    ['resourceVersion=0: whatever the cache has', 'resourceVersion=0', now],
    ['a revision: not older than that', 'resourceVersion=4', now],
    ['NotOlderThan', 'resourceVersion=4&resourceVersionMatch=NotOlderThan', now],
    ['NotOlderThan 0', 'resourceVersion=0&resourceVersionMatch=NotOlderThan', now],
    ['Exact', 'resourceVersion=4&resourceVersionMatch=Exact', { status: 200, names: 'abc', revision: '4' }],
    [
      'Exact 0',
      'resourceVersion=0&resourceVersionMatch=Exact',
      forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    ],
    [
      'Exact without a revision',
      'resourceVersionMatch=Exact',
      forbidden('resourceVersionMatch is forbidden unless resourceVersion is provided'),
    ],
    [
      'NotOlderThan without a revision',
      'resourceVersionMatch=NotOlderThan',
      forbidden('resourceVersionMatch is forbidden unless resourceVersion is provided'),
    ],
    [
      'an unknown match',
      'resourceVersion=4&resourceVersionMatch=Odd',
      invalid(match, 'Unsupported value: "Odd": supported values: "Exact", "NotOlderThan", ""'),
    ],
    ['sendInitialEvents', 'sendInitialEvents=true', invalid('sendInitialEvents', 'Forbidden: sendInitialEvents is forbidden for list')],
    ['a label selector', 'labelSelector=even%3Dtrue', { status: 200, names: 'bd', revision: '7' }],
    ['a field selector', 'fieldSelector=metadata.name!%3Da,metadata.name!%3De', { status: 200, names: 'bcd', revision: '7' }],
    [
      'a field that nobody registered',
      'fieldSelector=data.x%3Dy',
      { status: 400, reason: 'BadRequest', message: '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"' },
    ],
    ['a limit of 0', 'limit=0', now],
    ['a limit and the most recent', 'limit=2', { status: 200, names: 'ab', revision: '7', remaining: 3 }],
    ['a limit and any', 'limit=2&resourceVersion=0', { status: 200, names: 'ab', revision: '7', remaining: 3 }],
    ['a limit at a revision: exactly that', 'limit=2&resourceVersion=4', { status: 200, names: 'ab', revision: '4', remaining: 1 }],
    [
      'a limit and NotOlderThan',
      'limit=2&resourceVersion=4&resourceVersionMatch=NotOlderThan',
      { status: 200, names: 'ab', revision: '7', remaining: 3 },
    ],
    [
      'a limit and Exact',
      'limit=2&resourceVersion=4&resourceVersionMatch=Exact',
      { status: 200, names: 'ab', revision: '4', remaining: 1 },
    ],
    [
      'a limit and a selector: nobody knows how many remain',
      'limit=1&labelSelector=even%3Dtrue',
      { status: 200, names: 'b', revision: '7' },
    ],
    ['a limit beyond what there is', 'limit=9', now],
    [
      'a token that is none',
      'continue=%2A%2A',
      { status: 400, reason: 'BadRequest', message: 'continue key is not valid: encoding of the token is not understood' },
    ],
    [
      'a revision that is none',
      'resourceVersion=x',
      { status: 400, reason: 'BadRequest', message: 'Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax' },
    ],
  ])('with %s', async (_title, query, expected) => {
    const { continue: token, ...shown } = await ask(t, query);
    expect(shown).toEqual(expected);
    expect(token === undefined).toBe(!query.includes('limit=') || !(expected.names ?? '').match(/^ab$|^b$/));
  });

  test('goes on where it ended, at the revision where it began, whatever was written meanwhile', async () => {
    const own = await start();
    const first = await ask(own, 'limit=2');
    await own.call('DELETE', `${maps}/c`);
    await own.call('POST', maps, map('bb'));
    const second = await ask(own, `limit=2&continue=${first.continue}`);
    expect(second).toMatchObject({ names: 'cd', revision: '7', remaining: 1 });
    expect(await ask(own, `limit=2&continue=${second.continue}`)).toEqual({ status: 200, names: 'e', revision: '7' });
    expect(await ask(own, `limit=2&continue=${first.continue}&resourceVersion=4`)).toMatchObject({
      status: 400,
      message: 'specifying resource version is not allowed when using continue',
    });
    expect(await ask(own, `continue=${first.continue}&resourceVersion=0`)).toMatchObject({ names: 'cde', revision: '7' });
    expect(await ask(own, `continue=${first.continue}&resourceVersion=4&resourceVersionMatch=Exact`)).toEqual(
      forbidden('resourceVersionMatch is forbidden when continue is provided'),
    );
  });

  test('that is too old says so, with a token that goes on with what there is', async () => {
    const own = await start(4);
    const first = await ask(own, 'limit=2');
    for (const name of ['f', 'g', 'h', 'i', 'j', 'k']) await own.call('POST', maps, map(name));
    expect(await ask(own, 'resourceVersion=3&resourceVersionMatch=Exact')).toEqual({
      status: 410,
      reason: 'Expired',
      message: 'The resourceVersion for the provided list is too old.',
    });
    const expired = await ask(own, `limit=2&continue=${first.continue}`);
    expect(expired).toMatchObject({ status: 410, reason: 'Expired' });
    expect(expired.message).toMatch(/^The provided continue parameter is too old to display a consistent list result\./);
    const rest = await ask(own, `continue=${expired.continue}`);
    expect(rest).toEqual({ status: 200, names: 'cdefghijk', revision: '13' });
  });

  test('of a revision that is not reached waits for three seconds, then tells to try again', async () => {
    const own = await startTestServer(builtinKinds);
    const answer = ask(own, 'resourceVersion=1000');
    await own.clock.advance(3000);
    expect(await answer).toEqual({ status: 504, reason: 'Timeout', message: 'Too large resource version: 1000, current: 1' });
  });
});

describe('a watch', () => {
  test.each<[string, string, string]>([
    [
      'a match but no sendInitialEvents',
      'resourceVersionMatch=NotOlderThan',
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    ],
    [
      'sendInitialEvents but no match',
      'sendInitialEvents=true',
      'resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    ],
    [
      'sendInitialEvents and Exact',
      'sendInitialEvents=false&resourceVersionMatch=Exact&resourceVersion=1',
      '[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]',
    ],
    [
      'a token',
      'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x',
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided',
    ],
  ])('with %s is refused', async (_title, query, message) => {
    const t = await start();
    expect(await ask(t, `watch=1&${query}`)).toEqual({
      status: 422,
      reason: 'Invalid',
      message: `ListOptions.meta.k8s.io "" is invalid: ${message}`,
    });
  });

  const events = async (t: TestServer, query: string, count: number): Promise<string[]> => {
    const response = await t.call('GET', `${maps}?watch=1&${query}`);
    if (response.type !== 'watch') throw new Error(response.type);
    const seen: string[] = [];
    for await (const message of response.messages) {
      if (message.type === 'events') seen.push(...message.items.map((i) => `${i.type} ${i.entry.key.slice(-1)} ${i.entry.revision}`));
      else if (message.type === 'bookmark') seen.push(`BOOKMARK ${message.revision}${message.initialEventsEnd ? ' end' : ''}`);
      else seen.push(`ERROR ${(message.status as { code: number }).code}`);
      if (seen.length >= count) break;
    }
    return seen;
  };
  const initial = ['ADDED a 2', 'ADDED b 7', 'ADDED c 4', 'ADDED d 5', 'ADDED e 6'];
  const streaming = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan';

  test.each<[string, string, string[]]>([
    ['from nowhere: what there is first', '', initial],
    ['from 0: what there is first', 'resourceVersion=0', initial],
    ['from a revision: what came after', 'resourceVersion=5', ['ADDED e 6', 'MODIFIED b 7']],
    [
      'with sendInitialEvents: what there is, and a bookmark at its end',
      `${streaming}&allowWatchBookmarks=true`,
      [...initial, 'BOOKMARK 7 end'],
    ],
    ['with sendInitialEvents at a revision', `${streaming}&allowWatchBookmarks=true&resourceVersion=4`, [...initial, 'BOOKMARK 7 end']],
    ['with sendInitialEvents but no bookmarks', streaming, initial],
    ['of a selector', 'labelSelector=even%3Dtrue', ['ADDED b 7', 'ADDED d 5']],
  ])('%s', async (_title, query, expected) => {
    const t = await start();
    expect(await events(t, query, expected.length)).toEqual(expected);
  });

  test('from a revision that is too old ends with 410', async () => {
    const t = await start(4);
    for (const name of ['f', 'g', 'h', 'i', 'j', 'k']) await t.call('POST', maps, map(name));
    expect(await events(t, 'resourceVersion=2', 1)).toEqual(['ERROR 410']);
  });
});
