/** Joins the streams of a running container: the node's side of `kubectl attach`, through containerd's streaming server. */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Cri } from '../cri/client.ts';
import { type ExecStreams, failureStatus } from './exec.ts';
import { channels, encodeFrame, FrameDecoder } from './frames.ts';

type AttachStreams = Omit<ExecStreams, 'command'>;

async function open(containerId: string, streams: AttachStreams, cri: Cri): Promise<WebSocket> {
  const { stdin, stdout, tty } = streams;
  const { url } = await cri.attach({ containerId, stdin, stdout, stderr: streams.stderr && !tty, tty });
  const socket = new WebSocket(url.replace(/^http/, 'ws'), ['v4.channel.k8s.io'], { perMessageDeflate: false });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return socket;
}

/**
 * Serves until the container or the user ends it. Ends the connection. The v4 protocol cannot end one stream alone, so
 * input has a connection of its own, whose end is the end of input.
 */
export async function serveAttach(connection: Duplex, containerId: string, streams: AttachStreams, cri: Cri): Promise<void> {
  const end = (status: object): void => {
    if (connection.writable) connection.end(encodeFrame(channels.error, Buffer.from(JSON.stringify(status))));
  };
  try {
    // Without an input containerd ends an attachment at once when the container's input is open; it is never written to.
    const output = await open(containerId, { ...streams, stdin: true }, cri);
    const input = streams.stdin ? await open(containerId, { stdin: true, stdout: false, stderr: false, tty: streams.tty }, cri) : undefined;
    copyIn(connection, input, output);
    connection.once('close', () => {
      input?.close();
      output.close();
    });
    const status = await copyOut(output, connection);
    input?.close();
    end(status);
  } catch (error) {
    end(failureStatus(`error attaching to container: ${error instanceof Error ? error.message : String(error)}`));
  }
}

/** Resolves with the status that containerd gave at the end. */
function copyOut(socket: WebSocket, connection: Duplex): Promise<object> {
  let status: object = { metadata: {}, status: 'Success' };
  return new Promise((resolve) => {
    socket.on('message', (data: Buffer) => {
      const channel = data[0] ?? 0;
      const payload = data.subarray(1);
      if (channel === channels.error) status = JSON.parse(payload.toString('utf8')) as object;
      // containerd opens every channel with an empty message.
      else if (payload.length > 0 && connection.writable && !connection.write(encodeFrame(channel, payload))) {
        socket.pause();
        connection.once('drain', () => socket.resume());
      }
    });
    socket.once('error', (error) => {
      status = failureStatus(`error attaching to container: ${error.message}`);
    });
    socket.once('close', () => resolve(status));
  });
}

function copyIn(connection: Duplex, input: WebSocket | undefined, output: WebSocket): void {
  const decoder = new FrameDecoder();
  input?.on('error', () => undefined);
  const take = (channel: number, payload: Buffer): void => {
    if (channel === channels.stdin) input?.send(Buffer.concat([Buffer.of(channel), payload]));
    else if (channel === channels.resize) output.send(Buffer.concat([Buffer.of(channel), payload]));
    else if (channel === channels.close && payload[0] === channels.stdin) input?.close();
  };
  connection.on('data', (chunk: Buffer) => {
    try {
      for (const { channel, payload } of decoder.push(chunk)) take(channel, payload);
    } catch (error) {
      connection.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
}
