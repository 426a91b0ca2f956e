import { combineCrc, crc32 } from '../../lib/crc32.js';
import type { DeflatedItems, ListRuns } from '../../serve/reader.js';
import { GZIP_ABOVE_BYTES } from './body.js';
import type { ListBody } from './document.js';
import { writeBytes } from './writer.js';

/** What stands around the items of a LIST, and between two runs of them. */
export interface ListFrame {
  readonly head: Uint8Array;
  readonly separator: Uint8Array;
  readonly tail: Uint8Array;
}

const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff); // fastest, of no particular system
/** A last, empty block: it ends what the flushes of the fragments left open. */
const LAST_BLOCK = Uint8Array.of(3, 0);
const STORED_BYTES_MAX = 0xffff;

/** Whether the JSON of a LIST is larger than what is sent uncompressed (spec 4.6). */
export async function isJsonCompressed({ head, separator, tail }: ListFrame, runs: ListRuns): Promise<boolean> {
  let size = head.length + tail.length - separator.length;
  for (let run = 0; run < runs.count; run++) {
    size += separator.length + (await runs.jsonSize(run));
    if (size > GZIP_ABOVE_BYTES) return true;
  }
  return size > GZIP_ABOVE_BYTES;
}

/**
 * A LIST as one gzip member, from runs of items that were compressed apart:
 *
 *     header  stored(head)  run  stored(,)  run  stored(,)  run  stored(tail)  last block  CRC  length
 *
 * The CRC of the whole is combined from those of the parts, so nothing is compressed, or even read, a second time.
 * Resolves to false when the client is gone. `size()` is that of the body before compression.
 */
export class GzipList {
  #crc = 0;
  #size = 0;
  readonly #frame: ListFrame;
  readonly #runs: ListRuns;
  readonly #format: 'json' | 'protobuf';
  /** Runs that may be in the compressor at once. */
  readonly #ahead: number;

  constructor(frame: ListFrame, runs: ListRuns, format: 'json' | 'protobuf', ahead: number) {
    this.#frame = frame;
    this.#runs = runs;
    this.#format = format;
    this.#ahead = ahead;
  }

  get size(): number {
    return this.#size;
  }

  async write(body: ListBody): Promise<boolean> {
    const frame = this.#frame;
    const runs = this.#runs;
    writeBytes(body, HEADER);
    this.#store(frame.head, body);
    const coming: (DeflatedItems | Promise<DeflatedItems>)[] = [];
    for (let run = 0, asked = 0; run < runs.count; run++) {
      while (asked < runs.count && asked < run + this.#ahead) {
        const items = runs.deflated(asked++, this.#format);
        if (items instanceof Promise) items.catch(() => undefined); // whoever waits for it is told
        coming.push(items);
        if (body.due() && !(await body.flush())) return false;
      }
      if (run > 0) this.#store(frame.separator, body);
      const next = coming.shift()!;
      const items = next instanceof Promise ? await next : next;
      this.#crc = combineCrc(this.#crc, items.crc, items.shift);
      this.#size += items.size;
      body.append(items.bytes);
      if (body.due() && !(await body.flush())) return false;
    }
    this.#store(frame.tail, body);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc, 0);
    trailer.writeUInt32LE(this.#size % 2 ** 32, 4);
    writeBytes(body, LAST_BLOCK);
    writeBytes(body, trailer);
    return true;
  }

  /** Uncompressed blocks: five bytes and what they hold. */
  #store(bytes: Uint8Array, body: ListBody): void {
    this.#crc = crc32(bytes, this.#crc);
    this.#size += bytes.length;
    for (let at = 0; at < bytes.length; at += STORED_BYTES_MAX) {
      const block = bytes.subarray(at, at + STORED_BYTES_MAX);
      const header = Buffer.alloc(5);
      header.writeUInt16LE(block.length, 1);
      header.writeUInt16LE(block.length ^ 0xffff, 3);
      writeBytes(body, header);
      writeBytes(body, block);
    }
  }
}
