import { type ModRevision, NO_REVISION } from '../api/revision.js';
import { assert, InvariantError } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { ChangeBatch, Engine, Snapshot } from './engine.js';
import { IdListReader } from './id-list.js';
import { KeyOrder } from './key-order.js';

export function createSortedArray(versions: Versions): Engine {
  return new SortedArray(versions);
}

/**
 * One sorted array of ids, four bytes an object and nothing else: the smallest engine, and the naive baseline
 * of the benches. Look-ups are binary searches; an insert moves what is behind it; the first write after a
 * snapshot copies the array.
 *
 * Invariants:
 *   I1  keys ascend strictly.
 *   I2  an array that a snapshot holds is not written.
 */
class SortedArray implements Engine {
  readonly name = 'sorted-array';
  #revision: ModRevision = NO_REVISION;
  #size = 0;
  #ids = new Int32Array(64);
  /** Snapshots that read `ids`; they keep the array when it is replaced by a copy. */
  #shared: { holders: number } = { holders: 0 };
  readonly #versions: Versions;
  readonly #reader: IdListReader;
  readonly #key: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
  readonly #found: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(versions: Versions) {
    this.#versions = versions;
    this.#reader = new IdListReader(versions);
  }

  get size(): number {
    return this.#size;
  }

  get revision(): ModRevision {
    return this.#revision;
  }

  get reservedBytes(): number {
    return this.#ids.byteLength;
  }

  apply(changes: ChangeBatch, modRevision: ModRevision): void {
    if (modRevision < this.#revision) {
      throw new InvariantError(`engine: revision ${modRevision} is applied after ${this.#revision}`);
    }
    this.#revision = modRevision;
    for (let index = 0; index < changes.count; index++) {
      const previous = changes.previous[index]!;
      const next = changes.next[index]!;
      if (previous === NONE) this.#insert(next);
      else if (next === NONE) this.#delete(previous);
      else this.#replace(previous, next);
    }
  }

  get(key: ByteRange): VersionId {
    const position = this.#reader.lowerBound(this.#ids, this.#size, key);
    return this.#holds(position, key) ? this.#ids[position]! : NONE;
  }

  snapshot(): Snapshot {
    this.#shared.holders++;
    return new ArraySnapshot(this.#ids, this.#size, this.#revision, this.#reader, this.#shared);
  }

  verify(): void {
    const order = new KeyOrder(this.#versions);
    for (let index = 1; index < this.#size; index++) {
      const ascends = order.compareIds(this.#ids[index - 1]!, this.#ids[index]!) < 0;
      assert(ascends, `I1: version ${this.#ids[index]} is out of order`);
    }
  }

  #insert(id: VersionId): void {
    const key = this.#versions.key(id, this.#key);
    const position = this.#positionToInsert(key);
    if (this.#holds(position, key)) {
      throw new InvariantError(`engine: version ${id} has the key of ${this.#ids[position]}, but does not replace it`);
    }
    this.#makeWritable(this.#size + 1);
    this.#ids.copyWithin(position + 1, position, this.#size);
    this.#ids[position] = id;
    this.#size++;
  }

  /** Keys of a first list come in order. */
  #positionToInsert(key: ByteRange): number {
    if (this.#size === 0) return 0;
    const tail = this.#ids.subarray(this.#size - 1, this.#size);
    return this.#reader.lowerBound(tail, 1, key) === 1
      ? this.#size
      : this.#reader.lowerBound(this.#ids, this.#size, key);
  }

  #replace(previous: VersionId, next: VersionId): void {
    const position = this.#positionOf(previous);
    this.#makeWritable(this.#size);
    this.#ids[position] = next;
  }

  #delete(id: VersionId): void {
    const position = this.#positionOf(id);
    this.#makeWritable(this.#size);
    this.#ids.copyWithin(position, position + 1, this.#size);
    this.#size--;
  }

  #positionOf(id: VersionId): number {
    const position = this.#reader.lowerBound(this.#ids, this.#size, this.#versions.key(id, this.#key));
    if (position === this.#size || this.#ids[position] !== id) {
      throw new InvariantError(`engine: version ${id} is not the current one of its key`);
    }
    return position;
  }

  #holds(position: number, key: ByteRange): boolean {
    if (position === this.#size) return false;
    const range = this.#versions.key(this.#ids[position]!, this.#found);
    if (range.end - range.start !== key.end - key.start) return false;
    for (let offset = 0; offset < key.end - key.start; offset++) {
      if (range.bytes[range.start + offset] !== key.bytes[key.start + offset]) return false;
    }
    return true;
  }

  #makeWritable(size: number): void {
    if (this.#shared.holders === 0 && size <= this.#ids.length) return; // I2
    const copy = new Int32Array(size > this.#ids.length ? this.#ids.length * 2 : this.#ids.length);
    copy.set(this.#ids.subarray(0, this.#size));
    this.#ids = copy;
    this.#shared = { holders: 0 };
  }
}

class ArraySnapshot implements Snapshot {
  readonly size: number;
  readonly revision: ModRevision;
  readonly #ids: Int32Array;
  readonly #reader: IdListReader;
  readonly #shared: { holders: number };
  #disposed = false;

  constructor(ids: Int32Array, size: number, revision: ModRevision, reader: IdListReader, shared: { holders: number }) {
    this.#ids = ids;
    this.size = size;
    this.revision = revision;
    this.#reader = reader;
    this.#shared = shared;
  }

  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    this.#reader.range(this.#readable(), this.size, from, to, visit);
  }

  byteSize(from: ByteRange, to: ByteRange): number {
    return this.#reader.byteSize(this.#readable(), this.size, from, to);
  }

  count(from: ByteRange, to: ByteRange): number {
    return this.#reader.count(this.#readable(), this.size, from, to);
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#shared.holders--;
  }

  #readable(): Int32Array {
    assert(!this.#disposed, 'engine: a snapshot is read after it was disposed');
    return this.#ids;
  }
}
