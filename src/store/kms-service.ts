/** A key service as a client sees it: k8s.io/kms apis/v2, over a unix socket. */
import protobuf from 'protobufjs/light.js';
import { createGrpcChannel } from '#platform/grpc.ts';

export interface KmsStatus {
  readonly version: string;
  readonly healthz: string;
  readonly keyId: string;
}

export type Annotations = Readonly<Record<string, Uint8Array>>;

export interface Wrapped {
  readonly ciphertext: Uint8Array;
  readonly keyId: string;
  readonly annotations: Annotations;
}

/** Every call rejects with GrpcError. */
export interface KmsService {
  readonly status: () => Promise<KmsStatus>;
  readonly encrypt: (plaintext: Uint8Array, uid: string) => Promise<Wrapped>;
  readonly decrypt: (wrapped: Wrapped, uid: string) => Promise<Uint8Array>;
  readonly close: () => void;
}

/** A field that maps text to bytes. */
export const bytesByName = { keyType: 'string', type: 'bytes' } as const;

/** The messages of the service. */
export const kmsMessages = protobuf.Root.fromJSON({
  nested: {
    v2: {
      nested: {
        StatusRequest: { fields: {} },
        StatusResponse: {
          fields: { version: { type: 'string', id: 1 }, healthz: { type: 'string', id: 2 }, keyId: { type: 'string', id: 3 } },
        },
        EncryptRequest: { fields: { plaintext: { type: 'bytes', id: 1 }, uid: { type: 'string', id: 2 } } },
        EncryptResponse: {
          fields: { ciphertext: { type: 'bytes', id: 1 }, keyId: { type: 'string', id: 2 }, annotations: { ...bytesByName, id: 3 } },
        },
        DecryptRequest: {
          fields: {
            ciphertext: { type: 'bytes', id: 1 },
            uid: { type: 'string', id: 2 },
            keyId: { type: 'string', id: 3 },
            annotations: { ...bytesByName, id: 4 },
          },
        },
        DecryptResponse: { fields: { plaintext: { type: 'bytes', id: 1 } } },
      },
    },
  },
});

/** Connects at the first call. */
export function createKmsService(socketPath: string, timeoutMs: number): KmsService {
  const channel = createGrpcChannel(socketPath);
  const call = async (name: 'Status' | 'Encrypt' | 'Decrypt', message: object): Promise<unknown> => {
    const type = (kind: string): protobuf.Type => kmsMessages.lookupType(`v2.${name}${kind}`);
    return await channel.unary(`/v2.KeyManagementService/${name}`, type('Request'), type('Response'), message, { timeoutMs });
  };
  return {
    status: async () => (await call('Status', {})) as KmsStatus,
    encrypt: async (plaintext, uid) => (await call('Encrypt', { plaintext, uid })) as Wrapped,
    decrypt: async (wrapped, uid) => ((await call('Decrypt', { ...wrapped, uid })) as { readonly plaintext: Uint8Array }).plaintext,
    close: channel.close,
  };
}
