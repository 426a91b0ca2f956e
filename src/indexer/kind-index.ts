import type { Kind } from '../codec/kind.js';
import { assert } from '../lib/assert.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import type { Clock } from '../lib/clock.js';
import { type Random, systemRandom } from '../lib/random.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import { FieldIndexer } from './by-field.js';
import { LabelIndexer } from './by-label.js';
import { TermBytes } from './dictionary.js';
import { compileLocator } from './field-bytes.js';
import type { Indexer, Lookup, Ordered, Row, Selector } from './indexer.js';
import { Rows } from './rows.js';

export interface KindIndexOptions {
  readonly kind: Kind;
  readonly versions: Versions;
  readonly clock: Clock;
  /** What all indexers of the kind may reserve together. */
  readonly bytesMax: () => number;
  /** These stay, however long nobody asks for them. */
  readonly kept?: readonly IndexName[];
  /** There is work for `build`. */
  readonly onWork: () => void;
  readonly random?: Random;
}

/** Changes of one revision, as engines get them: `next[i]` in the place of `previous[i]`. */
export interface IndexChanges {
  readonly count: number;
  readonly previous: Int32Array;
  readonly next: Int32Array;
}

/** What is indexed: `l`, or `f:` and a field. */
export type IndexName = string;
export const LABELS: IndexName = 'l';

/** Keys that are left out at most; when that is not enough, labels are not indexed. */
const EXCLUDED_KEYS_MAX = 16;
/** Timing every change would cost more than indexing it. */
const SAMPLE_EVERY = 64;
/** Between two looks at the bytes reserved. */
const BUDGET_EVERY = 1_024;

interface Held {
  readonly indexer: LabelIndexer | FieldIndexer;
  /** Rows before this have been looked at; `ready` when all were. */
  filled: Row;
  ready: boolean;
  usedMs: number;
}

/**
 * The indexers of one kind, which come up when a selector asks for them.
 *
 *     read asks ──> building: rows are walked in turns, changes are applied as they come ──> ready
 *                     └── or dropped, when there are more bytes than there may be
 *
 * Nothing is paid for kinds that nobody selects from, and an object that changes is scanned once for each
 * indexer; when its terms are what they were, nothing is written.
 *
 * Invariants:
 *   K1  once rows are complete, every current version has one, and nothing else has.
 *   K2  every row is in every ready indexer, under the terms that its current version has.
 */
export class KindIndex {
  /** Rises with every change: a snapshot of the same count shows the same state. */
  stamp = 0;
  /** Rises when an indexer goes: lookups made before must not be asked any more. */
  epoch = 0;
  /** Counters for metrics; sums survive with the kind, so a new index takes over the old one's. */
  readonly counts: IndexCounts;
  readonly #options: KindIndexOptions;
  #rows = new Rows();
  readonly #bytes = new TermBytes();
  readonly #seed: number;
  readonly #held = new Map<IndexName, Held>();
  /** The same indexers: every change goes through them. */
  #indexers: Indexer[] = [];
  /** Not built again before this time. */
  readonly #dropped = new Map<IndexName, number>();
  #excludedKeys: string[] = [];
  #rowsComplete = false;
  /** The walk that gives rows to the objects there were when it began. */
  #walk: { readonly snapshot: Ordered & Disposable; nextKey: Uint8Array } | undefined;
  #sinceBudget = 0;
  #disposed = false;
  readonly #object: ByteRange = rangeOf(new Uint8Array(0));
  readonly #scratch: ByteRange = rangeOf(new Uint8Array(0));

  constructor(options: KindIndexOptions, counts: IndexCounts = newCounts()) {
    this.#options = options;
    this.counts = counts;
    this.#seed = (options.random ?? systemRandom).int(2 ** 32);
  }

  get rows(): Rows {
    return this.#rows;
  }

  get reservedBytes(): number {
    let bytes = this.#rows.reservedBytes;
    for (const { indexer } of this.#held.values()) bytes += indexer.reservedBytes;
    return bytes;
  }

  /** By name: what it reserves, its distinct terms, and whether it answers. */
  list(): readonly {
    readonly name: IndexName;
    readonly bytes: number;
    readonly terms: number;
    readonly ready: boolean;
  }[] {
    return [...this.#held].map(([name, { indexer, ready }]) => ({
      name,
      bytes: indexer.reservedBytes,
      terms: indexer.termCount,
      ready,
    }));
  }

  /** Label keys that are not indexed. */
  get excludedKeys(): readonly string[] {
    return this.#excludedKeys;
  }

  /** `build` has something to do. */
  get pending(): boolean {
    for (const { ready } of this.#held.values()) if (!ready) return true;
    return false;
  }

  /** Indexers that exist, for a successor to want. */
  get names(): readonly IndexName[] {
    return [...this.#held.keys()];
  }

  /** Ready indexers' answers; they are used from now on. */
  lookups(selector: Selector): Lookup[] {
    const lookups: Lookup[] = [];
    if (!this.#rowsComplete) return lookups;
    const nowMs = this.#options.clock.monotonicMs();
    for (const name of wantedBy(selector)) {
      const held = this.#held.get(name);
      if (held === undefined || !held.ready) continue;
      const lookup = held.indexer.lookup(selector);
      if (lookup === undefined) continue;
      held.usedMs = nowMs;
      lookups.push(lookup);
    }
    return lookups;
  }

  /** Starts what a selector could have used, unless that was dropped a short while ago. */
  want(names: Iterable<IndexName>): void {
    const nowMs = this.#options.clock.monotonicMs();
    let started = false;
    for (const name of names) {
      const held = this.#held.get(name);
      if (held !== undefined) {
        held.usedMs = nowMs;
        continue;
      }
      if (this.#disposed || nowMs < (this.#dropped.get(name) ?? 0)) continue;
      const indexer = this.#create(name);
      if (indexer === undefined) continue;
      this.#hold(name, indexer, nowMs);
      started = true;
    }
    if (started) this.#options.onWork();
  }

  /** After the engine has applied them. */
  apply(changes: IndexChanges): void {
    this.stamp++;
    if (this.#held.size === 0 && !this.#rowsComplete) return;
    const { counts } = this;
    const sampled = counts.updates++ % SAMPLE_EVERY === 0;
    const startMs = sampled ? this.#options.clock.monotonicMs() : 0;
    for (let index = 0; index < changes.count; index++) this.#change(changes.previous[index]!, changes.next[index]!);
    if (sampled) {
      counts.sampledChanges += changes.count;
      counts.sampledMs += this.#options.clock.monotonicMs() - startMs;
    }
    this.#sinceBudget += changes.count;
    if (this.#sinceBudget < BUDGET_EVERY) return;
    this.#sinceBudget = 0;
    this.#keepBudget();
  }

  /**
   * A piece of the work that came up; true while there is more. `open` gives a snapshot of the state now, which
   * is held until all rows are known.
   */
  build(open: () => (Ordered & Disposable) | undefined, count: number): boolean {
    if (this.#disposed || this.#held.size === 0) return false;
    if (!this.#rowsComplete) return this.#walkRows(open, count);
    for (const held of this.#held.values()) {
      if (held.ready) continue;
      const end = Math.min(this.#rows.touched, held.filled + count);
      for (; held.filled < end; held.filled++) this.#fill(held, held.filled);
      // Rows that came up meanwhile were filled when they did.
      held.ready = held.filled >= this.#rows.touched;
      if (held.ready) this.counts.built++;
      this.#keepBudget();
      return this.pending;
    }
    return false;
  }

  /** Lets go what nobody has asked for since. */
  dropIdle(idleMs: number): void {
    const sinceMs = this.#options.clock.monotonicMs() - idleMs;
    for (const [name, { usedMs }] of this.#held) {
      if (usedMs < sinceMs && !this.#options.kept?.includes(name)) this.#drop(name, 0);
    }
  }

  dispose(): void {
    this.#disposed = true;
    this.#endWalk();
  }

  verify(ids: Iterable<VersionId>): void {
    this.#rows.verify();
    let count = 0;
    for (const id of ids) {
      count++;
      const row = this.#rows.rowOf(id);
      assert(!this.#rowsComplete || row >= 0, `K1: version ${id} has no row`);
      if (row < 0) continue;
      for (const [name, { indexer, ready }] of this.#held) {
        if (!ready) continue;
        assert(indexer.has(row), `K2: row ${row} is not in ${name}`);
        assert(!indexer.put(row, this.#objectOf(id)), `K2: row ${row} is in ${name} under other terms`);
      }
    }
    assert(!this.#rowsComplete || count === this.#rows.size, `K1: ${this.#rows.size} rows for ${count} objects`);
    for (const { indexer } of this.#held.values()) indexer.verify();
  }

  #create(name: IndexName): LabelIndexer | FieldIndexer | undefined {
    if (name === LABELS) return new LabelIndexer(this.#bytes, this.#seed, this.#excludedKeys);
    const field = name.slice(2);
    const locate = compileLocator(this.#options.kind, field);
    return locate === undefined ? undefined : new FieldIndexer(field, locate, this.#bytes, this.#seed);
  }

  #hold(name: IndexName, indexer: Held['indexer'], usedMs: number): void {
    this.#held.set(name, { indexer, filled: 0, ready: false, usedMs });
    this.#indexers = [...this.#held.values()].map((held) => held.indexer);
  }

  #change(previous: VersionId, next: VersionId): void {
    const rows = this.#rows;
    let row = previous === NONE ? -1 : rows.rowOf(previous);
    if (next === NONE) {
      if (row >= 0) {
        for (const indexer of this.#indexers) indexer.remove(row);
        rows.remove(row);
      } else {
        rows.supersede(previous);
      }
      return;
    }
    if (row >= 0) rows.move(row, previous, next);
    else {
      if (previous !== NONE) rows.supersede(previous);
      row = rows.add(next);
    }
    if (this.#indexers.length === 0) return;
    const object = this.#objectOf(next);
    for (const indexer of this.#indexers) if (indexer.put(row, object)) this.counts.termChanges++;
  }

  #walkRows(open: () => (Ordered & Disposable) | undefined, count: number): boolean {
    if (this.#walk === undefined) {
      const snapshot = open();
      if (snapshot === undefined) return false;
      this.#walk = { snapshot, nextKey: new Uint8Array(0) };
    }
    const walk = this.#walk;
    let left = count;
    let next: Uint8Array | undefined;
    walk.snapshot.range(rangeOf(walk.nextKey), OPEN_END, (id) => {
      if (left-- === 0) {
        const { bytes, start, end } = walk.snapshot.versions.key(id, this.#scratch);
        next = new Uint8Array(bytes.subarray(start, end));
        return false;
      }
      if (this.#rows.rowOf(id) === -1) this.#rows.add(id);
      return true;
    });
    if (next === undefined) {
      this.#endWalk();
      this.#rowsComplete = true;
    } else {
      walk.nextKey = next;
    }
    return true;
  }

  #endWalk(): void {
    this.#walk?.snapshot[Symbol.dispose]();
    this.#walk = undefined;
  }

  #fill({ indexer }: Held, row: Row): void {
    const id = this.#rows.versionOf(row);
    if (id >= 0 && !indexer.has(row)) indexer.put(row, this.#objectOf(id));
  }

  #objectOf(id: VersionId): ByteRange {
    return this.#options.versions.object(id, this.#object);
  }

  /** Drops the dearest, until the rest fits: of labels first the key with the most values, then a whole indexer. */
  #keepBudget(): void {
    const bytesMax = this.#options.bytesMax();
    while (this.#held.size > 0 && this.reservedBytes > bytesMax) {
      let dearest: IndexName = LABELS;
      let most = -1;
      for (const [name, { indexer }] of this.#held) {
        if (indexer.reservedBytes <= most) continue;
        most = indexer.reservedBytes;
        dearest = name;
      }
      const { indexer } = this.#held.get(dearest)!;
      const wide = indexer instanceof LabelIndexer ? indexer.widestKey() : undefined;
      this.counts.dropped++;
      if (wide === undefined || this.#excludedKeys.length >= EXCLUDED_KEYS_MAX) {
        this.#drop(dearest, RETRY_MS);
        continue;
      }
      // Built again without the key.
      this.#excludedKeys = [...this.#excludedKeys, wide];
      const rest = this.#create(LABELS)!;
      this.epoch++;
      indexer.clear();
      this.#hold(LABELS, rest, this.#held.get(LABELS)!.usedMs);
      this.#options.onWork();
    }
  }

  #drop(name: IndexName, forMs: number): void {
    this.epoch++;
    this.#held.get(name)?.indexer.clear();
    this.#held.delete(name);
    this.#indexers = [...this.#held.values()].map(({ indexer }) => indexer);
    if (forMs > 0) this.#dropped.set(name, this.#options.clock.monotonicMs() + forMs);
    if (this.#held.size > 0) return;
    this.#endWalk();
    this.#rows = new Rows();
    this.#rowsComplete = false;
  }
}

/** After this long a dropped index is tried again: the objects may be others. */
const RETRY_MS = 3_600_000;
/** Ends a range at the end of all keys, as in etcd. */
const OPEN_END = rangeOf(Uint8Array.of(0));

/** The indexers that could decide parts of a selector. */
export function wantedBy({ labels, fields }: Selector): Set<IndexName> {
  const names = new Set<IndexName>();
  if (labels.length > 0) names.add(LABELS);
  for (const { field } of fields) names.add(`f:${field}`);
  return names;
}

export interface IndexCounts {
  /** Times that changes were applied. */
  updates: number;
  /** Of those, the changes that were timed, and the time they took. */
  sampledChanges: number;
  sampledMs: number;
  /** Changes that altered an object's terms. */
  termChanges: number;
  built: number;
  /** Indexers and label keys given up because they took too much. */
  dropped: number;
}

export function newCounts(): IndexCounts {
  return { updates: 0, sampledChanges: 0, sampledMs: 0, termChanges: 0, built: 0, dropped: 0 };
}
