/** Sources of volumes in pods and PersistentVolumes, and claims, as upstream's pkg/apis/core/validation/validation_test.go states them. */
import { describe, expect, test } from 'vitest';
import { createProblems, statusProblems, updateProblems } from '../testing.ts';

const container = { name: 'c', image: 'i' };
const inPod = (source: object): string[] =>
  createProblems('Pod', { spec: { serviceAccountName: 'sa', containers: [container], volumes: [{ name: 'v', ...source }] } });
const at = 'spec.volumes[0]';
const projected = (...sources: object[]): string[] => inPod({ projected: { sources } });
const claimSpec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };

describe("a pod's volume", () => {
  test.each<[string, string[], string[]]>([
    ['iscsi', inPod({ iscsi: { targetPortal: 't', iqn: 'iqn.2015-02.example.com:test', lun: 1 } }), []],
    ['csi', inPod({ csi: { driver: 'x.example.com' } }), []],
    ['image', inPod({ image: { reference: 'r', pullPolicy: 'Always' } }), []],
    ['ephemeral', inPod({ ephemeral: { volumeClaimTemplate: { spec: claimSpec } } }), []],
    ['none', inPod({}), []],
    [
      'an initiator without a form',
      inPod({ iscsi: { targetPortal: 't', iqn: 'iqn.2015.example', lun: 1 } }),
      [`${at}.iscsi.iqn: Invalid value: "iqn.2015.example": must be valid format`],
    ],
    [
      'a logical unit out of range',
      inPod({ iscsi: { targetPortal: 't', iqn: 'iqn.2015-02.example.com:test', lun: 256 } }),
      [`${at}.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive`],
    ],
    [
      'rbd of nothing',
      inPod({ rbd: { monitors: [], image: '' } }),
      [`${at}.rbd.monitors: Required value`, `${at}.rbd.image: Required value`],
    ],
    ['cephfs', inPod({ cephfs: { monitors: [] } }), [`${at}.cephfs.monitors: Required value`]],
    [
      'nfs',
      inPod({ nfs: { server: '', path: 'rel' } }),
      [`${at}.nfs.server: Required value`, `${at}.nfs.path: Invalid value: "rel": must be an absolute path`],
    ],
    [
      'a driver without a name',
      inPod({ csi: { driver: '' } }),
      [`${at}.csi.driver: Required value`, expect.stringContaining('a lowercase RFC 1123 subdomain must consist of')],
    ],
    ['an image without a reference', inPod({ image: {} }), [`${at}.image.reference: Required value`]],
    [
      'two sources',
      inPod({ emptyDir: {}, nfs: { server: 's', path: '/p' } }),
      [`${at}.nfs: Forbidden: may not specify more than 1 volume type`],
    ],
    [
      'a template without modes',
      inPod({ ephemeral: { volumeClaimTemplate: { spec: { resources: claimSpec.resources } } } }),
      [`${at}.ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required`],
    ],
    [
      'short tokens',
      projected({ serviceAccountToken: { path: 'token', expirationSeconds: 599 } }),
      [
        `${at}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes`,
      ],
    ],
    [
      'one path twice',
      projected(
        { configMap: { name: 'a', items: [{ key: 'k', path: 'p' }] } },
        { secret: { name: 's', items: [{ key: 'k', path: 'p' }] } },
      ),
      [`${at}.projected: Invalid value: "s": conflicting duplicate paths`],
    ],
    [
      'two in one source',
      projected({ configMap: { name: 'a' }, secret: { name: 's' } }),
      [`${at}.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source`],
    ],
    [
      'a path up',
      projected({ configMap: { name: 'a', items: [{ key: 'k', path: '../p' }] } }),
      [`${at}.projected.sources[0].configMap.items[0].path: Invalid value: "../p": must not contain '..'`],
    ],
    [
      'a wrong mode',
      inPod({ secret: { secretName: 's', defaultMode: 0o1000 } }),
      [`${at}.secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive`],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });

  test('of no service account has no token', () => {
    const volumes = [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }];
    expect(createProblems('Pod', { spec: { containers: [container], volumes } })).toEqual([
      `${at}.projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set`,
    ]);
  });
});

const volumeSpec = { capacity: { storage: '10Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/foo' } };
const volume = (fields: object): string[] => createProblems('PersistentVolume', { spec: { ...volumeSpec, ...fields } });
const nodes = (key: string): object => ({
  required: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'In', values: ['z'] }] }] },
});

describe('a volume', () => {
  test.each<[string, string[], string[]]>([
    ['a plain one', volume({}), []],
    ['with nodes', volume({ hostPath: undefined, local: { path: '/p' }, nodeAffinity: nodes('a') }), []],
    ['of nothing', volume({ hostPath: undefined }), ['spec: Required value: must specify a volume type']],
    [
      'a local one without nodes',
      volume({ hostPath: undefined, local: { path: '/p' } }),
      ['spec.nodeAffinity: Required value: Local volume requires node affinity'],
    ],
    [
      'the root, recycled',
      volume({ hostPath: { path: '/a/..' }, persistentVolumeReclaimPolicy: 'Recycle' }),
      [`spec.hostPath.path: Invalid value: "/a/..": must not contain '..'`],
    ],
    [
      'of another amount',
      volume({ capacity: { cpu: '1' } }),
      ['spec.capacity: Unsupported value: {"cpu":"1"}: supported values: "storage"'],
    ],
    ['of two kinds', volume({ nfs: { server: 's', path: '/p' } }), ['spec.nfs: Forbidden: may not specify more than 1 volume type']],
    [
      'csi without a handle',
      volume({ hostPath: undefined, csi: { driver: 'd', volumeHandle: '' } }),
      ['spec.csi.volumeHandle: Required value'],
    ],
    [
      'attributes without csi',
      volume({ volumeAttributesClassName: 'fast' }),
      ['spec.csi: Required value: has to be specified when using volumeAttributesClassName'],
    ],
    [
      'once per pod and more',
      volume({ accessModes: ['ReadWriteOncePod', 'ReadWriteMany'] }),
      ['spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes'],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });

  const update = (now: object, was: object): string[] =>
    updateProblems('PersistentVolume', { spec: { ...volumeSpec, ...now } }, { spec: { ...volumeSpec, ...was } });

  test('keeps its source', () => {
    expect(update({ storageClassName: 'x' }, {})).toEqual([]);
    expect(update({ hostPath: { path: '/bar' } }, {})).toEqual([
      'spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n  core.PersistentVolumeSource{\n  \thostPath: {\n- \t\tpath: "/foo",\n+ \t\tpath: "/bar",\n  \t\ttype: "",\n  \t},\n  }\n',
    ]);
  });

  test('keeps its nodes, but for new names of labels', () => {
    const old = 'failure-domain.beta.kubernetes.io/zone';
    expect(update({ nodeAffinity: nodes('a') }, {})).toEqual([]);
    expect(update({ nodeAffinity: nodes('topology.kubernetes.io/zone') }, { nodeAffinity: nodes(old) })).toEqual([]);
    const [problem = ''] = update({ nodeAffinity: nodes('b') }, { nodeAffinity: nodes(old) });
    expect(problem).toMatch(/^nodeAffinity: Invalid value: .*: field is immutable, except for updating from beta label to GA$/);
  });
});

const claim = (fields: object): string[] => createProblems('PersistentVolumeClaim', { spec: { ...claimSpec, ...fields } });
const other = { kind: 'PersistentVolumeClaim', name: 'other' };

describe('a claim', () => {
  test.each<[string, string[], string[]]>([
    ['a plain one', claim({}), []],
    ['a copy', claim({ dataSource: other, dataSourceRef: other }), []],
    ['without modes', claim({ accessModes: [] }), ['spec.accessModes: Required value: at least 1 access mode is required']],
    [
      'of an unknown mode',
      claim({ accessModes: ['Odd'] }),
      [
        'spec.accessModes: Unsupported value: "Odd": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
      ],
    ],
    [
      'of no size',
      claim({ resources: { requests: { storage: '0' } } }),
      ['spec.resources[storage]: Invalid value: "0": must be greater than zero'],
    ],
    [
      'of a class with a bad name',
      claim({ volumeMode: 'Odd' }),
      ['spec.volumeMode: Unsupported value: "Odd": supported values: "Block", "Filesystem"'],
    ],
    [
      'two sources',
      claim({ dataSource: other, dataSourceRef: { ...other, name: 'third' } }),
      ['spec: Invalid value: {}: must match dataSourceRef'],
    ],
  ])('%s', (_name, found, expected) => {
    expect(found).toEqual(expected);
  });

  const bound = { status: { phase: 'Bound', capacity: { storage: '1Gi' } } };
  const sized = (storage: string, fields: object = {}): object => ({
    spec: { ...claimSpec, resources: { requests: { storage } }, ...fields },
  });

  test('grows while bound', () => {
    expect(updateProblems('PersistentVolumeClaim', { ...sized('2Gi'), ...bound }, { ...sized('1Gi'), ...bound })).toEqual([]);
    expect(updateProblems('PersistentVolumeClaim', { ...sized('1Gi'), ...bound }, { ...sized('2Gi'), ...bound })).toEqual([
      'spec.resources.requests.storage: Forbidden: field can not be less than status.capacity',
    ]);
    const [problem = ''] = updateProblems('PersistentVolumeClaim', sized('2Gi'), sized('1Gi'));
    expect(problem).toMatch(
      /^spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n {2}core.PersistentVolumeClaimSpec\{\n/,
    );
  });

  test('keeps an attributes class', () => {
    const now = { ...sized('1Gi'), ...bound };
    const was = { ...sized('1Gi', { volumeAttributesClassName: 'a' }), ...bound };
    expect(updateProblems('PersistentVolumeClaim', now, was)).toContain(
      'spec.volumeAttributesClassName: Forbidden: update from non-nil value to nil is forbidden',
    );
  });

  test('has a status about storage', () => {
    const was = sized('1Gi');
    const now = { ...was, status: { capacity: { storage: '-1' }, allocatedResourceStatuses: { cpu: 'Odd' } } };
    expect(statusProblems('PersistentVolumeClaim', now, was)).toEqual([
      'status.capacity[storage]: Invalid value: "-1": must be a valid resource quantity',
      'status.allocatedResourceStatus: Unsupported value: "cpu": supported values: "storage"',
      'status.allocatedResourceStatus: Unsupported value: "cpu": supported values: "ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"',
    ]);
  });
});
