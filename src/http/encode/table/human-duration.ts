const SECOND = 1;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** A time.Duration is an int64 of nanoseconds, and longer ones are that long: 292 years. */
const DURATION_MAX_MS = 2 ** 63 / 1e6;

/** Ages as kubectl shows them: two units at most, integer arithmetic on whole seconds (spec 10.1). */
export function humanDuration(durationMs: number): string {
  const seconds = Math.trunc(Math.min(durationMs, DURATION_MAX_MS) / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0 || durationMs < 0) return '0s';
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  const minutes = Math.floor(seconds / MINUTE);
  if (minutes < 10) return twoUnits(minutes, 'm', seconds % MINUTE, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(seconds / HOUR);
  if (hours < 8) return twoUnits(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(seconds / DAY);
  if (hours < 8 * 24) return twoUnits(days, 'd', hours % 24, 'h');
  if (seconds < 2 * YEAR) return `${days}d`;
  const years = Math.floor(seconds / YEAR);
  if (seconds < 8 * YEAR) return twoUnits(years, 'y', days % 365, 'd');
  return `${years}y`;
}

function twoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** A cell that shows how long ago something was: text that depends on when it is read. */
export interface Elapsed {
  /** Milliseconds since 1970. */
  readonly fromMs: number;
  /** What stands around the duration: text that is itself in JSON. */
  readonly before: string;
  readonly after: string;
}

export function elapsed(fromMs: number, before = '', after = ''): Elapsed {
  return { fromMs, before, after };
}

export function isElapsed(cell: unknown): cell is Elapsed {
  return typeof cell === 'object' && cell !== null && 'fromMs' in cell;
}

/** Age of an RFC3339 timestamp; `<unknown>` when it is unset. */
export function ageOf(timestamp: string | undefined): Elapsed | string {
  if (timestamp === undefined || timestamp === '') return '<unknown>';
  const atMs = Date.parse(timestamp);
  return Number.isNaN(atMs) ? '<invalid>' : elapsed(atMs);
}
