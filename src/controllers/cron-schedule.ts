/** Cron schedules in time zones: the grammar of github.com/robfig/cron/v3 ParseStandard, which upstream uses. */

export interface Schedule {
  /** The first time after `ms` that the schedule names, or undefined when there is none within five years. */
  readonly next: (ms: number) => number | undefined;
}

interface FieldSpec {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names: Readonly<Record<string, number>>;
}

interface Field {
  readonly values: ReadonlySet<number>;
  /** Written as * or ?. */
  readonly any: boolean;
}

const numbered = (names: string, first: number): Readonly<Record<string, number>> =>
  Object.fromEntries(names.split(' ').map((n, i) => [n, i + first]));

const fields: readonly FieldSpec[] = [
  { name: 'minute', min: 0, max: 59, names: {} },
  { name: 'hour', min: 0, max: 23, names: {} },
  { name: 'day of month', min: 1, max: 31, names: {} },
  { name: 'month', min: 1, max: 12, names: numbered('jan feb mar apr may jun jul aug sep oct nov dec', 1) },
  { name: 'day of week', min: 0, max: 6, names: numbered('sun mon tue wed thu fri sat', 0) },
];

const descriptors: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const horizonYears = 5;

function parseField(text: string, spec: FieldSpec): Field {
  const values = new Set<number>();
  let any = false;
  for (const part of text.split(',')) {
    const [range = '', step, ...more] = part.split('/');
    if (more.length > 0) throw new Error(`too many slashes: ${part}`);
    const open = range === '*' || range === '?';
    if (open && (step === undefined || step === '1')) any = true;
    const [low = '', high, ...rest] = open ? [String(spec.min), String(spec.max)] : range.split('-');
    if (rest.length > 0) throw new Error(`too many hyphens: ${part}`);
    const first = parseNumber(low, spec);
    const every = step === undefined ? 1 : parseNumber(step, spec);
    const last = high !== undefined ? parseNumber(high, spec) : step === undefined ? first : spec.max;
    if (first < spec.min) throw new Error(`beginning of range (${first}) below minimum (${spec.min}): ${part}`);
    if (last > spec.max) throw new Error(`end of range (${last}) above maximum (${spec.max}): ${part}`);
    if (first > last) throw new Error(`beginning of range (${first}) beyond end of range (${last}): ${part}`);
    if (every === 0) throw new Error(`step of range should be a positive number: ${part}`);
    for (let v = first; v <= last; v += every) values.add(v);
  }
  return { values, any };
}

function parseNumber(text: string, spec: FieldSpec): number {
  const named = spec.names[text.toLowerCase()];
  if (named !== undefined) return named;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`failed to parse number: ${JSON.stringify(text)}`);
  return Number(text);
}

const units: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

function parseEvery(text: string): Schedule {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.length === 0 || parts.map((p) => p[0]).join('') !== text) throw new Error(`failed to parse duration @every ${text}`);
  const total = parts.reduce((sum, p) => sum + Number(p[1]) * (units[p[2] ?? ''] ?? 0), 0);
  const period = Math.max(1000, Math.floor(total / 1000) * 1000);
  return { next: (ms) => Math.floor(ms / 1000) * 1000 + period };
}

/** Throws an Error that says what is wrong with the schedule or the time zone. */
export function parseSchedule(text: string, timeZone = 'UTC'): Schedule {
  const trimmed = text.trim();
  if (trimmed === '') throw new Error('empty spec string');
  if (trimmed.startsWith('@every ')) return parseEvery(trimmed.slice('@every '.length));
  if (trimmed.startsWith('@') && descriptors[trimmed.toLowerCase()] === undefined) throw new Error(`unrecognized descriptor: ${trimmed}`);
  const parts = (descriptors[trimmed.toLowerCase()] ?? trimmed).split(/\s+/);
  if (parts.length !== fields.length) throw new Error(`expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`);
  const field = (i: number): Field => parseField(parts[i] ?? '', fields[i] as FieldSpec);
  const parsed = [field(0), field(1), field(2), field(3), field(4)] as const;
  const zone = zoneOf(timeZone);
  return { next: (ms) => nextTime(parsed, zone, ms) };
}

/** Days match both fields where one of them is open, else either: as cron has always done. */
function dayMatches(dom: Field, dow: Field, wall: Date): boolean {
  const inMonth = dom.values.has(wall.getUTCDate());
  const inWeek = dow.values.has(wall.getUTCDay());
  return dom.any || dow.any ? inMonth && inWeek : inMonth || inWeek;
}

/** Walks the wall clock of the zone, skipping whole months, days and hours that cannot match. */
function nextTime(schedule: readonly [Field, Field, Field, Field, Field], zone: Zone, ms: number): number | undefined {
  const [minute, hour, dom, month, dow] = schedule;
  const wall = new Date(zone.toWall(ms));
  wall.setUTCSeconds(0, 0);
  wall.setUTCMinutes(wall.getUTCMinutes() + 1);
  const lastYear = wall.getUTCFullYear() + horizonYears;
  while (wall.getUTCFullYear() <= lastYear) {
    if (!month.values.has(wall.getUTCMonth() + 1)) {
      wall.setUTCMonth(wall.getUTCMonth() + 1, 1);
      wall.setUTCHours(0, 0);
    } else if (!dayMatches(dom, dow, wall)) {
      wall.setUTCDate(wall.getUTCDate() + 1);
      wall.setUTCHours(0, 0);
    } else if (!hour.values.has(wall.getUTCHours())) wall.setUTCHours(wall.getUTCHours() + 1, 0);
    else if (!minute.values.has(wall.getUTCMinutes())) wall.setUTCMinutes(wall.getUTCMinutes() + 1);
    else {
      const at = zone.fromWall(wall.getTime());
      if (at !== undefined && at > ms) return at;
      wall.setUTCMinutes(wall.getUTCMinutes() + 1);
    }
  }
  return undefined;
}

interface Zone {
  /** The zone's wall clock, as if it were UTC. */
  readonly toWall: (ms: number) => number;
  /** The first time at which the wall clock shows this; undefined when it is skipped. */
  readonly fromWall: (wall: number) => number | undefined;
}

function zoneOf(timeZone: string): Zone {
  if (timeZone === 'UTC' || timeZone === 'Etc/UTC') return { toWall: (ms) => ms, fromWall: (wall) => wall };
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const toWall = (ms: number): number => {
    const p = Object.fromEntries(format.formatToParts(ms).map((part) => [part.type, Number(part.value)]));
    return Date.UTC(p['year'] ?? 0, (p['month'] ?? 1) - 1, p['day'] ?? 1, p['hour'] ?? 0, p['minute'] ?? 0, p['second'] ?? 0);
  };
  const dayMs = 86_400_000;
  return {
    toWall,
    fromWall: (wall) => {
      // The offset is the one in force a day before or a day after.
      const offsets = [toWall(wall - dayMs) - (wall - dayMs), toWall(wall + dayMs) - (wall + dayMs)];
      const found = offsets.map((offset) => wall - offset).filter((ms) => toWall(ms) === wall);
      return found.length === 0 ? undefined : Math.min(...found);
    },
  };
}

/** True for a zone of the IANA database. */
export function isTimeZone(name: string): boolean {
  try {
    zoneOf(name);
    return true;
  } catch {
    return false;
  }
}
