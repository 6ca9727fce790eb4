/** Containers, init containers and ephemeral containers of a pod. */
import type { Container, ContainerPort, EphemeralContainer, VolumeDevice, VolumeMount } from '#kube/generated/core-v1.ts';
import type { FieldError } from '#kube/status-error.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotFound,
  fieldNotSupported,
  fieldRequired,
} from '#kube/validation/field-error.ts';
import { oneOf, optionalOneOf, pathWithoutBacksteps, portName, portNumber, requiredDnsLabel } from '#kube/validation/values.ts';
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

function subPath(field: string, path: string): FieldError[] {
  if (path.startsWith('/')) return [fieldInvalid(field, path, 'must be a relative path')];
  return pathWithoutBacksteps(field, path);
}

function mounts(field: string, list: readonly VolumeMount[] | undefined, devices: ReadonlySet<string>, context: PodContext): FieldError[] {
  const paths = new Set<string>();
  return (list ?? []).flatMap((mount, i) => {
    const at = `${field}[${i}]`;
    const errors: FieldError[] = [];
    if (mount.name === '') errors.push(fieldRequired(`${at}.name`));
    if (!context.volumes.has(mount.name)) errors.push(fieldNotFound(`${at}.name`, mount.name));
    if (mount.mountPath === '') errors.push(fieldRequired(`${at}.mountPath`));
    if (paths.has(mount.mountPath)) errors.push(fieldInvalid(`${at}.mountPath`, mount.mountPath, 'must be unique'));
    paths.add(mount.mountPath);
    if (devices.has(mount.name)) errors.push(fieldInvalid(`${at}.name`, mount.name, 'must not already exist in volumeDevices'));
    const { subPath: sub = '', subPathExpr: expression = '' } = mount;
    if (sub !== '') errors.push(...subPath(`${at}.subPath`, sub));
    if (expression !== '') {
      if (sub !== '') errors.push(fieldInvalid(`${at}.subPathExpr`, expression, 'subPathExpr and subPath are mutually exclusive'));
      errors.push(...subPath(`${at}.subPathExpr`, expression));
    }
    errors.push(...optionalOneOf(`${at}.mountPropagation`, mount.mountPropagation, ['Bidirectional', 'HostToContainer', 'None']));
    return errors;
  });
}

function devices(
  field: string,
  list: readonly VolumeDevice[] | undefined,
  mounted: ReadonlySet<string>,
  context: PodContext,
): FieldError[] {
  const names = new Set<string>();
  const paths = new Set<string>();
  return (list ?? []).flatMap((device, i) => {
    const at = `${field}[${i}]`;
    const errors: FieldError[] = [];
    if (device.name === '') errors.push(fieldRequired(`${at}.name`));
    if (names.has(device.name)) errors.push(fieldInvalid(`${at}.name`, device.name, 'must be unique'));
    if (!context.volumes.has(device.name)) errors.push(fieldNotFound(`${at}.name`, device.name));
    else if (!context.claimVolumes.has(device.name)) {
      errors.push(
        fieldInvalid(`${at}.name`, device.name, 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode'),
      );
    }
    if (device.devicePath === '') errors.push(fieldRequired(`${at}.devicePath`));
    if (paths.has(device.devicePath)) errors.push(fieldInvalid(`${at}.devicePath`, device.devicePath, 'must be unique'));
    if (device.devicePath !== '') errors.push(...pathWithoutBacksteps(`${at}.devicePath`, device.devicePath));
    if (mounted.has(device.name)) errors.push(fieldInvalid(`${at}.name`, device.name, 'must not already exist in volumeMounts'));
    names.add(device.name);
    paths.add(device.devicePath);
    return errors;
  });
}

type AnyContainer = Container | EphemeralContainer;

/** What holds for containers of every sort: validateContainerCommon. */
function common(field: string, container: AnyContainer, context: PodContext): FieldError[] {
  const errors = requiredDnsLabel(`${field}.name`, container.name);
  const image = container.image ?? '';
  if (image !== '' && image !== image.trim()) {
    errors.push(fieldInvalid(`${field}.image`, image, 'must not have leading or trailing whitespace'));
  }
  if (image === '' && !context.template) errors.push(fieldRequired(`${field}.image`));
  const mounted = new Set((container.volumeMounts ?? []).map((m) => m.name));
  const asDevices = new Set((container.volumeDevices ?? []).map((d) => d.name));
  errors.push(
    ...oneOf(`${field}.terminationMessagePolicy`, container.terminationMessagePolicy, ['FallbackToLogsOnError', 'File']),
    ...ports(`${field}.ports`, container.ports),
    ...environment(`${field}.env`, container.env),
    ...environmentFrom(`${field}.envFrom`, container.envFrom),
    ...mounts(`${field}.volumeMounts`, container.volumeMounts, asDevices, context),
    ...devices(`${field}.volumeDevices`, container.volumeDevices, mounted, context),
    ...oneOf(`${field}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...resourceRequirements(`${field}.resources`, container.resources, context.resourceClaims),
    ...resizePolicy(`${field}.resizePolicy`, container),
    ...containerSecurity(`${field}.securityContext`, container.securityContext, context),
  );
  return errors;
}

function resizePolicy(field: string, container: AnyContainer): FieldError[] {
  const seen = new Set<string>();
  return (container.resizePolicy ?? []).flatMap((policy, i) => {
    const at = `${field}[${i}]`;
    const errors: FieldError[] = [];
    if (seen.has(policy.resourceName)) errors.push(fieldDuplicate(at, policy.resourceName));
    seen.add(policy.resourceName);
    errors.push(
      ...oneOf(`${at}.resourceName`, policy.resourceName, ['cpu', 'memory']),
      ...oneOf(`${at}.restartPolicy`, policy.restartPolicy, ['NotRequired', 'RestartContainer']),
    );
    return errors;
  });
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

function hostNetworkPorts(field: string, containers: readonly Container[], context: PodContext): FieldError[] {
  if (context.spec.hostNetwork !== true) return [];
  return containers.flatMap((container, i) =>
    (container.ports ?? []).flatMap((port, j) =>
      port.hostPort === port.containerPort
        ? []
        : [
            fieldInvalid(
              `${field}[${i}].ports[${j}].containerPort`,
              port.containerPort,
              'must match `hostPort` when `hostNetwork` is true',
            ),
          ],
    ),
  );
}

const graceOf = (context: PodContext): number => context.spec.terminationGracePeriodSeconds ?? 30;

export function containers(field: string, context: PodContext): FieldError[] {
  const list = context.spec.containers;
  if (list.length === 0) return [fieldRequired(field)];
  const names = new Set<string>();
  const errors = list.flatMap((container, i) => {
    const at = `${field}[${i}]`;
    const found = common(at, container, context);
    if (names.has(container.name)) found.push(fieldDuplicate(`${at}.name`, container.name));
    names.add(container.name);
    found.push(...containerProbes(at, container, graceOf(context)));
    if (container.restartPolicy !== undefined) {
      const supported = ['Always', 'Never', 'OnFailure'];
      if (!supported.includes(container.restartPolicy))
        found.push(fieldNotSupported(`${at}.restartPolicy`, container.restartPolicy, supported));
    }
    return found;
  });
  return [...errors, ...hostPortConflicts(field, list, new Set()), ...hostNetworkPorts(field, list, context)];
}

export function initContainers(field: string, context: PodContext): FieldError[] {
  const names = new Set(context.spec.containers.map((c) => c.name));
  return (context.spec.initContainers ?? []).flatMap((container, i) => {
    const at = `${field}[${i}]`;
    const errors = common(at, container, context);
    if (names.has(container.name)) errors.push(fieldDuplicate(`${at}.name`, container.name));
    names.add(container.name);
    errors.push(...hostPortConflicts(field, [container], new Set()));
    const sidecar = container.restartPolicy === 'Always';
    errors.push(...optionalOneOf(`${at}.restartPolicy`, container.restartPolicy, ['Always', 'Never', 'OnFailure']));
    if (sidecar) errors.push(...containerProbes(at, container, graceOf(context)));
    else {
      for (const part of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
        if (container[part] !== undefined) {
          errors.push(fieldForbidden(`${at}.${part}`, 'may not be set for init containers without restartPolicy=Always'));
        }
      }
    }
    return errors;
  });
}

const ephemeralForbidden = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle', 'resources', 'resizePolicy'] as const;

export function ephemeralContainers(field: string, context: PodContext): FieldError[] {
  const { spec } = context;
  const others = new Set([...spec.containers, ...(spec.initContainers ?? [])].map((c) => c.name));
  const names = new Set(others);
  return (spec.ephemeralContainers ?? []).flatMap((container, i) => {
    const at = `${field}[${i}]`;
    const errors = common(at, container, context);
    if (names.has(container.name)) errors.push(fieldDuplicate(`${at}.name`, container.name));
    names.add(container.name);
    const target = container.targetContainerName ?? '';
    if (target !== '' && !others.has(target)) errors.push(fieldNotFound(`${at}.targetContainerName`, target));
    for (const part of ephemeralForbidden) {
      const value = container[part];
      if (value !== undefined && Object.keys(value).length > 0) {
        errors.push(fieldForbidden(`${at}.${part}`, 'cannot be set for an Ephemeral Container'));
      }
    }
    for (const [j, mount] of (container.volumeMounts ?? []).entries()) {
      if ((mount.subPath ?? '') !== '')
        errors.push(fieldForbidden(`${at}.volumeMounts[${j}].subPath`, 'cannot be set for an Ephemeral Container'));
    }
    return errors;
  });
}
