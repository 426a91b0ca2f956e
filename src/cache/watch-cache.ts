import type { ModRevision } from '../api/revision.js';
import type { KindCodec } from '../codec/codec.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { DELETE, SourceError, type ChangeType } from '../source/source.js';
import { type IndexStats, ListCounts } from '../indexer/index-stats.js';
import { type IndexName, KindIndex, newCounts } from '../indexer/kind-index.js';
import { NONE, type VersionId } from '../versions/versions.js';
import type { CacheSnapshot } from './cache.js';
import { DecodeErrors } from './decode-errors.js';
import { CHANGE, History } from './history.js';
import type { KeyLayout } from './layout.js';
import { ListFill, ValueReader } from './list-fill.js';
import { Pending } from './pending.js';
import type { ListMode } from './reflector.js';
import type { RestoredState, StateCapture } from './restored-state.js';
import { LiveSnapshot, PastSnapshot } from './snapshots.js';
import { Applier, type CreateStorage, type Storage } from './storage.js';
import { createTurns, type Turns } from './turns.js';

/** Freed per commit at most, so that one large eviction is spread over several turns. */
const RECLAIM_COUNT_MAX = 20_000;

/** Rows that an index that comes up looks at before others get their turn. */
const INDEX_BUILD_COUNT = 256;

/** `late`: the source had promised that nothing up to here would come any more. */
export type CommitResult = 'applied' | 'refused' | 'late';

export interface WatchCacheOptions {
  readonly codec: KindCodec;
  readonly layout: KeyLayout;
  readonly createStorage: CreateStorage;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Overrides the bound that follows from the limits. */
  readonly historyBytes: number | undefined;
  /** Indexes that are there from the start. */
  readonly indexed?: readonly IndexName[];
}

/**
 * The state of one kind: objects now, recent history, and what does not parse. Everything here is
 * synchronous; each call takes the state from one revision to a later one, whole.
 *
 * Invariants:
 *   I1  the engine holds the state at `revision`; the history holds every change after `history.tail`.
 *   I2  `revision` never falls, except when another store takes the place of the source's.
 *   I3  a version that the history names, or that a snapshot may read, is not freed.
 */
export class WatchCache {
  readonly decodeErrors = new DecodeErrors();
  readonly history: History;
  readonly reader: ValueReader;
  revision: ModRevision = 0;
  ready = false;
  /**
   * What had been reached in stores that were replaced. A client's revision beyond ours and up to this is theirs:
   * to wait until we reach it would mean to go on in the middle of other changes.
   */
  abandonedRevision: ModRevision = 0;
  eventsReceived = 0;
  /** Revisions that were delivered again, or out of order, and refused at the door. */
  refused = 0;
  readonly #options: WatchCacheOptions;
  readonly #pending = new Pending();
  readonly #applier: Applier;
  readonly #turns: Turns;
  readonly lists = new ListCounts();
  #building = false;
  #held: HeldStorage;
  #committed: ModRevision = 0;
  /** The highest revision of the present store that anybody has told us of. */
  #seen: ModRevision = 0;
  #historyBytesMax = 0;
  /** Of the usual bytes; less while memory is short. */
  #historyShare = 1;

  constructor(options: WatchCacheOptions) {
    this.#options = options;
    this.reader = new ValueReader(options.codec, options.layout);
    this.#turns = createTurns(options.clock, options.limits.listSliceMs);
    this.#held = this.#hold(options.createStorage());
    this.#applier = new Applier(this.#held.index);
    this.history = new History(0, options.clock.monotonicMs());
    this.#measureHistory();
  }

  get storage(): Storage {
    return this.#held.storage;
  }

  get index(): KindIndex {
    return this.#held.index;
  }

  get indexStats(): IndexStats {
    const { counts, reservedBytes, excludedKeys } = this.index;
    const { byIndex, returned, hits, misses } = this.lists;
    return {
      ...counts,
      indexes: this.index.list(),
      bytes: reservedBytes,
      excludedKeys: excludedKeys.length,
      lists: byIndex,
      objectsReturned: returned,
      hits,
      misses,
    };
  }

  change(
    type: ChangeType,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): void {
    if (!this.reader.accepts(bytes, keyStart, keyEnd)) return;
    this.eventsReceived++;
    if (type === DELETE) this.reader.delete(bytes, keyStart, keyEnd, this.#pending);
    else {
      this.reader.put(bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision, this.#pending);
    }
  }

  /** Applies the changes since the last commit. `bytes` of the result are what watchers may have to send. */
  commit(revision: ModRevision): { readonly result: CommitResult; readonly bytes: number } {
    const result = revision <= this.#committed ? 'refused' : revision <= this.revision ? 'late' : 'applied';
    if (result !== 'applied') {
      this.refused++;
      this.#pending.clear();
      return { result, bytes: 0 };
    }
    const nowMs = this.#options.clock.monotonicMs();
    const bytes = this.#applier.apply(this.storage, this.#pending, revision, this.decodeErrors, this.history, nowMs);
    this.#pending.clear();
    this.#committed = revision;
    this.revision = revision;
    if (this.history.evict(nowMs, this.#options.limits.historyMs, this.#historyBytesMax)) this.#reclaim();
    return { result, bytes };
  }

  /** The watch ended within a revision: it will be delivered again, whole. */
  abandon(): void {
    this.#pending.clear();
  }

  /** Nothing up to this revision will come any more. True if that is news. */
  progress(revision: ModRevision): boolean {
    if (revision <= this.revision) return false;
    this.revision = revision;
    return true;
  }

  /** Reads that went past us have seen the store at this revision. */
  saw(revision: ModRevision): void {
    this.#seen = Math.max(this.#seen, revision);
  }

  /** The store is gone: nothing that we hold will be true again. */
  discard(): void {
    this.ready = false;
    this.abandonedRevision = Math.max(this.abandonedRevision, this.revision, this.#seen);
    this.#seen = 0;
  }

  startFill(mode: ListMode): ListFill {
    const storage = mode === 'fresh' ? this.#options.createStorage() : this.storage;
    return new ListFill(mode, storage, this.reader, mode === 'fresh' ? undefined : this.index);
  }

  /** Refuses a list that cannot follow what is held; before anything is changed. */
  checkList(fill: ListFill, revision: ModRevision): void {
    if (fill.mode === 'difference' && revision <= this.revision) {
      throw new SourceError('replaced', `the source is at revision ${revision}, but ${this.revision} was seen`);
    }
  }

  /**
   * Takes over a complete list. The watchers have been ended: the list is no continuation of the history. When the source
   * was further than the list, at `present`, nobody reads before `caughtUp`.
   */
  install(fill: ListFill, revision: ModRevision, present = revision): void {
    const nowMs = this.#options.clock.monotonicMs();
    fill.finish(revision);
    if (fill.storage !== this.storage) {
      const { index } = this.#held;
      index.dispose();
      this.#held.retire();
      this.#held = this.#hold(fill.storage, index);
      this.#applier.index = this.#held.index;
    }
    this.decodeErrors.replaceBy(fill.errors);
    this.history.clear(revision, nowMs);
    this.revision = revision;
    this.#committed = revision;
    this.ready = false;
    this.#reclaim();
    this.#measureHistory();
    if (revision >= present) this.caughtUp();
  }

  /** What was taken over is recent enough to be read. */
  caughtUp(): void {
    this.ready = true;
    if (this.index.pending) this.#buildIndex();
  }

  /** Takes over the state of an earlier process, history included: as if we had been there all the time. */
  adopt({ storage, history, revision }: RestoredState): void {
    const nowMs = this.#options.clock.monotonicMs();
    const { index } = this.#held;
    index.dispose();
    this.#held.retire();
    this.#held = this.#hold(storage, index);
    this.#applier.index = this.#held.index;
    const { versions } = storage;
    const key = rangeOf(new Uint8Array(0));
    this.history.clear(history.tail, nowMs - history.tailAgeMs);
    for (let entry = 0; entry < history.count; entry++) {
      const [at, previous] = [history.revisions[entry]!, history.previous[entry]!];
      let retained = 0;
      if (previous !== NONE) {
        versions.retire(previous, at);
        versions.key(previous, key);
        retained = versions.wireSize(previous) + key.end - key.start;
      }
      this.history.append(at, CHANGE, history.next[entry]!, previous, retained, nowMs - history.agesMs[entry]!);
    }
    this.revision = revision;
    this.#committed = revision;
    this.#measureHistory();
    this.caughtUp();
  }

  /**
   * Everything as it is now, to be written down while changes go on. undefined: not ready, or a value does not parse, which
   * only a list can say about. Holds what the history names; dispose it on every path.
   */
  capture(): StateCapture | undefined {
    if (!this.ready || this.decodeErrors.size > 0 || this.history.hasUnreadable) return undefined;
    const held = this.#held;
    const { versions, engine } = held.storage;
    const { history, revision } = this;
    const pin = versions.pin(history.tail, 'checkpoint');
    const snapshot = engine.snapshot();
    held.readers++;
    return {
      revision,
      changes: this.eventsReceived,
      versions,
      snapshot,
      history: history.copy(this.#options.clock.monotonicMs()),
      [Symbol.dispose]() {
        snapshot[Symbol.dispose]();
        pin[Symbol.dispose]();
        held.released();
      },
    };
  }

  get(key: ByteRange): VersionId {
    return this.ready ? this.storage.engine.get(key) : NONE;
  }

  /** undefined: not ready, not there yet, or older than the history. */
  snapshot(at: ModRevision | undefined, owner: string): CacheSnapshot | undefined {
    if (!this.ready) return undefined;
    const revision = at ?? this.revision;
    if (revision > this.revision || revision < this.history.tail) return undefined;
    const held = this.#held;
    const { versions, engine } = held.storage;
    const pin = versions.pin(revision, owner);
    const snapshot = engine.snapshot();
    held.readers++;
    const live = new LiveSnapshot(revision, versions, snapshot, held.index, pin, () => held.released());
    return this.history.seek(revision) === this.history.end ? live : new PastSnapshot(revision, live, this.history);
  }

  /** From time to time: lets go what grew old while nothing happened. */
  tidy(): void {
    this.#measureHistory();
    const { clock, limits } = this.#options;
    this.history.evict(clock.monotonicMs(), limits.historyMs, this.#historyBytesMax);
    this.#reclaim();
    this.index.dropIdle(limits.indexIdleMs);
  }

  /** Of what the history usually keeps, 0 to 1. */
  keepShare(share: number): void {
    this.#historyShare = share;
    if (this.ready) this.tidy();
  }

  dispose(): void {
    this.ready = false;
    this.#turns.stop();
    this.index.dispose();
    this.#held.retire();
  }

  verify(): void {
    const { versions, engine } = this.storage;
    engine.verify();
    versions.verify();
    this.history.verify((id) => versions.modRevision(id));
    const ids: VersionId[] = [];
    using snapshot = engine.snapshot();
    snapshot.range(rangeOf(new Uint8Array(0)), rangeOf(Uint8Array.of(0)), (id) => ids.push(id) > 0);
    this.index.verify(ids);
  }

  /** `previous`: the index of the storage that this one replaces. What was in use there will be again. */
  #hold(storage: Storage, previous?: KindIndex): HeldStorage {
    const { codec, clock, limits, indexed = [] } = this.#options;
    const { versions } = storage;
    const bytesMax = () => Math.max(limits.indexBytesMin, limits.indexBytesFraction * versions.stats.liveBytes);
    const onWork = () => this.#buildIndex();
    const options = { kind: codec.kind, versions, clock, bytesMax, onWork, kept: indexed };
    const index = new KindIndex(options, previous?.counts ?? newCounts());
    index.want(previous?.names ?? indexed);
    return new HeldStorage(storage, index);
  }

  #buildIndex(): void {
    if (this.#building) return;
    this.#building = true;
    this.#turns.add(() => {
      this.#building = this.index.build(() => this.snapshot(undefined, 'index'), INDEX_BUILD_COUNT);
      return this.#building;
    });
  }

  #reclaim(): void {
    this.storage.versions.reclaim(this.history.tail, RECLAIM_COUNT_MAX);
  }

  #measureHistory(): void {
    const { historyBytes, limits } = this.#options;
    const fraction = limits.historyBytesFraction * this.storage.versions.stats.liveBytes;
    this.#historyBytesMax = this.#historyShare * (historyBytes ?? Math.max(limits.historyBytesMin, fraction));
  }
}

/** Old storage lives on while a snapshot of it is read. */
class HeldStorage {
  readonly storage: Storage;
  readonly index: KindIndex;
  readers = 0;
  #retired = false;

  constructor(storage: Storage, index: KindIndex) {
    this.storage = storage;
    this.index = index;
  }

  released(): void {
    this.readers--;
    this.#disposeUnread();
  }

  retire(): void {
    this.#retired = true;
    this.#disposeUnread();
  }

  #disposeUnread(): void {
    // Somebody else's pin (a worker's, say) leaves the storage to the garbage collector.
    const { versions } = this.storage;
    if (this.#retired && this.readers === 0 && versions.stats.pins === 0) versions.dispose();
  }
}
