import { type ModRevision, NO_REVISION } from '../api/revision.js';
import { assert, InvariantError } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { ChangeBatch, Engine, Snapshot } from './engine.js';
import { IdColumns } from './id-columns.js';
import { KeyHash } from './key-hash.js';
import { KeyOrder } from './key-order.js';
import { FANOUT, type Node, Nodes, NOWHERE, type Place } from './nodes.js';
import { SharedSnapshots } from './shared-snapshots.js';
import { TreeReader } from './tree-reader.js';

/** A leaf splits when its objects are larger, so that one leaf is one sensible write. */
export const LEAF_BYTES_MAX = 256 * 2 ** 10;
/** Neighbours merge below this, and only up to the larger bounds: so that a split is not undone at once. */
const USED_MIN = FANOUT / 4;
const MERGED_USED_MAX = (FANOUT * 3) / 4;
const MERGED_BYTES_MAX = (LEAF_BYTES_MAX * 3) / 4;

export function createCowBtree(versions: Versions): CowBtree {
  return new CowBtree(versions);
}

/**
 * The default engine: a hash finds a version by its key, a copy-on-write B+tree keeps the order.
 *
 *     replace   hash entry and slot of the leaf change in place; nothing is compared
 *     insert    descends once; delete does not descend
 *     snapshot  copies nothing: the root is remembered and the epoch moves on
 *
 * A node may be written while no open snapshot is as young as it is; otherwise it is copied, once,
 * with the path above it. Ids and places are indirect (id -> place -> node), so that a copied node does
 * not touch what lies below it. A node that left the live tree waits in the list of the youngest snapshot that
 * contains it, and is used again when no snapshot does.
 *
 * Invariants:
 *   I1  keys ascend strictly through the leaves.
 *   I2  every node but the root has 1..FANOUT slots; a leaf of several objects holds at most LEAF_BYTES_MAX.
 *   I3  a child's level is its parent's less one.
 *   I4  `first` is the version with the smallest key below a node.
 *   I5  `entries` and `bytes` are the sums over what lies below.
 *   I6  every id knows its leaf's place, every place its node and its parent.
 *   I7  the hash holds exactly the tree's ids, under their keys' hashes.
 *   I8  every node is exactly one of: in the live tree, waiting for a snapshot, free.
 *   I9  open snapshots have ascending epochs; a node waits in the youngest snapshot that is not older than it.
 */
export class CowBtree implements Engine {
  readonly name = 'cow-btree';
  #revision: ModRevision = NO_REVISION;
  readonly #versions: Versions;
  readonly #nodes = new Nodes();
  readonly #reader: TreeReader;
  readonly #hash: KeyHash;
  /** By id: the place of its leaf, and the hash of its key. */
  readonly #ids = new IdColumns();
  #nodeAt = new Int32Array(64);
  #parentOf = new Int32Array(64);
  #placesTouched = 0;
  readonly #freePlaces: Place[] = [];
  readonly #snapshots: SharedSnapshots;
  #root: Node;
  readonly #key: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(versions: Versions) {
    this.#versions = versions;
    this.#reader = new TreeReader(this.#nodes, versions);
    this.#hash = new KeyHash(versions);
    this.#snapshots = new SharedSnapshots(this.#nodes, this.#reader);
    this.#root = this.#addNode(0, NOWHERE);
  }

  get size(): number {
    return this.#hash.size;
  }

  get revision(): ModRevision {
    return this.#revision;
  }

  /** Bytes of nodes, hash and columns. */
  get reservedBytes(): number {
    const places = this.#nodeAt.byteLength + this.#parentOf.byteLength;
    return this.#nodes.reservedBytes + this.#hash.reservedBytes + this.#ids.reservedBytes + places;
  }

  apply(changes: ChangeBatch, modRevision: ModRevision): void {
    if (modRevision < this.#revision) {
      throw new InvariantError(`engine: revision ${modRevision} is applied after ${this.#revision}`);
    }
    this.#revision = modRevision;
    const { count, previous, next } = changes;
    for (let index = 0; index < count; index++) {
      const from = previous[index]!;
      const to = next[index]!;
      if (from === NONE) this.#insert(to);
      else if (to === NONE) this.#delete(from);
      else this.#replace(from, to);
    }
  }

  get(key: ByteRange): VersionId {
    return this.#hash.find(key);
  }

  snapshot(): Snapshot {
    return this.#snapshots.open(this.#root, this.#revision);
  }

  verify(): void {
    this.#hash.verify();
    const live = new Set<Node>();
    const order = new KeyOrder(this.#versions);
    let last: VersionId = NONE;
    let places = 0;
    const check = (node: Node, parent: Place): void => {
      const nodes = this.#nodes;
      const used = nodes.used[node]!;
      const level = nodes.level[node]!;
      const place = nodes.place[node]!;
      live.add(node);
      places++;
      assert(this.#nodeAt[place] === node && this.#parentOf[place] === parent, `I6: place ${place} is elsewhere`);
      assert(used <= FANOUT && (used > 0 || node === this.#root), `I2: node ${node} has ${used} slots`);
      let entries = 0;
      let bytes = 0;
      for (let index = 0; index < used; index++) {
        const slot = nodes.slot(node, index);
        if (index === 0) assert(nodes.first[node] === (level === 0 ? slot : nodes.first[slot]), `I4: node ${node}`);
        if (level > 0) {
          assert(
            nodes.level[slot] === level - 1,
            `I3: node ${slot} of level ${nodes.level[slot]} is below level ${level}`,
          );
          check(slot, place);
          entries += nodes.entries[slot]!;
          bytes += nodes.bytes[slot]!;
          continue;
        }
        if (last !== NONE) assert(order.compareIds(last, slot) < 0, `I1: version ${slot} is not behind ${last}`);
        last = slot;
        entries++;
        bytes += this.#versions.wireSize(slot);
        assert(this.#ids.first(slot) === place, `I6: version ${slot} knows another leaf`);
        assert(this.#ids.second(slot) === this.#hash.hashOfVersion(slot), `I7: version ${slot} has another hash`);
        assert(this.#hash.find(this.#versions.key(slot, this.#key)) === slot, `I7: version ${slot} is not found`);
      }
      assert(entries === nodes.entries[node], `I5: node ${node} counts ${nodes.entries[node]} entries, has ${entries}`);
      assert(bytes === nodes.bytes[node], `I5: node ${node} counts ${nodes.bytes[node]} bytes, has ${bytes}`);
      const fits = level > 0 || used <= 1 || bytes <= LEAF_BYTES_MAX;
      assert(fits, `I2: leaf ${node} holds ${bytes} bytes`);
    };
    check(this.#root, NOWHERE);
    assert(this.#nodes.entries[this.#root] === this.#hash.size, `I7: the hash holds ${this.#hash.size} ids`);
    assert(places === this.#placesTouched - this.#freePlaces.length, 'I6: places are lost');
    this.#snapshots.verify(live);
  }

  #insert(id: VersionId): void {
    const key = this.#versions.key(id, this.#key);
    const hash = this.#hash.hashOf(key);
    this.#hash.insert(id, hash, key);
    let leaf = this.#reader.lastLeaf(this.#root);
    let position = this.#nodes.used[leaf]!;
    if (!this.#reader.isBehindAll(leaf, key)) {
      leaf = this.#reader.leafFor(this.#root, key);
      position = this.#reader.positionIn(leaf, key);
    }
    let place = this.#nodes.place[leaf]!;
    leaf = this.#writable(place);
    const size = this.#versions.wireSize(id);
    if (this.#nodes.used[leaf] === FANOUT) {
      // Keys that come in order (a first list) fill leaves to the brim; others leave both halves room.
      const at = position === FANOUT ? FANOUT : FANOUT / 2;
      const right = this.#split(place, at, at === FANOUT);
      if (position > at || at === FANOUT) {
        place = right;
        position -= at;
        leaf = this.#nodeAt[place]!;
      }
    }
    this.#nodes.insertSlot(leaf, position, id);
    this.#ids.setFirst(id, place);
    this.#ids.setSecond(id, hash);
    this.#addTotals(place, 1, size);
    if (position === 0) this.#firstChanged(place);
    this.#splitLarge(place);
  }

  #replace(previous: VersionId, next: VersionId): void {
    const hash = this.#hashIn(previous);
    this.#hash.replace(previous, next, hash);
    const place = this.#ids.first(previous);
    const leaf = this.#writable(place);
    const position = this.#nodes.indexOf(leaf, previous);
    if (position === -1) throw new InvariantError(`engine: version ${previous} is not in its leaf`);
    this.#nodes.setSlot(leaf, position, next);
    this.#ids.setFirst(next, place);
    this.#ids.setSecond(next, hash);
    const growth = this.#versions.wireSize(next) - this.#versions.wireSize(previous);
    if (growth !== 0) this.#addTotals(place, 0, growth);
    if (position === 0) this.#firstChanged(place);
    if (growth > 0) this.#splitLarge(place);
  }

  #delete(id: VersionId): void {
    this.#hash.remove(id, this.#hashIn(id));
    const place = this.#ids.first(id);
    const leaf = this.#writable(place);
    const position = this.#nodes.indexOf(leaf, id);
    if (position === -1) throw new InvariantError(`engine: version ${id} is not in its leaf`);
    this.#nodes.removeSlot(leaf, position);
    this.#addTotals(place, -1, -this.#versions.wireSize(id));
    if (position === 0) this.#firstChanged(place);
    this.#shrink(place);
  }

  #hashIn(id: VersionId): number {
    if (!this.#ids.has(id)) throw new InvariantError(`engine: version ${id} is not in the tree`);
    return this.#ids.second(id);
  }

  /** The node of a place, copied first when a snapshot contains it. All nodes above are writable then, too. */
  #writable(place: Place): Node {
    const node = this.#nodeAt[place]!;
    if (this.#nodes.born[node]! > this.#snapshots.youngestEpoch) return node;
    const parentPlace = this.#parentOf[place]!;
    const parent = parentPlace === NOWHERE ? NOWHERE : this.#writable(parentPlace);
    const copy = this.#nodes.copy(node, this.#snapshots.epoch);
    this.#nodeAt[place] = copy;
    if (parent === NOWHERE) this.#root = copy;
    else this.#nodes.setSlot(parent, this.#nodes.indexOf(parent, node), copy);
    this.#snapshots.release(node);
    return copy;
  }

  #addTotals(from: Place, entries: number, bytes: number): void {
    for (let place = from; place !== NOWHERE; place = this.#parentOf[place]!) {
      const node = this.#nodeAt[place]!;
      this.#nodes.entries[node]! += entries;
      this.#nodes.bytes[node]! += bytes;
    }
  }

  #firstChanged(from: Place): void {
    const nodes = this.#nodes;
    for (let place = from; place !== NOWHERE; place = this.#parentOf[place]!) {
      const node = this.#nodeAt[place]!;
      if (nodes.used[node] === 0) return; // an empty node is about to leave the tree, or is the empty root
      const head = nodes.slot(node, 0);
      nodes.first[node] = nodes.level[node] === 0 ? head : nodes.first[head]!;
      const parent = this.#parentOf[place]!;
      if (parent !== NOWHERE && nodes.slot(this.#nodeAt[parent]!, 0) !== node) return;
    }
  }

  /**
   * Moves the slots from `at` on to a new node on the right, and returns its place. With `at` === FANOUT
   * the new node is empty, and the caller fills it at once. The node is writable. `ascending`: keys come
   * in order, so full nodes at the right edge are split off their last slot instead of halved.
   */
  #split(place: Place, at: number, ascending: boolean): Place {
    const nodes = this.#nodes;
    const level = nodes.level[this.#nodeAt[place]!]!;
    if (this.#parentOf[place] === NOWHERE) this.#growRoot(place);
    let parentPlace = this.#parentOf[place]!;
    if (nodes.used[this.#nodeAt[parentPlace]!] === FANOUT) {
      const isLast = nodes.slot(this.#nodeAt[parentPlace]!, FANOUT - 1) === this.#nodeAt[place];
      const onEdge = ascending && isLast;
      this.#split(parentPlace, onEdge ? FANOUT - 1 : FANOUT / 2, onEdge);
      parentPlace = this.#parentOf[place]!;
    }
    const right = this.#addNode(level, parentPlace);
    const rightPlace = nodes.place[right]!;
    const left = this.#nodeAt[place]!;
    const parent = this.#nodeAt[parentPlace]!;
    const used = nodes.used[left]!;
    for (let index = at; index < used; index++) this.#moveSlot(left, index, right);
    nodes.truncate(left, at);
    nodes.entries[left]! -= nodes.entries[right]!;
    nodes.bytes[left]! -= nodes.bytes[right]!;
    if (at < used) nodes.first[right] = level === 0 ? nodes.slot(right, 0) : nodes.first[nodes.slot(right, 0)]!;
    nodes.insertSlot(parent, nodes.indexOf(parent, left) + 1, right);
    return rightPlace;
  }

  /** Appends a slot of one node to another one, totals of the receiver included. */
  #moveSlot(from: Node, index: number, to: Node): void {
    const nodes = this.#nodes;
    const slot = nodes.slot(from, index);
    const used = nodes.used[to]!;
    nodes.setSlot(to, used, slot);
    nodes.used[to] = used + 1;
    if (nodes.level[to] === 0) {
      nodes.entries[to]! += 1;
      nodes.bytes[to]! += this.#versions.wireSize(slot);
      this.#ids.setFirst(slot, nodes.place[to]!);
    } else {
      nodes.entries[to]! += nodes.entries[slot]!;
      nodes.bytes[to]! += nodes.bytes[slot]!;
      this.#parentOf[nodes.place[slot]!] = nodes.place[to]!;
    }
  }

  #growRoot(place: Place): void {
    const child = this.#nodeAt[place]!;
    const root = this.#addNode(this.#nodes.level[child]! + 1, NOWHERE);
    this.#nodes.insertSlot(root, 0, child);
    this.#nodes.first[root] = this.#nodes.first[child]!;
    this.#nodes.entries[root] = this.#nodes.entries[child]!;
    this.#nodes.bytes[root] = this.#nodes.bytes[child]!;
    this.#parentOf[place] = this.#nodes.place[root]!;
    this.#root = root;
  }

  /** Splits a leaf at half of its bytes until both parts fit, or hold one object. */
  #splitLarge(place: Place): void {
    const nodes = this.#nodes;
    const leaf = this.#nodeAt[place]!;
    const used = nodes.used[leaf]!;
    if (nodes.bytes[leaf]! <= LEAF_BYTES_MAX || used < 2) return;
    const half = nodes.bytes[leaf]! / 2;
    let at = 0;
    let bytes = 0;
    while (at < used - 1 && (at === 0 || bytes < half)) bytes += this.#versions.wireSize(nodes.slot(leaf, at++));
    const right = this.#split(place, at, false);
    this.#splitLarge(place);
    this.#splitLarge(right);
  }

  /** After a removal: an empty node goes, a thin one joins a neighbour, and so on upwards. */
  #shrink(place: Place): void {
    const nodes = this.#nodes;
    const node = this.#nodeAt[place]!;
    const parentPlace = this.#parentOf[place]!;
    const used = nodes.used[node]!;
    if (parentPlace === NOWHERE) {
      if (nodes.level[node]! > 0 && used <= 1) this.#dropRoot(place);
      else if (used === 0) nodes.first[node] = NONE;
      return;
    }
    if (used >= USED_MIN) return;
    const parent = this.#nodeAt[parentPlace]!;
    const index = nodes.indexOf(parent, node);
    if (used === 0) {
      nodes.removeSlot(parent, index);
      this.#dropNode(place);
      if (index === 0) this.#firstChanged(parentPlace);
    } else if (index + 1 < nodes.used[parent]! && this.#fitTogether(node, nodes.slot(parent, index + 1))) {
      this.#merge(parent, index);
    } else if (index > 0 && this.#fitTogether(nodes.slot(parent, index - 1), node)) {
      this.#merge(parent, index - 1);
    } else {
      return;
    }
    this.#shrink(parentPlace);
  }

  #fitTogether(left: Node, right: Node): boolean {
    const nodes = this.#nodes;
    if (nodes.used[left]! + nodes.used[right]! > MERGED_USED_MAX) return false;
    return nodes.level[left]! > 0 || nodes.bytes[left]! + nodes.bytes[right]! <= MERGED_BYTES_MAX;
  }

  /** Moves the slots of the right neighbour into the left one. The right one is only read, so it needs no copy. */
  #merge(parent: Node, leftIndex: number): void {
    const nodes = this.#nodes;
    const left = this.#writable(nodes.place[nodes.slot(parent, leftIndex)]!);
    const right = nodes.slot(parent, leftIndex + 1);
    const used = nodes.used[right]!;
    for (let index = 0; index < used; index++) this.#moveSlot(right, index, left);
    nodes.removeSlot(parent, leftIndex + 1);
    this.#dropNode(nodes.place[right]!);
  }

  #dropRoot(place: Place): void {
    const child = this.#nodes.slot(this.#root, 0);
    if (this.#nodes.used[this.#root] === 0) {
      // The last entry of a tall tree went, and all its nodes with it.
      this.#dropNode(place);
      this.#root = this.#addNode(0, NOWHERE);
      return;
    }
    this.#dropNode(place);
    this.#parentOf[this.#nodes.place[child]!] = NOWHERE;
    this.#root = child;
    if (this.#nodes.level[child]! > 0 && this.#nodes.used[child] === 1) this.#dropRoot(this.#nodes.place[child]!);
  }

  #addNode(level: number, parent: Place): Node {
    const place = this.#freePlaces.pop() ?? this.#placesTouched++;
    if (place >= this.#nodeAt.length) {
      this.#nodeAt = doubled(this.#nodeAt);
      this.#parentOf = doubled(this.#parentOf);
    }
    const node = this.#nodes.add(level, place, this.#snapshots.epoch);
    this.#nodeAt[place] = node;
    this.#parentOf[place] = parent;
    return node;
  }

  #dropNode(place: Place): void {
    const node = this.#nodeAt[place]!;
    this.#freePlaces.push(place);
    this.#snapshots.release(node);
  }
}

function doubled(old: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(old.length * 2);
  larger.set(old);
  return larger;
}
