/**
 * resource.Quantity: the text that Go's ParseQuantity followed by String() gives (spec 5.3), in
 * exact integer arithmetic.
 *
 * ParseQuantity keeps the text as written when it is "canonical enough", so the rules for that are
 * part of the contract: `005` and `1.500` stay as they are, `1000` becomes `1k`.
 */
export class QuantityError extends Error {
  override readonly name = 'QuantityError';
}

const FORMAT_WRONG = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NUMERIC = 'unable to parse numeric part of quantity';
const SUFFIX = "unable to parse quantity's suffix";

const DIGITS_MAX = 18; // decimal digits that always fit an int64
const INT64_MAX = 2n ** 63n - 1n;
const NANO = -9;
/** Go would compute 10^exponent for any int32; a bound keeps one value from stalling the process. */
const EXPONENT_MAX = 10_000;

type Format = 'decimalExponent' | 'binarySI' | 'decimalSI';

const decimalSuffixes: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const binarySuffixes: Readonly<Record<string, number>> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const decimalByExponent = new Map(Object.entries(decimalSuffixes).map(([suffix, exponent]) => [exponent, suffix]));
const binaryByExponent = new Map(Object.entries(binarySuffixes).map(([suffix, exponent]) => [exponent, suffix]));

const shape = /^([+-]?)(0*)([0-9]*)(?:(\.)([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/;

/** The text a server sends for a quantity written as `text`. Throws QuantityError with Go's message. */
export function canonicalQuantity(text: string): string {
  if (text === '') throw new QuantityError(FORMAT_WRONG);
  if (text === '0') return '0';
  const parts = shape.exec(text);
  if (parts === null) throw new QuantityError(FORMAT_WRONG);
  const negative = parts[1] === '-';
  const numerator = parts[3] === '' ? '0' : parts[3]!;
  const fraction = parts[5] ?? '';
  const suffix = parts[6]!;
  const { format, exponent } = interpret(suffix);

  let precision: number;
  let scale: number;
  let mantissa = 1n;
  if (format === 'binarySI') {
    scale = 0;
    precision = -1;
    if (fraction === '') {
      mantissa = 1n << BigInt(exponent);
      precision = 15 - numerator.length - Math.trunc((exponent * 3) / 10) - 1;
    }
  } else {
    scale = exponent;
    precision = DIGITS_MAX - (numerator.length + fraction.length);
  }
  if (precision >= 0) {
    scale -= fraction.length;
    if (scale >= NANO) {
      const digits = numerator + fraction;
      const value = BigInt(digits);
      const product = value * mantissa;
      if (product <= INT64_MAX) {
        const kept =
          format === 'binarySI'
            ? exponent % 10 === 0 && (value & 7n) !== 0n
            : scale % 3 === 0 && !digits.endsWith('000') && !digits.startsWith('0');
        if (kept) return text;
        return render(negative ? -product : product, scale, format);
      }
    }
  }
  return canonicalLarge(parts, negative, format, exponent);
}

/** Values beyond int64 or below 1n: rounded away from zero at nano, binary ones capped at 2^63-1. */
function canonicalLarge(parts: RegExpExecArray, negative: boolean, format: Format, exponent: number): string {
  const integer = parts[2]! + parts[3]!;
  const fraction = parts[5] ?? '';
  if (integer === '' && fraction === '') throw new QuantityError(NUMERIC);
  let value = BigInt(`0${integer}${fraction}`);
  let scale = -fraction.length;
  let finalFormat = format;
  if (format === 'binarySI') value <<= BigInt(exponent);
  else scale += exponent;
  if (value !== 0n && scale < NANO) {
    const divisor = 10n ** BigInt(NANO - scale);
    value = value / divisor + (value % divisor === 0n ? 0n : 1n);
    scale = NANO;
  }
  if (format === 'binarySI') {
    const one = 10n ** BigInt(-scale);
    if (value > INT64_MAX * one) {
      value = INT64_MAX;
      scale = 0;
    } else if (value > 0n && value < one) {
      finalFormat = 'decimalSI';
    }
  }
  return render(negative ? -value : value, scale, finalFormat);
}

function interpret(suffix: string): { format: Format; exponent: number } {
  const decimal = decimalSuffixes[suffix];
  if (decimal !== undefined) return { format: 'decimalSI', exponent: decimal };
  const binary = binarySuffixes[suffix];
  if (binary !== undefined) return { format: 'binarySI', exponent: binary };
  if (/^[eE][+-]?[0-9]+$/.test(suffix)) {
    const exponent = Number(suffix.slice(1));
    if (Math.abs(exponent) <= EXPONENT_MAX) return { format: 'decimalExponent', exponent };
  }
  throw new QuantityError(SUFFIX);
}

/** value * 10^scale in the largest suffix that loses nothing. */
function render(value: bigint, scale: number, format: Format): string {
  if (value === 0n) return '0';
  if (format === 'binarySI') {
    const integer = integerOf(value, scale);
    const magnitude = integer === undefined ? 0n : integer < 0n ? -integer : integer;
    if (integer !== undefined && magnitude >= 1024n) {
      let mantissa = integer;
      let exponent = 0;
      for (; mantissa % 1024n === 0n; mantissa /= 1024n) exponent += 10;
      return `${mantissa}${binaryByExponent.get(exponent) ?? ''}`;
    }
  }
  let mantissa = value;
  let exponent = scale;
  for (; mantissa % 10n === 0n; mantissa /= 10n) exponent++;
  for (; exponent % 3 !== 0; exponent--) mantissa *= 10n;
  if (format === 'decimalExponent') return exponent === 0 ? `${mantissa}` : `${mantissa}e${exponent}`;
  return `${mantissa}${decimalByExponent.get(exponent) ?? ''}`;
}

function integerOf(value: bigint, scale: number): bigint | undefined {
  if (scale >= 0) return value * 10n ** BigInt(scale);
  const divisor = 10n ** BigInt(-scale);
  return value % divisor === 0n ? value / divisor : undefined;
}

/**
 * True only for text that canonicalQuantity would return unchanged; a cheap test that accepts what
 * practically every stored quantity looks like, and leaves the rest to the complete rules.
 */
export function isPlainCanonicalQuantity(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  const digits = at - start;
  if (digits === 0 || digits > 9 || bytes[start] === 48) return digits === 1 && value === 0 && at === end;
  if (at === end) return value % 1000 !== 0; // 1000 is written 1k
  if (at + 1 === end) {
    // n u m k M G T P E
    switch (bytes[at]) {
      case 0x6e:
      case 0x75:
      case 0x6d:
      case 0x6b:
      case 0x4d:
      case 0x47:
      case 0x54:
      case 0x50:
        return value % 1000 !== 0;
      default:
        return false;
    }
  }
  if (at + 2 === end && bytes[at + 1] === 0x69) {
    // Ki Mi Gi: a value that is a multiple of 8 is reduced only if it is one of 1024
    switch (bytes[at]) {
      case 0x4b:
      case 0x4d:
      case 0x47:
        return value % 1024 !== 0;
      default:
        return false;
    }
  }
  return false;
}
