import { type ModRevision, NO_REVISION } from '../api/revision.js';
import { assert, InvariantError } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { ChangeBatch, Engine, Snapshot } from './engine.js';
import { IdColumns } from './id-columns.js';
import { IdListReader, ListSnapshot, type SortedIds } from './id-list.js';
import { KeyHash } from './key-hash.js';
import { KeyOrder } from './key-order.js';

/** The pair that mem_etcd keeps: a hash for all that names one key, a b-tree for order. */
export function createHashBtree(versions: Versions): Engine {
  return new SlotBtree('hash+btree', versions, new KeyHash(versions));
}

/** A b-tree alone, as kube-apiserver's watch cache has by default: every update descends, comparing keys. */
export function createBtree(versions: Versions): Engine {
  return new SlotBtree('btree', versions, undefined);
}

type Slot = number;

interface SlotLeaf {
  readonly slots: Int32Array;
  count: number;
}

const LEAF_SLOTS = 256;
const MERGED_MAX = (LEAF_SLOTS * 3) / 4;

/**
 * A key has a slot for as long as it is there, and the b-tree orders slots: so an update that finds its slot (by the
 * hash, or by descending) writes one number, and leaves the tree alone. The tree is one root over leaves. It is changed in
 * place, so a snapshot copies the ids in order (4 bytes an object), once for all snapshots of one state.
 *
 * Invariants:
 *   I1  keys ascend strictly through the leaves; no leaf is empty.
 *   I2  every slot is exactly one of: in a leaf, free.
 *   I3  (with a hash) the hash holds exactly the ids in slots, and each id knows its slot and its key's hash.
 */
class SlotBtree implements Engine {
  readonly name: string;
  size = 0;
  #revision: ModRevision = NO_REVISION;
  readonly #versions: Versions;
  readonly #hash: KeyHash | undefined;
  readonly #order: KeyOrder;
  readonly #reader: IdListReader;
  readonly #leaves: SlotLeaf[] = [];
  #idAt = new Int32Array(64);
  #slotsTouched = 0;
  readonly #freeSlots: Slot[] = [];
  /** By id, with a hash: its slot, and the hash of its key. */
  readonly #columns = new IdColumns();
  /** Where the last `#find` ended. */
  #leaf = 0;
  #position = 0;
  /** The ids in order, shared by the snapshots of one state. */
  #sorted: SortedIds | undefined;
  readonly #key: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(name: string, versions: Versions, hash: KeyHash | undefined) {
    this.name = name;
    this.#versions = versions;
    this.#hash = hash;
    this.#order = new KeyOrder(versions);
    this.#reader = new IdListReader(versions);
  }

  get revision(): ModRevision {
    return this.#revision;
  }

  get reservedBytes(): number {
    const tree = this.#leaves.length * LEAF_SLOTS * 4 + this.#idAt.byteLength;
    return tree + this.#columns.reservedBytes + (this.#hash?.reservedBytes ?? 0);
  }

  apply(changes: ChangeBatch, modRevision: ModRevision): void {
    if (modRevision < this.#revision) {
      throw new InvariantError(`engine: revision ${modRevision} is applied after ${this.#revision}`);
    }
    this.#revision = modRevision;
    if (changes.count > 0) this.#sorted = undefined;
    for (let index = 0; index < changes.count; index++) {
      const previous = changes.previous[index]!;
      const next = changes.next[index]!;
      if (previous === NONE) this.#insert(next);
      else if (next === NONE) this.#delete(previous);
      else this.#replace(previous, next);
    }
  }

  get(key: ByteRange): VersionId {
    if (this.#hash !== undefined) return this.#hash.find(key);
    return this.#find(key) ? this.#idAt[this.#found()]! : NONE;
  }

  snapshot(): Snapshot {
    this.#sorted ??= this.#copyInOrder();
    return new ListSnapshot(this.#sorted, this.#reader, this.#revision);
  }

  verify(): void {
    this.#hash?.verify();
    const seen = new Set<Slot>(this.#freeSlots);
    assert(seen.size === this.#freeSlots.length, 'I2: a slot is free twice');
    let before = NONE;
    for (const { slots, count } of this.#leaves) {
      assert(count > 0, 'I1: a leaf is empty');
      for (const slot of slots.subarray(0, count)) {
        const id = this.#idAt[slot]!;
        assert(before === NONE || this.#order.compareIds(before, id) < 0, `I1: version ${id} is out of order`);
        assert(!seen.has(slot), `I2: slot ${slot} is there twice`);
        seen.add(slot);
        before = id;
        if (this.#hash === undefined) continue;
        assert(this.#columns.first(id) === slot, `I3: version ${id} knows another slot`);
        assert(this.#columns.second(id) === this.#hash.hashOfVersion(id), `I3: version ${id} has another hash`);
        assert(this.#hash.find(this.#versions.key(id, this.#key)) === id, `I3: version ${id} is not found`);
      }
    }
    assert(seen.size === this.#slotsTouched, `I2: ${seen.size} of ${this.#slotsTouched} slots are accounted for`);
    const used = this.#slotsTouched - this.#freeSlots.length;
    assert(used === this.size, `I2: ${used} slots are used for ${this.size} keys`);
    assert(this.#hash === undefined || this.#hash.size === this.size, `I3: the hash holds ${this.#hash?.size} ids`);
  }

  #insert(id: VersionId): void {
    const key = this.#versions.key(id, this.#key);
    if (this.#find(key)) {
      const there = this.#idAt[this.#found()]!;
      throw new InvariantError(`engine: version ${id} has the key of ${there}, but does not replace it`);
    }
    const slot = this.#freeSlots.pop() ?? this.#slotsTouched++;
    this.#intoLeaf(slot);
    this.size++;
    if (this.#hash === undefined) this.#place(id, slot, 0);
    else {
      const hash = this.#hash.hashOf(key);
      this.#hash.insert(id, hash, key);
      this.#place(id, slot, hash);
    }
  }

  #replace(previous: VersionId, next: VersionId): void {
    const slot = this.#slotOf(previous);
    const hash = this.#hash === undefined ? 0 : this.#columns.second(previous);
    this.#hash?.replace(previous, next, hash);
    this.#place(next, slot, hash);
  }

  #delete(id: VersionId): void {
    const slot = this.#slotOf(id);
    this.#hash?.remove(id, this.#columns.second(id));
    // The hash has told the slot, but not where in the order it is.
    if (!this.#find(this.#versions.key(id, this.#key)) || this.#found() !== slot) {
      throw new InvariantError(`engine: version ${id} is not where its key belongs`);
    }
    const leaf = this.#leaves[this.#leaf]!;
    leaf.slots.copyWithin(this.#position, this.#position + 1, leaf.count);
    leaf.count--;
    this.size--;
    this.#freeSlots.push(slot);
    this.#merge(this.#leaf);
  }

  #place(id: VersionId, slot: Slot, hash: number): void {
    if (slot >= this.#idAt.length) {
      const larger = new Int32Array(this.#idAt.length * 2);
      larger.set(this.#idAt);
      this.#idAt = larger;
    }
    this.#idAt[slot] = id;
    if (this.#hash === undefined) return;
    this.#columns.setFirst(id, slot);
    this.#columns.setSecond(id, hash);
  }

  #slotOf(id: VersionId): Slot {
    if (this.#hash !== undefined) {
      const slot = this.#columns.has(id) ? this.#columns.first(id) : NONE;
      if (slot !== NONE && this.#idAt[slot] === id) return slot;
    } else if (this.#find(this.#versions.key(id, this.#key)) && this.#idAt[this.#found()] === id) return this.#found();
    throw new InvariantError(`engine: version ${id} is not the current one of its key`);
  }

  #found(): Slot {
    return this.#leaves[this.#leaf]!.slots[this.#position]!;
  }

  /** Whether the key is there; `#leaf` and `#position` say where it is, or where it belongs. */
  #find(key: ByteRange): boolean {
    let [low, high] = [0, this.#leaves.length];
    // The last leaf whose first key is not larger.
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#order.compare(key, this.#idAt[this.#leaves[middle]!.slots[0]!]!, 0) >= 0) low = middle;
      else high = middle;
    }
    this.#leaf = low;
    const leaf = this.#leaves[low];
    this.#position = 0;
    if (leaf === undefined) return false;
    [low, high] = [0, leaf.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#order.compare(key, this.#idAt[leaf.slots[middle]!]!, 0);
      if (order === 0) {
        this.#position = middle;
        return true;
      }
      if (order > 0) low = middle + 1;
      else high = middle;
    }
    this.#position = low;
    return false;
  }

  /** At `#leaf` and `#position`. */
  #intoLeaf(slot: Slot): void {
    let leaf = this.#leaves[this.#leaf];
    if (leaf === undefined) {
      leaf = newLeaf();
      this.#leaves.push(leaf);
    }
    if (leaf.count === LEAF_SLOTS) {
      const right = newLeaf();
      // Keys of a first list come in order: then the full leaf stays full.
      const appending = this.#position === leaf.count && this.#leaf === this.#leaves.length - 1;
      const kept = appending ? LEAF_SLOTS : LEAF_SLOTS / 2;
      right.slots.set(leaf.slots.subarray(kept));
      right.count = LEAF_SLOTS - kept;
      leaf.count = kept;
      this.#leaves.splice(this.#leaf + 1, 0, right);
      if (this.#position >= kept && (this.#position > kept || appending)) {
        this.#leaf++;
        this.#position -= kept;
        leaf = right;
      }
    }
    leaf.slots.copyWithin(this.#position + 1, this.#position, leaf.count);
    leaf.slots[this.#position] = slot;
    leaf.count++;
  }

  #merge(at: number): void {
    const leaf = this.#leaves[at]!;
    const right = this.#leaves[at + 1];
    if (leaf.count === 0) this.#leaves.splice(at, 1);
    else if (right !== undefined && leaf.count + right.count <= MERGED_MAX) {
      leaf.slots.set(right.slots.subarray(0, right.count), leaf.count);
      leaf.count += right.count;
      this.#leaves.splice(at + 1, 1);
    }
  }

  #copyInOrder(): SortedIds {
    const ids = new Int32Array(this.size);
    let at = 0;
    for (const { slots, count } of this.#leaves) {
      for (let index = 0; index < count; index++) ids[at++] = this.#idAt[slots[index]!]!;
    }
    return { length: ids.length, sorted: () => ids };
  }
}

function newLeaf(): SlotLeaf {
  return { slots: new Int32Array(LEAF_SLOTS), count: 0 };
}
