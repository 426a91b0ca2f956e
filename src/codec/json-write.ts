import { CodecError } from './codec.js';
import { after, readInt32, readInt64, readTag, skipField, truncated } from './wire.js';

/**
 * The leaves of the protobuf -> JSON transcoder: scalars, written byte for byte as Go's
 * encoding/json writes them (spec 5.1 and 5.3). The generated functions of transcode.ts call these.
 *
 * Every function writes at `p` and returns the index behind what it wrote. Each makes sure that
 * SLACK bytes are free behind its value; if not it throws GROW, and the caller starts over with a
 * larger buffer. So the inner loops need no check, and `o` never changes.
 */
export const GROW = Symbol('the output buffer is too small');
/** More than the member names and numbers of any one object, which are written without a check. */
export const SLACK = 4096;

const HEX = Buffer.from('0123456789abcdef');

/** 1: copied as it is. 0 sends the rest of the string to the careful path. */
const plain = new Uint8Array(256);
plain.fill(1, 0x20, 0x80);
for (const character of '"\\<>&') plain[character.charCodeAt(0)] = 0;

export function writeString(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  if (at + (end - start) + SLACK > o.length) throw GROW;
  let p = at;
  let i = start;
  o[p++] = 34;
  for (; i < end; i++) {
    const byte = b[i]!;
    if (plain[byte] === 0) return writeCareful(b, o, i, end, p);
    o[p++] = byte;
  }
  o[p++] = 34;
  return p;
}

function writeCareful(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  let p = at;
  for (let i = start; i < end; ) {
    const byte = b[i]!;
    if (plain[byte] === 1) {
      o[p++] = byte;
      i++;
      continue;
    }
    // An escape takes up to six bytes, and the rest of the string still has to fit.
    if (p + 6 + (end - i) + SLACK > o.length) throw GROW;
    if (byte < 0x80) {
      p = writeEscape(o, byte, p);
      i++;
    } else {
      const size = utf8Size(b, i, end);
      if (size === 0) {
        // Go 1.26's encoder: one replacement per byte that is not UTF-8.
        p = writeAscii(o, '\\ufffd', p);
        i++;
      } else if (byte === 0xe2 && b[i + 1] === 0x80 && (b[i + 2]! & 0xfe) === 0xa8) {
        p = writeAscii(o, b[i + 2] === 0xa8 ? '\\u2028' : '\\u2029', p);
        i += 3;
      } else {
        for (const stop = i + size; i < stop; i++) o[p++] = b[i]!;
      }
    }
  }
  o[p++] = 34;
  return p;
}

/** `"` `\` and control characters; `<` `>` `&` so that JSON may stand inside HTML. */
function writeEscape(o: Uint8Array, byte: number, at: number): number {
  let p = at;
  o[p++] = 92;
  switch (byte) {
    case 34:
    case 92:
      o[p++] = byte;
      return p;
    case 8:
      o[p++] = 98;
      return p;
    case 9:
      o[p++] = 116;
      return p;
    case 10:
      o[p++] = 110;
      return p;
    case 12:
      o[p++] = 102;
      return p;
    case 13:
      o[p++] = 114;
      return p;
    default:
      o[p++] = 117;
      o[p++] = 48;
      o[p++] = 48;
      o[p++] = HEX[byte >> 4]!;
      o[p++] = HEX[byte & 15]!;
      return p;
  }
}

/** Length of the valid UTF-8 sequence at `i`, or 0 (as Go's utf8.DecodeRune: no overlong forms, no surrogates). */
export function utf8Size(b: Uint8Array, i: number, end: number): number {
  const first = b[i]!;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (i + size > end) return 0;
  const second = b[i + 1]!;
  if ((second & 0xc0) !== 0x80) return 0;
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  if (first === 0xf4 && second > 0x8f) return 0;
  for (let k = 2; k < size; k++) if ((b[i + k]! & 0xc0) !== 0x80) return 0;
  return size;
}

export function writeAscii(o: Uint8Array, text: string, at: number): number {
  if (at + text.length + SLACK > o.length) throw GROW;
  for (let index = 0; index < text.length; index++) o[at + index] = text.charCodeAt(index);
  return at + text.length;
}

export function writeInt32(o: Uint8Array, value: number, at: number): number {
  let p = at;
  let rest = value;
  if (rest < 0) {
    o[p++] = 45;
    rest = -rest;
  }
  if (rest < 10) {
    o[p++] = 48 + rest;
    return p;
  }
  let digits = 1;
  for (let power = 10; power <= rest; power *= 10) digits++;
  p += digits;
  for (let q = p - 1; digits > 0; digits--, q--) {
    const tenth = Math.floor(rest / 10);
    o[q] = 48 + (rest - tenth * 10);
    rest = tenth;
  }
  return p;
}

/** Writes the varint at `start` as a signed 64-bit integer, exactly. */
export function writeInt64(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  const first = b[start]!;
  if (first < 128) return writeInt32(o, first, at);
  let value = first & 127;
  let scale = 128;
  for (let i = start + 1; i < start + 7; i++) {
    if (i >= end) truncated(i);
    const byte = b[i]!;
    value += (byte & 127) * scale;
    if (byte < 128) return writeInt32(o, value, at); // below 2^49: exact
    scale *= 128;
  }
  return writeAscii(o, readInt64(b, start, end).toString(), at);
}

/** True when the varint at `start` is not zero. */
export function isNonZero(b: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = b[i]!;
    if ((byte & 127) !== 0) return true;
    if (byte < 128) return false;
  }
  return false;
}

const double = new DataView(new ArrayBuffer(8));

export function readDouble(b: Uint8Array, start: number): number {
  for (let k = 0; k < 8; k++) double.setUint8(k, b[start + k]!);
  return double.getFloat64(0, true);
}

/** Go's float format is ECMAScript's, but for the sign of zero. */
export function writeDouble(b: Uint8Array, o: Uint8Array, start: number, at: number): number {
  const value = readDouble(b, start);
  if (!Number.isFinite(value)) throw new CodecError(`a float is ${value}, which JSON cannot say`, start);
  return writeAscii(o, Object.is(value, -0) ? '-0' : String(value), at);
}

const BASE64 = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');

export function writeBase64(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  if (at + Math.ceil((end - start) / 3) * 4 + SLACK > o.length) throw GROW;
  let p = at;
  o[p++] = 34;
  let i = start;
  for (; i + 2 < end; i += 3) {
    const bits = (b[i]! << 16) | (b[i + 1]! << 8) | b[i + 2]!;
    o[p++] = BASE64[bits >> 18]!;
    o[p++] = BASE64[(bits >> 12) & 63]!;
    o[p++] = BASE64[(bits >> 6) & 63]!;
    o[p++] = BASE64[bits & 63]!;
  }
  if (i < end) {
    const two = i + 1 < end;
    const bits = (b[i]! << 16) | (two ? b[i + 1]! << 8 : 0);
    o[p++] = BASE64[bits >> 18]!;
    o[p++] = BASE64[(bits >> 12) & 63]!;
    o[p++] = two ? BASE64[(bits >> 6) & 63]! : 61;
    o[p++] = 61;
  }
  o[p++] = 34;
  return p;
}

/** The seconds of Go's zero time, 0001-01-01T00:00:00Z. */
export const ZERO_TIME_SECONDS = -62_135_596_800;
/** Beyond these years Go's own arithmetic wraps; no clock writes them. */
const SECONDS_MAX = 2 ** 43;

let cachedSeconds = Number.NaN;
const cachedText = new Uint8Array(20);

/** metav1.Time {1 seconds, 2 nanos}: `null` if zero, else RFC 3339 in UTC, whole seconds. */
export function writeTime(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  if (at + SLACK > o.length) throw GROW;
  const seconds = start === end ? ZERO_TIME_SECONDS : readTimestamp(b, start, end);
  if (seconds === ZERO_TIME_SECONDS) return writeNull(o, at);
  let p = at;
  o[p++] = 34;
  p = writeSeconds(o, seconds, p);
  o[p++] = 90;
  o[p++] = 34;
  return p;
}

/** metav1.MicroTime: always six digits of fraction. */
export function writeMicroTime(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  if (at + SLACK > o.length) throw GROW;
  if (start === end) return writeNull(o, at);
  let seconds = readTimestamp(b, start, end);
  // Go truncates the nanoseconds towards zero, and then carries what is outside one second.
  let micros = Math.trunc(timestampNanos / 1000);
  seconds += Math.floor(micros / 1_000_000);
  micros -= Math.floor(micros / 1_000_000) * 1_000_000;
  if (seconds === ZERO_TIME_SECONDS && micros === 0) return writeNull(o, at);
  let p = at;
  o[p++] = 34;
  p = writeSeconds(o, seconds, p);
  o[p++] = 46;
  for (let q = p + 5; q >= p; q--) {
    const tenth = Math.floor(micros / 10);
    o[q] = 48 + (micros - tenth * 10);
    micros = tenth;
  }
  p += 6;
  o[p++] = 90;
  o[p++] = 34;
  return p;
}

let timestampNanos = 0;

/** Returns the seconds, and leaves the nanoseconds in `timestampNanos`. */
function readTimestamp(b: Uint8Array, start: number, end: number): number {
  let seconds = 0;
  timestampNanos = 0;
  for (let i = start; i < end; ) {
    const tag = b[i]! < 128 && b[i]! > 7 ? b[i]! : readTag(b, i, end);
    i = tag < 128 ? i + 1 : after.at;
    if (tag === 8) {
      seconds = readSeconds(b, i, end);
      i = after.at;
    } else if (tag === 16) {
      timestampNanos = readInt32(b, i, end);
      i = after.at;
    } else i = skipField(b, i, end, tag);
  }
  return seconds;
}

function readSeconds(b: Uint8Array, start: number, end: number): number {
  let value = 0;
  let scale = 1;
  for (let i = start; i < end && i < start + 7; i++) {
    const byte = b[i]!;
    value += (byte & 127) * scale;
    if (byte < 128) {
      after.at = i + 1;
      if (value > SECONDS_MAX) break;
      return value;
    }
    scale *= 128;
  }
  const exact = Number(readInt64(b, start, end));
  if (Math.abs(exact) > SECONDS_MAX) throw new CodecError('a timestamp is out of range', start);
  return exact;
}

function writeNull(o: Uint8Array, at: number): number {
  o[at] = 110;
  o[at + 1] = 117;
  o[at + 2] = 108;
  o[at + 3] = 108;
  return at + 4;
}

/** `2026-01-02T03:04:05`. Objects of one controller share their times, so the last one is kept. */
function writeSeconds(o: Uint8Array, seconds: number, at: number): number {
  if (seconds === cachedSeconds) {
    for (let k = 0; k < 19; k++) o[at + k] = cachedText[k]!;
    return at + 19;
  }
  const days = Math.floor(seconds / 86_400);
  const second = seconds - days * 86_400;
  // Days to civil date (Howard Hinnant's algorithm): years start in March, eras have 400 years.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  let p = at;
  if (year >= 0 && year <= 9999) {
    p = writeTwo(o, Math.floor(year / 100), p);
    p = writeTwo(o, year % 100, p);
  } else {
    const digits = String(Math.abs(year)).padStart(4, '0');
    p = writeAscii(o, year < 0 ? `-${digits}` : digits, p);
  }
  o[p++] = 45;
  p = writeTwo(o, month, p);
  o[p++] = 45;
  p = writeTwo(o, day, p);
  o[p++] = 84;
  p = writeTwo(o, Math.floor(second / 3600), p);
  o[p++] = 58;
  p = writeTwo(o, Math.floor(second / 60) % 60, p);
  o[p++] = 58;
  p = writeTwo(o, second % 60, p);
  if (p - at === 19) {
    cachedSeconds = seconds;
    for (let k = 0; k < 19; k++) cachedText[k] = o[at + k]!;
  }
  return p;
}

function writeTwo(o: Uint8Array, value: number, at: number): number {
  const tens = Math.floor(value / 10);
  o[at] = 48 + tens;
  o[at + 1] = 48 + value - tens * 10;
  return at + 2;
}
