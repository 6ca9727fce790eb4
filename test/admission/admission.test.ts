/** Admission with real kubectl, a real webhook server behind a service, policies, quotas and pod security. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureAuthority, ensureLeaf } from '../../src/pki/certificates.ts';
import { end } from '../harness/machine.ts';
import { createScenario, executable, type Scenario, type ServerNode } from '../harness/node.ts';

let scenario: Scenario;
let node: ServerNode;
let caBundle = '';
const port = 8443;

/** Starts the webhook server in the node's network, with a certificate for the service. */
async function startWebhooks(): Promise<void> {
  const authority = await ensureAuthority(node.folder, 'hook-ca', Date.now());
  caBundle = Buffer.from(authority.certPem).toString('base64');
  const names = { dns: ['hook.hooks.svc'], ip: [], email: [], uri: [] };
  const leaf = await ensureLeaf(
    node.folder,
    { name: 'hook', commonName: 'hook', usages: ['server auth'], altNames: names },
    authority,
    Date.now(),
  );
  const [key, cert] = [join(node.folder, 'hook-key.pem'), join(node.folder, 'hook-cert.pem')];
  writeFileSync(key, leaf.keyPem, { mode: 0o600 });
  writeFileSync(cert, leaf.certPem);
  const [enter = '', ...enterArgs] = node.host.enter;
  const script = join(import.meta.dirname, 'webhook-server.mjs');
  const child: ChildProcess = spawn(enter, [...enterArgs, process.execPath, script, key, cert, node.host.address, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  scenario.cleanup.add('webhook server', () => end(child, 'SIGTERM'));
  if (child.stdout !== null) await once(child.stdout, 'data');
}

const webhook = (kind: 'Mutating' | 'Validating', name: string, clientConfig: string, more = ''): string => `
apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}WebhookConfiguration
metadata: {name: ${name}}
webhooks:
- name: ${name}.example.com
  clientConfig: ${clientConfig}
  namespaceSelector: {matchLabels: {hooks: ${name}}}
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]
  sideEffects: None
  admissionReviewVersions: [v1]
  timeoutSeconds: 2
${more}`;
const service = (path: string): string => `{service: {namespace: hooks, name: hook, path: ${path}}, caBundle: ${caBundle}}`;

const apply = (yaml: string): Promise<string> => node.ok(['apply', '-f', '-'], yaml);

/** Makes a namespace that carries labels. */
const namespace = (name: string, labels: Readonly<Record<string, string>>): Promise<string> =>
  apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }));

const configMap = (name: string, labels: Readonly<Record<string, string>> = {}): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels } });
const create = (where: string, yaml: string) => node.kubectl(['create', '--namespace', where, '-f', '-'], yaml);

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('n1', [
    '--kube-apiserver-arg=enable-admission-plugins=DenyServiceExternalIPs',
    '--kube-apiserver-arg=default-not-ready-toleration-seconds=10',
  ]);
  await node.start();
  await node.nodeReady();
  await startWebhooks();
  await apply(`
apiVersion: v1
kind: Namespace
metadata: {name: hooks}
---
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: hooks}
spec: {ports: [{port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hook, namespace: hooks, labels: {kubernetes.io/service-name: hook}}
addressType: IPv4
endpoints: [{addresses: [${node.host.address}]}]
ports: [{port: ${port}}]
`);
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

describe('webhooks behind a service', () => {
  test('change what is created', async () => {
    await namespace('label', { hooks: 'label' });
    await apply(webhook('Mutating', 'label', service('/label')));
    await create('label', configMap('m'));
    expect(await node.ok(['get', 'configmap', 'm', '-n', 'label', '-o', 'jsonpath={.metadata.labels.hook}'])).toBe('seen');
  });

  test('refuse, and warn', async () => {
    await namespace('deny', { hooks: 'deny' });
    await apply(webhook('Validating', 'deny', service('/deny')));
    expect(await create('deny', configMap('m', { deny: 'yes' }))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('admission webhook "deny.example.com" denied the request: labelled deny=yes') as string,
    });
    expect(await create('deny', configMap('m', { warn: 'fire' }))).toMatchObject({ code: 0, stderr: 'Warning: be careful with fire\n' });
  });

  test('that do not answer fail the request, unless they are to be ignored', async () => {
    await namespace('slow', { hooks: 'slow' });
    await apply(webhook('Validating', 'slow', service('/slow')));
    expect((await create('slow', configMap('m'))).stderr).toContain(
      'failed calling webhook "slow.example.com": failed to call webhook: Post "https://hook.hooks.svc:443/slow?timeout=2s": context deadline exceeded',
    );
    await apply(webhook('Validating', 'slow', service('/slow'), '  failurePolicy: Ignore'));
    expect((await create('slow', configMap('m'))).code).toBe(0);
  });

  test.each<[string, () => string, string]>([
    [
      'an authority that is not theirs',
      () =>
        `{service: {namespace: hooks, name: hook}, caBundle: ${Buffer.from(readFileSync(join(node.dataDir, 'server/tls/server-ca.crt'))).toString('base64')}}`,
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
    ],
    [
      'a name that is not theirs',
      () => `{url: "https://${node.host.address}:${port}/deny", caBundle: ${caBundle}}`,
      `tls: failed to verify certificate: x509: cannot validate certificate for ${'{address}'} because it doesn't contain any IP SANs`,
    ],
    ['no server', () => `{url: "https://127.0.0.1:1/"}`, 'dial tcp 127.0.0.1:1: connect: connection refused'],
    ['no service', () => '{service: {namespace: hooks, name: nobody}}', 'services "nobody" not found'],
  ])('with %s are told in Go’s words', async (_what, config, why) => {
    await namespace('wrong', { hooks: 'wrong' });
    await apply(webhook('Validating', 'wrong', config()));
    expect((await create('wrong', configMap('m'))).stderr).toContain(why.replace('{address}', node.host.address));
    await node.ok(['delete', 'validatingwebhookconfiguration', 'wrong']);
  });
});

describe('policies', () => {
  test('validate by an expression with parameters, deny and warn', async () => {
    await namespace('policy', { policy: 'yes' });
    await apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: replicas}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{operations: [CREATE, UPDATE], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}]
  variables: [{name: max, expression: "int(params.data.max)"}]
  validations:
  - expression: "object.spec.replicas <= variables.max"
    messageExpression: "'at most ' + string(variables.max) + ' replicas'"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: limits, namespace: policy}
data: {max: "3"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: replicas}
spec:
  policyName: replicas
  validationActions: [Deny]
  paramRef: {name: limits, parameterNotFoundAction: Deny}
  matchResources: {namespaceSelector: {matchLabels: {policy: "yes"}}}
`);
    const deployment = ['create', 'deployment', '-n', 'policy', '--image=none', '--replicas=5', 'app'];
    expect((await node.kubectl(deployment)).stderr).toContain(
      "deployments.apps \"app\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'replicas' denied request: at most 3 replicas",
    );
    await node.ok(['patch', 'validatingadmissionpolicybinding', 'replicas', '-p', '{"spec":{"validationActions":["Warn"]}}']);
    expect(await node.kubectl(deployment)).toMatchObject({
      code: 0,
      stderr: "Warning: Validation failed for ValidatingAdmissionPolicy 'replicas' with binding 'replicas': at most 3 replicas\n",
    });
  });

  test('mutate by apply configurations and JSON patches', async () => {
    await namespace('mutate', { mutate: 'yes' });
    await apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: data}
spec:
  matchConstraints:
    resourceRules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [configmaps]}]
  matchConditions: [{name: by-kubectl, expression: "has(object.metadata.labels) && 'policy' in object.metadata.labels"}]
  reinvocationPolicy: Never
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration: {expression: 'Object{data: {"user": request.userInfo.username}}'}
  - patchType: JSONPatch
    jsonPatch: {expression: '[JSONPatch{op: "add", path: "/data/" + jsonpatch.escapeKey("a.b"), value: string(size(object.data))}]'}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: data}
spec: {policyName: data, matchResources: {namespaceSelector: {matchLabels: {mutate: "yes"}}}}
`);
    await create('mutate', configMap('m', { policy: 'yes' }));
    expect(JSON.parse(await node.ok(['get', 'configmap', 'm', '-n', 'mutate', '-o', 'jsonpath={.data}']))).toEqual({
      user: 'system:admin',
      'a.b': '1',
    });
  });

  test('see how a connection is to be made', async () => {
    await namespace('connect', { connect: 'yes' });
    await apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-rm}
spec:
  matchConstraints:
    resourceRules: [{operations: [CONNECT], apiGroups: [""], apiVersions: [v1], resources: [pods/exec]}]
  validations: [{expression: "object.kind == 'PodExecOptions' && object.command[0] != 'rm'", message: remove nothing}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-rm}
spec: {policyName: no-rm, validationActions: [Deny], matchResources: {namespaceSelector: {matchLabels: {connect: "yes"}}}}
`);
    await node.ok(['run', 'p', '-n', 'connect', '--image=none']);
    await node.ok(['wait', '-n', 'connect', 'pod/p', '--for=condition=PodScheduled']);
    const exec = (command: string) => node.kubectl(['exec', '-n', 'connect', 'p', '--', command]);
    expect((await exec('rm')).stderr).toContain(
      "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'no-rm' with binding 'no-rm' denied request: remove nothing",
    );
    expect((await exec('ls')).stderr).not.toContain('denied request');
  });

  test('tell in their status what does not fit the types of what they match', async () => {
    await apply(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: types}
spec:
  matchConstraints:
    resourceRules: [{operations: [CREATE], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}]
  validations: [{expression: "object.replicas > 1"}]
`);
    await node.ok(['wait', 'validatingadmissionpolicy/types', '--for=jsonpath={.status.observedGeneration}=1']);
    const warning = 'jsonpath={.status.typeChecking.expressionWarnings[0]}';
    expect(JSON.parse(await node.ok(['get', 'validatingadmissionpolicy', 'types', '-o', warning]))).toEqual({
      fieldRef: 'spec.validations[0].expression',
      warning: "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'replicas'\n | object.replicas > 1\n | ......^\n",
    });
  });

  test('that do not compile are refused', async () => {
    const policy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: broken}
spec:
  matchConstraints:
    resourceRules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}]
  validations: [{expression: "object.spec.nothing ==="}, {expression: "request.nothing == ''"}]
`;
    const { stderr } = await create('default', policy);
    expect(stderr).toContain(
      'spec.validations[0].expression: Invalid value: "object.spec.nothing ===": compilation failed: ERROR: <input>:1:',
    );
    expect(stderr).toContain("undefined field 'nothing'");
  });
});

describe('plugins', () => {
  test('a quota of 10 pods under 200 creations at once admits exactly 10', async () => {
    await namespace('quota', {});
    await node.ok(['create', 'quota', 'ten', '-n', 'quota', '--hard=pods=10']);
    await node.ok(['wait', '-n', 'quota', 'resourcequota/ten', '--for=jsonpath={.status.hard.pods}=10']);
    const body = JSON.stringify({
      metadata: { generateName: 'p-' },
      spec: { schedulingGates: [{ name: 'example.com/never' }], containers: [{ name: 'c', image: 'none' }] },
    });
    await node.ok(['create', 'clusterrolebinding', 'quota-test', '--clusterrole=cluster-admin', '--serviceaccount=quota:default']);
    const token = (await node.ok(['create', 'token', 'default', '-n', 'quota'])).trim();
    const one = [
      `url = "${node.url}/api/v1/namespaces/quota/pods"`,
      'insecure',
      'silent',
      'output = /dev/null',
      String.raw`write-out = "%{http_code}\n"`,
      'header = "content-type: application/json"',
      `header = "authorization: Bearer ${token}"`,
      `data = ${JSON.stringify(body)}`,
    ].join('\n');
    const { stdout } = await node.inside(
      'curl',
      ['--parallel', '--parallel-immediate', '--parallel-max', '200', '--config', '-'],
      Array.from({ length: 200 }, () => one).join('\nnext\n'),
    );
    const codes = stdout.trim().split('\n');
    expect(codes).toHaveLength(200);
    expect(codes.filter((code) => code === '201')).toHaveLength(10);
    expect(codes.filter((code) => code === '403')).toHaveLength(190);
    expect((await node.ok(['get', 'pods', '-n', 'quota', '-o', 'name'])).trim().split('\n')).toHaveLength(10);
    expect((await node.kubectl(['run', 'more', '-n', 'quota', '--image=none'])).stderr).toContain(
      'pods "more" is forbidden: exceeded quota: ten, requested: pods=1, used: pods=10, limited: pods=10',
    );
  });

  test('pod security refuses pods, warns of templates, and of the pods that are there already', async () => {
    await namespace('secure', {});
    await node.ok(['run', 'before', '-n', 'secure', '--image=none', '--overrides={"spec":{"hostNetwork":true}}']);
    const label = await node.kubectl(['label', 'namespace', 'secure', 'pod-security.kubernetes.io/enforce=baseline']);
    expect(label.stderr).toBe(
      'Warning: existing pods in namespace "secure" violate the new PodSecurity enforce level "baseline:latest"\nWarning: before: host namespaces\n',
    );
    expect((await node.kubectl(['run', 'after', '-n', 'secure', '--image=none', '--privileged'])).stderr).toContain(
      'pods "after" is forbidden: violates PodSecurity "baseline:latest": privileged (container "after" must not set securityContext.privileged=true)',
    );
    await node.ok([
      'label',
      'namespace',
      'secure',
      'pod-security.kubernetes.io/warn=restricted',
      'pod-security.kubernetes.io/warn-version=v1.20',
    ]);
    expect((await node.kubectl(['create', 'deployment', 'd', '-n', 'secure', '--image=none'])).stderr).toBe(
      'Warning: would violate PodSecurity "restricted:v1.20": allowPrivilegeEscalation != false (container "none" must set securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true (pod or container "none" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "none" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")\n',
    );
  });

  test('limit ranges fill in and refuse', async () => {
    await namespace('limits', {});
    await apply(`
apiVersion: v1
kind: LimitRange
metadata: {name: l, namespace: limits}
spec: {limits: [{type: Container, max: {cpu: "2"}, default: {cpu: "1"}, defaultRequest: {cpu: 100m}}]}
`);
    await node.ok(['run', 'p', '-n', 'limits', '--image=none']);
    const resources = await node.ok(['get', 'pod', 'p', '-n', 'limits', '-o', 'jsonpath={.spec.containers[0].resources}']);
    expect(JSON.parse(resources)).toEqual({ limits: { cpu: '1' }, requests: { cpu: '100m' } });
    const tolerations = 'jsonpath={.spec.tolerations[?(@.key=="node.kubernetes.io/not-ready")].tolerationSeconds}';
    expect(await node.ok(['get', 'pod', 'p', '-n', 'limits', '-o', tolerations])).toBe('10');
    const big = '--overrides={"spec":{"containers":[{"name":"q","image":"none","resources":{"limits":{"cpu":"3"}}}]}}';
    expect((await node.kubectl(['run', 'q', '-n', 'limits', '--image=none', big])).stderr).toContain(
      'pods "q" is forbidden: maximum cpu usage per Container is 2, but limit is 3',
    );
  });

  test('are chosen by flags, and a plugin that does not exist is refused at the start', async () => {
    const external =
      '{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":80}],"externalIPs":["192.0.2.1"]}}';
    expect((await create('default', external)).stderr).toContain(
      'services "s" is forbidden: Use of external IPs is denied by admission control',
    );
    const started = await node.inside(executable, [
      'server',
      '--data-dir',
      join(node.folder, 'other'),
      '--kube-apiserver-arg=enable-admission-plugins=Nothing',
    ]);
    expect(started.code).not.toBe(0);
    expect(started.stdout + started.stderr).toContain('enable-admission-plugins plugin "Nothing" is unknown');
  });
});
