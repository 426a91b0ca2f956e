import { varintSize, writeVarint } from '../lib/bytes.js';
import type { WireObject, WireWriter } from './codec.js';
import { metadataRange } from './scan.js';
import { after, readEnd, readTag, skipField } from './wire.js';

const METADATA = 10; // field 1 of every kind
const MANAGED_FIELDS = 138; // field 17 of ObjectMeta, and its last one
const ITEM = 0x12; // field 2 of every list

/**
 * Appends an object in wire form, with its list-item header, without `metadata.managedFields`: often a third of a
 * pod, and of use only to who applies. Wire forms are canonical, so these fields close the metadata, and to leave them
 * out is to end it earlier:
 *
 *     wire      12 nn  0a mm  0a 03 "web" … 8a 01 … 8a 01 …  12 40 …
 *     appended  12 nn' 0a mm' 0a 03 "web" …                  12 40 …
 *
 * `into` may hold the object itself at its position: what is written never overtakes what is read.
 */
export function writeWithoutManagedFields(bytes: Uint8Array, start: number, end: number, into: WireWriter): void {
  const metadata = metadataRange(bytes, start, end);
  const managed = managedFieldsStart(bytes, metadata.start, metadata.end);
  const metadataSize = managed - metadata.start;
  const hasMetadata = metadata.end > metadata.start;
  const tail = hasMetadata ? metadata.end : start;
  const objectSize = (hasMetadata ? 1 + varintSize(metadataSize) + metadataSize : 0) + (end - tail);
  into.reserve(1 + varintSize(objectSize) + objectSize);
  const out = into.bytes;
  let at = into.position;
  into.headerStart = at;
  out[at++] = ITEM;
  at = writeVarint(out, at, objectSize);
  into.start = at;
  if (hasMetadata) {
    out[at++] = METADATA;
    at = writeVarint(out, at, metadataSize);
    out.set(bytes.subarray(metadata.start, managed), at);
    at += metadataSize;
  }
  out.set(bytes.subarray(tail, end), at);
  into.position = at + (end - tail);
}

/** The same for what a codec has just written: in place, and only if there is something to leave out. */
export function dropManagedFields(written: WireWriter): void {
  const { bytes, headerStart, start, position } = written;
  const metadata = metadataRange(bytes, start, position);
  if (managedFieldsStart(bytes, metadata.start, metadata.end) === metadata.end) return;
  written.position = headerStart;
  writeWithoutManagedFields(bytes, start, position, written);
}

/** Bytes that the object takes in a list without its managed fields. */
export function sizeWithoutManagedFields({ bytes, start, end }: WireObject): number {
  const metadata = metadataRange(bytes, start, end);
  const dropped = metadata.end - managedFieldsStart(bytes, metadata.start, metadata.end);
  const before = metadata.end - metadata.start;
  const objectSize = end - start - dropped - (varintSize(before) - varintSize(before - dropped));
  return 1 + varintSize(objectSize) + objectSize;
}

/** Where the managed fields begin in an ObjectMeta; its end, if there are none. */
function managedFieldsStart(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; ) {
    const tag = readTag(bytes, at, end);
    if (tag >= MANAGED_FIELDS) return at;
    at = (tag & 7) === 2 ? readEnd(bytes, after.at, end) : skipField(bytes, after.at, end, tag);
  }
  return end;
}
