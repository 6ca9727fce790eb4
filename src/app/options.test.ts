import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { agentConfig, serverConfig } from './config.ts';
import { flagsOf } from './flags.ts';
import { type OptionSources, resolveOptions } from './options.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'k3ts-options-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const resolve = (commandLine: Record<string, unknown>, env: OptionSources['env'] = {}) =>
  resolveOptions(flagsOf('server'), { commandLine: new Map(Object.entries({ config: join(folder, 'config.yaml'), ...commandLine })), env });

function write(text: string, name = 'config.yaml'): void {
  mkdirSync(join(folder, 'config.yaml.d'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

describe('where settings come from', () => {
  test('defaults apply where nothing is said', () => {
    write('');
    const config = serverConfig(resolve({}));
    expect(config).toMatchObject({
      port: 6443,
      clusterCidr: '10.42.0.0/16',
      serviceCidr: '10.43.0.0/16',
      clusterDns: '10.43.0.10',
      kubeconfigMode: 0o600,
    });
  });

  test('the command line beats the file, which beats the environment', () => {
    write('https-listen-port: 7000\nnode-name: from-file\n');
    const env = { K3TS_NODE_NAME: 'from-env', K3TS_DATA_DIR: '/from/env' };
    const config = serverConfig(resolve({ 'https-listen-port': 7001 }, env));
    expect(config).toMatchObject({ port: 7001, dataDir: '/from/env', node: { name: 'from-file' } });
  });

  test('drop-in files come later, replace keys, and add to lists with a plus', () => {
    write('tls-san: [a.example]\ndebug: false\n');
    write('tls-san+: [b.example]\n', 'config.yaml.d/10.yaml');
    write('debug: true\n', 'config.yaml.d/20.yaml');
    expect(serverConfig(resolve({}))).toMatchObject({ tlsSans: ['a.example', 'b.example'], debug: true });
  });
});

describe('what is refused', () => {
  test.each([
    ['an unknown key in the file', {}, 'no-such-flag: 1\n', /config\.yaml: unknown setting "no-such-flag"/],
    ['a file that is no map', {}, '- a\n', /must hold a map/],
    ['broken YAML', {}, 'a: [\n', /config\.yaml: /],
    ['a port that is no number', { 'https-listen-port': 'x' }, '', /command line: https-listen-port: "x" is not a whole number/],
    ['a port out of range', { 'https-listen-port': 70000 }, '', /is not a port between 1 and 65535/],
    ['a bad network', {}, 'cluster-cidr: 10.0.0.0/33\n', /cluster-cidr: "10.0.0.0\/33" is not a network/],
    ['a bad address', { 'node-ip': '1.2.3' }, '', /node-ip: "1.2.3" is not an IP address/],
    ['a bad node name', { 'node-name': 'A_b' }, '', /not a valid node name/],
    ['an argument without value', { 'kubelet-arg': ['max-pods'] }, '', /kubelet-arg: "max-pods" is not of the form key=value/],
    ['a port given twice', { 'https-listen-port': ['1', '2'] }, '', /https-listen-port: is given more than once/],
    ['a string given twice', { 'data-dir': ['/a', '/b'] }, '', /data-dir: is given more than once/],
  ])('%s', (_name, commandLine, file, message) => {
    write(file);
    expect(() => resolve(commandLine)).toThrow(message);
  });

  test.each([
    ['overlapping networks', { 'service-cidr': '10.42.128.0/20' }, /overlap/],
    ['networks of different families', { 'cluster-cidr': 'fd00::/56' }, /must both be IPv4 or both be IPv6/],
    ['a DNS address outside the service network', { 'cluster-dns': '10.9.9.9' }, /is not in service-cidr/],
    ['a service network that is too small', { 'service-cidr': '10.43.0.0/30' }, /fewer than 16/],
  ])('%s', (_name, commandLine, message) => {
    write('');
    expect(() => serverConfig(resolve(commandLine))).toThrow(message);
  });

  test('an explicit configuration file that does not exist', () => {
    expect(() => resolve({})).toThrow(/no such file/);
  });

  test('an agent without server or token', () => {
    const options = (commandLine: Record<string, string>) =>
      resolveOptions(flagsOf('agent'), { commandLine: new Map(Object.entries(commandLine)), env: {} });
    expect(() => agentConfig(options({}))).toThrow(/--server is required/);
    expect(() => agentConfig(options({ server: 'https://a:6443' }))).toThrow(/--token is required/);
    expect(() => options({ server: 'http://a:6443' })).toThrow(/must be an https URL/);
  });
});
