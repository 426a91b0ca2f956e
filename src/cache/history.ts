import type { ModRevision } from '../api/revision.js';
import { assert } from '../lib/assert.js';
import { NONE, type VersionId } from '../versions/versions.js';

/** A put or a delete: presence of the next and the previous version says which. */
export const CHANGE = 0;
/** The key's new value does not parse: whoever must deliver it cannot go on. `next` is NONE. */
export const UNREADABLE = 1;
export type HistoryType = typeof CHANGE | typeof UNREADABLE;

/** Upstream's ring never holds less: on an idle kind an old resourceVersion stays watchable. */
const KEPT_EVENTS_MIN = 100;
const CAPACITY_MIN = 1024;
/** What one entry takes in the columns below. */
const ENTRY_BYTES = 8 + 8 + 8 + 4 + 4 + 1;

/** A history apart from its time: entry `i` of every column belongs together. Only CHANGE entries. */
export interface HistoryCopy {
  readonly tail: ModRevision;
  readonly tailAgeMs: number;
  readonly count: number;
  readonly revisions: Float64Array;
  readonly agesMs: Float64Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
}

/**
 * The recent changes of one kind, oldest first: a ring over typed arrays.
 *
 *     tail @90 │ @91 @91 @95 @97 @97 @97 │ next append
 *              └ first (sequence 40)     └ end (sequence 46)
 *
 * Every entry has a sequence number that never changes, so a watcher's cursor is one number; it
 * stands for the pair (revision, index within the revision). `seek` turns a revision into it.
 *
 * Invariants:
 *   I1  revisions never fall from one entry to the next, and all are greater than `tail`.
 *   I2  no revision is partly here: eviction takes whole revisions.
 *   I3  `bytes` is what the entries and the versions that only they keep alive take.
 *   I4  a previous version is older than its entry.
 */
export class History {
  #revisions = new Float64Array(CAPACITY_MIN);
  #times = new Float64Array(CAPACITY_MIN);
  #sizes = new Float64Array(CAPACITY_MIN);
  #next = new Int32Array(CAPACITY_MIN);
  #previous = new Int32Array(CAPACITY_MIN);
  #types = new Uint8Array(CAPACITY_MIN);
  #mask = CAPACITY_MIN - 1;
  /** Keys of UNREADABLE entries, which need not have a version to name it. */
  readonly #unreadable = new Map<number, Uint8Array>();
  #tailTimeMs: number;
  #bytes = 0;
  /** Sequence number of the oldest entry. */
  first = 0;
  /** Sequence number of the entry to come. */
  end = 0;
  /** The newest revision whose changes are not here any more: the oldest one to resume from. */
  tail: ModRevision;

  constructor(tail: ModRevision, nowMs: number) {
    this.tail = tail;
    this.#tailTimeMs = nowMs;
  }

  get count(): number {
    return this.end - this.first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How far back a watch can resume. */
  secondsHeld(nowMs: number): number {
    return Math.max(0, nowMs - this.#tailTimeMs) / 1000;
  }

  /** `retainedBytes`: what the previous version holds, which nobody but the history needs from now on. */
  append(
    revision: ModRevision,
    type: HistoryType,
    next: VersionId,
    previous: VersionId,
    retainedBytes: number,
    nowMs: number,
  ): void {
    if (this.count > this.#mask) this.#resize((this.#mask + 1) * 2);
    const slot = this.end & this.#mask;
    this.#revisions[slot] = revision;
    this.#times[slot] = nowMs;
    this.#sizes[slot] = retainedBytes + ENTRY_BYTES;
    this.#next[slot] = next;
    this.#previous[slot] = previous;
    this.#types[slot] = type;
    this.#bytes += retainedBytes + ENTRY_BYTES;
    this.end++;
  }

  /** The entry to come is UNREADABLE, under this key. */
  nameUnreadable(key: Uint8Array): void {
    this.#unreadable.set(this.end, key);
  }

  unreadableKey(sequence: number): Uint8Array | undefined {
    return this.#unreadable.get(sequence);
  }

  revision(sequence: number): ModRevision {
    return this.#revisions[sequence & this.#mask]!;
  }

  type(sequence: number): HistoryType {
    return this.#types[sequence & this.#mask]! as HistoryType;
  }

  next(sequence: number): VersionId {
    return this.#next[sequence & this.#mask]!;
  }

  previous(sequence: number): VersionId {
    return this.#previous[sequence & this.#mask]!;
  }

  /** The sequence number of the first change after `revision`. */
  seek(revision: ModRevision): number {
    let low = this.first;
    let high = this.end;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      if (this.revision(middle) > revision) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Drops what is too old or too much, whole revisions at a time; never the newest revision. True if something went. */
  evict(nowMs: number, keptMs: number, bytesMax: number): boolean {
    const before = this.first;
    while (this.count > 0) {
      const slot = this.first & this.#mask;
      const expired = this.count > KEPT_EVENTS_MIN && nowMs - this.#times[slot]! > keptMs;
      if (!expired && this.#bytes <= bytesMax) break;
      const revision = this.#revisions[slot]!;
      if (revision === this.revision(this.end - 1)) break;
      this.#drop(revision);
    }
    if (this.first === before) return false;
    if (this.#mask >= CAPACITY_MIN && this.count * 8 <= this.#mask) this.#resize((this.#mask + 1) / 2);
    return true;
  }

  /** Forgets everything: nothing before `tail` can be resumed from. */
  clear(tail: ModRevision, nowMs: number): void {
    this.first = this.end;
    this.tail = tail;
    this.#bytes = 0;
    this.#unreadable.clear();
    this.#tailTimeMs = nowMs;
    if (this.#mask >= CAPACITY_MIN) this.#resize(CAPACITY_MIN);
  }

  /** All of it as it is now, the oldest entry first. */
  copy(nowMs: number): HistoryCopy {
    const mask = this.#mask;
    const [first, count] = [this.first & mask, this.count];
    const ordered = <T extends Float64Array | Int32Array>(from: T, to: T): T => {
      to.set(from.subarray(first, Math.min(first + count, mask + 1)) as never);
      if (first + count > mask + 1) to.set(from.subarray(0, first + count - mask - 1) as never, mask + 1 - first);
      return to;
    };
    const agesMs = ordered(this.#times, new Float64Array(count));
    for (let index = 0; index < count; index++) agesMs[index] = nowMs - agesMs[index]!;
    return {
      tail: this.tail,
      tailAgeMs: nowMs - this.#tailTimeMs,
      count,
      revisions: ordered(this.#revisions, new Float64Array(count)),
      agesMs,
      next: ordered(this.#next, new Int32Array(count)),
      previous: ordered(this.#previous, new Int32Array(count)),
    };
  }

  /** True if an entry is UNREADABLE: a copy would not say why. */
  get hasUnreadable(): boolean {
    return this.#unreadable.size > 0;
  }

  verify(modRevisionOf: (id: VersionId) => ModRevision): void {
    let bytes = 0;
    let last = this.tail;
    for (let sequence = this.first; sequence < this.end; sequence++) {
      const revision = this.revision(sequence);
      assert(revision > this.tail, `I1: revision ${revision} is kept, but the tail is ${this.tail}`);
      assert(revision >= last, `I1: revision ${revision} comes after ${last}`);
      last = revision;
      bytes += this.#sizes[sequence & this.#mask]!;
      const previous = this.previous(sequence);
      if (previous !== NONE)
        assert(modRevisionOf(previous) < revision, `I4: ${previous} is not older than ${revision}`);
    }
    assert(bytes === this.#bytes, `I3: entries hold ${bytes} bytes, counted ${this.#bytes}`);
  }

  #drop(revision: ModRevision): void {
    while (this.count > 0 && this.revision(this.first) === revision) {
      const slot = this.first & this.#mask;
      this.#bytes -= this.#sizes[slot]!;
      this.#tailTimeMs = this.#times[slot]!;
      if (this.#unreadable.size > 0) this.#unreadable.delete(this.first);
      this.first++;
    }
    this.tail = revision; // I2
  }

  #resize(capacity: number): void {
    const mask = capacity - 1;
    const moved = <T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T => {
      for (let sequence = this.first; sequence < this.end; sequence++)
        to[sequence & mask] = from[sequence & this.#mask]!;
      return to;
    };
    this.#revisions = moved(this.#revisions, new Float64Array(capacity));
    this.#times = moved(this.#times, new Float64Array(capacity));
    this.#sizes = moved(this.#sizes, new Float64Array(capacity));
    this.#next = moved(this.#next, new Int32Array(capacity));
    this.#previous = moved(this.#previous, new Int32Array(capacity));
    this.#types = moved(this.#types, new Uint8Array(capacity));
    this.#mask = mask;
  }
}
