/** What a client may get wrong, sent with curl to the built executable: a proper Status or TLS alert each, no 500, no exit. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;
let admin: readonly string[] = [];

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
  const field = (path: string): Promise<string> => node.ok(['config', 'view', '--raw', '-o', `jsonpath={${path}}`]);
  const files = {
    cert: '.users[0].user.client-certificate-data',
    key: '.users[0].user.client-key-data',
    ca: '.clusters[0].cluster.certificate-authority-data',
  };
  for (const [name, path] of Object.entries(files)) writeFileSync(join(node.folder, name), Buffer.from(await field(path), 'base64'));
  admin = ['--cert', join(node.folder, 'cert'), '--key', join(node.folder, 'key'), '--cacert', join(node.folder, 'ca')];
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

interface Answer {
  readonly code: number;
  readonly body: string;
}

/** curl with the administrator's certificate, unless `credentials` says otherwise. */
async function curl(path: string, args: readonly string[], input?: string, credentials: readonly string[] = admin): Promise<Answer> {
  const url = path.startsWith('http') ? path : `https://127.0.0.1:6443${path}`;
  const { stdout } = await node.inside('curl', ['-s', '--max-time', '20', '-w', '\n%{http_code}', ...credentials, ...args, url], input);
  const end = stdout.lastIndexOf('\n');
  return { code: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

const post = (body: string, type = 'application/json', path = '/api/v1/namespaces/default/configmaps'): Promise<Answer> =>
  curl(path, ['-X', 'POST', '-H', `Content-Type: ${type}`, '--data-binary', '@-'], body);

const status = (answer: Answer): unknown => JSON.parse(answer.body);

describe('a body that is wrong', () => {
  test.each([
    ['malformed JSON', '{"kind": "ConfigMap",', 'application/json', 400, 'BadRequest'],
    ['malformed YAML', 'kind: [ConfigMap\n  x: {', 'application/yaml', 400, 'BadRequest'],
    ['no object at all', '17', 'application/json', 400, 'BadRequest'],
    ['an empty body', '', 'application/json', 400, 'BadRequest'],
    ['an unknown kind', '{"kind": "Nonsense", "apiVersion": "v1", "metadata": {"name": "x"}}', 'application/json', 400, 'BadRequest'],
    [
      'a kind of another resource',
      '{"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}}',
      'application/json',
      400,
      'BadRequest',
    ],
    [
      'a wrong type',
      '{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "data": {"a": 1}}',
      'application/json',
      400,
      'BadRequest',
    ],
    [
      'a name that is no name',
      '{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "Not_A_Name"}}',
      'application/json',
      422,
      'Invalid',
    ],
    ['an unknown content type', 'x', 'application/x-nonsense', 415, 'UnsupportedMediaType'],
    [
      'a prototype key',
      '{"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}, "__proto__": {"data": {}}, "constructor": 1, "data": 1}',
      'application/json',
      400,
      'BadRequest',
    ],
    [
      'JSON 100,000 deep',
      `{"kind": "ConfigMap", "apiVersion": "v1", "metadata": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      'application/json',
      400,
      'BadRequest',
    ],
    [
      'a YAML alias bomb',
      `a: &a [x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(8).fill(`*${'abcdefghi'[i]}`).join(',')}]`)
        .join('\n')}\nkind: ConfigMap\n`,
      'application/yaml',
      400,
      'BadRequest',
    ],
  ])('%s is told as a Status', async (_name, body, type, code, reason) => {
    const answer = await post(body, type);
    expect({ code: answer.code, status: status(answer) }).toMatchObject({
      code,
      status: { kind: 'Status', status: 'Failure', reason, code },
    });
  });

  test('10 MB are refused as too large', async () => {
    const answer = await post(
      JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'big' }, data: { a: 'x'.repeat(10_000_000) } }),
    );
    expect({ code: answer.code, status: status(answer) }).toMatchObject({
      code: 413,
      status: { kind: 'Status', reason: 'RequestEntityTooLarge' },
    });
  });
});

describe('a request that is wrong', () => {
  test.each([
    ['/nonsense', 404, 'NotFound'],
    ['/apis/nonsense.example/v1/things', 404, 'NotFound'],
    ['/api/v1/namespaces/default/nonsense', 404, 'NotFound'],
    ['/api/v1/namespaces/default/configmaps/none', 404, 'NotFound'],
    ['/api/v1/pods?labelSelector=%3D%3D%3D', 400, 'BadRequest'],
    ['/api/v1/pods?fieldSelector=spec.nonsense%3D1', 400, 'BadRequest'],
    ['/api/v1/pods?limit=-x', 400, 'BadRequest'],
    ['/api/v1/pods?continue=nonsense', 400, 'BadRequest'],
    ['/api/v1/namespaces/%00/pods/%ff', 400, 'BadRequest'],
  ])('GET %s is answered with %i %s', async (path, code, reason) => {
    const answer = await curl(path, ['--path-as-is']);
    expect({ code: answer.code, status: status(answer) }).toMatchObject({ code, status: { kind: 'Status', reason } });
  });

  test('a method that does not exist there is refused', async () => {
    const answer = await curl('/api/v1/namespaces/default/pods', ['-X', 'PUT', '-H', 'Content-Type: application/json', '-d', '{}']);
    expect({ code: answer.code, status: status(answer) }).toMatchObject({
      code: 405,
      status: { kind: 'Status', reason: 'MethodNotAllowed' },
    });
  });
});

describe('a client that is nobody', () => {
  const ca = (): string[] => ['--cacert', join(node.folder, 'ca')];

  test.each([
    ['that is a word', 'nonsense'],
    ['that looks like one', 'a.b.c'],
    [
      'that is not signed',
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"system:admin"}').toString('base64url')}.`,
    ],
    ['that is very long', 'x'.repeat(10_000)],
  ])('a token %s is refused with 401', async (_name, token) => {
    const answer = await curl('/api/v1/pods', ['-H', `Authorization: Bearer ${token}`], undefined, ca());
    expect({ code: answer.code, status: status(answer) }).toMatchObject({ code: 401, status: { kind: 'Status', reason: 'Unauthorized' } });
  });

  test('without credentials it is system:anonymous, and may not read', async () => {
    const answer = await curl('/api/v1/pods', [], undefined, ca());
    expect({ code: answer.code, status: status(answer) }).toMatchObject({
      code: 403,
      status: { reason: 'Forbidden', message: expect.stringContaining('User "system:anonymous" cannot list resource "pods"') },
    });
  });

  test('a certificate of another authority is refused', async () => {
    const files = [join(node.folder, 'other.key'), join(node.folder, 'other.crt')];
    await node.inside('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      files[0] ?? '',
      '-out',
      files[1] ?? '',
      '-subj',
      '/O=system:masters/CN=admin',
      '-days',
      '1',
    ]);
    const answer = await curl('/api/v1/pods', [], undefined, [...ca(), '--key', files[0] ?? '', '--cert', files[1] ?? '']);
    expect(answer.code).toBe(401);
  });
});

describe('another protocol on the TLS port', () => {
  test('plain HTTP is told to speak HTTPS', async () => {
    const answer = await curl('http://127.0.0.1:6443/api', [], undefined, []);
    expect(answer).toEqual({ code: 400, body: 'Client sent an HTTP request to an HTTPS server.\n' });
  });

  test('garbage and half a handshake do no harm', async () => {
    await node.inside('bash', [
      '-c',
      'for i in 1 2 3; do head -c 4096 /dev/urandom >/dev/tcp/127.0.0.1/6443; printf "\\x16\\x03\\x01\\x02\\x00\\x01" >/dev/tcp/127.0.0.1/6443; done 2>/dev/null',
    ]);
    expect(await node.ok(['get', '--raw', '/readyz'])).toBe('ok');
  });
});

test('after all that the server still runs, the same process, without a single internal error', async () => {
  expect(await node.ok(['get', '--raw', '/readyz'])).toBe('ok');
  const metrics = await node.ok(['get', '--raw', '/metrics']);
  expect(metrics).toMatch(/apiserver_request_total\{[^}]*code="400"/);
  expect(metrics).not.toMatch(/apiserver_request_total\{[^}]*code="500"/);
  expect(node.log()).not.toContain('"level":"error"');
});
