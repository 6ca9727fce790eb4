/** Joins the streams of a running container: the node's side of `kubectl attach`, through containerd's streaming server. */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { Cri } from '../cri/client.ts';
import type { ExecStreams } from './exec.ts';
import { failureStatus } from './exec.ts';
import { channels, encodeFrame, FrameDecoder } from './frames.ts';

/** Serves until the container or the user ends it. Ends the connection. */
export async function serveAttach(connection: Duplex, containerId: string, streams: Omit<ExecStreams, 'command'>, cri: Cri): Promise<void> {
  const { url } = await cri.attach({
    containerId,
    // Without it containerd ends the connection at once when the container has an open input.
    stdin: true,
    stdout: streams.stdout,
    stderr: streams.stderr && !streams.tty,
    tty: streams.tty,
  });
  const socket = new WebSocket(url.replace(/^http/, 'ws'), ['v4.channel.k8s.io'], { perMessageDeflate: false });
  let status: Buffer | undefined;
  await new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const channel = data[0] ?? 0;
      if (channel === channels.error) status = data.subarray(1);
      else if (connection.writable && !connection.write(encodeFrame(channel, data.subarray(1)))) {
        socket.pause();
        connection.once('drain', () => socket.resume());
      }
    });
    socket.once('close', () => resolve());
    socket.once('error', (error) => {
      status = Buffer.from(JSON.stringify(failureStatus(`error attaching to container: ${error.message}`)));
      resolve();
    });
    connection.once('close', () => socket.close());
    socket.once('open', () => copyIn(connection, socket, streams));
  });
  if (connection.writable)
    connection.end(encodeFrame(channels.error, status ?? Buffer.from(JSON.stringify({ metadata: {}, status: 'Success' }))));
}

function copyIn(connection: Duplex, socket: WebSocket, streams: { readonly stdin: boolean }): void {
  const decoder = new FrameDecoder();
  connection.on('data', (chunk: Buffer) => {
    try {
      for (const { channel, payload } of decoder.push(chunk)) {
        // The v4 protocol cannot close one channel alone.
        if ((channel === channels.stdin && streams.stdin) || channel === channels.resize)
          socket.send(Buffer.concat([Buffer.of(channel), payload]));
      }
    } catch (error) {
      connection.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  });
}
