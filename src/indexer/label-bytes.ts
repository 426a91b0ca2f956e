import { hit, seek } from '../codec/scan.js';
import { after, readEnd, readTag, skipField, textOf } from '../codec/wire.js';
import type { ByteRange } from '../lib/bytes.js';

/** Fields of objects, of ObjectMeta and of map entries, as `number << 3 | wire type`. */
const METADATA = 10;
const LABELS = 90;
const LABELS_NUMBER = 11;
const ENTRY_KEY = 10;
const ENTRY_VALUE = 18;

/**
 * Points `into` at the label entries of an object, tags and lengths included. Wire bytes are canonical
 * (labels lie side by side, sorted by key), so objects have the same labels exactly when these bytes are equal.
 */
export function labelsRange(object: ByteRange, into: ByteRange): ByteRange {
  const { bytes } = object;
  into.bytes = bytes;
  into.start = into.end = object.start;
  if (!seek(bytes, object.start, object.end, METADATA)) return into;
  const { end } = hit;
  let found = false;
  for (let at = hit.start; at < end; ) {
    const entry = at;
    const tag = readTag(bytes, at, end);
    if (tag === LABELS) {
      at = readEnd(bytes, after.at, end);
      if (!found) into.start = entry;
      into.end = at;
      found = true;
    } else if (tag >> 3 > LABELS_NUMBER) {
      break;
    } else {
      at = skipField(bytes, after.at, end, tag);
    }
  }
  return into;
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

export function holds(bytes: Uint8Array, start: number, end: number, expected: Uint8Array): boolean {
  if (end - start !== expected.length) return false;
  for (let offset = 0; offset < expected.length; offset++) {
    if (bytes[start + offset] !== expected[offset]) return false;
  }
  return true;
}
