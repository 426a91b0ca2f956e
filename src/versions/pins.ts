import type { ModRevision } from '../api/revision.js';
import { assert } from '../lib/assert.js';
import type { Clock } from '../lib/clock.js';
import type { Pin, PinInfo } from './versions.js';

/**
 * The pins of one kind, ordered by revision. A pin that is lost without having been disposed is a bug
 * of its holder: it is counted, reported, and released, so that it does not hold memory for ever.
 */
export class Pins {
  leaked = 0;
  /** Called when a pin was released. */
  onRelease = (): void => {};
  /** How many pins were taken so far. */
  taken = 0;
  readonly #clock: Clock;
  readonly #held: PinRecord[] = [];
  readonly #lost: FinalizationRegistry<PinRecord>;

  constructor(clock: Clock, onLeak: (owner: string) => void) {
    this.#clock = clock;
    this.#lost = new FinalizationRegistry((record) => {
      if (record.disposed) return;
      this.leaked++;
      this.#release(record);
      onLeak(record.owner);
    });
  }

  get count(): number {
    return this.#held.length;
  }

  /** The smallest pinned revision, or infinity. */
  get oldest(): ModRevision {
    return this.#held.length === 0 ? Number.POSITIVE_INFINITY : this.#held[0]!.revision;
  }

  /** How many pins had been taken before the one that is held for longest, or infinity. */
  get oldestTaken(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { taken } of this.#held) if (taken < oldest) oldest = taken;
    return oldest;
  }

  pin(revision: ModRevision, owner: string): Pin {
    const sinceMs = this.#clock.monotonicMs();
    const record: PinRecord = { revision, owner, sinceMs, taken: this.taken++, disposed: false };
    let at = this.#held.length; // almost every pin is the newest
    while (at > 0 && this.#held[at - 1]!.revision > revision) at--;
    this.#held.splice(at, 0, record);
    const pin = new HeldPin(record, (released) => {
      this.#lost.unregister(released);
      this.#release(released);
    });
    this.#lost.register(pin, record, record);
    return pin;
  }

  list(): PinInfo[] {
    const nowMs = this.#clock.monotonicMs();
    return this.#held.map(({ revision, owner, sinceMs }) => ({ revision, owner, ageMs: nowMs - sinceMs }));
  }

  verify(): void {
    for (const [index, record] of this.#held.entries()) {
      assert(!record.disposed, `I5: the pin of ${record.owner} is disposed but held`);
      const before = this.#held[index - 1]?.revision ?? 0;
      assert(before <= record.revision, `I5: pins are out of order at revision ${record.revision}`);
    }
  }

  #release(record: PinRecord): void {
    record.disposed = true;
    this.#held.splice(this.#held.indexOf(record), 1);
    this.onRelease();
  }
}

interface PinRecord {
  readonly revision: ModRevision;
  readonly owner: string;
  readonly sinceMs: number;
  readonly taken: number;
  disposed: boolean;
}

class HeldPin implements Pin {
  readonly #record: PinRecord;
  readonly #release: (record: PinRecord) => void;

  constructor(record: PinRecord, release: (record: PinRecord) => void) {
    this.#record = record;
    this.#release = release;
  }

  get revision(): ModRevision {
    return this.#record.revision;
  }

  get owner(): string {
    return this.#record.owner;
  }

  /** Disposing twice is allowed: an aborted response may be cleaned up from two sides. */
  [Symbol.dispose](): void {
    if (!this.#record.disposed) this.#release(this.#record);
  }
}
