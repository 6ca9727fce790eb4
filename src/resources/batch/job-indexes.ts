/** Sets of indexes such as `0-2,5`: validateIndexesFormat of pkg/apis/batch/validation. */

type Interval = readonly [first: number, last: number];

const quote = (text: string): string => JSON.stringify(text);

function number(text: string, completions: number): number | string {
  if (!/^[+-]?\d+$/.test(text)) return `cannot convert string to integer for index: ${quote(text)}`;
  return Number(text) >= completions ? `too large index: ${quote(text)}` : Number(text);
}

const disorder = (before: number, now: number): string => `non-increasing order, previous: ${before}, current: ${now}`;

function interval(text: string, completions: number): Interval | string {
  const parts = text.split('-');
  if (parts.length > 2)
    return `the fragment ${quote(text)} violates the requirement that an index interval can have at most two parts separated by '-'`;
  const first = number(parts[0] ?? '', completions);
  if (typeof first === 'string') return first;
  if (parts.length === 1) return [first, first];
  const last = number(parts[1] ?? '', completions);
  if (typeof last === 'string') return last;
  return first >= last ? disorder(first, last) : [first, last];
}

/** How many indexes there are, or what is wrong with the text. */
export function countIndexes(text: string, completions: number): number | string {
  if (text === '') return 0;
  let total = 0;
  let before: number | undefined;
  for (const part of text.split(',')) {
    const found = interval(part, completions);
    if (typeof found === 'string') return found;
    if (before !== undefined && before >= found[0]) return disorder(before, found[0]);
    total += found[1] - found[0] + 1;
    before = found[1];
  }
  return total;
}

const readable = (text: string, completions: number): Interval[] =>
  text === '' ? [] : text.split(',').flatMap((part) => [interval(part, completions)].filter((i): i is Interval => typeof i !== 'string'));

/** The first index that both sets, in order each, have. */
export function commonIndex(a: string, b: string, completions: number): number | undefined {
  const [left, right] = [readable(a, completions), readable(b, completions)];
  let [i, j] = [0, 0];
  for (;;) {
    const [x, y] = [left[i], right[j]];
    if (x === undefined || y === undefined) return undefined;
    if (x[0] <= y[1] && y[0] <= x[1]) return Math.max(x[0], y[0]);
    if (x[0] <= y[0]) i++;
    else j++;
  }
}
