/** Replacing the token and the authorities of a cluster that has a node: `k3ts token rotate` and `k3ts certificate rotate-ca`. */
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newKey } from '../../src/pki/certificates.ts';
import { authorityNames } from '../../src/pki/staged-authorities.ts';
import { testAuthority } from '../../src/pki/testing.ts';
import { eventually, type Output } from '../harness/machine.ts';
import { type AgentNode, createScenario, executable, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;
let agent: AgentNode;
let firstToken = '';
const k3ts = (...words: readonly string[]): Promise<Output> => node.inside(executable, [...words, '--data-dir', node.dataDir]);
const tls = (name: string): string => join(node.dataDir, 'server/tls', name);
const token = async (): Promise<string> => (await k3ts('token')).stdout.trim();

/** The status with which the server answers who wants to join as a node. */
const joining = async (password: string): Promise<string> =>
  (
    await node.inside('curl', [
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '--cacert',
      tls('server-ca.crt'),
      '-u',
      `node:${password}`,
      'https://127.0.0.1:6443/v1-k3ts/config',
    ])
  ).stdout;

/** Waits for a heartbeat that the node has yet to send. */
async function heartbeat(): Promise<void> {
  const renewed = (): Promise<string> => node.ok(['-n', 'kube-node-lease', 'get', 'lease', 'n2', '-o', 'jsonpath={.spec.renewTime}']);
  const before = await renewed();
  await eventually('the node sends a heartbeat', async () => ((await renewed()) === before ? undefined : true)).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${agent.log().slice(-5000)}`);
  });
}

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server', ['--disable-agent']);
  await node.start();
  agent = await scenario.addAgent('n2', node);
  firstToken = await token();
  agent.start(firstToken);
  await node.nodeReady('n2');
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

describe('a rotated token', () => {
  const old = (): string => firstToken.split(':').at(-1) ?? '';

  test('joins from now on, and the old one no more', async () => {
    expect([await joining(old()), await joining('fresh')]).toEqual(['200', '401']);
    expect(await k3ts('token', 'rotate', '--token', old(), '--new-token', 'fresh')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Token rotated/),
    });
    expect([await joining(old()), await joining('fresh')]).toEqual(['401', '200']);
    expect(await token()).toMatch(/::node:fresh$/);
  });

  test('has to be the one given when it is rotated again', async () => {
    const refused = await k3ts('token', 'rotate', '--token', firstToken, '--new-token', 'third');
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('the token given is not the one that this server has now') });
    expect(await joining('fresh')).toBe('200');
  });

  test('leaves nodes where they are that joined with the old one, also when they start again with it', async () => {
    await heartbeat();
    expect(await agent.stop('SIGTERM')).toBe(0);
    agent.start(firstToken);
    await heartbeat();
    expect(agent.log()).not.toContain('the server refuses the token');
  });

  test('holds when the server starts again, which it does with no other', async () => {
    await node.stop('SIGTERM');
    const other = await k3ts('server', '--disable-agent', '--token', old(), '--write-kubeconfig', node.kubeconfig);
    expect(other.code).toBe(1);
    expect(other.stderr + other.stdout).toContain('--token is not the token of this server');
    await node.start(['--token', 'fresh']);
    expect(await joining('fresh')).toBe('200');
  });
});

describe('authorities that the old ones signed', () => {
  const folder = (): string => join(node.folder, 'new');
  const put = (make: (name: string) => { readonly cert: string; readonly key: string }): void => {
    mkdirSync(join(folder(), 'tls'), { recursive: true });
    for (const name of authorityNames) {
      const { cert, key } = make(name);
      writeFileSync(join(folder(), 'tls', `${name}.crt`), cert);
      writeFileSync(join(folder(), 'tls', `${name}.key`), key);
    }
  };

  test('are wanted, unless forced', async () => {
    put((name) => {
      const { certPem, keyPem } = testAuthority(name);
      return { cert: certPem, key: keyPem };
    });
    expect(await k3ts('certificate', 'rotate-ca', '--path', folder())).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('server-ca.crt: new CA certificate chain contains only a single certificate'),
    });
  });

  test('take the place of the old ones at the next start, and nodes and clients of before get on with them', async () => {
    const [oldCa, oldCert, oldKey] = ['ca', 'cert', 'key'].map((name) => join(node.folder, `old-${name}.pem`));
    writeFileSync(oldCa ?? '', readFileSync(tls('server-ca.crt')));
    writeFileSync(oldCert ?? '', readFileSync(tls('client-admin.crt')));
    writeFileSync(oldKey ?? '', readFileSync(tls('client-admin.key')));
    const before = await token();
    put((name) => {
      const [certPem, keyPem] = ['crt', 'key'].map((end) => readFileSync(tls(`${name}.${end}`), 'utf8'));
      const key = newKey();
      const root = testAuthority(`new-${name}`, undefined, key);
      const below = testAuthority(`new-${name}`, { certPem: certPem ?? '', key: createPrivateKey(keyPem ?? '') }, key);
      return { cert: below.certPem + root.certPem + certPem, key: root.keyPem };
    });
    expect(await k3ts('certificate', 'rotate-ca', '--path', folder())).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Staged /),
    });
    await node.stop('SIGTERM');
    await node.start(['--token', 'fresh']);
    expect(readFileSync(tls('server-ca.crt'), 'utf8')).toBe(readFileSync(join(folder(), 'tls/server-ca.crt'), 'utf8'));
    // Whoever knows only the old authority, and was known to it.
    const who = ['--server=https://127.0.0.1:6443', `--certificate-authority=${oldCa}`];
    const known = await node.kubectl([
      '--kubeconfig=/dev/null',
      ...who,
      `--client-certificate=${oldCert}`,
      `--client-key=${oldKey}`,
      'auth',
      'whoami',
      '-o',
      'jsonpath={.status.userInfo.username}',
    ]);
    expect(known).toMatchObject({ code: 0, stdout: 'system:admin' });
    await heartbeat();
    const after = await token();
    expect(after.split('::')[0]).not.toBe(before.split('::')[0]);
    await agent.stop('SIGTERM');
    agent.start(after);
    await heartbeat();
    expect(readFileSync(join(agent.dataDir, 'agent/server-ca.crt'), 'utf8')).toBe(readFileSync(tls('server-ca.crt'), 'utf8'));
  });
});
