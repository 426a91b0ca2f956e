import type { ByteRange } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { Leaf, VisitLeaf } from './engine.js';
import { isOpenEnd, KeyOrder } from './key-order.js';
import type { Node, Nodes } from './nodes.js';

/**
 * Reads trees, live or frozen, from their root. Binary searches carry how many bytes the key shares
 * with the neighbours already seen on both sides, and compare from there (lcp in the names below).
 */
export class TreeReader {
  /** Set by `sum`. */
  entries = 0;
  bytes = 0;
  readonly #nodes: Nodes;
  readonly #versions: Versions;
  readonly #order: KeyOrder;
  #lowLcp = 0;
  #highLcp = 0;

  constructor(nodes: Nodes, versions: Versions) {
    this.#nodes = nodes;
    this.#versions = versions;
    this.#order = new KeyOrder(versions);
  }

  /** Whether a key is behind all others, as those of a first list are; this takes one comparison, of keys in cache. */
  isBehindAll(lastLeaf: Node, key: ByteRange): boolean {
    const used = this.#nodes.used[lastLeaf]!;
    return used > 0 && this.#order.compare(key, this.#nodes.slot(lastLeaf, used - 1), 0) > 0;
  }

  lastLeaf(root: Node): Node {
    let node = root;
    while (this.#nodes.level[node]! > 0) node = this.#nodes.slot(node, this.#nodes.used[node]! - 1);
    return node;
  }

  /** The leaf where a key is, or would be put. */
  leafFor(root: Node, key: ByteRange): Node {
    this.#lowLcp = 0;
    this.#highLcp = 0;
    let node = root;
    while (this.#nodes.level[node]! > 0) node = this.#nodes.slot(node, this.#childFor(node, key));
    return node;
  }

  /** The first position whose key is not smaller; only right after `leafFor` led to this leaf. */
  positionIn(leaf: Node, key: ByteRange): number {
    let low = 0;
    let high = this.#nodes.used[leaf]!;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const skip = Math.min(this.#lowLcp, this.#highLcp);
      if (this.#order.compare(key, this.#nodes.slot(leaf, middle), skip) > 0) {
        low = middle + 1;
        this.#lowLcp = this.#order.shared;
      } else {
        high = middle;
        this.#highLcp = this.#order.shared;
      }
    }
    return low;
  }

  range(root: Node, from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    this.#walk(root, from, isOpenEnd(to) ? undefined : to, (leaf, start, end) => {
      for (let index = start; index < end; index++) {
        if (!visit(this.#nodes.slot(leaf, index))) return false;
      }
      return true;
    });
  }

  leaves(root: Node, from: ByteRange, to: ByteRange, visit: VisitLeaf): void {
    const nodes = this.#nodes;
    const leaf: Leaf = { edition: 0, place: 0, ids: nodes.slots, offset: 0, count: 0, bytes: 0 };
    this.#walk(root, from, isOpenEnd(to) ? undefined : to, (node, start, end) => {
      if (start >= end) return true;
      leaf.edition = nodes.editionOf(node);
      leaf.place = nodes.place[node]!;
      leaf.ids = nodes.slots;
      leaf.offset = nodes.firstSlot(node);
      leaf.count = nodes.used[node]!;
      leaf.bytes = nodes.bytes[node]!;
      return visit(leaf, start, end);
    });
  }

  /** Entries in the range and their wire bytes, into `entries` and `bytes`, without visiting more than two leaves. */
  sum(root: Node, from: ByteRange, to: ByteRange): void {
    if (isOpenEnd(to)) {
      this.entries = this.#nodes.entries[root]!;
      this.bytes = this.#nodes.bytes[root]!;
    } else {
      this.#sumBelow(root, to);
    }
    const { entries, bytes } = this;
    this.#sumBelow(root, from);
    this.entries = Math.max(0, entries - this.entries);
    this.bytes = Math.max(0, bytes - this.bytes);
  }

  #sumBelow(root: Node, key: ByteRange): void {
    const nodes = this.#nodes;
    this.entries = 0;
    this.bytes = 0;
    this.#lowLcp = 0;
    this.#highLcp = 0;
    let node = root;
    while (nodes.level[node]! > 0) {
      const index = this.#childFor(node, key);
      for (let before = 0; before < index; before++) {
        const child = nodes.slot(node, before);
        this.entries += nodes.entries[child]!;
        this.bytes += nodes.bytes[child]!;
      }
      node = nodes.slot(node, index);
    }
    const position = this.positionIn(node, key);
    this.entries += position;
    for (let index = 0; index < position; index++) this.bytes += this.#versions.wireSize(nodes.slot(node, index));
  }

  /** Bounds are undefined where the path has proven that they cannot cut. Returns false when the visitor stopped. */
  #walk(
    node: Node,
    from: ByteRange | undefined,
    to: ByteRange | undefined,
    visit: (leaf: Node, start: number, end: number) => boolean,
  ): boolean {
    const nodes = this.#nodes;
    this.#lowLcp = 0;
    this.#highLcp = 0;
    if (nodes.level[node] === 0) {
      const start = from === undefined ? 0 : this.positionIn(node, from);
      this.#lowLcp = 0;
      this.#highLcp = 0;
      const end = to === undefined ? nodes.used[node]! : this.positionIn(node, to);
      return visit(node, start, end);
    }
    const start = from === undefined ? 0 : this.#childFor(node, from);
    this.#lowLcp = 0;
    this.#highLcp = 0;
    const last = to === undefined ? nodes.used[node]! - 1 : this.#childFor(node, to);
    for (let index = start; index <= last; index++) {
      const child = nodes.slot(node, index);
      const childFrom = index === start ? from : undefined;
      if (!this.#walk(child, childFrom, index === last ? to : undefined, visit)) return false;
    }
    return true;
  }

  /** The last child whose first key is not greater, or the first child. */
  #childFor(node: Node, key: ByteRange): number {
    const nodes = this.#nodes;
    let low = 0;
    let high = nodes.used[node]!;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      const skip = Math.min(this.#lowLcp, this.#highLcp);
      if (this.#order.compare(key, nodes.first[nodes.slot(node, middle)]!, skip) >= 0) {
        low = middle;
        this.#lowLcp = this.#order.shared;
      } else {
        high = middle;
        this.#highLcp = this.#order.shared;
      }
    }
    return low;
  }
}
