import { type ClientHttp2Stream, constants } from 'node:http2';
import { Duplex } from 'node:stream';

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * An HTTP/2 stream as a plain duplex. An Http2Stream says `closed` as soon as both directions have ended on the wire, also
 * while what arrived is still unread, and `pipeline` and `for await` take that for a broken stream. Trouble that the node met after it
 * had accepted comes in the trailer x-k3ts-error and is what reading ends with.
 */
export function http2Duplex(stream: ClientHttp2Stream): Duplex {
  let ended = false;
  const duplex = new Duplex({
    allowHalfOpen: true,
    read: () => {
      stream.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      if (stream.destroyed || stream.writableEnded) done(new Error('the stream is closed'));
      else stream.write(chunk, done);
    },
    final: (done) => {
      if (!stream.destroyed && !stream.writableEnded) stream.end();
      done();
    },
    destroy: (error, done) => {
      if (!stream.destroyed) stream.close(ended ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
      stream.resume();
      done(error);
    },
  });
  stream.on('data', (chunk: Buffer) => {
    if (!duplex.destroyed && !duplex.push(chunk)) stream.pause();
  });
  stream.on('trailers', (trailers) => {
    const problem = trailers['x-k3ts-error'];
    if (typeof problem === 'string') duplex.destroy(new Error(decoded(problem)));
  });
  stream.on('end', () => {
    ended = true;
    if (!duplex.destroyed) duplex.push(null);
  });
  stream.on('error', (error) => duplex.destroy(error));
  stream.on('close', () => {
    if (!ended) duplex.destroy(new Error('the connection to the node broke'));
    else if (!duplex.writableFinished) duplex.end();
  });
  duplex.on('error', () => undefined);
  stream.pause();
  return duplex;
}
