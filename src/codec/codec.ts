import type { ModRevision } from '../api/revision.js';
import type { ByteWriter } from '../lib/bytes.js';
import type { Kind } from './kind.js';

/**
 * Bytes to bytes: a KindCodec turns what etcd stores into what goes over the wire, and reads
 * names, labels and fields straight from the wire bytes. No call makes an object graph, except
 * the slow path for values that another version wrote (counted in `slowDecodes`).
 *
 * The wire form of an object, as the cache keeps it:
 *
 *     12 <length>        list-item header: field 2 of every <Kind>List, so that a LIST is a concatenation
 *     <object message>   the bare protobuf message, metadata.resourceVersion spliced in
 */
export interface KindCodec {
  readonly kind: Kind;
  /**
   * Turns a stored value (envelope, encodings as in spec 1.3) into wire form at `into.position`.
   * Throws CodecError naming offset and cause when the value does not parse.
   */
  toWire(value: Uint8Array, start: number, end: number, modRevision: ModRevision, into: WireWriter): void;
  /** Same object with another resourceVersion, as DELETED events need. */
  resplice(wire: WireObject, modRevision: ModRevision, into: WireWriter): void;
  /** Writes the object as Go's JSON encoder would. With `typeMeta`, `kind` and `apiVersion` come first. */
  toJson(bytes: Uint8Array, start: number, end: number, typeMeta: boolean, into: ByteWriter): void;
  /** Only `metadata`, as the value of a JSON member: `{"name":...}`. */
  metadataToJson(bytes: Uint8Array, start: number, end: number, into: ByteWriter): void;
  /** The byte range of the ObjectMeta message inside the object; start === end when absent. */
  metadataRange(bytes: Uint8Array, start: number, end: number): { start: number; end: number };
  /** The value of a label, or undefined when the key is absent. Cheap: one pass over metadata. */
  label(bytes: Uint8Array, start: number, end: number, key: string): string | undefined;
  labels(bytes: Uint8Array, start: number, end: number): Map<string, string>;
  /** The text a fieldSelector compares for `label` (spec 6.2). Throws for labels the kind does not have. */
  field(bytes: Uint8Array, start: number, end: number, label: string): string;
  /** Decoded lazily into plain JSON-like values, for Table cells and rare paths; not for hot ones. */
  read(bytes: Uint8Array, start: number, end: number): unknown;
  /**
   * Complete and slow: a JSON object (parsed) to a stored value `k8s\0...`. Throws CodecError naming the field.
   * Paths of members that the type does not have are appended to `unknownFields`; they are not stored.
   */
  toStored(object: unknown, unknownFields?: string[]): Uint8Array;
  /** `k8s\0` + typeMeta and the header of `raw`, to be followed by `rawLength` bytes and ENVELOPE_TAIL. */
  envelopeHead(listKind: boolean, rawLength: number): Uint8Array;
  readonly slowDecodes: number;
}

/** Where wire bytes lie. `headerStart..start` is the list-item header, `start..end` the message. */
export interface WireObject {
  bytes: Uint8Array;
  headerStart: number;
  start: number;
  end: number;
}

/** A growing buffer: `bytes` may be replaced when it grows, so re-read it after every call. */
export type { ByteWriter };

/** Filled by `toWire`: the object occupies headerStart..position of `bytes`. */
export interface WireWriter extends ByteWriter {
  headerStart: number;
  start: number;
}

/** `1a 00 22 00`: empty contentEncoding and contentType close every envelope. */
export const ENVELOPE_TAIL = Uint8Array.of(0x1a, 0x00, 0x22, 0x00);

export class CodecError extends Error {
  override readonly name = 'CodecError';
  /** Byte offset in the value, when known. */
  readonly offset: number | undefined;
  constructor(message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (at byte ${offset})`);
    this.offset = offset;
  }
}
