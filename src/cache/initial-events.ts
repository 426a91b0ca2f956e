import type { Selection } from '../indexer/indexer.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import { NONE, type VersionId } from '../versions/versions.js';
import type { CacheSnapshot, CacheWatchRequest, Framer } from './cache.js';
import type { EventFramer, Group } from './groups.js';

/** Objects of a leaf that are framed between two looks at the size of the chunk. */
const LEAF_PART_COUNT = 16;

/**
 * The state at the start of a stream as ADDED events, a chunk at a time: each object by itself, or, where the keys
 * alone decide and the format knows what to do with it, leaf by leaf. Only the place where it goes on is kept.
 */
export class InitialEvents {
  readonly #snapshot: CacheSnapshot;
  readonly #to: ByteRange;
  /** The watch's own: that of its group may know nothing of leaves. */
  readonly #format: Framer;
  /** undefined: leaf by leaf. */
  readonly #selection: Selection | undefined;
  #from: ByteRange;
  /** What `#from` is the key of has been framed. */
  #last: VersionId = NONE;

  constructor(snapshot: CacheSnapshot, { from, to, filter, framer }: CacheWatchRequest) {
    this.#snapshot = snapshot;
    this.#format = framer;
    this.#from = rangeOf(from);
    this.#to = rangeOf(to);
    const leafwise = filter === undefined && framer.leaf !== undefined && snapshot.leaves !== undefined;
    this.#selection = leafwise ? undefined : snapshot.select({ from: this.#from, to: this.#to, filter, limit: 0 });
  }

  /** Appends to what `framer` has begun until there is enough of it, or it is time. True: that was all. */
  advance(
    framer: EventFramer,
    group: Group<unknown>,
    first: boolean,
    isEnough: () => boolean,
    isTime: () => boolean,
  ): boolean {
    if (this.#selection === undefined) return this.#advanceByLeaves(framer, () => isEnough() || isTime());
    const { versions } = this.#snapshot;
    let isFirst = first;
    const take = (id: VersionId) => {
      framer.initial(group, versions, id, isFirst);
      isFirst = false;
      return !isEnough();
    };
    return this.#selection.advance(take, isTime) === 'end';
  }

  #advanceByLeaves(framer: EventFramer, isEnough: () => boolean): boolean {
    const { versions, leaves } = this.#snapshot;
    let last = this.#last;
    let isAll = true;
    leaves!(this.#from, this.#to, (leaf, start, end) => {
      let at = last !== NONE && leaf.ids[leaf.offset + start] === last ? start + 1 : start;
      while (at < end) {
        const until = Math.min(end, at + LEAF_PART_COUNT);
        framer.leaf(this.#format, versions, leaf, at, until);
        last = leaf.ids[leaf.offset + until - 1]!;
        at = until;
        if (isEnough()) {
          isAll = false;
          return false;
        }
      }
      return true;
    });
    // Pinned by the snapshot, and so is the key.
    if (last !== NONE) this.#from = versions.key(last, rangeOf(NO_BYTES));
    this.#last = last;
    return isAll;
  }
}

const NO_BYTES = new Uint8Array(0);
