/** test/e2e/apimachinery/discovery.go and aggregated_discovery.go */
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Cluster } from '../cluster.ts';

interface Group {
  readonly name: string;
  readonly versions: readonly { readonly groupVersion: string; readonly version: string }[];
  readonly preferredVersion: { readonly groupVersion: string };
}
interface Resources {
  readonly groupVersion: string;
  readonly resources: readonly { readonly name: string; readonly storageVersionHash?: string }[];
}
interface Aggregated {
  readonly apiVersion: string;
  readonly kind: string;
  readonly items: readonly {
    readonly metadata: { readonly name?: string };
    readonly versions: readonly { readonly version: string; readonly resources: readonly { readonly resource: string }[] }[];
  }[];
}

/** One resource of each group that upstream's tests look for. */
const everywhere = `
v1 namespaces
admissionregistration.k8s.io/v1 validatingwebhookconfigurations
apiextensions.k8s.io/v1 customresourcedefinitions
apiregistration.k8s.io/v1 apiservices
apps/v1 deployments
authentication.k8s.io/v1 tokenreviews
authorization.k8s.io/v1 selfsubjectaccessreviews
autoscaling/v1 horizontalpodautoscalers
autoscaling/v2 horizontalpodautoscalers
batch/v1 jobs
certificates.k8s.io/v1 certificatesigningrequests
coordination.k8s.io/v1 leases
discovery.k8s.io/v1 endpointslices
events.k8s.io/v1 events
networking.k8s.io/v1 ingresses
node.k8s.io/v1 runtimeclasses
policy/v1 poddisruptionbudgets
scheduling.k8s.io/v1 priorityclasses
storage.k8s.io/v1 csinodes`
  .trim()
  .split('\n')
  .map((line) => line.split(' ') as [string, string]);

const rootOf = (groupVersion: string): string => (groupVersion.includes('/') ? `/apis/${groupVersion}` : `/api/${groupVersion}`);

export function discovery({ api, define }: Cluster): void {
  describe('Discovery', () => {
    const has = async (groupVersion: string, resource: string): Promise<boolean> => {
      const { code, body } = await api.call<Resources>('GET', rootOf(groupVersion));
      return code === 200 && body.resources.some((r) => r.name === resource);
    };

    test('should accurately determine present and missing resources', async () => {
      expect(await has('v1', 'namespaces')).toBe(true);
      expect(await has('apps/v1', 'deployments')).toBe(true);
      expect(await has('apps/v1', 'please-dont-ever-create-this')).toBe(false);
      expect(await has('not-these-apps/v1', 'deployments')).toBe(false);
    });

    test('Custom resource should have storage version hash', async () => {
      const custom = await define({ versions: [{ name: 'v1' }, { name: 'v2' }] });
      const { resources } = await api.get<Resources>(`/apis/${custom.group}/v2`);
      const hash = createHash('sha256').update(`${custom.group}/v1/${custom.kind}`).digest().subarray(0, 8).toString('base64');
      expect(resources.find((r) => r.name === custom.plural)?.storageVersionHash).toBe(hash);
    });

    test('should validate PreferredVersion for each APIGroup', async () => {
      const { groups } = await api.get<{ groups: readonly Group[] }>('/apis/');
      expect(groups.length).toBeGreaterThan(20);
      for (const { name } of groups) {
        const group = await api.get<Group>(`/apis/${name}/`);
        expect(group.versions.map((v) => v.groupVersion)).toContain(group.preferredVersion.groupVersion);
      }
    });

    test('should locate the groupVersion and a resource within each APIGroup', async () => {
      for (const [groupVersion, resource] of everywhere) {
        const list = await api.get<Resources>(rootOf(groupVersion));
        expect(list.groupVersion).toBe(groupVersion);
        expect(list.resources.map((r) => r.name)).toContain(resource);
      }
    });
  });

  describe('AggregatedDiscovery', () => {
    const accept = (version: string): string => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
    const flatten = ({ items }: Aggregated): string[] =>
      items.flatMap(({ metadata: { name = '' }, versions }) =>
        versions.flatMap((v) => v.resources.map((r) => `${name === '' ? '' : `${name}/`}${v.version} ${r.resource}`)),
      );
    const read = async (path: string, header: string) => {
      const answer = await api.call<Aggregated>('GET', path, { headers: { accept: header } });
      expect(answer).toMatchObject({ code: 200, body: { kind: 'APIGroupDiscoveryList' } });
      return answer;
    };
    const expected = everywhere.map((pair) => pair.join(' '));

    test('should support raw aggregated discovery endpoint Accept headers', async () => {
      const groups = await read('/apis', accept('v2'));
      expect(groups.headers['content-type']).toBe('application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList');
      const legacy = await read('/api', accept('v2'));
      expect([...flatten(legacy.body), ...flatten(groups.body)]).toEqual(expect.arrayContaining(expected));
    });

    test('should support raw aggregated discovery request for CRDs', async () => {
      const custom = await define({});
      await expect.poll(async () => flatten((await read('/apis', accept('v2'))).body)).toContain(`${custom.group}/v1 ${custom.plural}`);
    });

    // What client-go asks for: both versions of the document and the plain one, in this order.
    const clientGo = `${accept('v2')},${accept('v2beta1')},application/json`;

    test('should support aggregated discovery interface', async () => {
      const [groups, legacy] = [await read('/apis', clientGo), await read('/api', clientGo)];
      expect(groups.body.apiVersion).toBe('apidiscovery.k8s.io/v2');
      expect([...flatten(legacy.body), ...flatten(groups.body)]).toEqual(expect.arrayContaining(expected));
    });

    test('should support aggregated discovery interface for CRDs', async () => {
      const custom = await define({});
      await expect.poll(async () => flatten((await read('/apis', clientGo)).body)).toContain(`${custom.group}/v1 ${custom.plural}`);
    });
  });
}
