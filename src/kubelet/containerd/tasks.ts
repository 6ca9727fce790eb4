/**
 * containerd's own task service, for commands run in containers: unlike the CRI's streaming server it lets standard
 * input be closed alone. Message numbers: containerd api/services/{tasks,containers}/v1.
 */
import protobuf from 'protobufjs/light.js';
import { createGrpcChannel, type GrpcCallOptions } from '#platform/grpc.ts';

const text = (id: number) => ({ type: 'string', id });
const any = (id: number) => ({ type: 'Any', id });
const uint = (id: number) => ({ type: 'uint32', id });
const process = { containerId: text(1), execId: text(2) };

const messages: protobuf.INamespace = {
  options: { syntax: 'proto3' },
  nested: {
    Any: { fields: { typeUrl: text(1), value: { type: 'bytes', id: 2 } } },
    Empty: { fields: {} },
    GetContainerRequest: { fields: { id: text(1) } },
    Container: { fields: { id: text(1), spec: any(5) } },
    GetContainerResponse: { fields: { container: { type: 'Container', id: 1 } } },
    ExecProcessRequest: {
      fields: {
        containerId: text(1),
        stdin: text(2),
        stdout: text(3),
        stderr: text(4),
        terminal: { type: 'bool', id: 5 },
        spec: any(6),
        execId: text(7),
      },
    },
    Process: { fields: process },
    KillRequest: { fields: { ...process, signal: uint(3) } },
    ResizePtyRequest: { fields: { ...process, width: uint(3), height: uint(4) } },
    CloseIORequest: { fields: { ...process, stdin: { type: 'bool', id: 3 } } },
    StartResponse: { fields: { pid: uint(1) } },
    WaitResponse: { fields: { exitStatus: uint(1) } },
    DeleteResponse: { fields: { id: text(1), pid: uint(2), exitStatus: uint(3) } },
  },
};

/** One command in a container, named by both ids. */
export interface ProcessRef {
  readonly containerId: string;
  readonly execId: string;
}

export interface ExecRequest extends ProcessRef {
  readonly command: readonly string[];
  readonly terminal: boolean;
  /** Paths of named pipes; '' for none. */
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Every method rejects with GrpcError. */
export interface TaskClient {
  /** Prepares a command with the container's own user, environment and limits. */
  readonly exec: (request: ExecRequest) => Promise<void>;
  readonly start: (ref: ProcessRef) => Promise<void>;
  /** Resolves with the exit code. */
  readonly wait: (ref: ProcessRef, signal: AbortSignal) => Promise<number>;
  readonly resize: (ref: ProcessRef, width: number, height: number) => Promise<void>;
  readonly closeStdin: (ref: ProcessRef) => Promise<void>;
  readonly kill: (ref: ProcessRef, signal: number) => Promise<void>;
  readonly remove: (ref: ProcessRef) => Promise<void>;
  readonly close: () => void;
}

const processType = 'types.containerd.io/opencontainers/runtime-spec/1/Process';
const days = 24 * 3_600_000;

export function createTaskClient(socketPath: string): TaskClient {
  const root = protobuf.Root.fromJSON(messages);
  root.resolveAll();
  const channel = createGrpcChannel(socketPath);
  const call = (
    service: string,
    method: string,
    request: string,
    response: string,
    message: object,
    options: GrpcCallOptions = {},
  ): Promise<unknown> =>
    channel.unary(`/containerd.services.${service}/${method}`, root.lookupType(request), root.lookupType(response), message, {
      ...options,
      metadata: { 'containerd-namespace': 'k8s.io' },
    });
  const task = (method: string, request: string, response: string, message: object, options?: GrpcCallOptions) =>
    call('tasks.v1.Tasks', method, request, response, message, options);

  return {
    exec: async ({ command, ...request }) => {
      const found = (await call('containers.v1.Containers', 'Get', 'GetContainerRequest', 'GetContainerResponse', {
        id: request.containerId,
      })) as {
        readonly container: { readonly spec: { readonly value: Buffer } };
      };
      const spec = JSON.parse(found.container.spec.value.toString('utf8')) as { readonly process: Readonly<Record<string, unknown>> };
      const env = spec.process['env'];
      const variables = Array.isArray(env) ? (env as readonly string[]).filter((e) => !e.startsWith('TERM=')) : [];
      const own = {
        ...spec.process,
        args: command,
        terminal: request.terminal,
        env: request.terminal ? [...variables, 'TERM=xterm'] : variables,
      };
      await task('Exec', 'ExecProcessRequest', 'Empty', {
        ...request,
        spec: { typeUrl: processType, value: Buffer.from(JSON.stringify(own)) },
      });
    },
    start: async (ref) => void (await task('Start', 'Process', 'StartResponse', ref)),
    wait: async (ref, signal) => {
      const answer = await task('Wait', 'Process', 'WaitResponse', ref, { signal, timeoutMs: 30 * days });
      return (answer as { readonly exitStatus: number }).exitStatus;
    },
    resize: async (ref, width, height) => void (await task('ResizePty', 'ResizePtyRequest', 'Empty', { ...ref, width, height })),
    closeStdin: async (ref) => void (await task('CloseIO', 'CloseIORequest', 'Empty', { ...ref, stdin: true })),
    kill: async (ref, signal) => void (await task('Kill', 'KillRequest', 'Empty', { ...ref, signal })),
    remove: async (ref) => void (await task('DeleteProcess', 'Process', 'DeleteResponse', ref)),
    close: channel.close,
  };
}
