/** Binds claims to volumes and says what has become of either: k8s.io/kubernetes pkg/controller/volume/persistentvolume. */
import { createReconciler, type Requeue } from '#client/reconciler.ts';
import type { PersistentVolumeClaimStatus, PersistentVolumeStatus } from '#kube/generated/core-v1.ts';
import type { StorageClass } from '#kube/generated/storage-v1.ts';
import { objectKey, type Stored } from '#kube/object.ts';
import { persistentVolumeClaims, persistentVolumes, pods, storageClasses } from '#kube/refs.ts';
import { isStatus } from '#kube/status-error.ts';
import type { ControllerDef, ControllerDeps } from './controller.ts';
import { isTerminal } from './pods.ts';
import { sameStatus } from './same-status.ts';
import { isoTime } from './times.ts';
import { classOf, findVolume, isClaimedBy, mismatch, type StoredClaim, type StoredVolume } from './volume-match.ts';
import { claimsOfPod } from './volume-protection.ts';

const name = 'persistentvolume-binder-controller';
const bindCompleted = 'pv.kubernetes.io/bind-completed';
const boundByController = 'pv.kubernetes.io/bound-by-controller';
const selectedNode = 'volume.kubernetes.io/selected-node';
const provisionerAnnotations = ['volume.beta.kubernetes.io/storage-provisioner', 'volume.kubernetes.io/storage-provisioner'];
const noProvisioner = 'kubernetes.io/no-provisioner';
const claimIndex = 'claim';

function create(deps: ControllerDeps) {
  const { client, informers, recorder, clock } = deps;
  const claims = informers.informer(persistentVolumeClaims);
  const volumes = informers.informer(persistentVolumes);
  const classes = informers.informer(storageClasses);
  const allPods = informers.informer(pods);
  allPods.addIndex(claimIndex, claimsOfPod);

  const writeVolume = async (volume: StoredVolume, signal: AbortSignal): Promise<StoredVolume> => {
    const written = await client.update(persistentVolumes, volume, { signal });
    await volumes.reached(written.metadata.resourceVersion, signal);
    return written;
  };
  const volumePhase = async (volume: StoredVolume, phase: string, message: string | undefined, signal: AbortSignal): Promise<void> => {
    if (volume.status?.phase === phase && volume.status.message === message) return;
    const { message: _m, reason: _r, ...old } = volume.status ?? {};
    const status: PersistentVolumeStatus = {
      ...old,
      phase,
      ...(message === undefined ? {} : { message }),
      ...(volume.status?.phase === phase ? {} : { lastPhaseTransitionTime: isoTime(clock.now()) }),
    };
    const written = await client.update(persistentVolumes, { ...volume, status }, { subresource: 'status', signal });
    await volumes.reached(written.metadata.resourceVersion, signal);
  };
  const claimStatus = async (claim: StoredClaim, status: PersistentVolumeClaimStatus, signal: AbortSignal): Promise<void> => {
    if (sameStatus(status, claim.status)) return;
    const written = await client.update(persistentVolumeClaims, { ...claim, status }, { subresource: 'status', signal });
    await claims.reached(written.metadata.resourceVersion, signal);
  };

  const bind = async (claim: StoredClaim, volume: StoredVolume, signal: AbortSignal): Promise<void> => {
    const claimRef = {
      kind: 'PersistentVolumeClaim',
      apiVersion: 'v1',
      namespace: claim.metadata.namespace ?? '',
      name: claim.metadata.name,
      uid: claim.metadata.uid,
      resourceVersion: claim.metadata.resourceVersion,
    };
    let bound = volume;
    if (volume.spec?.claimRef?.uid !== claim.metadata.uid) {
      const ours = volume.spec?.claimRef === undefined ? { [boundByController]: 'yes' } : {};
      const annotations = { ...volume.metadata.annotations, ...ours };
      bound = await writeVolume({ ...volume, metadata: { ...volume.metadata, annotations }, spec: { ...volume.spec, claimRef } }, signal);
    }
    await volumePhase(bound, 'Bound', undefined, signal);
    let current = claim;
    if (claim.spec?.volumeName !== volume.metadata.name || claim.metadata.annotations?.[bindCompleted] === undefined) {
      const ours = claim.spec?.volumeName === undefined || claim.spec.volumeName === '' ? { [boundByController]: 'yes' } : {};
      const annotations = { ...claim.metadata.annotations, ...ours, [bindCompleted]: 'yes' };
      const spec = { ...claim.spec, volumeName: volume.metadata.name };
      current = await client.update(persistentVolumeClaims, { ...claim, metadata: { ...claim.metadata, annotations }, spec }, { signal });
    }
    const { accessModes, capacity } = volume.spec ?? {};
    await claimStatus(
      current,
      {
        ...current.status,
        phase: 'Bound',
        ...(accessModes === undefined ? {} : { accessModes }),
        ...(capacity === undefined ? {} : { capacity: current.status?.capacity ?? capacity }),
      },
      signal,
    );
  };

  /** Says why a claim waits, and calls for a provisioner where its class has one. */
  const wait = async (claim: StoredClaim, signal: AbortSignal): Promise<void> => {
    await claimStatus(claim, { ...claim.status, phase: 'Pending' }, signal);
    const className = classOf(claim);
    const storageClass: Stored<StorageClass> | undefined = classes.get(className);
    if (className === '') {
      const text = 'no persistent volumes available for this claim and no storage class is set';
      recorder.event(claim, 'Normal', 'FailedBinding', text);
      return;
    }
    if (storageClass === undefined) {
      recorder.event(claim, 'Warning', 'ProvisioningFailed', `storageclass.storage.k8s.io "${className}" not found`);
      return;
    }
    if (storageClass.volumeBindingMode === 'WaitForFirstConsumer' && claim.metadata.annotations?.[selectedNode] === undefined) {
      const users = allPods.byIndex(claimIndex, objectKey(claim)).filter((pod) => !isTerminal(pod));
      const text =
        users[0] === undefined
          ? 'waiting for first consumer to be created before binding'
          : `waiting for pod ${users[0].metadata.name} to be scheduled`;
      recorder.event(claim, 'Normal', users[0] === undefined ? 'WaitForFirstConsumer' : 'WaitForPodScheduled', text);
      return;
    }
    const { provisioner } = storageClass;
    if (provisioner === noProvisioner) return;
    if (provisionerAnnotations.some((a) => claim.metadata.annotations?.[a] !== provisioner)) {
      const annotations = { ...claim.metadata.annotations, ...Object.fromEntries(provisionerAnnotations.map((a) => [a, provisioner])) };
      await client.update(persistentVolumeClaims, { ...claim, metadata: { ...claim.metadata, annotations } }, { signal });
    }
    const text = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
    recorder.event(claim, 'Normal', 'ExternalProvisioning', text);
  };

  const waitsForConsumer = (claim: StoredClaim): boolean =>
    classes.get(classOf(claim))?.volumeBindingMode === 'WaitForFirstConsumer' && claim.metadata.annotations?.[selectedNode] === undefined;

  const syncClaim = async (key: string, signal: AbortSignal): Promise<void> => {
    const claim = claims.get(key);
    if (claim === undefined) return;
    const named = claim.spec?.volumeName ?? '';
    if (named !== '') {
      const volume = volumes.get(named);
      if (volume !== undefined && (isClaimedBy(volume, claim) || volume.spec?.claimRef === undefined)) {
        const problem = claim.metadata.annotations?.[bindCompleted] === undefined ? mismatch(volume, claim) : undefined;
        if (problem === undefined) await bind(claim, volume, signal);
        else recorder.event(claim, 'Warning', 'VolumeMismatch', `Cannot bind to requested volume "${named}": ${problem}`);
      } else if (claim.metadata.annotations?.[bindCompleted] !== undefined) {
        if (claim.status?.phase !== 'Lost')
          recorder.event(claim, 'Warning', 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
        const { accessModes: _a, capacity: _c, ...rest } = claim.status ?? {};
        await claimStatus(claim, { ...rest, phase: 'Lost' }, signal);
      } else await claimStatus(claim, { ...claim.status, phase: 'Pending' }, signal);
      return;
    }
    if (claim.metadata.deletionTimestamp !== undefined) return;
    const prebound = volumes
      .list()
      .find((v) => v.spec?.claimRef !== undefined && isClaimedBy(v, claim) && mismatch(v, claim) === undefined);
    const volume = prebound ?? (waitsForConsumer(claim) ? undefined : findVolume(claim, volumes.list()));
    if (volume === undefined) await wait(claim, signal);
    else await bind(claim, volume, signal);
  };

  const syncVolume = async (key: string, signal: AbortSignal): Promise<void> => {
    const volume = volumes.get(key);
    if (volume === undefined) return;
    const ref = volume.spec?.claimRef;
    if (ref === undefined) {
      await volumePhase(volume, 'Available', undefined, signal);
      return;
    }
    if (ref.uid === undefined || ref.uid === '') {
      // Meant for a claim that has not come yet.
      await volumePhase(volume, 'Available', undefined, signal);
      return;
    }
    const claim = claims.get(`${ref.namespace}/${ref.name}`);
    if (claim?.metadata.uid === ref.uid) return;
    await volumePhase(volume, 'Released', undefined, signal);
    if (volume.spec?.persistentVolumeReclaimPolicy === 'Recycle')
      recorder.event(volume, 'Warning', 'VolumeFailedRecycle', 'No recycler plugin found for the volume!');
  };

  const reconciler = createReconciler(deps, {
    name,
    sources: [claims, volumes, classes, allPods],
    // One at a time: a volume must not be bound twice.
    workers: 1,
    keys: () => [...volumes.keys().map((k) => `volume ${k}`), ...claims.keys().map((k) => `claim ${k}`)],
    reconcile: async (key, signal): Promise<Requeue> => {
      const at = key.slice(key.indexOf(' ') + 1);
      try {
        if (key.startsWith('volume ')) await syncVolume(at, signal);
        else await syncClaim(at, signal);
      } catch (error) {
        if (!isStatus(error, 'NotFound')) throw error;
      }
      return undefined;
    },
  });
  const { queue } = reconciler;
  const checkClaim = (claim: StoredClaim): void => queue.add(`claim ${objectKey(claim)}`);
  const checkWaiting = (): void => {
    for (const claim of claims.list()) if (claim.status?.phase !== 'Bound') checkClaim(claim);
  };
  claims.addHandler({
    added: checkClaim,
    updated: checkClaim,
    deleted: (claim) => {
      if (claim.spec?.volumeName !== undefined) queue.add(`volume ${claim.spec.volumeName}`);
    },
  });
  const checkVolume = (volume: StoredVolume): void => {
    queue.add(`volume ${objectKey(volume)}`);
    const ref = volume.spec?.claimRef;
    if (ref === undefined) checkWaiting();
    else queue.add(`claim ${ref.namespace}/${ref.name}`);
  };
  volumes.addHandler({ added: checkVolume, updated: checkVolume, deleted: checkVolume });
  classes.addHandler({ added: checkWaiting });
  return [reconciler];
}

export const volumeBinderController: ControllerDef = { name, serviceAccount: 'persistent-volume-binder', create };
