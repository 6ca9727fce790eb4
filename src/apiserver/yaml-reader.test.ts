import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { BodySyntaxError } from '#kube/parse-body.ts';
import { fakeClock } from '#platform/fake-clock.ts';
import { builtinKinds } from '#resources/index.ts';
import { startTestServer } from './testing.ts';
import { createYamlReader, type ReadBody } from './yaml-reader.ts';

const signal = new AbortController().signal;
const messageOf = (found: ReadBody): string => (found instanceof BodySyntaxError ? found.message : '');
const lines = (n: number): string => Array.from({ length: n }, (_, i) => `k${i}: v`).join('\n');
const start = () => {
  const clock = fakeClock();
  const threads: Worker[] = [];
  const startThread = (): Worker => {
    const made = new Worker(new URL('../app/yaml-worker.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 128 } });
    threads.push(made);
    return made;
  };
  const reader = createYamlReader({ startThread, clock });
  const read = (text: string, given = signal): Promise<ReadBody> => {
    const reading = reader.read(Buffer.from(text), given);
    if (reading === undefined) throw new Error('not read elsewhere');
    return reading;
  };
  return { clock, threads, reader, read };
};

test('long YAML is read in one thread, in turn, and long integers keep their digits', async () => {
  const { threads, reader, read } = start();
  expect(reader.read(Buffer.from('a: 1'), signal)).toBeUndefined();
  const [first, second] = await Promise.all([read(`${lines(60_000)}\nbig: 9007199254740993`), read(`${lines(3_000)}\nk1: again`)]);
  expect(first).toMatchObject({ value: { k59999: 'v', big: 9007199254740993n }, duplicates: [] });
  expect(second).toMatchObject({ value: { k1: 'again' }, duplicates: ['line 3001: key "k1" already set in map'] });
  expect(threads).toHaveLength(1);
  await reader.close();
});

test('what is no YAML is told as it is elsewhere', async () => {
  const { reader, read } = start();
  const found = await read(`${lines(3_000)}\nk: [`);
  expect(messageOf(found)).toContain('error converting YAML to JSON: yaml: ');
  await reader.close();
});

test('a thread that runs out of memory is replaced, and only its own body is refused', async () => {
  const { threads, reader, read } = start();
  const [bomb, next] = await Promise.all([read('- '.repeat(1_500_000)), read(lines(3_000))]);
  expect(messageOf(bomb)).toContain('takes too long or too much memory');
  expect(next).toMatchObject({ value: { k2999: 'v' } });
  expect(threads).toHaveLength(2);
  await reader.close();
}, 60_000);

test('a thread that takes too long is ended, and so is one that has nothing to do', async () => {
  const { clock, threads, reader, read } = start();
  const slow = read(lines(100_000));
  await clock.advance(20_000);
  expect(messageOf(await slow)).toContain('takes too long');
  expect(await read(lines(3_000))).toMatchObject({ value: { k0: 'v' } });
  const ended = new Promise((resolve) => threads[1]?.once('exit', resolve));
  await clock.advance(15_000);
  await ended;
  expect(await read(lines(3_000))).toMatchObject({ value: { k0: 'v' } });
  expect(threads).toHaveLength(3);
  await reader.close();
});

test('bodies that nobody waits for are not read, and too many are refused', async () => {
  const { reader, read } = start();
  const first = read(lines(20_000));
  const gone = new AbortController();
  for (let i = 0; i < 32; i++) void read(lines(3_000), gone.signal);
  await expect(read(lines(3_000))).rejects.toMatchObject({ reason: 'TooManyRequests' });
  gone.abort();
  expect(await first).toMatchObject({ value: { k19999: 'v' } });
  expect(await read(lines(3_000))).toMatchObject({ value: { k2999: 'v' } });
  await reader.close();
});

test('while a large object of YAML is read, other requests are answered', async () => {
  const t = await startTestServer(builtinKinds);
  const data = Array.from({ length: 20_000 }, (_, i) => `  k${i}: "1"`).join('\n');
  const text = `kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: large\ndata:\n${data}\n`;
  const yaml = { 'content-type': 'application/yaml' };
  let made = false;
  const making = t.call('POST', '/api/v1/namespaces/default/configmaps', text, yaml).then((r) => {
    made = true;
    return r;
  });
  let answered = 0;
  while (!made) {
    await t.call('GET', '/api/v1/namespaces');
    answered++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await making).toMatchObject({ status: 201 });
  expect(answered).toBeGreaterThan(20);
  const apply = { 'content-type': 'application/apply-patch+yaml' };
  const applied = await t.call(
    'PATCH',
    '/api/v1/namespaces/default/configmaps/other?fieldManager=me',
    text.replace('name: large', 'name: other'),
    apply,
  );
  expect(applied).toMatchObject({ status: 201 });
  const twice = await t.call('POST', '/api/v1/namespaces/default/configmaps?fieldValidation=Strict', `${text}  k0: "2"\n`, yaml);
  expect(twice).toMatchObject({ status: 400, object: { message: expect.stringContaining('key "k0" already set in map') as string } });
  const broken = await t.call('POST', '/api/v1/namespaces/default/configmaps', `${text}  k: [\n`, yaml);
  expect(broken).toMatchObject({
    status: 400,
    object: { message: expect.stringContaining('json parse error: error converting YAML to JSON: yaml: ') as string },
  });
  await t.server.close();
}, 60_000);
