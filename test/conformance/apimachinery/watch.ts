/** test/e2e/apimachinery/watch.go and protocol.go */
import { describe, expect, test } from 'vitest';
import type { Event, List } from '../client.ts';
import type { Cluster } from '../cluster.ts';
import { configMap } from './objects.ts';

const label = 'watch-this-configmap';
const brief = ({ type, object }: Event): unknown[] => [type, object.metadata.name, (object['data'] as { mutation?: string })?.mutation];

export function watchers({ api, namespace }: Cluster): void {
  const selector = (value: string): string => `labelSelector=${label}%3D${value}`;
  const labelled = (name: string, value: string) => configMap(name, {}, { labels: { [label]: value } });
  const mutate = (path: string, n: number) => api.patch(path, { data: { mutation: String(n) } });

  describe('Watchers', () => {
    test('should observe add, update, and delete watch notifications on configmaps', async () => {
      const ns = await namespace();
      const maps = ns.in('configmaps');
      await using a = await api.watch(`${maps}?${selector('multiple-watchers-A')}`);
      await using b = await api.watch(`${maps}?${selector('multiple-watchers-B')}`);
      await using both = await api.watch(`${maps}?labelSelector=${label}%20in%20(multiple-watchers-A,multiple-watchers-B)`);
      const [nameA, nameB] = ['e2e-watch-test-configmap-a', 'e2e-watch-test-configmap-b'];
      await api.post(maps, labelled(nameA, 'multiple-watchers-A'));
      for (const n of [1, 2]) await mutate(`${maps}/${nameA}`, n);
      await api.del(`${maps}/${nameA}`);
      await api.post(maps, labelled(nameB, 'multiple-watchers-B'));
      await api.del(`${maps}/${nameB}`);
      const ofA = [
        ['ADDED', nameA, undefined],
        ['MODIFIED', nameA, '1'],
        ['MODIFIED', nameA, '2'],
        ['DELETED', nameA, '2'],
      ];
      const ofB = [
        ['ADDED', nameB, undefined],
        ['DELETED', nameB, undefined],
      ];
      for (const [watch, events] of [
        [a, ofA],
        [b, ofB],
        [both, [...ofA, ...ofB]],
      ] as const)
        for (const event of events) expect(brief(await watch.next())).toEqual(event);
    });

    test('should be able to start watching from a specific resource version', async () => {
      const ns = await namespace();
      const maps = ns.in('configmaps');
      const name = 'e2e-watch-test-resource-version';
      await api.post(maps, labelled(name, 'from-resource-version'));
      const first = await mutate(`${maps}/${name}`, 1);
      await mutate(`${maps}/${name}`, 2);
      await api.del(`${maps}/${name}`);
      await using watch = await api.watch(`${maps}?${selector('from-resource-version')}&resourceVersion=${first.metadata.resourceVersion}`);
      expect(brief(await watch.next())).toEqual(['MODIFIED', name, '2']);
      expect(brief(await watch.next())).toEqual(['DELETED', name, '2']);
    });

    test('should be able to restart watching from the last resource version observed by the previous watch', async () => {
      const ns = await namespace();
      const maps = ns.in('configmaps');
      const name = 'e2e-watch-test-watch-closed';
      let last = '';
      {
        await using watch = await api.watch(`${maps}?${selector('watch-closed-and-restarted')}`);
        await api.post(maps, labelled(name, 'watch-closed-and-restarted'));
        await mutate(`${maps}/${name}`, 1);
        expect(brief(await watch.next())).toEqual(['ADDED', name, undefined]);
        const event = await watch.next();
        expect(brief(event)).toEqual(['MODIFIED', name, '1']);
        last = event.object.metadata.resourceVersion;
      }
      await mutate(`${maps}/${name}`, 2);
      await using again = await api.watch(`${maps}?${selector('watch-closed-and-restarted')}&resourceVersion=${last}`);
      await api.del(`${maps}/${name}`);
      expect(brief(await again.next())).toEqual(['MODIFIED', name, '2']);
      expect(brief(await again.next())).toEqual(['DELETED', name, '2']);
    });

    test('should observe an object deletion if it stops meeting the requirements of the selector', async () => {
      const ns = await namespace();
      const maps = ns.in('configmaps');
      const name = 'e2e-watch-test-label-changed';
      const path = `${maps}/${name}`;
      await using watch = await api.watch(`${maps}?${selector('label-changed-and-restored')}`);
      await api.post(maps, labelled(name, 'label-changed-and-restored'));
      await mutate(path, 1);
      await api.patch(path, { metadata: { labels: { [label]: 'wrong-value' } } });
      expect(brief(await watch.next())).toEqual(['ADDED', name, undefined]);
      expect(brief(await watch.next())).toEqual(['MODIFIED', name, '1']);
      expect(brief(await watch.next())).toEqual(['DELETED', name, '1']);
      await mutate(path, 2);
      await api.patch(path, { metadata: { labels: { [label]: 'label-changed-and-restored' } } });
      await mutate(path, 3);
      await api.del(path);
      expect(brief(await watch.next())).toEqual(['ADDED', name, '2']);
      expect(brief(await watch.next())).toEqual(['MODIFIED', name, '3']);
      expect(brief(await watch.next())).toEqual(['DELETED', name, '3']);
    });

    test('should receive events on concurrent watches in same order', async () => {
      const ns = await namespace();
      const maps = ns.in('configmaps');
      const { metadata } = await api.get<List>(maps);
      const iterations = 100;
      const produced = (async () => {
        const alive: string[] = [];
        for (let i = 0; i < iterations; i++) {
          const oldest = alive[0];
          if (i % 3 === 2 && oldest !== undefined) {
            await api.del(`${maps}/${oldest}`);
            alive.shift();
          } else if (i % 3 === 1 && oldest !== undefined) await mutate(`${maps}/${oldest}`, i);
          else {
            alive.push(`cm-${i}`);
            await api.post(maps, configMap(`cm-${i}`));
          }
        }
      })();
      await using first = await api.watch(`${maps}?resourceVersion=${metadata.resourceVersion}`);
      const followers = [first];
      try {
        for (let i = 0; i < iterations; i++) {
          const { object } = await first.next();
          for (const follower of followers.slice(1))
            expect((await follower.next()).object.metadata.resourceVersion).toBe(object.metadata.resourceVersion);
          if (i % 10 === 0) followers.push(await api.watch(`${maps}?resourceVersion=${object.metadata.resourceVersion}`));
        }
        await produced;
      } finally {
        for (const follower of followers.slice(1)) await follower[Symbol.asyncDispose]();
      }
    });
  });

  describe('client-go should negotiate', () => {
    const protobuf = 'application/vnd.kubernetes.protobuf';
    for (const accept of ['application/json', protobuf, `${protobuf},application/json`, `application/json,${protobuf}`])
      test(`watch and report errors with accept ${JSON.stringify(accept)}`, async () => {
        const ns = await namespace();
        const maps = ns.in('configmaps');
        const before = await api.get<List>(maps);
        await api.post(maps, configMap('e2e-client-go-test-negotiation'));
        const query = `resourceVersion=${before.metadata.resourceVersion}&fieldSelector=metadata.name%3De2e-client-go-test-negotiation`;
        // What client-go makes of it for a watch, and what is too old for it.
        const watched = accept
          .split(',')
          .map((media) => `${media};stream=watch`)
          .join(',');
        const answer = await api.call('GET', `${maps}?watch=1&timeoutSeconds=1&${query}`, { headers: { accept: watched } });
        const binary = accept.startsWith(protobuf);
        expect(answer.code).toBe(200);
        expect(answer.headers['content-type']).toBe(
          `${accept.split(',')[0]};stream=watch`.replace('application/json;stream=watch', 'application/json'),
        );
        expect(answer.text).toContain(binary ? '\x05ADDED' : '"type":"ADDED"');
        expect(answer.text).toContain('e2e-client-go-test-negotiation');
        const old = await api.call('GET', `${maps}?watch=1&timeoutSeconds=1&resourceVersion=abc`, { headers: { accept } });
        expect(old.code).toBe(400);
        expect(old.headers['content-type']).toBe(binary ? protobuf : 'application/json');
      });
  });
}
