import type { ByteWriter } from '../../codec/codec.js';
import { ENVELOPE_TAIL } from '../../codec/codec.js';
import { utf8, varintSize, writeVarint } from '../../lib/bytes.js';
import { writeBytes } from './writer.js';

/** Every protobuf body starts with these four bytes (spec 5.5). */
const MAGIC = utf8('k8s\0');

/** Field tags: number << 3 | 2, all length-delimited. */
const FIELD_1 = 0x0a;
const FIELD_2 = 0x12;
const FIELD_3 = 0x1a;
const FIELD_4_VARINT = 0x20;
const FIELD_5 = 0x2a;

/** `k8s\0`, the type, and the header of the raw field that `rawLength` bytes and ENVELOPE_TAIL follow. */
export function envelopeHead(apiVersion: string, kind: string, rawLength: number): Uint8Array {
  const typeMeta = Buffer.concat([textField(FIELD_1, apiVersion), textField(FIELD_2, kind)]);
  const header = new Uint8Array(1 + varintSize(rawLength));
  header[0] = FIELD_2;
  writeVarint(header, 1, rawLength);
  return Buffer.concat([MAGIC, messageField(FIELD_1, typeMeta), header]);
}

export function writeEnvelope(apiVersion: string, kind: string, raw: Uint8Array, into: ByteWriter): void {
  writeBytes(into, envelopeHead(apiVersion, kind, raw.length));
  writeBytes(into, raw);
  writeBytes(into, ENVELOPE_TAIL);
}

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue: string | undefined;
  readonly remainingItemCount: number | undefined;
}

/**
 * Field 1 of every list message: plain strings are always written, pointers only when set. Only lists
 * of the objects themselves say what shard they are, no converted ones (spec 6.3).
 */
export function listMetaField(meta: ListMeta, shard?: string): Uint8Array {
  const parts = [
    textField(FIELD_1, ''),
    textField(FIELD_2, meta.resourceVersion),
    textField(FIELD_3, meta.continue ?? ''),
  ];
  if (meta.remainingItemCount !== undefined) {
    const count = new Uint8Array(1 + varintSize(meta.remainingItemCount));
    count[0] = FIELD_4_VARINT;
    writeVarint(count, 1, meta.remainingItemCount);
    parts.push(count);
  }
  if (shard !== undefined) parts.push(messageField(FIELD_5, textField(FIELD_1, shard)));
  return messageField(FIELD_1, Buffer.concat(parts));
}

/** ListMeta as JSON: what is unset is left out. */
export function listMetaJson(meta: ListMeta, shard?: string): Record<string, unknown> {
  return {
    resourceVersion: meta.resourceVersion,
    ...(meta.continue === undefined ? {} : { continue: meta.continue }),
    ...(meta.remainingItemCount === undefined ? {} : { remainingItemCount: meta.remainingItemCount }),
    ...(shard === undefined ? {} : { shardInfo: { selector: shard } }),
  };
}

export function textField(tag: number, text: string): Uint8Array {
  return messageField(tag, utf8(text));
}

export function messageField(tag: number, message: Uint8Array): Uint8Array {
  const field = Buffer.allocUnsafe(1 + varintSize(message.length) + message.length);
  field[0] = tag;
  field.set(message, writeVarint(field, 1, message.length));
  return field;
}

/** Bytes of a length-delimited field with a one-byte tag. */
export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

export function writeFieldHeader(into: ByteWriter, tag: number, length: number): void {
  into.reserve(11);
  into.bytes[into.position] = tag;
  into.position = writeVarint(into.bytes, into.position + 1, length);
}
