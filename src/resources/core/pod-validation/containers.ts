/** Containers, init containers and ephemeral containers of a pod. */
import type { Container, ContainerPort, EphemeralContainer, Volume, VolumeMount } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotFound,
  fieldNotSupported,
  fieldRequired,
  fieldTooMany,
} from '#kube/validation/field-error.ts';
import { localPath, oneOf, optionalOneOf, portName, portNumber, requiredDnsLabel } from '#kube/validation/values.ts';
import type { PodContext } from './context.ts';
import { environment, environmentFrom } from './environment.ts';
import { containerProbes } from './probes.ts';
import { resourceRequirements } from './resources.ts';
import { containerSecurity } from './security.ts';

const protocols = ['SCTP', 'TCP', 'UDP'];

function ports(field: string, list: readonly ContainerPort[] | undefined): FieldError[] {
  const names = new Set<string>();
  return (list ?? []).flatMap((port, i) => {
    const at = `${field}[${i}]`;
    const errors: FieldError[] = [];
    if (port.name !== undefined && port.name !== '') {
      const bad = portName(`${at}.name`, port.name);
      errors.push(...bad);
      if (bad.length === 0 && names.has(port.name)) errors.push(fieldDuplicate(`${at}.name`, port.name));
      names.add(port.name);
    }
    if (port.containerPort === 0) errors.push(fieldRequired(`${at}.containerPort`));
    else errors.push(...portNumber(`${at}.containerPort`, port.containerPort));
    if (port.hostPort !== undefined && port.hostPort !== 0) errors.push(...portNumber(`${at}.hostPort`, port.hostPort));
    errors.push(...oneOf(`${at}.protocol`, port.protocol, protocols));
    return errors;
  });
}

/** Mounts that the container may change on the host are for privileged ones. */
function propagation(field: string, mode: string | undefined, container: AnyContainer): FieldError[] {
  const errors = optionalOneOf(field, mode, ['Bidirectional', 'HostToContainer', 'None']);
  if (mode !== 'Bidirectional' || container.securityContext?.privileged === true) return errors;
  return [...errors, fieldForbidden(field, 'Bidirectional mount propagation is available only to privileged containers')];
}

function recursiveReadOnly(field: string, mount: VolumeMount): FieldError[] {
  const mode = mount.recursiveReadOnly;
  if (mode === undefined || mode === 'Disabled') return [];
  if (mode !== 'Enabled' && mode !== 'IfPossible') return [fieldNotSupported(field, mode, ['Disabled', 'Enabled', 'IfPossible'])];
  const propagates = mount.mountPropagation !== undefined && mount.mountPropagation !== 'None';
  return [
    ...(mount.readOnly === true ? [] : [fieldForbidden(field, 'may only be specified when readOnly is true')]),
    ...(propagates ? [fieldForbidden(field, 'may only be specified when mountPropagation is None or not specified')] : []),
  ];
}

/** Upstream names the list where a part of a mount is wrong, not the mount. */
function mounts(field: string, container: AnyContainer, context: PodContext): FieldError[] {
  const devices = new Map((container.volumeDevices ?? []).map((d) => [d.name, d.devicePath]));
  const devicePaths = new Set(devices.values());
  const paths = new Set<string>();
  return (container.volumeMounts ?? []).flatMap((mount, i) => {
    const at = `${field}[${i}]`;
    const { name, mountPath, subPath = '', subPathExpr: expression = '' } = mount;
    const errors: FieldError[] = [];
    if (name === '') errors.push(fieldRequired(`${at}.name`));
    if (!context.volumes.has(name)) errors.push(fieldNotFound(`${at}.name`, name));
    if (mountPath === '') errors.push(fieldRequired(`${at}.mountPath`));
    if (paths.has(mountPath)) errors.push(fieldInvalid(`${at}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    if (devices.has(name)) errors.push(fieldInvalid(`${at}.name`, name, 'must not already exist in volumeDevices'));
    if (devicePaths.has(mountPath))
      errors.push(fieldInvalid(`${at}.mountPath`, mountPath, 'must not already exist as a path in volumeDevices'));
    if (subPath !== '') errors.push(...localPath(`${field}.subPath`, subPath));
    if (expression !== '') {
      if (subPath !== '') errors.push(fieldInvalid(`${at}.subPathExpr`, expression, 'subPathExpr and subPath are mutually exclusive'));
      errors.push(...localPath(`${field}.subPathExpr`, expression));
    }
    return [
      ...errors,
      ...propagation(`${field}.mountPropagation`, mount.mountPropagation, container),
      ...recursiveReadOnly(`${field}.recursiveReadOnly`, mount),
    ];
  });
}

const isClaim = (volume: Volume): boolean => volume.persistentVolumeClaim !== undefined || volume.ephemeral !== undefined;

function devices(field: string, container: AnyContainer, context: PodContext): FieldError[] {
  const mounted = new Map((container.volumeMounts ?? []).map((m) => [m.name, m.mountPath]));
  const mountPaths = new Set(mounted.values());
  const names = new Set<string>();
  const paths = new Set<string>();
  return (container.volumeDevices ?? []).flatMap(({ name, devicePath }, i) => {
    const at = `${field}[${i}]`;
    const invalid = (part: string, value: string, why: string): FieldError => fieldInvalid(`${at}.${part}`, value, why);
    const volume = context.volumes.get(name);
    const errors: FieldError[] = [];
    if (name === '') errors.push(fieldRequired(`${at}.name`));
    if (names.has(name)) errors.push(invalid('name', name, 'must be unique'));
    if (volume === undefined) errors.push(fieldNotFound(`${at}.name`, name));
    else if (!isClaim(volume))
      errors.push(invalid('name', name, 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode'));
    if (devicePath === '') errors.push(fieldRequired(`${at}.devicePath`));
    if (paths.has(devicePath)) errors.push(invalid('devicePath', devicePath, 'must be unique'));
    if (devicePath.split('/').includes('..')) errors.push(invalid('devicePath', devicePath, "can not contain backsteps ('..')"));
    else paths.add(devicePath);
    if (mounted.has(name)) errors.push(invalid('name', name, 'must not already exist in volumeMounts'));
    if (mountPaths.has(devicePath)) errors.push(invalid('devicePath', devicePath, 'must not already exist as a path in volumeMounts'));
    if (name !== '') names.add(name);
    return errors;
  });
}

type AnyContainer = Container | EphemeralContainer;

/** What holds for containers of every sort: validateContainerCommon. */
function common(field: string, container: AnyContainer, context: PodContext): FieldError[] {
  return [
    ...requiredDnsLabel(`${field}.name`, container.name),
    ...((container.image ?? '') === '' ? [fieldRequired(`${field}.image`)] : []),
    ...oneOf(`${field}.terminationMessagePolicy`, container.terminationMessagePolicy, ['File', 'FallbackToLogsOnError']),
    ...ports(`${field}.ports`, container.ports),
    ...environment(`${field}.env`, container.env, context.volumes),
    ...environmentFrom(`${field}.envFrom`, container.envFrom),
    ...mounts(`${field}.volumeMounts`, container, context),
    ...devices(`${field}.volumeDevices`, container, context),
    ...oneOf(`${field}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...resourceRequirements(`${field}.resources`, container.resources, context.resourceClaims),
    ...resizePolicy(`${field}.resizePolicy`, container, context.spec.restartPolicy),
    ...containerSecurity(`${field}.securityContext`, container.securityContext, context),
  ];
}

/** Upstream names the list where a policy is wrong. */
function resizePolicy(field: string, container: AnyContainer, podPolicy: string | undefined): FieldError[] {
  const seen = new Set<string>();
  return (container.resizePolicy ?? []).flatMap(({ resourceName: name, restartPolicy: policy }, i) => {
    const again = seen.has(name) ? [fieldDuplicate(`${field}[${i}]`, name)] : [];
    seen.add(name);
    return [
      ...again,
      ...oneOf(field, name, ['cpu', 'memory']),
      ...oneOf(field, policy, ['NotRequired', 'RestartContainer']),
      ...(podPolicy === 'Never' && policy !== 'NotRequired'
        ? [fieldInvalid(field, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'")]
        : []),
    ];
  });
}

const restartLimits = { rules: 20, exitCodes: 255 };

/** A container's own policy, and rules for its exit codes: validateContainerRestartPolicy. */
function restartPolicy(field: string, { restartPolicy: policy, restartPolicyRules: rules = [] }: Container): FieldError[] {
  const errors = optionalOneOf(`${field}.restartPolicy`, policy, ['Always', 'Never', 'OnFailure']);
  if (policy === undefined && rules.length > 0)
    errors.push(fieldRequired(`${field}.restartPolicy`, 'must specify restartPolicy when restart rules are used'));
  const at = `${field}.restartPolicyRules`;
  if (rules.length > restartLimits.rules) errors.push(fieldTooMany(at, rules.length, restartLimits.rules));
  for (const [i, { action, exitCodes }] of rules.entries()) {
    if (action !== 'Restart') errors.push(fieldNotSupported(`${at}[${i}].action`, action, ['Restart']));
    if (exitCodes === undefined) errors.push(fieldRequired(`${at}[${i}].exitCodes`, 'must be specified'));
    else {
      const { operator, values = [] } = exitCodes;
      if (operator !== 'In' && operator !== 'NotIn')
        errors.push(fieldNotSupported(`${at}[${i}].exitCodes.operator`, operator, ['In', 'NotIn']));
      if (values.length > restartLimits.exitCodes)
        errors.push(fieldTooMany(`${at}[${i}].exitCodes.values`, values.length, restartLimits.exitCodes));
    }
  }
  return errors;
}

/** The same host port may be asked for once. */
function hostPortConflicts(field: string, containers: readonly Container[], used: Set<string>): FieldError[] {
  return containers.flatMap((container, i) =>
    (container.ports ?? []).flatMap((port, j) => {
      if (port.hostPort === undefined || port.hostPort === 0) return [];
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (used.has(key)) return [fieldDuplicate(`${field}[${i}].ports[${j}].hostPort`, key)];
      used.add(key);
      return [];
    }),
  );
}

/** On the host's network a container's ports are the host's; in templates the defaults are still to come. */
export function hostNetworkPorts(field: string, { spec, template }: PodContext): FieldError[] {
  if (spec.hostNetwork !== true) return [];
  return spec.containers.flatMap((container, i) =>
    (container.ports ?? []).flatMap(({ hostPort = 0, containerPort }, j) =>
      hostPort === containerPort || (template && hostPort === 0)
        ? []
        : [fieldInvalid(`${field}[${i}].ports[${j}].hostPort`, hostPort, 'must match `containerPort` when `hostNetwork` is true')],
    ),
  );
}

/** Spaces around the name of an image are refused in pods only: templates may have been stored with them. */
export const imageSpaces = (field: string, list: readonly AnyContainer[] | undefined): FieldError[] =>
  (list ?? []).flatMap(({ image = '' }, i) =>
    image === image.trim() ? [] : [fieldInvalid(`${field}[${i}].image`, image, 'must not have leading or trailing whitespace')],
  );

export function containers(field: string, context: PodContext): FieldError[] {
  const list = context.spec.containers;
  if (list.length === 0) return [fieldRequired(field)];
  const names = new Set<string>();
  const errors = list.flatMap((container, i) => {
    const at = `${field}[${i}]`;
    const again = names.has(container.name) ? [fieldDuplicate(`${at}.name`, container.name)] : [];
    names.add(container.name);
    return [
      ...common(at, container, context),
      ...again,
      ...containerProbes(at, container, context.spec.terminationGracePeriodSeconds),
      ...restartPolicy(at, container),
    ];
  });
  return [...errors, ...hostPortConflicts(field, list, new Set())];
}

/** What only init containers that keep running may have. */
function noSidecarParts(field: string, container: Container): FieldError[] {
  return (['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap((part) =>
    container[part] === undefined
      ? []
      : [fieldForbidden(`${field}.${part}`, 'may not be set for init containers without restartPolicy=Always')],
  );
}

export function initContainers(field: string, context: PodContext): FieldError[] {
  const { spec } = context;
  const names = new Set(spec.containers.map((c) => c.name));
  return (spec.initContainers ?? []).flatMap((container, i) => {
    const at = `${field}[${i}]`;
    const again = names.has(container.name) ? [fieldDuplicate(`${at}.name`, container.name)] : [];
    if (container.name !== '') names.add(container.name);
    const sidecar = container.restartPolicy === 'Always';
    return [
      ...common(at, container, context),
      ...restartPolicy(at, container),
      ...again,
      // Init containers run one by one: each has the host's ports for itself. Upstream counts from 0 here.
      ...hostPortConflicts(field, [container], new Set()),
      ...(sidecar ? containerProbes(at, container, spec.terminationGracePeriodSeconds) : noSidecarParts(at, container)),
    ];
  });
}

const notEphemeral = 'cannot be set for an Ephemeral Container';
/** In the order of Go's struct. */
const ephemeralForbidden = [
  ...(['ports', 'resources', 'resizePolicy', 'restartPolicy', 'restartPolicyRules'] as const),
  ...(['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const),
];

export function ephemeralContainers(field: string, context: PodContext): FieldError[] {
  const { spec } = context;
  const others = new Set([...spec.containers, ...(spec.initContainers ?? [])].map((c) => c.name));
  const names = new Set(others);
  return (spec.ephemeralContainers ?? []).flatMap((container, i) => {
    const at = `${field}[${i}]`;
    const errors = [...common(at, container, context), ...imageSpaces(field, [container]).map((e) => ({ ...e, field: `${at}.image` }))];
    if (names.has(container.name)) errors.push(fieldDuplicate(`${at}.name`, container.name));
    names.add(container.name);
    const target = container.targetContainerName ?? '';
    if (target !== '' && !others.has(target)) errors.push(fieldNotFound(`${at}.targetContainerName`, target));
    for (const part of ephemeralForbidden) {
      const value = container[part];
      const set = value !== undefined && (typeof value === 'string' || Object.keys(value).length > 0);
      if (set) errors.push(fieldForbidden(`${at}.${part}`, notEphemeral));
    }
    for (const [j, mount] of (container.volumeMounts ?? []).entries())
      for (const part of ['subPath', 'subPathExpr'] as const)
        if ((mount[part] ?? '') !== '') errors.push(fieldForbidden(`${at}.volumeMounts[${j}].${part}`, notEphemeral));
    return errors;
  });
}
