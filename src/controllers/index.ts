/** Every controller: adding one is a file and a line here. */
import type { ControllerDef } from './controller.ts';
import { cronJobController } from './cron-job.ts';
import { daemonSetController } from './daemon-set.ts';
import { deploymentController } from './deployment.ts';
import { endpointSliceController } from './endpoint-slice.ts';
import { endpointsController } from './endpoints.ts';
import { garbageCollector } from './garbage-collector.ts';
import { jobController } from './job.ts';
import { namespaceController } from './namespace.ts';
import { nodeIpamController } from './node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle.ts';
import { podGcController } from './pod-gc.ts';
import { replicaSetController, replicationController } from './replica-set.ts';
import { rootCaController } from './root-ca.ts';
import { serviceAccountController } from './service-account.ts';
import { statefulSetController } from './stateful-set.ts';
import { taintEvictionController } from './taint-eviction.ts';
import { ttlAfterFinishedController } from './ttl-after-finished.ts';

export const controllers: readonly ControllerDef[] = [
  namespaceController,
  serviceAccountController,
  rootCaController,
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
];
