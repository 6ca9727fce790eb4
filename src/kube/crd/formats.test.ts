import { expect, test } from 'vitest';
import { formatProblem, isKnownFormat } from './formats.ts';

test.each<[string, readonly string[], readonly string[]]>([
  ['bsonobjectid', ['507f1f77bcf86cd799439011'], ['507f1f77bcf86cd79943901', 'x']],
  ['uri', ['https://a.example/x?y#z', '/path', 'mailto:a@b', 'urn:x:y'], ['', 'path', 'a b', 'https://a b/', '/%zz']],
  ['email', ['a@b', 'some one <some.one@example.com>', '"q q"@x.org'], ['a', '@b', 'a@', 'a b@c']],
  ['hostname', ['localhost', 'a.example.com', 'x-1', 'münchen.de'], ['-a', 'a_b.c', 'a..b', `${'a'.repeat(64)}.com`]],
  ['ipv4', ['1.2.3.4', '::ffff:1.2.3.4'], ['1.2.3', '::1', '01.2.3.4']],
  ['ipv6', ['::1', 'fe80::'], ['1.2.3.4', 'fe80::1%eth0']],
  ['cidr', ['10.0.0.0/8', 'fd00::/8'], ['10.0.0.0', '10.0.0.0/33']],
  ['mac', ['00:00:5e:00:53:01', '02-00-5e-10-00-00-00-01', '0000.5e00.5301'], ['00:00:5e:00:53', '00:00-5e:00:53:01']],
  ['uuid', ['A987FBC9-4BED-3078-CF07-9141BA07C9F3', 'a987fbc94bed3078cf079141ba07c9f3'], ['a987fbc9-4bed-3078-cf07']],
  ['uuid3', ['a987fbc9-4bed-3078-cf07-9141ba07c9f3'], ['57b73598-8764-4ad0-a76a-679bb6640eb1']],
  ['uuid4', ['57b73598-8764-4ad0-a76a-679bb6640eb1'], ['a987fbc9-4bed-3078-cf07-9141ba07c9f3']],
  ['uuid5', ['987fbc97-4bed-5078-af07-9141ba07c9f3'], ['57b73598-8764-4ad0-a76a-679bb6640eb1']],
  ['isbn', ['0321751043', '978-0321751041'], ['0321751042']],
  ['isbn10', ['0321751043'], ['978-0321751041']],
  ['isbn13', ['978 0321751041'], ['0321751043', '978-0321751042']],
  ['creditcard', ['4111-1111-1111-1111'], ['4111-1111-1111-1112', '1']],
  ['ssn', ['111-11-1111'], ['111111111', '999 99 99']],
  ['hexcolor', ['#FFFFFF', 'abc'], ['#ff', '#gggggg']],
  ['rgbcolor', ['rgb(255, 0,100)'], ['rgb(256,0,0)', 'rgb(1,2)']],
  ['byte', ['aGk=', 'aGVsbG8h'], ['', 'aGk', 'a-k=']],
  ['password', ['', 'any'], []],
  ['date', ['2024-02-29', '0001-01-01'], ['2023-02-29', '2024-2-9', '2024-13-01']],
  ['date-time', ['2014-12-15T19:30:20.000Z', '2014-12-15t19:30:20+01:00'], ['2014-12-15', '2014-12-15T24:00:00Z', '2014-12-15T19:30:20']],
  ['datetime', ['2014-12-15T19:30:20Z'], ['2014-12-15 19:30:20Z']],
  ['duration', ['22 ns', '1h30m', '-1.5h', '3 weeks', '2 days 1 hr', '0'], ['1', 'x', '1 fortnight']],
  ['k8s-short-name', ['a-1'], ['A', '-a', 'a'.repeat(64), 'a.b']],
  ['k8s-long-name', ['a.b-c'], ['a..b', 'A.b']],
])('%s', (format, right, wrong) => {
  expect(right.filter((text) => formatProblem(format, text))).toEqual([]);
  expect(wrong.filter((text) => !formatProblem(format, text))).toEqual([]);
});

test('formats that nobody checks are remarks', () => {
  expect(['int32', 'int64', 'double', 'phone', '__proto__'].filter(isKnownFormat)).toEqual([]);
  expect(formatProblem('phone', 'x')).toBe(false);
});
