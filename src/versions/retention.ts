import type { ModRevision } from '../api/revision.js';
import { assert } from '../lib/assert.js';
import type { Clock } from '../lib/clock.js';
import { Pins } from './pins.js';
import { RetireQueue } from './retire-queue.js';
import { NONE, type Pin, type VersionId } from './versions.js';

/** Which superseded versions may still be read, and which is the next that may not. */
export class Retention {
  readonly retired = new RetireQueue();
  readonly pins: Pins;
  /** Versions superseded at or before this may be gone. */
  #reclaimedTo: ModRevision = 0;

  constructor(clock: Clock, onPinLeak: (owner: string) => void) {
    this.pins = new Pins(clock, onPinLeak);
  }

  /** Takes out the next version that neither the history nor a pin can reach; NONE: there is none. The caller frees it. */
  next(historyTail: ModRevision): VersionId {
    if (this.retired.length === 0) return NONE;
    const supersededAt = this.retired.firstRevision();
    if (supersededAt > historyTail || supersededAt >= this.pins.oldest) return NONE;
    this.#reclaimedTo = supersededAt;
    return this.retired.shift();
  }

  pin(revision: ModRevision, owner: string): Pin {
    assert(
      revision >= this.#reclaimedTo,
      `versions: ${owner} pins revision ${revision}, but versions superseded at ${this.#reclaimedTo} are gone`,
    );
    return this.pins.pin(revision, owner);
  }

  /** Of what is to be disposed: nobody reads it any more. */
  assertUnpinned(): void {
    const [pin] = this.pins.list();
    assert(pin === undefined, `versions: disposed while ${pin?.owner} pins revision ${pin?.revision}`);
    assert(this.pins.leaked === 0, `versions: ${this.pins.leaked} pins were lost without being disposed`);
  }
}
