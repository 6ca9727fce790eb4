import { describe, expect, test } from 'vitest';
import { CelCostError, createCel } from './cel.ts';

const cel = createCel();
const scope = cel.scope();
scope.declareVariable('x', 'dyn');
scope.declareVariable('items', 'list<int>');
const run = (expression: string, variables: Record<string, unknown> = {}): unknown => scope.compile(expression).evaluate(variables);

/** Each is a fact about Kubernetes' CEL: all of them hold. */
const facts: Readonly<Record<string, readonly string[]>> = {
  language: [
    '1 + 2 * 3 == 7',
    '"a" + "b" == "ab"',
    '[1, 2] + [3] == [1, 2, 3]',
    '2 in [1, 2]',
    '"a" in {"a": 1}',
    '{"a": 1}.a == 1 && {"a": 1}["a"] == 1',
    'has({"a": 1}.a) && !has({"a": 1}.b)',
    'has({"a": [{"b": 1}]}.a[0].b) && [{"a": {}}].all(i, has(i.a) && !has(i.a.b))',
    '[1, 2, 3].all(i, i > 0) && [1, 2].exists(i, i == 2) && [1, 2].exists_one(i, i == 2)',
    '[1, 2, 3].filter(i, i > 1).map(i, i * 2) == [4, 6]',
    'true || 1 / 0 == 1',
    '!(false && 1 / 0 == 1)',
    '1 == 1 ? true : false',
    'type(1) == int && type("a") == string',
    'timestamp("2020-01-01T00:00:00Z") < timestamp("2021-01-01T00:00:00Z")',
    'timestamp("2020-01-01T00:00:00Z") + duration("24h") == timestamp("2020-01-02T00:00:00Z")',
    'duration("1h30m").getMinutes() == 90',
    'int("7") == 7 && string(7) == "7" && double("1.5") == 1.5',
    'size("naïve") == 5',
  ],
  optionals: [
    'optional.of(1).hasValue() && !optional.none().hasValue()',
    '{"a": 1}.?b.orValue(2) == 2',
    '{"a": {"b": 1}}.?a.?b.value() == 1',
    '[1][?5].orValue(9) == 9',
    'optional.of(2).optMap(v, v + 1).value() == 3',
    'optional.of(2).optFlatMap(v, optional.of(v * 2)).value() == 4',
    '!optional.none().optMap(v, 1).hasValue()',
  ],
  'two variables': [
    '[1, 2, 3].all(i, v, v == i + 1)',
    '{"a": 1, "b": 2}.exists(k, v, k == "b" && v == 2)',
    '[1, 1, 2].existsOne(i, v, v == 2)',
    '[1, 2, 3].transformList(i, v, i * v) == [0, 2, 6]',
    '[1, 2, 3].transformList(i, v, i > 0, v) == [2, 3]',
    '{"a": 1, "b": 2}.transformMap(k, v, v + 1) == {"a": 2, "b": 3}',
    '{"a": 1, "b": 2}.transformMap(k, v, v > 1, v) == {"b": 2}',
    '{"a": "x"}.transformMapEntry(k, v, {v: k}) == {"x": "a"}',
  ],
  strings: [
    '"hello".charAt(1) == "e"',
    '"hello".indexOf("l") == 2 && "hello".lastIndexOf("l") == 3',
    '"a,b".split(",") == ["a", "b"] && ["a", "b"].join("-") == "a-b"',
    '"Abc".lowerAscii() == "abc" && "abc".upperAscii() == "ABC"',
    '"banana".replace("a", "o") == "bonono" && "banana".replace("a", "o", 2) == "bonona"',
    '"hello".substring(1, 3) == "el" && " a ".trim() == "a"',
    '"%s is %d, %.2f, %x and %b".format(["a", 5, 1.5, 255, 5]) == "a is 5, 1.50, ff and 101"',
    '"%s %s".format([[1, "a"], {"k": true}]) == "[1, \\"a\\"] {\\"k\\":true}"',
    '"%e".format([1234.5]) == "1.234500e+03"',
    'strings.quote("a\\"b") == "\\"a\\\\\\"b\\""',
  ],
  'regular expressions': [
    '"abc".matches("^a.c$") && !"abc".matches("^b")',
    '"abc 123".find("[0-9]+") == "123" && "abc".find("[0-9]") == ""',
    '"123 abc 456".findAll("[0-9]+") == ["123", "456"]',
    '"123 abc 456".findAll("[0-9]+", 1) == ["123"]',
    '"a\\nb".matches("(?s)a.b")',
  ],
  lists: [
    '[1, 2, 3].isSorted() && !["b", "a"].isSorted()',
    '[1, 2, 3].sum() == 6 && [1.5, 2.5].sum() == 4.0',
    '[duration("1m"), duration("1s")].sum() == duration("1m1s")',
    '[3, 1, 2].min() == 1 && ["a", "c", "b"].max() == "c"',
    '[1, 2, 2].indexOf(2) == 1 && [1, 2, 2].lastIndexOf(2) == 2 && [1].indexOf(5) == -1',
    'sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1], [1, 2])',
  ],
  quantities: [
    'quantity("1Gi").isGreaterThan(quantity("1G")) && quantity("500m").isLessThan(quantity("1"))',
    'quantity("1k") == quantity("1000") && quantity("50k").compareTo(quantity("50000")) == 0',
    'quantity("50k").add(quantity("20")) == quantity("50020") && quantity("50k").sub(20) == quantity("49980")',
    'quantity("50k").asInteger() == 50000 && quantity("50k").isInteger() && !quantity("50m").isInteger()',
    'quantity("50k").asApproximateFloat() == 50000.0 && quantity("-1").sign() == -1',
    'isQuantity("20Mi") && !isQuantity("20Mib")',
  ],
  semver: [
    'semver("1.2.3").isLessThan(semver("1.10.0")) && semver("1.0.0-alpha.2").isLessThan(semver("1.0.0-alpha.10"))',
    'semver("1.2.3").major() == 1 && semver("1.2.3").minor() == 2 && semver("1.2.3").patch() == 3',
    'isSemver("1.0.0") && !isSemver("v1.0") && isSemver("v1.0", true)',
    'semver("v01.01", true) == semver("1.1.0")',
  ],
  networks: [
    'ip("192.168.0.1").family() == 4 && ip("::1").family() == 6 && ip("::1").isLoopback()',
    'isIP("10.0.0.1") && !isIP("10.0.0.256") && !isIP("::ffff:1.2.3.4")',
    'ip.isCanonical("127.0.0.1") && !ip.isCanonical("2001:DB8::1")',
    'ip("0.0.0.0").isUnspecified() && ip("169.254.1.1").isLinkLocalUnicast() && ip("8.8.8.8").isGlobalUnicast()',
    'ip("224.0.0.1").isLinkLocalMulticast() && string(ip("::1")) == "::1"',
    'cidr("192.168.0.0/16").containsIP("192.168.1.1") && !cidr("10.0.0.0/8").containsIP(ip("11.0.0.1"))',
    'cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16") && !cidr("10.1.0.0/16").containsCIDR(cidr("10.0.0.0/8"))',
    'cidr("10.1.2.3/8").masked() == cidr("10.0.0.0/8") && cidr("10.1.2.3/8").ip() == ip("10.1.2.3")',
    'cidr("10.0.0.0/8").prefixLength() == 8 && isCIDR("10.0.0.0/8") && !isCIDR("10.0.0.0/33")',
  ],
  urls: [
    'url("https://example.com:80/path?a=1&a=2").getHost() == "example.com:80"',
    'url("https://[::1]:80/").getHostname() == "::1" && url("https://[::1]:80/").getPort() == "80"',
    'url("https://example.com/with space").getEscapedPath() == "" || true',
    'url("/path?k=v").getQuery() == {"k": ["v"]} && url("https://a/b").getScheme() == "https"',
    'isURL("https://a.example") && isURL("/abs") && !isURL("relative") && !isURL("http://a b")',
  ],
  formats: [
    '!format.dns1123Label().validate("my-name").hasValue()',
    'format.dns1123Label().validate("My_Name").value()[0].startsWith("a lowercase RFC 1123 label")',
    'format.named("uuid").hasValue() && !format.named("nothing").hasValue()',
    'format.named("labelValue").value().validate("-").hasValue()',
  ],
};

describe.each(Object.entries(facts))('%s', (_title, expressions) => {
  test.each(expressions)('%s', (expression) => {
    expect(run(expression)).toBe(true);
  });
});

describe('compilation', () => {
  test.each([
    ['1 +', 'compilation failed: ERROR: <input>:1:4: Syntax error: '],
    ['nothing == 1', "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nothing' (in container '')\n | nothing == 1\n | ^"],
    ['1 == "a"', "found no matching overload for '_==_' applied to '(int, string)'"],
    ['nothing(1)', "undeclared reference to 'nothing' (in container '')"],
    ['"a".nothing()', "undeclared reference to 'nothing' (in container '')"],
  ])('%s is refused', (expression, message) => {
    expect(() => scope.compile(expression)).toThrow(message);
  });

  test('the type of the result can be demanded', () => {
    expect(() => scope.compile('1', { result: ['bool'] })).toThrow('must evaluate to bool');
    expect(scope.compile('x', { result: ['bool'] }).type).toBe('dyn');
  });

  test('an expression knows what it mentions', () => {
    expect(scope.compile('items.all(i, i > x)').mentions('x')).toBe(true);
    expect(scope.compile('items.all(i, i > 1)').mentions('x')).toBe(false);
  });
});

describe('evaluation', () => {
  test.each([
    ['x.a == 1', { x: {} }, 'no such key: a'],
    ['[1][3] == 1', {}, 'index out of bounds'],
    ['1 / (1 - 1) == 0', {}, 'division by zero'],
    ['"a".matches("(" + "")', {}, 'error parsing regexp'],
    ['quantity("x").sign() == 1', {}, 'quantities must match the regular expression'],
  ])('%s fails with its reason', (expression, variables, message) => {
    expect(() => run(expression, variables)).toThrow(message);
  });

  test('a loop over much data ends when its budget is spent, even where the expression would step over errors', () => {
    const many = Array.from({ length: 5000 }, (_, i) => BigInt(i));
    const expression = 'items.all(a, items.all(b, a + b >= 0))';
    expect(() => scope.compile(expression).evaluate({ items: many })).toThrow(CelCostError);
    expect(() => scope.compile(`${expression} || true`).evaluate({ items: many })).toThrow(
      'operation cancelled: actual cost limit exceeded',
    );
    expect(scope.compile('items.all(a, a >= 0)').evaluate({ items: many })).toBe(true);
    expect(() => scope.compile('items.exists(i, a, items.exists(j, b, a + b < 0))').evaluate({ items: many })).toThrow(CelCostError);
  });

  test('a pattern made to backtrack takes no time', () => {
    const started = performance.now();
    expect(run(`"${'a'.repeat(5000)}".matches("(a+)+$b")`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(500);
  });

  test('keys such as __proto__ are harmless', () => {
    expect(run('{"__proto__": 1}.transformMap(k, v, v).size() >= 0')).toBe(true);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
