/** The string formats that upstream checks in custom resources; others are remarks. */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import { parseCidr } from '#lib/cidr.ts';

const dateTime = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const hostname = /^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?$/;
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

const checks: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': (t) => dateTime.test(t) && !Number.isNaN(Date.parse(t)),
  date: (t) => /^\d{4}-\d{2}-\d{2}$/.test(t) && !Number.isNaN(Date.parse(t)),
  duration: (t) => /^[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(t) || t === '0',
  byte: (t) => /^[A-Za-z0-9+/]*={0,2}$/.test(t) && t.length % 4 === 0,
  email: (t) => /^[^\s@]+@[^\s@]+$/.test(t),
  hostname: (t) => hostname.test(t),
  ipv4: (t) => isIPv4(t),
  ipv6: (t) => isIPv6(t),
  ip: (t) => isIP(t) !== 0,
  cidr: (t) => parseCidr(t) !== undefined,
  mac: (t) => /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(t),
  uri: (t) => URL.canParse(t) || t.startsWith('/'),
  uuid: (t) => uuid.test(t),
  uuid3: (t) => uuid.test(t),
  uuid4: (t) => uuid.test(t),
  uuid5: (t) => uuid.test(t),
};

/** True when the text is not of the format. */
export function formatProblem(format: string, text: string): boolean {
  return Object.hasOwn(checks, format) && checks[format]?.(text) === false;
}
