/** test/e2e/apimachinery: crd_conversion_webhook.go and crd_selectable_fields.go */
import { describe, expect, test } from 'vitest';
import type { List, Watch } from '../client.ts';
import { type Cluster, type Custom, crds } from '../cluster.ts';
import type { Hooks } from '../hooks.ts';

const text = { type: 'string' };
const v1 = { name: 'v1', schema: { type: 'object', properties: { hostPort: text } } };
const v2 = { name: 'v2', schema: { type: 'object', properties: { host: text, port: text } } };

export function crdConversion({ api, define, namespace }: Cluster, hooks: Hooks): void {
  const converted = (selectable = false): Promise<Custom> => {
    const fields = (...paths: readonly string[]) => (selectable ? { selectableFields: paths.map((jsonPath) => ({ jsonPath })) } : {});
    return define({
      versions: [
        { ...v1, ...fields('.hostPort') },
        { ...v2, ...fields('.host', '.port') },
      ],
      spec: {
        conversion: {
          strategy: 'Webhook',
          webhook: { conversionReviewVersions: ['v1', 'v1beta1'], clientConfig: hooks.config('/crdconvert') },
        },
      },
    });
  };

  describe('CustomResourceConversionWebhook', () => {
    test('should be able to convert from CR v1 to CR v2', async () => {
      const ns = await namespace();
      const custom = await converted();
      await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'cr-instance-1', { hostPort: 'localhost:8080' }));
      expect(await api.get(custom.path('v2', 'cr-instance-1', ns.name))).toMatchObject({ host: 'localhost', port: '8080' });
    });

    test('should be able to convert a non homogeneous list of CRs', async () => {
      const ns = await namespace();
      const custom = await converted();
      await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'cr-instance-1', { hostPort: 'localhost:8080' }));
      const storage = [0, 1].map((i) => ({ op: 'replace', path: `/spec/versions/${i}/storage`, value: i === 1 }));
      await api.patch(`${crds}/${custom.crd}`, storage, 'json');
      await api.post(custom.path('v1', '', ns.name), custom.object('v1', 'cr-instance-2', { hostPort: 'localhost:8080' }));
      const asV1 = await api.get<List>(custom.path('v1', '', ns.name));
      expect(asV1.items.map((o) => o['hostPort'])).toEqual(['localhost:8080', 'localhost:8080']);
      const asV2 = await api.get<List>(custom.path('v2', '', ns.name));
      expect(asV2.items.map((o) => [o['host'], o['port']])).toEqual([
        ['localhost', '8080'],
        ['localhost', '8080'],
      ]);
    });
  });

  describe('CustomResourceFieldSelectors', () => {
    test('MUST list and watch custom resources matching the field selector', async () => {
      const ns = await namespace();
      const custom = await converted(true);
      const at = (version: string, selector: string): string =>
        `${custom.path(version, '', ns.name)}?fieldSelector=${encodeURIComponent(selector)}`;
      const named = async (version: string, selector: string): Promise<string[]> =>
        (await api.get<List>(at(version, selector))).items.map((o) => o.metadata.name);
      await using byHost = await api.watch(at('v2', 'host=host1'));
      await using byBoth = await api.watch(at('v2', 'host=host1,port=80'));
      await using byHostPort = await api.watch(at('v1', 'hostPort=host1:80'));
      for (const [name, more] of [
        ['a', { host: 'host1', port: '80' }],
        ['b', { host: 'host1', port: '8080' }],
        ['c', { host: 'host2' }],
      ] as const)
        await api.post(custom.path('v2', '', ns.name), custom.object('v2', name, more));
      expect(await named('v2', 'host=host1')).toEqual(['a', 'b']);
      expect(await named('v2', 'host=host1,port=80')).toEqual(['a']);
      expect(await named('v1', 'hostPort=host1:80')).toEqual(['a']);
      expect(await named('v1', 'hostPort=host1:8080')).toEqual(['b']);
      await api.del(at('v2', 'host=host1,port=80'));
      const b = await api.get(custom.path('v2', 'b', ns.name));
      await api.put(custom.path('v2', 'b', ns.name), { ...b, host: 'host2' });
      expect(await named('v2', 'host=host1')).toEqual([]);
      expect(await named('v2', 'host=host1,port=80')).toEqual([]);
      const seen = async (watch: Watch, count: number): Promise<string[]> => {
        const events: string[] = [];
        while (events.length < count) {
          const { type, object } = await watch.next();
          events.push(`${type} ${object.metadata.name}`);
        }
        return events;
      };
      expect(await seen(byHost, 4)).toEqual(['ADDED a', 'ADDED b', 'DELETED a', 'DELETED b']);
      expect(await seen(byBoth, 2)).toEqual(['ADDED a', 'DELETED a']);
      expect(await seen(byHostPort, 2)).toEqual(['ADDED a', 'DELETED a']);
    });
  });
}
