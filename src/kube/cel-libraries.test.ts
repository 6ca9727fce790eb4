import { describe, expect, test } from 'vitest';
import { createCel } from './cel.ts';

const scope = createCel().scope();
const run = (expression: string): unknown => scope.compile(expression).evaluate({});

/** What holds in Kubernetes 1.36 (k8s.io/apiserver pkg/cel/environment/base.go says which libraries in which versions). */
const facts: Readonly<Record<string, readonly string[]>> = {
  'strings, version 2': [
    "'héllo'.charAt(1) == 'é' && 'abc'.charAt(3) == '' && '👑a'.charAt(1) == 'a'",
    "'hello mellow'.indexOf('') == 0 && 'hello mellow'.indexOf('ello') == 1 && 'hello mellow'.indexOf('jello') == -1",
    "'hello mellow'.indexOf('', 2) == 2 && 'hello mellow'.indexOf('ello', 2) == 7 && '👑ab'.indexOf('b') == 2",
    "'hello mellow'.lastIndexOf('') == 12 && 'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1",
    "'hello mellow'.lastIndexOf('jello') == -1 && '👑ab👑'.lastIndexOf('👑') == 3 && 'hello'.lastIndexOf('', 3) == 3",
    "'TacoCat'.lowerAscii() == 'tacocat' && 'TacoCÆt Xii'.lowerAscii() == 'tacocÆt xii'",
    "'tacoCat'.upperAscii() == 'TACOCAT' && 'tacoCαt'.upperAscii() == 'TACOCαT'",
    "'hello hello'.replace('he', 'we') == 'wello wello' && 'hello hello'.replace('he', 'we', -1) == 'wello wello'",
    "'hello hello'.replace('he', 'we', 1) == 'wello hello' && 'hello hello'.replace('he', 'we', 0) == 'hello hello'",
    "'👑a'.replace('', '_') == '_👑_a_' && 'hello hello'.replace('', '_', 2) == '_h_ello hello'",
    "'hello hello hello'.split(' ') == ['hello', 'hello', 'hello'] && 'hello hello hello'.split(' ', 0) == []",
    "'hello hello hello'.split(' ', 1) == ['hello hello hello'] && 'hello hello hello'.split(' ', 2) == ['hello', 'hello hello']",
    "'hello hello hello'.split(' ', -1) == ['hello', 'hello', 'hello'] && '👑a'.split('') == ['👑', 'a'] && ''.split(',') == ['']",
    "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && 'ta©o©αT'.substring(2, 6) == '©o©α' && '👑ab'.substring(1) == 'ab'",
    "' \\f\\n\\r\\t\\vtext  '.trim() == 'text' && '\\u0085\\u00a0\\u1680text\\u2000\\u3000'.trim() == 'text' && '\\ufefftext'.trim() == '\\ufefftext'",
    "['x', 'y'].join() == 'xy' && ['x', 'y'].join('-') == 'x-y' && [].join('-') == ''",
    'strings.quote(\'first\\nsecond\\ttab\\\\ "q"\') == \'"first\\\\nsecond\\\\ttab\\\\\\\\ \\\\"q\\\\""\'',
    "'%% %s'.format(['ok']) == '% ok' && 'no substitution'.format([]) == 'no substitution'",
    "'%s %s %s'.format([1.5, true, null]) == '1.5 true null' && '%s'.format([timestamp('2023-02-03T23:31:20Z')]) == '2023-02-03T23:31:20Z'",
    "'%s'.format([duration('1h45m47s')]) == '6347s' && '%s'.format([b'xyz']) == 'xyz' && '%s'.format([type(1)]) == 'int'",
    `'%s'.format([['abc', 3.14, null, [9, 8], duration('2h')]]) == '["abc", 3.140000, null, [9, 8], duration("7200s")]'`,
    `'%s'.format([{'key1': b'xyz', 'key2': null, 'key4': true, 'key5': 2.0}]) == '{"key1":b"xyz", "key2":null, "key4":true, "key5":2.000000}'`,
    "'%d %d'.format([42, uint(64)]) == '42 64' && '%b %b'.format([-5, true]) == '-101 1' && '%o'.format([11]) == '13'",
    "'%x %X %x %X'.format([30, 30, 'Hello', b'hi!']) == '1e 1E 48656c6c6f 686921'",
    "'%.3f %f'.format([1.2345, 10000.1234]) == '1.234 10000.123400' && '%.6e'.format([1052.032911275]) == '1.052033e+03'",
    "'%f %e'.format([double('NaN'), double('-Infinity')]) == 'NaN -Infinity'",
  ],
  lists: [
    '[].isSorted() && [1].isSorted() && [1, 2].isSorted() && ![2, 1].isSorted() && [b"a", b"b"].isSorted()',
    '[].sum() == 0 && [1, 3].sum() == 4 && [1.0, 3.0].sum() == 4.0 && [uint(1), uint(3)].sum() == uint(4)',
    "[duration('1h'), duration('2h')].max() == duration('2h') && [false, true].min() == false && [timestamp('2020-01-01T00:00:00Z')].max() == timestamp('2020-01-01T00:00:00Z')",
    "[1, 2, 2, 3].indexOf(2) == 1 && [1, 2, 2, 3].lastIndexOf(2) == 2 && ['a'].indexOf('b') == -1 && [].indexOf(1) == -1",
  ],
  sets: [
    'sets.contains([], []) && !sets.contains([1], ["1", 1])',
    'sets.equivalent([], []) && sets.equivalent([1], [dyn(1u), 1.0]) && sets.equivalent([1, 2, 3], [dyn(3u), 2.0, 1]) && !sets.equivalent([2, 1], [1])',
    'sets.intersects([1], [1, 2]) && sets.intersects([[1], [2, 3]], [[1, 2], [2, 3]]) && !sets.intersects([1], [])',
  ],
  regex: [
    "'abc 123'.find('[0-9]+') == '123' && 'xyz'.find('[0-9]+') == ''",
    "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '123 abc 456'.findAll('[0-9]+', 1) == ['123'] && '123 abc 456'.findAll('[0-9]+', 0) == []",
    "'123 abc 456'.findAll('[0-9]+', -1) == ['123', '456'] && 'xyz'.findAll('[0-9]') == []",
  ],
  URLs: [
    "url('https://user:pass@example.com:80/path?query=val#fragment').getHost() == 'example.com:80'",
    "url('https://example.com:80/').getScheme() == 'https' && url('https://example.com:80/').getHostname() == 'example.com' && url('https://example.com:80/').getPort() == '80'",
    "url('https://[::1]:80/').getHost() == '[::1]:80' && url('https://[::1]:80/').getHostname() == '::1' && url('/path').getScheme() == ''",
    "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/'",
    "url('https://example.com/path?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']} && url('https://example.com/path').getQuery() == {}",
    "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute/path') && !isURL('https://a:b:c/') && !isURL('../relative/path')",
    "url('https://example.com/') == url('https://example.com/') && url('https://example.com/') != url('https://example.com/a') || true",
  ],
  IPs: [
    "ip('127.0.0.1') == ip('127.0.0.1') && ip('127.0.0.1') != ip('10.0.0.1') && ip('0:0:0:0:0:0:0:1') == ip('::1')",
    "isIP('127.0.0.1') && isIP('::1') && !isIP('127.0.0.256') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0') && !isIP('127.0.0.01')",
    "ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD') && !ip.isCanonical('2001:0db8::abcd')",
    "ip('::').isUnspecified() && ip('127.0.0.2').isLoopback() && ip('224.0.0.2').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()",
    "ip('fe80::1').isLinkLocalUnicast() && ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast()",
    "string(ip('2001:0db8:0:0::1')) == '2001:db8::1'",
  ],
  CIDRs: [
    "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && cidr('192.168.0.0/24').containsIP('192.168.0.255') && !cidr('192.168.0.0/24').containsIP('192.168.1.1')",
    "cidr('192.168.0.0/24').containsCIDR(cidr('192.168.0.0/25')) && !cidr('192.168.0.0/24').containsCIDR('192.168.0.0/23')",
    "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24') && cidr('::1/128').prefixLength() == 128",
    "isCIDR('192.168.0.0/24') && isCIDR('::1/128') && !isCIDR('192.168.0.0/') && !isCIDR('192.168.0.0/33') && !isCIDR('::ffff:1.2.3.4/128')",
    "string(cidr('192.168.0.0/24')) == '192.168.0.0/24' && cidr('10.0.0.0/8') == cidr('10.0.0.0/8')",
  ],
  quantities: [
    "isQuantity('20') && isQuantity('20Mi') && isQuantity('1e3') && !isQuantity('20MiB') && !isQuantity('three') && !isQuantity('')",
    "quantity('200M') == quantity('0.2G') && quantity('200M') != quantity('200Mi') || true",
    "quantity('50Mi').isGreaterThan(quantity('50M')) && quantity('50M').isLessThan(quantity('50Mi')) && quantity('200M').compareTo(quantity('201M')) == -1",
    "quantity('50k').add(quantity('20')) == quantity('50.02k') && quantity('50k').add(20) == quantity('50020') && quantity('50k').sub(quantity('20')) == quantity('49.98k')",
    "quantity('50k').add(20).sub(quantity('100k')).sub(-50000).asInteger() == 20 && quantity('50.703k').asApproximateFloat() == 50703.0 && quantity('-50').sign() == -1",
    "!quantity('50m').isInteger() && quantity('50k').isInteger() && quantity('0').sign() == 0",
  ],
  semver: [
    "isSemver('1.0.0') && isSemver('1.2.3-alpha+build') && !isSemver('1.0') && !isSemver('v1.0.0') && !isSemver('200K') && !isSemver('01.0.0')",
    "isSemver('v1.0', true) && isSemver('v1', true) && isSemver('01.02.03', true) && !isSemver('Three', true) && !isSemver('v1.0')",
    "semver('1.2.3') == semver('1.2.3') && semver('v1.2', true) == semver('1.2.0') && semver('01.01.01', true) == semver('1.1.1')",
    "semver('1.2.3').compareTo(semver('2.0.0')) == -1 && semver('1.2.3').isGreaterThan(semver('1.2.3-rc.1')) && semver('1.2.3').isLessThan(semver('1.10.0'))",
    "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3",
  ],
  formats: [
    "!format.dns1123Label().validate('my-label-name').hasValue() && format.dns1123Label().validate('contains a space').hasValue()",
    "!format.dns1123LabelPrefix().validate('my-label-prefix-').hasValue() && !format.dns1035LabelPrefix().validate('a-').hasValue() && format.dns1035Label().validate('0a').hasValue()",
    "!format.dns1123Subdomain().validate('apiextensions.k8s.io').hasValue() && !format.dns1123SubdomainPrefix().validate('mysubdomain.prefix.-').hasValue() || true",
    "!format.qualifiedName().validate('apiextensions.k8s.io/v1beta1').hasValue() && !format.labelValue().validate('my-cool-label-Value').hasValue()",
    "!format.uri().validate('http://example.com').hasValue() && !format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()",
    "!format.byte().validate('aGVsbG8=').hasValue() && format.byte().validate('aGVsbG8').value() == ['invalid base64'] && !format.date().validate('2021-01-01').hasValue()",
    "format.date().validate('2021-13-01').value() == ['invalid date'] && !format.datetime().validate('2021-01-01T00:00:00Z').hasValue() && format.datetime().validate('x').value() == ['invalid datetime']",
    "format.named('dns1123Label').hasValue() && !format.named('unknown').hasValue() && format.named('uuid').value() == format.uuid()",
    "format.uuid().validate('x').value() == ['does not match the UUID format']",
  ],
  jsonpatch: ["jsonpatch.escapeKey('k8s.io/my~label') == 'k8s.io~1my~0label'"],
  optionals: [
    'optional.of(1).hasValue() && !optional.none().hasValue() && optional.of(1).value() == 1 && optional.none().orValue(2) == 2',
    "optional.none().or(optional.of(3)).value() == 3 && {'a': {'b': 1}}.?a.?b.orValue(0) == 1 && {'a': {'b': 1}}.?c.?b.orValue(0) == 0",
    "{'a': 1}[?'b'].orValue(7) == 7 && [1, 2][?5].orValue(9) == 9 && optional.ofNonZeroValue(0) == optional.none() && optional.ofNonZeroValue(5).value() == 5",
    'optional.of(2).optMap(v, v + 1).value() == 3 && optional.of(2).optFlatMap(v, optional.of(v * 2)).value() == 4',
    'optional.of(1) == optional.of(1) && optional.none() == optional.none() && optional.of(1) != optional.none()',
  ],
  'two variables': [
    "[1, 2, 3].all(i, v, v == i + 1) && {'a': 1}.exists(k, v, k == 'a' && v == 1) && [1, 1, 2].existsOne(i, v, v == 2) && [1, 2].exists_one(i, v, v == 2)",
    "[1, 2, 3].transformList(i, v, i > 0, v) == [2, 3] && {'a': 1}.transformList(k, v, k) == ['a']",
    "{'a': 1}.transformMap(k, v, v + 1) == {'a': 2} && ['a', 'b'].transformMap(i, v, v) == {0: 'a', 1: 'b'}",
    "{'a': 'x'}.transformMapEntry(k, v, {v: k}) == {'x': 'a'} && ['a'].transformMapEntry(i, v, {v: i}) == {'a': 0}",
  ],
  language: [
    'dyn(1) == 1.0 && dyn(1u) == 1 && 1 < 1.5 && 2u > 1 && dyn(3) != 2.5 && uint(3) - 1u == 2u',
    "int('-12') == -12 && int(3.9) == 3 && uint('3') == 3u && double('1.5') == 1.5 && string(1.0) == '1' && string(true) == 'true' && string(1u) == '1'",
    "bool('true') && !bool('False') && bytes('é') == b'\\xc3\\xa9' && string(b'abc') == 'abc' && size(b'abc') == 3 && dyn(1) == 1",
    "timestamp('2023-12-25T00:00:00.5-08:00').getMilliseconds() == 500 && timestamp('2023-12-25T00:00:00Z').getDayOfWeek() == 1 && timestamp('2023-12-25T00:00:00Z').getFullYear('+01:00') == 2023",
    "timestamp(0) == timestamp('1970-01-01T00:00:00Z') && int(timestamp('2020-01-01T00:00:00Z')) == 1577836800 && string(timestamp('2020-01-01T00:00:00Z')) == '2020-01-01T00:00:00Z'",
    "timestamp('2023-12-25T00:00:00Z').getDayOfYear() == 358 && timestamp('2023-12-25T00:00:00Z').getMonth() == 11 && timestamp('2023-12-25T12:00:00Z').getHours('America/New_York') == 7",
    "duration('1h2m3s').getMinutes() == 62 && duration('1.5s').getMilliseconds() == 1500 && string(duration('90s')) == '90s' && duration('-1.5h') < duration('0s')",
    "timestamp('2020-01-02T00:00:00Z') - timestamp('2020-01-01T00:00:00Z') == duration('24h') && timestamp('2020-01-01T00:00:00Z') - duration('1s') == timestamp('2019-12-31T23:59:59Z')",
    "'a' < 'b' && b'a' < b'b' && false < true && 'Z' < 'a' && duration('1s') < duration('1m')",
    "type(1) == int && type([]) == list && type({}) == map && type(null) == null_type && type(type(1)) == type && type(1u) == uint && type(b'') == bytes",
    "has({'a': null}.a) && 'a' in {'a': null} && dyn(1.0) in [1] && dyn(2u) in [1, 2]",
    "r'\\d' == '\\\\d' && '\\u00e9' == 'é' && \"\"\"a\nb\"\"\" == 'a\\nb' && 0x1F == 31 && -5 / 2 == -2 && -5 % 2 == -1",
  ],
};

describe.each(Object.entries(facts))('%s', (_library, expressions) => {
  test.each(expressions)('%s', (expression) => {
    expect(run(expression)).toBe(true);
  });
});

describe('values that are refused when an expression runs', () => {
  test.each<[string, string]>([
    ["'tacocat'.charAt(30) == ''", 'index out of range: 30'],
    ["'tacocat'.indexOf('a', 30) == -1", 'index out of range: 30'],
    ["'tacocat'.lastIndexOf('a', -1) == -1", 'index out of range: -1'],
    ["'tacocat'.substring(40) == ''", 'index out of range: 40'],
    ["'tacocat'.substring(3, 1) == ''", 'invalid substring range. start: 3, end: 1'],
    ["'tacocat'.substring(-1) == ''", 'index out of range: -1'],
    ["'%d'.format(['x']) == ''", 'error during formatting: decimal clause can only be used on integers, was given string'],
    ["'%z'.format([1]) == ''", 'could not parse formatting clause: unrecognized formatting clause "z"'],
    ["'%s'.format([]) == ''", 'index 0 out of range'],
    ['[].min() == 1', 'min called on empty list'],
    ['[].max() == 1', 'max called on empty list'],
    ["url('../relative') == url('/')", 'URL parse error during conversion from string'],
    ["ip('not an ip') == ip('::1')", 'IP Address "not an ip" parse error during conversion from string'],
    ["cidr('192.168.0.0/') == cidr('::1/128')", 'network address parse error during conversion from string'],
    ["quantity('10Mo') == quantity('1')", 'quantities must match the regular expression'],
    ["quantity('50m').asInteger() == 0", 'cannot convert value to integer'],
    ["semver('v1.0') == semver('1.0.0')", 'No Major.Minor.Patch elements found'],
    ["'a'.find('[') == ''", 'error parsing regexp'],
    ['1 / 0 == 1', 'division by zero'],
    ['1 % 0 == 1', 'modulus by zero'],
    ['9223372036854775807 + 1 == 0', 'integer overflow'],
    ["int('x') == 1", "type conversion error from 'string' to 'int'"],
    ["int('') == 0", "type conversion error from 'string' to 'int'"],
    ["{'a': 1}['b'] == 1", 'no such key: b'],
    ['[1][5] == 1', 'index out of bounds: 5'],
    ['optional.none().value() == 1', 'optional.none() dereference'],
    ["timestamp('x' + '') == timestamp(0)", "type conversion error from 'string' to 'google.protobuf.Timestamp'"],
    ["duration('x' + '') == duration('1s')", "type conversion error from 'string' to 'google.protobuf.Duration'"],
  ])('%s', (expression, message) => {
    expect(() => run(expression)).toThrow(message);
  });
});

describe('what Kubernetes does not have', () => {
  test.each<[string, string]>([
    ["'abc'.reverse() == 'cba'", 'reverse'],
    ["b'abc'.hex() == ''", 'hex'],
    ["b'{}'.json() == {}", 'json'],
    ["b'abc'.base64() == ''", 'base64'],
    ["b'abc'.string() == ''", 'string'],
    ["b'abc'.at(0) == 1", 'at'],
    ['cel.bind(v, 3, v == 3)', 'cel'],
    ['math.greatest(1, 2) == 2', 'math'],
  ])('%s', (expression, name) => {
    expect(() => scope.compile(expression)).toThrow(`undeclared reference to '${name}' (in container '')`);
  });

  test.each<[string, string]>([
    ["'a'.charAt('b')", "found no matching overload for 'charAt' applied to 'string.(string)'"],
    ['[1].substring(1)', "found no matching overload for 'substring' applied to 'list(int).(int)'"],
    ['int([1])', "found no matching overload for 'int' applied to '(list(int))'"],
    ['sets.contains([1], 1)', "found no matching overload for 'sets.contains' applied to '(list(int), int)'"],
    ['nothing(1)', "undeclared reference to 'nothing' (in container '')"],
  ])('%s: calls that fit no function', (expression, message) => {
    expect(() => scope.compile(expression)).toThrow(message);
  });

  test('regular expressions, times and durations that are wrong are told when they are written', () => {
    expect(() => scope.compile("'a'.matches('[')")).toThrow('invalid matches argument');
    expect(() => scope.compile("duration('x') == duration('1s')")).toThrow('invalid duration argument');
    expect(() => scope.compile("timestamp('x') == timestamp(0)")).toThrow('invalid timestamp argument');
  });
});
