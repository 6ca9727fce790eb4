/** The Container Runtime Interface, v1: RuntimeService and ImageService as typed functions. */
import protobuf from 'protobufjs/light.js';
import { createGrpcChannel, type GrpcCallOptions } from '#platform/grpc.ts';
import descriptor from './generated/cri.json' with { type: 'json' };
import type { ImageService, RuntimeService } from './generated/cri.ts';

/** A message as it is sent: every field may be left out. */
export type Init<T> = T extends string | number | boolean | Buffer | null
  ? T
  : T extends readonly (infer E)[]
    ? readonly Init<E>[]
    : { readonly [K in keyof T]?: Init<NonNullable<T[K]>> };

interface Method {
  readonly request: unknown;
  readonly response: unknown;
}
type Calls<S> = {
  readonly [K in keyof S as Uncapitalize<K & string>]: S[K] extends Method
    ? (request: Init<S[K]['request']>, options?: GrpcCallOptions) => Promise<S[K]['response']>
    : never;
};

export type Cri = Calls<RuntimeService> & Calls<ImageService> & { readonly close: () => void };

/** A client of the CRI at a unix socket. Every call rejects with GrpcError. */
export function createCri(socketPath: string): Cri {
  const root = protobuf.Root.fromJSON(descriptor as protobuf.INamespace);
  root.resolveAll();
  const channel = createGrpcChannel(socketPath);
  const calls: Record<string, unknown> = { close: channel.close };
  for (const name of ['RuntimeService', 'ImageService']) {
    const service = root.lookupService(`runtime.v1.${name}`);
    for (const method of service.methodsArray) {
      if (method.responseStream === true) continue;
      method.resolve();
      const { resolvedRequestType: request, resolvedResponseType: response } = method;
      if (request === null || response === null) throw new Error(`CRI method ${method.name} names an unknown message`);
      const path = `/runtime.v1.${name}/${method.name}`;
      calls[method.name.slice(0, 1).toLowerCase() + method.name.slice(1)] = (message: object, options?: GrpcCallOptions) =>
        channel.unary(path, request, response, message, options);
    }
  }
  return calls as Cri;
}
