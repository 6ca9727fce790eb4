/** test/integration/dryrun: dryRun=All of every verb of every kind and subresource changes nothing, and answers as if it had. */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import type { List, Obj } from '../client.ts';
import { type Cluster, type Namespace, pathOf } from '../cluster.ts';
import { stubs } from './kinds.ts';

interface Resource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

export function dryRun({ api, namespace }: Cluster): void {
  const resources = async (groupVersion: string): Promise<readonly Resource[]> => {
    const root = groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
    return (await api.get<{ resources: readonly Resource[] }>(root)).resources;
  };
  const objectOf = (key: string, kind: string, ns: Namespace, name: string) => {
    const [apiVersion = ''] = key.split(' ');
    const body = JSON.parse(JSON.stringify(stubs[key]?.body ?? {}).replaceAll('NAMESPACE', ns.name)) as object;
    return { apiVersion, kind, metadata: { name }, ...body };
  };
  const all = 'dryRun=All';
  /** What counts: not what controllers write in between. */
  const essence = ({ metadata: { uid, annotations = {}, deletionTimestamp }, ...rest }: Obj) => ({
    uid,
    ours: Object.keys(annotations).filter((key) => key.startsWith('dry-')),
    deletionTimestamp,
    replicas: (rest['spec'] as { replicas?: number } | undefined)?.replicas,
  });

  describe('DryRun', () => {
    test('there is an object of every kind that can be created', async () => {
      const { groups } = await api.get<{ groups: readonly { name: string; versions: readonly { groupVersion: string }[] }[] }>('/apis');
      const versions = [
        'v1',
        ...groups.filter((g) => !g.name.endsWith('.example.com')).flatMap((g) => g.versions.map((v) => v.groupVersion)),
      ];
      const stored = (
        await Promise.all(
          versions.map(async (version) =>
            (
              await resources(version)
            )
              .filter((r) => !r.name.includes('/') && r.verbs.includes('get') && r.verbs.includes('create'))
              .map((r) => `${version} ${r.name}`),
          ),
        )
      ).flat();
      expect(stored.toSorted()).toEqual(Object.keys(stubs).toSorted());
    });

    test.each(Object.keys(stubs))('of %s', async (key) => {
      const [groupVersion = '', plural = ''] = key.split(' ');
      const ns = await namespace();
      const list = await resources(groupVersion);
      const resource = list.find((r) => r.name === plural);
      if (resource === undefined) throw new Error(`${key} is not in discovery`);
      const name = stubs[key]?.name ?? `dry-${plural}`;
      const collection = pathOf(groupVersion === 'v1' ? plural : key, resource.namespaced ? ns.name : undefined);
      const path = `${collection}/${name}`;
      const object = objectOf(key, resource.kind, ns, name);

      expect(await api.post(`${collection}?${all}`, object)).toMatchObject({
        kind: resource.kind,
        metadata: { name, uid: expect.any(String) as string },
      });
      expect(await api.call('GET', path)).toMatchObject({ code: 404 });
      const created = await api.post(collection, object);
      const before = essence(await api.get(path));

      // Controllers write too: then it is to be read and written again.
      const update = (at: string, annotations: Readonly<Record<string, string>>): Promise<Obj> =>
        eventually(`${at} is updated`, async () => {
          const read = await api.get(at);
          const metadata = {
            ...read.metadata,
            ...(read.kind === 'Scale' ? {} : { annotations: { ...read.metadata.annotations, ...annotations } }),
          };
          const { code, text, body } = await api.call('PUT', `${at}?${all}`, { body: { ...read, metadata } });
          if (code !== 200 && code !== 409) throw new Error(text);
          return code === 200 ? body : undefined;
        });
      expect(await update(path, { 'dry-update': 'true' })).toMatchObject({ metadata: { annotations: { 'dry-update': 'true' } } });
      for (const type of ['merge', 'strategic'] as const)
        expect(await api.patch(`${path}?${all}`, { metadata: { annotations: { 'dry-patch': 'true' } } }, type)).toMatchObject({
          metadata: { annotations: { 'dry-patch': 'true' } },
        });
      const applied = { apiVersion: object.apiVersion, kind: object.kind, metadata: { name, annotations: { 'dry-apply': 'true' } } };
      expect(await api.apply(`${path}?${all}`, applied, 'm')).toMatchObject({ metadata: { annotations: { 'dry-apply': 'true' } } });
      for (const { name: sub, verbs } of list.filter((r) => r.name.startsWith(`${plural}/`) && r.verbs.includes('patch'))) {
        const at = `${collection}/${name}/${sub.slice(plural.length + 1)}`;
        if (/\/(?:proxy|exec|attach|portforward)$/.test(sub)) continue;
        // A Scale has no annotations: its replicas show it.
        const patch = sub.endsWith('/scale')
          ? { spec: { replicas: 10 } }
          : { metadata: { annotations: { 'dry-part': sub.replace('/', '-') } } };
        const answer = await api.call('PATCH', `${at}?${all}`, { body: patch, type: 'application/merge-patch+json' });
        expect({ sub, code: answer.code, text: answer.text }).toMatchObject({ code: 200 });
        if (sub.endsWith('/scale')) expect(answer.body).toMatchObject({ kind: 'Scale', spec: { replicas: 10 } });
        if (verbs.includes('update')) await update(at, { 'dry-update': 'true' });
        expect(essence(await api.get(path))).toEqual(before);
      }
      if (resource.verbs.includes('deletecollection')) await api.del<List>(`${collection}?${all}`);
      await api.del(`${path}?${all}`);
      await api.del(path, { apiVersion: 'v1', kind: 'DeleteOptions', dryRun: ['All'] });
      expect(essence(await api.get(path))).toEqual(before);
      await api.del(path, { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, preconditions: { uid: created.metadata.uid } });
    });

    test('allocates nothing: cluster IPs and node ports are free afterwards', async () => {
      const ns = await namespace();
      const service = (name: string) => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name },
        spec: { type: 'NodePort', clusterIP: '10.43.200.1', ports: [{ port: 80, nodePort: 30_777 }] },
      });
      const path = ns.in('services');
      for (const name of ['one', 'two', 'three'])
        expect(await api.post(`${path}?${all}`, service(name))).toMatchObject({
          spec: { clusterIP: '10.43.200.1', ports: [{ nodePort: 30_777 }] },
        });
      expect((await api.call('GET', '/apis/networking.k8s.io/v1/ipaddresses/10.43.200.1')).code).toBe(404);
      await api.post(path, service('real'));
      expect(await api.call('POST', `${path}?${all}`, { body: service('late') })).toMatchObject({
        code: 422,
        body: { message: expect.stringContaining('provided IP is already allocated') as string },
      });
      // Without a wish there is an answer that looks like one: an IP for ClusterIP, and ports.
      const { clusterIP: _ip, ...spec } = service('free').spec;
      const ports = [{ port: 80 }];
      expect(await api.post(`${path}?${all}`, { ...service('free'), spec: { ...spec, ports } })).toMatchObject({
        spec: { clusterIP: expect.stringMatching(/^10\.43\./) as string, ports: [{ nodePort: expect.any(Number) as number }] },
      });
      // Taking the node ports away, dryly, leaves them taken.
      await api.patch(`${path}/real?${all}`, { spec: { type: 'ClusterIP', ports: [{ port: 80, nodePort: null }] } }, 'strategic');
      expect(
        (await api.call('POST', path, { body: { ...service('late'), spec: { ...spec, ports: [{ port: 80, nodePort: 30_777 }] } } })).code,
      ).toBe(422);
    });

    test('is refused with any other value', async () => {
      const ns = await namespace();
      const answer = await api.call('POST', `${ns.in('configmaps')}?dryRun=Some`, { body: { metadata: { name: 'a' } } });
      expect(answer).toMatchObject({
        code: 422,
        body: {
          reason: 'Invalid',
          message: expect.stringContaining('dryRun: Unsupported value: "Some": supported values: "All"') as string,
        },
      });
    });
  });
}
