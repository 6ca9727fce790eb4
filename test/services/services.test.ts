import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

const image = {
  name: 'example.test/who:1',
  files: {
    '/www/cgi-bin/who': '#!/bin/sh\necho; echo "$POD_NAME saw $REMOTE_ADDR"\n',
    '/bin/serve': '#!/bin/sh\nexec httpd -f -p 8080 -h /www\n',
  },
  entrypoint: ['/bin/serve'],
};

const workloads = `
apiVersion: v1
kind: Namespace
metadata: {name: net, labels: {team: net}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: who, namespace: net}
spec:
  replicas: 4
  selector: {matchLabels: {app: who}}
  template:
    metadata: {labels: {app: who}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: who
        image: example.test/who:1
        ports: [{name: http, containerPort: 8080}]
        env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        readinessProbe: {tcpSocket: {port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: who, namespace: net}
spec:
  type: NodePort
  selector: {app: who}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: clients, namespace: net}
spec: {clusterIP: None, selector: {app: client}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias, namespace: net}
spec: {type: ExternalName, externalName: who.net.svc.cluster.local}
---
${['n1', 'n2']
  .map(
    (node) => `apiVersion: v1
kind: Pod
metadata: {name: client-${node}, namespace: net, labels: {app: client, on: ${node}}}
spec:
  hostname: client-${node}
  subdomain: clients
  nodeSelector: {kubernetes.io/hostname: ${node}}
  terminationGracePeriodSeconds: 1
  containers:
  - name: who
    image: example.test/who:1
    env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
`,
  )
  .join('---\n')}`;

let scenario: Scenario;
let node: ServerNode;
let agentAddress = '';

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('n1');
  await node.start();
  await node.nodeReady();
  await node.addImage(image);
  const agent = await scenario.addAgent('n2', node);
  agentAddress = agent.host.address;
  agent.start(readFileSync(join(node.dataDir, 'server/node-token'), 'utf8').trim());
  await node.nodeReady('n2').catch((error: unknown) => {
    throw new Error(`${String(error)}\n${agent.log().slice(-5000)}`);
  });
  await agent.addImage(image);
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

test('a host with a wrong token keeps asking, and its log says that the token is refused', async () => {
  const agent = await scenario.addAgent('n3', node);
  agent.start('wrong');
  const logged = (text: string) => async (): Promise<true | undefined> => (agent.log().includes(text) ? true : undefined);
  await eventually('the log says why', logged('the server refuses the token'));
  await eventually('containerd is up, so that only the join is left', logged('imported images'));
  expect(agent.running()).toBe(true);
  expect(await agent.stop('SIGTERM')).toBe(0);
});

const net = (...args: string[]): Promise<string> => node.ok(['-n', 'net', ...args]);
const podIp = (name: string): Promise<string> => net('get', 'pod', name, '-o', 'jsonpath={.status.podIP}');
/** What the server said to a pod, or the empty string. */
const ask = async (pod: string, host: string): Promise<string> =>
  (await node.kubectl(['-n', 'net', 'exec', pod, '--', 'timeout', '3', 'wget', '-qO-', `http://${host}/cgi-bin/who`])).stdout
    .trim()
    .replace(/\[::ffff:(.*)\]$/, '$1');
const answered = (pod: string, host: string): Promise<string> =>
  eventually(`${host} answers ${pod}`, async () => (await ask(pod, host)) || undefined, 20_000);
const silent = (pod: string, host: string): Promise<true> =>
  eventually(`${host} is closed to ${pod}`, async () => ((await ask(pod, host)) === '' ? true : undefined), 20_000);

describe('two nodes', () => {
  test('share the pods of a Deployment', async () => {
    await node.ok(['apply', '-f', '-'], workloads);
    await net('rollout', 'status', 'deployment/who', '--timeout=120s');
    await net('wait', '--for=condition=Ready', 'pod', '-l', 'app=client', '--timeout=60s');
    const on = await net('get', 'pods', '-l', 'app=who', '-o', 'jsonpath={range .items[*]}{.spec.nodeName}{" "}{end}');
    expect(on.trim().split(' ').sort()).toEqual(['n1', 'n1', 'n2', 'n2']);
  });

  test('let pods reach each other under their own addresses', async () => {
    const [one, two] = [await podIp('client-n1'), await podIp('client-n2')];
    expect(await answered('client-n1', `${two}:8080`)).toBe(`client-n2 saw ${one}`);
    expect(await answered('client-n2', `${one}:8080`)).toBe(`client-n1 saw ${two}`);
  });

  test('answer for a service by name, short and long, and for its alias', async () => {
    for (const pod of ['client-n1', 'client-n2']) {
      for (const host of ['who', 'who.net', 'who.net.svc.cluster.local', 'alias'])
        expect(await answered(pod, host)).toMatch(/^who-\S+ saw /);
    }
  });

  test('reach the pods of both nodes through the service', async () => {
    const seen = new Set<string>();
    const all = async (): Promise<true | undefined> => {
      seen.add((await ask('client-n2', 'who')).split(' ')[0] ?? '');
      return seen.size >= 4 ? true : undefined;
    };
    expect(await eventually('all four pods answer', all)).toBe(true);
  });

  test('name the pods of a headless service', async () => {
    expect(await answered('client-n1', 'client-n2.clients.net.svc.cluster.local:8080')).toBe(`client-n2 saw ${await podIp('client-n1')}`);
    expect(await answered('client-n2', 'client-n1.clients:8080')).toBe(`client-n1 saw ${await podIp('client-n2')}`);
  });

  test('let pods reach the API server under its service name', async () => {
    for (const pod of ['client-n1', 'client-n2']) {
      const open = async (): Promise<true | undefined> => {
        const words = ['-n', 'net', 'exec', pod, '--', 'timeout', '3', 'sh', '-c', 'echo hello | nc kubernetes.default.svc 443'];
        return (await node.kubectl(words)).code === 0 ? true : undefined;
      };
      expect(await eventually(`the API server is open to ${pod}`, open, 20_000)).toBe(true);
    }
  });

  test('answer on the node port of either node', async () => {
    for (const address of [node.host.address, agentAddress]) {
      const fetched = async (): Promise<string | undefined> => {
        const { stdout } = await node.inside('curl', ['-s', '--max-time', '3', `http://${address}:30080/cgi-bin/who`]);
        return stdout.trim() || undefined;
      };
      expect(await eventually('the node port answers', fetched)).toMatch(/^who-\S+ saw /);
    }
  });
});

describe('network policies', () => {
  const policy = (ingress: string): string => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: guard, namespace: net}
spec: {podSelector: {matchLabels: {on: n2}}, policyTypes: [Ingress], ingress: ${ingress}}`;
  test('close a pod to all but those they name, on any node', async () => {
    const target = `${await podIp('client-n2')}:8080`;
    await node.ok(['apply', '-f', '-'], policy('[]'));
    await silent('client-n1', target);
    await node.ok(['apply', '-f', '-'], policy('[{from: [{podSelector: {matchLabels: {on: n1}}}]}]'));
    expect(await answered('client-n1', target)).toContain('client-n2 saw');
    await node.ok(['apply', '-f', '-'], policy('[{from: [{namespaceSelector: {matchLabels: {team: other}}}]}]'));
    await silent('client-n1', target);
    await net('delete', 'networkpolicy', 'guard');
    expect(await answered('client-n1', target)).toContain('client-n2 saw');
  });
});

describe('scheduling', () => {
  const pod = (name: string, spec: string): string => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: net, labels: {app: ${name}}}
spec:
  terminationGracePeriodSeconds: 0
  ${spec}
`;
  const cpu = (amount: string): string =>
    `containers: [{name: c, image: "example.test/who:1", resources: {requests: {example.com/slots: "${amount}"}, limits: {example.com/slots: "${amount}"}}}]`;
  const plain = 'containers: [{name: c, image: "example.test/who:1"}]';
  const condition = (name: string): Promise<string> =>
    net('get', 'pod', name, '-o', 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}');

  test('says why a pod fits nowhere', async () => {
    await node.ok(['apply', '-f', '-'], pod('lost', `${plain}\n  nodeSelector: {disk: ssd}`));
    const why =
      "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
    await eventually('the condition', async () => ((await condition('lost')) === why ? true : undefined));
    const describe = async (): Promise<string | undefined> => {
      const text = await net('describe', 'pod', 'lost');
      return text.includes('FailedScheduling') ? text : undefined;
    };
    expect(await eventually('the event', describe)).toContain(`default-scheduler  ${why}`);
    await node.ok(['label', 'node', 'n2', 'disk=ssd']);
    await net('wait', '--for=condition=Ready', 'pod/lost', '--timeout=30s');
    expect(await net('get', 'pod', 'lost', '-o', 'jsonpath={.spec.nodeName}')).toBe('n2');
  });

  test('keeps pods off a tainted and a cordoned node, but for those that tolerate it', async () => {
    await node.ok(['taint', 'node', 'n1', 'only=us:NoSchedule']);
    await node.ok(['cordon', 'n2']);
    await node.ok(['apply', '-f', '-'], pod('shy', plain));
    const why = '0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable.';
    await eventually('the condition', async () => ((await condition('shy')).startsWith(why) ? true : undefined));
    await node.ok(['apply', '-f', '-'], pod('bold', `${plain}\n  tolerations: [{key: only, operator: Exists}]`));
    await net('wait', '--for=condition=Ready', 'pod/bold', '--timeout=30s');
    expect(await net('get', 'pod', 'bold', '-o', 'jsonpath={.spec.nodeName}')).toBe('n1');
    await node.ok(['uncordon', 'n2']);
    await net('wait', '--for=condition=Ready', 'pod/shy', '--timeout=30s');
    expect(await net('get', 'pod', 'shy', '-o', 'jsonpath={.spec.nodeName}')).toBe('n2');
    await node.ok(['taint', 'node', 'n1', 'only:NoSchedule-']);
  });

  test('makes room for a pod of higher priority', async () => {
    const patch =
      '[{"op":"add","path":"/status/capacity/example.com~1slots","value":"2"},{"op":"add","path":"/status/allocatable/example.com~1slots","value":"2"}]';
    await node.ok(['patch', 'node', 'n1', '--subresource=status', '--type=json', '-p', patch]);
    await node.ok(['apply', '-f', '-'], 'apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: urgent}\nvalue: 1000\n');
    await node.ok(['apply', '-f', '-'], pod('lesser', cpu('2')));
    await net('wait', '--for=condition=Ready', 'pod/lesser', '--timeout=30s');
    await node.ok(['apply', '-f', '-'], pod('urgent', `${cpu('1')}\n  priorityClassName: urgent`));
    await net('wait', '--for=condition=Ready', 'pod/urgent', '--timeout=60s');
    expect((await node.kubectl(['-n', 'net', 'get', 'pod', 'lesser'])).stderr).toContain('NotFound');
    expect(await net('get', 'events', '--field-selector=reason=Preempted')).toContain('Preempted by pod');
  });
});
