import { expect, test } from 'vitest';
import type { Job } from '#kube/generated/batch-v1.ts';
import type { Pod, PodStatus } from '#kube/generated/core-v1.ts';
import type { Stored } from '#kube/object.ts';
import { jobs, pods } from '#kube/refs.ts';
import { jobController } from './job.ts';
import { formatIndexes, parseIndexes, trackingFinalizer } from './job-model.ts';
import { startCluster, type TestCluster } from './testing.ts';
import { isoTime } from './times.ts';

const job = (spec: Partial<Job['spec'] & object> = {}, podSpec: Partial<Pod['spec'] & object> = {}): Job => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'work', namespace: 'default' },
  spec: { template: { spec: { restartPolicy: 'Never', nodeName: 'n1', containers: [{ name: 'c', image: 'i' }], ...podSpec } }, ...spec },
});

const start = () => startCluster([jobController]);

async function status(cluster: TestCluster): Promise<NonNullable<Job['status']>> {
  return (await cluster.get(jobs, 'work'))?.status ?? {};
}
const conditions = async (cluster: TestCluster) =>
  (await status(cluster)).conditions?.map((c) => `${c.type}=${c.status} ${c.reason}`) ?? [];

const exit = (cluster: TestCluster, exitCode: number): PodStatus => ({
  phase: exitCode === 0 ? 'Succeeded' : 'Failed',
  containerStatuses: [
    {
      name: 'c',
      image: 'i',
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode, finishedAt: isoTime(cluster.clock.now()) } },
    },
  ],
});

const running = async (cluster: TestCluster): Promise<readonly Stored<Pod>[]> =>
  (await cluster.list(pods)).filter(
    (p) => p.status?.phase !== 'Succeeded' && p.status?.phase !== 'Failed' && p.metadata.deletionTimestamp === undefined,
  );

/** Ends the running pods that are chosen, with an exit code. */
async function end(cluster: TestCluster, exitCode = 0, which: (pod: Stored<Pod>) => boolean = () => true): Promise<void> {
  for (const pod of await running(cluster)) if (which(pod)) await cluster.setPodStatus(pod, exit(cluster, exitCode));
  await cluster.settle();
}

test('a job runs one pod, counts it and completes', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job());
  await cluster.settle();
  const [pod] = await cluster.list(pods);
  expect(pod?.metadata).toMatchObject({
    name: expect.stringMatching(/^work-[a-z0-9]{5}$/),
    finalizers: [trackingFinalizer],
    labels: { 'batch.kubernetes.io/job-name': 'work', 'job-name': 'work' },
    ownerReferences: [{ kind: 'Job', controller: true }],
  });
  expect(await status(cluster)).toMatchObject({ active: 1, ready: 0, startTime: '2026-01-01T00:00:00Z' });
  await cluster.runPods();
  expect(await status(cluster)).toMatchObject({ active: 1, ready: 1 });
  await end(cluster);
  expect(await status(cluster)).toMatchObject({ succeeded: 1, completionTime: expect.any(String), uncountedTerminatedPods: {} });
  expect(await conditions(cluster)).toEqual(['SuccessCriteriaMet=True CompletionsReached', 'Complete=True CompletionsReached']);
  expect((await cluster.list(pods))[0]?.metadata.finalizers ?? []).toEqual([]);
  expect(await cluster.events()).toEqual([`SuccessfulCreate: Created pod: ${pod?.metadata.name}`, 'Completed: Job completed']);
});

test('completions are worked off with at most parallelism pods at a time', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ completions: 5, parallelism: 2 }));
  await cluster.settle();
  for (let i = 0; i < 3; i++) {
    expect((await running(cluster)).length).toBe(i < 2 ? 2 : 1);
    await end(cluster);
  }
  expect((await status(cluster)).succeeded).toBe(5);
  expect((await cluster.list(pods)).length).toBe(5);
});

test('without completions the job is done when one pod has succeeded and the others have ended', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ parallelism: 3 }));
  await cluster.settle();
  const [first] = await running(cluster);
  await end(cluster, 0, (pod) => pod.metadata.name === first?.metadata.name);
  expect((await running(cluster)).length).toBe(2);
  expect(await conditions(cluster)).toEqual([]);
  await end(cluster);
  expect(await conditions(cluster)).toContain('Complete=True CompletionsReached');
});

test('failed pods are replaced after 10 s, 20 s and so on; beyond backoffLimit the job fails', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ backoffLimit: 2 }));
  await cluster.settle();
  await end(cluster, 1);
  expect((await running(cluster)).length).toBe(0);
  await cluster.pass(10_000);
  expect((await running(cluster)).length).toBe(1);
  await end(cluster, 1);
  await cluster.pass(15_000);
  expect((await running(cluster)).length).toBe(0);
  await cluster.pass(6000);
  expect((await running(cluster)).length).toBe(1);
  await end(cluster, 1);
  expect(await status(cluster)).toMatchObject({ failed: 3 });
  expect(await conditions(cluster)).toEqual(['FailureTarget=True BackoffLimitExceeded', 'Failed=True BackoffLimitExceeded']);
  expect(await cluster.events()).toContain('BackoffLimitExceeded: Job has reached the specified backoff limit');
});

test('activeDeadlineSeconds ends the job and its pods', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ activeDeadlineSeconds: 60 }));
  await cluster.settle();
  await cluster.runPods();
  await cluster.pass(61_000);
  expect(await conditions(cluster)).toEqual(['FailureTarget=True DeadlineExceeded']);
  expect((await running(cluster)).length).toBe(0);
  await cluster.runPods();
  expect(await conditions(cluster)).toContain('Failed=True DeadlineExceeded');
  expect(await cluster.list(pods)).toEqual([]);
});

test('a suspended job has no pods; resumed it starts over', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ suspend: true, parallelism: 2, completions: 2 }));
  await cluster.settle();
  expect(await cluster.list(pods)).toEqual([]);
  expect(await conditions(cluster)).toEqual(['Suspended=True JobSuspended']);
  expect((await status(cluster)).startTime).toBeUndefined();
  await cluster.patch(jobs, 'work', { spec: { suspend: false } });
  await cluster.settle();
  expect((await running(cluster)).length).toBe(2);
  expect(await conditions(cluster)).toEqual(['Suspended=False JobResumed']);
  await cluster.patch(jobs, 'work', { spec: { suspend: true } });
  await cluster.settle();
  await cluster.runPods();
  expect(await cluster.list(pods)).toEqual([]);
  expect(await cluster.events()).toEqual(expect.arrayContaining(['Suspended: Job suspended', 'Resumed: Job resumed']));
});

test('an indexed job gives each pod an index and records which have succeeded', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ completionMode: 'Indexed', completions: 4, parallelism: 3 }));
  await cluster.settle();
  const made = await running(cluster);
  const indexOf = (pod: Stored<Pod>) => pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index'];
  expect(made.map((pod) => indexOf(pod) ?? '').sort()).toEqual(['0', '1', '2']);
  const second = made.find((pod) => indexOf(pod) === '1');
  expect(second?.metadata.name).toMatch(/^work-1-[a-z0-9]{5}$/);
  expect(second?.spec).toMatchObject({
    hostname: 'work-1',
    containers: [
      {
        env: [
          {
            name: 'JOB_COMPLETION_INDEX',
            valueFrom: { fieldRef: { fieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']" } },
          },
        ],
      },
    ],
  });
  await end(cluster, 0, (pod) => indexOf(pod) !== '1');
  expect(await status(cluster)).toMatchObject({ completedIndexes: '0,2', succeeded: 2 });
  await end(cluster);
  expect(await status(cluster)).toMatchObject({ completedIndexes: '0-3', succeeded: 4 });
  expect(await conditions(cluster)).toContain('Complete=True CompletionsReached');
});

test('a pod failure policy can fail the job at once or ignore a failure', async () => {
  await using cluster = await start();
  const podFailurePolicy = {
    rules: [
      { action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } },
      { action: 'Ignore', onExitCodes: { operator: 'In', values: [7] } },
    ],
  };
  await cluster.client.create(jobs, job({ backoffLimit: 0, podFailurePolicy }));
  await cluster.settle();
  await end(cluster, 7);
  await cluster.pass(20_000);
  expect((await status(cluster)).failed ?? 0).toBe(0);
  const [pod] = await running(cluster);
  await end(cluster, 42);
  expect((await status(cluster)).conditions?.find((c) => c.type === 'Failed')).toMatchObject({
    reason: 'PodFailurePolicy',
    message: `Container c for pod default/${pod?.metadata.name} failed with exit code 42 matching FailJob rule at index 0`,
  });
});

test('with backoffLimitPerIndex other indexes go on and the job fails at the end', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 0 }));
  await cluster.settle();
  const first = (pod: Stored<Pod>) => pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index'] === '0';
  await end(cluster, 1, first);
  await cluster.pass(60_000);
  expect((await running(cluster)).length).toBe(1);
  expect(await status(cluster)).toMatchObject({ failedIndexes: '0' });
  await end(cluster, 0);
  expect(await conditions(cluster)).toEqual(['FailureTarget=True FailedIndexes', 'Failed=True FailedIndexes']);
});

test('a success policy ends the job early', async () => {
  await using cluster = await start();
  await cluster.client.create(
    jobs,
    job({ completionMode: 'Indexed', completions: 3, parallelism: 3, successPolicy: { rules: [{ succeededIndexes: '0' }] } }),
  );
  await cluster.settle();
  await end(cluster, 0, (pod) => pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index'] === '0');
  expect(await conditions(cluster)).toEqual(['SuccessCriteriaMet=True SuccessPolicy']);
  await cluster.runPods();
  expect(await conditions(cluster)).toContain('Complete=True SuccessPolicy');
});

test('restarts count towards backoffLimit with restartPolicy OnFailure', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job({ backoffLimit: 3 }, { restartPolicy: 'OnFailure' }));
  await cluster.settle();
  const [pod] = await running(cluster);
  if (pod === undefined) throw new Error('no pod');
  await cluster.setPodStatus(pod, {
    phase: 'Running',
    containerStatuses: [{ name: 'c', image: 'i', imageID: '', ready: false, restartCount: 3 }],
  });
  await cluster.settle();
  expect(await conditions(cluster)).toEqual(['FailureTarget=True BackoffLimitExceeded']);
});

test('pods of a deleted job are let go', async () => {
  await using cluster = await start();
  await cluster.client.create(jobs, job());
  await cluster.settle();
  await cluster.client.delete(jobs, { namespace: 'default', name: 'work' }, { propagationPolicy: 'Background' });
  await cluster.settle();
  const [pod] = await cluster.list(pods);
  expect(pod?.metadata.finalizers ?? []).toEqual([]);
});

test.each([
  ['', []],
  ['0', [0]],
  ['0,1', [0, 1]],
  ['0-2,5', [0, 1, 2, 5]],
  ['1,3-5,7,8', [1, 3, 4, 5, 7, 8]],
])('indexes are written as %j', (text, list) => {
  expect(formatIndexes(new Set(list))).toBe(text);
  expect([...parseIndexes(text, 100)]).toEqual(list);
});
