/**
 * What OpenAPI says of the subresources that are neither status nor scale, and of the deprecated watch paths: names of operations,
 * actions and kinds as in upstream's api/openapi-spec/swagger.json, for clients are generated from them.
 */
import type { KindDef } from './kind.ts';

export interface OperationParameter {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean';
  readonly description: string;
}

export interface SubresourceOperation {
  readonly method: string;
  /** x-kubernetes-action. */
  readonly action: 'get' | 'post' | 'put' | 'patch' | 'connect';
  /** Before the kind's part of the operation's name: `connect`, and the method as it is written there. */
  readonly prefix: string;
  readonly description: string;
  /** Definition of body and answer; absent: text. */
  readonly definition?: string;
}

export interface SubresourceDoc {
  /** Below the object's path. */
  readonly path: string;
  /** At the end of the operations' names. */
  readonly suffix: string;
  readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
  readonly operations: readonly SubresourceOperation[];
  readonly query: readonly OperationParameter[];
  /** Content types of the answer, where they are not those of objects. */
  readonly produces?: readonly string[];
  /** A further parameter in the path. */
  readonly rest?: OperationParameter;
}

const core = (kind: string) => ({ group: '', version: 'v1', kind });
const flag = (name: string, description: string): OperationParameter => ({ name, type: 'boolean', description });
const text = (name: string, description: string): OperationParameter => ({ name, type: 'string', description });
const number = (name: string, description: string): OperationParameter => ({ name, type: 'integer', description });

/** get, put and patch of a part of the object itself. */
function part(name: string, kind: SubresourceDoc['kind'], definition: string, methods = ['get', 'put', 'patch']): SubresourceDoc {
  const words: Readonly<Record<string, readonly [SubresourceOperation['action'], string, string]>> = {
    get: ['get', 'read', 'read'],
    put: ['put', 'replace', 'replace'],
    patch: ['patch', 'patch', 'partially update'],
  };
  return {
    path: `/${name}`,
    suffix: name.slice(0, 1).toUpperCase() + name.slice(1),
    kind,
    query: [],
    operations: methods.map((method) => {
      const [action, prefix, does] = words[method] ?? ['get', 'read', 'read'];
      return { method, action, prefix, description: `${does} ${name} of the specified ${kind.kind}`, definition };
    }),
  };
}

const posted = (name: string, suffix: string, kind: SubresourceDoc['kind'], owner: string, definition: string): SubresourceDoc => ({
  path: `/${name}`,
  suffix,
  kind,
  query: [],
  operations: [{ method: 'post', action: 'post', prefix: 'create', description: `create ${name} of a ${owner}`, definition }],
});

const allMethods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];

const connection = (
  name: string,
  suffix: string,
  options: string,
  owner: string,
  methods: readonly string[],
  query: readonly OperationParameter[],
): SubresourceDoc => ({
  path: `/${name}`,
  suffix,
  kind: core(options),
  query,
  produces: ['*/*'],
  operations: methods.map((method) => ({
    method,
    action: 'connect',
    prefix: `connect${method.slice(0, 1).toUpperCase()}${method.slice(1)}`,
    description: `connect ${method.toUpperCase()} requests to ${name.split('/')[0]} of ${owner}`,
  })),
});

function proxies(options: string, owner: string): SubresourceDoc[] {
  const path = text('path', `Path is the URL path to use for the current proxy request to ${owner.toLowerCase()}.`);
  return [
    connection('proxy', 'Proxy', options, owner, allMethods, [path]),
    { ...connection('proxy/{path}', 'ProxyWithPath', options, owner, allMethods, [path]), rest: text('path', 'path to the resource') },
  ];
}

const streams = (what: string): OperationParameter[] => [
  text('container', 'The container in which to execute the command. Defaults to only container if there is only one container in the pod.'),
  flag('stderr', `Redirect the standard error stream of ${what}.`),
  flag('stdin', `Redirect the standard input stream of ${what}.`),
  flag('stdout', `Redirect the standard output stream of ${what}.`),
  flag('tty', `Whether a TTY is allocated for ${what}.`),
];

const podLog: SubresourceDoc = {
  path: '/log',
  suffix: 'Log',
  kind: core('Pod'),
  produces: ['text/plain', 'application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'],
  operations: [{ method: 'get', action: 'get', prefix: 'read', description: 'read log of the specified Pod' }],
  query: [
    text('container', 'The container for which to stream logs. Defaults to only container if there is one container in the pod.'),
    flag('follow', 'Follow the log stream of the pod.'),
    flag('insecureSkipTLSVerifyBackend', "Do not check the certificate of the node's log server."),
    number('limitBytes', 'The most bytes to read before the log ends.'),
    flag('previous', 'Return the logs of the container that ran before.'),
    number('sinceSeconds', 'How many seconds before now the log begins.'),
    text('stream', 'Which stream to return: "All", "Stdout" or "Stderr".'),
    number('tailLines', 'How many lines from the end of the log to show.'),
    flag('timestamps', 'Begin each line with the time at which it was written.'),
  ],
};

const certificate = { group: 'certificates.k8s.io', version: 'v1', kind: 'CertificateSigningRequest' };

/** By group and plural. */
const docs: Readonly<Record<string, readonly SubresourceDoc[]>> = {
  '/pods': [
    connection('attach', 'Attach', 'PodAttachOptions', 'Pod', ['get', 'post'], streams('the container')),
    posted('binding', 'Binding', core('Binding'), 'Pod', 'io.k8s.api.core.v1.Binding'),
    part('ephemeralcontainers', core('Pod'), 'io.k8s.api.core.v1.Pod'),
    posted('eviction', 'Eviction', { group: 'policy', version: 'v1', kind: 'Eviction' }, 'Pod', 'io.k8s.api.policy.v1.Eviction'),
    connection(
      'exec',
      'Exec',
      'PodExecOptions',
      'Pod',
      ['get', 'post'],
      [text('command', 'The command to execute, not in a shell; once for each argument.'), ...streams('the command')],
    ),
    podLog,
    connection(
      'portforward',
      'Portforward',
      'PodPortForwardOptions',
      'Pod',
      ['get', 'post'],
      [number('ports', 'The ports to forward; required for websockets.')],
    ),
    ...proxies('PodProxyOptions', 'Pod'),
    part('resize', core('Pod'), 'io.k8s.api.core.v1.Pod'),
  ],
  '/services': proxies('ServiceProxyOptions', 'Service'),
  '/nodes': proxies('NodeProxyOptions', 'Node'),
  '/namespaces': [part('finalize', core('Namespace'), 'io.k8s.api.core.v1.Namespace', ['put'])],
  '/serviceaccounts': [
    posted(
      'token',
      'Token',
      { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' },
      'ServiceAccount',
      'io.k8s.api.authentication.v1.TokenRequest',
    ),
  ],
  'certificates.k8s.io/certificatesigningrequests': [part('approval', certificate, 'io.k8s.api.certificates.v1.CertificateSigningRequest')],
};

/** The subresources of a kind beyond status and scale. */
export const subresourceDocs = ({ ref }: KindDef): readonly SubresourceDoc[] =>
  ref.version === 'v1' ? (docs[`${ref.group}/${ref.plural}`] ?? []) : [];
