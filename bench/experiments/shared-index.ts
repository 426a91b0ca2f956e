/**
 * A kind's keys in memory that threads share, each with the id of its present version. The keys are all there from the begin, of one
 * length; what changes is the ids, as they do when nodes renew their leases. Whoever calls holds the lock.
 */
export interface SharedIndex {
  readonly memory: IndexMemory;
  get(key: Uint8Array): number;
  /** Throws when the key is not there. */
  replace(key: Uint8Array, id: number): void;
  /** Copies all ids; returns how many. In the order of keys where the index has one. */
  list(into: Int32Array): number;
}

export interface IndexMemory {
  readonly name: IndexName;
  readonly keyBytes: number;
  readonly keys: SharedArrayBuffer;
  /** By position of the key. */
  readonly ids: SharedArrayBuffer;
  /** What finds a position: leaves, or a table. */
  readonly finder: SharedArrayBuffer;
}

export type IndexName = 'b-tree' | 'hash map';

/** Of `sorted` keys; key i gets id i. */
export function createSharedIndex(name: IndexName, sorted: readonly Uint8Array[]): SharedIndex {
  const keyBytes = sorted[0]!.length;
  const keys = new SharedArrayBuffer(sorted.length * keyBytes);
  const ids = new SharedArrayBuffer(sorted.length * 4);
  const bytes = new Uint8Array(keys);
  for (const [position, key] of sorted.entries()) {
    bytes.set(key, position * keyBytes);
    new Int32Array(ids)[position] = position;
  }
  const finder = name === 'b-tree' ? leavesOf(sorted.length) : tableOf(sorted);
  return openSharedIndex({ name, keyBytes, keys, ids, finder });
}

export function openSharedIndex(memory: IndexMemory): SharedIndex {
  return memory.name === 'b-tree' ? new SharedBtree(memory) : new SharedHash(memory);
}

/** Entries of a leaf; leaves are three quarters full, as after random inserts. */
const LEAF = 64;
const LEAF_USED = 48;

function leavesOf(count: number): SharedArrayBuffer {
  const leaves = Math.ceil(count / LEAF_USED);
  const finder = new SharedArrayBuffer(leaves * LEAF * 4);
  const positions = new Int32Array(finder).fill(-1);
  for (let position = 0; position < count; position++) {
    positions[Math.floor(position / LEAF_USED) * LEAF + (position % LEAF_USED)] = position;
  }
  return finder;
}

/** One root over leaves, as src/engine/slot-btree.ts has it; each step of a search compares keys. */
class SharedBtree implements SharedIndex {
  readonly memory: IndexMemory;
  readonly #keys: Uint8Array;
  readonly #ids: Int32Array;
  readonly #leaves: Int32Array;

  constructor(memory: IndexMemory) {
    this.memory = memory;
    this.#keys = new Uint8Array(memory.keys);
    this.#ids = new Int32Array(memory.ids);
    this.#leaves = new Int32Array(memory.finder);
  }

  get(key: Uint8Array): number {
    return this.#ids[this.#find(key)]!;
  }

  replace(key: Uint8Array, id: number): void {
    this.#ids[this.#find(key)] = id;
  }

  list(into: Int32Array): number {
    const leaves = this.#leaves;
    let count = 0;
    for (let leaf = 0; leaf < leaves.length; leaf += LEAF) {
      for (let at = leaf; at < leaf + LEAF && leaves[at]! >= 0; at++) into[count++] = this.#ids[leaves[at]!]!;
    }
    return count;
  }

  #find(key: Uint8Array): number {
    const leaves = this.#leaves;
    let [low, high] = [0, leaves.length / LEAF];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#compare(key, leaves[middle * LEAF]!) >= 0) low = middle;
      else high = middle;
    }
    const end = low * LEAF + LEAF;
    [low, high] = [low * LEAF, end];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const position = leaves[middle]!;
      const order = position < 0 ? -1 : this.#compare(key, position);
      if (order === 0) return position;
      if (order > 0) low = middle + 1;
      else high = middle;
    }
    throw new Error('no such key');
  }

  #compare(key: Uint8Array, position: number): number {
    const { keyBytes } = this.memory;
    const start = position * keyBytes;
    for (let at = 0; at < keyBytes; at++) {
      const difference = key[at]! - this.#keys[start + at]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

function tableOf(sorted: readonly Uint8Array[]): SharedArrayBuffer {
  const slots = 2 ** Math.ceil(Math.log2(sorted.length * 2));
  const finder = new SharedArrayBuffer(slots * 4);
  const table = new Int32Array(finder);
  for (const [position, key] of sorted.entries()) {
    let slot = hashOf(key) & (slots - 1);
    while (table[slot] !== 0) slot = (slot + 1) & (slots - 1);
    table[slot] = position + 1;
  }
  return finder;
}

/** FNV-1a, with its high bits mixed into the low ones. */
function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key[at]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Open addressing; at most half of the slots are used. Its list is in no order. */
class SharedHash implements SharedIndex {
  readonly memory: IndexMemory;
  readonly #keys: Uint8Array;
  readonly #ids: Int32Array;
  readonly #table: Int32Array;

  constructor(memory: IndexMemory) {
    this.memory = memory;
    this.#keys = new Uint8Array(memory.keys);
    this.#ids = new Int32Array(memory.ids);
    this.#table = new Int32Array(memory.finder);
  }

  get(key: Uint8Array): number {
    return this.#ids[this.#find(key)]!;
  }

  replace(key: Uint8Array, id: number): void {
    this.#ids[this.#find(key)] = id;
  }

  list(into: Int32Array): number {
    const table = this.#table;
    let count = 0;
    for (let slot = 0; slot < table.length; slot++) {
      const entry = table[slot]!;
      if (entry !== 0) into[count++] = this.#ids[entry - 1]!;
    }
    return count;
  }

  #find(key: Uint8Array): number {
    const mask = this.#table.length - 1;
    for (let slot = hashOf(key) & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#table[slot]!;
      if (entry === 0) throw new Error('no such key');
      if (this.#holds(entry - 1, key)) return entry - 1;
    }
  }

  #holds(position: number, key: Uint8Array): boolean {
    const { keyBytes } = this.memory;
    const start = position * keyBytes;
    for (let at = 0; at < keyBytes; at++) if (key[at] !== this.#keys[start + at]) return false;
    return true;
  }
}
