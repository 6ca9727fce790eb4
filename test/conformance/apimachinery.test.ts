/** Upstream's tests of test/e2e/apimachinery, step by step, against one server. docs/conformance.md lists them all. */
import { serverSideApply } from './apimachinery/apply.ts';
import { chunking } from './apimachinery/chunking.ts';
import { crdConversion } from './apimachinery/crd_conversion.ts';
import { publishedOpenApi } from './apimachinery/crd_publish_openapi.ts';
import { customResourceDefinitions } from './apimachinery/custom_resource_definition.ts';
import { discovery } from './apimachinery/discovery.ts';
import { fieldValidation } from './apimachinery/field_validation.ts';
import { garbageCollector } from './apimachinery/garbage_collector.ts';
import { namespaces } from './apimachinery/namespace.ts';
import { policies } from './apimachinery/policies.ts';
import { resourceQuota } from './apimachinery/resource_quota.ts';
import { server } from './apimachinery/server.ts';
import { tableConversion } from './apimachinery/table_conversion.ts';
import { watchers } from './apimachinery/watch.ts';
import { admissionWebhooks } from './apimachinery/webhook.ts';
import { useCluster } from './cluster.ts';
import { useHooks } from './hooks.ts';

const cluster = useCluster('--disable-agent');
const hooks = useHooks(cluster);

for (const walk of [
  serverSideApply,
  chunking,
  customResourceDefinitions,
  discovery,
  fieldValidation,
  garbageCollector,
  namespaces,
  policies,
  publishedOpenApi,
  resourceQuota,
  server,
  tableConversion,
  watchers,
])
  walk(cluster);
for (const walk of [admissionWebhooks, crdConversion]) walk(cluster, hooks);
