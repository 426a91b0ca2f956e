import { type ByteRange, rangeOf } from '../lib/bytes.js';
import { NONE, type VersionId } from '../versions/versions.js';
import type { Advance, ByteFilter, KeyBounds, Lookup, Ordered, Plan, Selection } from './indexer.js';
import type { Rows } from './rows.js';

/** Objects between two looks at the clock: those whose terms are known take a fraction of those that are read. */
const CLOCK_EVERY = 256;

/** Walks the keys of the parts of a range and keeps what passes. */
export class WalkSelection implements Selection {
  readonly plan: Plan;
  fetched = 0;
  readonly #snapshot: Ordered;
  readonly #parts: readonly KeyBounds[];
  readonly #test: ((id: VersionId) => boolean) | undefined;
  readonly #refresh: (() => void) | undefined;
  #part = 0;
  /** Where the part goes on; undefined: at its beginning. */
  #from: ByteRange | undefined;
  /** The object that `#from` is the key of was taken. */
  #taken: VersionId = NONE;

  constructor(
    plan: Plan,
    snapshot: Ordered,
    parts: readonly KeyBounds[],
    test?: (id: VersionId) => boolean,
    refresh?: () => void,
  ) {
    this.plan = plan;
    this.#snapshot = snapshot;
    this.#parts = parts;
    this.#test = test;
    this.#refresh = refresh;
  }

  advance(visit: (id: VersionId) => boolean, isTime: () => boolean): Advance {
    const test = this.#test;
    const skip = this.#taken;
    let advance: Advance = 'end';
    let last: VersionId = NONE;
    let sinceClock = 0;
    this.#refresh?.();
    const step = (id: VersionId): boolean => {
      if (id === skip) return true;
      this.fetched++;
      last = id;
      if (test === undefined || test(id)) {
        if (!visit(id)) {
          advance = 'stopped';
          return false;
        }
      }
      if (++sinceClock % CLOCK_EVERY === 0 && isTime()) {
        advance = 'paused';
        return false;
      }
      return true;
    };
    for (; this.#part < this.#parts.length; this.#part++) {
      const { from, to } = this.#parts[this.#part]!;
      this.#snapshot.range(this.#from ?? from, to, step);
      if (advance !== 'end') break;
      this.#from = undefined;
    }
    if (advance !== 'end') {
      this.#taken = last;
      this.#from = this.#snapshot.versions.key(last, rangeOf(NO_BYTES)); // pinned by the snapshot
    }
    return advance;
  }
}

/** Ids that were collected, in key order. `filter`: what no index decided. */
export class ListedSelection implements Selection {
  readonly plan: Plan;
  fetched = 0;
  readonly #snapshot: Ordered;
  readonly #ids: Int32Array;
  readonly #filter: ByteFilter | undefined;
  readonly #object: ByteRange = rangeOf(NO_BYTES);
  #at = 0;

  constructor(plan: Plan, snapshot: Ordered, ids: Int32Array, filter: ByteFilter | undefined) {
    this.plan = plan;
    this.#snapshot = snapshot;
    this.#ids = ids;
    this.#filter = filter;
  }

  advance(visit: (id: VersionId) => boolean, isTime: () => boolean): Advance {
    const filter = this.#filter;
    while (this.#at < this.#ids.length) {
      const id = this.#ids[this.#at++]!;
      this.fetched++;
      if (filter === undefined || matches(filter, this.#snapshot, id, this.#object)) {
        if (!visit(id)) return 'stopped';
      }
      if (this.#at % CLOCK_EVERY === 0 && isTime()) return 'paused';
    }
    return 'end';
  }
}

const NO_BYTES = new Uint8Array(0);

export function matches(filter: ByteFilter, { versions }: Ordered, id: VersionId, into: ByteRange): boolean {
  const { bytes, start, end } = versions.object(id, into);
  return filter.matches(bytes, start, end);
}

/**
 * Reads an object's terms where its version is the current one, and its bytes where it is not, or when an index
 * was dropped in between. `refresh` is called at the start of every turn.
 */
export function columnTest(
  snapshot: Ordered,
  rows: Rows,
  lookups: readonly Lookup[],
  filter: ByteFilter,
  decided: boolean,
  isValid: () => boolean,
): { readonly test: (id: VersionId) => boolean; readonly refresh: () => void } {
  const object = rangeOf(NO_BYTES);
  const [first, ...others] = lookups;
  let valid = true;
  return {
    test(id) {
      const row = valid ? rows.rowOf(id) : -1;
      if (row < 0) return matches(filter, snapshot, id, object);
      if (!first!.test(row)) return false;
      for (const lookup of others) if (!lookup.test(row)) return false;
      return decided || matches(filter, snapshot, id, object);
    },
    refresh() {
      valid = isValid();
    },
  };
}
