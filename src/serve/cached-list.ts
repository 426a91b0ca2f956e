import type { CacheSnapshot } from '../cache/cache.js';
import type { WireObject } from '../codec/codec.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import type { Timer } from '../lib/clock.js';
import type { Reservation } from '../lib/memory-budget.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { ReadContext } from './context.js';
import type { ListAnswer, ListRuns } from './reader.js';
import { LeafRuns, type Run } from './runs.js';

/** Thrown by `ListAnswer.at` when the answer was held for too long: abort the response, it cannot be completed. */
export class AnswerRevoked extends Error {
  override readonly name = 'AnswerRevoked';
  constructor(heldMs: number) {
    super(`the list was held for ${heldMs} ms, which is longer than its objects are kept`);
  }
}

const EMPTY = new Uint8Array(0);

/**
 * A LIST of versions that lie in the cache: ids only, no bytes are copied. The snapshot pins them.
 * A reader so slow that the pin would hold memory for longer than `limits.pinMs` loses it.
 */
export class CachedList implements ListAnswer {
  readonly resourceVersion: string;
  readonly continue: string | undefined;
  readonly remainingItemCount: number | undefined;
  readonly shard: string | undefined;
  readonly count: number;
  readonly itemBytes: number;
  readonly staleMs: number;
  readonly plan: string | undefined;
  readonly runs: ListRuns | undefined;
  readonly #runs: LeafRuns | undefined;
  readonly #ids: Int32Array;
  readonly #versions: Versions;
  readonly #pinMs: number;
  readonly #wire: ByteRange = rangeOf(EMPTY);
  readonly #object: ByteRange = rangeOf(EMPTY);
  readonly #timer: Timer;
  readonly #reservation: Reservation;
  #snapshot: CacheSnapshot | undefined;
  #revoked = false;

  constructor(
    context: ReadContext,
    snapshot: CacheSnapshot,
    reservation: Reservation,
    ids: Int32Array,
    runs: readonly Run[] | undefined,
    page: Omit<ListAnswer, 'count' | 'at' | 'runs' | typeof Symbol.dispose>,
  ) {
    this.resourceVersion = page.resourceVersion;
    this.continue = page.continue;
    this.remainingItemCount = page.remainingItemCount;
    this.shard = page.shard;
    this.count = ids.length;
    this.itemBytes = page.itemBytes;
    this.staleMs = page.staleMs;
    this.plan = page.plan;
    this.#ids = ids;
    this.#versions = snapshot.versions;
    this.#snapshot = snapshot;
    this.#reservation = reservation;
    this.#pinMs = context.limits.pinMs;
    if (runs !== undefined && context.fragments !== undefined) {
      const { versions, revision } = snapshot;
      const source = { versions, hold: () => versions.pin(revision, 'fragments') };
      this.#runs = new LeafRuns({ ids, itemBytes: this.itemBytes, runs }, source, context.fragments, () =>
        this.#check(),
      );
    }
    this.runs = this.#runs;
    this.#timer = context.clock.setTimer(this.#pinMs, () => {
      this.#revoked = true;
      this.#release();
    });
  }

  at(index: number, into: WireObject): WireObject {
    this.#check();
    const id: VersionId = this.#ids[index]!;
    const wire = this.#versions.wire(id, this.#wire);
    const object = this.#versions.object(id, this.#object);
    into.bytes = wire.bytes;
    into.headerStart = wire.start;
    into.start = object.start;
    into.end = wire.end;
    return into;
  }

  [Symbol.dispose](): void {
    this.#timer.cancel();
    this.#release();
    this.#reservation[Symbol.dispose]();
  }

  #check(): void {
    if (this.#revoked) throw new AnswerRevoked(this.#pinMs);
  }

  #release(): void {
    this.#runs?.[Symbol.dispose]();
    this.#snapshot?.[Symbol.dispose]();
    this.#snapshot = undefined;
  }
}
