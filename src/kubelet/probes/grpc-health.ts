/** grpc.health.v1.Health/Check of a server: pkg/probe/grpc upstream. */
import grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs/light.js';
import type { HandlerResult } from './handlers.ts';

const statuses: Readonly<Record<number, string>> = { 0: 'UNKNOWN', 1: 'SERVING', 2: 'NOT_SERVING', 3: 'SERVICE_UNKNOWN' };

/** Resolves also when the server is not there: that is the probe's failure, not ours. */
export function grpcHealth(address: string, service: string, timeoutMs: number, userAgent: string): Promise<HandlerResult> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.primary_user_agent': userAgent,
    'grpc.enable_http_proxy': 0,
  });
  const encode = (name: string): Buffer => {
    const writer = protobuf.Writer.create();
    if (name !== '') writer.uint32(10).string(name);
    return Buffer.from(writer.finish());
  };
  const decode = (bytes: Buffer): number => {
    const reader = protobuf.Reader.create(bytes);
    let status = 0;
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 8) status = reader.int32();
      else reader.skipType(tag & 7);
    }
    return status;
  };
  return new Promise((resolve) => {
    const seconds = `${timeoutMs / 1000}s`;
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      encode,
      decode,
      service,
      { deadline: Date.now() + timeoutMs },
      (error, status) => {
        client.close();
        if (error !== null) {
          if (error.code === grpc.status.UNIMPLEMENTED)
            resolve({
              ok: false,
              output: `this server does not implement the grpc health protocol (grpc.health.v1.Health): ${error.details}`,
            });
          else if (error.code === grpc.status.DEADLINE_EXCEEDED || error.code === grpc.status.UNAVAILABLE)
            resolve({ ok: false, output: `timeout: failed to connect service "${address}" within ${seconds}: ${error.details}` });
          else
            resolve({
              ok: false,
              output: `error: health rpc failed: rpc error: code = ${grpc.status[error.code] ?? error.code} desc = ${error.details}`,
            });
        } else if (status === 1) resolve({ ok: true, output: 'service healthy' });
        else resolve({ ok: false, output: `service unhealthy (responded with "${statuses[status ?? 0] ?? 'UNKNOWN'}")` });
      },
    );
  });
}
