/** Headers between this server and those behind APIServices. client-go transport/round_trippers.go and httputil.ReverseProxy. */
import { type IncomingMessage, validateHeaderName, validateHeaderValue } from 'node:http';
import type { ApiRequest, UserInfo } from '../contract.ts';

/** They concern one connection only. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Who asks is told by our own headers only; `expect` has been answered already. */
const ours = new Set(['authorization', 'host', 'expect', 'content-length', 'x-remote-user', 'x-remote-uid', 'x-remote-group']);
const ourPrefixes = ['x-remote-extra-', 'impersonate-', ':'];

/** Header values travel as bytes. */
const asBytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** Letters that a header's name may have, but for the percent sign, which begins an escape. */
const plainKey = /[!#$&'*+\-.^_`|~0-9A-Za-z]/;
const escapeKey = (key: string): string =>
  [...Buffer.from(key, 'utf8')]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return plainKey.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');

/** The headers that tell an aggregated server for whom this one asks. */
export function identityHeaders({ name, uid = '', groups, extra = {} }: UserInfo): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { 'X-Remote-User': asBytes(name) };
  if (uid !== '') headers['X-Remote-Uid'] = asBytes(uid);
  if (groups.length > 0) headers['X-Remote-Group'] = groups.map(asBytes);
  for (const [key, values] of Object.entries(extra))
    if (values.length > 0) headers[`X-Remote-Extra-${escapeKey(key)}`] = values.map(asBytes);
  return headers;
}

/** The client's headers as they go on. Throws TypeError for a user whose name no header can carry. */
export function forwardedHeaders(request: ApiRequest, host: string): Record<string, string | string[]> {
  const named = new Set((request.headers['connection'] ?? '').split(',').map((name) => name.trim().toLowerCase()));
  const headers: Record<string, string | string[]> = { host };
  for (const [name, value] of Object.entries(request.headers)) {
    if (value === undefined || hopByHop.has(name) || ours.has(name) || named.has(name)) continue;
    if (!ourPrefixes.some((prefix) => name.startsWith(prefix))) headers[name] = value;
  }
  const from = (request.remoteAddress ?? '').replace(/^::ffff:/, '');
  const before = request.headers['x-forwarded-for'];
  if (from !== '') headers['x-forwarded-for'] = before === undefined ? from : `${before}, ${from}`;
  if (request.upgrade === true) {
    headers['connection'] = 'Upgrade';
    headers['upgrade'] = request.headers['upgrade'] ?? '';
  }
  Object.assign(headers, identityHeaders(request.user));
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    for (const one of Array.isArray(value) ? value : [value]) validateHeaderValue(name, one);
  }
  return headers;
}

/** What of an answer's headers concerns the client, its content type aside. */
export function answeredHeaders(message: IncomingMessage): Record<string, string> {
  const named = new Set((message.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    if (value === undefined || hopByHop.has(name) || named.has(name) || name === 'content-type') continue;
    headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return headers;
}
