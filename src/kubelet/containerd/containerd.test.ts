import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { containerdConfig } from './config.ts';
import { pauseArchive, pauseImage } from './pause-image.ts';
import { tar } from './tar.ts';

const list = (archive: Buffer, ...flags: string[]): string =>
  spawnSync('tar', ['-t', ...flags], { input: archive, encoding: 'utf8' }).stdout;

test('archives are what tar reads, and equal for equal content', () => {
  const entries = [
    { name: 'a/b', mode: 0o644, content: Buffer.from('x'.repeat(513)) },
    { name: 'empty', mode: 0o755, content: Buffer.alloc(0) },
  ];
  expect(list(tar(entries), '-v')).toMatch(
    /^-rw-r--r-- 0\/0 +513 1970-01-01 \d\d:\d\d a\/b\n-rwxr-xr-x 0\/0 +0 1970-01-01 \d\d:\d\d empty\n$/,
  );
  expect(tar(entries).equals(tar(entries))).toBe(true);
});

test('the pause image is an OCI layout under its name, whose blobs are named by what they hold', () => {
  const { bytes, id } = pauseArchive(Buffer.from('program'), 'amd64');
  const names = list(bytes).trim().split('\n');
  expect(names.slice(0, 2)).toEqual(['oci-layout', 'index.json']);
  const read = (name: string): Buffer => spawnSync('tar', ['-xO', name], { input: bytes }).stdout;
  const index = JSON.parse(read('index.json').toString('utf8')) as { manifests: { digest: string; annotations: Record<string, string> }[] };
  expect(index.manifests[0]?.annotations['io.containerd.image.name']).toBe(pauseImage);
  for (const name of names.slice(2)) {
    const digest = createHash('sha256').update(read(name)).digest('hex');
    expect(name).toBe(`blobs/sha256/${digest}`);
  }
  expect(names).toContain(`blobs/${id.replace(':', '/')}`);
});

test('the configuration names our own folders and quotes what it is given', () => {
  const text = containerdConfig({
    root: '/data/"c"',
    state: '/run/c',
    socket: '/run/c/containerd.sock',
    sandboxImage: pauseImage,
    cniBinDir: '/cni/bin',
    cniConfDir: '/cni/conf',
    registryDir: '/certs.d',
    systemdCgroup: true,
    restrictOomScore: false,
  });
  expect(text).toContain('root = "/data/\\"c\\""');
  expect(text).toContain('SystemdCgroup = true');
  expect(text).toContain('oom_score = -999');
  expect(text).toContain('sandbox_image = "k3ts.io/pause:1"');
});
