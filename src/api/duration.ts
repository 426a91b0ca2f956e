import { digitsUpTo } from './go-text.js';
import { type Parsed, parsed, unparsable } from './parsed.js';

const INT64_MAX = 2n ** 63n - 1n;
const INT64_DIGITS = 19;

const nanoseconds: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n, // U+00B5, micro sign
  μs: 1_000n, // U+03BC, Greek letter mu
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Go's time.ParseDuration, in milliseconds: `300ms`, `-1.5h`, `2h45m`, `0`. */
export function parseDurationMs(text: string): Parsed<number> {
  const invalid = unparsable(`time: invalid duration ${quoteBytes(text)}`);
  const negative = text.startsWith('-');
  let rest = negative || text.startsWith('+') ? text.slice(1) : text;
  if (rest === '0') return parsed(0);
  if (rest === '') return invalid;
  let total = 0n;
  while (rest !== '') {
    const number = /^([0-9]*)(\.[0-9]*)?/.exec(rest)!;
    const whole = digitsUpTo(INT64_DIGITS, number[1]!);
    const fraction = (number[2] ?? '').slice(1);
    if (whole === '' && fraction === '') return invalid;
    if (whole === undefined) return invalid;
    rest = rest.slice(number[0].length);
    const unitText = /^[^.0-9]*/.exec(rest)![0];
    if (unitText === '') return unparsable(`time: missing unit in duration ${quoteBytes(text)}`);
    const unit = Object.hasOwn(nanoseconds, unitText) ? nanoseconds[unitText] : undefined;
    if (unit === undefined) {
      return unparsable(`time: unknown unit ${quoteBytes(unitText)} in duration ${quoteBytes(text)}`);
    }
    rest = rest.slice(unitText.length);
    const digits = fraction.slice(0, 18); // more cannot count
    total += BigInt(whole === '' ? '0' : whole) * unit;
    if (digits !== '') total += (BigInt(digits) * unit) / 10n ** BigInt(digits.length);
    if (total > INT64_MAX) return invalid;
  }
  const milliseconds = Number(total) / 1e6;
  return parsed(negative ? -milliseconds : milliseconds);
}

/** The `timeout` parameter of requests that are not watches; undefined: absent. */
export function parseTimeoutMs(parameter: string | undefined): Parsed<number | undefined> {
  if (parameter === undefined || parameter === '') return parsed(undefined);
  const duration = parseDurationMs(parameter);
  if (duration.ok) return duration;
  return unparsable(`invalid timeout specified in the request URL - ${duration.message}`);
}

/** The time package quotes bytes, not characters. */
function quoteBytes(text: string): string {
  let quoted = '"';
  for (const byte of Buffer.from(text, 'utf8')) {
    if (byte >= 0x80 || byte < 0x20) quoted += `\\x${byte.toString(16).padStart(2, '0')}`;
    else if (byte === 0x22 || byte === 0x5c) quoted += `\\${String.fromCharCode(byte)}`;
    else quoted += String.fromCharCode(byte);
  }
  return `${quoted}"`;
}
