import type { ModRevision } from '../../api/revision.js';
import { type ChangeType, SourceError, type WatchHandler } from '../source.js';
import {
  CREATE_REVISION,
  EVENT_COLUMNS,
  EVENT_TYPE,
  KEY_END,
  KEY_START,
  MOD_REVISION,
  VALUE_END,
  VALUE_START,
  type WatchSkim,
} from './skim.js';

/** Rows of one response that wait for the rest of their revision. */
interface HeldRows {
  readonly bytes: Uint8Array;
  readonly events: Float64Array;
}

/**
 * Turns watch responses into whole revisions.
 *
 *     [ @5 @5 @7 | fragment ]  [ @7 @7 | fragment ]  [ @7 @8 ]
 *       └─ commit 5    └───────── held ──────────────┘ └─ commit 7, commit 8
 *
 *   I1  change* commit(r): all changes of r, in etcd's order, and r greater than every committed revision;
 *   I2  nothing of a revision is delivered before all of it is here;
 *   I3  events at or below the last committed revision, or below the start revision, are dropped: etcd
 *       has sent both after members changed.
 */
export class RevisionAssembler {
  readonly #handler: Pick<WatchHandler, 'change' | 'commit'>;
  readonly #heldBytesMax: number;
  #held: HeldRows[] = [];
  #heldRevision: ModRevision = 0;
  #heldBytes = 0;
  /** The revision whose changes are being delivered, or 0. */
  #open: ModRevision = 0;
  #committed: ModRevision;
  #stopped = false;
  droppedCount = 0;

  constructor(handler: Pick<WatchHandler, 'change' | 'commit'>, startRevision: ModRevision, heldBytesMax: number) {
    this.#handler = handler;
    this.#committed = startRevision - 1;
    this.#heldBytesMax = heldBytesMax;
  }

  /** The last revision delivered, or the one before the start. */
  get committed(): ModRevision {
    return this.#committed;
  }

  get holdsRows(): boolean {
    return this.#held.length > 0;
  }

  /** Nothing is delivered any more: the handler closed its watch, maybe from within a call. */
  stop(): void {
    this.#stopped = true;
    this.#held = [];
  }

  /** Throws SourceError `corrupt`, before anything of this response is delivered. The bytes may be kept. */
  add(bytes: Uint8Array, skim: WatchSkim): void {
    const { events, eventCount } = skim;
    let first = 0;
    let previous = 0;
    for (let row = 0; row < eventCount; row++) {
      const revision = events[row * EVENT_COLUMNS + MOD_REVISION]!;
      if (revision < previous) {
        throw new SourceError('corrupt', `etcd: a watch response goes back from revision ${previous} to ${revision}`);
      }
      previous = revision;
      if (revision <= this.#committed) first = row + 1;
    }
    this.droppedCount += first;
    if (
      this.#held.length > 0 &&
      first < eventCount &&
      events[first * EVENT_COLUMNS + MOD_REVISION]! < this.#heldRevision
    ) {
      throw new SourceError('corrupt', `etcd: a watch goes back from revision ${this.#heldRevision}`);
    }
    if (!skim.fragment) {
      this.#deliverHeld();
      this.#deliver(bytes, events, first, eventCount);
      this.#commit();
      return;
    }
    if (first === eventCount) return;
    if (previous !== this.#heldRevision) {
      const tail = firstRowOf(events, first, eventCount, previous);
      this.#deliverHeld();
      this.#deliver(bytes, events, first, tail);
      this.#commit();
      first = tail;
    }
    this.#hold(bytes, events.slice(first * EVENT_COLUMNS, eventCount * EVENT_COLUMNS), previous);
  }

  #hold(bytes: Uint8Array, events: Float64Array, revision: ModRevision): void {
    this.#held.push({ bytes, events });
    this.#heldRevision = revision;
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#heldBytesMax) {
      throw new SourceError('corrupt', `etcd: revision ${revision} is larger than ${this.#heldBytesMax} bytes`);
    }
  }

  #deliverHeld(): void {
    const held = this.#held;
    this.#held = [];
    this.#heldRevision = 0;
    this.#heldBytes = 0;
    for (const { bytes, events } of held) this.#deliver(bytes, events, 0, events.length / EVENT_COLUMNS);
  }

  #deliver(bytes: Uint8Array, events: Float64Array, from: number, to: number): void {
    for (let row = from * EVENT_COLUMNS; row < to * EVENT_COLUMNS; row += EVENT_COLUMNS) {
      const revision = events[row + MOD_REVISION]!;
      if (revision !== this.#open) this.#commit();
      if (this.#stopped) return;
      this.#open = revision;
      this.#handler.change(
        events[row + EVENT_TYPE]! as ChangeType,
        bytes,
        events[row + KEY_START]!,
        events[row + KEY_END]!,
        events[row + VALUE_START]!,
        events[row + VALUE_END]!,
        events[row + CREATE_REVISION]!,
        revision,
      );
      if (this.#stopped) return;
    }
  }

  #commit(): void {
    if (this.#open === 0 || this.#stopped) return;
    this.#committed = this.#open;
    this.#open = 0;
    this.#handler.commit(this.#committed);
  }
}

function firstRowOf(events: Float64Array, from: number, to: number, revision: ModRevision): number {
  let row = to;
  while (row > from && events[(row - 1) * EVENT_COLUMNS + MOD_REVISION] === revision) row--;
  return row;
}
