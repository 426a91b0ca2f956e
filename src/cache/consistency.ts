import type { ModRevision } from '../api/revision.js';
import type { KindCodec } from '../codec/codec.js';
import { createWriter } from '../codec/writer.js';
import { type ByteRange, prefixEnd, rangeOf } from '../lib/bytes.js';
import type { Clock, Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import type { Source } from '../source/source.js';
import { NONE } from '../versions/versions.js';
import type { CacheSnapshot } from './cache.js';
import type { KeyLayout } from './layout.js';
import { keyText } from './storage.js';
import type { WatchCache } from './watch-cache.js';

/** Objects whose bytes are compared in one check; the next check goes on behind them. */
const SAMPLE_COUNT = 2_000;

export type CheckResult = 'success' | 'failure' | 'error' | 'skipped';

export interface ConsistencyOptions {
  readonly source: Source;
  readonly layout: KeyLayout;
  readonly codec: KindCodec;
  readonly cache: WatchCache;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  /** The cache answers reads and the source can be reached. */
  readonly canCheck: () => boolean;
  readonly onInconsistent: (message: string) => void;
  readonly log: (message: string) => void;
}

/**
 * Compares the cache with its source, every few minutes: every key and its revision, at one pinned
 * revision (keys only, so it costs the source little), and the bytes of a rotating sample of objects.
 */
export class ConsistencyCheck {
  readonly counts = { success: 0, failure: 0, error: 0 };
  readonly #options: ConsistencyOptions;
  readonly #wire = createWriter();
  readonly #key: ByteRange = rangeOf(new Uint8Array(0));
  readonly #held: ByteRange = rangeOf(new Uint8Array(0));
  #sampleFrom: Uint8Array;
  #timer: Timer | undefined;
  #abort: AbortController | undefined;
  #running: Promise<CheckResult> | undefined;

  constructor(options: ConsistencyOptions) {
    this.#options = options;
    this.#sampleFrom = options.layout.prefix;
  }

  /** Checks from time to time, until `stop`. */
  start(): void {
    const { clock, limits, random } = this.#options;
    const delayMs = limits.consistencyCheckEveryMs * (0.9 + 0.2 * random.float());
    this.#timer = clock.setTimer(
      delayMs,
      () => void this.check().finally(() => this.#timer !== undefined && this.start()),
    );
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#abort?.abort();
  }

  check(): Promise<CheckResult> {
    this.#running ??= this.#check().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #check(): Promise<CheckResult> {
    const { cache, clock, limits, canCheck, onInconsistent, log } = this.#options;
    if (!canCheck()) return 'skipped';
    if (cache.decodeErrors.needsList) {
      onInconsistent('values that did not parse were too many to keep track of');
      return 'skipped';
    }
    const { storage } = cache;
    using snapshot = cache.snapshot(undefined, 'consistency check');
    if (snapshot === undefined) return 'skipped';
    const abort = new AbortController();
    this.#abort = abort;
    const tooLong = clock.setTimer(limits.pinMs, () => abort.abort());
    try {
      const difference =
        (await this.#compareKeys(snapshot, abort.signal)) ??
        (await this.#compareSample(snapshot.revision, abort.signal));
      if (abort.signal.aborted) throw new Error('the check took too long, or the cache was stopped');
      if (cache.storage !== storage) return 'skipped'; // Listed again meanwhile.
      if (difference === undefined) {
        this.counts.success++;
        return 'success';
      }
      this.counts.failure++;
      onInconsistent(`the cache differs from its source at revision ${snapshot.revision}: ${difference}`);
      return 'failure';
    } catch (error) {
      if (cache.storage !== storage) return 'skipped';
      this.counts.error++;
      log(`consistency check: ${error instanceof Error ? error.message : String(error)}`);
      return 'error';
    } finally {
      tooLong.cancel();
      this.#abort = undefined;
    }
  }

  /** Describes the first difference of keys and revisions; undefined when there is none. */
  async #compareKeys(snapshot: CacheSnapshot, signal: AbortSignal): Promise<string | undefined> {
    const { source, layout, limits, cache } = this.#options;
    const unreadable = new Set(cache.decodeErrors.messages.keys());
    const to = prefixEnd(layout.prefix);
    let from = layout.prefix;
    for (;;) {
      const page = new KeyPage();
      const result = await source.range(
        { from, to, limit: limits.listPageCount, revision: snapshot.revision, keysOnly: true },
        (bytes, keyStart, keyEnd, _valueStart, _valueEnd, _createRevision, modRevision) => {
          page.last = new Uint8Array(bytes.subarray(keyStart, keyEnd));
          if (layout.isObjectKey(bytes, keyStart, keyEnd)) page.add(page.last, modRevision);
        },
        signal,
      );
      if (signal.aborted) return undefined;
      const more = result.more && page.last !== undefined;
      const next = more ? successor(page.last!) : to;
      const difference = this.#comparePage(page, snapshot, from, next, unreadable);
      if (difference !== undefined || !more) return difference;
      from = next;
    }
  }

  #comparePage(
    page: KeyPage,
    snapshot: CacheSnapshot,
    from: Uint8Array,
    to: Uint8Array,
    unreadable: ReadonlySet<string>,
  ): string | undefined {
    let index = 0;
    let difference: string | undefined;
    const skipUnreadable = (until: ByteRange | undefined) => {
      while (index < page.keys.length && (until === undefined || Buffer.compare(page.keys[index]!, view(until)) < 0)) {
        const text = keyText(rangeOf(page.keys[index]!));
        if (!unreadable.has(text) && !unreadable.has('')) {
          difference = `${text} is missing`;
          return;
        }
        index++;
      }
    };
    snapshot.range(rangeOf(from), rangeOf(to), (id) => {
      const key = snapshot.versions.key(id, this.#key);
      skipUnreadable(key);
      if (difference !== undefined) return false;
      const modRevision = snapshot.versions.modRevision(id);
      if (index >= page.keys.length || Buffer.compare(page.keys[index]!, view(key)) !== 0) {
        difference = `${keyText(key)} is not in the source`;
      } else if (page.modRevisions[index] !== modRevision) {
        difference = `${keyText(key)} has revision ${modRevision}, in the source ${page.modRevisions[index]}`;
      }
      index++;
      return difference === undefined;
    });
    if (difference === undefined) skipUnreadable(undefined);
    return difference;
  }

  /** Reads some values again and compares what the codec makes of them with the bytes that are held. */
  async #compareSample(revision: ModRevision, signal: AbortSignal): Promise<string | undefined> {
    const { source, layout, codec, cache } = this.#options;
    const { engine, versions } = cache.storage;
    const to = prefixEnd(layout.prefix);
    let difference: string | undefined;
    let last: Uint8Array | undefined;
    const result = await source.range(
      { from: this.#sampleFrom, to, limit: SAMPLE_COUNT, revision },
      (bytes, keyStart, keyEnd, valueStart, valueEnd, _createRevision, modRevision) => {
        last = new Uint8Array(bytes.subarray(keyStart, keyEnd));
        if (difference !== undefined || cache.storage.versions !== versions) return;
        const key = rangeOf(last);
        const id = engine.get(key);
        if (id === NONE || versions.modRevision(id) !== modRevision) return; // Changed since, or unreadable.
        this.#wire.position = 0;
        codec.toWire(bytes, valueStart, valueEnd, modRevision, this.#wire);
        const expected = this.#wire.bytes.subarray(this.#wire.headerStart, this.#wire.position);
        if (expected.compare(view(versions.wire(id, this.#held))) === 0) return;
        difference = `the bytes of ${keyText(key)} are not those of revision ${modRevision}`;
      },
      signal,
    );
    this.#sampleFrom = result.more && last !== undefined ? successor(last) : layout.prefix;
    return difference;
  }
}

class KeyPage {
  readonly keys: Uint8Array[] = [];
  readonly modRevisions: ModRevision[] = [];
  last: Uint8Array | undefined;

  add(key: Uint8Array, modRevision: ModRevision): void {
    this.keys.push(key);
    this.modRevisions.push(modRevision);
  }
}

function view({ bytes, start, end }: ByteRange): Uint8Array {
  return bytes.subarray(start, end);
}

/** The first key behind this one. */
function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
