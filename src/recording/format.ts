import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ModRevision } from '../api/revision.js';
import { writeVarint } from '../lib/bytes.js';
import { crc32 } from '../lib/crc32.js';

/**
 * A recording is one kind's state and what became of it, with the times.
 *
 *     listwatch recording 1\n
 *     {"resource":...}\n                            the header, JSON
 *     block*                                         raw length, packed length, CRC-32 of the raw bytes (32 bits, little
 *                                                    endian, each); then raw deflate
 *
 * The raw bytes of all blocks together are records: a tag, then numbers as varints and byte strings with their lengths.
 * A block holds whole records, so a file that was cut off in the middle is good up to its last whole block.
 */
export const MAGIC = 'listwatch recording 1\n';
export const BLOCK_HEAD_BYTES = 12;
/** A block is closed when it is this large: small enough that little is lost, large enough to compress well. */
const BLOCK_BYTES = 256 * 2 ** 10;
/** What a reader takes at most: no file of ours has larger blocks, but for one object that is larger itself. */
const BLOCK_BYTES_MAX = 64 * 2 ** 20;
const LEVEL = 6;

export interface RecordingHeader {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  /** The kind's directory in the store, with its slash. */
  readonly prefix: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Where it came from, e.g. `etcd http://127.0.0.1:2379`. */
  readonly source: string;
}

/** The state, object by object; then `state`; then changes, each revision closed by its `commit`; then `end`. */
export type RecordingEntry =
  | {
      readonly type: 'object' | 'put';
      readonly key: Uint8Array;
      readonly value: Uint8Array;
      readonly createRevision: ModRevision;
      readonly modRevision: ModRevision;
    }
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly modRevision: ModRevision }
  /** Everything before this is the state at this revision. */
  | { readonly type: 'state'; readonly revision: ModRevision }
  /** The revision is whole; it was seen `atUs` microseconds after the state. */
  | { readonly type: 'commit'; readonly revision: ModRevision; readonly atUs: number }
  /** The recorder ended in its own time, and says why. */
  | { readonly type: 'end'; readonly reason: string };

const OBJECT = 1;
const PUT = 2;
const DELETE = 3;
const STATE = 4;
const COMMIT = 5;
const END = 6;

/** The file is none of ours, of another version, or damaged. The message says where. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
}

export function encodeHeader(header: RecordingHeader): Buffer {
  return Buffer.from(`${MAGIC}${JSON.stringify(header)}\n`);
}

/** Turns entries into blocks. Keys and values may be ranges of a shared buffer: they are copied at once. */
export class RecordingEncoder {
  #raw = Buffer.allocUnsafe(BLOCK_BYTES * 2);
  #length = 0;
  #lastUs = 0;

  object(key: Uint8Array, value: Uint8Array, createRevision: ModRevision, modRevision: ModRevision): void {
    this.#put(OBJECT, key, value, createRevision, modRevision);
  }

  put(key: Uint8Array, value: Uint8Array, createRevision: ModRevision, modRevision: ModRevision): void {
    this.#put(PUT, key, value, createRevision, modRevision);
  }

  delete(key: Uint8Array, modRevision: ModRevision): void {
    this.#tag(DELETE, key.length + 32);
    this.#bytes(key);
    this.#number(modRevision);
  }

  state(revision: ModRevision): void {
    this.#tag(STATE, 16);
    this.#number(revision);
  }

  commit(revision: ModRevision, atUs: number): void {
    this.#tag(COMMIT, 32);
    this.#number(revision);
    const us = Math.max(this.#lastUs, Math.floor(atUs));
    this.#number(us - this.#lastUs);
    this.#lastUs = us;
  }

  end(reason: string): void {
    const text = Buffer.from(reason);
    this.#tag(END, text.length + 16);
    this.#bytes(text);
  }

  /** The block that is full; undefined: there is room. With `all`, what there is. */
  block(all = false): Buffer | undefined {
    if (this.#length === 0 || (!all && this.#length < BLOCK_BYTES)) return undefined;
    const raw = this.#raw.subarray(0, this.#length);
    const packed = deflateRawSync(raw, { level: LEVEL });
    const block = Buffer.allocUnsafe(BLOCK_HEAD_BYTES + packed.length);
    block.writeUInt32LE(raw.length, 0);
    block.writeUInt32LE(packed.length, 4);
    block.writeUInt32LE(crc32(raw), 8);
    packed.copy(block, BLOCK_HEAD_BYTES);
    this.#length = 0;
    return block;
  }

  #put(tag: number, key: Uint8Array, value: Uint8Array, createRevision: ModRevision, modRevision: ModRevision): void {
    this.#tag(tag, key.length + value.length + 48);
    this.#bytes(key);
    this.#bytes(value);
    this.#number(createRevision);
    this.#number(modRevision);
  }

  #tag(tag: number, room: number): void {
    if (this.#length + room > this.#raw.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#raw.length * 2, this.#length + room));
      this.#raw.copy(larger, 0, 0, this.#length);
      this.#raw = larger;
    }
    this.#raw[this.#length++] = tag;
  }

  #bytes(bytes: Uint8Array): void {
    this.#number(bytes.length);
    this.#raw.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #number(value: number): void {
    this.#length = writeVarint(this.#raw, this.#length, value);
  }
}

/** Turns blocks back into entries, whose bytes are views of memory of their own. */
export class RecordingDecoder {
  #us = 0;

  /** `packed` follows the head. Throws RecordingError; `at` is where the block began in the file. */
  *entries(head: Buffer, packed: Buffer, at: number): Generator<RecordingEntry> {
    const raw = unpack(head, packed, at);
    const reader = new RecordReader(raw, at);
    while (reader.position < raw.length) yield this.#next(reader);
  }

  #next(reader: RecordReader): RecordingEntry {
    const tag = reader.tag();
    switch (tag) {
      case OBJECT:
      case PUT: {
        const [key, value] = [reader.bytes(), reader.bytes()];
        const [createRevision, modRevision] = [reader.number(), reader.number()];
        return { type: tag === OBJECT ? 'object' : 'put', key, value, createRevision, modRevision };
      }
      case DELETE:
        return { type: 'delete', key: reader.bytes(), modRevision: reader.number() };
      case STATE:
        return { type: 'state', revision: reader.number() };
      case COMMIT: {
        const revision = reader.number();
        this.#us += reader.number();
        return { type: 'commit', revision, atUs: this.#us };
      }
      case END:
        return { type: 'end', reason: Buffer.from(reader.bytes()).toString('utf8') };
      default:
        throw reader.broken(`a record of unknown type ${tag}`);
    }
  }
}

/** How many bytes follow the head of a block that begins `at`. Throws RecordingError. */
export function packedLength(head: Buffer, at: number): number {
  const [rawLength, length] = [head.readUInt32LE(0), head.readUInt32LE(4)];
  if (rawLength === 0 || rawLength > BLOCK_BYTES_MAX || length === 0 || length > BLOCK_BYTES_MAX) {
    throw new RecordingError(`the block at byte ${at} is damaged: it claims ${rawLength} bytes, ${length} packed`);
  }
  return length;
}

function unpack(head: Buffer, packed: Buffer, at: number): Buffer {
  const rawLength = head.readUInt32LE(0);
  let raw: Buffer;
  try {
    raw = inflateRawSync(packed, { maxOutputLength: rawLength });
  } catch (error) {
    throw new RecordingError(`the block at byte ${at} is damaged: ${(error as Error).message}`);
  }
  if (raw.length !== rawLength || crc32(raw) !== head.readUInt32LE(8)) {
    throw new RecordingError(`the block at byte ${at} is damaged: its checksum is another one`);
  }
  return raw;
}

class RecordReader {
  position = 0;
  readonly #raw: Buffer;
  readonly #at: number;

  constructor(raw: Buffer, at: number) {
    this.#raw = raw;
    this.#at = at;
  }

  tag(): number {
    return this.#raw[this.position++]!;
  }

  number(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.#raw[this.position++];
      if (byte === undefined) throw this.broken('a number that does not end');
      value += (byte & 127) * factor;
      if (byte < 128) break;
      factor *= 128;
      if (factor > 2 ** 56) throw this.broken('a number that does not end');
    }
    if (!Number.isSafeInteger(value)) throw this.broken('a number that is too large');
    return value;
  }

  bytes(): Uint8Array {
    const length = this.number();
    const start = this.position;
    if (start + length > this.#raw.length) throw this.broken(`${length} bytes where fewer are left`);
    this.position += length;
    return this.#raw.subarray(start, this.position);
  }

  broken(what: string): RecordingError {
    return new RecordingError(`the block at byte ${this.#at} holds ${what}`);
  }
}
