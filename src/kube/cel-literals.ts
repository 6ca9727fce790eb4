/**
 * Message literals, `Object{spec: Object.spec{replicas: 1}}` and `JSONPatch{op: "add", …}`, which mutating policies are made of. The CEL
 * library's grammar has none, so they are rewritten to map literals before they are parsed; and the way back from CEL's values to JSON.
 */
import { Optional } from '@marcbachmann/cel-js';
import { CelValueError, celMap, entriesOf } from './cel-library.ts';

const messages = /^(?:Object|JSONPatch)(?:\.|$)/;
const path = /[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*/y;
const name = /\s*\??\s*([A-Za-z_]\w*)(\s*:)/y;
const text = /(?:[bBrR]{0,2})(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/y;
const comment = /\/\/[^\n]*/y;
const openBrace = /\s*\{/y;

function matchAt(pattern: RegExp, source: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(source);
}

/** The expression with its message literals as map literals. */
export const rewriteLiterals = (source: string): string => readLiterals(source).expression;

/** A message literal that is being read, and the field of it that is being set; or another bracket. */
interface Open {
  readonly type: string | undefined;
  field: string;
}

/** What the types of literals say about their place in the object does not fit the fields that they stand in. */
function mismatch(open: readonly Open[], type: string): string | undefined {
  const around = open.findLast((o) => o.type !== undefined);
  if (around?.type === undefined || around.type.startsWith('JSONPatch')) return undefined;
  const expected = `${around.type}.${around.field}`;
  if (type === expected) return undefined;
  return `unexpected type name ${JSON.stringify(type)}, expected ${JSON.stringify(expected)}, which matches field name path from root Object type`;
}

export interface Literals {
  /** With map literals in place of message literals. */
  readonly expression: string;
  /** Types of literals that do not match their place (k8s.io/apiserver pkg/cel/mutation CheckTypeNamesMatchFieldPathNames). */
  readonly mismatches: readonly string[];
}

export function readLiterals(source: string): Literals {
  let out = '';
  let at = 0;
  const open: Open[] = [];
  const mismatches: string[] = [];
  let atField = false;
  while (at < source.length) {
    const field = atField ? matchAt(name, source, at) : null;
    atField = false;
    if (field !== null) {
      const inside = open.at(-1);
      if (inside !== undefined) inside.field = field[1] ?? '';
      out += ` ${JSON.stringify(field[1])}:`;
      at += field[0].length;
      continue;
    }
    const verbatim = matchAt(text, source, at) ?? matchAt(comment, source, at);
    if (verbatim !== null) {
      out += verbatim[0];
      at += verbatim[0].length;
      continue;
    }
    const word = matchAt(path, source, at);
    if (word !== null) {
      at += word[0].length;
      const type = word[0].replaceAll(/\s/g, '');
      const brace = messages.test(type) ? matchAt(openBrace, source, at) : null;
      if (brace === null) out += word[0];
      else {
        out += '{';
        at += brace[0].length;
        const wrong = mismatch(open, type);
        if (wrong !== undefined) mismatches.push(wrong);
        open.push({ type, field: '' });
        atField = true;
      }
      continue;
    }
    const c = source.charAt(at++);
    out += c;
    if ('{[('.includes(c)) open.push({ type: undefined, field: '' });
    else if ('}])'.includes(c)) open.pop();
    else if (c === ',') atField = open.at(-1)?.type !== undefined;
  }
  return { expression: out, mismatches };
}

/** What a value of an expression is as JSON. Optional values that are none leave their member out. Throws CelValueError. */
export function celToJson(value: unknown): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Optional) return value.hasValue() ? celToJson(value.value()) : undefined;
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(celToJson).filter((v) => v !== undefined);
  if (typeof value === 'object') {
    const proto: unknown = Object.getPrototypeOf(value);
    if (value instanceof Map || proto === null || proto === Object.prototype) {
      const members = entriesOf(value).map(([k, v]) => [String(k), celToJson(v)] as const);
      return { ...celMap(members.filter(([, v]) => v !== undefined)) };
    }
    return (value as { toString: () => string }).toString();
  }
  throw new CelValueError(`a ${typeof value} has no JSON`);
}
