import { CodecError } from './codec.js';
import { GROW, SLACK } from './json-write.js';

/**
 * JSON inside protobuf (managed fields, RawExtension, CRD defaults): validated, white space dropped
 * and HTML-escaped while it is copied, as Go's encoder does with what a Marshaler returned. It must
 * be validated: one bad value would make the whole list unreadable.
 */
const DEPTH_MAX = 10_000; // encoding/json's own bound
const OBJECT = 1;
const ARRAY = 2;
const nesting = new Uint8Array(DEPTH_MAX);

const VALUE = 0; // a value must follow
const FIRST_ELEMENT = 1; // a value or ]
const FIRST_KEY = 2; // a key or }
const KEY = 3;
const COLON = 4;
const AFTER = 5; // a comma or the end of what is open

/** 1: may stand in a string and is copied as it is. */
const plain = new Uint8Array(256);
plain.fill(1, 0x20);
for (const character of '"\\<>&') plain[character.charCodeAt(0)] = 0;
plain[0xe2] = 0; // may start U+2028 or U+2029

/** Writes the JSON text of a range; an empty range is `null`. */
export function writeRawJson(b: Uint8Array, o: Uint8Array, start: number, end: number, at: number): number {
  let p = at;
  // Most text needs no escape and shrinks or stays; an escape checks for itself.
  if (p + (end - start) + SLACK > o.length) throw GROW;
  if (start === end) return copyWord(o, 'null', p);
  let state = VALUE;
  let depth = 0;
  let i = start;
  while (i < end) {
    const byte = b[i]!;
    if (byte === 32 || byte === 10 || byte === 13 || byte === 9) {
      i++;
      continue;
    }
    switch (state) {
      case COLON:
        if (byte !== 58) unexpected(b, i);
        o[p++] = byte;
        i++;
        state = VALUE;
        continue;
      case AFTER:
        if (depth === 0) unexpected(b, i);
        if (byte === 44) {
          o[p++] = byte;
          i++;
          state = nesting[depth - 1] === OBJECT ? KEY : VALUE;
          continue;
        }
        if (byte !== (nesting[depth - 1] === OBJECT ? 125 : 93)) unexpected(b, i);
        o[p++] = byte;
        i++;
        depth--;
        continue;
      case FIRST_KEY:
      case FIRST_ELEMENT:
        if (byte === (state === FIRST_KEY ? 125 : 93)) {
          o[p++] = byte;
          i++;
          depth--;
          state = AFTER;
          continue;
        }
        if (state === FIRST_KEY && byte !== 34) unexpected(b, i);
        break;
      case KEY:
        if (byte !== 34) unexpected(b, i);
        break;
    }
    if (byte === 34) {
      o[p++] = 34;
      i++;
      for (;;) {
        if (i >= end) ended(end);
        const c = b[i]!;
        if (plain[c] === 1) {
          o[p++] = c;
          i++;
          continue;
        }
        if (c === 34) break;
        // Escapes grow the text up to sixfold; the rest of the value still has to fit.
        if (p + 6 + (end - i) + SLACK > o.length) throw GROW;
        if (c === 92) {
          const size = escapeSize(b, i, end);
          for (const stop = i + size; i < stop; i++) o[p++] = b[i]!;
        } else if (c === 0xe2) {
          if (i + 2 < end && b[i + 1] === 0x80 && (b[i + 2]! & 0xfe) === 0xa8) {
            p = copyWord(o, b[i + 2] === 0xa8 ? '\\u2028' : '\\u2029', p);
            i += 3;
          } else {
            o[p++] = c;
            i++;
          }
        } else if (c < 0x20) {
          throw new CodecError('invalid JSON: control character in a string', i);
        } else {
          p = copyWord(o, c === 60 ? '\\u003c' : c === 62 ? '\\u003e' : '\\u0026', p);
          i++;
        }
      }
      o[p++] = 34;
      i++;
      state = state === KEY || state === FIRST_KEY ? COLON : AFTER;
      continue;
    }
    // Here a value starts: the key states accept a string only.
    if (byte === 123 || byte === 91) {
      if (depth === DEPTH_MAX) throw new CodecError('invalid JSON: nested too deeply', i);
      nesting[depth++] = byte === 123 ? OBJECT : ARRAY;
      state = byte === 123 ? FIRST_KEY : FIRST_ELEMENT;
      o[p++] = byte;
      i++;
      continue;
    }
    const stop = scalarEnd(b, i, end);
    while (i < stop) o[p++] = b[i++]!;
    state = AFTER;
  }
  if (state !== AFTER || depth !== 0) ended(end);
  return p;
}

function copyWord(o: Uint8Array, word: string, at: number): number {
  for (let k = 0; k < word.length; k++) o[at + k] = word.charCodeAt(k);
  return at + word.length;
}

function escapeSize(b: Uint8Array, i: number, end: number): number {
  if (i + 1 >= end) ended(end);
  switch (b[i + 1]) {
    case 34:
    case 92:
    case 47:
    case 98:
    case 102:
    case 110:
    case 114:
    case 116:
      return 2;
    case 117:
      if (i + 6 > end) ended(end);
      for (let k = i + 2; k < i + 6; k++) if (!isHex(b[k]!)) unexpected(b, k);
      return 6;
    default:
      return unexpected(b, i + 1);
  }
}

function isHex(byte: number): boolean {
  return (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 70) || (byte >= 97 && byte <= 102);
}

/** The end of a number or of true, false, null. */
function scalarEnd(b: Uint8Array, start: number, end: number): number {
  const byte = b[start]!;
  if (byte === 116) return word(b, start, end, 'true');
  if (byte === 102) return word(b, start, end, 'false');
  if (byte === 110) return word(b, start, end, 'null');
  let i = byte === 45 ? start + 1 : start;
  if (i < end && b[i] === 48) i++;
  else i = digits(b, i, end);
  if (i < end && b[i] === 46) i = digits(b, i + 1, end);
  if (i < end && (b[i] === 101 || b[i] === 69)) {
    i++;
    if (i < end && (b[i] === 43 || b[i] === 45)) i++;
    i = digits(b, i, end);
  }
  return i;
}

function digits(b: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && b[i]! >= 48 && b[i]! <= 57) i++;
  if (i === start) {
    if (i >= end) ended(end);
    unexpected(b, i);
  }
  return i;
}

function word(b: Uint8Array, start: number, end: number, text: string): number {
  for (let k = 0; k < text.length; k++) {
    if (start + k >= end) ended(end);
    if (b[start + k] !== text.charCodeAt(k)) unexpected(b, start + k);
  }
  return start + text.length;
}

function unexpected(b: Uint8Array, i: number): never {
  throw new CodecError(`invalid JSON: unexpected byte 0x${b[i]!.toString(16).padStart(2, '0')}`, i);
}

function ended(end: number): never {
  throw new CodecError('invalid JSON: unexpected end', end);
}
