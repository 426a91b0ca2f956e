import { type CelExpression, parseCel } from './cel-expression.js';
import { quoteGo } from './go-text.js';
import { type Parsed, parsed, unparsable } from './parsed.js';

/**
 * One shard of a collection (spec 6.3): the objects whose uid, or whose namespace, hashes into one
 * of the ranges. Hashes are FNV-1a of 64 bits, kept as two halves: numbers hold no more than 53
 * bits, and a BigInt for every object would be garbage.
 */
export interface ShardSelector {
  readonly field: ShardField;
  readonly ranges: readonly ShardRange[];
}

export type ShardField = 'object.metadata.uid' | 'object.metadata.namespace';

export interface ShardRange {
  /** `0x` and 16 digits; inclusive. */
  readonly start: string;
  /** Exclusive. 2^64 has 17 digits. */
  readonly end: string;
}

/** Parses `shardRange(object.metadata.uid, '0x…', '0x…') || …`: the syntax is CEL's, nothing is evaluated. */
export function parseShardSelector(text: string): Parsed<ShardSelector> {
  const trimmed = trimSpace(text);
  if (trimmed === '') {
    return unparsable('empty shard selector is not allowed; omit the parameter for unfiltered lists');
  }
  const expression = parseCel(trimmed);
  if (!expression.ok) return unparsable(`CEL parse error: ${expression.message}`);
  const calls = alternatives(expression.value);
  if (!calls.ok) return calls;
  const [{ field }] = calls.value as [FieldRange];
  const other = calls.value.find((call) => call.field !== field);
  if (other !== undefined) {
    return unparsable(`all shard ranges must use the same field, got ${quoteGo(field)} and ${quoteGo(other.field)}`);
  }
  return parsed({ field, ranges: calls.value.map(({ start, end }) => ({ start, end })) });
}

/** Canonical text. It parses to the same selector. */
export function formatShardSelector({ field, ranges }: ShardSelector): string {
  return ranges.map(({ start, end }) => `shardRange(${field}, '${start}', '${end}')`).join(' || ');
}

/** Tells from the bytes of the field's value, bytes[start..end), whether the object is in the shard. */
export type ShardTest = (bytes: Uint8Array, start: number, end: number) => boolean;

export function compileShard({ ranges }: ShardSelector): ShardTest {
  const bounds = ranges.map(({ start, end }) => ({
    startHigh: highHalf(start),
    startLow: lowHalf(start),
    endHigh: highHalf(end),
    endLow: lowHalf(end),
  }));
  return (bytes, start, end) => {
    fnv1a(bytes, start, end);
    for (const { startHigh, startLow, endHigh, endLow } of bounds) {
      const fromStart = hash.high > startHigh || (hash.high === startHigh && hash.low >= startLow);
      if (fromStart && (hash.high < endHigh || (hash.high === endHigh && hash.low < endLow))) return true;
    }
    return false;
  };
}

/** `0x%016x` of the hash, as ranges are written. */
export function shardHash(value: Uint8Array): string {
  fnv1a(value, 0, value.length);
  return `0x${hash.high.toString(16).padStart(8, '0')}${hash.low.toString(16).padStart(8, '0')}`;
}

/** Of the value last hashed: two halves, each an unsigned number of 32 bits. */
const hash = { high: 0, low: 0 };

/** The 64-bit prime is 2^40 + 0x1b3: multiplying is a shift of the low half, and a product with a small factor. */
function fnv1a(bytes: Uint8Array, start: number, end: number): void {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (let at = start; at < end; at++) {
    low = (low ^ bytes[at]!) >>> 0;
    const product = low * 0x1b3; // below 2^41
    high = (Math.imul(high, 0x1b3) + (low << 8) + Math.floor(product / 2 ** 32)) >>> 0;
    low = product >>> 0;
  }
  hash.high = high;
  hash.low = low;
}

/** Of 2^64 the high half is 2^32, above that of any hash. */
function highHalf(hex: string): number {
  return Number.parseInt(hex.slice(2, -8), 16);
}

function lowHalf(hex: string): number {
  return Number.parseInt(hex.slice(-8), 16);
}

interface FieldRange extends ShardRange {
  readonly field: ShardField;
}

/** The calls that `||` joins, from left to right. */
function alternatives(root: CelExpression): Parsed<FieldRange[]> {
  const calls: FieldRange[] = [];
  const left = [root];
  for (let expression = left.pop(); expression !== undefined; expression = left.pop()) {
    if (expression.kind !== 'call') {
      const kind = KIND_NUMBERS[expression.kind];
      return unparsable(`unexpected expression kind ${kind}; expected shardRange() call or || operator`);
    }
    const { name, args } = expression;
    if (name === '_||_') {
      left.push(args[1]!, args[0]!);
      continue;
    }
    if (name !== 'shardRange') {
      return unparsable(`unsupported function ${quoteGo(name)}; only shardRange() and || are allowed`);
    }
    const range = rangeOf(args);
    if (!range.ok) return range;
    calls.push(range.value);
  }
  return parsed(calls);
}

function rangeOf(args: readonly CelExpression[]): Parsed<FieldRange> {
  const [path, first, second] = args;
  if (path === undefined || first === undefined || second === undefined || args.length !== 3) {
    return unparsable(`shardRange() requires exactly 3 arguments, got ${args.length}`);
  }
  const field = pathOf(path);
  if (!field.ok) return unparsable(`shardRange() first argument: ${field.message}`);
  if (field.value !== 'object.metadata.uid' && field.value !== 'object.metadata.namespace') {
    const supported = 'object.metadata.uid, object.metadata.namespace';
    return unparsable(`unsupported field path ${quoteGo(field.value)}; supported: ${supported}`);
  }
  const start = hexOf(first, 'hexStart');
  if (!start.ok) return start;
  const end = hexOf(second, 'hexEnd');
  if (!end.ok) return end;
  if (!isLess(start.value, end.value)) {
    return unparsable(`shard range start ${start.value} must be less than end ${end.value}`);
  }
  return parsed({ field: field.value, start: start.value, end: end.value });
}

function pathOf(expression: CelExpression): Parsed<string> {
  let path = '';
  let at = expression;
  for (; at.kind === 'select'; at = at.operand) path = `.${at.field}${path}`;
  if (at.kind === 'identifier') return parsed(`${at.name}${path}`);
  const kind = KIND_NUMBERS[at.kind];
  return unparsable(`expected field path (e.g. object.metadata.uid), got expression kind ${kind}`);
}

function hexOf(expression: CelExpression, name: 'hexStart' | 'hexEnd'): Parsed<string> {
  if (expression.kind !== 'literal') {
    const kind = KIND_NUMBERS[expression.kind];
    return unparsable(`${name} must be a string literal (e.g. '0xff'), got expression kind ${kind}`);
  }
  const { type, text } = expression;
  if (type !== 'string') return unparsable(`${name} must be a string literal, got ${type}`);
  if (!text.startsWith('0x')) return unparsable(`${name} must have '0x' prefix, got ${quoteGo(text)}`);
  const hex = text.slice(2);
  if (hex === '') return unparsable(`${name}: hex value is required after '0x'`);
  const size = Buffer.byteLength(hex);
  if (size > 17) return unparsable(`${name}: hex value too long (${size} chars, max 17): ${quoteGo(hex)}`);
  const wrong = /[^0-9a-f]/u.exec(hex);
  if (wrong !== null) return unparsable(`${name}: invalid hex character ${quoteGo(wrong[0])} in ${quoteGo(text)}`);
  if (hex.length === 17 && text !== TWO_TO_64) {
    return unparsable(`${name}: 17-digit hex value must be '${TWO_TO_64}' (2^64), got ${quoteGo(text)}`);
  }
  if (hex.length < 16) {
    const padded = quoteGo(`0x${hex.padStart(16, '0')}`);
    const right = `a 0x-prefixed 16-digit hex value, got ${quoteGo(text)} (did you mean ${padded}?)`;
    return unparsable(`${name} must be ${right}`);
  }
  return parsed(text);
}

const TWO_TO_64 = '0x10000000000000000';

/** Of canonical numbers: the longer one is the larger one. */
function isLess(a: string, b: string): boolean {
  return a.length === b.length ? a < b : a.length < b.length;
}

/** cel-go's numbers, which its users see in messages. */
const KIND_NUMBERS: Readonly<Record<CelExpression['kind'], number>> = {
  call: 1,
  identifier: 3,
  list: 4,
  literal: 5,
  map: 6,
  select: 7,
  struct: 8,
};

/** strings.TrimSpace: all of Unicode's white space, which is JavaScript's without U+FEFF and with U+0085. */
function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && SPACE.test(text[start]!)) start++;
  while (end > start && SPACE.test(text[end - 1]!)) end--;
  return text.slice(start, end);
}

const SPACE = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
