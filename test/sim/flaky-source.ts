import type { ModRevision } from '../../src/api/revision.js';
import type { Clock } from '../../src/lib/clock.js';
import type { Random } from '../../src/lib/random.js';
import {
  type ChangeType,
  type EntryVisitor,
  type RangeRequest,
  type RangeResult,
  type Source,
  SourceError,
  type WatchEnd,
  type WatchHandle,
  type WatchHandler,
  type WatchRequest,
} from '../../src/source/source.js';

export interface Weather {
  /** Every message takes a random time up to this; order within a watch is kept, as TCP keeps it. */
  delayMaxMs: number;
  /** Chance that a request fails on its way, or its answer is lost on the way back. */
  lossChance: number;
}

/** The store behind counts its own replacements, too. */
const STORE_GENERATIONS_MAX = 1_000;

interface Message {
  readonly deliver: (handler: WatchHandler) => void;
}

/**
 * A network between a cache and a store: it delays, loses requests, cuts watches, goes away, and may
 * come back with another store behind it. The same seed gives the same weather.
 */
export class FlakySource implements Source {
  readonly name = 'flaky';
  weather: Weather = { delayMaxMs: 0, lossChance: 0 };
  up = true;
  trusted = true;
  /** Requests that failed on their way while the store was up. */
  lost = 0;
  #store: Source;
  #generation = 0;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #watches = new Set<FlakyWatch>();

  constructor(store: Source, clock: Clock, random: Random) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** Every watch loses its connection; what was under way is lost. */
  cut(message = 'connection reset'): void {
    for (const watch of this.#watches) watch.end({ kind: 'cut', error: new SourceError('unavailable', message) });
  }

  down(): void {
    this.up = false;
    this.cut('store is down');
  }

  /** The data is gone or restored from elsewhere: another store answers from now on. */
  replace(store: Source): void {
    this.#store = store;
    this.#generation++;
    for (const watch of this.#watches) watch.end({ kind: 'replaced', message: 'the store is another one' });
  }

  async range(request: RangeRequest, visit: EntryVisitor, signal?: AbortSignal): Promise<RangeResult> {
    await this.#travel();
    const generation = this.#generation;
    // What the store says now arrives later.
    const entries: Parameters<EntryVisitor>[] = [];
    const result = await this.#store.range(request, (...entry) => void entries.push(entry), signal);
    await this.#travel();
    for (const entry of entries) visit(...entry);
    return { ...result, generation: generation * STORE_GENERATIONS_MAX + (result.generation ?? 0) };
  }

  async currentRevision(signal?: AbortSignal): Promise<ModRevision> {
    await this.#travel();
    const revision = await this.#store.currentRevision(signal);
    await this.#travel();
    return revision;
  }

  watch(request: WatchRequest, handler: WatchHandler): WatchHandle {
    const watch = new FlakyWatch(
      handler,
      () => this.#delay(),
      this.#clock,
      () => this.#watches.delete(watch),
    );
    this.#watches.add(watch);
    const asked = request.generation ?? this.#generation * STORE_GENERATIONS_MAX;
    const ours = Math.floor(asked / STORE_GENERATIONS_MAX);
    if (!this.up) {
      watch.later((target) => target.ended({ kind: 'cut', error: new SourceError('unavailable', 'store is down') }));
    } else if (ours !== this.#generation) {
      watch.later((target) => target.ended({ kind: 'replaced', message: 'the store is another one' }));
    } else {
      const generation = asked % STORE_GENERATIONS_MAX;
      watch.connect(this.#store, { ...request, generation });
    }
    return watch;
  }

  async progressTrusted(): Promise<boolean> {
    await this.#travel();
    return this.trusted;
  }

  probe(signal?: AbortSignal): Promise<void> {
    return this.currentRevision(signal).then(() => undefined);
  }

  async close(): Promise<void> {}

  async #travel(): Promise<void> {
    const delayMs = this.#delay();
    if (delayMs > 0) await new Promise<void>((resolve) => this.#clock.setTimer(delayMs, resolve));
    if (!this.up || this.#random.chance(this.weather.lossChance)) {
      if (this.up) this.lost++;
      throw new SourceError('unavailable', this.up ? 'request lost' : 'store is down');
    }
  }

  #delay(): number {
    return this.weather.delayMaxMs === 0 ? 0 : this.#random.int(this.weather.delayMaxMs + 1);
  }
}

class FlakyWatch implements WatchHandle {
  readonly #handler: WatchHandler;
  readonly #delay: () => number;
  readonly #clock: Clock;
  readonly #gone: () => void;
  readonly #queue: Message[] = [];
  #handle: WatchHandle | undefined;
  #over = false;
  #timerSet = false;

  constructor(handler: WatchHandler, delay: () => number, clock: Clock, gone: () => void) {
    this.#handler = handler;
    this.#delay = delay;
    this.#clock = clock;
    this.#gone = gone;
  }

  connect(store: Source, request: WatchRequest): void {
    this.#handle = store.watch(request, {
      change: (type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
        // The buffer is only lent, and is reused for something else right after the call.
        const copy = new Uint8Array(bytes);
        this.later((handler) => {
          deliver(handler, type, copy, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
        });
      },
      commit: (revision) => this.later((handler) => handler.commit(revision)),
      progress: (revision) => this.later((handler) => handler.progress(revision)),
      ended: (end) => this.later((handler) => this.#finish(() => handler.ended(end))),
    });
  }

  later(send: (handler: WatchHandler) => void): void {
    if (this.#over) return;
    this.#queue.push({ deliver: send });
    this.#arm();
  }

  /** At once, and what was under way is lost. */
  end(end: WatchEnd): void {
    this.#finish(() => this.#handler.ended(end));
  }

  requestProgress(): void {
    this.#handle?.requestProgress();
  }

  close(): void {
    this.#finish(() => this.#handler.ended({ kind: 'closed' }));
  }

  #finish(say: () => void): void {
    if (this.#over) return;
    this.#over = true;
    this.#queue.length = 0;
    this.#gone();
    this.#handle?.close();
    say();
  }

  #arm(): void {
    if (this.#timerSet || this.#over) return;
    this.#timerSet = true;
    this.#clock.setTimer(this.#delay(), () => {
      this.#timerSet = false;
      // A packet holds a few messages; the rest comes with a later one.
      for (let room = 1 + (this.#queue.length >> 1); room > 0 && !this.#over; room--) {
        this.#queue.shift()?.deliver(this.#handler);
      }
      if (this.#queue.length > 0) this.#arm();
    });
  }
}

function deliver(
  handler: WatchHandler,
  type: ChangeType,
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  createRevision: ModRevision,
  modRevision: ModRevision,
): void {
  handler.change(type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
  bytes.fill(0xdb);
}
