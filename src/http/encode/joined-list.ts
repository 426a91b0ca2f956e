import type { ByteWriter } from '../../codec/codec.js';
import type { ListRuns } from '../../serve/reader.js';
import { COMPRESS_ABOVE_BYTES } from './body.js';
import type { ListBody } from './document.js';

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
    if (size > COMPRESS_ABOVE_BYTES) return true;
  }
  return size > COMPRESS_ABOVE_BYTES;
}

/** A compressed body that is put together from what was compressed apart: a gzip member, or a Zstandard frame. */
export interface Joiner<Items> {
  /** Of what is in it, uncompressed. */
  readonly size: number;
  begin(into: ByteWriter): void;
  /** Appends bytes as they are. */
  store(bytes: Uint8Array, into: ByteWriter): void;
  items(runs: ListRuns, run: number, format: 'json' | 'protobuf'): Items | Promise<Items>;
  /** Counts items, which the caller writes. */
  add(items: Items): void;
  end(into: ByteWriter): void;
}

/**
 * A LIST from runs of items that were compressed apart, so nothing is compressed, or even read, a second time:
 *
 *     begin  stored(head)  run  stored(,)  run  stored(,)  run  stored(tail)  end
 *
 * Resolves to false when the client is gone. `size()` is that of the body before compression.
 */
export class JoinedList<Items extends { readonly bytes: Uint8Array }> {
  readonly #joiner: Joiner<Items>;
  readonly #frame: ListFrame;
  readonly #runs: ListRuns;
  readonly #format: 'json' | 'protobuf';
  /** Runs that may be in the compressor at once. */
  readonly #ahead: number;

  constructor(joiner: Joiner<Items>, frame: ListFrame, runs: ListRuns, format: 'json' | 'protobuf', ahead: number) {
    this.#joiner = joiner;
    this.#frame = frame;
    this.#runs = runs;
    this.#format = format;
    this.#ahead = ahead;
  }

  get size(): number {
    return this.#joiner.size;
  }

  async write(body: ListBody): Promise<boolean> {
    const frame = this.#frame;
    const runs = this.#runs;
    const joiner = this.#joiner;
    joiner.begin(body);
    joiner.store(frame.head, body);
    const coming: (Items | Promise<Items>)[] = [];
    for (let run = 0, asked = 0; run < runs.count; run++) {
      while (asked < runs.count && asked < run + this.#ahead) {
        const items = joiner.items(runs, asked++, this.#format);
        if (items instanceof Promise) items.catch(() => undefined); // whoever waits for it is told
        coming.push(items);
        if (body.due() && !(await body.flush())) return false;
      }
      if (run > 0) joiner.store(frame.separator, body);
      const next = coming.shift()!;
      const items = next instanceof Promise ? await next : next;
      joiner.add(items);
      body.append(items.bytes);
      if (body.due() && !(await body.flush())) return false;
    }
    joiner.store(frame.tail, body);
    joiner.end(body);
    return true;
  }
}
