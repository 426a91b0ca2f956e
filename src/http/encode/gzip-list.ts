import type { DeflatedItems, ListRuns } from '../../serve/reader.js';
import { GZIP_ABOVE_BYTES } from './body.js';
import type { ListBody } from './document.js';
import { GzipMember } from './gzip-member.js';

/** What stands around the items of a LIST, and between two runs of them. */
export interface ListFrame {
  readonly head: Uint8Array;
  readonly separator: Uint8Array;
  readonly tail: Uint8Array;
}

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
  readonly #member = new GzipMember();
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
    return this.#member.size;
  }

  async write(body: ListBody): Promise<boolean> {
    const frame = this.#frame;
    const runs = this.#runs;
    const member = this.#member;
    member.begin(body);
    member.store(frame.head, body);
    const coming: (DeflatedItems | Promise<DeflatedItems>)[] = [];
    for (let run = 0, asked = 0; run < runs.count; run++) {
      while (asked < runs.count && asked < run + this.#ahead) {
        const items = runs.deflated(asked++, this.#format);
        if (items instanceof Promise) items.catch(() => undefined); // whoever waits for it is told
        coming.push(items);
        if (body.due() && !(await body.flush())) return false;
      }
      if (run > 0) member.store(frame.separator, body);
      const next = coming.shift()!;
      const items = next instanceof Promise ? await next : next;
      member.count(items.size, items.crc, items.shift);
      body.append(items.bytes);
      if (body.due() && !(await body.flush())) return false;
    }
    member.store(frame.tail, body);
    member.end(body);
    return true;
  }
}
