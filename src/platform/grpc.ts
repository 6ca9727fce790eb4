/** gRPC over a unix socket with messages described by a protobufjs root: what the clients of the CRI, of containerd and of key services share. */
import grpc from '@grpc/grpc-js';
import type protobuf from 'protobufjs/light.js';

/** What went wrong in a call, with the server's own words and its gRPC code. */
export class GrpcError extends Error {
  readonly code: number;
  readonly method: string;

  constructor(method: string, code: number, details: string, cause?: unknown) {
    super(details, { cause });
    this.name = 'GrpcError';
    this.method = method;
    this.code = code;
  }
}

export const grpcCodes = { notFound: 5, alreadyExists: 6, failedPrecondition: 9, unimplemented: 12, unavailable: 14 } as const;

export const isGrpc = (error: unknown, ...codes: readonly number[]): error is GrpcError =>
  error instanceof GrpcError && (codes.length === 0 || codes.includes(error.code));

export interface GrpcCallOptions {
  readonly signal?: AbortSignal;
  /** Default: two minutes. */
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface GrpcChannel {
  /** One request, one answer; rejects with GrpcError. */
  readonly unary: (
    path: string,
    request: protobuf.Type,
    response: protobuf.Type,
    message: object,
    options?: GrpcCallOptions,
  ) => Promise<unknown>;
  /** One request, many answers; throws GrpcError when the stream fails, ends when the server ends it. */
  readonly serverStream: (
    path: string,
    request: protobuf.Type,
    response: protobuf.Type,
    message: object,
    options: GrpcCallOptions & { readonly signal: AbortSignal },
  ) => AsyncIterable<unknown>;
  readonly close: () => void;
}

const conversion: protobuf.IConversionOptions = { longs: Number, enums: String, defaults: true, arrays: true, objects: true };
const maxMessageBytes = 64 * 1024 * 1024;

function metadataOf(options: GrpcCallOptions): grpc.Metadata {
  const metadata = new grpc.Metadata();
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}

const encode =
  (type: protobuf.Type) =>
  (message: object): Buffer =>
    Buffer.from(type.encode(type.fromObject(message)).finish());
const decode =
  (type: protobuf.Type) =>
  (bytes: Buffer): object =>
    type.toObject(type.decode(bytes), conversion);

/** Opens (lazily) a channel to a unix socket. Connections are retried by grpc with short back-off. */
export function createGrpcChannel(socketPath: string): GrpcChannel {
  const client = new grpc.Client(`unix://${socketPath}`, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 1000,
    // The proxies a machine is set up with are for the network, not for its own sockets.
    'grpc.enable_http_proxy': 0,
  });
  return {
    unary: (path, request, response, message, options = {}) =>
      new Promise((resolve, reject) => {
        const { signal } = options;
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const deadline = Date.now() + (options.timeoutMs ?? 120_000);
        const call = client.makeUnaryRequest(
          path,
          encode(request),
          decode(response),
          message,
          metadataOf(options),
          { deadline },
          (error, value) => {
            signal?.removeEventListener('abort', cancel);
            if (error === null) resolve(value);
            else if (signal?.aborted === true) reject(signal.reason as Error);
            else reject(new GrpcError(path, error.code, error.details, error));
          },
        );
        const cancel = (): void => call.cancel();
        signal?.addEventListener('abort', cancel, { once: true });
      }),
    serverStream: (path, request, response, message, options) => ({
      async *[Symbol.asyncIterator]() {
        const call = client.makeServerStreamRequest(path, encode(request), decode(response), message, metadataOf(options));
        const cancel = (): void => call.cancel();
        options.signal.addEventListener('abort', cancel, { once: true });
        if (options.signal.aborted) cancel();
        try {
          for await (const item of call) yield item;
        } catch (error) {
          if (options.signal.aborted) return;
          const { code = 2, details = String(error) } = error as Partial<grpc.ServiceError>;
          throw new GrpcError(path, code, details, error);
        } finally {
          options.signal.removeEventListener('abort', cancel);
          call.cancel();
        }
      },
    }),
    close: () => client.close(),
  };
}
