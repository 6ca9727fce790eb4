/** Header blocks of SPDY/3: name-value pairs, compressed with zlib from one end of the connection to the other. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib';

const largestBlock = 256 * 1024;

/** The protocol's dictionary (SPDY draft 3, 2.6.10.1): words with their lengths, then text. Its Adler-32 is e3c6a7c2. */
const words =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status';
const moreWords = ['200 OK', 'version', 'HTTP/1.1', 'url', 'public', 'set-cookie', 'keep-alive', 'origin'];
const tail =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

const sized = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  return Buffer.concat([size, bytes]);
};

const dictionary = (): Buffer => Buffer.concat([...words.split(' '), ...moreWords].map(sized).concat(Buffer.from(tail)));

/** Runs one block through a zlib stream. Blocks must be run one after another. */
function throughZlib(zlib: Deflate | Inflate): (block: Buffer) => Promise<Buffer> {
  let out: Buffer[] = [];
  let size = 0;
  let failure: Error | undefined;
  let failed: (() => void) | undefined;
  zlib.on('data', (chunk: Buffer) => {
    out.push(chunk);
    size += chunk.length;
    if (size > largestBlock) zlib.destroy(new RangeError('SPDY header block is too large'));
  });
  zlib.on('error', (error: Error) => {
    failure = error;
    failed?.();
  });
  return async (block) => {
    out = [];
    size = 0;
    await new Promise<void>((resolve) => {
      failed = resolve;
      if (failure !== undefined || zlib.destroyed) {
        resolve();
        return;
      }
      zlib.write(block);
      zlib.flush(constants.Z_SYNC_FLUSH, resolve);
    });
    await nextTurn();
    if (failure !== undefined) throw failure;
    return Buffer.concat(out);
  };
}

export type Headers = Readonly<Record<string, string>>;

export interface HeaderCodec {
  readonly encode: (headers: Headers) => Promise<Buffer>;
  readonly decode: (block: Buffer) => Promise<Headers>;
  readonly close: () => void;
}

function parsePairs(data: Buffer): Headers {
  const headers = new Map<string, string>();
  let at = 4;
  const take = (): string => {
    if (at + 4 > data.length) throw new RangeError('SPDY header block is truncated');
    const end = at + 4 + data.readUInt32BE(at);
    if (end > data.length) throw new RangeError('SPDY header block is truncated');
    const text = data.toString('utf8', at + 4, end);
    at = end;
    return text;
  };
  const count = data.length < 4 ? 0 : data.readUInt32BE(0);
  for (let i = 0; i < count; i++) headers.set(take().toLowerCase(), take());
  return Object.fromEntries(headers);
}

export function createHeaderCodec(): HeaderCodec {
  const deflate = createDeflate({ dictionary: dictionary() });
  const inflate = createInflate({ dictionary: dictionary() });
  const compress = throughZlib(deflate);
  const expand = throughZlib(inflate);
  return {
    encode: (headers) => {
      const pairs = Object.entries(headers);
      const count = Buffer.alloc(4);
      count.writeUInt32BE(pairs.length);
      return compress(Buffer.concat([count, ...pairs.flatMap(([name, value]) => [sized(name), sized(value)])]));
    },
    decode: async (block) => parsePairs(await expand(block)),
    close: () => {
      deflate.close();
      inflate.close();
    },
  };
}
