import type { ModRevision } from '../api/revision.js';
import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import type { ListCounts } from '../indexer/index-stats.js';
import type { IndexName } from '../indexer/kind-index.js';
import type { ByteRange } from '../lib/bytes.js';
import { type Clock, systemClock, type Timer } from '../lib/clock.js';
import { defaultLimits, type Limits } from '../lib/limits.js';
import type { Shortenable } from '../lib/memory-budget.js';
import { type Random, systemRandom } from '../lib/random.js';
import type { PageGate } from '../source/page-gate.js';
import type { Source } from '../source/source.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type {
  Cache,
  CacheSnapshot,
  CacheState,
  CacheStats,
  CacheWatch,
  CacheWatchRequest,
  WatchSink,
} from './cache.js';
import { type CheckResult, ConsistencyCheck } from './consistency.js';
import { Follower } from './follower.js';
import { createKeyLayout } from './layout.js';
import type { SavedState, StateCapture } from './restored-state.js';
import type { CreateStorage } from './storage.js';
import { createTimingWheel, type TimingWheel } from './timing-wheel.js';
import { Waiters } from './waiters.js';
import { WatchCache } from './watch-cache.js';
import { Watchers } from './watchers.js';

const TIDY_EVERY_MS = 1_000;
/** A restored cache answers its first reads before it is compared with the source, key by key. */
const CHECK_RESTORED_AFTER_MS = 2_000;
/** Then it waits once more. */
const CATCH_UP_WAIT_MS = 60_000;

export interface CacheOptions {
  readonly kind: Kind;
  readonly codec: KindCodec;
  readonly source: Source;
  /** Versions and engine, empty. Called again when what is held cannot be trusted any more. */
  readonly createStorage: CreateStorage;
  /** Indexes that are there from the start; others come up when a selector asks. */
  readonly indexed?: readonly IndexName[];
  /** The kind's directory, with its slash, e.g. `/registry/pods/`. */
  readonly prefix: Uint8Array;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly limits?: Limits;
  readonly log?: (message: string) => void;
  /** Bound of the history, instead of the one from the limits. */
  readonly historyBytes?: number | undefined;
  /** Where the state of an earlier process may be. */
  readonly saved?: SavedState | undefined;
  /** Bounds the pages of lists; shared by the caches of a process, as the wheel is. */
  readonly pageGate?: PageGate;
  readonly wheel?: TimingWheel;
}

export function createCache(options: CacheOptions): LiveCache {
  return new LiveCache(options);
}

/** Puts the parts together: follower (what comes), watch cache (what is), watchers (who wants to know). */
export class LiveCache implements Cache, Shortenable {
  readonly kind: Kind;
  readonly codec: KindCodec;
  readonly #clock: Clock;
  readonly #state: WatchCache;
  readonly #follower: Follower;
  readonly #watchers: Watchers;
  readonly #consistency: ConsistencyCheck;
  readonly #revisionWaiters: Waiters;
  readonly #readyWaiters: Waiters;
  readonly #ownWheel: TimingWheel | undefined;
  #installs = 0;
  #catchingUpTo: ModRevision | undefined;
  #unreadySinceMs: number;
  #tidyTimer: Timer | undefined;
  readonly #saved: SavedState | undefined;
  readonly #createStorage: CreateStorage;
  #restoredTimer: Timer | undefined;
  /** Present while the saved state is read. */
  #restoring: AbortController | undefined;

  constructor(options: CacheOptions) {
    const { kind, codec, source, createStorage, prefix, historyBytes, indexed = [] } = options;
    const clock = options.clock ?? systemClock;
    const random = options.random ?? systemRandom;
    const limits = options.limits ?? defaultLimits;
    const log = options.log ?? (() => {});
    const wheel = options.wheel ?? createTimingWheel(clock);
    const layout = createKeyLayout(prefix, kind.namespaced);
    this.kind = kind;
    this.codec = codec;
    this.#saved = options.saved;
    this.#createStorage = createStorage;
    this.#clock = clock;
    this.#ownWheel = options.wheel === undefined ? wheel : undefined;
    this.#unreadySinceMs = clock.monotonicMs();
    const cache = new WatchCache({ codec, layout, createStorage, clock, limits, historyBytes, indexed });
    this.#state = cache;
    this.#watchers = new Watchers({ cache, codec, prefix, wheel, clock, random, limits });
    const events = {
      changed: (bytes: number) => {
        if (cache.ready) this.#watchers.changed(bytes);
        this.#moved();
      },
      progressed: () => {
        if (cache.ready) this.#watchers.progressed();
        this.#moved();
      },
      ending: () => this.#watchers.endAll(),
      installed: (present: ModRevision) => {
        this.#catchingUpTo = undefined;
        if (cache.ready) this.#installed();
        else void this.#catchUp(present);
      },
      discarded: () => {
        this.#catchingUpTo = undefined;
        this.#unreadySinceMs = clock.monotonicMs();
      },
    };
    this.#follower = new Follower({
      source,
      prefix,
      cache,
      events,
      clock,
      random,
      limits,
      log,
      pageGate: options.pageGate,
    });
    this.#revisionWaiters = new Waiters(clock, limits.progressRequestEveryMs, () => this.#follower.requestProgress());
    this.#readyWaiters = new Waiters(clock, limits.freshWaitMs, () => {});
    this.#consistency = new ConsistencyCheck({
      source,
      layout,
      codec,
      cache,
      clock,
      random,
      limits,
      log,
      canCheck: () => this.state === 'ready' && this.#follower.connected,
      onInconsistent: (message) => this.#follower.input({ kind: 'inconsistent', message }),
    });
  }

  get versions(): Versions {
    return this.#state.storage.versions;
  }

  get state(): CacheState {
    const { phase } = this.#follower.state;
    if (this.#restoring !== undefined) return 'initializing';
    if (phase === 'idle' || phase === 'stopped') return phase;
    return this.#state.ready ? 'ready' : 'initializing';
  }

  get revision(): ModRevision {
    return this.#state.revision;
  }

  get staleMs(): number {
    return this.#state.ready ? this.#follower.staleMs : 0;
  }

  get lastError(): string | undefined {
    return this.#follower.lastError;
  }

  get unreadyMs(): number {
    return this.#state.ready ? 0 : this.#clock.monotonicMs() - this.#unreadySinceMs;
  }

  get oldestWatchable(): ModRevision {
    return this.#state.history.tail;
  }

  get decodeErrors(): ReadonlyMap<string, string> {
    return this.#state.decodeErrors.messages;
  }

  get lists(): ListCounts {
    return this.#state.lists;
  }

  get stats(): CacheStats {
    const { history, storage, decodeErrors, reader, eventsReceived } = this.#state;
    const watchers = this.#watchers;
    return {
      objects: storage.engine.size,
      watchers: watchers.count,
      watchGroups: watchers.groupCount,
      historyEvents: history.count,
      historyBytes: history.bytes,
      historySeconds: history.secondsHeld(this.#clock.monotonicMs()),
      eventsReceived,
      eventsDispatched: watchers.eventsDispatched,
      watchersTerminated: watchers.terminated,
      initializations: this.#installs,
      relists: Math.max(0, this.#follower.lists - 1),
      decodeErrors: decodeErrors.size,
      ignoredKeys: reader.ignoredKeys,
      watchTimers: watchers.timerCount,
      laggingWatchers: watchers.laggingCount,
      index: this.#state.indexStats,
      consistencyChecks: { ...this.#consistency.counts },
    };
  }

  start(): void {
    if (this.state !== 'idle') return;
    this.#unreadySinceMs = this.#clock.monotonicMs();
    this.#consistency.start();
    this.#scheduleTidy();
    if (this.#saved === undefined) this.#follower.input({ kind: 'started' });
    else void this.#restore(this.#saved);
  }

  /** Starts from the saved state if there is one that may be used, else from a list. */
  async #restore(saved: SavedState): Promise<void> {
    const abort = new AbortController();
    this.#restoring = abort;
    const found = await saved.restore(this.#createStorage, abort.signal);
    this.#restoring = undefined;
    if (abort.signal.aborted) {
      found?.state.storage.versions.dispose();
      return;
    }
    if (found === undefined) return this.#follower.input({ kind: 'started' });
    this.#follower.restored(found.state, found.generation);
    // What the samples of the restore have not shown shows here.
    this.#restoredTimer = this.#clock.setTimer(CHECK_RESTORED_AFTER_MS, () => void this.checkConsistency());
  }

  /** Everything as it is now, to be written down; see WatchCache.capture. With the generation of the store that it is of. */
  capture(): { readonly state: StateCapture; readonly generation: number | undefined } | undefined {
    const state = this.#state.capture();
    return state === undefined ? undefined : { state, generation: this.#follower.generation };
  }

  /** Ends all watches cleanly. */
  endWatches(): void {
    if (this.state !== 'stopped') this.#watchers.endAll();
  }

  /** Everything is released before this returns; the promise is the interface's. */
  stop(): Promise<void> {
    if (this.state === 'stopped') return Promise.resolve();
    this.#restoring?.abort();
    this.#restoring = undefined;
    this.#restoredTimer?.cancel();
    this.#consistency.stop();
    this.#tidyTimer?.cancel();
    this.#watchers.stop();
    this.#follower.input({ kind: 'stopped' });
    this.#revisionWaiters.stop();
    this.#readyWaiters.stop();
    this.#ownWheel?.stop();
    this.#state.dispose();
    return Promise.resolve();
  }

  whenReady(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.state === 'ready') return Promise.resolve(true);
    if (this.state === 'stopped') return Promise.resolve(false);
    return this.#readyWaiters.wait(1, timeoutMs, signal);
  }

  waitFor(revision: ModRevision, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.state === 'stopped') return Promise.resolve(false);
    if (this.#state.ready && this.revision >= revision) return Promise.resolve(true);
    return this.#revisionWaiters.wait(revision, timeoutMs, signal);
  }

  saw(revision: ModRevision): void {
    this.#state.saw(revision);
  }

  snapshot(at?: ModRevision): CacheSnapshot | undefined {
    return this.#state.snapshot(at, `snapshot of ${this.kind.resource}`);
  }

  get(key: ByteRange): VersionId {
    return this.#state.get(key);
  }

  watch(request: CacheWatchRequest, sink: WatchSink): CacheWatch {
    return this.#watchers.watch(request, sink);
  }

  /** Compares with the source now; see consistency.ts. Used by the periodic check and by whoever wants to know. */
  checkConsistency(): Promise<CheckResult> {
    return this.#consistency.check();
  }

  keepShare(share: number): void {
    this.#state.keepShare(share);
    // Who reads what went away is told so, rather than let to read on.
    if (this.#state.ready) this.#watchers.endPassed();
  }

  verify(): void {
    this.#state.verify();
    this.#watchers.verify();
  }

  /**
   * The first state was of the past: nobody reads it before it has come to what was the present then. A kind of which
   * nothing changes comes there by the source's word, which is asked for meanwhile.
   */
  async #catchUp(present: ModRevision): Promise<void> {
    this.#catchingUpTo = present;
    while (this.#catchingUpTo === present && this.state !== 'stopped') {
      await this.#revisionWaiters.wait(present, CATCH_UP_WAIT_MS, undefined);
    }
  }

  #moved(): void {
    const { revision } = this.#state;
    if (this.#catchingUpTo !== undefined && revision >= this.#catchingUpTo) {
      this.#catchingUpTo = undefined;
      this.#state.caughtUp();
      this.#installed();
    }
    this.#revisionWaiters.reached(revision);
  }

  #installed(): void {
    this.#installs++;
    this.#watchers.restart();
    this.#readyWaiters.reached(1);
    this.#revisionWaiters.reached(this.revision);
  }

  #scheduleTidy(): void {
    this.#tidyTimer = this.#clock.setTimer(TIDY_EVERY_MS, () => {
      if (this.#state.ready) {
        this.#state.tidy();
        this.#watchers.endPassed();
      }
      this.#scheduleTidy();
    });
  }
}
