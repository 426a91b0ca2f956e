import type { ByteWriter } from '../../codec/codec.js';
import { combineCrc, crc32 } from '../../lib/crc32.js';
import type { DeflatedItems, ListRuns } from '../../serve/reader.js';
import type { Joiner } from './joined-list.js';
import { writeBytes } from './writer.js';

const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff); // fastest, of no particular system
/** A last, empty block: it ends what the flushes of the fragments left open. */
const LAST_BLOCK = Uint8Array.of(3, 0);
const STORED_BYTES_MAX = 0xffff;

/**
 * A gzip member that is put together from deflate streams without an end, each on a whole number of bytes:
 *
 *     begin;  store | (count, and write what was compressed) ...;  end
 *
 * The CRC of the whole is combined from those of the parts, so nothing is compressed, or even read, a second time.
 */
export class GzipMember implements Joiner<DeflatedItems> {
  #crc = 0;
  /** Of what is in it, uncompressed. */
  size = 0;

  begin(into: ByteWriter): void {
    writeBytes(into, HEADER);
  }

  /** What was compressed apart, and is written by the caller: its size uncompressed, its CRC, `crcShift(size)`. */
  count(size: number, crc: number, shift: number): void {
    this.#crc = combineCrc(this.#crc, crc, shift);
    this.size += size;
  }

  add({ size, crc, shift }: DeflatedItems): void {
    this.count(size, crc, shift);
  }

  items(runs: ListRuns, run: number, format: 'json' | 'protobuf'): DeflatedItems | Promise<DeflatedItems> {
    return runs.deflated(run, format);
  }

  /** Appends uncompressed blocks: five bytes and what they hold. */
  store(bytes: Uint8Array, into: ByteWriter): void {
    this.#crc = crc32(bytes, this.#crc);
    this.size += bytes.length;
    for (let at = 0; at < bytes.length; at += STORED_BYTES_MAX) {
      const size = Math.min(bytes.length - at, STORED_BYTES_MAX);
      into.reserve(5);
      into.bytes[into.position++] = 0;
      into.position = into.bytes.writeUInt16LE(size, into.position);
      into.position = into.bytes.writeUInt16LE(size ^ 0xffff, into.position);
      writeBytes(into, bytes, at, at + size);
    }
  }

  end(into: ByteWriter): void {
    writeBytes(into, LAST_BLOCK);
    into.reserve(8);
    into.position = into.bytes.writeUInt32LE(this.#crc, into.position);
    into.position = into.bytes.writeUInt32LE(this.size % 2 ** 32, into.position);
  }
}
