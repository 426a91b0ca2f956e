import { type ModRevision, NO_REVISION } from '../api/revision.js';
import { assert, InvariantError } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { ChangeBatch, Engine, Snapshot } from './engine.js';
import { IdColumns } from './id-columns.js';
import { IdListReader, ListSnapshot, type SortedIds, sortIds } from './id-list.js';
import { KeyHash } from './key-hash.js';
import { KeyOrder } from './key-order.js';

export function createHashEngine(versions: Versions): Engine {
  return new HashEngine(versions);
}

/**
 * Only a hash: the cheapest writes, for kinds that are written often and listed rarely (Leases). A snapshot
 * copies the list of ids (4 bytes an object), and sorts it when it is first read by range; the order is
 * kept until the next insert, replacement or delete.
 *
 * Invariants:
 *   I1  `ids` holds every version of the hash once, and each knows its position and its key's hash.
 *   I2  a kept order holds the same ids, in the order of their keys.
 */
class HashEngine implements Engine {
  readonly name = 'hash';
  #revision: ModRevision = NO_REVISION;
  readonly #versions: Versions;
  readonly #hash: KeyHash;
  readonly #reader: IdListReader;
  #ids = new Int32Array(64);
  /** By id: its position in `ids`, and the hash of its key. */
  readonly #columns = new IdColumns();
  /** Shared by the snapshots of one state; dropped by the next change. */
  #list: IdList | undefined;
  readonly #key: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(versions: Versions) {
    this.#versions = versions;
    this.#hash = new KeyHash(versions);
    this.#reader = new IdListReader(versions);
  }

  get size(): number {
    return this.#hash.size;
  }

  get revision(): ModRevision {
    return this.#revision;
  }

  get reservedBytes(): number {
    return this.#ids.byteLength + this.#hash.reservedBytes + this.#columns.reservedBytes;
  }

  apply(changes: ChangeBatch, modRevision: ModRevision): void {
    if (modRevision < this.#revision) {
      throw new InvariantError(`engine: revision ${modRevision} is applied after ${this.#revision}`);
    }
    this.#revision = modRevision;
    if (changes.count > 0) this.#list = undefined;
    for (let index = 0; index < changes.count; index++) {
      const previous = changes.previous[index]!;
      const next = changes.next[index]!;
      if (previous === NONE) this.#insert(next);
      else if (next === NONE) this.#delete(previous);
      else this.#replace(previous, next);
    }
  }

  get(key: ByteRange): VersionId {
    return this.#hash.find(key);
  }

  snapshot(): Snapshot {
    this.#list ??= new IdList(this.#ids.slice(0, this.size), this.#versions);
    return new ListSnapshot(this.#list, this.#reader, this.#revision);
  }

  verify(): void {
    this.#hash.verify();
    for (let index = 0; index < this.size; index++) {
      const id = this.#ids[index]!;
      assert(this.#columns.first(id) === index, `I1: version ${id} knows another position`);
      assert(this.#columns.second(id) === this.#hash.hashOfVersion(id), `I1: version ${id} has another hash`);
      assert(this.#hash.find(this.#versions.key(id, this.#key)) === id, `I1: version ${id} is not found`);
    }
    if (this.#list === undefined) return;
    const order = new KeyOrder(this.#versions);
    const sorted = this.#list.sorted();
    assert(sorted.length === this.size, `I2: the order holds ${sorted.length} ids`);
    for (let index = 1; index < sorted.length; index++) {
      assert(order.compareIds(sorted[index - 1]!, sorted[index]!) < 0, `I2: version ${sorted[index]} is out of order`);
    }
  }

  #insert(id: VersionId): void {
    const key = this.#versions.key(id, this.#key);
    const hash = this.#hash.hashOf(key);
    const position = this.size;
    this.#hash.insert(id, hash, key);
    if (position === this.#ids.length) {
      const larger = new Int32Array(this.#ids.length * 2);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#place(id, position, hash);
  }

  #replace(previous: VersionId, next: VersionId): void {
    const hash = this.#hashIn(previous);
    this.#hash.replace(previous, next, hash);
    this.#place(next, this.#columns.first(previous), hash);
  }

  #delete(id: VersionId): void {
    this.#hash.remove(id, this.#hashIn(id));
    const position = this.#columns.first(id);
    const last = this.#ids[this.size]!; // remove() has made the size one smaller
    if (last !== id) this.#place(last, position, this.#columns.second(last));
  }

  #place(id: VersionId, position: number, hash: number): void {
    this.#ids[position] = id;
    this.#columns.setFirst(id, position);
    this.#columns.setSecond(id, hash);
  }

  #hashIn(id: VersionId): number {
    if (!this.#columns.has(id)) throw new InvariantError(`engine: version ${id} is not in the hash`);
    return this.#columns.second(id);
  }
}

/** The ids of one state, sorted in place when the order is first asked for. */
class IdList implements SortedIds {
  readonly length: number;
  readonly #ids: Int32Array;
  readonly #versions: Versions;
  #isSorted = false;

  constructor(ids: Int32Array, versions: Versions) {
    this.#ids = ids;
    this.#versions = versions;
    this.length = ids.length;
  }

  sorted(): Int32Array {
    if (!this.#isSorted) sortIds(this.#ids, this.#versions);
    this.#isSorted = true;
    return this.#ids;
  }
}
