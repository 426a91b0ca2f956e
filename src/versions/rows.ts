import { assert } from '../lib/assert.js';
import { mappedMemory } from '../lib/mapped-memory.js';
import { NONE, type VersionId } from './versions.js';

/**
 * The attributes of versions, one row of 32 bytes each. A row holds all columns side by side, so that
 * whatever is asked about a version costs one cache line; separate columns cost one each, which a million
 * objects in random order feel.
 *
 *     f64 0  modRevision          u32 4  address            u32 6  key length << 8 | object offset
 *     f64 1  createRevision       u32 5  wire length        u32 7  start of the wire bytes << 2 | state
 *
 * The address is that of the key, the start counts bytes of the slab.
 *
 * Rows live in chunks, which never move: growing copies nothing and leaves no garbage.
 */
export const ROW_CHUNK_SHIFT = 13;
export const ROWS_PER_CHUNK = 2 ** ROW_CHUNK_SHIFT;
export const ROW_MASK = ROWS_PER_CHUNK - 1;
export const ROW_BYTES = 32;

export const MOD_REVISION = 0;
export const CREATE_REVISION = 1;
export const ADDRESS = 4;
export const WIRE_LENGTH = 5;
export const KEY_AND_OFFSET = 6;
/** The state is what STATE_MASK leaves of it, the start what STATE_BITS shift out. */
export const START_AND_STATE = 7;
export const STATE_BITS = 2;
export const STATE_MASK = 3;

export const FREE = 0;
export const LIVE = 1;
export const RETIRED = 2;

export const KEY_LENGTH_MAX = 2 ** 24 - 1;
export const OBJECT_OFFSET_MAX = 255;

export class Rows {
  /** By `id >>> ROW_CHUNK_SHIFT`: the same memory as doubles (4 a row) and as words (8 a row). */
  readonly doubles: Float64Array[] = [];
  readonly words: Uint32Array[] = [];
  /** Ids below this were handed out at least once. */
  touched = 0;
  freeCount = 0;
  #freeHead: VersionId = NONE;
  #freeTail: VersionId = NONE;
  readonly #reuseOldest: boolean;

  /** `reuseOldest`: a freed id rests as long as possible, so that a holder of a stale id is noticed. */
  constructor(reuseOldest: boolean) {
    this.#reuseOldest = reuseOldest;
  }

  get reservedBytes(): number {
    return this.words.length * ROWS_PER_CHUNK * ROW_BYTES;
  }

  take(): VersionId {
    if (this.#freeHead !== NONE) {
      const id = this.#freeHead;
      this.freeCount--;
      this.#freeHead = this.#nextFree(id);
      if (this.#freeHead === NONE) this.#freeTail = NONE;
      return id;
    }
    if (this.touched === this.words.length * ROWS_PER_CHUNK) {
      const shared = mappedMemory(ROWS_PER_CHUNK * ROW_BYTES);
      this.doubles.push(new Float64Array(shared, 0, (ROWS_PER_CHUNK * ROW_BYTES) / 8));
      this.words.push(new Uint32Array(shared, 0, (ROWS_PER_CHUNK * ROW_BYTES) / 4));
    }
    return this.touched++;
  }

  give(id: VersionId): void {
    this.freeCount++;
    this.#setWord(id, START_AND_STATE, FREE);
    if (this.#reuseOldest && this.#freeTail !== NONE) {
      this.#setWord(id, ADDRESS, 0);
      this.#setWord(this.#freeTail, ADDRESS, id + 1);
      this.#freeTail = id;
      return;
    }
    this.#setWord(id, ADDRESS, this.#freeHead + 1);
    if (this.#freeHead === NONE) this.#freeTail = id;
    this.#freeHead = id;
  }

  word(id: VersionId, field: number): number {
    return this.words[id >>> ROW_CHUNK_SHIFT]![((id & ROW_MASK) << 3) + field]!;
  }

  state(id: VersionId): number {
    return this.word(id, START_AND_STATE) & STATE_MASK;
  }

  double(id: VersionId, field: number): number {
    return this.doubles[id >>> ROW_CHUNK_SHIFT]![((id & ROW_MASK) << 2) + field]!;
  }

  verifyFree(): void {
    let count = 0;
    for (let id = this.#freeHead; id !== NONE; id = this.#nextFree(id)) {
      assert(this.state(id) === FREE, `I1: version ${id} is in the free list but in use`);
      count++;
      assert(count <= this.freeCount, `I1: the free list holds more than ${this.freeCount} ids`);
    }
    assert(count === this.freeCount, `I1: the free list holds ${count} ids, counted ${this.freeCount}`);
  }

  #nextFree(id: VersionId): VersionId {
    return this.word(id, ADDRESS) - 1;
  }

  #setWord(id: VersionId, field: number, value: number): void {
    this.words[id >>> ROW_CHUNK_SHIFT]![((id & ROW_MASK) << 3) + field] = value;
  }
}
