/** Request bodies as values: JSON and YAML, as sigs.k8s.io/json and sigs.k8s.io/yaml read them, with bounds. */
import { type Document, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { parseExact, parseWritten } from '#lib/exact-json.ts';

/** Nesting beyond this is refused: no object comes near it, and serializing deeper values could exhaust the stack. */
export const maxDepth = 1000;

/** Text that is not what its content type says; the message is the parser's. */
export class BodySyntaxError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BodySyntaxError';
  }
}

export interface ParsedBody {
  readonly value: unknown;
  /** What there is to say of object keys that occur twice; the last one counts. Filled only when asked for. */
  readonly duplicates: readonly string[];
  /** With duplicates in JSON: where in the text a problem lies, such as `unknown field "spec.foo"`. */
  readonly position?: (problem: string) => number;
}

/** Go's YAML parser tells all that it has against a text in one error. */
const yamlErrors = 'yaml: unmarshal errors:';

/** Duplicates as the error of a strict decoder lists them. */
export const strictErrors = (duplicates: readonly string[]): readonly string[] =>
  duplicates[0]?.startsWith('line ') === true ? [[yamlErrors, ...duplicates].join('\n  ')] : duplicates;

export type BodyFormat = 'json' | 'yaml';

/** The format that a Content-Type names, or undefined where it is neither JSON nor YAML. */
export function bodyFormat(contentType: string): BodyFormat | undefined {
  const media = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  if (media === 'application/json' || media === '') return 'json';
  return media === 'application/yaml' ? 'yaml' : undefined;
}

/**
 * Parses a body. Throws BodySyntaxError with the parser's complaint (in Go's words where it has the same one).
 * `findDuplicates`: look for keys that occur twice in one object, which costs a second pass over JSON. `written`: numbers that JSON
 * has with a point or an exponent are WrittenFloats; those of YAML are what they amount to, as sigs.k8s.io/yaml makes JSON of them.
 */
export function parseBody(bytes: Uint8Array, format: BodyFormat, findDuplicates: boolean, written = false): ParsedBody {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (format === 'yaml') return jsonInYaml(text, findDuplicates) ?? parseYamlBody(text, findDuplicates);
  const value = parseJson(text, written ? parseWritten : parseExact);
  if (!findDuplicates || countKeys(value, 0) === countKeyTokens(text)) return { value, duplicates: [] };
  const { duplicates, position } = duplicateKeys(text);
  return { value, duplicates, position };
}

/**
 * YAML that is JSON, as kubectl sends it for server-side apply: read as such it takes a fraction of the time. Undefined for other
 * text, and for keys that occur twice, of which YAML tells the lines.
 */
function jsonInYaml(text: string, findDuplicates: boolean): ParsedBody | undefined {
  if (!/^\s*\{/.test(text)) return undefined;
  let value: unknown;
  try {
    value = parseExact(text);
  } catch {
    return undefined;
  }
  return !findDuplicates || countKeys(value, 0) === countKeyTokens(text) ? { value, duplicates: [] } : undefined;
}

/** JSON.parse with Go's messages. Throws BodySyntaxError. */
export function parseJson(text: string, parse: (text: string) => unknown = parseExact): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new BodySyntaxError(goSyntaxMessage(error instanceof Error ? error.message : String(error), text));
  }
}

const syntaxWords: readonly (readonly [RegExp, string])[] = [
  [/^Unexpected token/, 'looking for beginning of value'],
  [/^Expected (?:property name|double-quoted)/, 'looking for beginning of object key string'],
  [/after property value/, 'after object key:value pair'],
  [/after array element/, 'after array element'],
  [/after property name/, 'after object key'],
  [/^Unexpected non-whitespace/, 'after top-level value'],
  [/^Bad control character/, 'in string literal'],
  [/^Bad escaped|^Bad Unicode/, 'in string escape code'],
  [/number/, 'in numeric literal'],
];

/** V8's complaint in Go's words. */
function goSyntaxMessage(message: string, text: string): string {
  if (/^Unexpected end|^Unterminated string/.test(message)) return 'unexpected end of JSON input';
  const words = syntaxWords.find(([pattern]) => pattern.test(message))?.[1];
  const position = /at position (\d+)/.exec(message)?.[1];
  const named = /^Unexpected token '(.+?)'/u.exec(message)?.[1];
  const character = named ?? (position === undefined ? undefined : text[Number(position)]);
  if (words === undefined) return message;
  return character === undefined ? 'unexpected end of JSON input' : `invalid character ${quoteCharacter(character)} ${words}`;
}

function quoteCharacter(character: string): string {
  const escaped: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', "'": "\\'", '\\': '\\\\' };
  return `'${escaped[character] ?? character}'`;
}

/** One YAML document as sigs.k8s.io/yaml reads it: YAML 1.1 booleans and octals; no dates, binaries or sexagesimals. Throws BodySyntaxError. */
export const parseYaml = (text: string): unknown => parseYamlBody(text, false).value;

/** Reading one as a bigint takes long, and no integer has so many digits. */
const veryLongNumber = /\d{400}/;

/** The parser takes some 10 µs for each key and item, of which these tell. */
const longYamlMarks = 2_000;
const yamlMarks = new Set(Array.from('\n:,[{?-', (c) => c.charCodeAt(0)));

/** True for YAML that takes more than some 10 ms to read; JSON in it is read quickly. */
export function isLongYaml(bytes: Uint8Array): boolean {
  let marks = 0;
  for (const byte of bytes) if (yamlMarks.has(byte) && ++marks > longYamlMarks) break;
  return marks > longYamlMarks && !/^\s*\{\s*"/.test(Buffer.from(bytes.subarray(0, 100)).toString('latin1'));
}

function parseYamlBody(text: string, findDuplicates: boolean): ParsedBody {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.1',
    schema: 'yaml-1.1',
    uniqueKeys: false,
    ...(findDuplicates ? { lineCounter: lines } : {}),
    intAsBigInt: !veryLongNumber.test(text),
    merge: true,
    prettyErrors: false,
    logLevel: 'error',
    customTags: (tags) =>
      tags.filter(
        (tag) =>
          typeof tag === 'string' || (!/(?:timestamp|binary|omap|pairs|set)$/.test(tag.tag) && !('format' in tag && tag.format === 'TIME')),
      ),
  });
  const problem = document.errors[0];
  if (problem !== undefined) throw new BodySyntaxError(`error converting YAML to JSON: yaml: ${problem.message}`);
  try {
    const value = plain(document.toJS({ maxAliasCount: 100 }), 0);
    return { value, duplicates: findDuplicates ? duplicateYamlKeys(document, lines) : [] };
  } catch (error) {
    throw new BodySyntaxError(`error converting YAML to JSON: yaml: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function duplicateYamlKeys(document: Document.Parsed, lines: LineCounter): string[] {
  const found: string[] = [];
  visit(document, {
    Map: (_key, map) => {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key) || key.value === '<<') continue;
        const { value, range } = key;
        if (seen.has(value)) found.push(`line ${lines.linePos(range?.[0] ?? 0).line}: key ${JSON.stringify(value)} already set in map`);
        seen.add(value);
      }
    },
  });
  return found;
}

/** What JSON can say of a value that YAML made: keys are strings, aliases are copies. */
function plain(value: unknown, depth: number): unknown {
  if (depth > maxDepth) throw new Error('exceeded max depth');
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (value === null || typeof value !== 'object') {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`unsupported value: ${value}`);
    return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, depth + 1)]));
}

function countKeys(value: unknown, depth: number): number {
  if (value === null || typeof value !== 'object') return 0;
  if (depth > maxDepth) throw new BodySyntaxError('exceeded max depth');
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countKeys(item, depth + 1);
    return count;
  }
  for (const item of Object.values(value)) count += 1 + countKeys(item, depth + 1);
  return count;
}

/** End of the string that begins at `start` (the index of its opening quote): the index of the closing quote. */
function stringEnd(text: string, start: number): number {
  let at = text.indexOf('"', start + 1);
  for (;;) {
    let backslashes = 0;
    while (text.charCodeAt(at - 1 - backslashes) === 92) backslashes++;
    if (backslashes % 2 === 0) return at;
    at = text.indexOf('"', at + 1);
  }
}

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

/** How many strings in valid JSON are followed by a colon. */
function countKeyTokens(text: string): number {
  let count = 0;
  let at = text.indexOf('"');
  while (at >= 0) {
    let next = stringEnd(text, at) + 1;
    while (isSpace(text.charCodeAt(next))) next++;
    if (text.charCodeAt(next) === 58) count++;
    at = text.indexOf('"', next);
  }
  return count;
}

const duplicate = 'duplicate field ';

/** The keys that occur twice in valid JSON. */
function duplicateKeys(text: string): Required<Omit<ParsedBody, 'value'>> {
  interface Frame {
    readonly seen: Set<string> | undefined;
    step: string;
    index: number;
  }
  const positions = new Map<string, number>();
  const frames: Frame[] = [];
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    const top = frames.at(-1);
    if (code === 123) frames.push({ seen: new Set(), step: '', index: 0 });
    else if (code === 91) frames.push({ seen: undefined, step: '[0]', index: 0 });
    else if (code === 125 || code === 93) frames.pop();
    else if (code === 44 && top?.seen === undefined && top !== undefined) {
      top.index++;
      top.step = `[${top.index}]`;
    } else if (code === 34) {
      const end = stringEnd(text, at);
      let next = end + 1;
      while (isSpace(text.charCodeAt(next))) next++;
      if (top?.seen !== undefined && text.charCodeAt(next) === 58) {
        const key = JSON.parse(text.slice(at, end + 1)) as string;
        top.step = `.${key}`;
        const path = frames
          .map((f) => f.step)
          .join('')
          .replace(/^\./, '');
        const problem = `${top.seen.has(key) ? duplicate : 'unknown field '}"${path}"`;
        if (!positions.has(problem)) positions.set(problem, at);
        top.seen.add(key);
      }
      at = end;
    }
    at++;
  }
  return {
    duplicates: [...positions.keys()].filter((problem) => problem.startsWith(duplicate)),
    position: (problem) => positions.get(problem) ?? 0,
  };
}
