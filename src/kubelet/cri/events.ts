/**
 * containerd's own event stream (containerd.services.events.v1): containerd 1.6 has no CRI GetContainerEvents, and
 * this one says the same sooner. Message numbers: containerd api/services/events/v1/events.proto, api/events/task.proto.
 */
import protobuf from 'protobufjs/light.js';
import type { Clock } from '#platform/clock.ts';
import { createGrpcChannel } from '#platform/grpc.ts';
import type { Logger } from '#platform/log.ts';

export type RuntimeEvent =
  /** The stream (re)started: whatever happened before is unknown, so everything must be listed again. */
  | { readonly type: 'relist' }
  | { readonly type: 'exit'; readonly containerId: string; readonly exitCode: number }
  | { readonly type: 'start'; readonly containerId: string }
  | { readonly type: 'oom'; readonly containerId: string }
  | { readonly type: 'images' };

const messages: protobuf.INamespace = {
  options: { syntax: 'proto3' },
  nested: {
    Any: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
    SubscribeRequest: { fields: { filters: { rule: 'repeated', type: 'string', id: 1 } } },
    Envelope: {
      fields: {
        namespace: { type: 'string', id: 2 },
        topic: { type: 'string', id: 3 },
        event: { type: 'Any', id: 4 },
      },
    },
    TaskExit: {
      fields: {
        containerId: { type: 'string', id: 1 },
        id: { type: 'string', id: 2 },
        pid: { type: 'uint32', id: 3 },
        exitStatus: { type: 'uint32', id: 4 },
      },
    },
    TaskStart: { fields: { containerId: { type: 'string', id: 1 }, pid: { type: 'uint32', id: 2 } } },
    TaskOOM: { fields: { containerId: { type: 'string', id: 1 } } },
  },
};

interface Envelope {
  readonly namespace: string;
  readonly topic: string;
  readonly event: { readonly typeUrl: string; readonly value: Buffer } | null;
}

export interface EventSource {
  /** Yields events until the signal aborts; reconnects by itself, each time beginning with a `relist`. */
  readonly subscribe: (signal: AbortSignal) => AsyncIterable<RuntimeEvent>;
  readonly close: () => void;
}

export function createEventSource(socketPath: string, deps: { readonly clock: Clock; readonly log: Logger }): EventSource {
  const root = protobuf.Root.fromJSON(messages);
  root.resolveAll();
  const channel = createGrpcChannel(socketPath);
  const decode = (type: string, bytes: Uint8Array): { containerId: string; id: string; exitStatus: number } =>
    root.lookupType(type).toObject(root.lookupType(type).decode(bytes), { defaults: true }) as {
      containerId: string;
      id: string;
      exitStatus: number;
    };

  function eventOf(envelope: Envelope): RuntimeEvent | undefined {
    const value = envelope.event?.value ?? Buffer.alloc(0);
    if (envelope.topic.startsWith('/images/')) return { type: 'images' };
    if (envelope.topic === '/tasks/start') return { type: 'start', containerId: decode('TaskStart', value).containerId };
    if (envelope.topic === '/tasks/oom') return { type: 'oom', containerId: decode('TaskOOM', value).containerId };
    if (envelope.topic !== '/tasks/exit') return undefined;
    const exit = decode('TaskExit', value);
    // Processes started by exec exit under their own id.
    return exit.id === exit.containerId ? { type: 'exit', containerId: exit.containerId, exitCode: exit.exitStatus } : undefined;
  }

  async function* subscribe(signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
    const filters = ['/tasks/exit', '/tasks/start', '/tasks/oom', '/images/create', '/images/update', '/images/delete'].map(
      (topic) => `namespace==k8s.io,topic=="${topic}"`,
    );
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const stream = channel.serverStream(
          '/containerd.services.events.v1.Events/Subscribe',
          root.lookupType('SubscribeRequest'),
          root.lookupType('Envelope'),
          { filters },
          { signal },
        );
        const items = stream[Symbol.asyncIterator]();
        // The subscription is sent before the list is asked for, so that nothing falls between the two.
        let next = items.next();
        next.catch(() => undefined);
        yield { type: 'relist' };
        for (let item = await next; item.done !== true; item = await next) {
          failures = 0;
          next = items.next();
          next.catch(() => undefined);
          const event = eventOf(item.value as Envelope);
          if (event !== undefined) yield event;
        }
      } catch (error) {
        deps.log[failures === 0 ? 'warn' : 'debug']('the event stream of containerd broke', { error });
      }
      await deps.clock.sleep(Math.min(5000, 100 * 2 ** Math.min(failures, 6)), signal).catch(() => undefined);
    }
  }

  return { subscribe, close: channel.close };
}
