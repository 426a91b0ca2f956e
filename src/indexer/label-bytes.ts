import { hit, seek } from '../codec/scan.js';
import { after, readEnd, readTag, textOf } from '../codec/wire.js';
import type { ByteRange } from '../lib/bytes.js';

/** Fields of objects, of ObjectMeta and of map entries, as `number << 3 | wire type`. */
const METADATA = 10;
const LABELS = 90;
const ENTRY_KEY = 10;
const ENTRY_VALUE = 18;

/**
 * Points `into` at the label entries of an object, tags and lengths included. Wire bytes are canonical
 * (labels lie side by side, sorted by key), so objects have the same labels exactly when these bytes are equal.
 *
 * Every change of an indexed object comes through here. Canonical bytes were checked when they were stored, so
 * tags below 128 are single bytes, and what is skipped is a varint or has a length.
 */
export function labelsRange({ bytes, start, end }: ByteRange, into: ByteRange): ByteRange {
  into.bytes = bytes;
  into.start = into.end = start;
  if (start === end || bytes[start] !== METADATA) return into;
  let at = start + 1;
  const metadataEnd = lengthAt(bytes, at) + valueStart;
  let found = false;
  for (at = valueStart; at < metadataEnd; ) {
    const entry = at;
    const tag = bytes[at++]!;
    if (tag >> 3 > LABELS >> 3) break;
    if ((tag & 7) === 0) {
      while (bytes[at++]! >= 128);
      continue;
    }
    at = lengthAt(bytes, at) + valueStart;
    if (tag !== LABELS) continue;
    if (!found) into.start = entry;
    into.end = at;
    found = true;
  }
  return into;
}

/** Set by `lengthAt`: where the value begins. */
let valueStart = 0;

function lengthAt(bytes: Uint8Array, start: number): number {
  let at = start;
  let byte = bytes[at++]!;
  let length = byte & 127;
  for (let shift = 7; byte >= 128; shift += 7) {
    byte = bytes[at++]!;
    length |= (byte & 127) << shift;
  }
  valueStart = at;
  return length;
}

/** Calls `visit` with where each label's key and value lie, until it returns false. */
export function eachLabel(
  { bytes, start, end }: ByteRange,
  visit: (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => boolean,
): void {
  for (let at = start; at < end; ) {
    readTag(bytes, at, end);
    const entryEnd = readEnd(bytes, after.at, end);
    const entry = after.at;
    at = entryEnd;
    let [keyStart, keyEnd, valueStart, valueEnd] = [entry, entry, entry, entry];
    if (seek(bytes, entry, entryEnd, ENTRY_KEY)) [keyStart, keyEnd] = [hit.start, hit.end];
    if (seek(bytes, entry, entryEnd, ENTRY_VALUE)) [valueStart, valueEnd] = [hit.start, hit.end];
    if (!visit(keyStart, keyEnd, valueStart, valueEnd)) return;
  }
}

/** The value of a label among these; undefined: there is none. */
export function labelIn(labels: ByteRange, key: Uint8Array): string | undefined {
  const { bytes } = labels;
  let value: string | undefined;
  eachLabel(labels, (keyStart, keyEnd, valueStart, valueEnd) => {
    if (!holds(bytes, keyStart, keyEnd, key)) return true;
    value = textOf(bytes, valueStart, valueEnd);
    return false;
  });
  return value;
}

export function labelsIn(labels: ByteRange): Map<string, string> {
  const { bytes } = labels;
  const found = new Map<string, string>();
  eachLabel(labels, (keyStart, keyEnd, valueStart, valueEnd) => {
    found.set(textOf(bytes, keyStart, keyEnd), textOf(bytes, valueStart, valueEnd));
    return true;
  });
  return found;
}

export function holds(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false;
  for (let offset = 0; offset < expected.length; offset++) {
    if (bytes[start + offset] !== expected[offset]) return false;
  }
  return true;
}
