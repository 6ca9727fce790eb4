/** test/e2e/apimachinery/crd_publish_openapi.go */
import { describe, expect, test } from 'vitest';
import { eventually } from '../../harness/machine.ts';
import { type Cluster, type Custom, crds, type Definition, definition, established, unique } from '../cluster.ts';

const text = (description: string) => ({ type: 'string', description });
const foo = {
  description: 'Foo CRD for Testing',
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      description: 'Specification of Foo',
      properties: {
        bars: {
          description: 'List of Bars and their specs.',
          type: 'array',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: text('Name of Bar.'),
              age: text('Age of Bar.'),
              feeling: { ...text('Whether Bar is feeling great.'), enum: ['Great', 'Down'] },
              bazs: { description: 'List of Bazs.', items: { type: 'string' }, type: 'array' },
            },
          },
        },
      },
    },
    status: { description: 'Status of Foo', type: 'object', properties: { availableBars: { type: 'string' } } },
  },
};
const waldo = {
  description: 'Waldo CRD for Testing',
  type: 'object',
  properties: { spec: { description: 'Specification of Waldo', type: 'object' } },
};
const preserving = { 'x-kubernetes-preserve-unknown-fields': true };
const nested = {
  description: 'preserve-unknown-properties in nested field for Testing',
  type: 'object',
  properties: { spec: { description: 'Specification of Waldo', type: 'object', ...preserving } },
};

interface V2 {
  readonly definitions: Readonly<Record<string, { readonly description?: string; readonly properties?: object }>>;
}

export function publishedOpenApi({ api, namespace, define, node }: Cluster): void {
  const nameIn = (custom: Custom, version: string): string => `${custom.group.split('.').toReversed().join('.')}.${version}.${custom.kind}`;
  const published = async (custom: Custom, version: string): Promise<V2['definitions'][string] | undefined> =>
    (await api.get<V2>('/openapi/v2')).definitions[nameIn(custom, version)];
  const shows = (custom: Custom, version: string, description: string): Promise<true> =>
    eventually(`${custom.crd} ${version} is published`, async () =>
      (await published(custom, version))?.description === description ? true : undefined,
    );
  const hides = (custom: Custom, version: string): Promise<true> =>
    eventually(`${custom.crd} ${version} is published no more`, async () =>
      (await published(custom, version)) === undefined ? true : undefined,
    );
  const explain = (custom: Custom, path = ''): Promise<string> =>
    eventually(`kubectl explains ${custom.plural}${path}`, async () => {
      const { code, stdout } = await node().kubectl(['explain', `${custom.plural}${path}`]);
      return code === 0 ? stdout : undefined;
    });
  /** kubectl creates, deletes, applies and deletes an object, checking it on the way. */
  const takes = async (custom: Custom, more: object): Promise<readonly string[]> => {
    const ns = await namespace();
    const input = JSON.stringify(custom.object('v1', 'test-cr', { ...more }));
    const name = `${custom.kind.toLowerCase()}.${custom.group}/test-cr`;
    const run = (...args: readonly string[]) => node().ok([...args, '--namespace', ns.name], input);
    const said = [
      await run('create', '-f', '-'),
      await run('delete', custom.plural, 'test-cr'),
      await run('apply', '-f', '-'),
      await run('delete', custom.plural, 'test-cr'),
    ];
    expect([said[0], said[2]]).toEqual([`${name} created\n`, `${name} created\n`]);
    return said;
  };
  const refuses = async (custom: Custom, more: object, why: string): Promise<void> => {
    const ns = await namespace();
    for (const verb of ['create', 'apply']) {
      const input = JSON.stringify(custom.object('v1', 'test-cr', { ...more }));
      const { code, stderr } = await node().kubectl([verb, '--namespace', ns.name, '-f', '-'], input);
      expect({ verb, code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(why) as string });
    }
  };
  /** Two definitions of one group. */
  const inOneGroup = async (...all: readonly Definition[]): Promise<readonly Custom[]> => {
    const group = `${unique('common')}.example.com`;
    const made: Custom[] = [];
    for (const d of all) {
      const { object, custom } = definition(d);
      const own = object as { metadata: object; spec: object };
      const crd = `${custom.plural}.${group}`;
      await api.post(crds, { ...own, metadata: { name: crd }, spec: { ...own.spec, group } });
      await established(api, crd);
      made.push({ ...custom, crd, group });
    }
    return made;
  };

  describe('CustomResourcePublishOpenAPI', () => {
    test('works for CRD with validation schema', async () => {
      const custom = await define({ versions: [{ name: 'v1', schema: foo }] });
      await takes(custom, { spec: { bars: [{ name: 'test-bar' }] } });
      await refuses(
        custom,
        { spec: { bars: [{ name: 'test-bar', feeling: 'NonExistentValue' }] } },
        'Unsupported value: "NonExistentValue"',
      );
      await refuses(custom, { spec: { foo: true } }, 'unknown field "spec.foo"');
      await refuses(custom, { spec: { bars: [{ age: '10' }] } }, 'spec.bars[0].name: Required value');
      expect(await explain(custom)).toMatch(
        /DESCRIPTION:[\s\S]*Foo CRD for Testing[\s\S]*FIELDS:[\s\S]*apiVersion.*<string>[\s\S]*APIVersion defines[\s\S]*spec.*<Object>[\s\S]*Specification of Foo/,
      );
      expect(await explain(custom, '.metadata')).toMatch(
        /DESCRIPTION:[\s\S]*Standard object's metadata[\s\S]*FIELDS:[\s\S]*creationTimestamp.*<string>[\s\S]*CreationTimestamp is a timestamp/,
      );
      expect(await explain(custom, '.spec')).toMatch(
        /DESCRIPTION:[\s\S]*Specification of Foo[\s\S]*FIELDS:[\s\S]*bars.*<\[\]Object>[\s\S]*List of Bars and their specs/,
      );
      expect(await explain(custom, '.spec.bars')).toMatch(
        /FIELD:.*bars.*<\[\]Object>[\s\S]*DESCRIPTION:[\s\S]*List of Bars and their specs[\s\S]*FIELDS:[\s\S]*bazs.*<\[\]string>[\s\S]*List of Bazs[\s\S]*name.*<string>[\s\S]*Name of Bar/,
      );
      const missing = await node().kubectl(['explain', `${custom.plural}.spec.bars2`]);
      expect(missing.stderr).toContain('field "bars2" does not exist');
    });

    test('works for CRD without validation schema', async () => {
      const custom = await define({});
      await takes(custom, { a: { b: [{ c: 'd' }] } });
      expect(await explain(custom)).toMatch(/DESCRIPTION:\s*<empty>/);
    });

    test('works for CRD preserving unknown fields at the schema root', async () => {
      const custom = await define({
        versions: [
          { name: 'v1', schema: { description: 'preserve-unknown-properties at root for Testing', type: 'object', ...preserving } },
        ],
      });
      await takes(custom, { a: { b: [{ c: 'd' }] } });
      expect(await explain(custom)).toMatch(new RegExp(`KIND:\\s+${custom.kind}`));
    });

    test('works for CRD preserving unknown fields in an embedded object', async () => {
      const custom = await define({ versions: [{ name: 'v1', schema: nested }] });
      await takes(custom, { spec: { a: null, b: [{ c: 'd' }] } });
      expect(await explain(custom)).toMatch(/DESCRIPTION:[\s\S]*preserve-unknown-properties in nested field for Testing/);
    });

    test('works for multiple CRDs of different groups', async () => {
      const one = await define({ versions: [{ name: 'v1', schema: foo }] });
      const two = await define({ versions: [{ name: 'v1beta1', schema: waldo }] });
      expect(one.group).not.toBe(two.group);
      await shows(two, 'v1beta1', 'Waldo CRD for Testing');
      await shows(one, 'v1', 'Foo CRD for Testing');
    });

    test('works for multiple CRDs of same group but different versions', async () => {
      const custom = await define({
        versions: [
          { name: 'v2', schema: foo },
          { name: 'v3', schema: foo },
        ],
      });
      for (const version of ['v2', 'v3']) expect(await shows(custom, version, 'Foo CRD for Testing')).toBe(true);
      const [one, two] = await inOneGroup({ versions: [{ name: 'v4', schema: foo }] }, { versions: [{ name: 'v5', schema: waldo }] });
      if (one === undefined || two === undefined) throw new Error('there are two');
      await shows(two, 'v5', 'Waldo CRD for Testing');
      await shows(one, 'v4', 'Foo CRD for Testing');
    });

    test('works for multiple CRDs of same group and version but different kinds', async () => {
      const [one, two] = await inOneGroup({ versions: [{ name: 'v6', schema: foo }] }, { versions: [{ name: 'v6', schema: waldo }] });
      if (one === undefined || two === undefined) throw new Error('there are two');
      expect(await shows(two, 'v6', 'Waldo CRD for Testing')).toBe(true);
      expect(await shows(one, 'v6', 'Foo CRD for Testing')).toBe(true);
    });

    test('updates the published spec when one version gets renamed', async () => {
      const custom = await define({
        versions: [
          { name: 'v2', schema: foo },
          { name: 'v3', schema: foo },
        ],
      });
      for (const version of ['v2', 'v3']) await shows(custom, version, 'Foo CRD for Testing');
      await api.patch(
        `${crds}/${custom.crd}`,
        [
          { op: 'test', path: '/spec/versions/1/name', value: 'v3' },
          { op: 'replace', path: '/spec/versions/1/name', value: 'v4' },
        ],
        'json',
      );
      expect(await shows(custom, 'v4', 'Foo CRD for Testing')).toBe(true);
      expect(await hides(custom, 'v3')).toBe(true);
      expect(await shows(custom, 'v2', 'Foo CRD for Testing')).toBe(true);
    });

    test('removes definition from spec when one version gets changed to not be served', async () => {
      const custom = await define({
        versions: [
          { name: 'v5', schema: foo },
          { name: 'v6alpha1', schema: foo },
        ],
      });
      for (const version of ['v5', 'v6alpha1']) await shows(custom, version, 'Foo CRD for Testing');
      await api.patch(`${crds}/${custom.crd}`, [{ op: 'replace', path: '/spec/versions/1/served', value: false }], 'json');
      expect(await hides(custom, 'v6alpha1')).toBe(true);
      expect(await shows(custom, 'v5', 'Foo CRD for Testing')).toBe(true);
    });
  });
}
