/** Defaults of pods and pod templates, after k8s.io/kubernetes pkg/apis/core/v1/defaults.go and conversion.go. */
import type {
  Container,
  EphemeralContainer,
  Lifecycle,
  PodSpec,
  PodTemplateSpec,
  Probe,
  Volume,
  VolumeProjection,
} from '#kube/generated/core-v1.ts';
import { canonicalQuantity, formatQuantity, roundUpQuantity } from '#kube/quantity.ts';
import type { Quantity } from '#kube/schema.ts';
import type { Mutable } from '../define.ts';
import { claimSpecDefaults } from './claim-defaults.ts';
import { defaultPullPolicy } from './image-name.ts';

type Amounts = Record<string, Quantity>;

/** Rounds amounts finer than 1m up to it: SetDefaults_ResourceList. */
export function roundResources(list: Amounts | undefined): void {
  if (list === undefined) return;
  for (const [name, amount] of Object.entries(list)) {
    if (/[nu]$|e-/.test(String(amount))) list[name] = formatQuantity(roundUpQuantity(canonicalQuantity(amount), -3));
  }
}

/** What is limited but not requested is requested as limited. */
export function requestsFromLimits(resources: { limits?: Amounts; requests?: Amounts } | undefined): void {
  if (resources?.limits === undefined) return;
  const requests = resources.requests ?? {};
  resources.requests = requests;
  for (const [name, amount] of Object.entries(resources.limits)) if (!Object.hasOwn(requests, name)) requests[name] = amount;
}

function probeDefaults(probe: Mutable<Probe> | undefined): void {
  if (probe === undefined) return;
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  httpGetDefaults(probe.httpGet);
  if (probe.grpc !== undefined) probe.grpc.service ??= '';
}

function httpGetDefaults(get: { path?: string; scheme?: string } | undefined): void {
  if (get === undefined) return;
  get.path ||= '/';
  get.scheme ||= 'HTTP';
}

function lifecycleDefaults(lifecycle: Mutable<Lifecycle> | undefined): void {
  httpGetDefaults(lifecycle?.postStart?.httpGet);
  httpGetDefaults(lifecycle?.preStop?.httpGet);
}

const fieldRefDefaults = (ref: { apiVersion?: string } | undefined): void => {
  if (ref !== undefined) ref.apiVersion ||= 'v1';
};

export function containerDefaults(container: Mutable<Container> | Mutable<EphemeralContainer>): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image ?? '');
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  for (const env of container.env ?? []) fieldRefDefaults(env.valueFrom?.fieldRef);
  probeDefaults(container.livenessProbe);
  probeDefaults(container.readinessProbe);
  probeDefaults(container.startupProbe);
  lifecycleDefaults(container.lifecycle);
  roundResources(container.resources?.limits);
  roundResources(container.resources?.requests);
}

const fileMode = 0o644;

function projectionDefaults(source: Mutable<VolumeProjection>): void {
  if (source.serviceAccountToken !== undefined) source.serviceAccountToken.expirationSeconds ??= 3600;
  for (const item of source.downwardAPI?.items ?? []) fieldRefDefaults(item.fieldRef);
}

function volumeDefaults(volume: Mutable<Volume>): void {
  if (Object.keys(volume).every((field) => field === 'name')) volume.emptyDir = {};
  if (volume.secret !== undefined) volume.secret.defaultMode ??= fileMode;
  if (volume.configMap !== undefined) volume.configMap.defaultMode ??= fileMode;
  if (volume.hostPath !== undefined) volume.hostPath.type ??= '';
  if (volume.image !== undefined) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference ?? '');
  if (volume.downwardAPI !== undefined) {
    volume.downwardAPI.defaultMode ??= fileMode;
    for (const item of volume.downwardAPI.items ?? []) fieldRefDefaults(item.fieldRef);
  }
  if (volume.projected !== undefined) {
    volume.projected.defaultMode ??= fileMode;
    for (const source of volume.projected.sources ?? []) projectionDefaults(source);
  }
  if (volume.ephemeral?.volumeClaimTemplate !== undefined) claimSpecDefaults(volume.ephemeral.volumeClaimTemplate.spec);
}

const containersOf = (spec: Mutable<PodSpec>): Mutable<Container>[] => [...(spec.initContainers ?? []), ...(spec.containers ?? [])];

/** Defaults of the spec of a pod or of a template. */
export function podSpecDefaults(spec: Mutable<PodSpec>): void {
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.restartPolicy ||= 'Always';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  spec.schedulerName ||= 'default-scheduler';
  const account = spec.serviceAccountName ?? spec.serviceAccount;
  if (account !== undefined && account !== '') {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  for (const volume of spec.volumes ?? []) volumeDefaults(volume);
  for (const container of containersOf(spec)) {
    containerDefaults(container);
    if (spec.hostNetwork === true) for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
  }
  for (const container of spec.ephemeralContainers ?? []) containerDefaults(container);
  roundResources(spec.overhead);
}

/** Defaults of a workload's template. */
export function templateDefaults(template: Mutable<PodTemplateSpec> | undefined): void {
  if (template?.spec !== undefined) podSpecDefaults(template.spec);
}

/** What pods get beyond templates: requests from limits, service links. */
export function podOnlyDefaults(spec: Mutable<PodSpec>): void {
  for (const container of containersOf(spec)) requestsFromLimits(container.resources);
  requestsFromLimits(spec.resources);
  spec.enableServiceLinks ??= true;
}
