/**
 * The nodes of a copy-on-write B+tree, in typed arrays; a node is a number. A leaf's slots hold version
 * ids, an inner node's slots hold nodes. Only totals and the first version id are kept about a node: a node's
 * first key is its separator in the parent, so nothing else has to be kept up to date when versions change.
 */
export type Node = number;
/** What a node is called in the live tree, however often it is copied. */
export type Place = number;
export const NOWHERE = -1;
export const FANOUT = 64;
const FANOUT_SHIFT = 6;

export class Nodes {
  slots = new Int32Array(0);
  /** Slots in use. */
  used = new Int32Array(0);
  /** 0 for leaves. */
  level = new Uint8Array(0);
  /** The version with the smallest key below the node. */
  first = new Int32Array(0);
  /** Entries below the node, and their wire bytes. */
  entries = new Int32Array(0);
  bytes = new Float64Array(0);
  place = new Int32Array(0);
  /** The epoch in which the node was made. */
  born = new Float64Array(0);
  /** Names what a node's slots hold; 0: nobody has asked since they changed. */
  edition = new Float64Array(0);
  touched = 0;
  #editions = 0;
  readonly #free: Node[] = [];
  #capacity = 0;

  get freeCount(): number {
    return this.#free.length;
  }

  get reservedBytes(): number {
    return this.#capacity * (FANOUT * 4 + 4 + 1 + 4 + 4 + 8 + 4 + 8 + 8);
  }

  add(level: number, place: Place, epoch: number): Node {
    const node = this.#take();
    this.used[node] = 0;
    this.level[node] = level;
    this.first[node] = -1;
    this.entries[node] = 0;
    this.bytes[node] = 0;
    this.place[node] = place;
    this.born[node] = epoch;
    this.edition[node] = 0;
    return node;
  }

  copy(from: Node, epoch: number): Node {
    const node = this.#take();
    const start = from << FANOUT_SHIFT;
    this.slots.copyWithin(node << FANOUT_SHIFT, start, start + this.used[from]!);
    this.used[node] = this.used[from]!;
    this.level[node] = this.level[from]!;
    this.first[node] = this.first[from]!;
    this.entries[node] = this.entries[from]!;
    this.bytes[node] = this.bytes[from]!;
    this.place[node] = this.place[from]!;
    this.born[node] = epoch;
    this.edition[node] = 0; // it is copied to be changed
    return node;
  }

  free(node: Node): void {
    this.#free.push(node);
  }

  slot(node: Node, index: number): number {
    return this.slots[(node << FANOUT_SHIFT) + index]!;
  }

  setSlot(node: Node, index: number, value: number): void {
    this.slots[(node << FANOUT_SHIFT) + index] = value;
    this.edition[node] = 0;
  }

  /** Drops the slots from `count` on. */
  truncate(node: Node, count: number): void {
    this.used[node] = count;
    this.edition[node] = 0;
  }

  /** What the slots hold now gets a name of its own, which no other content ever had or will have. */
  editionOf(node: Node): number {
    if (this.edition[node] === 0) this.edition[node] = ++this.#editions;
    return this.edition[node]!;
  }

  firstSlot(node: Node): number {
    return node << FANOUT_SHIFT;
  }

  insertSlot(node: Node, index: number, value: number): void {
    const start = node << FANOUT_SHIFT;
    const used = this.used[node]!;
    if (index < used) this.slots.copyWithin(start + index + 1, start + index, start + used);
    this.slots[start + index] = value;
    this.used[node] = used + 1;
    this.edition[node] = 0;
  }

  removeSlot(node: Node, index: number): void {
    const start = node << FANOUT_SHIFT;
    const used = this.used[node]!;
    this.slots.copyWithin(start + index, start + index + 1, start + used);
    this.used[node] = used - 1;
    this.edition[node] = 0;
  }

  /** Position of a value among a node's slots, or -1. */
  indexOf(node: Node, value: number): number {
    const { slots } = this;
    const start = node << FANOUT_SHIFT;
    const end = start + this.used[node]!;
    for (let at = start; at < end; at++) {
      if (slots[at] === value) return at - start;
    }
    return -1;
  }

  forEachFree(visit: (node: Node) => void): void {
    for (const node of this.#free) visit(node);
  }

  #take(): Node {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.touched === this.#capacity) this.#grow();
    return this.touched++;
  }

  /** By a quarter: a node per 64 objects makes this rare, and the copies small. */
  #grow(): void {
    const capacity = Math.max(16, Math.ceil(this.#capacity * 1.25));
    const grow = <T extends Int32Array | Uint8Array | Float64Array>(old: T, larger: T): T => {
      larger.set(old);
      return larger;
    };
    this.slots = grow(this.slots, new Int32Array(capacity * FANOUT));
    this.used = grow(this.used, new Int32Array(capacity));
    this.level = grow(this.level, new Uint8Array(capacity));
    this.first = grow(this.first, new Int32Array(capacity));
    this.entries = grow(this.entries, new Int32Array(capacity));
    this.bytes = grow(this.bytes, new Float64Array(capacity));
    this.place = grow(this.place, new Int32Array(capacity));
    this.born = grow(this.born, new Float64Array(capacity));
    this.edition = grow(this.edition, new Float64Array(capacity));
    this.#capacity = capacity;
  }
}
