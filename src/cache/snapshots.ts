import type { ModRevision } from '../api/revision.js';
import type { Snapshot } from '../engine/engine.js';
import type { Ordered, Selection, SelectionRequest } from '../indexer/indexer.js';
import { planSelection } from '../indexer/planner.js';
import type { KindIndex } from '../indexer/kind-index.js';
import { type ByteRange, compareRanges } from '../lib/bytes.js';
import { NONE, type Pin, type VersionId, type Versions } from '../versions/versions.js';
import type { CacheSnapshot } from './cache.js';
import type { History } from './history.js';

const NO_IDS = new Int32Array(0);

/** The state of the engine, pinned, under the revision that the cache had reached. */
export class LiveSnapshot implements CacheSnapshot {
  readonly revision: ModRevision;
  readonly versions: Versions;
  readonly #snapshot: Snapshot;
  readonly #pin: Pin;
  readonly #index: KindIndex;
  readonly #stamp: number;
  readonly leaves: CacheSnapshot['leaves'];
  #released: (() => void) | undefined;

  constructor(
    revision: ModRevision,
    versions: Versions,
    snapshot: Snapshot,
    index: KindIndex,
    pin: Pin,
    released: () => void,
  ) {
    this.revision = revision;
    this.versions = versions;
    this.#snapshot = snapshot;
    this.leaves = snapshot.leaves?.bind(snapshot);
    this.#index = index;
    this.#stamp = index.stamp;
    this.#pin = pin;
    this.#released = released;
  }

  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    this.#snapshot.range(from, to, visit);
  }

  count(from: ByteRange, to: ByteRange): number {
    return this.#snapshot.count(from, to);
  }

  byteSize(from: ByteRange, to: ByteRange): number {
    return this.#snapshot.byteSize(from, to);
  }

  select(request: SelectionRequest): Selection {
    return this.selectAs(this, NO_IDS, request);
  }

  /** For a state that is this one but for what was restored. */
  selectAs(snapshot: Ordered, restored: Int32Array, request: SelectionRequest): Selection {
    return planSelection({ snapshot, index: this.#index, stamp: this.#stamp, restored }, request);
  }

  [Symbol.dispose](): void {
    const released = this.#released;
    if (released === undefined) return;
    this.#released = undefined;
    this.#snapshot[Symbol.dispose]();
    this.#pin[Symbol.dispose]();
    released();
  }
}

/**
 * The state at an older revision N: a snapshot of now, with the history after N undone.
 *
 *     now:       a@3   b@8   d@9          entries after 5:  b: @2 -> @8   c: @4 -> gone   d: new @9
 *     hidden:          b@8   d@9          what now holds and N did not: modRevision > N
 *     restored:        b@2   c@4          what entries replaced or removed, with modRevision <= N
 *     at 5:      a@3   b@2   c@4
 *
 * Hidden versions need no look-up (their modRevision says it); restored ones are merged in by key.
 * Building costs the entries after N, reading costs the range.
 */
export class PastSnapshot implements CacheSnapshot {
  readonly revision: ModRevision;
  readonly leaves = undefined;
  readonly versions: Versions;
  readonly #live: LiveSnapshot;
  /** Both in key order. */
  readonly #restored: Int32Array;
  readonly #hidden: Int32Array;
  readonly #left: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
  readonly #right: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(revision: ModRevision, live: LiveSnapshot, history: History) {
    this.revision = revision;
    this.versions = live.versions;
    this.#live = live;
    const restored: VersionId[] = [];
    const added = new Set<VersionId>();
    for (let sequence = history.seek(revision); sequence < history.end; sequence++) {
      const previous = history.previous(sequence);
      if (previous !== NONE) {
        if (this.versions.modRevision(previous) <= revision) restored.push(previous);
        else added.delete(previous);
      }
      const next = history.next(sequence);
      if (next !== NONE) added.add(next);
    }
    this.#restored = this.#sorted(restored);
    this.#hidden = this.#sorted([...added]);
  }

  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void {
    const { versions, revision } = this;
    const restored = this.#restored;
    const end = this.#lowerBound(restored, to);
    let at = this.#lowerBound(restored, from);
    let stopped = false;
    this.#live.range(from, to, (id) => {
      if (versions.modRevision(id) > revision) return true;
      while (at < end && this.#compare(restored[at]!, id) < 0) {
        if (!visit(restored[at++]!)) {
          stopped = true;
          return false;
        }
      }
      if (visit(id)) return true;
      stopped = true;
      return false;
    });
    while (!stopped && at < end) if (!visit(restored[at++]!)) return;
  }

  count(from: ByteRange, to: ByteRange): number {
    const within = (ids: Int32Array) => this.#lowerBound(ids, to) - this.#lowerBound(ids, from);
    return this.#live.count(from, to) + within(this.#restored) - within(this.#hidden);
  }

  byteSize(from: ByteRange, to: ByteRange): number {
    return this.#live.byteSize(from, to) + this.#bytes(this.#restored, from, to) - this.#bytes(this.#hidden, from, to);
  }

  select(request: SelectionRequest): Selection {
    return this.#live.selectAs(this, this.#restored, request);
  }

  [Symbol.dispose](): void {
    this.#live[Symbol.dispose]();
  }

  #bytes(ids: Int32Array, from: ByteRange, to: ByteRange): number {
    let bytes = 0;
    const end = this.#lowerBound(ids, to);
    for (let at = this.#lowerBound(ids, from); at < end; at++) bytes += this.versions.wireSize(ids[at]!);
    return bytes;
  }

  #sorted(ids: VersionId[]): Int32Array {
    return Int32Array.from(ids).sort((a, b) => this.#compare(a, b));
  }

  #compare(a: VersionId, b: VersionId): number {
    return compareRanges(this.versions.key(a, this.#left), this.versions.key(b, this.#right));
  }

  /** Index of the first id whose key is not before `key`. */
  #lowerBound(ids: Int32Array, key: ByteRange): number {
    let low = 0;
    let high = ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareRanges(this.versions.key(ids[middle]!, this.#left), key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
