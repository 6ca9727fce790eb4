/** A key service for tests: a real gRPC server on a unix socket, whose keys are AES keys that it keeps itself. */
import { randomBytes } from 'node:crypto';
import grpc from '@grpc/grpc-js';
import { aesgcm } from './ciphers.ts';
import { kmsMessages, type Wrapped } from './kms-service.ts';

export interface TestKms extends AsyncDisposable {
  /** From now on another key encrypts; those before go on decrypting. */
  readonly rotate: (keyId: string) => void;
  /** What the service says of itself. */
  readonly say: (status: { readonly healthz?: string; readonly version?: string }) => void;
  /** From now on calls of these kinds fail. */
  readonly fail: (...methods: readonly ('Status' | 'Encrypt' | 'Decrypt')[]) => void;
  /** Names of the methods that were called. */
  readonly calls: string[];
}

type Answer = (request: Readonly<Record<string, unknown>>) => object;

export async function startTestKms(socketPath: string): Promise<TestKms> {
  const keys = new Map([['key-1', randomBytes(32)]]);
  let keyId = 'key-1';
  let status = { healthz: 'ok', version: 'v2' };
  let failing: readonly string[] = [];
  const calls: string[] = [];
  const keyOf = (id: string): Uint8Array => {
    const key = keys.get(id);
    if (key === undefined) throw new Error(`no key ${id}`);
    return key;
  };
  const answers: Readonly<Record<string, Answer>> = {
    Status: () => ({ ...status, keyId }),
    Encrypt: ({ plaintext }) => ({
      ciphertext: aesgcm.encrypt(keyOf(keyId), plaintext as Uint8Array, keyId),
      keyId,
      annotations: { 'local.kms.test': Buffer.from('noted') },
    }),
    Decrypt: (request) => {
      const { ciphertext, keyId: id, annotations } = request as unknown as Wrapped;
      if (Buffer.from(annotations['local.kms.test'] ?? []).toString() !== 'noted') throw new Error('the annotations are not mine');
      return { plaintext: aesgcm.decrypt(keyOf(id), Buffer.from(ciphertext), id) };
    },
  };
  const definition: Record<string, grpc.MethodDefinition<object, object>> = {};
  const implementation: grpc.UntypedServiceImplementation = {};
  for (const [name, answer] of Object.entries(answers)) {
    const [request, response] = ['Request', 'Response'].map((kind) => kmsMessages.lookupType(`v2.${name}${kind}`));
    if (request === undefined || response === undefined) throw new Error(`no messages of ${name}`);
    definition[name] = {
      path: `/v2.KeyManagementService/${name}`,
      requestStream: false,
      responseStream: false,
      requestSerialize: (message: object) => Buffer.from(request.encode(request.fromObject(message)).finish()),
      requestDeserialize: (bytes) => request.toObject(request.decode(bytes), { defaults: true, objects: true }),
      responseSerialize: (message: object) => Buffer.from(response.encode(response.fromObject(message)).finish()),
      responseDeserialize: (bytes) => response.decode(bytes),
    };
    const handle: grpc.handleUnaryCall<Readonly<Record<string, unknown>>, object> = (call, done) => {
      calls.push(name);
      try {
        if (failing.includes(name)) throw new Error('out of order');
        done(null, answer(call.request));
      } catch (error) {
        done({ code: grpc.status.INTERNAL, details: error instanceof Error ? error.message : String(error) });
      }
    };
    implementation[name] = handle;
  }
  const server = new grpc.Server();
  server.addService(definition, implementation);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix://${socketPath}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return {
    rotate: (id) => {
      keys.set(id, keys.get(id) ?? randomBytes(32));
      keyId = id;
    },
    say: (next) => {
      status = { ...status, ...next };
    },
    fail: (...methods) => {
      failing = methods;
    },
    calls,
    [Symbol.asyncDispose]: async () => {
      server.forceShutdown();
      await Promise.resolve();
    },
  };
}
