/** Every controller: adding one is a file and a line here. */
import type { ControllerDef } from './controller.ts';
import { deploymentController } from './deployment.ts';
import { replicaSetController, replicationController } from './replica-set.ts';

export const controllers: readonly ControllerDef[] = [deploymentController, replicaSetController, replicationController];
