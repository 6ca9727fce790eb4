/** The syntax of cron schedules as github.com/robfig/cron/v3's standard parser has it. */

interface FieldRange {
  readonly low: number;
  readonly high: number;
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const ranges: readonly FieldRange[] = [
  { low: 0, high: 59 },
  { low: 0, high: 23 },
  { low: 1, high: 31 },
  { low: 1, high: 12, names: months },
  { low: 0, high: 6, names: days },
];
const macros = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']);

function numberOf(text: string, range: FieldRange): number | undefined {
  const named = range.names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return named + range.low;
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function partProblem(part: string, range: FieldRange): string | undefined {
  const [span = '', step, ...extra] = part.split('/');
  if (extra.length > 0) return `too many slashes: ${part}`;
  const [first = '', last, ...more] = span.split('-');
  if (more.length > 0) return `too many hyphens: ${part}`;
  const any = first === '*' || first === '?';
  const start = any ? range.low : numberOf(first, range);
  if (start === undefined) return `failed to parse int from ${first}: strconv.Atoi: parsing ${JSON.stringify(first)}: invalid syntax`;
  const end = last === undefined ? (any || step !== undefined ? range.high : start) : numberOf(last, range);
  if (end === undefined) return `failed to parse int from ${last}: strconv.Atoi: parsing ${JSON.stringify(last)}: invalid syntax`;
  if (step !== undefined && !/^\d+$/.test(step))
    return `failed to parse int from ${step}: strconv.Atoi: parsing ${JSON.stringify(step)}: invalid syntax`;
  if (start < range.low) return `beginning of range (${start}) below minimum (${range.low}): ${part}`;
  if (end > range.high) return `end of range (${end}) above maximum (${range.high}): ${part}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${part}`;
  return step !== undefined && Number(step) === 0 ? `step of range should be a positive number: ${part}` : undefined;
}

/** What is wrong with a schedule, in the parser's words; undefined where it is right. */
export function cronProblem(text: string): string | undefined {
  // A time zone may go before: whether it is welcome is for the caller to say.
  const schedule = text.replace(/^(?:CRON_)?TZ=\S* +/, '');
  if (schedule.startsWith('@')) {
    if (macros.has(schedule)) return undefined;
    if (!schedule.startsWith('@every ')) return `unrecognized descriptor: ${schedule}`;
    const span = schedule.slice('@every '.length);
    return /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(span)
      ? undefined
      : `failed to parse duration ${schedule}: time: invalid duration ${JSON.stringify(span)}`;
  }
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== 5) return `expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`;
  for (const [i, field] of fields.entries()) {
    const range = ranges[i];
    for (const part of field.split(',')) {
      const problem = range === undefined ? undefined : partProblem(part, range);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}
