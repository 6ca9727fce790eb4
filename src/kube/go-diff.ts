/**
 * What differs between two values in the style of Go's cmp.Diff, which upstream appends to some refusals. cmp itself promises
 * no stable form, and its names are those of Go's structs; here they are those of the API's fields.
 */
import { isDeepStrictEqual } from 'node:util';

/** Fields that are shown before and after one that differs, though they are the same. */
const around = 2;
const indent = '\t';

type Fields = Readonly<Record<string, unknown>>;

const isStruct = (value: unknown): value is Fields => value !== null && typeof value === 'object' && !Array.isArray(value);

/** A value on one line. */
function literal(value: unknown): string {
  if (value === undefined || value === null) return 'nil';
  if (Array.isArray(value)) return `{${value.map(literal).join(', ')}}`;
  if (isStruct(value))
    return `{${Object.entries(value)
      .map(([key, part]) => `${key}: ${literal(part)}`)
      .join(', ')}}`;
  return JSON.stringify(value);
}

const line = (mark: ' ' | '-' | '+', depth: number, text: string): string => `${mark} ${indent.repeat(depth)}${text}`;

interface Part {
  /** `name: `, or '' for what has no name. */
  readonly label: string;
  readonly old: unknown;
  readonly now: unknown;
}

function partLines(part: Part, depth: number): string[] {
  const { label, old, now } = part;
  if (isDeepStrictEqual(old, now)) return [line(' ', depth, `${label}${literal(old)},`)];
  if (isStruct(old) && isStruct(now)) return [line(' ', depth, `${label}{`), ...fieldLines(old, now, depth + 1), line(' ', depth, '},')];
  if (Array.isArray(old) && Array.isArray(now)) {
    const items = Array.from({ length: Math.max(old.length, now.length) }, (_, i) => ({
      label: '',
      old: old[i] as unknown,
      now: now[i] as unknown,
    }));
    return [line(' ', depth, `${label}{`), ...elided(items, depth + 1, 'elements'), line(' ', depth, '},')];
  }
  const shown = (mark: '-' | '+', value: unknown): string[] =>
    value === undefined && label === '' ? [] : [line(mark, depth, `${label}${literal(value)},`)];
  return [...shown('-', old), ...shown('+', now)];
}

const fieldLines = (old: Fields, now: Fields, depth: number): string[] =>
  elided(
    [...new Set([...Object.keys(old), ...Object.keys(now)])].map((key) => ({ label: `${key}: `, old: old[key], now: now[key] })),
    depth,
    'fields',
  );

/** Parts that differ with their neighbours; how many others there are. */
function elided(parts: readonly Part[], depth: number, what: string): string[] {
  const differs = parts.map(({ old, now }) => !isDeepStrictEqual(old, now));
  const shown = parts.map((_, i) => differs.slice(Math.max(0, i - around), i + around + 1).some(Boolean));
  const lines: string[] = [];
  let hidden = 0;
  const tell = (): void => {
    if (hidden > 0) lines.push(line(' ', depth, `... // ${hidden} identical ${what}`));
    hidden = 0;
  };
  for (const [i, part] of parts.entries()) {
    if (shown[i] !== true) {
      hidden++;
      continue;
    }
    tell();
    lines.push(...partLines(part, depth));
  }
  tell();
  return lines;
}

/** `type` is the name of the values' Go type. '' for equal values. */
export function goDiff(type: string, old: object, now: object): string {
  if (isDeepStrictEqual(old, now)) return '';
  return [line(' ', 0, `${type}{`), ...fieldLines(old as Fields, now as Fields, 1), line(' ', 0, '}'), ''].join('\n');
}
