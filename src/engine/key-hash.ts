import { assert, InvariantError } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import { type Random, systemRandom } from '../lib/random.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';

/**
 * Finds a version by its key bytes. Extendible hashing: the top bits of a hash choose a segment, its low
 * bits a slot in it (open addressing, linear probing), and a full segment splits in two. So growing touches
 * one segment of 16 KiB at a time, where doubling one large table stops a million objects for a tenth of a second.
 *
 * A slot is a pair (id + 1, hash): a probe reads keys only where all 32 bits agree. The seed is random,
 * since clients choose the names.
 *
 * Invariants:
 *   H1  every id lies in the segment of its hash, and no empty slot lies between its home and its place.
 *   H2  `size` is the number of filled slots.
 */
export class KeyHash {
  size = 0;
  readonly #versions: Versions;
  readonly #seed: number;
  #depth = 0;
  /** 2^depth entries; segments shallower than the directory fill several neighbouring ones. */
  #directory: Segment[] = [newSegment(0, SLOTS_MIN)];
  readonly #range: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
  /** The key that was hashed last, and the same memory as words: keys are hashed and compared four bytes at a time. */
  #words = new Int32Array(KEY_WORDS_MIN);
  #bytes = new Uint8Array(this.#words.buffer);

  constructor(versions: Versions, random: Random = systemRandom) {
    this.#versions = versions;
    this.#seed = random.int(2 ** 32) | 0;
  }

  hashOf(key: ByteRange): number {
    const { bytes, start, end } = key;
    const length = end - start;
    if (length > this.#bytes.length) {
      this.#words = new Int32Array((length + 3) >> 2);
      this.#bytes = new Uint8Array(this.#words.buffer);
    }
    const scratch = this.#bytes;
    for (let from = start, at = 0; from < end; from++, at++) scratch[at] = bytes[from]!;
    for (let at = length; (at & 3) !== 0; at++) scratch[at] = 0;
    return hashWords(this.#words, length, this.#seed);
  }

  hashOfVersion(id: VersionId): number {
    return this.hashOf(this.#versions.key(id, this.#range));
  }

  find(key: ByteRange): VersionId {
    const hash = this.hashOf(key);
    const length = key.end - key.start;
    const { table, mask } = this.#segmentOf(hash);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = table[slot << 1]!;
      if (entry === 0) return NONE;
      const isIt = table[(slot << 1) + 1] === hash && this.#versions.hasKey(entry - 1, this.#words, length);
      if (isIt) return entry - 1;
    }
  }

  /** Adds an id whose key is not there yet; asserts that. */
  insert(id: VersionId, hash: number, key: ByteRange): void {
    let segment = this.#segmentOf(hash);
    while (segment.used >= segment.usedMax) {
      this.#grow(segment, hash);
      segment = this.#segmentOf(hash);
    }
    const { table, mask } = segment;
    let slot = hash & mask;
    for (; table[slot << 1] !== 0; slot = (slot + 1) & mask) {
      if (table[(slot << 1) + 1] === hash && this.#holds(table[slot << 1]! - 1, key)) {
        throw new InvariantError(
          `engine: version ${id} has the key of ${table[slot << 1]! - 1}, but does not replace it`,
        );
      }
    }
    table[slot << 1] = id + 1;
    table[(slot << 1) + 1] = hash;
    segment.used++;
    this.size++;
  }

  /** The key is the same, so the place is too. */
  replace(previous: VersionId, next: VersionId, hash: number): void {
    const segment = this.#segmentOf(hash);
    segment.table[this.#slotOf(segment, previous, hash) << 1] = next + 1;
  }

  remove(id: VersionId, hash: number): void {
    const segment = this.#segmentOf(hash);
    const { table, mask } = segment;
    let hole = this.#slotOf(segment, id, hash);
    // Later entries of the probe sequence move up, so that no tombstones are needed.
    for (let slot = (hole + 1) & mask; table[slot << 1] !== 0; slot = (slot + 1) & mask) {
      const home = table[(slot << 1) + 1]! & mask;
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
      table[hole << 1] = table[slot << 1]!;
      table[(hole << 1) + 1] = table[(slot << 1) + 1]!;
      hole = slot;
    }
    table[hole << 1] = 0;
    segment.used--;
    this.size--;
  }

  /** The directory and its segments, in bytes. */
  get reservedBytes(): number {
    let bytes = 0;
    for (const segment of new Set(this.#directory)) bytes += segment.table.byteLength;
    return bytes;
  }

  verify(): void {
    let filled = 0;
    for (const segment of new Set(this.#directory)) {
      const { table, mask } = segment;
      let inSegment = 0;
      for (let slot = 0; slot <= mask; slot++) {
        if (table[slot << 1] === 0) continue;
        inSegment++;
        const hash = table[(slot << 1) + 1]!;
        assert(this.#segmentOf(hash) === segment, `H1: version ${table[slot << 1]! - 1} lies in another segment`);
        for (let probe = hash & mask; probe !== slot; probe = (probe + 1) & mask) {
          assert(table[probe << 1] !== 0, `H1: version ${table[slot << 1]! - 1} cannot be reached`);
        }
      }
      assert(inSegment === segment.used, `H2: a segment counts ${segment.used}, holds ${inSegment}`);
      filled += inSegment;
    }
    assert(filled === this.size, `H2: ${filled} slots are filled, counted ${this.size}`);
  }

  #segmentOf(hash: number): Segment {
    return this.#directory[(hash >>> 1) >>> (31 - this.#depth)]!;
  }

  #slotOf({ table, mask }: Segment, id: VersionId, hash: number): number {
    let slot = hash & mask;
    while (table[slot << 1] !== id + 1) {
      if (table[slot << 1] === 0) throw new InvariantError(`engine: version ${id} is not the current one of its key`);
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  #holds(id: VersionId, key: ByteRange): boolean {
    this.hashOf(key); // puts the key where it is compared from
    return this.#versions.hasKey(id, this.#words, key.end - key.start);
  }

  /** Doubles a small segment; splits a large one; doubles the directory when the split needs another bit. */
  #grow(segment: Segment, hash: number): void {
    const slots = segment.mask + 1;
    if (slots < SLOTS_MAX || segment.depth === DEPTH_MAX) {
      const larger = newSegment(segment.depth, slots * 2);
      moveAll(segment, () => larger);
      this.#point(segment, hash, larger, larger);
      return;
    }
    if (segment.depth === this.#depth) {
      this.#directory = this.#directory.flatMap((entry) => [entry, entry]);
      this.#depth++;
    }
    const low = newSegment(segment.depth + 1, slots);
    const high = newSegment(segment.depth + 1, slots);
    const bit = 31 - segment.depth;
    moveAll(segment, (moved) => (((moved >>> bit) & 1) === 0 ? low : high));
    this.#point(segment, hash, low, high);
  }

  /** Puts `low` and `high` in the place of the directory entries of `segment`, half each. */
  #point(segment: Segment, hash: number, low: Segment, high: Segment): void {
    const span = 2 ** (this.#depth - segment.depth);
    const index = (hash >>> 1) >>> (31 - this.#depth);
    const first = index - (index % span);
    for (let offset = 0; offset < span; offset++) {
      this.#directory[first + offset] = offset * 2 < span ? low : high;
    }
  }
}

interface Segment {
  readonly depth: number;
  readonly table: Int32Array;
  readonly mask: number;
  readonly usedMax: number;
  used: number;
}

const SLOTS_MIN = 64;
const SLOTS_MAX = 2_048;
/** Beyond this hashes collide instead of being many: such a segment doubles instead of splitting. */
const DEPTH_MAX = 20;

function newSegment(depth: number, slots: number): Segment {
  return { depth, table: new Int32Array(slots * 2), mask: slots - 1, usedMax: (slots * 3) >> 2, used: 0 };
}

function moveAll(from: Segment, target: (hash: number) => Segment): void {
  for (let slot = 0; slot <= from.mask; slot++) {
    const entry = from.table[slot << 1]!;
    if (entry === 0) continue;
    const hash = from.table[(slot << 1) + 1]!;
    const to = target(hash);
    let free = hash & to.mask;
    while (to.table[free << 1] !== 0) free = (free + 1) & to.mask;
    to.table[free << 1] = entry;
    to.table[(free << 1) + 1] = hash;
    to.used++;
  }
}

const KEY_WORDS_MIN = 64;

/** murmur3's mixing over the first `length` bytes; those that fill up the last word are zero. */
function hashWords(words: Int32Array, length: number, seed: number): number {
  let hash = seed;
  const whole = length >> 2;
  for (let at = 0; at < whole; at++) {
    let word = Math.imul(words[at]!, 0xcc9e2d51);
    word = (word << 15) | (word >>> 17);
    hash ^= Math.imul(word, 0x1b873593);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let rest = (length & 3) === 0 ? 0 : Math.imul(words[whole]!, 0xcc9e2d51);
  rest = (rest << 15) | (rest >>> 17);
  hash ^= Math.imul(rest, 0x1b873593);
  hash ^= length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
