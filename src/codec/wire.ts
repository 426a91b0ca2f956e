import { CodecError } from './codec.js';

/**
 * Reading protobuf, where every index has to be checked: bytes in etcd may be anything.
 *
 * Functions that give two results return the value and leave the index behind it in `after.at`:
 * returning a pair would allocate.
 */
export const after = { at: 0 };

export function truncated(offset: number): never {
  throw new CodecError('unexpected end of the protobuf message', offset);
}

/** A tag, as `number << 3 | wireType`. */
export function readTag(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let value = 0;
  let scale = 1;
  for (;;) {
    if (at >= end) truncated(at);
    const byte = bytes[at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) break;
    scale *= 128;
    if (at - start >= 5) throw new CodecError('a protobuf tag is longer than 5 bytes', start);
  }
  if (value < 8) throw new CodecError('illegal protobuf field number 0', start);
  if (value > 0xffff_ffff) throw new CodecError('a protobuf tag is out of range', start);
  after.at = at;
  return value;
}

/** The end of a length-delimited value whose length starts at `start`; `after.at` is where the value starts. */
export function readEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  let value = 0;
  let scale = 1;
  for (;;) {
    if (at >= end) truncated(at);
    const byte = bytes[at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) break;
    scale *= 128;
    if (at - start >= 7) throw new CodecError('a protobuf length is out of range', start);
  }
  after.at = at;
  if (value > end - at) truncated(end);
  return at + value;
}

/** The index behind a varint of at most ten bytes. */
export function skipVarint(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < start + 10; at++) {
    if (at >= end) truncated(at);
    if (bytes[at]! < 128) return at + 1;
  }
  throw new CodecError('a protobuf varint is longer than 10 bytes', start);
}

/** A varint as Go reads an int32 from it: the lowest 32 bits. */
export function readInt32(bytes: Uint8Array, start: number, end: number): number {
  after.at = skipVarint(bytes, start, end);
  let value = 0;
  for (let at = start, shift = 0; at < after.at && shift < 35; at++, shift += 7) {
    value |= (bytes[at]! & 127) << shift;
  }
  return value;
}

/** A varint as Go reads a bool from it. */
export function readBool(bytes: Uint8Array, start: number, end: number): boolean {
  after.at = skipVarint(bytes, start, end);
  for (let at = start; at < after.at; at++) if ((bytes[at]! & 127) !== 0) return true;
  return false;
}

export function readInt64(bytes: Uint8Array, start: number, end: number): bigint {
  after.at = skipVarint(bytes, start, end);
  let value = 0n;
  for (let at = start, shift = 0n; at < after.at; at++, shift += 7n) value |= BigInt(bytes[at]! & 127) << shift;
  return BigInt.asIntN(64, value);
}

/** A varint as a number when that is exact; NaN otherwise, for callers that have a slower way. */
export function readSafeInteger(bytes: Uint8Array, start: number, end: number): number {
  after.at = skipVarint(bytes, start, end);
  const size = after.at - start;
  if (size > 7) {
    const value = readInt64(bytes, start, end);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : Number.NaN;
  }
  let value = 0;
  let scale = 1;
  for (let at = start; at < after.at; at++, scale *= 128) value += (bytes[at]! & 127) * scale;
  return value;
}

const GROUP_DEPTH_MAX = 100;

/** The index behind the value of an unknown field. */
export function skipField(bytes: Uint8Array, start: number, end: number, tag: number): number {
  switch (tag & 7) {
    case 0:
      return skipVarint(bytes, start, end);
    case 1:
      return fixed(start, 8, end);
    case 2:
      return readEnd(bytes, start, end);
    case 3:
      return skipGroup(bytes, start, end);
    case 5:
      return fixed(start, 4, end);
    default:
      throw new CodecError(`illegal protobuf wire type ${tag & 7}`, start);
  }
}

function fixed(start: number, size: number, end: number): number {
  if (size > end - start) truncated(end);
  return start + size;
}

function skipGroup(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (let depth = 1; depth > 0; ) {
    const tag = readTag(bytes, at, end);
    at = after.at;
    if ((tag & 7) === 4) depth--;
    else if ((tag & 7) === 3) {
      if (++depth > GROUP_DEPTH_MAX) throw new CodecError('protobuf groups are nested too deeply', at);
    } else at = skipField(bytes, at, end, tag);
  }
  return at;
}

/** Orders two byte ranges as Go orders strings. */
export function compareBytes(bytes: Uint8Array, a: number, aEnd: number, b: number, bEnd: number): number {
  let left = a;
  let right = b;
  while (left < aEnd && right < bEnd) {
    const difference = bytes[left++]! - bytes[right++]!;
    if (difference !== 0) return difference;
  }
  return aEnd - left - (bEnd - right);
}

/** Node's own; not in its types. Takes any view, where Buffer's toString takes Buffers only. */
const { utf8Slice } = Buffer.prototype as unknown as {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
};

/** UTF-8 text of a range; works on any view, also of shared memory, without making a view of the range. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= 24) {
    let text = '';
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      if (byte >= 128) return utf8Slice.call(bytes, start, end);
      text += String.fromCharCode(byte);
    }
    return text;
  }
  return utf8Slice.call(bytes, start, end);
}
