/** Container images made on the spot: Debian's static busybox with a few files, as a docker archive. */
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { must, run } from './machine.ts';

export interface ImageSpec {
  /** Full reference, e.g. example.test/web:1 */
  readonly name: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Programs of the machine to put into /bin, with the libraries that they load. */
  readonly programs?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: readonly string[];
  readonly user?: string;
}

const busybox = '/usr/bin/busybox';

async function addProgram(program: string, rootfs: string): Promise<void> {
  rmSync(join(rootfs, 'bin', basename(program)), { force: true });
  copyFileSync(program, join(rootfs, 'bin', basename(program)));
  // It fails for programs that load none.
  for (const [, library = ''] of (await run('ldd', [program])).stdout.matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(join(rootfs, dirname(library)), { recursive: true });
    copyFileSync(library, join(rootfs, library));
  }
}

/** Writes the archive below `folder` and returns its path. */
export async function buildImage(spec: ImageSpec, folder: string): Promise<string> {
  const work = mkdtempSync(join(folder, 'image-'));
  const rootfs = join(work, 'rootfs');
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root', 'var', 'www']) mkdirSync(join(rootfs, name), { recursive: true });
  copyFileSync(busybox, join(rootfs, 'bin/busybox'));
  chmodSync(join(rootfs, 'bin/busybox'), 0o755);
  chmodSync(join(rootfs, 'tmp'), 0o1777);
  for (const applet of (await must(busybox, ['--list'])).trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(rootfs, 'bin', applet));
  }
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n');
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\nnobody:x:65534:\n');
  for (const [file, content] of Object.entries(spec.files ?? {})) {
    mkdirSync(dirname(join(rootfs, file)), { recursive: true });
    writeFileSync(join(rootfs, file), content, { mode: content.startsWith('#!') ? 0o755 : 0o644 });
  }
  for (const program of spec.programs ?? []) await addProgram(program, rootfs);
  await must('tar', ['--owner=0', '--group=0', '-cf', join(work, 'layer.tar'), '-C', rootfs, '.']);
  const digest = createHash('sha256')
    .update(readFileSync(join(work, 'layer.tar')))
    .digest('hex');
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : 'arm64',
    os: 'linux',
    config: {
      Env: ['PATH=/bin', ...(spec.env ?? [])],
      ...(spec.entrypoint === undefined ? {} : { Entrypoint: spec.entrypoint }),
      Cmd: spec.command ?? ['/bin/sh'],
      ...(spec.user === undefined ? {} : { User: spec.user }),
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
  });
  writeFileSync(join(work, 'config.json'), config);
  writeFileSync(join(work, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [spec.name], Layers: ['layer.tar'] }]));
  const archive = join(folder, `${createHash('sha256').update(spec.name).digest('hex').slice(0, 12)}.tar`);
  await must('tar', ['-cf', archive, '-C', work, 'config.json', 'manifest.json', 'layer.tar']);
  rmSync(work, { recursive: true, force: true });
  return archive;
}
