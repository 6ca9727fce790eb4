/** What a running server consists of. Adding a part is one entry here. */
import { chmodSync } from 'node:fs';
import { signLegacyToken } from '#apiserver/serviceaccount-tokens.ts';
import { createInformerFactory } from '#client/informer-factory.ts';
import { controllers } from '#controllers/index.ts';
import { createControllers } from '#controllers/run.ts';
import { TaskGroup } from '#lib/task-group.ts';
import { writeAtomically } from '#pki/files.ts';
import { kubeconfigText } from '#pki/kubeconfig.ts';
import { keepPki } from '#pki/pki.ts';
import { createScheduler } from '#scheduler/index.ts';
import { createAgentThread } from './agent-thread.ts';
import type { Component } from './components.ts';
import { paths, type ServerConfig } from './config.ts';
import type { ControlPlane, Platform } from './control-plane.ts';
import { createServerNode } from './server-node.ts';

export interface ServerDeps {
  readonly config: ServerConfig;
  readonly plane: ControlPlane;
  readonly platform: Platform;
}

type ServerComponent = Component<ServerConfig, ServerDeps>;

const always = (): boolean => true;
const ready = (): undefined => undefined;
const loopback = (config: ServerConfig): string => {
  const address = ['0.0.0.0', '::'].includes(config.bindAddress) ? '127.0.0.1' : config.bindAddress;
  return `https://${address.includes(':') ? `[${address}]` : address}:${config.port}`;
};

const authorization: ServerComponent = {
  name: 'authorization',
  needs: [],
  enabled: always,
  create: ({ plane }) => {
    const tasks = new TaskGroup();
    return {
      start: async () => {
        plane.encryption.start();
        tasks.spawn(plane.flowControl.run);
        for (const task of plane.fileTasks) tasks.spawn(task);
        plane.api.hooks.done('priority-and-fairness-config-consumer');
        await plane.auth.start(plane.api.hooks);
      },
      stop: async () => {
        await tasks.close();
        await plane.encryption.stop();
        await plane.auth.stop();
      },
      notReady: ready,
    };
  },
};

/** The objects that every cluster has. */
const bootstrap: ServerComponent = {
  name: 'bootstrap',
  needs: ['authorization'],
  enabled: always,
  create: ({ config, plane }) => ({
    start: () => plane.api.bootstrap({ advertiseAddress: config.advertiseAddress, port: config.port }),
    stop: () => plane.api.close(),
    notReady: ready,
  }),
};

const listener: ServerComponent = {
  name: 'listener',
  needs: ['bootstrap'],
  enabled: always,
  create: ({ config, plane, platform }) => ({
    start: async () => {
      const port = await plane.http.listen(config.bindAddress, config.port).catch((error: unknown) => {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        const why = code === 'EADDRINUSE' ? 'another program listens there: stop it, or choose another --https-listen-port' : String(error);
        throw new Error(`cannot listen on ${config.bindAddress}:${config.port}: ${why}`);
      });
      platform.log.info('the Kubernetes API is served', { address: config.bindAddress, port });
    },
    stop: async () => {
      plane.tunnel.close();
      await plane.http.close();
    },
    notReady: ready,
  }),
};

/** Certificates renew themselves while running; the administrator's kubeconfig follows them. */
const certificates: ServerComponent = {
  name: 'certificates',
  needs: [],
  enabled: always,
  create: ({ config, plane, platform }) => {
    const tasks = new TaskGroup();
    const writeKubeconfig = async (): Promise<void> => {
      const { admin, serverCa } = plane.pki();
      const text = kubeconfigText({ server: loopback(config), caPem: serverCa.certPem, certPem: admin.certPem, keyPem: admin.keyPem });
      await writeAtomically(config.kubeconfig, text, config.kubeconfigMode);
      chmodSync(config.kubeconfig, config.kubeconfigMode);
    };
    return {
      start: async () => {
        await writeKubeconfig();
        tasks.spawn((signal) =>
          keepPki(
            paths(config.dataDir).server,
            plane.pkiOptions,
            (pki) => {
              plane.usePki(pki);
              tasks.spawn(writeKubeconfig);
            },
            { clock: platform.clock, log: platform.log.child('certificates') },
            signal,
          ),
        );
      },
      stop: () => tasks.close(),
      notReady: ready,
    };
  },
};

const controllerManager: ServerComponent = {
  name: 'controllers',
  needs: ['listener'],
  enabled: always,
  create: ({ config, plane, platform }) =>
    createControllers({
      ...platform,
      log: platform.log.child('controllers'),
      clientFor: plane.clientFor,
      controllers,
      config: {
        clusterCidrs: [config.clusterCidr],
        nodeCidrMaskSizeIPv4: 24,
        nodeCidrMaskSizeIPv6: 64,
        nodeMonitorGraceMs: 50_000,
        terminatedPodThreshold: 12_500,
        rootCa: plane.pki().serverCa.certPem,
        csrSigners: plane.auth.signers,
        legacyToken: ({ namespace, serviceAccount, serviceAccountUid, secret }) =>
          signLegacyToken(
            { namespace, serviceAccount: { name: serviceAccount, uid: serviceAccountUid }, secretName: secret },
            plane.auth.tokenOptions,
          ),
      },
    }),
};

const scheduler: ServerComponent = {
  name: 'scheduler',
  needs: ['listener'],
  enabled: always,
  create: ({ plane, platform }) => {
    const client = plane.clientFor('system:kube-scheduler');
    const log = platform.log.child('scheduler');
    const informers = createInformerFactory({ ...platform, client, log });
    const running = createScheduler({ ...platform, client, informers });
    const tasks = new TaskGroup();
    return {
      start: async () => {
        informers.start(tasks);
        await running.start();
      },
      stop: async () => {
        await running.stop();
        await tasks.close();
      },
      notReady: running.notReady,
    };
  },
};

const serverNode: ServerComponent = {
  name: 'server-node',
  needs: ['bootstrap'],
  enabled: (config) => !config.disableAgent,
  create: ({ config, plane, platform }) =>
    createServerNode(config.node.name, { cache: plane.cache, objects: plane.api.objects, log: platform.log.child('server-node') }),
};

const agent: ServerComponent = {
  name: 'agent',
  needs: ['listener'],
  enabled: (config) => !config.disableAgent,
  create: ({ config, plane, platform }) =>
    createAgentThread(
      () => ({
        dataDir: config.dataDir,
        debug: config.debug,
        node: config.node,
        server: loopback(config),
        token: plane.tokens().nodeToken,
      }),
      platform.log.child('agent'),
    ),
};

export const serverComponents: readonly ServerComponent[] = [
  authorization,
  bootstrap,
  listener,
  certificates,
  controllerManager,
  scheduler,
  serverNode,
  agent,
];
