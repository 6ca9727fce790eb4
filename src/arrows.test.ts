import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/** design.md, "Layout and arrows": what each folder may import besides itself. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  platform: [],
  kube: ['lib'],
  resources: ['kube', 'lib'],
  store: ['lib', 'platform'],
  client: ['kube', 'lib', 'platform'],
  apiserver: ['kube', 'store', 'lib', 'platform'],
  controllers: ['client', 'kube', 'lib', 'platform'],
  scheduler: ['client', 'kube', 'lib', 'platform'],
  kubelet: ['client', 'kube', 'lib', 'platform'],
  net: ['client', 'kube', 'lib', 'platform'],
  edge: ['client', 'kube', 'lib', 'platform'],
  pki: ['lib', 'platform'],
  app: [
    'lib',
    'platform',
    'kube',
    'resources',
    'store',
    'client',
    'apiserver',
    'controllers',
    'scheduler',
    'kubelet',
    'net',
    'edge',
    'pki',
  ],
  cli: ['app'],
};

const src = import.meta.dirname;
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts') && f.includes('/'));

describe('import arrows', () => {
  test.each(files.filter((f) => !f.endsWith('.test.ts') && !f.endsWith('/testing.ts') && !f.includes('generated/')))(
    '%s imports only what its folder may',
    (file) => {
      const folder = file.split('/')[0] ?? '';
      const allowed = arrows[folder];
      expect(allowed, `folder ${folder} is not in the table`).toBeDefined();
      const text = readFileSync(join(src, file), 'utf8');
      for (const m of text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)) {
        const target = m[1] ?? '';
        const to = target.startsWith('#')
          ? (target.slice(1).split('/')[0] ?? '')
          : target.startsWith('.')
            ? (relative(src, join(src, file, '..', target)).split('/')[0] ?? '')
            : undefined;
        if (to !== undefined && to !== folder) expect(allowed, `${file} imports ${target}`).toContain(to);
      }
    },
  );
});
