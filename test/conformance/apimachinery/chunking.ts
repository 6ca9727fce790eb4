/** test/e2e/apimachinery/chunking.go */
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import type { List } from '../client.ts';
import type { Cluster, Namespace } from '../cluster.ts';
import { configMap } from './objects.ts';

const total = 400;
const nameOf = (i: number): string => `template-${String(i).padStart(4, '0')}`;

export function chunking({ api, namespace }: Cluster): void {
  describe('Servers with support for API chunking', () => {
    let ns: Namespace;
    const list = (query: string): Promise<List> => api.get<List>(`${ns.in('podtemplates')}?${query}`);
    beforeAll(async () => {
      ns = await namespace();
      await Promise.all(
        Array.from({ length: total }, (_, i) =>
          api.post(ns.in('podtemplates'), {
            apiVersion: 'v1',
            kind: 'PodTemplate',
            metadata: { name: nameOf(i) },
            template: { spec: { containers: [{ name: 'test', image: 'test2' }] } },
          }),
        ),
      );
    });

    /** Reads all pages from a token on; what is found goes on from the number given. */
    async function readOn(from: string, limits: readonly number[], first: number, revision?: string): Promise<number> {
      let token = from;
      let found = first;
      let expected = revision;
      for (let page = 0; ; page++) {
        const limit = limits[page % limits.length] ?? 1;
        const { items, metadata } = await list(`limit=${limit}${token === '' ? '' : `&continue=${token}`}`);
        expect(items.length).toBeLessThanOrEqual(limit);
        expected ??= metadata.resourceVersion;
        expect(metadata.resourceVersion).toBe(expected);
        expect(items.map((o) => o.metadata.name)).toEqual(items.map((_, i) => nameOf(found + i)));
        found += items.length;
        token = metadata.continue ?? '';
        if (token === '') {
          expect(metadata.remainingItemCount).toBeUndefined();
          return found;
        }
        expect(metadata.remainingItemCount).toBe(total - found);
      }
    }

    test('should return chunks of results for list calls', async () => {
      for (const limits of [[40, 1, 17], [33], [2, 39, 40, 5]]) expect(await readOn('', limits, 0)).toBe(total);
      expect((await list(`limit=${total + 1}`)).items).toHaveLength(total);
    });

    test('should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent [Slow]', async () => {
      const tenth = total / 10;
      const first = await list(`limit=${tenth}`);
      const query = `${ns.in('podtemplates')}?limit=${tenth}&continue=${first.metadata.continue}`;
      // Upstream waits for minutes until the revision is compacted. Here 32 MB of later writes push it out of what is kept.
      const path = ns.in('configmaps', 'large');
      await api.post(ns.in('configmaps'), configMap('large'));
      const expired = await eventually('the token expires', async () => {
        await api.put(path, configMap('large', { data: { x: 'x'.repeat(1_000_000), again: String(Math.random()) } }));
        const answer = await api.call<List>('GET', query);
        return answer.code === 200 ? undefined : answer;
      });
      expect(expired).toMatchObject({
        code: 410,
        body: {
          kind: 'Status',
          reason: 'Expired',
          message: expect.stringContaining('The provided continue parameter is too old to display a consistent list result.') as string,
          metadata: { continue: expect.any(String) as string },
        },
      });
      const inconsistent = expired.body.metadata.continue ?? '';
      const second = await list(`limit=${tenth}&continue=${inconsistent}`);
      expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
      expect(second.items).toHaveLength(tenth);
      expect(second.items[0]?.metadata.name).toBe(nameOf(tenth));
      expect(second.metadata.remainingItemCount).toBe(total - 2 * tenth);
      expect(await readOn(second.metadata.continue ?? '', [tenth], 2 * tenth, second.metadata.resourceVersion)).toBe(total);
    });
  });
}
