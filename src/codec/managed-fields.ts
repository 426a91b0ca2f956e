import { varintSize, writeVarint } from '../lib/bytes.js';
import type { WireObject, WireWriter } from './codec.js';
import { metadataRange } from './scan.js';
import { after, readEnd, readTag, skipField } from './wire.js';

const METADATA = 10; // field 1 of every kind
const MANAGED_FIELDS = 138; // field 17 of ObjectMeta, and its last one
const ITEM = 0x12; // field 2 of every list
const JSON_HEAD = 0x12; // field 2 of a custom resource
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

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
  let at = beginItem(into, objectSize);
  const out = into.bytes;
  if (hasMetadata) {
    out[at++] = METADATA;
    at = writeVarint(out, at, metadataSize);
    out.set(bytes.subarray(metadata.start, managed), at);
    at += metadataSize;
  }
  out.set(bytes.subarray(tail, end), at);
  into.position = at + (end - tail);
}

/** Makes room for an object and writes its list-item header; where the object begins. */
function beginItem(into: WireWriter, objectSize: number): number {
  into.reserve(1 + varintSize(objectSize) + objectSize);
  into.headerStart = into.position;
  into.bytes[into.position] = ITEM;
  into.start = writeVarint(into.bytes, into.position + 1, objectSize);
  return into.start;
}

/** The same for what a codec has just written: in place, and only if there is something to leave out. */
export function dropManagedFields(written: WireWriter): void {
  const { bytes, headerStart, start, position } = written;
  const metadata = metadataRange(bytes, start, position);
  if (managedFieldsStart(bytes, metadata.start, metadata.end) === metadata.end) return;
  written.position = headerStart;
  writeWithoutManagedFields(bytes, start, position, written);
}

/**
 * The same of a custom resource (custom-resource.ts), which has its metadata twice: in field 1, and in the JSON before
 * the resourceVersion, where managedFields are by their name.
 */
export function writeCustomWithoutManagedFields(bytes: Uint8Array, start: number, end: number, into: WireWriter): void {
  const { metadata, metadataSize, head, cut, headSize, tail, objectSize } = customParts(bytes, start, end);
  let at = beginItem(into, objectSize);
  const out = into.bytes;
  out[at++] = METADATA;
  at = writeVarint(out, at, metadataSize);
  out.set(bytes.subarray(metadata.start, metadata.start + metadataSize), at);
  at += metadataSize;
  out[at++] = JSON_HEAD;
  at = writeVarint(out, at, headSize);
  out.set(bytes.subarray(head.start, cut.start), at);
  at += cut.start - head.start;
  out.set(bytes.subarray(cut.end, head.end), at);
  at += head.end - cut.end;
  out.set(bytes.subarray(tail, end), at);
  into.position = at + (end - tail);
}

export function customSizeWithoutManagedFields({ bytes, start, end }: WireObject): number {
  const { objectSize } = customParts(bytes, start, end);
  return 1 + varintSize(objectSize) + objectSize;
}

function customParts(bytes: Uint8Array, start: number, end: number) {
  const metadata = metadataRange(bytes, start, end);
  const metadataSize = managedFieldsStart(bytes, metadata.start, metadata.end) - metadata.start;
  // Field 2 follows field 1, as custom-resource.ts writes them.
  readTag(bytes, metadata.end, end);
  const headEnd = readEnd(bytes, after.at, end);
  const head = { start: after.at, end: headEnd };
  const cut = managedFieldsInJson(bytes, head.start, head.end);
  const headSize = head.end - head.start - (cut.end - cut.start);
  const sized = (size: number) => 1 + varintSize(size) + size;
  const objectSize = sized(metadataSize) + sized(headSize) + (end - headEnd);
  return { metadata, metadataSize, head, cut, headSize, tail: headEnd, objectSize };
}

/**
 * Where `"managedFields":[...],` stands in the metadata of compact JSON that ends behind `"resourceVersion":"`, so that
 * another member follows; an empty range at the end, if it does not.
 */
function managedFieldsInJson(bytes: Uint8Array, start: number, end: number): { start: number; end: number } {
  let depth = 0;
  let inMetadata = false;
  let from = -1;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      const open = at++;
      while (at < end && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
      if (bytes[at + 1] !== COLON) continue;
      if (depth === 1) inMetadata = isText(bytes, open + 1, at, 'metadata');
      else if (depth === 2 && inMetadata && isText(bytes, open + 1, at, 'managedFields')) from = open;
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth--;
    else if (byte === COMMA && depth === 2 && from >= 0) return { start: from, end: at + 1 };
  }
  return { start: end, end };
}

function isText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let index = 0; index < text.length; index++) if (bytes[start + index] !== text.charCodeAt(index)) return false;
  return true;
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
