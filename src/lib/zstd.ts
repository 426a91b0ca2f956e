import * as zlib from 'node:zlib';
import type { Transform } from 'node:stream';
import { standAlone } from './zstd-sequences.js';

type Options = { readonly chunkSize?: number; readonly params: Record<number, number> };
/** What Node's zlib has from 22.15 on, and the types of Node 20 do not know. */
interface ZstdOfNode {
  zstdCompress?(bytes: Uint8Array, options: Options, done: (error: Error | null, result: Buffer) => void): void;
  createZstdCompress(options: Options): Transform;
}
const node = zlib as unknown as ZstdOfNode;
/** This Node can write Zstandard. */
export const hasZstd = node.zstdCompress !== undefined;

/** The least work, as with gzip. Parameters by their numbers in zstd.h. */
const LEVEL = 1;
const WINDOW_LOG = 19;
const params = { 100: LEVEL, 101: WINDOW_LOG, 200: 0, 201: 0 }; // of unknown length, without a checksum
const BLOCK_BYTES_MAX = 2 ** 17;
const BLOCK_HEADER_BYTES = 3;
/** Where a second attempt begins to compress, when blocks do not stand alone. */
const STORED_FIRST = [256, 4096, 65_536];

/** The head of a frame: its magic number, no options, a window of 1 << WINDOW_LOG bytes. */
export const ZSTD_FRAME_HEAD = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, (WINDOW_LOG - 10) << 3);
/** Its end: a last, empty block. */
export const ZSTD_FRAME_END = Uint8Array.of(1, 0, 0);

export function createZstd(chunkSize: number): Transform {
  return node.createZstdCompress({ chunkSize, params });
}

/** One frame. */
export function zstdFrame(bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    node.zstdCompress!(bytes, { params }, (error, frame) => {
      if (error === null) resolve(frame);
      else reject(error);
    });
  });
}

/**
 * Blocks that may stand anywhere in a frame with ZSTD_FRAME_HEAD, none of them its last one. Almost always they are what
 * the compressor makes of all bytes; where that does not stand alone the first bytes are stored as they are.
 */
export async function zstdBlocks(bytes: Uint8Array): Promise<Uint8Array> {
  for (const from of [0, ...STORED_FIRST]) {
    if (from >= bytes.length) break;
    const blocks = blocksOf(await zstdFrame(bytes.subarray(from)));
    if (standAlone(blocks)) return from === 0 ? blocks : Buffer.concat([storedBlocks(bytes.subarray(0, from)), blocks]);
  }
  return storedBlocks(bytes);
}

/** Bytes as they are, each block behind its header. */
export function storedBlocks(bytes: Uint8Array): Uint8Array {
  const count = Math.ceil(bytes.length / BLOCK_BYTES_MAX);
  const blocks = Buffer.allocUnsafe(bytes.length + count * BLOCK_HEADER_BYTES);
  let to = 0;
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES_MAX) {
    const size = Math.min(bytes.length - at, BLOCK_BYTES_MAX);
    to = blocks.writeUIntLE(size << 3, to, BLOCK_HEADER_BYTES);
    blocks.set(bytes.subarray(at, at + size), to);
    to += size;
  }
  return blocks;
}

/** A copy of a frame's blocks, the last one no longer marked as such. */
function blocksOf(frame: Buffer): Uint8Array {
  const options = frame[4]!;
  const single = (options & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][options >> 6]!;
  const start = 5 + (single ? 0 : 1) + sizeBytes;
  const end = (options & 4) === 0 ? frame.length : frame.length - 4;
  const blocks = new Uint8Array(frame.subarray(start, end));
  for (let at = 0; at < blocks.length; ) {
    const header = blocks[at]! | (blocks[at + 1]! << 8) | (blocks[at + 2]! << 16);
    blocks[at]! &= 0xfe;
    at += BLOCK_HEADER_BYTES + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
  }
  return blocks;
}
