import type { ScalarTag } from 'yaml';
import { floatText } from './go-text.js';

/** What sigs.k8s.io/yaml, by which every server and kubectl write YAML, makes of the keys and numbers of JSON. */

const UINT64_END = 2n ** 64n;
const INT64_MIN = -(2n ** 63n);
/** From here on JSON itself has an exponent. */
const EXPONENT_FROM = 1e21;

/** What is written in digits alone is read as an integer of 64 bits, with or without a sign; all else is a float64. */
export function yamlNumber(value: number | bigint): string {
  const isDigits = typeof value === 'bigint' || (Number.isInteger(value) && Math.abs(value) < EXPONENT_FROM);
  if (!isDigits) return floatText(value as number);
  const integer = BigInt(value);
  return integer >= INT64_MIN && integer < UINT64_END ? integer.toString() : floatText(Number(value));
}

/** A tag of the library `yaml` for numbers that are written, and for none that is read. */
export const goNumber: ScalarTag = {
  identify: (value) => typeof value === 'number' || typeof value === 'bigint',
  default: true,
  tag: 'tag:yaml.org,2002:float',
  test: /(?!)/,
  resolve: (text) => text,
  stringify: ({ value }) => yamlNumber(value as number | bigint),
};

const LETTER = /\p{L}/u;
const DIGIT = /[0-9]/;

/** The order of members: letters behind all else, and numbers within keys by what they are worth, `a2` before `a10`. */
export function compareYamlKeys(left: string, right: string): number {
  const [a, b] = [Array.from(left), Array.from(right)];
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  if (at === a.length || at === b.length) return a.length - b.length;
  const byCodePoint = a[at]!.codePointAt(0)! - b[at]!.codePointAt(0)!;
  const [isLetter, isOtherLetter] = [LETTER.test(a[at]!), LETTER.test(b[at]!)];
  if (isLetter && isOtherLetter) return byCodePoint;
  if (isLetter || isOtherLetter) return isLetter ? 1 : -1;
  const [digits, others] = [digitsFrom(a, at), digitsFrom(b, at)];
  // A zero behind digits of which one is none is a digit of the same number, not a leading one.
  const isWithin = (a[at] === '0' || b[at] === '0') && /[1-9][0-9]*$/.test(a.slice(0, at).join(''));
  const byWorth = worth(digits, isWithin) - worth(others, isWithin);
  if (byWorth !== 0n) return byWorth < 0n ? -1 : 1;
  return digits.length - others.length || byCodePoint;
}

function digitsFrom(text: readonly string[], from: number): readonly string[] {
  let end = from;
  while (end < text.length && DIGIT.test(text[end]!)) end++;
  return text.slice(from, end);
}

function worth(digits: readonly string[], isWithin: boolean): bigint {
  return BigInt((isWithin ? '1' : '0') + digits.join(''));
}
