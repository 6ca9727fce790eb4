/**
 * The CEL functions of regular expressions, on lists and sets, and named formats: cel-go ext.Sets and
 * k8s.io/apiserver pkg/cel/library regex, lists and format. Regular expressions are RE2: their time grows with the
 * input only.
 */
import { Optional } from '@marcbachmann/cel-js';
import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { RE2JS } from 're2js';
import { CelValueError, celEqual, compareValues, defineNamespace, type Library } from './cel-library.ts';
import { ours } from './cel-names.ts';
import { isRequestUri } from './cel-network.ts';
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

function registerRegex({ define }: Library): void {
  const compiled = patternCache();
  define(`string.${ours('matches')}(string): bool`, (text: string, pattern: string) => {
    return compiled(pattern).matcher(text).find();
  });
  define('string.find(string): string', (text: string, pattern: string) => {
    const matcher = compiled(pattern).matcher(text);
    return matcher.find() ? (matcher.group() ?? '') : '';
  });
  const findAll = (text: string, pattern: string, limit: number): string[] => {
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

function sum(list: readonly unknown[]): unknown {
  let total: unknown;
  for (const v of list) {
    if (total === undefined) total = v;
    else if (typeof total === 'bigint' && typeof v === 'bigint') total += v;
    else if (typeof total === 'number' && typeof v === 'number') total += v;
    else if (total instanceof UnsignedInt && v instanceof UnsignedInt) total = new UnsignedInt(total.valueOf() + v.valueOf());
    else if (hasAdd(total)) total = total.addDuration(v);
    else throw new CelValueError('no such overload: sum');
  }
  return total ?? 0n;
}
const hasAdd = (v: unknown): v is { addDuration: (other: unknown) => unknown } =>
  typeof v === 'object' && v !== null && 'addDuration' in v && typeof v.addDuration === 'function';

function registerLists({ define }: Library): void {
  const extreme = (list: readonly unknown[], sign: number, name: string): unknown => {
    let found = list[0];
    if (found === undefined) throw new CelValueError(`${name} called on empty list`);
    for (const v of list) if (compareValues(v, found) * sign < 0) found = v;
    return found;
  };
  define('list<A>.isSorted(): bool', (list: readonly unknown[]) => {
    return list.every((v, i) => i === 0 || compareValues(list[i - 1], v) <= 0);
  });
  define('list<A>.sum(): A', (list: readonly unknown[]) => {
    return sum(list);
  });
  define('list<A>.min(): A', (list: readonly unknown[]) => extreme(list, 1, 'min'));
  define('list<A>.max(): A', (list: readonly unknown[]) => extreme(list, -1, 'max'));
  define(`list<A>.${ours('indexOf')}(A): int`, (list: readonly unknown[], value: unknown) => {
    return BigInt(list.findIndex((v) => celEqual(v, value)));
  });
  define(`list<A>.${ours('lastIndexOf')}(A): int`, (list: readonly unknown[], value: unknown) => {
    return BigInt(list.findLastIndex((v) => celEqual(v, value)));
  });
}

function registerSets({ define, environment }: Library): void {
  defineNamespace(environment, 'sets');
  const contains = (list: readonly unknown[], sub: readonly unknown[]): boolean => {
    return sub.every((v) => list.some((w) => celEqual(v, w)));
  };
  type Lists = [object, readonly unknown[], readonly unknown[]];
  define('setsNamespace.contains(list, list): bool', (...[, a, b]: Lists) => contains(a, b));
  define('setsNamespace.equivalent(list, list): bool', (...[, a, b]: Lists) => contains(a, b) && contains(b, a));
  define('setsNamespace.intersects(list, list): bool', (...[, a, b]: Lists) => {
    return a.some((v) => b.some((w) => celEqual(v, w)));
  });
}

type Problems = (text: string) => readonly string[];

/** A check of texts, and how long the regular expression is that upstream has for it: what running it costs. */
interface Format {
  readonly problems: Problems;
  readonly patternLength: number;
}

class NamedFormat {
  readonly name: string;
  readonly problems: Problems;
  readonly patternLength: number;
  constructor(name: string, format: Format) {
    this.name = name;
    this.problems = format.problems;
    this.patternLength = format.patternLength;
  }
  equals(other: unknown): boolean {
    return other instanceof NamedFormat && other.name === this.name;
  }
}

const matching =
  (pattern: RegExp, message: string): Problems =>
  (text) =>
    pattern.test(text) ? [] : [message];
/** Names made by generateName end in five more characters, so what comes before them may end in '-'. */
const asPrefix =
  (check: Problems): Problems =>
  (text) =>
    check(text.replace(/-$/, 'a'));

const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const byte = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$/;
const date = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])$/;
const datetime = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d/;

const formats: Readonly<Record<string, Format>> = {
  dns1123Label: { problems: isDns1123Label, patternLength: 30 },
  dns1123Subdomain: { problems: isDns1123Subdomain, patternLength: 60 },
  dns1035Label: { problems: isDns1035Label, patternLength: 30 },
  dns1123LabelPrefix: { problems: asPrefix(isDns1123Label), patternLength: 30 },
  dns1123SubdomainPrefix: { problems: asPrefix(isDns1123Subdomain), patternLength: 60 },
  dns1035LabelPrefix: { problems: asPrefix(isDns1035Label), patternLength: 30 },
  qualifiedName: { problems: isQualifiedName, patternLength: 60 },
  labelValue: { problems: isLabelValue, patternLength: 40 },
  uri: { problems: (text) => (isRequestUri(text) ? [] : [`parse ${JSON.stringify(text)}: invalid URI for request`]), patternLength: 1000 },
  uuid: { problems: matching(uuid, 'does not match the UUID format'), patternLength: 80 },
  byte: { problems: matching(byte, 'invalid base64'), patternLength: 90 },
  date: { problems: (text) => (date.test(text) && !Number.isNaN(Date.parse(text)) ? [] : ['invalid date']), patternLength: 70 },
  datetime: { problems: (text) => (datetime.test(text) && !Number.isNaN(Date.parse(text)) ? [] : ['invalid datetime']), patternLength: 70 },
};

function registerFormats({ define, environment }: Library): void {
  environment.registerType('kubernetes.NamedFormat', NamedFormat as never);
  environment.registerOperator('kubernetes.NamedFormat == kubernetes.NamedFormat', (a: NamedFormat, b: unknown) => a.equals(b));
  defineNamespace(environment, 'format');
  for (const [name, known] of Object.entries(formats)) {
    const format = new NamedFormat(name, known);
    define(`formatNamespace.${name}(): kubernetes.NamedFormat`, () => format);
  }
  define('formatNamespace.named(string): optional<kubernetes.NamedFormat>', (_: object, name: string) => {
    const known = Object.hasOwn(formats, name) ? formats[name] : undefined;
    return known === undefined ? Optional.none() : Optional.of(new NamedFormat(name, known));
  });
  define('kubernetes.NamedFormat.validate(string): optional<list<string>>', (format: NamedFormat, text: string) => {
    const found = format.problems(text);
    return found.length === 0 ? Optional.none() : Optional.of([...found]);
  });
}

export function registerText(library: Library): void {
  registerRegex(library);
  registerLists(library);
  registerSets(library);
  registerFormats(library);
}
