import { describe, expect, test } from 'vitest';
import type { CronJob } from '#kube/generated/batch-v1.ts';
import { cronJobs, jobs, pods } from '#kube/refs.ts';
import { cronJobController } from './cron-job.ts';
import { parseSchedule } from './cron-schedule.ts';
import { jobController } from './job.ts';
import { startCluster, type TestCluster } from './testing.ts';
import { ttlAfterFinishedController } from './ttl-after-finished.ts';

const cronJob = (more: Partial<CronJob['spec'] & object> = {}, jobSpec: object = {}): CronJob => ({
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name: 'tick', namespace: 'default' },
  spec: {
    schedule: '*/5 * * * *',
    jobTemplate: {
      metadata: { labels: { from: 'tick' } },
      spec: { template: { spec: { restartPolicy: 'Never', nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] } }, ...jobSpec },
    },
    ...more,
  },
});

const start = () => startCluster([cronJobController, jobController]);
const minutes = (n: number): number => n * 60_000;

async function finishPods(cluster: TestCluster, phase = 'Succeeded'): Promise<void> {
  for (const pod of await cluster.list(pods))
    if ((pod.status?.phase ?? 'Pending') === 'Pending') await cluster.setPodStatus(pod, { phase });
  await cluster.settle();
}

test('a job is made when its time comes, named after the minute', async () => {
  await using cluster = await start();
  await cluster.client.create(cronJobs, cronJob());
  await cluster.pass(minutes(4));
  expect(await cluster.list(jobs)).toEqual([]);
  await cluster.pass(minutes(1) + 500);
  const minute = Date.UTC(2026, 0, 1, 0, 5) / 60_000;
  const [job] = await cluster.list(jobs);
  expect(job?.metadata).toMatchObject({
    name: `tick-${minute}`,
    labels: { from: 'tick' },
    annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': '2026-01-01T00:05:00Z' },
    ownerReferences: [{ kind: 'CronJob', name: 'tick', controller: true }],
  });
  expect((await cluster.get(cronJobs, 'tick'))?.status).toMatchObject({
    lastScheduleTime: '2026-01-01T00:05:00Z',
    active: [{ kind: 'Job', name: `tick-${minute}` }],
  });
  await finishPods(cluster);
  expect((await cluster.get(cronJobs, 'tick'))?.status).toMatchObject({ lastSuccessfulTime: expect.any(String) });
  expect((await cluster.get(cronJobs, 'tick'))?.status?.active ?? []).toEqual([]);
  expect(await cluster.events()).toEqual(
    expect.arrayContaining([
      `SuccessfulCreate: Created job tick-${minute}`,
      `SawCompletedJob: Saw completed job: tick-${minute}, condition: Complete`,
    ]),
  );
});

test('Forbid skips a run while one is active, Replace ends the one before', async () => {
  await using cluster = await start();
  await cluster.client.create(cronJobs, cronJob({ concurrencyPolicy: 'Forbid' }));
  await cluster.pass(minutes(11));
  expect((await cluster.list(jobs)).length).toBe(1);
  expect((await cluster.events()).some((e) => e.startsWith('JobAlreadyActive'))).toBe(true);
  await cluster.patch(cronJobs, 'tick', { spec: { concurrencyPolicy: 'Replace' } });
  await cluster.pass(minutes(5));
  const names = await cluster.names(jobs);
  expect(names).toEqual([`tick-${Date.UTC(2026, 0, 1, 0, 15) / 60_000}`]);
});

test('old jobs beyond the history limits are deleted', async () => {
  await using cluster = await start();
  await cluster.client.create(cronJobs, cronJob({ successfulJobsHistoryLimit: 2, failedJobsHistoryLimit: 1 }, { backoffLimit: 0 }));
  for (let i = 0; i < 10; i++) {
    await cluster.pass(minutes(5) + 200);
    await finishPods(cluster, i % 2 === 0 ? 'Succeeded' : 'Failed');
  }
  const all = await cluster.list(jobs);
  const count = (type: string) => all.filter((j) => j.status?.conditions?.some((c) => c.type === type)).length;
  expect([count('Complete'), count('Failed')]).toEqual([2, 1]);
});

test('a suspended cron job makes no jobs', async () => {
  await using cluster = await start();
  await cluster.client.create(cronJobs, cronJob({ suspend: true }));
  await cluster.pass(minutes(30));
  expect(await cluster.list(jobs)).toEqual([]);
});

test('after an outage only the latest run is made up for, and not when its deadline has passed', async () => {
  await using cluster = await start();
  await cluster.client.create(cronJobs, cronJob({ suspend: true }));
  await cluster.pass(minutes(33));
  await cluster.patch(cronJobs, 'tick', { spec: { suspend: false } });
  await cluster.settle();
  expect(await cluster.names(jobs)).toEqual([`tick-${Date.UTC(2026, 0, 1, 0, 30) / 60_000}`]);
  await cluster.patch(cronJobs, 'tick', { spec: { suspend: true, startingDeadlineSeconds: 60 } });
  await cluster.pass(minutes(15));
  await cluster.patch(cronJobs, 'tick', { spec: { suspend: false } });
  await cluster.settle();
  expect((await cluster.list(jobs)).length).toBe(1);
});

test('jobs with a TTL are deleted that long after they finish', async () => {
  await using cluster = await startCluster([jobController, ttlAfterFinishedController]);
  const { jobTemplate } = cronJob().spec ?? { jobTemplate: {} };
  const spec = { template: { spec: { containers: [] } }, ...jobTemplate.spec, ttlSecondsAfterFinished: 30 };
  await cluster.client.create(jobs, { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'once', namespace: 'default' }, spec });
  await cluster.settle();
  await finishPods(cluster);
  await cluster.pass(28_000);
  expect((await cluster.get(jobs, 'once'))?.metadata.deletionTimestamp).toBeUndefined();
  await cluster.pass(3000);
  expect((await cluster.get(jobs, 'once'))?.metadata.deletionTimestamp).toBeDefined();
});

describe('schedules', () => {
  const next = (schedule: string, from: string, zone?: string): string | undefined => {
    const at = parseSchedule(schedule, zone).next(Date.parse(from));
    return at === undefined ? undefined : new Date(at).toISOString().replace(':00.000Z', '');
  };
  test.each([
    ['*/15 * * * *', '2026-07-09T14:45:00Z', '2026-07-09T15:00'],
    ['*/15 * * * *', '2026-07-09T14:59:59Z', '2026-07-09T15:00'],
    ['20-35/15 * * * *', '2026-07-09T14:46:00Z', '2026-07-09T15:20'],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
    ['0 0 1 * MON', '2026-07-02T00:00:00Z', '2026-07-06T00:00'],
    ['0 9 * * MON-FRI', '2026-07-10T09:00:00Z', '2026-07-13T09:00'],
    ['5/20 * * * *', '2026-07-09T14:06:00Z', '2026-07-09T14:25'],
    ['@monthly', '2026-07-09T14:06:00Z', '2026-08-01T00:00'],
    ['@every 1h30m', '2026-07-09T14:06:00Z', '2026-07-09T15:36'],
    ['0 0 30 2 *', '2026-01-01T00:00:00Z', undefined],
  ])('%s after %s', (schedule, from, wanted) => {
    expect(next(schedule, from)).toBe(wanted);
  });
  test.each([
    ['0 12 * * *', '2026-07-09T00:00:00Z', 'Europe/Berlin', '2026-07-09T10:00'],
    ['0 12 * * *', '2026-01-09T00:00:00Z', 'Europe/Berlin', '2026-01-09T11:00'],
    // In the spring the hour from two to three does not exist.
    ['30 2 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin', '2026-03-30T00:30'],
    // In the autumn it comes twice; the job runs once.
    ['30 2 25 10 *', '2026-10-24T12:00:00Z', 'Europe/Berlin', '2026-10-25T00:30'],
    ['30 2 25 10 *', '2026-10-25T00:30:00Z', 'Europe/Berlin', '2027-10-25T00:30'],
    ['0 0 * * *', '2026-07-09T00:00:00Z', 'Asia/Kolkata', '2026-07-09T18:30'],
  ])('%s after %s in %s', (schedule, from, zone, wanted) => {
    expect(next(schedule, from, zone)).toBe(wanted);
  });
  test.each([
    '',
    '* * * *',
    '* * * * * *',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * * 7',
    '5-1 * * * *',
    '*/0 * * * *',
    'x * * * *',
    '@never',
    '@every x',
  ])('%j is refused', (schedule) => {
    expect(() => parseSchedule(schedule)).toThrow(/.+/);
  });
});
