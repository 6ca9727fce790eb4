/** The built executable as a user meets it first: help, refusals, no Node around. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../harness/machine.ts';
import { executable } from '../harness/node.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'k3ts-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As on a machine with nothing but the base system. */
const k3ts = (...args: string[]) =>
  run('env', ['-i', 'PATH=/usr/bin:/bin', `HOME=${folder}`, `K3TS_DATA_DIR=${folder}`, executable, ...args]);

describe('k3ts', () => {
  test('--version names the Kubernetes version', async () => {
    const result = await k3ts('--version');
    expect(result).toMatchObject({ code: 0, stdout: expect.stringMatching(/^k3ts version v1\.36\.\d+\+k3ts\d+\n/) });
  });

  test('--help lists the commands, server --help every flag', async () => {
    const commands = (await k3ts('--help')).stdout;
    for (const command of ['server', 'agent', 'kubectl', 'token', 'killall', 'completion']) expect(commands).toContain(`k3ts ${command} `);
    const help = (await k3ts('server', '--help')).stdout;
    for (const flag of [
      'data-dir',
      'bind-address',
      'https-listen-port',
      'advertise-address',
      'node-name',
      'node-ip',
      'cluster-cidr',
      'service-cidr',
      'cluster-dns',
      'write-kubeconfig',
      'write-kubeconfig-mode',
      'tls-san',
      'token',
      'disable-agent',
      'kubelet-arg',
      'kube-apiserver-arg',
      'debug',
    ]) {
      expect(help).toContain(`--${flag}`);
    }
  });

  test('kubectl is real kubectl 1.36', async () => {
    expect((await k3ts('kubectl', 'version', '--client')).stdout).toMatch(/Client Version: v1\.36\./);
  });

  test.each([
    [['nonsense'], 'Unknown command: nonsense'],
    [['server', '--no-such-flag'], 'Unknown argument: no-such-flag'],
    [['server', '--https-listen-port', 'x'], 'command line: https-listen-port: "x" is not a whole number'],
    [['server', '--cluster-cidr', '10.0.0.0/40'], 'cluster-cidr: "10.0.0.0/40" is not a network such as 10.42.0.0/16'],
    [['server', '--service-cidr', '10.42.3.0/24'], 'cluster-cidr and service-cidr overlap'],
    [['server', '--kubelet-arg', 'no-such-setting=1'], 'kubelet-arg "no-such-setting=1": unknown setting'],
    [['server', '--kube-apiserver-arg', 'no-such-setting=1'], 'kube-apiserver-arg: "no-such-setting"'],
    [['server', '--config', '/no/such/file'], '/no/such/file: no such file'],
    [['agent'], '--server is required'],
    [[], 'Say which command to run.'],
  ])('refuses %j with the reason', async (args, reason) => {
    const result = await k3ts(...args);
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(reason);
  });

  test('refuses an unknown setting in the configuration file', async () => {
    writeFileSync(join(folder, 'config.yaml'), 'https-listen-prt: 6443\n');
    const result = await k3ts('server', '--config', join(folder, 'config.yaml'));
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('unknown setting "https-listen-prt"') });
  });
});
