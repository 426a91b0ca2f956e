import { CodecError } from './codec.js';
import { ZERO_TIME_SECONDS } from './json-write.js';
import { canonicalQuantity, QuantityError } from './quantity.js';
import { type Field, isNilable, type MessageType, messageType } from './schema.js';
import { after, readBool, readEnd, readInt32, readInt64, readTag, skipField, textOf } from './wire.js';
import { BackwardWriter } from './writer.js';

/**
 * The slow, complete way for a message that is not written as the current marshaller writes it:
 * read as Go's generated code reads (the last value wins, messages merge, unknown fields drop),
 * written anew in canonical form.
 *
 * Messages that occur more than once merge by concatenation, which is what protobuf defines.
 */
const DEPTH_MAX = 200;

const wireNames: Readonly<Record<number, string>> = { 0: 'varint', 1: 'fixed64', 2: 'length-delimited' };

/** Returns the canonical bytes. Throws CodecError with the offset for what Go would not read either. */
export function normalize(messageName: string, bytes: Uint8Array, start: number, end: number): Buffer {
  const into = writer;
  into.reset();
  writeMessage(messageType(messageName), bytes, [[start, end]], into, 0);
  if (into.bytes.length > WRITER_BYTES_MAX) writer = new BackwardWriter();
  return into.finish();
}

/** Used again: memory for every message would cost as much as writing it. */
let writer = new BackwardWriter();
const WRITER_BYTES_MAX = 2 ** 20;

/** How the fields of a message are found. */
interface FieldIndex {
  readonly byTag: ReadonlyMap<number, Field>;
  readonly byNumber: ReadonlyMap<number, Field>;
}
const indexes = new WeakMap<MessageType, FieldIndex>();

function indexOf(type: MessageType): FieldIndex {
  let index = indexes.get(type);
  if (index === undefined) {
    const by = (key: 'tag' | 'number') => new Map(type.byNumber.map((field) => [field[key], field]));
    indexes.set(type, (index = { byTag: by('tag'), byNumber: by('number') }));
  }
  return index;
}

type Range = readonly [start: number, end: number];

function writeMessage(
  type: MessageType,
  b: Uint8Array,
  ranges: readonly Range[],
  w: BackwardWriter,
  depth: number,
): void {
  if (depth > DEPTH_MAX) throw new CodecError('the message is nested too deeply', ranges[0]?.[0]);
  switch (type.class) {
    case 'Time':
      writeTimestamp(b, lastOf(ranges), w, false);
      return;
    case 'MicroTime':
      writeTimestamp(b, lastOf(ranges), w, true);
      return;
    case 'Quantity':
      writeQuantity(b, lastOf(ranges), w);
      return;
  }
  const found = new Map<Field, Range[]>();
  const { byTag, byNumber } = indexOf(type);
  for (const [start, end] of ranges) {
    for (let i = start; i < end; ) {
      const tag = readTag(b, i, end);
      const field = byTag.get(tag);
      if (field === undefined) {
        const mistyped = byNumber.get(Math.floor(tag / 8));
        if (mistyped !== undefined) {
          throw new CodecError(
            `${type.name}.${mistyped.name}: expected ${wireNames[mistyped.wireType]}, got wire type ${tag & 7}`,
            i,
          );
        }
        i = skipField(b, after.at, end, tag);
        continue;
      }
      let from = after.at;
      let to: number;
      if (field.wireType === 2) {
        to = readEnd(b, from, end);
        from = after.at;
      } else to = skipField(b, from, end, tag);
      const list = found.get(field);
      if (list === undefined) found.set(field, [[from, to]]);
      else list.push([from, to]);
      i = to;
    }
  }
  for (let index = type.byNumber.length - 1; index >= 0; index--) {
    writeField(type, type.byNumber[index]!, b, found.get(type.byNumber[index]!) ?? [], w, depth);
  }
}

function writeField(
  type: MessageType,
  field: Field,
  b: Uint8Array,
  ranges: readonly Range[],
  w: BackwardWriter,
  depth: number,
): void {
  if (field.map) {
    writeMap(field, b, ranges, w, depth);
    return;
  }
  if (field.repeated) {
    for (let index = ranges.length - 1; index >= 0; index--) writeValue(field, b, [ranges[index]!], w, depth);
    return;
  }
  if (ranges.length === 0 && isNilable(field)) return;
  if (type.class === 'FieldsV1') {
    const [from, to] = lastOf(ranges);
    if (from === to) return;
  }
  writeValue(field, b, ranges, w, depth);
}

/** Writes tag and value. No range at all is the zero value; of scalars the last range counts. */
function writeValue(field: Field, b: Uint8Array, ranges: readonly Range[], w: BackwardWriter, depth: number): void {
  const [from, to] = lastOf(ranges);
  switch (field.class) {
    case 'bool':
      w.byte(ranges.length > 0 && readBool(b, from, to) ? 1 : 0);
      w.varint(field.tag);
      return;
    case 'int32':
      w.varint64(ranges.length > 0 ? BigInt(readInt32(b, from, to)) : 0n);
      w.varint(field.tag);
      return;
    case 'int64':
      w.varint64(ranges.length > 0 ? readInt64(b, from, to) : 0n);
      w.varint(field.tag);
      return;
    case 'float64':
      if (ranges.length > 0) w.range(b, from, to);
      else w.double(0);
      w.varint(field.tag);
      return;
    case 'string':
    case 'bytes': {
      const before = w.length;
      w.range(b, from, to);
      w.close(field.tag, before);
      return;
    }
    default: {
      const before = w.length;
      writeMessage(messageType(field.messageName), b, ranges, w, depth + 1);
      w.close(field.tag, before);
    }
  }
}

function writeMap(field: Field, b: Uint8Array, ranges: readonly Range[], w: BackwardWriter, depth: number): void {
  const value: Field = { ...field, map: false, repeated: false, number: 2, tag: 16 + field.wireType };
  const entries = new Map<string, { key: Range; value: readonly Range[] }>();
  for (const [start, end] of ranges) {
    let key: Range = [0, 0];
    let values: Range[] = [];
    for (let i = start; i < end; ) {
      const tag = readTag(b, i, end);
      if (tag === 10 || tag === 18) {
        const to = readEnd(b, after.at, end);
        if (tag === 10) key = [after.at, to];
        else values = [[after.at, to]]; // each occurrence starts from an empty value
        i = to;
      } else i = skipField(b, after.at, end, tag);
    }
    // Bytes, not text: keys that are not UTF-8 must stay apart.
    entries.set(Buffer.from(b.subarray(key[0], key[1])).toString('latin1'), { key, value: values });
  }
  const sorted = [...entries.keys()].sort((x, y) => (x < y ? -1 : x > y ? 1 : 0));
  for (let index = sorted.length - 1; index >= 0; index--) {
    const entry = entries.get(sorted[index]!)!;
    const before = w.length;
    writeValue(value, b, entry.value, w, depth);
    const keyBefore = w.length;
    w.range(b, entry.key[0], entry.key[1]);
    w.close(10, keyBefore);
    w.close(field.tag, before);
  }
}

function lastOf(ranges: readonly Range[]): Range {
  return ranges[ranges.length - 1] ?? [0, 0];
}

function writeTimestamp(b: Uint8Array, [start, end]: Range, w: BackwardWriter, micro: boolean): void {
  if (start === end) return;
  let seconds = 0n;
  let nanos = 0;
  for (let i = start; i < end; ) {
    const tag = readTag(b, i, end);
    if (tag === 8) seconds = readInt64(b, after.at, end);
    else if (tag === 16) nanos = readInt32(b, after.at, end);
    else if (tag >> 3 === 1 || tag >> 3 === 2) throw new CodecError('Timestamp: expected varint', i);
    else after.at = skipField(b, after.at, end, tag);
    i = after.at;
  }
  writeTimestampValue(seconds, micro ? Math.trunc(nanos / 1000) * 1000 : 0, w);
}

/** The two fields of a Timestamp, or nothing for Go's zero time. `nanos` may lie outside of one second. */
export function writeTimestampValue(seconds: bigint, nanos: number, w: BackwardWriter): void {
  const carry = Math.floor(nanos / 1_000_000_000);
  const exact = seconds + BigInt(carry);
  const rest = nanos - carry * 1_000_000_000;
  if (exact === BigInt(ZERO_TIME_SECONDS) && rest === 0) return;
  w.varint(rest);
  w.byte(16);
  w.varint64(exact);
  w.byte(8);
}

function writeQuantity(b: Uint8Array, [start, end]: Range, w: BackwardWriter): void {
  let text = '0';
  for (let i = start; i < end; ) {
    const tag = readTag(b, i, end);
    if (tag !== 10) {
      if (tag >> 3 === 1) throw new CodecError('Quantity: expected length-delimited', i);
      i = skipField(b, after.at, end, tag);
      continue;
    }
    const to = readEnd(b, after.at, end);
    try {
      text = canonicalQuantity(textOf(b, after.at, to));
    } catch (error) {
      if (error instanceof QuantityError) throw new CodecError(error.message, after.at);
      throw error;
    }
    i = to;
  }
  const before = w.length;
  w.text(text);
  w.close(10, before);
}
