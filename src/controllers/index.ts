/** Every controller: adding one is a file and a line here. */
import { certificateController } from './certificate-requests.ts';
import type { ControllerDef } from './controller.ts';
import { cronJobController } from './cron-job.ts';
import { daemonSetController } from './daemon-set.ts';
import { deploymentController } from './deployment.ts';
import { disruptionController } from './disruption.ts';
import { endpointSliceController } from './endpoint-slice.ts';
import { endpointSliceMirroringController } from './endpoint-slice-mirroring.ts';
import { endpointsController } from './endpoints.ts';
import { ephemeralVolumeController } from './ephemeral-volume.ts';
import { garbageCollector } from './garbage-collector.ts';
import { jobController } from './job.ts';
import { legacyTokenCleaner } from './legacy-token-cleaner.ts';
import { namespaceController } from './namespace.ts';
import { nodeIpamController } from './node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { podGcController } from './pod-gc.ts';
import { replicaSetController, replicationController } from './replica-set.ts';
import { resourceQuotaController } from './resource-quota.ts';
import { rootCaController } from './root-ca.ts';
import { serviceAccountController } from './service-account.ts';
import { tokensController } from './service-account-tokens.ts';
import { statefulSetController } from './stateful-set.ts';
import { taintEvictionController } from './taint-eviction.ts';
import { ttlAfterFinishedController } from './ttl-after-finished.ts';
import { volumeBinderController } from './volume-binder.ts';
import { claimProtectionController, volumeProtectionController } from './volume-protection.ts';

export const controllers: readonly ControllerDef[] = [
  namespaceController,
  serviceAccountController,
  rootCaController,
  tokensController,
  legacyTokenCleaner,
  certificateController,
  nodeIpamController,
  nodeLifecycleController,
  taintEvictionController,
  garbageCollector,
  podGcController,
  deploymentController,
  replicaSetController,
  replicationController,
  daemonSetController,
  statefulSetController,
  jobController,
  cronJobController,
  ttlAfterFinishedController,
  endpointsController,
  endpointSliceController,
  endpointSliceMirroringController,
  disruptionController,
  resourceQuotaController,
  claimProtectionController,
  volumeProtectionController,
  volumeBinderController,
  ephemeralVolumeController,
];
