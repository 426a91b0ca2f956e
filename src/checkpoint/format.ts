import { crc32 } from '../lib/crc32.js';

/**
 * A checkpoint is one kind's state in one file, read and written from its beginning to its end:
 *
 *     "lwcheckp" · u32 format · u32 header length · u32 CRC of the header · header (JSON)
 *     block*      objects in key order, then old versions, then history entries
 *     end block   behind it the file ends
 *
 *     block       u32 type · u32 number of the block · u32 rows · u32 length of the payload · u32 CRC · payload
 *
 * A block's CRC covers its head and payload, and begins with the header's CRC: so a block that is missing, doubled, in
 * another place or from another file is noticed like a flipped bit. Numbers are little-endian.
 */
export const FORMAT = 2;
const MAGIC = Buffer.from('lwcheckp', 'latin1');
export const LEAD_BYTES = 20;
/** A header is some hundred bytes; a damaged length must not make us reserve memory. */
export const HEADER_BYTES_MAX = 64 * 2 ** 10;
export const BLOCK_HEAD_BYTES = 20;

export const OBJECTS = 1;
export const OLD_VERSIONS = 2;
export const ENTRIES = 3;
export const END = 4;
export type BlockType = typeof OBJECTS | typeof OLD_VERSIONS | typeof ENTRIES | typeof END;

/** f64 modRevision · f64 createRevision · u32 key length · u32 wire length · u32 object offset · u32 id. The bytes follow all rows. */
export const VERSION_ROW_BYTES = 32;
/** f64 revision · f64 age in ms · i32 next id · i32 previous id. */
export const ENTRY_ROW_BYTES = 24;
/** Key and wire bytes of a version begin at multiples of this, as slots do: then they move into one by whole words (docs/adr/0017). */
export const DATA_ALIGNMENT = 16;

export interface CheckpointHeader {
  /** What made the wire bytes: bytes of another make are not served. */
  readonly codec: string;
  /** The kind's prefix in etcd. */
  readonly prefix: string;
  readonly clusterId: string;
  readonly raftTerm: number;
  readonly revision: number;
  readonly historyTail: number;
  readonly tailAgeMs: number;
  readonly objects: number;
  readonly entries: number;
  readonly idsMax: number;
}

const TEXTS = ['codec', 'prefix', 'clusterId'] as const;
const NUMBERS = ['raftTerm', 'revision', 'historyTail', 'objects', 'entries', 'idsMax'] as const;

/** A file that is no checkpoint of ours, or not any more. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError';
}

export function encodeHeader(header: CheckpointHeader): { readonly bytes: Buffer; readonly crc: number } {
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const bytes = Buffer.alloc(LEAD_BYTES + json.length);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(FORMAT, 8);
  bytes.writeUInt32LE(json.length, 12);
  const crc = crc32(json);
  bytes.writeUInt32LE(crc, 16);
  json.copy(bytes, LEAD_BYTES);
  return { bytes, crc };
}

/** Returns the header's length and CRC; throws DamagedError. */
export function decodeLead(lead: Buffer): { readonly length: number; readonly crc: number } {
  if (lead.length < LEAD_BYTES || !lead.subarray(0, 8).equals(MAGIC)) throw new DamagedError('not a checkpoint');
  const format = lead.readUInt32LE(8);
  if (format !== FORMAT) throw new DamagedError(`format ${format}, expected ${FORMAT}`);
  const length = lead.readUInt32LE(12);
  if (length > HEADER_BYTES_MAX) throw new DamagedError(`a header of ${length} bytes`);
  return { length, crc: lead.readUInt32LE(16) };
}

export function decodeHeader(json: Buffer, crc: number): CheckpointHeader {
  if (crc32(json) !== crc) throw new DamagedError('the checksum of the header is wrong');
  const header = JSON.parse(json.toString('utf8')) as CheckpointHeader;
  for (const name of TEXTS) if (typeof header[name] !== 'string') throw new DamagedError(`the header lacks ${name}`);
  for (const name of NUMBERS) {
    if (!Number.isSafeInteger(header[name]) || header[name] < 0) throw new DamagedError(`the header lacks ${name}`);
  }
  if (!Number.isFinite(header.tailAgeMs)) throw new DamagedError('the header lacks tailAgeMs');
  return header;
}

export interface BlockHead {
  readonly type: number;
  readonly rows: number;
  readonly length: number;
  readonly crc: number;
}

/** `seed`: the header's CRC. `head` has BLOCK_HEAD_BYTES. */
export function writeBlockHead(
  head: Buffer,
  type: BlockType,
  number: number,
  rows: number,
  payload: readonly Uint8Array[],
  seed: number,
): void {
  head.writeUInt32LE(type, 0);
  head.writeUInt32LE(number, 4);
  head.writeUInt32LE(rows, 8);
  head.writeUInt32LE(
    payload.reduce((sum, { length }) => sum + length, 0),
    12,
  );
  let crc = crc32(head.subarray(0, 16), seed);
  for (const part of payload) crc = crc32(part, crc);
  head.writeUInt32LE(crc, 16);
}

export function readBlockHead(head: Buffer, number: number): BlockHead {
  if (head.readUInt32LE(4) !== number) throw new DamagedError(`block ${number} is out of its place`);
  return {
    type: head.readUInt32LE(0),
    rows: head.readUInt32LE(8),
    length: head.readUInt32LE(12),
    crc: head.readUInt32LE(16),
  };
}

export function checkBlock(head: Buffer, payload: Uint8Array, number: number, want: number, seed: number): void {
  if (crc32(payload, crc32(head.subarray(0, 16), seed)) !== want) {
    throw new DamagedError(`the checksum of block ${number} is wrong`);
  }
}
