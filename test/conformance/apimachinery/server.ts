/**
 * test/e2e/apimachinery: server_version.go, health_handlers.go, request_timeout.go, openapiv3.go, generated_clientset.go,
 * events.go and certs that every server has.
 */
import { describe, expect, test } from 'vitest';
import type { List } from '../client.ts';
import { type Cluster, crds } from '../cluster.ts';
import { pod } from './objects.ts';

export function server({ api, anonymous, namespace, define, node }: Cluster): void {
  describe('server version', () => {
    test('should find the server version', async () => {
      const version = await api.get<{ major: string; minor: string }>('/version');
      expect(version).toMatchObject({
        major: expect.stringMatching(/^[1-9]$/) as string,
        minor: expect.stringMatching(/^[1-9]\d*$/) as string,
      });
    });
  });

  describe('health handlers', () => {
    const checks = [
      'ping',
      'log',
      'etcd',
      'poststarthook/start-apiserver-admission-initializer',
      'poststarthook/generic-apiserver-start-informers',
      'poststarthook/start-apiextensions-informers',
      'poststarthook/start-apiextensions-controllers',
      'poststarthook/crd-informer-synced',
      'poststarthook/bootstrap-controller',
      'poststarthook/scheduling/bootstrap-system-priority-classes',
      'poststarthook/start-cluster-authentication-info-controller',
      'poststarthook/start-kube-aggregator-informers',
      'poststarthook/apiservice-registration-controller',
      'poststarthook/apiservice-status-local-available-controller',
      'poststarthook/apiservice-status-remote-available-controller',
      'poststarthook/kube-apiserver-autoregistration',
      'poststarthook/apiservice-openapi-controller',
    ];
    const expected: Readonly<Record<string, readonly string[]>> = {
      healthz: checks,
      livez: checks,
      readyz: [...checks, 'informer-sync'],
    };
    test('should contain necessary checks', async () => {
      for (const [path, names] of Object.entries(expected)) {
        const { text } = await api.call('GET', `/${path}?verbose=1`);
        const lines = text.split('\n');
        expect(lines).toEqual(expect.arrayContaining(names.map((name) => `[+]${name} ok`)));
        expect(text).toMatch(new RegExp(`${path} check passed\n$`));
      }
    });
  });

  describe('Server request timeout', () => {
    test('should return HTTP status code 400 if the user specifies an invalid timeout in the request URL', async () => {
      const answer = await api.call('GET', '/version?timeout=invalid');
      expect(answer.code).toBe(400);
      expect(answer.text).toContain('invalid timeout specified in the request URL');
    });
    test('the request should be served with a default timeout if the specified timeout in the request URL exceeds maximum allowed', async () => {
      expect(await api.call('GET', '/version?timeout=3m')).toMatchObject({ code: 200 });
    });
    test('default timeout should be used if the specified timeout in the request URL is 0s', async () => {
      expect(await api.call('GET', '/version?timeout=0s')).toMatchObject({ code: 200 });
    });
  });

  describe('OpenAPIV3', () => {
    interface Root {
      readonly paths: Readonly<Record<string, { readonly serverRelativeURL: string }>>;
    }
    interface Document {
      readonly openapi: string;
      readonly paths: Readonly<Record<string, object>>;
      readonly components: { readonly schemas: Readonly<Record<string, { 'x-kubernetes-group-version-kind'?: readonly object[] }>> };
    }
    test('should round trip OpenAPI V3 for all built-in group versions', async () => {
      const { paths } = await api.get<Root>('/openapi/v3');
      const builtin = Object.entries(paths).filter(([path]) => /^apis?\/(?:v1$|(?:apps|autoscaling|batch|policy|.*k8s\.io)\/)/.test(path));
      expect(builtin.length).toBeGreaterThan(20);
      for (const [, { serverRelativeURL }] of builtin) {
        const document = await api.call<Document>('GET', serverRelativeURL);
        expect(document.body.openapi).toBe('3.0.0');
        // Every reference leads somewhere in the same document.
        for (const [, name = ''] of document.text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
          expect(document.body.components.schemas).toHaveProperty([name]);
      }
    });
    test('should publish OpenAPI V3 for CustomResourceDefinition', async () => {
      const custom = await define({ versions: [{ name: 'v1beta1' }] });
      const path = `apis/${custom.group}/v1beta1`;
      const document = await api.get<Document>(`/openapi/v3/${path}`);
      expect(Object.keys(document.paths)).toContain(custom.path('v1beta1', '', '{namespace}').replace(/\/$/, ''));
      await api.del(`${crds}/${custom.crd}`);
      await expect.poll(async () => Object.keys((await api.get<Root>('/openapi/v3')).paths)).not.toContain(path);
    });
  });

  describe('Generated clientset', () => {
    const queries = 'labelSelector=time%3D';
    test('should create pods, set the deletionTimestamp and deletionGracePeriodSeconds of the pod', async () => {
      const ns = await namespace();
      const query = `${ns.in('pods')}?${queries}now`;
      const { items, metadata } = await api.get<List>(query);
      expect(items).toEqual([]);
      await using watch = await api.watch(`${query}&resourceVersion=${metadata.resourceVersion}`);
      // Bound to a node, for a pod that waits for one is gone at once.
      await api.post(ns.in('pods'), pod('pod1', { nodeName: 'nowhere' }, { labels: { name: 'foo', time: 'now' } }));
      expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'pod1' } } });
      expect((await api.get<List>(query)).items).toHaveLength(1);
      const deleted = await api.del(ns.in('pods', 'pod1'), { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 31 });
      expect(deleted).toMatchObject({ kind: 'Pod', metadata: { deletionGracePeriodSeconds: 31 } });
      const { object } = await watch.until((event) => event.object.metadata.deletionTimestamp !== undefined);
      expect(object).toMatchObject({ metadata: { deletionTimestamp: expect.any(String) as string, deletionGracePeriodSeconds: 31 } });
    });
    test('should create v1 cronJobs, delete cronJobs, watch cronJobs', async () => {
      const ns = await namespace();
      const query = `${ns.in('batch/v1 cronjobs')}?${queries}cron`;
      const { items, metadata } = await api.get<List>(query);
      expect(items).toEqual([]);
      await using watch = await api.watch(`${query}&resourceVersion=${metadata.resourceVersion}`);
      const template = { spec: { restartPolicy: 'OnFailure', containers: [{ name: 'c', image: 'example.test/tool:1' }] } };
      await api.post(ns.in('batch/v1 cronjobs'), {
        apiVersion: 'batch/v1',
        kind: 'CronJob',
        metadata: { name: 'cronjob1', labels: { name: 'foo', time: 'cron' } },
        spec: { schedule: '0 0 1 1 *', concurrencyPolicy: 'Allow', jobTemplate: { spec: { template } } },
      });
      expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'cronjob1' } } });
      await api.del(ns.in('batch/v1 cronjobs', 'cronjob1'), { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' });
      await watch.until((event) => event.type === 'DELETED');
      expect((await api.get<List>(query)).items).toEqual([]);
    });
  });

  describe('client-ca and request-header CAs', () => {
    test('The kube-system/extension-apiserver-authentication ConfigMap holds them', async () => {
      const path = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
      expect(await api.get(path)).toMatchObject({
        data: {
          'client-ca-file': expect.stringContaining('BEGIN CERTIFICATE') as string,
          'requestheader-client-ca-file': expect.stringContaining('BEGIN CERTIFICATE') as string,
        },
      });
    });
  });

  describe('Events', () => {
    test('should be sent by kubelets and the scheduler about pods scheduling and running', async () => {
      const ns = await namespace();
      await api.post(ns.in('pods'), pod('send-events'));
      await using watch = await api.watch(`${ns.in('events')}?fieldSelector=involvedObject.kind%3DPod,involvedObject.name%3Dsend-events`);
      // Without a node it is the scheduler's event that it cannot be scheduled.
      expect((await watch.next()).object).toMatchObject({
        reason: 'FailedScheduling',
        type: 'Warning',
        reportingComponent: 'default-scheduler',
      });
    });
  });

  describe('The server', () => {
    test('has a serving certificate with the names kubernetes, kubernetes.default and so on', async () => {
      const { stdout } = await node().inside('sh', [
        '-c',
        'openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName',
      ]);
      for (const name of [
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        'kubernetes.default.svc.cluster.local',
        'localhost',
      ])
        expect(stdout).toMatch(new RegExp(`DNS:${name}(?:,|\n)`));
      expect(stdout).toContain('IP Address:10.43.0.1');
      expect(await anonymous.call('GET', '/livez')).toMatchObject({ code: 200, text: 'ok' });
    });
  });
}
