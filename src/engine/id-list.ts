import type { ModRevision } from '../api/revision.js';
import { assert } from '../lib/assert.js';
import { type ByteRange, compareRanges } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { Snapshot } from './engine.js';
import { isOpenEnd, KeyOrder } from './key-order.js';

/** Reads of a sorted list of ids, shared by the engines that have one. */
export class IdListReader {
  readonly #versions: Versions;
  readonly #order: KeyOrder;

  constructor(versions: Versions) {
    this.#versions = versions;
    this.#order = new KeyOrder(versions);
  }

  /** The first position whose key is not smaller. */
  lowerBound(ids: Int32Array, count: number, key: ByteRange): number {
    let low = 0;
    let high = count;
    let lowLcp = 0;
    let highLcp = 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order.compare(key, ids[middle]!, Math.min(lowLcp, highLcp)) > 0) {
        low = middle + 1;
        lowLcp = this.#order.shared;
      } else {
        high = middle;
        highLcp = this.#order.shared;
      }
    }
    return low;
  }

  upperEnd(ids: Int32Array, count: number, to: ByteRange): number {
    return isOpenEnd(to) ? count : this.lowerBound(ids, count, to);
  }

  range(ids: Int32Array, count: number, from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    const end = this.upperEnd(ids, count, to);
    for (let index = this.lowerBound(ids, count, from); index < end; index++) {
      if (!visit(ids[index]!)) return;
    }
  }

  count(ids: Int32Array, count: number, from: ByteRange, to: ByteRange): number {
    return Math.max(0, this.upperEnd(ids, count, to) - this.lowerBound(ids, count, from));
  }

  byteSize(ids: Int32Array, count: number, from: ByteRange, to: ByteRange): number {
    const end = this.upperEnd(ids, count, to);
    let bytes = 0;
    for (let index = this.lowerBound(ids, count, from); index < end; index++) {
      bytes += this.#versions.wireSize(ids[index]!);
    }
    return bytes;
  }
}

/** The ids of one state, in the order of their keys when that is asked for. */
export interface SortedIds {
  readonly length: number;
  sorted(): Int32Array;
}

/** A snapshot over a list that nobody writes any more. */
export class ListSnapshot implements Snapshot {
  readonly revision: ModRevision;
  readonly #list: SortedIds;
  readonly #reader: IdListReader;
  #disposed = false;

  constructor(list: SortedIds, reader: IdListReader, revision: ModRevision) {
    this.#list = list;
    this.#reader = reader;
    this.revision = revision;
  }

  get size(): number {
    return this.#list.length;
  }

  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    this.#reader.range(this.#sorted(), this.#list.length, from, to, visit);
  }

  byteSize(from: ByteRange, to: ByteRange): number {
    return this.#reader.byteSize(this.#sorted(), this.#list.length, from, to);
  }

  count(from: ByteRange, to: ByteRange): number {
    return this.#reader.count(this.#sorted(), this.#list.length, from, to);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
  }

  #sorted(): Int32Array {
    assert(!this.#disposed, 'engine: a snapshot is read after it was disposed');
    return this.#list.sorted();
  }
}

const PREFIX_BYTES = 6; // as many as a double holds exactly

/**
 * Sorts ids by their keys in place. Most comparisons are of two doubles: the six bytes of each key that
 * follow the prefix all of them share.
 */
export function sortIds(ids: Int32Array, versions: Versions): void {
  if (ids.length < 2) return;
  const left: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
  const right: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
  versions.key(ids[0]!, left);
  let common = left.end - left.start;
  for (const id of ids) {
    versions.key(id, right);
    const most = Math.min(common, right.end - right.start);
    let shared = 0;
    while (shared < most && left.bytes[left.start + shared] === right.bytes[right.start + shared]) shared++;
    common = shared;
  }
  const prefixes = new Float64Array(ids.length);
  const positions = new Int32Array(ids.length);
  for (let index = 0; index < ids.length; index++) {
    const { bytes, start, end } = versions.key(ids[index]!, right);
    let prefix = 0;
    for (let offset = 0; offset < PREFIX_BYTES; offset++) {
      const at = start + common + offset;
      prefix = prefix * 256 + (at < end ? bytes[at]! : 0);
    }
    prefixes[index] = prefix;
    positions[index] = index;
  }
  const unsorted = ids.slice();
  positions.sort((a, b) => {
    const difference = prefixes[a]! - prefixes[b]!;
    if (difference !== 0) return difference;
    return compareRanges(versions.key(unsorted[a]!, left), versions.key(unsorted[b]!, right));
  });
  for (let index = 0; index < ids.length; index++) ids[index] = unsorted[positions[index]!]!;
}
