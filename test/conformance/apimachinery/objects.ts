/** Objects that many of the tests make. */

export const configMap = (name: string, more: Readonly<Record<string, unknown>> = {}, meta: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...meta },
  ...more,
});

export const podTemplate = (labels: Readonly<Record<string, string>>, spec: Readonly<Record<string, unknown>> = {}) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'nginx', image: 'example.test/nginx:1' }], ...spec },
});

export const deployment = (name: string, spec: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, labels: { app: 'nginx' } },
  spec: { selector: { matchLabels: { app: 'nginx' } }, template: podTemplate({ app: 'nginx' }), ...spec },
});

export const pod = (name: string, spec: Readonly<Record<string, unknown>> = {}, meta: Readonly<Record<string, unknown>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...meta },
  spec: { containers: [{ name: 'c', image: 'example.test/tool:1' }], ...spec },
});

/** The custom resource that upstream's tests of apply and field validation use. */
export const noxuSpec = (more: Readonly<Record<string, unknown>> = {}, properties: Readonly<Record<string, unknown>> = {}) => ({
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      ...more,
      properties: {
        foo: { type: 'string' },
        cronSpec: { type: 'string', pattern: String.raw`^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$` },
        ports: {
          type: 'array',
          'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
          'x-kubernetes-list-type': 'map',
          items: {
            type: 'object',
            required: ['containerPort', 'protocol'],
            properties: {
              containerPort: { format: 'int32', type: 'integer' },
              hostIP: { type: 'string' },
              hostPort: { format: 'int32', type: 'integer' },
              name: { type: 'string' },
              protocol: { type: 'string' },
            },
          },
        },
        ...properties,
      },
    },
  },
});
