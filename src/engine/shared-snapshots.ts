import type { ModRevision } from '../api/revision.js';
import { assert } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import type { VersionId } from '../versions/versions.js';
import type { Snapshot, VisitLeaf } from './engine.js';
import type { Node, Nodes } from './nodes.js';
import type { TreeReader } from './tree-reader.js';

/**
 * The open snapshots of one tree, and the nodes that only they still need.
 *
 * A node made in epoch b and replaced in epoch d is part of the snapshots with b <= epoch < d. It waits
 * in the list of the youngest of them. When that snapshot closes, the node moves on to the next older one, or is free.
 */
export class SharedSnapshots {
  /** Nodes are born in it; opening a snapshot starts the next one. */
  epoch = 1;
  /** Nodes born later are in no snapshot. */
  youngestEpoch = 0;
  readonly #nodes: Nodes;
  readonly #reader: TreeReader;
  readonly #open: Frozen[] = [];

  constructor(nodes: Nodes, reader: TreeReader) {
    this.#nodes = nodes;
    this.#reader = reader;
  }

  open(root: Node, revision: ModRevision): Snapshot {
    const youngest = this.#open[this.#open.length - 1];
    // Nothing was written since: both share one record. A root that did not change is frozen already.
    if (youngest !== undefined && youngest.root === root && youngest.revision === revision) {
      youngest.holders++;
      return new TreeSnapshot(youngest, this.#reader, this.#nodes, this);
    }
    const frozen: Frozen = { epoch: this.epoch, root, revision, holders: 1, waiting: [] };
    this.#open.push(frozen);
    this.youngestEpoch = this.epoch++;
    return new TreeSnapshot(frozen, this.#reader, this.#nodes, this);
  }

  /** The node left the live tree. */
  release(node: Node): void {
    if (this.#nodes.born[node]! > this.youngestEpoch) this.#nodes.free(node);
    else this.#open[this.#open.length - 1]!.waiting.push(node);
  }

  close(frozen: Frozen): void {
    if (--frozen.holders > 0) return;
    const index = this.#open.indexOf(frozen);
    const older = this.#open[index - 1];
    this.#open.splice(index, 1);
    this.youngestEpoch = this.#open[this.#open.length - 1]?.epoch ?? 0;
    for (const node of frozen.waiting) {
      if (older !== undefined && this.#nodes.born[node]! <= older.epoch) older.waiting.push(node);
      else this.#nodes.free(node);
    }
  }

  verify(live: ReadonlySet<Node>): void {
    const seen = new Set(live);
    const once = (node: Node, where: string) => {
      assert(!seen.has(node), `I8: node ${node} is ${where}, and elsewhere`);
      seen.add(node);
    };
    let last = 0;
    for (const { epoch, waiting } of this.#open) {
      assert(epoch > last, `I9: snapshot of epoch ${epoch} follows ${last}`);
      last = epoch;
      for (const node of waiting) {
        once(node, 'waiting');
        assert(this.#nodes.born[node]! <= epoch, `I9: node ${node} waits for a snapshot older than it`);
      }
    }
    assert(last === this.youngestEpoch, `I9: the youngest snapshot is of epoch ${last}, not ${this.youngestEpoch}`);
    this.#nodes.forEachFree((node) => once(node, 'free'));
    assert(seen.size === this.#nodes.touched, `I8: ${this.#nodes.touched - seen.size} nodes are lost`);
  }
}

interface Frozen {
  readonly epoch: number;
  readonly root: Node;
  readonly revision: ModRevision;
  holders: number;
  readonly waiting: Node[];
}

class TreeSnapshot implements Snapshot {
  readonly #frozen: Frozen;
  readonly #reader: TreeReader;
  readonly #nodes: Nodes;
  readonly #snapshots: SharedSnapshots;
  #disposed = false;

  constructor(frozen: Frozen, reader: TreeReader, nodes: Nodes, snapshots: SharedSnapshots) {
    this.#frozen = frozen;
    this.#reader = reader;
    this.#nodes = nodes;
    this.#snapshots = snapshots;
  }

  get revision(): ModRevision {
    return this.#frozen.revision;
  }

  get size(): number {
    return this.#nodes.entries[this.#root()]!;
  }

  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    this.#reader.range(this.#root(), from, to, visit);
  }

  leaves(from: ByteRange, to: ByteRange, visit: VisitLeaf): void {
    this.#reader.leaves(this.#root(), from, to, visit);
  }

  byteSize(from: ByteRange, to: ByteRange): number {
    this.#reader.sum(this.#root(), from, to);
    return this.#reader.bytes;
  }

  count(from: ByteRange, to: ByteRange): number {
    this.#reader.sum(this.#root(), from, to);
    return this.#reader.entries;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#snapshots.close(this.#frozen);
  }

  #root(): Node {
    assert(!this.#disposed, 'engine: a snapshot is read after it was disposed');
    return this.#frozen.root;
  }
}
