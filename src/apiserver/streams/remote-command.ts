/** exec and attach, from the client's connection (websocket or SPDY) to the node's: what both forms of client share. */
import type { Duplex } from 'node:stream';
import { drained } from './drain.ts';
import { channels, encodeFrame, readFrames } from './frames.ts';

/** The client's side of a session. */
export interface CommandClient {
  /** Resolves when more may be sent; rejects when the client is gone. */
  readonly send: (channel: number, payload: Buffer) => Promise<void>;
  /** What the client sends on stdin and resize; a close of stdin has channel 255 and payload [0]. Ends when the client leaves. */
  readonly incoming: AsyncIterable<{ readonly channel: number; readonly payload: Buffer }>;
  /** Says how the command ended (a Status) and closes. */
  readonly finish: (status: CommandStatus) => Promise<void>;
  readonly abort: () => void;
}

export interface CommandStatus {
  readonly metadata?: object;
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: unknown;
  readonly code?: number;
}

const broken: CommandStatus = {
  metadata: {},
  status: 'Failure',
  reason: 'InternalError',
  message: 'error executing command in container: the connection to the node broke',
  code: 500,
};

function parseStatus(payload: Buffer): CommandStatus {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null ? value : { ...broken, message: payload.toString('utf8') };
  } catch {
    return { ...broken, message: payload.toString('utf8') };
  }
}

async function toNode(client: CommandClient, node: Duplex): Promise<void> {
  for await (const { channel, payload } of client.incoming) {
    if (node.destroyed || node.writableEnded) return;
    if (!node.write(encodeFrame(channel, payload))) await drained(node);
  }
}

/** Carries a session until the command has ended or either side has left. Never rejects. */
export async function bridge(client: CommandClient, node: Duplex): Promise<void> {
  let status: CommandStatus | undefined;
  const sending = toNode(client, node)
    .catch(() => undefined)
    .then(() => {
      // The client is gone: the node ends the session when its stream is reset.
      if (status === undefined) node.destroy();
    });
  try {
    for await (const { channel, payload } of readFrames(node)) {
      if (channel === channels.error) status = parseStatus(payload);
      else if (channel === channels.stdout || channel === channels.stderr) await client.send(channel, payload);
    }
    await client.finish(status ?? broken);
  } catch {
    await client.finish(status ?? broken).catch(() => undefined);
  } finally {
    client.abort();
    if (!node.destroyed) node.destroy();
    await sending;
  }
}
