/** The CEL functions on quantities and semantic versions (k8s.io/apiserver pkg/cel/library quantity, semver). */
import { CelValueError, type Library } from './cel-library.ts';
import {
  addQuantity,
  compareQuantity,
  formatQuantity,
  isQuantity,
  type ParsedQuantity,
  parseQuantity,
  quantityOf,
  quantitySign,
  scaledQuantity,
  subtractQuantity,
  toNumber,
} from './quantity.ts';

class Quantity {
  readonly amount: ParsedQuantity;
  constructor(amount: ParsedQuantity) {
    this.amount = amount;
  }
  toString(): string {
    return formatQuantity(this.amount);
  }
  equals(other: unknown): boolean {
    return other instanceof Quantity && compareQuantity(this.amount, other.amount) === 0;
  }
}

const maxInt = 2n ** 63n - 1n;

/** The whole number that a quantity is, if it is one that fits. */
function wholeOf(q: Quantity): bigint | undefined {
  const whole = scaledQuantity(q.amount, 0);
  const exact = compareQuantity(q.amount, quantityOf(whole)) === 0;
  return exact && whole <= maxInt && whole >= -maxInt - 1n ? whole : undefined;
}

function registerQuantities({ define, environment }: Library): void {
  environment.registerType('kubernetes.Quantity', Quantity as never);
  environment.registerOperator('kubernetes.Quantity == kubernetes.Quantity', (a: Quantity, b: unknown) => a.equals(b));
  define('quantity(string): kubernetes.Quantity', (text: string) => {
    try {
      return new Quantity(parseQuantity(text));
    } catch (error) {
      throw new CelValueError(error instanceof Error ? error.message : String(error));
    }
  });
  define('isQuantity(string): bool', (text: string) => isQuantity(text));
  define('kubernetes.Quantity.sign(): int', (q: Quantity) => BigInt(quantitySign(q.amount)));
  define('kubernetes.Quantity.isInteger(): bool', (q: Quantity) => wholeOf(q) !== undefined);
  define('kubernetes.Quantity.asInteger(): int', (q: Quantity) => {
    const whole = wholeOf(q);
    if (whole === undefined) throw new CelValueError('cannot convert value to integer');
    return whole;
  });
  define('kubernetes.Quantity.asApproximateFloat(): double', (q: Quantity) => toNumber(q.amount));
  const both = (name: string, result: string, f: (a: ParsedQuantity, b: ParsedQuantity) => unknown): void =>
    define(`kubernetes.Quantity.${name}(kubernetes.Quantity): ${result}`, (a: Quantity, b: Quantity) => f(a.amount, b.amount));
  both('compareTo', 'int', (a, b) => BigInt(compareQuantity(a, b)));
  both('isGreaterThan', 'bool', (a, b) => compareQuantity(a, b) > 0);
  both('isLessThan', 'bool', (a, b) => compareQuantity(a, b) < 0);
  both('add', 'kubernetes.Quantity', (a, b) => new Quantity(addQuantity(a, b)));
  both('sub', 'kubernetes.Quantity', (a, b) => new Quantity(subtractQuantity(a, b)));
  define(
    'kubernetes.Quantity.add(int): kubernetes.Quantity',
    (a: Quantity, n: bigint) => new Quantity(addQuantity(a.amount, quantityOf(n))),
  );
  define(
    'kubernetes.Quantity.sub(int): kubernetes.Quantity',
    (a: Quantity, n: bigint) => new Quantity(subtractQuantity(a.amount, quantityOf(n))),
  );
}

class Semver {
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly pre: readonly string[];
  constructor(numbers: readonly [bigint, bigint, bigint], pre: readonly string[]) {
    this.numbers = numbers;
    this.pre = pre;
  }
  equals(other: unknown): boolean {
    return other instanceof Semver && compareSemver(this, other) === 0;
  }
}

const semverPattern =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/;

/** Without a leading "v", with all three numbers, without leading zeros. */
function normalized(text: string): string {
  const m = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)$/s.exec(text);
  if (m === null) return text;
  const whole = (n: string | undefined): string => (n ?? '0').replace(/^0+(?=\d)/, '');
  return `${whole(m[1])}.${whole(m[2])}.${whole(m[3])}${m[4]}`;
}

function parseSemver(text: string, loose: boolean): Semver | undefined {
  if (text.length > 256) return undefined;
  const m = semverPattern.exec(loose ? normalized(text) : text);
  if (m === null) return undefined;
  return new Semver([BigInt(m[1] ?? 0), BigInt(m[2] ?? 0), BigInt(m[3] ?? 0)], m[4] === undefined ? [] : m[4].split('.'));
}

function comparePre(a: string, b: string): number {
  const numeric = /^\d+$/;
  if (numeric.test(a) && numeric.test(b)) return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
  if (numeric.test(a) !== numeric.test(b)) return numeric.test(a) ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareSemver(a: Semver, b: Semver): number {
  for (const [i, n] of a.numbers.entries()) {
    const m = b.numbers[i] ?? 0n;
    if (n !== m) return n < m ? -1 : 1;
  }
  if (a.pre.length === 0 || b.pre.length === 0) return a.pre.length === b.pre.length ? 0 : a.pre.length === 0 ? 1 : -1;
  for (const [i, p] of a.pre.entries()) {
    const q = b.pre[i];
    if (q === undefined) return 1;
    const order = comparePre(p, q);
    if (order !== 0) return order;
  }
  return a.pre.length < b.pre.length ? -1 : 0;
}

function registerSemver({ define, environment }: Library): void {
  environment.registerType('kubernetes.Semver', Semver as never);
  environment.registerOperator('kubernetes.Semver == kubernetes.Semver', (a: Semver, b: unknown) => a.equals(b));
  const read = (text: string, loose: boolean): Semver => {
    const version = parseSemver(text, loose);
    if (version === undefined) throw new CelValueError(`No Major.Minor.Patch elements found`);
    return version;
  };
  define('semver(string): kubernetes.Semver', (text: string) => read(text, false));
  define('semver(string, bool): kubernetes.Semver', read);
  define('isSemver(string): bool', (text: string) => parseSemver(text, false) !== undefined);
  define('isSemver(string, bool): bool', (text: string, loose: boolean) => parseSemver(text, loose) !== undefined);
  for (const [i, name] of ['major', 'minor', 'patch'].entries()) {
    define(`kubernetes.Semver.${name}(): int`, (v: Semver) => v.numbers[i] ?? 0n);
  }
  define('kubernetes.Semver.compareTo(kubernetes.Semver): int', (a: Semver, b: Semver) => BigInt(compareSemver(a, b)));
  define('kubernetes.Semver.isGreaterThan(kubernetes.Semver): bool', (a: Semver, b: Semver) => compareSemver(a, b) > 0);
  define('kubernetes.Semver.isLessThan(kubernetes.Semver): bool', (a: Semver, b: Semver) => compareSemver(a, b) < 0);
}

export function registerNumbers(library: Library): void {
  registerQuantities(library);
  registerSemver(library);
}
