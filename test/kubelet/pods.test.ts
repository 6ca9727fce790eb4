/** What a node does with pods, seen through kubectl: the parts of the kubelet that a Deployment of healthy pods does not show. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../harness/machine.ts';
import { createScenario, type Scenario, type ServerNode } from '../harness/node.ts';

const image = 'example.test/tool:1';
let scenario: Scenario;
let node: ServerNode;

beforeAll(async () => {
  scenario = await createScenario();
  node = await scenario.addServer('node');
  await node.start();
  await node.nodeReady();
  await node.addImage({ name: image });
  await node.ok(['wait', '--for=create', 'serviceaccount/default', '--timeout=30s']);
});
afterAll(async () => {
  await scenario?.[Symbol.asyncDispose]();
});

interface Status {
  readonly phase: string;
  readonly reason?: string;
  readonly podIP?: string;
  readonly containerStatuses?: readonly {
    readonly containerID?: string;
    readonly ready: boolean;
    readonly restartCount: number;
    readonly state: object;
    readonly lastState: object;
  }[];
}

const create = (name: string, spec: object, metadata: object = {}): Promise<string> =>
  node.ok(
    ['create', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec: { terminationGracePeriodSeconds: 1, ...spec } }),
  );
const shell = (script: string, more: object = {}): object => ({ name: 'c', image, command: ['sh', '-c', script], ...more });
const status = async (name: string): Promise<Status> =>
  JSON.parse(await node.ok(['get', 'pod', name, '-o', 'jsonpath={.status}'])) as Status;
const until = (name: string, what: string, ok: (s: Status) => boolean): Promise<Status> =>
  eventually(`${name}: ${what}`, async () => {
    const s = await status(name);
    return ok(s) ? s : undefined;
  });
const ready = (name: string): Promise<Status> => until(name, 'ready', (s) => s.containerStatuses?.every((c) => c.ready) ?? false);
const remove = (...names: string[]): Promise<string> => node.ok(['delete', 'pod', ...names, '--wait=true', '--timeout=60s']);
const events = (name: string): Promise<string> =>
  node.ok([
    'get',
    'events',
    '--field-selector',
    `involvedObject.name=${name}`,
    '-o',
    'jsonpath={range .items[*]}{.reason}: {.message}{"\\n"}{end}',
  ]);

describe('order and ends', () => {
  test('init containers run in turn, a sidecar beside the rest, and a finished pod succeeds', async () => {
    const volumeMounts = [{ name: 'v', mountPath: '/v' }];
    await create('order', {
      restartPolicy: 'Never',
      initContainers: [
        shell('echo first >> /v/log', { name: 'first', volumeMounts }),
        shell('trap "exit 0" TERM; echo sidecar >> /v/log; while true; do sleep 0.1; done', {
          name: 'sidecar',
          restartPolicy: 'Always',
          volumeMounts,
          startupProbe: { exec: { command: ['grep', 'sidecar', '/v/log'] }, periodSeconds: 1 },
        }),
        shell('echo second >> /v/log', { name: 'second', volumeMounts }),
      ],
      containers: [shell('cat /v/log; echo bye > /dev/termination-log', { volumeMounts })],
      volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }],
    });
    const s = await until('order', 'ended', (x) => x.phase === 'Succeeded' || x.phase === 'Failed');
    expect(s.phase).toBe('Succeeded');
    expect(s.containerStatuses?.[0]?.state).toMatchObject({ terminated: { exitCode: 0, reason: 'Completed', message: 'bye\n' } });
    expect(await node.ok(['logs', 'order', '-c', 'c'])).toBe('first\nsidecar\nsecond\n');
    await remove('order');
  });

  test('a container that keeps failing backs off, tells why, and keeps its last log', async () => {
    await create('crash', { containers: [shell('echo oops; exit 3', { terminationMessagePolicy: 'FallbackToLogsOnError' })] });
    const s = await until('crash', 'backs off', (x) => JSON.stringify(x).includes('CrashLoopBackOff'));
    expect(s.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      lastState: { terminated: { exitCode: 3, reason: 'Error', message: 'oops\n' } },
    });
    expect(await node.ok(['logs', 'crash', '--previous'])).toBe('oops\n');
    expect(await events('crash')).toContain('BackOff: Back-off restarting failed container c in pod crash_default(');
    await remove('crash');
  });

  test('a container that uses more memory than it may is OOMKilled', async () => {
    await create('oom', {
      restartPolicy: 'Never',
      containers: [shell('dd if=/dev/zero of=/dev/null bs=200M count=1', { resources: { limits: { memory: '32Mi' } } })],
    });
    const s = await until('oom', 'ended', (x) => x.phase === 'Failed');
    expect(s.containerStatuses?.[0]?.state).toMatchObject({ terminated: { exitCode: 137, reason: 'OOMKilled' } });
    await remove('oom');
  });

  test('a deadline ends the pod', async () => {
    await create('late', { activeDeadlineSeconds: 1, containers: [shell('sleep 1000')] });
    expect(await until('late', 'ended', (x) => x.phase === 'Failed')).toMatchObject({ reason: 'DeadlineExceeded' });
    await remove('late');
  });

  test('what the node cannot run is refused with the reason', async () => {
    await create('big', { nodeName: 'node', containers: [shell('true', { resources: { requests: { cpu: '1000' } } })] });
    expect(await until('big', 'refused', (x) => x.phase === 'Failed')).toMatchObject({ reason: 'OutOfcpu' });
    await remove('big');
  });
});

describe('probes and hooks', () => {
  test('a failed liveness probe restarts the container, after its preStop hook', async () => {
    await create('probed', {
      containers: [
        shell('touch /tmp/alive; mkdir -p /www; echo ok > /www/index.html; httpd -p 8080 -h /www; sleep 1000', {
          ports: [{ name: 'web', containerPort: 8080 }],
          readinessProbe: { httpGet: { path: '/', port: 'web' }, periodSeconds: 1 },
          livenessProbe: { exec: { command: ['cat', '/tmp/alive'] }, periodSeconds: 1, failureThreshold: 1, initialDelaySeconds: 2 },
          lifecycle: {
            postStart: { exec: { command: ['sh', '-c', 'echo started > /tmp/hook'] } },
            preStop: { exec: { command: ['sh', '-c', 'echo stopping > /proc/1/fd/1'] } },
          },
        }),
      ],
    });
    await ready('probed');
    expect(await node.ok(['exec', 'probed', '--', 'cat', '/tmp/hook'])).toBe('started\n');
    await node.ok(['exec', 'probed', '--', 'rm', '/tmp/alive']);
    await until('probed', 'restarted', (s) => s.containerStatuses?.[0]?.restartCount === 1);
    expect(await node.ok(['logs', 'probed', '--previous'])).toContain('stopping');
    const told = await events('probed');
    expect(told).toContain("Unhealthy: Liveness probe failed: cat: can't open '/tmp/alive'");
    expect(told).toContain('Killing: Container c failed liveness probe, will be restarted');
    await remove('probed');
  });
});

describe('volumes', () => {
  test('a change of a ConfigMap shows in its volume without a restart, and a missing one holds the pod until it is there', async () => {
    await create('shown', {
      containers: [shell('sleep 1000', { volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
      volumes: [{ name: 'v', configMap: { name: 'later' } }],
    });
    await eventually('the missing ConfigMap is told', async () =>
      (await events('shown')).includes('FailedMount: MountVolume.SetUp failed for volume "v" : configmap "later" not found')
        ? true
        : undefined,
    );
    await node.ok(['create', 'configmap', 'later', '--from-literal=k=one']);
    await ready('shown');
    expect(await node.ok(['exec', 'shown', '--', 'cat', '/v/k'])).toBe('one');
    await node.ok(['patch', 'configmap', 'later', '--type=merge', '-p', '{"data":{"k":"two"}}']);
    await eventually('the change shows', async () =>
      (await node.ok(['exec', 'shown', '--', 'cat', '/v/k'])) === 'two' ? true : undefined,
    );
    expect((await status('shown')).containerStatuses?.[0]?.restartCount).toBe(0);
    await remove('shown');
  });

  test('a subPath cannot be led out of its volume by a link', async () => {
    const volumeMounts = [{ name: 'v', mountPath: '/v' }];
    await create('escape', {
      initContainers: [shell('ln -s / /v/out; mkdir /v/in', { name: 'i', volumeMounts })],
      containers: [
        shell('sleep 1000', { volumeMounts: [{ name: 'v', mountPath: '/x', subPath: 'out' }] }),
        shell('sleep 1000', { name: 'fine', volumeMounts: [{ name: 'v', mountPath: '/x', subPath: 'in' }] }),
      ],
      volumes: [{ name: 'v', emptyDir: {} }],
    });
    const s = await until('escape', 'one runs, one waits', (x) => x.containerStatuses?.some((c) => c.ready) ?? false);
    expect(s.containerStatuses?.[0]?.state).toMatchObject({ waiting: { reason: 'CreateContainerConfigError' } });
    await remove('escape');
  });

  test('files of a volume belong to the fsGroup, and a non-root user reads its token', async () => {
    await create('owned', {
      securityContext: { runAsUser: 1000, runAsNonRoot: true, fsGroup: 2000 },
      containers: [shell('sleep 1000', { volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
      volumes: [{ name: 'v', emptyDir: {} }],
    });
    await ready('owned');
    expect(await node.ok(['exec', 'owned', '--', 'sh', '-c', 'id -u; id -G; touch /v/f; stat -c %g /v/f'])).toBe('1000\n0 2000\n2000\n');
    expect((await node.ok(['exec', 'owned', '--', 'cat', '/var/run/secrets/kubernetes.io/serviceaccount/token'])).length).toBeGreaterThan(
      100,
    );
    await remove('owned');
  });
});

describe('streams', () => {
  beforeAll(async () => {
    await create('streams', {
      containers: [
        shell(
          'mkdir -p /www; echo inside > /www/index.html; httpd -p 127.0.0.1:8081 -h /www; i=0; while true; do echo line $i; i=$((i+1)); sleep 0.2; done',
        ),
      ],
    });
    await ready('streams');
  });
  afterAll(() => remove('streams'));

  test('exec passes input to its end, both outputs and the exit code', async () => {
    const big = 'x'.repeat(300_000);
    expect((await node.kubectl(['exec', '-i', 'streams', '--', 'wc', '-c'], big)).stdout.trim()).toBe('300000');
    const both = await node.kubectl(['exec', 'streams', '--', 'sh', '-c', 'echo out; echo err >&2; exit 5']);
    expect(both).toMatchObject({ code: 5, stdout: 'out\n' });
    expect(both.stderr).toContain('err\n');
    const missing = await node.kubectl(['exec', 'streams', '--', 'nonsense']);
    expect(missing.stderr).toContain('executable file not found');
  });

  test('the input of an attached container ends alone', async () => {
    const counted = await node.kubectl(
      ['run', 'count', '-i', '--rm', '--restart=Never', '--quiet', `--image=${image}`, '--', 'wc', '-l'],
      'a\nb\nc\n',
    );
    expect(counted.stdout).toContain('3');
  });

  test('logs are cut by lines and by bytes', async () => {
    const tail = await node.ok(['logs', 'streams', '--tail=2']);
    expect(tail).toMatch(/^line \d+\nline \d+\n$/);
    expect(await node.ok(['logs', 'streams', '--limit-bytes=4'])).toBe('line');
  });
});

describe('restarts', () => {
  test('containers outlive the death of k3ts and of containerd; what was deleted meanwhile goes', async () => {
    await create('kept', { containers: [shell('sleep 100000', { readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 } })] });
    await create('gone', { containers: [shell('sleep 100000')] });
    const before = await ready('kept');
    await ready('gone');
    await node.ok(['delete', 'pod', 'gone', '--wait=false', '--grace-period=0', '--force']);
    await node.stop('SIGKILL');
    await node.inside('sh', ['-c', `kill -9 $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/' ${node.dataDir}/run/containerd/containerd.pid.json)`]);
    await node.start();
    await node.nodeReady();
    const after = await ready('kept');
    expect(after.containerStatuses?.[0]).toMatchObject({ containerID: before.containerStatuses?.[0]?.containerID, restartCount: 0 });
    expect(after.podIP).toBe(before.podIP);
    await eventually('the deleted pod is gone from the node', async () => {
      const list = await node.inside('ctr', ['--address', node.containerdSocket, '--namespace', 'k8s.io', 'tasks', 'list', '--quiet']);
      return list.stdout.trim().split('\n').length === 2 ? true : undefined;
    });
    await remove('kept');
  });

  test('a sandbox that dies is replaced, with a new address if need be', async () => {
    await create('sandbox', { containers: [shell('sleep 100000')] });
    await ready('sandbox');
    const pauses = await node.inside('ctr', ['--address', node.containerdSocket, '--namespace', 'k8s.io', 'containers', 'list']);
    const id =
      pauses.stdout
        .split('\n')
        .find((line) => line.includes('pause'))
        ?.split(/\s+/)[0] ?? '';
    await node.inside('ctr', ['--address', node.containerdSocket, '--namespace', 'k8s.io', 'tasks', 'kill', '--signal', 'SIGKILL', id]);
    await until('sandbox', 'restarted', (s) => s.containerStatuses?.[0]?.restartCount === 1 && s.containerStatuses[0].ready);
    expect(await events('sandbox')).toContain('SandboxChanged: Pod sandbox changed, it will be killed and re-created.');
    await remove('sandbox');
  });
});
