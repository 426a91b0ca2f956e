import { isObject } from '../lib/is-object.js';
import { type Parsed, parsed, unparsable } from './parsed.js';

/**
 * Error messages of Kubernetes quote and number things as Go's strconv does, and clients match on
 * those messages: these are the few functions of strconv that reach a client.
 */

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const INT64_DIGITS = 19;

/** strconv.Quote: JSON's escapes, but `\x01`, `\a`, `\v` and `\u2028` for what cannot be printed. */
export function quoteGo(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  let quoted = '"';
  for (const character of text) quoted += escapeRune(character);
  return `${quoted}"`;
}

/** json.Marshal of a string, for messages that show a value of a named string type: `<`, `>` and `&` are escaped too. */
export function marshalGo(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * Digits without leading zeros; undefined: there are more than `most`. A BigInt of a megabyte of digits would hold up everybody
 * else, so they are counted before one is made.
 */
export function digitsUpTo(most: number, text: string): string | undefined {
  const digits = text.replace(/^0+(?=.)/, '');
  return digits.length > most ? undefined : digits;
}

/** strconv.ParseInt(text, 10, 64). */
export function parseInt64(text: string): Parsed<bigint> {
  if (!/^[+-]?[0-9]+$/.test(text)) return unparsable(parseIntError(text, 'invalid syntax'));
  const digits = digitsUpTo(INT64_DIGITS, text.replace(/^[+-]/, ''));
  if (digits === undefined) return unparsable(parseIntError(text, 'value out of range'));
  const value = BigInt(text.startsWith('-') ? `-${digits}` : digits);
  if (value > INT64_MAX || value < INT64_MIN) return unparsable(parseIntError(text, 'value out of range'));
  return parsed(value);
}

/** Integers below this print all their digits, as int64 does; numbers of JSON beyond it are float64. */
const INT64_FLOAT = 2 ** 63;

/** A number of JSON as Go's `%v` prints what it is read as: an int64 in digits, a float64 by `floatText`. */
export function numberText(value: number): string {
  const isInt64 = Number.isInteger(value) && Math.abs(value) < INT64_FLOAT && !Object.is(value, -0);
  return isInt64 ? BigInt(value).toString() : floatText(value);
}

/** A value of JSON as Go's `%v` prints it. */
export function printGo(value: unknown): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(printGo).join(' ')}]`;
  if (typeof value === 'number') return numberText(value);
  if (!isObject(value)) return String(value);
  const names = Object.keys(value).sort();
  return `map[${names.map((name) => `${name}:${printGo(value[name])}`).join(' ')}]`;
}

/** strconv.FormatFloat(value, 'g', -1, 64): with an exponent, of two digits at least, below 0.0001 and from a million on. */
export function floatText(value: number): string {
  const [digits, exponentText] = value.toExponential().split('e') as [string, string];
  const exponent = Number(exponentText);
  if (exponent >= EXPONENT_MIN && exponent < EXPONENT_END) return Object.is(value, -0) ? '-0' : String(value);
  return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

const EXPONENT_MIN = -4;
const EXPONENT_END = 6;

function parseIntError(text: string, problem: string): string {
  return `strconv.ParseInt: parsing ${quoteGo(text)}: ${problem}`;
}

/** Nothing in it is escaped. */
const PLAIN = /^[ !#-[\]-~]*$/;

const namedEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

function escapeRune(character: string): string {
  const named = namedEscapes[character];
  if (named !== undefined) return named;
  const codePoint = character.codePointAt(0)!;
  if (codePoint < 0x20 || codePoint === 0x7f) return `\\x${codePoint.toString(16).padStart(2, '0')}`;
  if (codePoint < 0x7f || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character)) return character;
  return codePoint > 0xffff
    ? `\\U${codePoint.toString(16).padStart(8, '0')}`
    : `\\u${codePoint.toString(16).padStart(4, '0')}`;
}
