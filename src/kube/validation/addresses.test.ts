/** k8s.io/apimachinery pkg/util/validation/ip_test.go and ValidateNonSpecialIP. */
import { describe, expect, test } from 'vitest';
import { canonicalCidr, canonicalIpAddress, cidr, cidrWarnings, ipAddress, ipWarnings, isStrictSubnet, ordinaryIp } from './addresses.ts';

const future = 'will be considered invalid in a future Kubernetes release';
const badIp = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const badCidr = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
const details = (errors: readonly { readonly message: string }[]): string[] =>
  errors.map((e) => e.message.replace(/^Invalid value: "[^"]*": /, ''));

describe('addresses', () => {
  test.each<[string, string[], string[], string[]]>([
    ['1.2.3.4', [], [], []],
    ['2001:db8::ffff', [], [], []],
    [
      '2001:DB8:0:0::FFFF',
      [],
      ['must be in canonical form ("2001:db8::ffff")'],
      ['f: IPv6 address "2001:DB8:0:0::FFFF" should be in RFC 5952 canonical format ("2001:db8::ffff")'],
    ],
    [
      '1.2.3.04',
      ['must not have leading 0s'],
      ['must not have leading 0s'],
      [`f: non-standard IP address "1.2.3.04" ${future}: use "1.2.3.4"`],
    ],
    [
      '::ffff:1.2.3.4',
      ['must not be an IPv4-mapped IPv6 address'],
      ['must not be an IPv4-mapped IPv6 address'],
      [`f: non-standard IP address "::ffff:1.2.3.4" ${future}: use "1.2.3.4"`],
    ],
    ['1.2.3', [badIp], [badIp], []],
    ['1.2.3.4/32', [badIp], [badIp], []],
    ['fe80::1%eth0', [badIp], [badIp], []],
    ['', [badIp], [badIp], []],
  ])('%s', (text, older, strict, warnings) => {
    expect(details(ipAddress('f', text))).toEqual(older);
    expect(details(canonicalIpAddress('f', text))).toEqual(strict);
    expect(ipWarnings('f', text)).toEqual(warnings);
    expect(ipAddress('f', text, [text])).toEqual([]);
  });
});

describe('networks', () => {
  test.each<[string, string[], string[], string[]]>([
    ['1.2.3.0/24', [], [], []],
    ['2001:db8::/64', [], [], []],
    [
      '2001:0DB8::/64',
      [],
      ['must be in canonical form ("2001:db8::/64")'],
      ['f: IPv6 CIDR value "2001:0DB8::/64" should be in RFC 5952 canonical format ("2001:db8::/64")'],
    ],
    [
      '1.2.3.4/24',
      ['must not have bits set beyond the prefix length'],
      ['must not have bits set beyond the prefix length'],
      ['f: CIDR value "1.2.3.4/24" is ambiguous in this context (should be "1.2.3.0/24" or "1.2.3.4/32"?)'],
    ],
    [
      '1.002.3.0/24',
      ['must not have leading 0s in IP or prefix length'],
      ['must not have leading 0s in IP or prefix length'],
      [`f: non-standard CIDR value "1.002.3.0/24" ${future}: use "1.2.3.0/24"`],
    ],
    [
      '1.2.3.0/024',
      ['must not have leading 0s in IP or prefix length'],
      ['must not have leading 0s in IP or prefix length'],
      [`f: non-standard CIDR value "1.2.3.0/024" ${future}: use "1.2.3.0/24"`],
    ],
    [
      '::ffff:1.2.3.0/120',
      ['must not have an IPv4-mapped IPv6 address'],
      ['must not have an IPv4-mapped IPv6 address'],
      [`f: non-standard CIDR value "::ffff:1.2.3.0/120" ${future}: use "1.2.3.0/24"`],
    ],
    ['1.2.3.0/33', [badCidr], [badCidr], []],
    ['1.2.3.0', [badCidr], [badCidr], []],
    ['1.2.3.0/-1', [badCidr], [badCidr], []],
  ])('%s', (text, older, strict, warnings) => {
    expect(details(cidr('f', text))).toEqual(older);
    expect(details(canonicalCidr('f', text))).toEqual(strict);
    expect(cidrWarnings('f', text)).toEqual(warnings);
    expect(cidr('f', text, [text])).toEqual([]);
  });

  test.each<[string, string, boolean | undefined]>([
    ['10.1.0.0/16', '10.0.0.0/8', true],
    ['10.0.0.0/8', '10.0.0.0/8', false],
    ['11.1.0.0/16', '10.0.0.0/8', false],
    ['2001:db8:1::/48', '2001:db8::/32', true],
    ['2001:db8::/48', '10.0.0.0/8', false],
    ['x', '10.0.0.0/8', undefined],
  ])('%s in %s: %s', (inner, outer, expected) => {
    expect(isStrictSubnet(inner, outer)).toBe(expected);
  });
});

test.each<[string, string[]]>([
  ['10.1.2.3', []],
  ['2001:db8::1', []],
  ['0.0.0.0', ['may not be unspecified (0.0.0.0)']],
  ['::', ['may not be unspecified (::)']],
  ['127.0.0.1', ['may not be in the loopback range (127.0.0.0/8, ::1/128)']],
  ['::1', ['may not be in the loopback range (127.0.0.0/8, ::1/128)']],
  ['169.254.1.1', ['may not be in the link-local range (169.254.0.0/16, fe80::/10)']],
  ['fe80::1', ['may not be in the link-local range (169.254.0.0/16, fe80::/10)']],
  ['224.0.0.1', ['may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)']],
  ['ff02::1', ['may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)']],
  ['nothing', ['must be a valid IP address']],
])('an endpoint at %s', (text, expected) => {
  expect(details(ordinaryIp('f', text))).toEqual(expected);
});
