/** Updates of parts of a pod, as upstream's TestValidatePodEphemeralContainersUpdate and TestValidatePodResize state them. */
import { expect, test } from 'vitest';
import { partProblems } from '../testing.ts';

const container = { name: 'c', image: 'i' };
const ephemeral = (fields: object = {}): object => ({ name: 'e', image: 'i', ...fields });
const mirror = { name: 'x', namespace: 'default', annotations: { 'kubernetes.io/config.mirror': 'h' } };

test('ephemeral containers may be added, not changed', () => {
  const problems = (now: object[], was: object[], metadata?: object): string[] => {
    const pod = (list: object[]): object => ({
      ...(metadata === undefined ? {} : { metadata }),
      spec: { containers: [container], nodeName: 'n', ephemeralContainers: list },
    });
    return partProblems('Pod', 'ephemeralcontainers', pod(now), pod(was));
  };
  expect(problems([ephemeral()], [])).toEqual([]);
  expect(problems([ephemeral(), ephemeral({ name: 'f' })], [ephemeral()])).toEqual([]);
  expect(problems([], [ephemeral()])).toEqual([
    'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be removed\n',
  ]);
  expect(problems([ephemeral({ image: 'j' })], [ephemeral()])).toEqual([
    expect.stringMatching(
      /^spec\.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be changed\n {2}core\.EphemeralContainer\{\n/,
    ),
  ]);
  expect(problems([ephemeral({ name: 'c' })], [])).toEqual(['spec.ephemeralContainers[0].name: Duplicate value: "c"']);
  expect(problems([ephemeral()], [], mirror)).toEqual([': Forbidden: static pods do not support ephemeral containers']);
});

test('a resize changes CPU and memory, in one class of service', () => {
  const problems = (now: object, was: object, rest: object = {}, spec: object = {}): string[] => {
    const pod = (resources: object, fields: object = {}): object => ({
      spec: { containers: [{ ...container, resources, ...fields }], ...spec },
    });
    return partProblems('Pod', 'resize', pod(now, rest), pod(was));
  };
  const cpu = (amount: string, others: object = {}): object => ({ requests: { cpu: amount, ...others } });
  expect(problems(cpu('2'), cpu('1'))).toEqual([]);
  expect(problems({ ...cpu('1'), limits: { cpu: '2' } }, cpu('1'))).toEqual([]);
  expect(problems({ limits: { memory: '1Gi' } }, cpu('1'))).toEqual([
    'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
  ]);
  expect(problems(cpu('1', { 'ephemeral-storage': '2Gi' }), cpu('1', { 'ephemeral-storage': '1Gi' }))).toEqual([
    'spec: Forbidden: only cpu and memory resources are mutable',
  ]);
  expect(problems(cpu('1'), {})).toEqual(['spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing']);
  expect(problems(cpu('2'), cpu('1'), { image: 'j' })).toEqual(['spec: Forbidden: only cpu and memory resources are mutable']);
  expect(problems(cpu('2'), cpu('1'), {}, { os: { name: 'windows' } })).toEqual([': Forbidden: windows pods cannot be resized']);
});
