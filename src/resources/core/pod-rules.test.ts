/** Rarer rules of pods, as upstream's pkg/apis/core/validation/validation_test.go states them. */
import { describe, expect, test } from 'vitest';
import { createProblems, statusProblems, updateProblems } from '../testing.ts';

const container = { name: 'c', image: 'i' };
const pod = (spec: object, metadata: object = {}): string[] =>
  createProblems('Pod', { metadata: { name: 'x', namespace: 'default', ...metadata }, spec: { containers: [container], ...spec } });
const secure = (securityContext: object, spec: object = {}): string[] => pod({ containers: [{ ...container, securityContext }], ...spec });
const within = (fields: object, spec: object = {}): string[] => pod({ containers: [{ ...container, ...fields }], ...spec });
const annotated = (key: string, value: string, spec: object = {}): string[] => pod(spec, { annotations: { [key]: value } });
const c0 = 'spec.containers[0]';
const hostProcess = { windowsOptions: { hostProcess: true } };
const apparmor = 'container.apparmor.security.beta.kubernetes.io/c';

describe('a pod', () => {
  test.each<[string, string[], string[]]>([
    ['of windows', pod({ os: { name: 'windows' }, securityContext: { windowsOptions: { runAsUserName: 'dom\\bob' } } }), []],
    ['processes of the host', pod({ hostNetwork: true, securityContext: hostProcess }), []],
    [
      'a mix of processes',
      pod({
        hostNetwork: true,
        containers: [
          { ...container, securityContext: hostProcess },
          { name: 'd', image: 'i' },
        ],
      }),
      ['spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess containers'],
    ],
    [
      'processes of the host in a network of their own',
      pod({ securityContext: hostProcess }),
      ['spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers'],
    ],
    [
      'options of windows on linux',
      pod({ os: { name: 'linux' }, securityContext: { windowsOptions: {} } }),
      ['spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod'],
    ],
    [
      'options of linux on windows',
      secure({ privileged: true }, { os: { name: 'windows' }, hostPID: true }),
      [
        'spec.hostPID: Forbidden: cannot be set for a windows pod',
        `${c0}.securityContext.privileged: Forbidden: cannot be set for a windows pod`,
      ],
    ],
    ['an unknown system', pod({ os: { name: 'beos' } }), ['spec.os: Unsupported value: "beos": supported values: "linux", "windows"']],
    [
      'an empty user',
      pod({ securityContext: { windowsOptions: { runAsUserName: '' } } }),
      ['spec.securityContext.windowsOptions.runAsUserName: Invalid value: "": runAsUserName cannot be an empty string'],
    ],
    [
      'users of its own and the network of the node',
      pod({ hostUsers: false, hostNetwork: true }),
      ['spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false'],
    ],
    ['no resolver', pod({ dnsPolicy: 'None' }), ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None']],
    [
      'four resolvers',
      pod({ dnsConfig: { nameservers: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'] } }),
      ['spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]: must not have more than 3 nameservers'],
    ],
    [
      'a claim of neither kind',
      pod({ resourceClaims: [{ name: 'a' }] }),
      [
        'spec.resourceClaims[0]: Invalid value: {"Name":"a","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`',
      ],
    ],
    [
      'a claim that the pod has not',
      within({ resources: { claims: [{ name: 'a' }] } }),
      [`${c0}.resources.claims[0]: Not found: "a": must be one of the names in pod.spec.resourceClaims which is empty`],
    ],
    [
      'a cost that is no number',
      annotated('controller.kubernetes.io/pod-deletion-cost', '+10'),
      ['metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+10": must be a 32bit integer'],
    ],
    [
      'a mirror without a node',
      annotated('kubernetes.io/config.mirror', 'x'),
      ['metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set'],
    ],
    [
      'a strange profile',
      annotated(apparmor, 'odd'),
      [`metadata.annotations[${apparmor}]: Invalid value: "odd": invalid AppArmor profile name: "odd"`],
    ],
    [
      'two profiles',
      pod(
        { containers: [{ ...container, securityContext: { appArmorProfile: { type: 'Unconfined' } } }] },
        { annotations: { [apparmor]: 'runtime/default' } },
      ),
      [`${c0}.securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match`],
    ],
    [
      'privileges without more privileges',
      secure({ allowPrivilegeEscalation: false, privileged: true }),
      [
        expect.stringMatching(
          /^spec\.containers\[0\]\.securityContext: Invalid value: \{.*\}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true$/,
        ),
      ],
    ],
    [
      'huge pages alone',
      within({ resources: { limits: { 'hugepages-2Mi': '4Mi' } } }),
      [`${c0}.resources: Forbidden: HugePages require cpu or memory`],
    ],
    [
      'less for the pod than for its containers',
      within({ resources: { requests: { cpu: '2' } } }, { resources: { requests: { cpu: '1' } } }),
      ['spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2'],
    ],
    ['a gate twice', pod({ schedulingGates: [{ name: 'a' }, { name: 'a' }] }), ['spec.schedulingGates[1]: Duplicate value: "a"']],
    ['space around an image', within({ image: ' i' }), [`${c0}.image: Invalid value: " i": must not have leading or trailing whitespace`]],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });
});

describe('an update of a pod', () => {
  const update = (now: object, was: object): string[] =>
    updateProblems('Pod', { spec: { containers: [container], ...now } }, { spec: { containers: [container], ...was } });
  const gated = { schedulingGates: [{ name: 'g' }] };
  const terms = (...values: string[]): object => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: values.map((key) => ({ key, operator: 'Exists' })) }],
        },
      },
    },
  });

  test('at a gate may narrow the nodes', () => {
    expect(update({ ...gated, nodeSelector: { a: 'b' } }, gated)).toEqual([]);
    expect(update({ ...gated, ...terms('a') }, gated)).toEqual([]);
    expect(update({ ...gated, ...terms('a', 'b') }, { ...gated, ...terms('a') })).toEqual([]);
    expect(update(gated, { ...gated, nodeSelector: { a: 'b' } })).toEqual([
      'spec.nodeSelector: Invalid value: null: only additions to spec.nodeSelector are allowed (no mutations or deletions)',
    ]);
    expect(update({ ...gated, ...terms('b') }, { ...gated, ...terms('a') })).toEqual([
      expect.stringMatching(/nodeSelectorTerms\[0\]: Invalid value: .*: only additions are allowed \(no mutations or deletions\)$/),
    ]);
  });

  test('passes gates, and makes none', () => {
    expect(update({}, gated)).toEqual([]);
    expect(update(gated, {})).toEqual([
      "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'g'",
    ]);
  });

  test('keeps what says that it mirrors a file', () => {
    const meta = { name: 'x', namespace: 'default' };
    const spec = { containers: [container], nodeName: 'n' };
    const mirror = { metadata: { ...meta, annotations: { 'kubernetes.io/config.mirror': 'h' } }, spec };
    const plain = { metadata: meta, spec };
    const field = 'metadata.annotations[kubernetes.io/config.mirror]';
    expect(updateProblems('Pod', mirror, plain)).toEqual([`${field}: Forbidden: may not add mirror pod annotation`]);
    expect(updateProblems('Pod', plain, mirror)).toEqual([`${field}: Forbidden: may not remove or update mirror pod annotation`]);
  });
});

test("a pod's status", () => {
  const spec = { containers: [container] };
  const problems = (status: object, was: object = {}): string[] => statusProblems('Pod', { spec, status }, { spec, status: was });
  expect(problems({ podIPs: [{ ip: '1.2.3.4' }, { ip: 'fd00::1' }], conditions: [{ type: 'Ready', status: 'True' }] })).toEqual([]);
  expect(problems({ conditions: [{ type: 'a b', status: 'True' }] })).toEqual([
    expect.stringMatching(/^metadata\.conditions\[0\]\.Type: Invalid value: "a b": name part must consist of/),
  ]);
  expect(problems({ qosClass: 'Guaranteed' }, { qosClass: 'BestEffort' })).toEqual([
    'status.qosClass: Invalid value: "Guaranteed": field is immutable',
  ]);
  expect(problems({ podIPs: [{ ip: '1.2.3.4' }, { ip: '1.2.3.5' }] })).toEqual([
    'status.podIPs: Invalid value: [{"IP":"1.2.3.4"},{"IP":"1.2.3.5"}]: may specify no more than one IP for each IP family',
  ]);
  expect(problems({ resourceClaimStatuses: [{ name: 'a' }] })).toEqual([
    'status.resourceClaimStatuses[0].name: Invalid value: "a": must match the name of an entry in `spec.resourceClaims`',
  ]);
});
