import type { ModRevision } from '../../api/revision.js';
import { type EntryVisitor, SourceError } from '../source.js';

/**
 * Reads etcd's RangeResponse and WatchResponse where they lie, without building objects: the result
 * is a reused record whose columns hold offsets into the message.
 *
 * Promises: every length is checked against its enclosing message, every revision is a safe integer,
 * unknown fields are skipped, and bytes that are no such message throw SourceError `corrupt` before
 * anything of a watch response has been delivered. Field numbers: proto/etcd/rpc.proto.
 */
export class ResponseHeader {
  /** The cluster id is a full 64-bit number, kept as two halves because it is only ever compared. */
  clusterIdHigh = 0;
  clusterIdLow = 0;
  revision: ModRevision = 0;
  raftTerm = 0;

  clear(): void {
    this.clusterIdHigh = 0;
    this.clusterIdLow = 0;
    this.revision = 0;
    this.raftTerm = 0;
  }
}

/** Columns of one row of `WatchSkim.events`. */
export const EVENT_TYPE = 0;
export const KEY_START = 1;
export const KEY_END = 2;
export const VALUE_START = 3;
export const VALUE_END = 4;
export const CREATE_REVISION = 5;
export const MOD_REVISION = 6;
export const EVENT_COLUMNS = 7;

const ROWS_MIN = 64;
/** A re-synced watch brings tens of thousands of events at once; after that the table shrinks again. */
const ROWS_KEPT_MAX = 2 ** 16;

export class WatchSkim {
  readonly header = new ResponseHeader();
  /** -1 in answers that concern the stream, not one watch. */
  watchId = 0;
  created = false;
  canceled = false;
  /** True when the next response continues this one. */
  fragment = false;
  compactRevision: ModRevision = 0;
  cancelReason = '';
  eventCount = 0;
  /** Row i begins at i * EVENT_COLUMNS. Revisions need 53 bits, so the cells are doubles. */
  events = new Float64Array(ROWS_MIN * EVENT_COLUMNS);

  clear(): void {
    this.header.clear();
    this.watchId = 0;
    this.created = false;
    this.canceled = false;
    this.fragment = false;
    this.compactRevision = 0;
    this.cancelReason = '';
    this.eventCount = 0;
    if (this.events.length > ROWS_KEPT_MAX * EVENT_COLUMNS) this.events = new Float64Array(ROWS_MIN * EVENT_COLUMNS);
  }
}

export class RangeSkim {
  readonly header = new ResponseHeader();
  more = false;
  count = 0;
  /** Key-values in this message. */
  entryCount = 0;
  /** Where the field of the last one begins. */
  lastStart = 0;

  clear(): void {
    this.header.clear();
    this.more = false;
    this.count = 0;
    this.entryCount = 0;
    this.lastStart = 0;
  }
}

/** The read position, and the fields of the key-value read last. Everything here is synchronous, so one set serves all. */
let at = 0;
let low = 0;
let high = 0;
let keyStart = 0;
let keyEnd = 0;
let valueStart = 0;
let valueEnd = 0;
let createRevision = 0;
let modRevision = 0;

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

export function skimWatchResponse(bytes: Uint8Array, into: WatchSkim): void {
  into.clear();
  at = 0;
  const end = bytes.length;
  while (at < end) {
    const tag = readVarint(bytes);
    if (tag === ((11 << 3) | LENGTH)) skimEvent(bytes, end, into);
    else if (tag === ((1 << 3) | LENGTH)) skimHeader(bytes, end, into.header);
    else if (tag === ((2 << 3) | VARINT)) into.watchId = readInt64(bytes);
    else if (tag === ((3 << 3) | VARINT)) into.created = readVarint(bytes) !== 0;
    else if (tag === ((4 << 3) | VARINT)) into.canceled = readVarint(bytes) !== 0;
    else if (tag === ((5 << 3) | VARINT)) into.compactRevision = readInt64(bytes);
    else if (tag === ((6 << 3) | LENGTH)) into.cancelReason = readText(bytes, end);
    else if (tag === ((7 << 3) | VARINT)) into.fragment = readVarint(bytes) !== 0;
    else skipField(bytes, end, tag);
  }
  if (at !== end) throw corrupt('a watch response ends within a field');
}

/** Reads everything but the entries; `visitRangeEntries` reads those. */
export function skimRangeResponse(bytes: Uint8Array, into: RangeSkim): void {
  into.clear();
  at = 0;
  const end = bytes.length;
  while (at < end) {
    const start = at;
    const tag = readVarint(bytes);
    if (tag === ((2 << 3) | LENGTH)) {
      at = readEnd(bytes, end);
      into.entryCount++;
      into.lastStart = start;
    } else if (tag === ((1 << 3) | LENGTH)) skimHeader(bytes, end, into.header);
    else if (tag === ((3 << 3) | VARINT)) into.more = readVarint(bytes) !== 0;
    else if (tag === ((4 << 3) | VARINT)) into.count = readVarint(bytes);
    else skipField(bytes, end, tag);
  }
  if (at !== end) throw corrupt('a range response ends within a field');
}

/**
 * Visits the entries of a message that `skimRangeResponse` accepted, those that begin in [from, to). The visitor may
 * call anything but the skim. Returns where the next field begins.
 */
export function visitRangeEntries(bytes: Uint8Array, visit: EntryVisitor, from = 0, to = bytes.length): number {
  let position = from;
  const end = bytes.length;
  while (position < to) {
    at = position;
    const tag = readVarint(bytes);
    if (tag === ((2 << 3) | LENGTH)) {
      readKeyValue(bytes, end);
      position = at;
      visit(bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
    } else {
      skipField(bytes, end, tag);
      position = at;
    }
  }
  return position;
}

function skimHeader(bytes: Uint8Array, limit: number, into: ResponseHeader): void {
  const end = readEnd(bytes, limit);
  while (at < end) {
    const tag = readVarint(bytes);
    if (tag === ((1 << 3) | VARINT)) {
      readBits(bytes);
      into.clusterIdHigh = high;
      into.clusterIdLow = low;
    } else if (tag === ((3 << 3) | VARINT)) into.revision = readVarint(bytes);
    else if (tag === ((4 << 3) | VARINT)) into.raftTerm = readVarint(bytes);
    else skipField(bytes, end, tag);
  }
  if (at !== end) throw corrupt('a response header ends within a field');
}

function skimEvent(bytes: Uint8Array, limit: number, into: WatchSkim): void {
  const end = readEnd(bytes, limit);
  let type = 0;
  modRevision = 0;
  while (at < end) {
    const tag = readVarint(bytes);
    if (tag === ((2 << 3) | LENGTH)) readKeyValue(bytes, end);
    else if (tag === ((1 << 3) | VARINT)) type = readVarint(bytes);
    else skipField(bytes, end, tag);
  }
  if (at !== end) throw corrupt('a watch event ends within a field');
  if (type > 1) throw corrupt(`a watch event has the unknown type ${type}`);
  if (modRevision === 0) throw corrupt('a watch event has no key-value');
  let row = into.eventCount * EVENT_COLUMNS;
  if (row === into.events.length) into.events = grown(into.events);
  const { events } = into;
  events[row++] = type;
  events[row++] = keyStart;
  events[row++] = keyEnd;
  events[row++] = valueStart;
  events[row++] = valueEnd;
  events[row++] = createRevision;
  events[row] = modRevision;
  into.eventCount++;
}

function grown(events: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(events.length * 2);
  larger.set(events);
  return larger;
}

function readKeyValue(bytes: Uint8Array, limit: number): void {
  const end = readEnd(bytes, limit);
  keyStart = keyEnd = valueStart = valueEnd = createRevision = modRevision = 0;
  while (at < end) {
    const tag = readVarint(bytes);
    if (tag === ((1 << 3) | LENGTH)) {
      keyEnd = readEnd(bytes, end);
      keyStart = at;
      at = keyEnd;
    } else if (tag === ((2 << 3) | VARINT)) createRevision = readVarint(bytes);
    else if (tag === ((3 << 3) | VARINT)) modRevision = readVarint(bytes);
    else if (tag === ((5 << 3) | LENGTH)) {
      valueEnd = readEnd(bytes, end);
      valueStart = at;
      at = valueEnd;
    } else skipField(bytes, end, tag);
  }
  if (at !== end) throw corrupt('a key-value ends within a field');
  if (keyEnd === keyStart) throw corrupt('a key-value has no key');
  if (modRevision === 0) throw corrupt('a key-value has no mod_revision');
}

/** Reads a length and returns where its bytes end; `at` is then where they start. */
function readEnd(bytes: Uint8Array, limit: number): number {
  const length = readVarint(bytes);
  if (length > limit - at) throw corrupt(`a length of ${length} bytes leaves its message`);
  return at + length;
}

function readText(bytes: Uint8Array, limit: number): string {
  const end = readEnd(bytes, limit);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('utf8');
  at = end;
  return text;
}

/**
 * A non-negative number below 2^53. Reading beyond the end yields undefined, which is never below 128:
 * the loop then runs to its bound, so no further check is needed per byte.
 */
function readVarint(bytes: Uint8Array): number {
  let byte = bytes[at++]!;
  if (byte < 128) return byte;
  let value = byte & 127;
  byte = bytes[at++]!;
  value |= (byte & 127) << 7;
  if (byte < 128) return value;
  byte = bytes[at++]!;
  value |= (byte & 127) << 14;
  if (byte < 128) return value;
  byte = bytes[at++]!;
  value |= (byte & 127) << 21;
  if (byte < 128) return value;
  let scale = 2 ** 28;
  for (let count = 4; count < 10; count++) {
    byte = bytes[at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) {
      if (value > Number.MAX_SAFE_INTEGER) throw corrupt('a number is not below 2^53');
      return value;
    }
    scale *= 128;
  }
  throw corrupt('a number does not end');
}

/** All 64 bits, into `high` and `low`. */
function readBits(bytes: Uint8Array): void {
  low = 0;
  high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = bytes[at++]!;
    const bits = byte & 127;
    if (shift < 28) low |= bits << shift;
    else if (shift === 28) {
      low |= bits << 28;
      high = bits >>> 4;
    } else high |= bits << (shift - 32);
    if (byte < 128) {
      low >>>= 0;
      high >>>= 0;
      return;
    }
  }
  throw corrupt('a number does not end');
}

/** A signed number of at most 53 bits: etcd says -1 for "no watch". */
function readInt64(bytes: Uint8Array): number {
  readBits(bytes);
  const value = (high | 0) * 2 ** 32 + low;
  if (!Number.isSafeInteger(value)) throw corrupt('a number is not below 2^53');
  return value;
}

function skipField(bytes: Uint8Array, limit: number, tag: number): void {
  if (tag < 8) throw corrupt('a field has the number 0');
  switch (tag % 8) {
    case VARINT:
      readBits(bytes);
      break;
    case FIXED64:
      at += 8;
      break;
    case LENGTH:
      at = readEnd(bytes, limit);
      break;
    case FIXED32:
      at += 4;
      break;
    default:
      throw corrupt(`a field has the unknown wire type ${tag % 8}`);
  }
}

function corrupt(what: string): SourceError {
  return new SourceError('corrupt', `etcd: cannot parse a response at byte ${at}: ${what}`);
}
