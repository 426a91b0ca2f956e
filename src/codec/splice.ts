import { type ModRevision, NO_REVISION } from '../api/revision.js';
import { varintSize, writeVarint } from '../lib/bytes.js';
import { CodecError, type WireWriter } from './codec.js';
import { writeInt32 } from './json-write.js';
import { after, readEnd, readTag, skipField } from './wire.js';

/**
 * Puts a resourceVersion into an object without decoding it. etcd stores an empty one; what is
 * served carries the modRevision. Only the two lengths around it change:
 *
 *     stored   0a 1c  0a 03 "web" … 32 00          3a 02 …  12 40 …
 *     wire     12 nn  0a 1e  0a 03 "web" … 32 02 "57"  3a 02 …  12 40 …
 */
const METADATA = 10; // field 1 of every kind
const RESOURCE_VERSION = 50; // field 6 of ObjectMeta

/** A message in canonical form to wire form. Appends to `into`. NO_REVISION leaves the resourceVersion empty. */
export function spliceProtobuf(
  bytes: Uint8Array,
  start: number,
  end: number,
  modRevision: ModRevision,
  into: WireWriter,
): void {
  if (start >= end || bytes[start] !== METADATA) throw new CodecError('the object does not start with metadata', start);
  const metadataEnd = readEnd(bytes, start + 1, end);
  const metadataStart = after.at;
  // Where the field is, or where it belongs.
  let from = metadataStart;
  let to = from;
  for (let at = metadataStart; at < metadataEnd; ) {
    const tag = readTag(bytes, at, metadataEnd);
    if (tag > RESOURCE_VERSION) break;
    const next =
      tag === RESOURCE_VERSION ? readEnd(bytes, after.at, metadataEnd) : skipField(bytes, after.at, metadataEnd, tag);
    from = tag === RESOURCE_VERSION ? at : next;
    to = next;
    at = next;
    if (tag === RESOURCE_VERSION) break;
  }
  const digits = modRevision === NO_REVISION ? 0 : digitsOf(modRevision);
  const metadataSize = metadataEnd - metadataStart - (to - from) + 2 + digits;
  const objectSize = 1 + varintSize(metadataSize) + metadataSize + (end - metadataEnd);
  into.reserve(1 + varintSize(objectSize) + objectSize);
  const out = into.bytes;
  let at = into.position;
  into.headerStart = at;
  out[at++] = 0x12; // field 2 of every list: items
  at = writeVarint(out, at, objectSize);
  into.start = at;
  out[at++] = METADATA;
  at = writeVarint(out, at, metadataSize);
  at = copy(bytes, metadataStart, from, out, at);
  out[at++] = RESOURCE_VERSION;
  out[at++] = digits;
  if (digits > 0) at = writeInt32(out, modRevision, at);
  at = copy(bytes, to, end, out, at);
  into.position = at;
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  return digits;
}

const LOOP_MAX = 160; // below this many bytes, a loop is faster than making a view

/** The view is a plain one: a Buffer's subarray takes longer to make than a small object to copy. */
function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  if (end - start > LOOP_MAX) {
    to.set(new Uint8Array(from.buffer, from.byteOffset + start, end - start), at);
    return at + (end - start);
  }
  let out = at;
  for (let i = start; i < end; i++) to[out++] = from[i]!;
  return out;
}

const KEY = Buffer.from('"resourceVersion"');

/**
 * A JSON object, as custom resources are stored: `metadata.resourceVersion` is inserted at its
 * sorted place, or replaced. White space around the document is dropped; nothing else changes.
 * The wire form of JSON has no item header: headerStart === start.
 */
export function spliceJson(
  bytes: Uint8Array,
  start: number,
  end: number,
  modRevision: ModRevision,
  into: WireWriter,
): void {
  const walk = new JsonWalk(bytes, end);
  const object = walk.space(start);
  const metadata = walk.member(object, (keyStart, keyEnd) => equals(bytes, keyStart, keyEnd, '"metadata"'));
  if (metadata.value < 0) throw new CodecError('the object has no metadata', object);
  const objectEnd = walk.skip(object);
  if (walk.space(objectEnd) !== end) throw new CodecError('invalid JSON: text after the object', objectEnd);
  // The member itself (in whatever order), else the first one that sorts behind it.
  let place = walk.member(metadata.value, (keyStart, keyEnd) => equals(bytes, keyStart, keyEnd, '"resourceVersion"'));
  const replaced = place.value >= 0;
  if (!replaced) place = walk.member(metadata.value, (keyStart, keyEnd) => !sortsBefore(bytes, keyStart, keyEnd));
  const text = `"${modRevision}"`;
  let from: number;
  let to: number;
  let insert: string;
  if (replaced) {
    from = place.value;
    to = walk.skip(place.value);
    insert = text;
  } else if (place.value >= 0) {
    from = to = place.key;
    insert = `"resourceVersion":${text},`;
  } else {
    from = to = place.end; // the closing brace
    insert = `${place.count > 0 ? ',' : ''}"resourceVersion":${text}`;
  }
  into.reserve(objectEnd - object + insert.length);
  const out = into.bytes;
  into.headerStart = into.start = into.position;
  let at = copy(bytes, object, from, out, into.position);
  for (let k = 0; k < insert.length; k++) out[at++] = insert.charCodeAt(k);
  into.position = copy(bytes, to, objectEnd, out, at);
}

function equals(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let k = 0; k < text.length; k++) if (bytes[start + k] !== text.charCodeAt(k)) return false;
  return true;
}

function sortsBefore(bytes: Uint8Array, start: number, end: number): boolean {
  const size = Math.min(end - start, KEY.length) - 1; // without the closing quote
  for (let k = 1; k < size; k++) {
    const difference = bytes[start + k]! - KEY[k]!;
    if (difference !== 0) return difference < 0;
  }
  return end - start < KEY.length;
}

interface Member {
  key: number;
  keyEnd: number;
  /** -1 when no member was chosen. */
  value: number;
  /** Members seen before. */
  count: number;
  /** The closing brace, when no member was chosen. */
  end: number;
}

/** Steps over JSON text without reading it; checks brackets and strings, not every rule of the grammar. */
class JsonWalk {
  private readonly bytes: Uint8Array;
  private readonly end: number;
  constructor(bytes: Uint8Array, end: number) {
    this.bytes = bytes;
    this.end = end;
  }

  space(start: number): number {
    let at = start;
    while (at < this.end) {
      const byte = this.bytes[at]!;
      if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) break;
      at++;
    }
    return at;
  }

  private fail(at: number): never {
    throw new CodecError(at >= this.end ? 'invalid JSON: unexpected end' : 'invalid JSON: unexpected byte', at);
  }

  private expect(at: number, byte: number): number {
    if (at >= this.end || this.bytes[at] !== byte) this.fail(at);
    return at + 1;
  }

  /** The first member of the object at `start` whose key (quotes included) is chosen. */
  member(start: number, choose: (keyStart: number, keyEnd: number) => boolean): Member {
    let at = this.space(this.expect(start, 123));
    let count = 0;
    if (at < this.end && this.bytes[at] === 125) return { key: -1, keyEnd: -1, value: -1, count, end: at };
    for (;;) {
      const key = at;
      const keyEnd = this.string(key);
      const value = this.space(this.expect(this.space(keyEnd), 58));
      if (choose(key, keyEnd)) return { key, keyEnd, value, count, end: -1 };
      count++;
      at = this.space(this.skip(value));
      if (at < this.end && this.bytes[at] === 125) return { key: -1, keyEnd: -1, value: -1, count, end: at };
      at = this.space(this.expect(at, 44));
    }
  }

  private string(start: number): number {
    let at = this.expect(start, 34);
    for (; at < this.end; at++) {
      const byte = this.bytes[at]!;
      if (byte === 34) return at + 1;
      if (byte === 92) at++;
    }
    return this.fail(this.end);
  }

  /** The index behind the value at `start`. */
  skip(start: number): number {
    let depth = 0;
    let at = start;
    do {
      if (at >= this.end) this.fail(at);
      const byte = this.bytes[at]!;
      if (byte === 34) at = this.string(at);
      else if (byte === 123 || byte === 91) {
        depth++;
        at++;
      } else if (byte === 125 || byte === 93) {
        depth--;
        at++;
      } else if (depth > 0) at++;
      else {
        const before = at;
        while (at < this.end && isScalar(this.bytes[at]!)) at++;
        if (at === before) this.fail(at);
      }
    } while (depth > 0);
    return at;
  }
}

function isScalar(byte: number): boolean {
  return (
    (byte >= 48 && byte <= 57) ||
    (byte >= 97 && byte <= 122) ||
    byte === 45 ||
    byte === 43 ||
    byte === 46 ||
    byte === 69
  );
}
