import type { ByteRange } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';

/** Compares keys where they lie, in Versions. Keeps scratch ranges, so that no comparison allocates. */
export class KeyOrder {
  /** How many leading bytes the last comparison found equal. */
  shared = 0;
  readonly #versions: Versions;
  readonly #left: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
  readonly #right: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(versions: Versions) {
    this.#versions = versions;
  }

  /** The caller knows that the first `skip` bytes are equal: keys of one kind share a long prefix. */
  compare(key: ByteRange, id: VersionId, skip: number): number {
    const right = this.#versions.key(id, this.#right);
    const leftBytes = key.bytes;
    const rightBytes = right.bytes;
    const leftStart = key.start;
    const rightStart = right.start;
    const leftLength = key.end - leftStart;
    const rightLength = right.end - rightStart;
    const length = Math.min(leftLength, rightLength);
    for (let offset = skip; offset < length; offset++) {
      const difference = leftBytes[leftStart + offset]! - rightBytes[rightStart + offset]!;
      if (difference !== 0) {
        this.shared = offset;
        return difference;
      }
    }
    this.shared = length;
    return leftLength - rightLength;
  }

  compareIds(a: VersionId, b: VersionId): number {
    return this.compare(this.#versions.key(a, this.#left), b, 0);
  }
}

/** `[0]` ends a range at the end of all keys, as in etcd; see `prefixEnd`. */
export function isOpenEnd(to: ByteRange): boolean {
  return to.end - to.start === 1 && to.bytes[to.start] === 0;
}
