/**
 * Makes dist/k3ts: one executable file that needs no Node, no node_modules and no checkout.
 *
 *   dist/stage/lib/*.mjs      the bundle (esbuild), one entry for the process and one for each worker thread
 *   dist/stage/prebuilds/     SQLite's native part
 *   dist/stage/bin/node       Node, stripped
 *   dist/stage/native/        the library that Node needs and small Linux installations do not have
 *   dist/stage/bin/kubectl    kubectl, so that `k3ts kubectl` works on its own
 *   dist/k3ts                 a shell header that unpacks the stage once into the data directory and runs it
 *
 * Why not `pkg`: docs/adr/one-executable.md.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { fetchClientTools } from './client-tools.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
const stage = join(dist, 'stage');

/**
 * Node's own modules are taken with getBuiltinModule. An `import` of one makes Node read each of its exports at once, also
 * those behind lazy getters: importing node:http so loads undici, 80 ms of CPU and 20 MB of memory in each thread.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup: (on) => {
    on.onResolve({ filter: /^[a-z0-9_:/]+$/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'builtin' } : undefined,
    );
    on.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

async function bundle(): Promise<void> {
  await build({
    entryPoints: {
      main: join(root, 'src/main.ts'),
      'store-worker': join(root, 'src/app/store-worker.ts'),
      'agent-worker': join(root, 'src/app/agent-worker.ts'),
      'yaml-worker': join(root, 'src/app/yaml-worker.ts'),
    },
    outdir: join(stage, 'lib'),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    // Identifiers stay: names of functions and classes are in logs, and keepNames would give each function that is made while k3ts
    // runs a table of properties of its own, 250 bytes that take longer to make than the function.
    minifyWhitespace: true,
    minifySyntax: true,
    define: { __filename: 'k3tsFilename', __dirname: 'k3tsDirname' },
    legalComments: 'none',
    sourcemap: 'external',
    plugins: [lazyBuiltins],
    // CommonJS packages inside an ES module still ask for these.
    banner: {
      js: [
        "import { createRequire as k3tsCreateRequire } from 'node:module';",
        "import { fileURLToPath as k3tsFileURLToPath } from 'node:url';",
        'const require = k3tsCreateRequire(import.meta.url);',
        'const k3tsFilename = k3tsFileURLToPath(import.meta.url);',
        'const k3tsDirname = import.meta.dirname;',
      ].join('\n'),
    },
    logLevel: 'warning',
  });
  // esbuild escapes everything but regular expressions. One letter beyond ASCII makes V8 keep the whole file at two bytes a letter.
  for (const file of readdirSync(join(stage, 'lib')).filter((f) => f.endsWith('.mjs'))) {
    const text = readFileSync(join(stage, 'lib', file), 'utf8');
    const ascii = text.replace(/[\u0080-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
    if (ascii !== text) writeFileSync(join(stage, 'lib', file), ascii);
  }
  // Stack traces of the bundle are read with the maps, which stay outside the executable.
  mkdirSync(join(dist, 'maps'), { recursive: true });
  for (const file of readdirSync(join(stage, 'lib')).filter((f) => f.endsWith('.map'))) {
    cpSync(join(stage, 'lib', file), join(dist, 'maps', file));
    rmSync(join(stage, 'lib', file));
  }
}

function has(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Node without its symbols (150 MB → 116 MB), kept in .cache because stripping takes seconds. */
function strippedNode(): string {
  const source = join(root, `node_modules/node-linux-${process.arch}/bin/node`);
  const cached = join(root, `.cache/node-${process.version}-${process.arch}`);
  if (!existsSync(cached)) {
    mkdirSync(join(root, '.cache'), { recursive: true });
    copyFileSync(source, `${cached}.new`);
    if (has('strip')) execFileSync('strip', [`${cached}.new`]);
    execFileSync('mv', [`${cached}.new`, cached]);
  }
  return cached;
}

/** The file that the dynamic linker takes for a library of a program. */
function libraryOf(program: string, library: string): string | undefined {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n');
  return lines.find((line) => line.trim().startsWith(`${library} =>`))?.split(/\s+/)[3];
}

function header(id: string): string {
  const text = readFileSync(join(import.meta.dirname, 'header.sh'), 'utf8').replaceAll('@ID@', id);
  // The payload begins behind the header, whose length this does not change.
  return text.replaceAll('@OFFSET@', String(Buffer.byteLength(text) + 1).padStart('@OFFSET@'.length, '0'));
}

async function pack(): Promise<void> {
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(join(stage, 'bin'), { recursive: true });
  mkdirSync(join(stage, 'prebuilds'), { recursive: true });
  await bundle();
  for (const libc of ['linux', 'linuxmusl']) {
    const file = `${libc}-${process.arch}.node`;
    copyFileSync(join(root, 'node_modules/better-sqlite3/prebuilds', file), join(stage, 'prebuilds', file));
  }
  copyFileSync(strippedNode(), join(stage, 'bin/node'));
  // Debian installs libatomic1 with a compiler only.
  const library = libraryOf(join(stage, 'bin/node'), 'libatomic.so.1');
  if (library !== undefined) {
    mkdirSync(join(stage, 'native'));
    copyFileSync(library, join(stage, 'native/libatomic.so.1'));
  }
  const tools = fetchClientTools(join(root, '.cache'));
  if (tools !== undefined) copyFileSync(tools.kubectl, join(stage, 'bin/kubectl'));
  for (const file of readdirSync(join(stage, 'bin'))) chmodSync(join(stage, 'bin', file), 0o755);

  const archive = join(dist, 'stage.tar.gz');
  execFileSync('sh', [
    '-c',
    `tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - -C "$1" . | gzip -n -6 > "$2"`,
    'sh',
    stage,
    archive,
  ]);
  const payload = readFileSync(archive);
  const id = createHash('sha256').update(payload).digest('hex').slice(0, 32);
  writeFileSync(join(dist, 'k3ts.new'), Buffer.concat([Buffer.from(header(id)), payload]), { mode: 0o755 });
  chmodSync(join(dist, 'k3ts.new'), 0o755);
  execFileSync('mv', [join(dist, 'k3ts.new'), join(dist, 'k3ts')]);
  rmSync(archive);
  process.stdout.write(`dist/k3ts: ${(payload.length / 1e6).toFixed(1)} MB\n`);
}

await pack();
