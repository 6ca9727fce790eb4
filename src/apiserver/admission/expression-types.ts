/**
 * The types of `request` and `namespaceObject` in expressions: what can be named in them, so that what cannot is told when the
 * expression is written (k8s.io/apiserver pkg/admission/plugin/cel BuildRequestType and BuildNamespaceType).
 */
import type { Schema } from '#kube/schema.ts';

const text: Schema = { type: 'string' };
const number: Schema = { type: 'integer' };
const time: Schema = { type: 'string', format: 'date-time' };
const texts: Schema = { type: 'array', items: text };
const textMap: Schema = { type: 'object', additionalProperties: text };
const struct = (properties: Readonly<Record<string, Schema>>): Schema => ({ type: 'object', properties });

const kind = struct({ group: text, version: text, kind: text });
const resource = struct({ group: text, version: text, resource: text });

export const requestSchema: Schema = struct({
  kind,
  resource,
  subResource: text,
  requestKind: kind,
  requestResource: resource,
  requestSubResource: text,
  name: text,
  namespace: text,
  operation: text,
  userInfo: struct({ username: text, uid: text, groups: texts, extra: { type: 'object', additionalProperties: texts } }),
  dryRun: { type: 'boolean' },
  options: {},
});

export const namespaceSchema: Schema = struct({
  metadata: struct({
    name: text,
    generateName: text,
    namespace: text,
    labels: textMap,
    annotations: textMap,
    UID: text,
    creationTimestamp: time,
    deletionGracePeriodSeconds: number,
    deletionTimestamp: time,
    generation: number,
    resourceVersion: text,
    finalizers: texts,
  }),
  spec: struct({ finalizers: texts }),
  status: struct({
    conditions: { type: 'array', items: struct({ status: text, type: text, lastTransitionTime: time, message: text, reason: text }) },
    phase: text,
  }),
});
