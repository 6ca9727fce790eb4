/** A user's first day: real kubectl, real containerd, images built on the spot. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { end, eventually } from '../harness/machine.ts';
import { clientTools, createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

const web = (version: string) => ({
  name: `example.test/web:${version}`,
  files: {
    '/www/index.html': `version ${version}\n`,
    '/bin/serve': '#!/bin/sh\necho "serving $GREETING $(cat /etc/config/color)"\nexec httpd -f -p 8080 -h /www\n',
  },
  // Debian's static busybox cannot look up names.
  programs: ['/usr/bin/curl'],
  entrypoint: ['/bin/serve'],
});

const manifest = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {color: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: greeting, namespace: shop}
stringData: {text: hello}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: example.test/web:1
        ports: [{name: http, containerPort: 8080}]
        env:
        - name: GREETING
          valueFrom: {secretKeyRef: {name: greeting, key: text}}
        - name: POD_NAME
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        volumeMounts: [{name: config, mountPath: /etc/config}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
        livenessProbe: {tcpSocket: {port: http}, periodSeconds: 5}
        resources: {requests: {cpu: 10m, memory: 8Mi}, limits: {memory: 64Mi}}
      volumes:
      - name: config
        configMap: {name: settings}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http, nodePort: 30080}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: sh, image: example.test/web:1, command: [sleep, "100000"]}]
`;

let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('server');
  await node.start();
  await node.nodeReady();
  await node.addImage(web('1'));
  await node.addImage(web('2'));
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

const shop = (...args: string[]): Promise<string> => node.ok(['-n', 'shop', ...args]);
const fetchWeb = async (): Promise<string> =>
  (await node.kubectl(['-n', 'shop', 'exec', 'client', '--', 'curl', '-s', '--max-time', '5', 'http://web.shop.svc.cluster.local/']))
    .stdout;

describe('from a manifest to a running Deployment', () => {
  test('the node of the server has the role of the control plane', async () => {
    const line = await eventually('the node has its role', async () => {
      const { stdout } = await node.kubectl(['get', 'nodes', '--no-headers']);
      return stdout.includes('<none>') ? undefined : stdout;
    });
    expect(line).toMatch(/^server +Ready +control-plane +/);
  });

  test('apply creates everything and rollout status waits for three ready pods', async () => {
    const applied = await node.ok(['apply', '-f', '-'], manifest);
    expect(applied).toContain('deployment.apps/web created');
    expect(await shop('rollout', 'status', 'deployment/web', '--timeout=120s')).toContain('successfully rolled out');
    await shop('wait', '--for=condition=Ready', 'pod/client', '--timeout=60s');
    expect(await shop('get', 'deployment', 'web', '--no-headers')).toMatch(/^web\s+3\/3\s+3\s+3\s/);
    expect(await node.ok(['apply', '-f', '-'], manifest)).toMatch(/deployment.apps\/web unchanged/);
  });

  test('the Service answers by name from another pod, and on its node port', async () => {
    await eventually('the service answers', async () => ((await fetchWeb()) === 'version 1\n' ? true : undefined));
    const outside = await node.inside('curl', ['-s', '--max-time', '5', `http://${node.host.address}:30080/`]);
    expect(outside.stdout).toBe('version 1\n');
  });

  test('logs show what the container printed, with its secret and its configuration', async () => {
    expect(await shop('logs', 'deployment/web', '--tail=5')).toContain('serving hello blue');
  });

  test('exec runs a command in the container and passes on its exit code', async () => {
    const pod = (await shop('get', 'pods', '-l', 'app=web', '-o', 'name')).trim().split('\n')[0] ?? '';
    expect((await shop('exec', pod, '--', 'sh', '-c', 'echo $POD_NAME')).trim()).toBe(pod.replace('pod/', ''));
    expect((await node.kubectl(['-n', 'shop', 'exec', pod, '--', 'sh', '-c', 'exit 7'])).code).toBe(7);
    expect((await node.kubectl(['-n', 'shop', 'exec', '-i', pod, '--', 'cat'], 'through\n')).stdout).toBe('through\n');
  });

  test('port-forward carries to a port that is open, and tells what containerd says of one that is closed', async () => {
    const pod = (await shop('get', 'pods', '-l', 'app=web', '-o', 'name')).trim().split('\n')[0] ?? '';
    const [enter = '', ...args] = node.host.enter;
    const words = [clientTools().kubectl, `--kubeconfig=${node.kubeconfig}`, '-n', 'shop', 'port-forward', pod, '18080:8080', '18081:81'];
    const child = spawn(enter, [...args, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    scenario.cleanup.add('port-forward', () => end(child, 'SIGKILL'));
    let said = '';
    for (const output of [child.stdout, child.stderr])
      output.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    await eventually('it forwards', async () => (said.includes('127.0.0.1:18081 -> 81') ? true : undefined));
    const fetchFrom = async (port: number) => (await node.inside('curl', ['-s', '--max-time', '20', `http://127.0.0.1:${port}/`])).stdout;
    expect([await fetchFrom(18080), await fetchFrom(18080)]).toEqual(['version 1\n', 'version 1\n']);
    expect(await fetchFrom(18081)).toBe('');
    await eventually('the reason is told', async () => (said.includes('connection refused') ? true : undefined));
    // kubectl quotes what it logs.
    expect(said.replaceAll('\\', '')).toMatch(
      /error forwarding port 81 to pod [0-9a-f]{64}, uid : .*failed to connect to localhost:81 inside namespace "[0-9a-f]{64}"/,
    );
    await end(child, 'SIGTERM');
  });

  test('the pod has a token that the API server accepts', async () => {
    const token = await shop('exec', 'client', '--', 'cat', '/var/run/secrets/kubernetes.io/serviceaccount/token');
    const who = await node.inside('curl', [
      '-sk',
      '-H',
      `Authorization: Bearer ${token.trim()}`,
      `${node.url}/api/v1/namespaces/shop/pods`,
    ]);
    expect(JSON.parse(who.stdout)).toMatchObject({
      kind: 'Status',
      code: 403,
      message: expect.stringContaining('system:serviceaccount:shop:default'),
    });
  });

  test('describe shows the events and conditions of a pod', async () => {
    const text = await shop('describe', 'pod', 'client');
    for (const word of [
      'Scheduled',
      'Pulled',
      'Created',
      'Started',
      'PodReadyToStartContainers',
      'ContainersReady',
      'Successfully assigned shop/client to server',
    ])
      expect(text).toContain(word);
  });

  test('scale changes the number of pods', async () => {
    await shop('scale', 'deployment/web', '--replicas=5');
    expect(await shop('rollout', 'status', 'deployment/web', '--timeout=60s')).toContain('successfully rolled out');
    await shop('scale', 'deployment/web', '--replicas=2');
    await eventually('two pods are left', async () =>
      (await shop('get', 'pods', '-l', 'app=web', '-o', 'name')).trim().split('\n').length === 2 ? true : undefined,
    );
  });

  test('set image rolls out the new version, and rollout undo brings the old one back', async () => {
    await shop('set', 'image', 'deployment/web', 'web=example.test/web:2');
    await shop('rollout', 'status', 'deployment/web', '--timeout=120s');
    await eventually('version 2 answers', async () => ((await fetchWeb()) === 'version 2\n' ? true : undefined));
    expect(await shop('rollout', 'history', 'deployment/web')).toMatch(/1\s+<none>\n2\s+<none>/);
    await shop('rollout', 'undo', 'deployment/web');
    await shop('rollout', 'status', 'deployment/web', '--timeout=120s');
    await eventually('version 1 answers', async () => ((await fetchWeb()) === 'version 1\n' ? true : undefined));
  });

  test('an image that cannot be pulled shows as ImagePullBackOff with the reason', async () => {
    await shop('run', 'broken', '--image=127.0.0.1:9/no/such:1', '--restart=Never');
    await eventually('it backs off', async () =>
      (await shop('get', 'pod', 'broken', '--no-headers')).includes('ImagePullBackOff') ? true : undefined,
    );
    const text = await shop('describe', 'pod', 'broken');
    expect(text).toContain('Failed to pull image "127.0.0.1:9/no/such:1"');
    expect(text).toContain('ErrImagePull');
    expect(text).toContain('Back-off pulling image "127.0.0.1:9/no/such:1"');
    await shop('delete', 'pod', 'broken', '--now');
  });

  test('a Job runs to completion', async () => {
    await shop('create', 'job', 'count', '--image=example.test/web:1', '--', 'sh', '-c', 'echo done');
    await shop('wait', '--for=condition=Complete', 'job/count', '--timeout=60s');
    expect(await shop('logs', 'job/count')).toBe('done\n');
  });

  test('kill -9 and a restart keep every object and restart no container', async () => {
    const uids = () =>
      shop(
        'get',
        'deployments,replicasets,services,configmaps,secrets,pods,jobs',
        '-o',
        'jsonpath={range .items[*]}{.kind}/{.metadata.name}={.metadata.uid}{"\\n"}{end}',
      );
    const containers = () =>
      shop(
        'get',
        'pods',
        '-l',
        'app=web',
        '-o',
        'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\\n"}{end}',
      );
    const before = [await uids(), await containers()];
    await node.stop('SIGKILL');
    await node.start();
    await node.nodeReady();
    await shop('wait', '--for=condition=Ready', 'pod/client', '--timeout=60s');
    expect([await uids(), await containers()]).toEqual(before);
    await eventually('the service answers', async () => ((await fetchWeb()) === 'version 1\n' ? true : undefined));
  });

  test('deleting the namespace removes everything in it', async () => {
    await node.ok(['delete', 'namespace', 'shop', '--timeout=120s']);
    expect((await node.kubectl(['get', 'namespace', 'shop'])).stderr).toContain('namespaces "shop" not found');
    const left = await node.inside('ctr', ['--address', node.containerdSocket, '--namespace', 'k8s.io', 'containers', 'list', '-q']);
    expect(left.stdout.trim()).toBe('');
  });

  test('SIGTERM ends the server in order within five seconds', async () => {
    const began = performance.now();
    await node.stop('SIGTERM');
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
