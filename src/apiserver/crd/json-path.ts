/** The simple JSON paths of printer columns and selectable fields: `.spec.a`, `.b[0]`, `['c.d']`, `[*]`, `[?(@.type=="Ready")]`. */

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly Step[]; readonly operator: string; readonly value: unknown };

export interface JsonPath {
  /** Every value that the path finds. */
  readonly find: (object: unknown) => readonly unknown[];
}

/** Throws Error for a path that cannot be read. */
export function parseJsonPath(text: string): JsonPath {
  const steps = parseSteps(text.trim());
  return { find: (object) => walk(steps, [object]) };
}

const filterPattern = /^\?\(\s*@((?:\.[\w-]+|\[['"][^'"\]]+['"]\])*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)$/;

function parseSteps(text: string): Step[] {
  const steps: Step[] = [];
  let at = 0;
  const fail = (): never => {
    throw new Error(`unexpected character at ${at} in JSON path ${JSON.stringify(text)}`);
  };
  while (at < text.length) {
    if (text[at] === '[') {
      const end = closing(text, at);
      if (end < 0) fail();
      steps.push(bracket(text.slice(at + 1, end), text));
      at = end + 1;
    } else {
      if (text[at] === '.') at++;
      let name = '';
      while (at < text.length && text[at] !== '.' && text[at] !== '[') {
        if (text[at] === '\\' && at + 1 < text.length) at++;
        name += text[at++];
      }
      if (name === '*') steps.push({ kind: 'all' });
      else if (name !== '') steps.push({ kind: 'field', name });
      else if (at < text.length && text[at] !== '[') fail();
    }
  }
  return steps;
}

/** Where the bracket that opens at `from` closes; quotes may hold brackets. */
function closing(text: string, from: number): number {
  let quote = '';
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    const c = text[i] ?? '';
    if (quote !== '') quote = c === quote ? '' : quote;
    else if (c === '"' || c === "'") quote = c;
    else if (c === '[') depth++;
    else if (c === ']' && --depth === 0) return i;
  }
  return -1;
}

function bracket(inner: string, whole: string): Step {
  const quoted = /^(['"])(.*)\1$/.exec(inner);
  if (quoted !== null) return { kind: 'field', name: quoted[2] ?? '' };
  if (inner === '*' || inner === ':') return { kind: 'all' };
  if (/^-?\d{1,9}$/.test(inner)) return { kind: 'index', index: Number(inner) };
  const filter = filterPattern.exec(inner);
  if (filter === null) throw new Error(`[${inner}] is not understood in JSON path ${JSON.stringify(whole)}`);
  return { kind: 'filter', path: parseSteps(filter[1] ?? ''), operator: filter[2] ?? '', value: literal(filter[3] ?? '') };
}

function literal(text: string): unknown {
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted !== null) return quoted[2];
  if (text === 'true' || text === 'false') return text === 'true';
  return Number(text);
}

function walk(steps: readonly Step[], start: readonly unknown[]): readonly unknown[] {
  let found = start;
  for (const step of steps) found = found.flatMap((value) => take(step, value));
  return found;
}

function take(step: Step, value: unknown): readonly unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  if (step.kind === 'field') return Object.hasOwn(value, step.name) ? [(value as Record<string, unknown>)[step.name]] : [];
  if (step.kind === 'index')
    return Array.isArray(value)
      ? value.slice(step.index < 0 ? step.index : step.index, step.index === -1 ? undefined : step.index + 1)
      : [];
  const items: readonly unknown[] = Object.values(value);
  return step.kind === 'all' ? items : items.filter((item) => holds(step, item));
}

function holds(step: Extract<Step, { kind: 'filter' }>, item: unknown): boolean {
  const found = walk(step.path, [item]);
  if (step.operator === '') return found.length > 0;
  return found.some((v) => compare(v, step.operator, step.value));
}

function compare(a: unknown, operator: string, b: unknown): boolean {
  if (operator === '==') return a === b;
  if (operator === '!=') return a !== b;
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string')) return false;
  const [x, y] = [a, b as typeof a];
  if (operator === '<') return x < y;
  if (operator === '<=') return x <= y;
  return operator === '>' ? x > y : x >= y;
}
