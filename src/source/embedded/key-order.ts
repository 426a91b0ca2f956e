import type { ModRevision } from '../../api/revision.js';
import type { ChangeType } from '../source.js';

/** One state of one key. The chain through `previous` reaches back to the last compaction. */
export interface Version {
  readonly entry: KeyEntry;
  readonly type: ChangeType;
  /** The key, then the value. One allocation each, so that what is compacted is really freed. */
  readonly bytes: Uint8Array;
  readonly createRevision: ModRevision;
  readonly modRevision: ModRevision;
  readonly lease: bigint | undefined;
  previous: Version | undefined;
}

export interface KeyEntry {
  /** One character per byte (latin1), so that strings order as etcd orders keys. */
  readonly key: string;
  latest: Version | undefined;
}

const CHUNK_COUNT_MAX = 512;

/**
 * Entries in key order: a list of short sorted arrays, a B+tree of two levels. An insert moves at most one
 * chunk, which at a million keys is still a few microseconds.
 *
 *   I1  no chunk is empty, none holds more than CHUNK_COUNT_MAX entries;
 *   I2  keys ascend strictly, within and across chunks.
 */
export class KeyOrder {
  readonly #chunks: KeyEntry[][] = [];

  /** The key must not be there yet. */
  insert(entry: KeyEntry): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push([entry]);
      return;
    }
    const chunkIndex = Math.max(0, this.#chunkOf(entry.key));
    const chunk = this.#chunks[chunkIndex]!;
    const last = chunk[chunk.length - 1]!;
    if (entry.key > last.key) chunk.push(entry);
    else chunk.splice(lowerBound(chunk, entry.key), 0, entry);
    if (chunk.length > CHUNK_COUNT_MAX) {
      // Keys often arrive in order: then a full chunk stays full, instead of two half-full ones.
      const isAppend = chunkIndex === this.#chunks.length - 1 && chunk[chunk.length - 1] === entry;
      this.#chunks.splice(chunkIndex + 1, 0, chunk.splice(isAppend ? CHUNK_COUNT_MAX : CHUNK_COUNT_MAX >> 1));
    }
  }

  remove(entry: KeyEntry): void {
    const chunkIndex = this.#chunkOf(entry.key);
    const chunk = this.#chunks[chunkIndex];
    if (chunk === undefined) return;
    const index = lowerBound(chunk, entry.key);
    if (chunk[index] !== entry) return;
    chunk.splice(index, 1);
    if (chunk.length === 0) this.#chunks.splice(chunkIndex, 1);
  }

  /** Visits entries with from <= key, and key < to unless `to` is undefined. Nothing may be inserted meanwhile. */
  range(from: string, to: string | undefined, visit: (entry: KeyEntry) => void): void {
    let chunkIndex = Math.max(0, this.#chunkOf(from));
    let index = chunkIndex < this.#chunks.length ? lowerBound(this.#chunks[chunkIndex]!, from) : 0;
    for (; chunkIndex < this.#chunks.length; chunkIndex++, index = 0) {
      const chunk = this.#chunks[chunkIndex]!;
      for (; index < chunk.length; index++) {
        const entry = chunk[index]!;
        if (to !== undefined && entry.key >= to) return;
        visit(entry);
      }
    }
  }

  /** The last chunk whose first key is <= key, or -1. */
  #chunkOf(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#chunks[middle]![0]!.key <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  verify(): void {
    let previous: string | undefined;
    for (const chunk of this.#chunks) {
      if (chunk.length === 0 || chunk.length > CHUNK_COUNT_MAX)
        throw new Error(`I1: a chunk holds ${chunk.length} entries`);
      for (const { key } of chunk) {
        if (previous !== undefined && previous >= key) throw new Error(`I2: ${previous} is before ${key}`);
        previous = key;
      }
    }
  }
}

function lowerBound(chunk: readonly KeyEntry[], key: string): number {
  let low = 0;
  let high = chunk.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (chunk[middle]!.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
