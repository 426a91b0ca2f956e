import type { ModRevision } from '../../api/revision.js';
import type { Version } from './key-order.js';

const SEGMENT_BITS = 10;
const SEGMENT_COUNT = 1 << SEGMENT_BITS;

/** Heap that a version costs besides its bytes, roughly: the object, its array buffer, its place in the log. */
const VERSION_OVERHEAD_BYTES = 250;

/**
 * Every version since the last compaction, in the order of writing. A position counts versions from the very
 * first one, so positions stay valid when old versions are dropped from the front.
 */
export class VersionLog {
  #segments: (Version | undefined)[][] = [];
  /** The position of the first cell of the first segment. */
  #base = 0;
  #start = 0;
  #end = 0;
  #byteCount = 0;

  /** The oldest position still here. */
  get start(): number {
    return this.#start;
  }

  /** The position that the next version will have. */
  get end(): number {
    return this.#end;
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  append(version: Version): void {
    const index = this.#end - this.#base;
    if (index >>> SEGMENT_BITS === this.#segments.length) this.#segments.push([]);
    this.#segments[this.#segments.length - 1]!.push(version);
    this.#end++;
    this.#byteCount += version.bytes.length + VERSION_OVERHEAD_BYTES;
  }

  at(position: number): Version {
    const index = position - this.#base;
    return this.#segments[index >>> SEGMENT_BITS]![index & (SEGMENT_COUNT - 1)]!;
  }

  /** The first position whose version has at least this modRevision. */
  positionOf(revision: ModRevision): number {
    let low = this.#start;
    let high = this.#end;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.at(middle).modRevision < revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  dropBefore(position: number): void {
    for (; this.#start < position; this.#start++) {
      const index = this.#start - this.#base;
      const segment = this.#segments[index >>> SEGMENT_BITS]!;
      const cell = index & (SEGMENT_COUNT - 1);
      this.#byteCount -= segment[cell]!.bytes.length + VERSION_OVERHEAD_BYTES;
      segment[cell] = undefined;
    }
    const emptyCount = (this.#start - this.#base) >>> SEGMENT_BITS;
    if (emptyCount > 0) {
      this.#segments.splice(0, emptyCount);
      this.#base += emptyCount * SEGMENT_COUNT;
    }
  }
}
