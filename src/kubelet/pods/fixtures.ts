/** Pods and runtime states for tests. */
import type { Container, Pod, PodSpec } from '#kube/generated/core-v1.ts';
import { containerHash } from './names.ts';
import type { ContainerRecord, PodRuntime, SandboxState } from './runtime.ts';

export const testPod = (spec: Partial<PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'ns', uid: 'u1', ...metadata },
  spec: { containers: [{ name: 'c', image: 'img' }], ...spec },
});

export const testSandbox = (fields: Partial<SandboxState> = {}): SandboxState => ({
  id: 's0',
  attempt: 0,
  createdMs: 1000,
  ready: true,
  hostNetwork: false,
  ips: ['10.42.0.5'],
  ...fields,
});

export const testRecord = (name: string, fields: Partial<ContainerRecord> = {}): ContainerRecord => ({
  id: `${name}-0`,
  sandboxId: 's0',
  name,
  state: 'running',
  createdMs: 2000,
  startedMs: 3000,
  finishedMs: 0,
  exitCode: 0,
  reason: '',
  message: '',
  image: 'docker.io/library/img:latest',
  imageRef: 'sha256:1',
  hash: containerHash({ name, image: 'img' }),
  restartCount: 0,
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  gracePeriodSeconds: 30,
  logPath: '',
  mounts: [],
  ...fields,
});

export const exited = (name: string, exitCode: number, fields: Partial<ContainerRecord> = {}): ContainerRecord =>
  testRecord(name, { state: 'exited', exitCode, finishedMs: 5000, reason: exitCode === 0 ? 'Completed' : 'Error', ...fields });

export const testRuntime = (containers: readonly ContainerRecord[], sandboxes: readonly SandboxState[] = [testSandbox()]): PodRuntime => ({
  uid: 'u1',
  name: 'p',
  namespace: 'ns',
  sandboxes,
  containers,
});

export const container = (name: string, fields: Partial<Container> = {}): Container => ({ name, image: 'img', ...fields });
