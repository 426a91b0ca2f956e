import type { ModRevision } from '../api/revision.js';
import { assert, InvariantError, unreachable } from '../lib/assert.js';
import type { Clock, Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import { listPrefix } from '../source/list-prefix.js';
import type { PageGate } from '../source/page-gate.js';
import { pastRevision } from '../source/past-revision.js';
import { type ChangeType, type Source, SourceError, type WatchEnd, type WatchHandle } from '../source/source.js';
import type { ListFill } from './list-fill.js';
import {
  backOffMs,
  INITIAL,
  type ListMode,
  type ReflectorEffect,
  type ReflectorInput,
  type ReflectorState,
  step,
} from './reflector.js';
import type { RestoredState } from './restored-state.js';
import type { WatchCache } from './watch-cache.js';

export interface FollowerEvents {
  /** Changes were applied; `bytes` of them. */
  changed(bytes: number): void;
  /** The revision moved on without changes of this kind. */
  progressed(): void;
  /** Before the state is replaced: nobody may go on from the history. */
  ending(): void;
  /** `present`: what the source had reached by then. The state may be of before: then the changes up to there follow. */
  installed(present: ModRevision): void;
  /** Not ready any more. */
  discarded(): void;
}

export interface FollowerOptions {
  readonly source: Source;
  readonly prefix: Uint8Array;
  readonly cache: WatchCache;
  readonly events: FollowerEvents;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly pageGate?: PageGate | undefined;
  readonly log: (message: string) => void;
}

/**
 * Follows the source: carries out what the reflector decides, and tells it what came of it.
 * What belongs to a list or watch that was given up is ignored, however late it arrives.
 */
export class Follower {
  state: ReflectorState = INITIAL;
  lists = 0;
  lastError: string | undefined;
  readonly #options: FollowerOptions;
  readonly #inputs: ReflectorInput[] = [];
  #running = false;
  #timer: Timer | undefined;
  #listAbort: AbortController | undefined;
  /** Takes over the list, or the earlier state, that is complete. */
  #install: { readonly takeOver: () => void; readonly present: ModRevision } | undefined;
  #watch: WatchSession | undefined;
  #generation: number | undefined;
  /** Lists in a row that compaction overtook; see listPrefix. */
  #overtakenLists = 0;
  /** How many revisions before the present one the first state is to be of. */
  #initialHistory: number;
  /** Of the source's progress reports; see Source.progressTrusted. */
  #trusted = false;
  #connected = false;
  #heardMs: number;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#heardMs = options.clock.monotonicMs();
    this.#initialHistory = options.limits.initialHistoryRevisions;
  }

  /** True while the source has answered on the present watch (or gave the list that it continues). */
  get connected(): boolean {
    return this.#connected;
  }

  get staleMs(): number {
    return this.#connected ? 0 : this.#options.clock.monotonicMs() - this.#heardMs;
  }

  /** Of the store that the list or the checkpoint came from; see RangeResult. */
  get generation(): number | undefined {
    return this.#generation;
  }

  /** Goes on from an earlier process's state instead of a list. Only in phase `idle`. */
  restored(state: RestoredState, generation: number): void {
    this.lists++; // A later list is one that had to be done again.
    this.#generation = generation;
    this.#install = { takeOver: () => this.#options.cache.adopt(state), present: state.revision };
    this.input({ kind: 'restored', revision: state.revision });
  }

  requestProgress(): void {
    this.#watch?.handle?.requestProgress();
  }

  /** The one entrance. Effects may cause inputs while they run: those wait in line. */
  input(input: ReflectorInput): void {
    this.#inputs.push(input);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
        const { state, effects } = step(this.state, next);
        this.state = state;
        for (const effect of effects) this.#carryOut(effect);
      }
    } finally {
      this.#running = false;
    }
  }

  #carryOut(effect: ReflectorEffect): void {
    const { cache, clock, events, limits, random } = this.#options;
    switch (effect.do) {
      case 'list':
        void this.#list(effect.mode);
        return;
      case 'abortList':
        this.#listAbort?.abort();
        this.#listAbort = undefined;
        return;
      case 'install': {
        const install = this.#install;
        assert(install !== undefined, 'a list is taken over before it is complete');
        this.#install = undefined;
        this.#initialHistory = 0;
        events.ending();
        install.takeOver();
        this.#heard();
        events.installed(install.present);
        return;
      }
      case 'watch':
        this.#startWatch(effect.from);
        return;
      case 'closeWatch':
        this.#endWatch();
        return;
      case 'wait': {
        const delayMs = backOffMs(effect.attempt, limits.backoffMinMs, limits.backoffMaxMs, random.float());
        this.#timer = clock.setTimer(delayMs, () => {
          this.#timer = undefined;
          this.input({ kind: 'timer' });
        });
        return;
      }
      case 'cancelWait':
        this.#timer?.cancel();
        this.#timer = undefined;
        return;
      case 'discard':
        events.ending();
        cache.discard();
        events.discarded();
        return;
      case 'report':
        this.lastError = effect.message;
        this.#options.log(effect.message);
        return;
      default:
        unreachable(effect);
    }
  }

  async #list(mode: ListMode): Promise<void> {
    const { source, prefix, cache, limits, pageGate } = this.#options;
    const abort = new AbortController();
    const { signal } = abort;
    this.#listAbort = abort;
    this.#connected = false;
    this.lists++;
    const fill = cache.startFill(mode);
    let refusal: unknown; // Not thrown through the source: its page is read to the end first.
    try {
      const past = mode === 'fresh' && this.#initialHistory > 0 ? await this.#past(signal) : undefined;
      const { revision, present, generation } = await listPrefix(
        source,
        prefix,
        (bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
          if (signal.aborted || refusal !== undefined) return;
          try {
            fill.entry(bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
          } catch (error) {
            refusal = error;
          }
        },
        {
          pageCount: limits.listPageCount,
          pageBytes: limits.listPageBytes,
          attempt: this.#overtakenLists,
          signal,
          ...(past === undefined ? {} : { revision: past }),
          ...(pageGate === undefined ? {} : { gate: pageGate }),
        },
      );
      if (signal.aborted) return this.#dropFill(fill);
      if (refusal !== undefined) throw refusal;
      cache.checkList(fill, revision);
      this.#listAbort = undefined;
      this.#overtakenLists = 0;
      this.#generation = generation;
      this.#install = { takeOver: () => cache.install(fill, revision, present), present };
      this.input({ kind: 'listed', revision });
    } catch (error) {
      this.#dropFill(fill);
      if (signal.aborted) return;
      if (error instanceof InvariantError) throw error;
      const failure = error instanceof SourceError ? error : new SourceError('corrupt', String(error));
      this.#listAbort = undefined;
      if (failure.kind === 'compacted') this.#overtakenLists++;
      this.input({ kind: 'listFailed', error: failure });
    }
  }

  /**
   * Where to begin so that watches can go on from before our start (docs/adr/0042); undefined: at the present. Whether the
   * cache has come to the present is told by the source's progress, so that must be trusted.
   */
  async #past(signal: AbortSignal): Promise<ModRevision | undefined> {
    const { source, prefix } = this.#options;
    if (this.#overtakenLists > 0) return undefined;
    if (!(await source.progressTrusted(signal))) return undefined;
    return pastRevision(source, prefix, this.#initialHistory, signal);
  }

  #dropFill(fill: ListFill): void {
    if (fill.mode === 'fresh' && fill.storage !== this.#options.cache.storage) fill.storage.versions.dispose();
  }

  #startWatch(from: ModRevision): void {
    const { source, prefix } = this.#options;
    const session = new WatchSession(this, this.#options.cache);
    this.#watch = session;
    this.#trusted = false;
    const generation = this.#generation === undefined ? {} : { generation: this.#generation };
    const handle = source.watch({ prefix, startRevision: from, ...generation }, session);
    // It may have ended while it began.
    if (this.#watch !== session) {
      handle.close();
      return;
    }
    session.handle = handle;
    source.progressTrusted().then(
      (trusted) => {
        if (this.#watch !== session) return;
        this.#trusted = trusted;
        handle.requestProgress(); // A sign of life, and our true revision, on a kind where nothing happens.
      },
      () => {}, // The watch will say that the source is gone.
    );
  }

  #endWatch(): void {
    const session = this.#watch;
    this.#watch = undefined;
    this.#connected = false;
    this.#options.cache.abandon();
    session?.handle?.close();
  }

  isCurrent(session: WatchSession): boolean {
    return this.#watch === session;
  }

  committed(revision: ModRevision): void {
    const { result, bytes } = this.#options.cache.commit(revision);
    this.#heard();
    if (result === 'late') {
      const message = `revision ${revision} arrived after progress had been reported up to ${this.#options.cache.revision}`;
      this.input({ kind: 'inconsistent', message });
      return;
    }
    this.input({ kind: 'advanced', revision });
    if (result === 'applied') this.#options.events.changed(bytes);
  }

  progressed(revision: ModRevision): void {
    this.#heard();
    const moved = this.#trusted && this.#options.cache.progress(revision);
    this.input({ kind: 'advanced', revision: this.#options.cache.revision });
    if (moved) this.#options.events.progressed();
  }

  ended(end: WatchEnd): void {
    this.#watch = undefined;
    if (this.#connected) this.#heardMs = this.#options.clock.monotonicMs();
    this.#connected = false;
    this.#options.cache.abandon();
    this.input({ kind: 'ended', end });
  }

  #heard(): void {
    this.#heardMs = this.#options.clock.monotonicMs();
    this.#connected = true;
    this.lastError = undefined;
  }
}

/** Guards the way in: calls of a watch that is not the present one are ignored. */
class WatchSession {
  handle: WatchHandle | undefined;
  readonly #follower: Follower;
  readonly #cache: WatchCache;

  constructor(follower: Follower, cache: WatchCache) {
    this.#follower = follower;
    this.#cache = cache;
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
    if (!this.#follower.isCurrent(this)) return;
    this.#cache.change(type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
  }

  commit(revision: ModRevision): void {
    if (this.#follower.isCurrent(this)) this.#follower.committed(revision);
  }

  progress(revision: ModRevision): void {
    if (this.#follower.isCurrent(this)) this.#follower.progressed(revision);
  }

  ended(end: WatchEnd): void {
    if (this.#follower.isCurrent(this)) this.#follower.ended(end);
  }
}
