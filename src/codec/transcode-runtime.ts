import { CodecError } from './codec.js';
import { writeRawJson } from './json-raw.js';
import * as leaves from './json-write.js';
import {
  after,
  compareBytes,
  readBool,
  readEnd,
  readInt32,
  readTag,
  skipField,
  skipVarint,
  truncated,
} from './wire.js';

/**
 * What the generated transcoders (transcode-generator.ts) call: the leaves of json-write.ts, the readers of
 * wire.ts, and here the types with a JSON form of their own and the rare paths.
 */

/** A generated function. */
export type Transcode = (
  b: Uint8Array,
  o: Uint8Array,
  v: DataView,
  i: number,
  end: number,
  p: number,
  depth: number,
) => number;

function tooDeep(offset: number): never {
  throw new CodecError('the message is nested too deeply', offset);
}

/** Finds field 1 (length-delimited) of a one-field wrapper; `after.at` and the result are its range, equal when absent. */
function payload(b: Uint8Array, start: number, end: number): number {
  let from = start;
  let to = start;
  for (let i = start; i < end; ) {
    const tag = readTag(b, i, end);
    if (tag === 10) {
      to = readEnd(b, after.at, end);
      from = after.at;
      i = to;
    } else i = skipField(b, after.at, end, tag);
  }
  after.at = from;
  return to;
}

function writeQuantity(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  let p = at;
  if (p + leaves.SLACK > o.length) throw leaves.GROW;
  if (start === end) {
    o[p++] = 34;
    o[p++] = 48;
    o[p++] = 34;
    return p;
  }
  const to = payload(b, start, end);
  return leaves.writeString(b, o, after.at, to, p);
}

function writeRaw(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  const to = payload(b, start, end);
  return writeRawJson(b, o, after.at, to, at);
}

function writeIntOrString(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  if (at + leaves.SLACK > o.length) throw leaves.GROW;
  let type = 0;
  let integer = 0;
  let from = 0;
  let to = 0;
  for (let i = start; i < end; ) {
    const tag = readTag(b, i, end);
    i = after.at;
    if (tag === 8) {
      type = readInt32(b, i, end);
      i = after.at;
    } else if (tag === 16) {
      integer = readInt32(b, i, end);
      i = after.at;
    } else if (tag === 26) {
      to = readEnd(b, i, end);
      from = after.at;
      i = to;
    } else i = skipField(b, i, end, tag);
  }
  if (type === 0) return leaves.writeInt32(o, integer, at);
  if (type === 1) return leaves.writeString(b, o, from, to, at);
  throw new CodecError('impossible IntOrString.Type', start);
}

/** A map whose entries are not in order, as no current server writes it: sorted here, the last of equal keys wins. */
function writeUnsortedMap(
  b: Uint8Array,
  o: Uint8Array,
  v: DataView,
  start: number,
  end: number,
  tag: number,
  at: number,
  depth: number,
  write: Transcode,
): number {
  const entries: [keyStart: number, keyEnd: number, valueStart: number, valueEnd: number][] = [];
  for (let i = start; i < end; ) {
    const found = readTag(b, i, end);
    if (found !== tag) {
      i = skipField(b, after.at, end, found);
      continue;
    }
    const entryEnd = readEnd(b, after.at, end);
    const entry: [number, number, number, number] = [0, 0, 0, 0];
    for (i = after.at; i < entryEnd; ) {
      const inner = readTag(b, i, entryEnd);
      if (inner === 10 || inner === 18) {
        i = readEnd(b, after.at, entryEnd);
        entry[inner === 10 ? 0 : 2] = after.at;
        entry[inner === 10 ? 1 : 3] = i;
      } else i = skipField(b, after.at, entryEnd, inner);
    }
    entries.push(entry);
  }
  const last = entries.map((_, index) => index);
  last.sort((x, y) => {
    const left = entries[x]!;
    const right = entries[y]!;
    return compareBytes(b, left[0], left[1], right[0], right[1]) || x - y;
  });
  let p = at;
  for (let n = 0; n < last.length; n++) {
    const entry = entries[last[n]!]!;
    const next = n + 1 < last.length ? entries[last[n + 1]!]! : undefined;
    if (next !== undefined && compareBytes(b, entry[0], entry[1], next[0], next[1]) === 0) continue;
    o[p++] = 44;
    p = leaves.writeString(b, o, entry[0], entry[1], p);
    o[p++] = 58;
    p = write(b, o, v, entry[2], entry[3], p, depth);
  }
  return p;
}

/** Everything by the name that generated code knows it under. */
export const runtime = {
  ...leaves,
  writeRaw,
  writeQuantity,
  writeIntOrString,
  writeUnsortedMap,
  after,
  compareBytes,
  readBool,
  readEnd,
  readInt32,
  readTag,
  skipField,
  skipVarint,
  truncated,
  tooDeep,
};
