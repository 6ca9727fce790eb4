/** client-go's util/csaupgrade: what kubectl does to an object that was applied by the client before, and what must come of it. */
import { describe, expect, test } from 'vitest';
import type { Obj } from '../client.ts';
import type { Cluster } from '../cluster.ts';

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
const csa = 'kubectl-client-side-apply';
const ssa = 'kubectl';

interface Entry {
  readonly manager: string;
  readonly operation: string;
  readonly apiVersion: string;
  readonly fieldsType: string;
  readonly fieldsV1: Readonly<Record<string, unknown>>;
  readonly time?: string;
  readonly subresource?: string;
}

/** The union of field sets: what UpgradeManagedFields makes of the entries of both managers. */
function union(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const out: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b))
    out[key] = union((a[key] ?? {}) as Record<string, unknown>, value as Record<string, unknown>);
  return out;
}

const entriesOf = (object: Obj): readonly Entry[] => (object.metadata.managedFields ?? []) as readonly unknown[] as readonly Entry[];
const managers = (object: Obj): string[] =>
  entriesOf(object).map((e) => `${e.manager} ${e.operation}${e.subresource === undefined ? '' : ` ${e.subresource}`}`);

/** The JSON patch of UpgradeManagedFieldsPatch: the entry of the client's manager becomes one of server-side apply. */
function upgrade(object: Obj): object[] {
  const all = entriesOf(object);
  const old = all.find((e) => e.manager === csa && e.operation === 'Update' && e.subresource === undefined);
  const applied = all.find((e) => e.manager === ssa && e.operation === 'Apply');
  const rest = all.filter((e) => e !== old && e !== applied);
  const base = applied ?? old;
  const fieldsV1 = union(applied?.fieldsV1 ?? {}, old?.fieldsV1 ?? {});
  const merged = base === undefined ? [] : [{ ...base, manager: ssa, operation: 'Apply', fieldsV1 }];
  return [
    { op: 'replace', path: '/metadata/managedFields', value: [...merged, ...rest] },
    { op: 'replace', path: '/metadata/resourceVersion', value: object.metadata.resourceVersion },
  ];
}

export function csaUpgrade({ api, namespace, node }: Cluster): void {
  const map = (data: Readonly<Record<string, string>>) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cm' }, data });
  const applied = (data: Readonly<Record<string, string>>) => ({
    ...map(data),
    metadata: { name: 'cm', annotations: { [lastApplied]: JSON.stringify(map(data)) } },
  });

  describe('from client-side apply to server-side apply', () => {
    test('the fields of the client belong to the applier, which may then remove them', async () => {
      const ns = await namespace();
      const path = ns.in('configmaps', 'cm');
      await api.post(`${ns.in('configmaps')}?fieldManager=${csa}`, applied({ key: 'value', legacy: 'unused' }));
      await api.patch(`${path}?fieldManager=controller`, { data: { controlled: 'yes' } });
      await api.patch(path, upgrade(await api.get(path)), 'json');
      expect(managers(await api.get(path)).toSorted()).toEqual(['controller Update', 'kubectl Apply']);
      const after = await api.apply(path, map({ key: 'other' }), ssa);
      // What the applier no longer names goes, the annotation too; what another one wrote stays.
      expect(after['data']).toEqual({ key: 'other', controlled: 'yes' });
      expect(after.metadata.annotations).toBeUndefined();
      expect(managers(after).toSorted()).toEqual(['controller Update', 'kubectl Apply']);
    });

    test('without the migration the old entry keeps what is no longer applied', async () => {
      const ns = await namespace();
      const path = ns.in('configmaps', 'cm');
      await api.post(`${ns.in('configmaps')}?fieldManager=${csa}`, applied({ key: 'value', legacy: 'unused' }));
      const after = await api.apply(path, map({ key: 'value' }), 'another');
      expect(after['data']).toEqual({ key: 'value', legacy: 'unused' });
      expect(managers(after).toSorted()).toEqual(['another Apply', `${csa} Update`]);
    });

    test('an entry of server-side apply that is there already takes in what the client owned', async () => {
      const ns = await namespace();
      const path = ns.in('configmaps', 'cm');
      await api.post(`${ns.in('configmaps')}?fieldManager=${csa}`, applied({ a: '1', legacy: 'x' }));
      await api.apply(path, map({ a: '1', b: '2' }), ssa);
      await api.patch(path, upgrade(await api.get(path)), 'json');
      const [entry, ...none] = entriesOf(await api.get(path));
      expect(none).toEqual([]);
      expect(entry).toMatchObject({ manager: ssa, operation: 'Apply', fieldsV1: { 'f:data': { 'f:a': {}, 'f:b': {}, 'f:legacy': {} } } });
      expect((await api.apply(path, map({ b: '2' }), ssa))['data']).toEqual({ b: '2' });
    });

    test('a migration of what has changed meanwhile is refused', async () => {
      const ns = await namespace();
      const path = ns.in('configmaps', 'cm');
      await api.post(`${ns.in('configmaps')}?fieldManager=${csa}`, applied({ a: '1' }));
      const patch = upgrade(await api.get(path));
      await api.patch(path, { data: { meanwhile: 'x' } });
      expect(await api.call('PATCH', path, { body: patch, type: 'application/json-patch+json' })).toMatchObject({
        code: 409,
        body: { reason: 'Conflict' },
      });
    });

    test('kubectl apply --server-side after kubectl apply migrates by itself', async () => {
      const ns = await namespace();
      const path = ns.in('configmaps', 'cm');
      const run = (data: Readonly<Record<string, string>>, ...args: readonly string[]) =>
        node().ok(['apply', '--namespace', ns.name, ...args, '-f', '-'], JSON.stringify(map(data)));
      await run({ key: 'value', legacy: 'unused' });
      await run({ key: 'value', legacy: 'unused' }, '--server-side');
      expect(managers(await api.get(path))).toEqual(['kubectl Apply', 'kubectl-last-applied Apply']);
      await run({ key: 'new' }, '--server-side');
      const after = await api.get(path);
      expect(after['data']).toEqual({ key: 'new' });
      // kubectl keeps the annotation up to date for those who go on applying on the client.
      expect(JSON.parse(after.metadata.annotations?.[lastApplied] ?? '{}')).toMatchObject({ data: { key: 'new' } });
      await run({ key: 'back' });
      expect((await api.get(path))['data']).toEqual({ key: 'back' });
    });
  });
}
