/**
 * The CEL functions on strings, lists and sets that Kubernetes adds to the language: cel-go ext.Strings (version 2), ext.Sets,
 * and k8s.io/apiserver pkg/cel/library regex, lists and format. Regular expressions are RE2: their time grows with the
 * input only.
 */
import { Optional } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { CelValueError, celEqual, compareValues, defineNamespace, type Library } from './cel-library.ts';
import { formatText } from './cel-printf.ts';
import { isDns1035Label, isDns1123Label, isDns1123Subdomain, isLabelValue, isQualifiedName } from './names.ts';

const maxCached = 256;

/** Compiles patterns once; keeps the latest ones. */
function patternCache(): (pattern: string) => RE2JS {
  const known = new Map<string, RE2JS>();
  return (pattern) => {
    let compiled = known.get(pattern);
    if (compiled === undefined) {
      try {
        compiled = RE2JS.compile(pattern);
      } catch (error) {
        throw new CelValueError(`error parsing regexp: ${error instanceof Error ? error.message : String(error)}`);
      }
      if (known.size >= maxCached) known.delete(known.keys().next().value ?? '');
      known.set(pattern, compiled);
    }
    return compiled;
  };
}

const units = (text: string): number => 1 + Math.ceil(text.length / 256);

function registerRegex({ define, meter }: Library): void {
  const compiled = patternCache();
  define('string.matchesRE2(string): bool', (text: string, pattern: string) => {
    meter.spend(units(text));
    return compiled(pattern).matcher(text).find();
  });
  define('string.find(string): string', (text: string, pattern: string) => {
    meter.spend(units(text));
    const matcher = compiled(pattern).matcher(text);
    return matcher.find() ? (matcher.group() ?? '') : '';
  });
  const findAll = (text: string, pattern: string, limit: number): string[] => {
    meter.spend(units(text));
    const matcher = compiled(pattern).matcher(text);
    const out: string[] = [];
    while ((limit < 0 || out.length < limit) && matcher.find()) out.push(matcher.group() ?? '');
    return out;
  };
  define('string.findAll(string): list<string>', (text: string, pattern: string) => findAll(text, pattern, -1));
  define('string.findAll(string, int): list<string>', (text: string, pattern: string, limit: bigint) =>
    findAll(text, pattern, Number(limit)),
  );
}

function replaceText(text: string, from: string, to: string, limit: number): string {
  if (limit < 0) return text.replaceAll(from, () => to);
  const parts = text.split(from);
  if (parts.length - 1 <= limit) return parts.join(to);
  return (
    parts
      .slice(0, limit)
      .map((p) => p + to)
      .join('') + parts.slice(limit).join(from)
  );
}

function quoted(text: string): string {
  const escapes: Readonly<Record<string, string>> = {
    '\u0007': '\\a',
    '\b': '\\b',
    '\f': '\\f',
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\v': '\\v',
    '\\': '\\\\',
    '"': '\\"',
  };
  return `"${Array.from(text, (c) => escapes[c] ?? c).join('')}"`;
}

function registerStrings({ define, meter, environment }: Library): void {
  define('string.charAt(int): string', (text: string, index: bigint) => {
    const i = Number(index);
    const points = Array.from(text);
    if (i < 0 || i > points.length) throw new CelValueError(`index out of range: ${i}`);
    return points[i] ?? '';
  });
  define('string.replace(string, string): string', (text: string, from: string, to: string) => {
    meter.spend(units(text));
    return replaceText(text, from, to, -1);
  });
  define('string.replace(string, string, int): string', (text: string, from: string, to: string, limit: bigint) => {
    meter.spend(units(text));
    return replaceText(text, from, to, Number(limit));
  });
  define('string.reverse(): string', (text: string) => Array.from(text).reverse().join(''));
  define('string.format(list): string', (text: string, args: readonly unknown[]) => formatText(text, args));
  defineNamespace(environment, 'strings');
  define('stringsNamespace.quote(string): string', (_: object, text: string) => quoted(text));
}

function sum(list: readonly unknown[]): unknown {
  let total: unknown;
  for (const v of list) {
    if (total === undefined) total = v;
    else if (typeof total === 'bigint' && typeof v === 'bigint') total += v;
    else if (typeof total === 'number' && typeof v === 'number') total += v;
    else if (hasAdd(total)) total = total.addDuration(v);
    else throw new CelValueError('no such overload: sum');
  }
  return total ?? 0n;
}
const hasAdd = (v: unknown): v is { addDuration: (other: unknown) => unknown } =>
  typeof v === 'object' && v !== null && 'addDuration' in v && typeof v.addDuration === 'function';

function registerLists({ define, meter }: Library): void {
  const extreme = (list: readonly unknown[], sign: number, name: string): unknown => {
    meter.spend(list.length);
    let found = list[0];
    if (found === undefined) throw new CelValueError(`${name} called on empty list`);
    for (const v of list) if (compareValues(v, found) * sign < 0) found = v;
    return found;
  };
  define('list<A>.isSorted(): bool', (list: readonly unknown[]) => {
    meter.spend(list.length);
    return list.every((v, i) => i === 0 || compareValues(list[i - 1], v) <= 0);
  });
  define('list<A>.sum(): A', (list: readonly unknown[]) => {
    meter.spend(list.length);
    return sum(list);
  });
  define('list<A>.min(): A', (list: readonly unknown[]) => extreme(list, 1, 'min'));
  define('list<A>.max(): A', (list: readonly unknown[]) => extreme(list, -1, 'max'));
  define('list<A>.indexOf(A): int', (list: readonly unknown[], value: unknown) => {
    meter.spend(list.length);
    return BigInt(list.findIndex((v) => celEqual(v, value)));
  });
  define('list<A>.lastIndexOf(A): int', (list: readonly unknown[], value: unknown) => {
    meter.spend(list.length);
    return BigInt(list.findLastIndex((v) => celEqual(v, value)));
  });
}

function registerSets({ define, meter, environment }: Library): void {
  defineNamespace(environment, 'sets');
  const contains = (list: readonly unknown[], sub: readonly unknown[]): boolean => {
    meter.spend(list.length * sub.length);
    return sub.every((v) => list.some((w) => celEqual(v, w)));
  };
  type Lists = [object, readonly unknown[], readonly unknown[]];
  define('setsNamespace.contains(list, list): bool', (...[, a, b]: Lists) => contains(a, b));
  define('setsNamespace.equivalent(list, list): bool', (...[, a, b]: Lists) => contains(a, b) && contains(b, a));
  define('setsNamespace.intersects(list, list): bool', (...[, a, b]: Lists) => {
    meter.spend(a.length * b.length);
    return a.some((v) => b.some((w) => celEqual(v, w)));
  });
}

class NamedFormat {
  readonly name: string;
  readonly problems: (text: string) => readonly string[];
  constructor(name: string, problems: (text: string) => readonly string[]) {
    this.name = name;
    this.problems = problems;
  }
}

const matching =
  (pattern: RegExp, message: string) =>
  (text: string): readonly string[] =>
    pattern.test(text) ? [] : [message];
/** Names made by generateName end in five more characters, so what comes before them may end in '-'. */
const asPrefix =
  (check: (text: string) => readonly string[]) =>
  (text: string): readonly string[] =>
    check(`${text.replace(/-$/, 'a')}`);

const formats: Readonly<Record<string, (text: string) => readonly string[]>> = {
  dns1123Label: isDns1123Label,
  dns1123Subdomain: isDns1123Subdomain,
  dns1035Label: isDns1035Label,
  dns1123LabelPrefix: asPrefix(isDns1123Label),
  dns1123SubdomainPrefix: asPrefix(isDns1123Subdomain),
  dns1035LabelPrefix: asPrefix(isDns1035Label),
  qualifiedName: isQualifiedName,
  labelValue: isLabelValue,
  uri: (text) => (URL.canParse(text) || /^\/\S*$/.test(text) ? [] : ['invalid URI']),
  uuid: matching(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, 'does not match the UUID format'),
  byte: matching(/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, 'invalid base64'),
  date: matching(/^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/, 'invalid date'),
  datetime: (text) => (/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d/.test(text) && !Number.isNaN(Date.parse(text)) ? [] : ['invalid datetime']),
};

function registerFormats({ define, environment }: Library): void {
  environment.registerType('kubernetes.NamedFormat', NamedFormat as never);
  defineNamespace(environment, 'format');
  for (const [name, problems] of Object.entries(formats)) {
    const format = new NamedFormat(name, problems);
    define(`formatNamespace.${name}(): kubernetes.NamedFormat`, () => format);
  }
  define('formatNamespace.named(string): optional<kubernetes.NamedFormat>', (_: object, name: string) => {
    const problems = Object.hasOwn(formats, name) ? formats[name] : undefined;
    return problems === undefined ? Optional.none() : Optional.of(new NamedFormat(name, problems));
  });
  define('kubernetes.NamedFormat.validate(string): optional<list<string>>', (format: NamedFormat, text: string) => {
    const found = format.problems(text);
    return found.length === 0 ? Optional.none() : Optional.of([...found]);
  });
}

export function registerText(library: Library): void {
  registerRegex(library);
  registerStrings(library);
  registerLists(library);
  registerSets(library);
  registerFormats(library);
}
