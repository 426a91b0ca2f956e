import { assert } from '../lib/assert.js';
import type { ByteRange } from '../lib/bytes.js';
import type { Allocator } from '../versions/allocator.js';
import { SizeClassAllocator } from '../versions/size-classes.js';
import { type Address, Slabs } from '../versions/slabs.js';
import { grown } from './chains.js';

export const NO_VALUE = -1;
const SLOTS_MIN = 64;
/** Below this, calling out of JavaScript takes longer than comparing: 83 ns, or 2 ns a byte. */
const NATIVE_COMPARE_MIN = 48;
const ADDRESS = 1;
const LENGTH = 2;
/** In the place of a length. */
const FREE = -1;
const SLAB_BYTES = 2 ** 20;

/** Where the texts of a kind's terms lie: outside the JavaScript heap, shared by all its dictionaries. */
export class TermBytes {
  readonly slabs = new Slabs(SLAB_BYTES);
  readonly allocator: Allocator = new SizeClassAllocator(this.slabs);
}

/**
 * Texts to small numbers and back. A hash table of numbers over texts in slabs; a number that was released
 * is given to another text later.
 *
 * Invariants:
 *   D1  every live value is found under its own text, and under no other number.
 *   D2  no free slot lies between a value's home and its place.
 */
export class Dictionary {
  /** Live values. */
  size = 0;
  /** Values below this have been live at least once. */
  touched = 0;
  readonly #bytes: TermBytes;
  readonly #seed: number;
  /** Value + 1, or 0; a power of two long. */
  #slots = new Int32Array(SLOTS_MIN);
  /** By value, side by side because they are read together: hash, address (of a free value: the next free one), length. */
  #values = new Int32Array(0);
  #textBytes = 0;
  #freeHead = NO_VALUE;

  constructor(bytes: TermBytes, seed: number) {
    this.#bytes = bytes;
    this.#seed = seed | 0;
  }

  get reservedBytes(): number {
    return this.#slots.byteLength + this.#values.byteLength + this.#textBytes;
  }

  isLive(value: number): boolean {
    return value < this.touched && this.#values[(value << 2) + LENGTH]! !== FREE;
  }

  find(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    const hash = hashOf(bytes, start, end, this.#seed);
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const value = this.#slots[slot]! - 1;
      if (value === NO_VALUE) return NO_VALUE;
      if (this.#values[value << 2] === hash && this.equals(value, bytes, start, end)) return value;
    }
  }

  /** The number of a text, which becomes live if it is not. */
  intern(bytes: Uint8Array, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    const hash = hashOf(bytes, start, end, this.#seed);
    let slot = hash & mask;
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      const value = this.#slots[slot]! - 1;
      if (this.#values[value << 2] === hash && this.equals(value, bytes, start, end)) return value;
    }
    const value = this.#take();
    const length = end - start;
    const { slabs, allocator } = this.#bytes;
    const address = length === 0 ? 0 : allocator.allocate(length);
    const at = value << 2;
    this.#values[at] = hash;
    this.#values[at + ADDRESS] = address | 0;
    this.#values[at + LENGTH] = length;
    if (length > 0) {
      const slab = slabs.bytes[address >>> slabs.unitShift]!;
      const to = slabs.offsetOf(address);
      for (let offset = 0; offset < length; offset++) slab[to + offset] = bytes[start + offset]!;
    }
    this.#slots[slot] = value + 1;
    this.#textBytes += (length + 15) & ~15;
    this.size++;
    if (this.size * 4 > this.#slots.length * 3) this.#rehash(this.#slots.length * 2);
    return value;
  }

  release(value: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#values[value << 2]! & mask;
    while (this.#slots[slot] !== value + 1) slot = (slot + 1) & mask;
    // Whoever comes after the gap and does not need it to be found moves up (D2).
    for (let from = (slot + 1) & mask; this.#slots[from] !== 0; from = (from + 1) & mask) {
      const home = this.#values[(this.#slots[from]! - 1) << 2]! & mask;
      if (((from - home) & mask) < ((from - slot) & mask)) continue;
      this.#slots[slot] = this.#slots[from]!;
      slot = from;
    }
    this.#slots[slot] = 0;
    const at = value << 2;
    const length = this.#values[at + LENGTH]!;
    if (length > 0) this.#bytes.allocator.free(this.#addressOf(value), length);
    this.#textBytes -= (length + 15) & ~15;
    this.#values[at + LENGTH] = FREE;
    this.#values[at + ADDRESS] = this.#freeHead;
    this.#freeHead = value;
    this.size--;
  }

  bytesOf(value: number, into: ByteRange): ByteRange {
    const length = this.#values[(value << 2) + LENGTH]!;
    if (length === 0) {
      into.start = into.end = 0;
      return into;
    }
    const { slabs } = this.#bytes;
    const address = this.#addressOf(value);
    into.bytes = slabs.bytes[address >>> slabs.unitShift]!;
    into.start = slabs.offsetOf(address);
    into.end = into.start + length;
    return into;
  }

  equals(value: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = this.#values[(value << 2) + LENGTH]!;
    if (length !== end - start) return false;
    if (length === 0) return true;
    const { slabs } = this.#bytes;
    const address = this.#addressOf(value);
    const slab = slabs.bytes[address >>> slabs.unitShift]!;
    const at = slabs.offsetOf(address);
    if (length >= NATIVE_COMPARE_MIN) return slab.compare(bytes, start, end, at, at + length) === 0;
    for (let offset = 0; offset < length; offset++) if (slab[at + offset] !== bytes[start + offset]) return false;
    return true;
  }

  /** Gives every text back: the owner is dropped. */
  clear(): void {
    for (let value = 0; value < this.touched; value++) if (this.isLive(value)) this.release(value);
  }

  verify(): void {
    const range: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
    let live = 0;
    for (let value = 0; value < this.touched; value++) {
      if (!this.isLive(value)) continue;
      live++;
      const { bytes, start, end } = this.bytesOf(value, range);
      assert(this.find(bytes, start, end) === value, `D1: value ${value} is not found under its text`);
    }
    assert(live === this.size, `D1: ${live} values are live, counted ${this.size}`);
  }

  #addressOf(value: number): Address {
    return this.#values[(value << 2) + ADDRESS]! >>> 0;
  }

  #take(): number {
    if (this.#freeHead !== NO_VALUE) {
      const value = this.#freeHead;
      this.#freeHead = this.#values[(value << 2) + ADDRESS]!;
      return value;
    }
    const value = this.touched++;
    this.#values = grown(this.#values, this.touched << 2, FREE);
    return value;
  }

  #rehash(length: number): void {
    const slots = new Int32Array(length);
    for (let value = 0; value < this.touched; value++) {
      if (!this.isLive(value)) continue;
      let slot = this.#values[value << 2]! & (length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (length - 1);
      slots[slot] = value + 1;
    }
    this.#slots = slots;
  }
}

/** FNV-1a with a seed (clients choose the texts), mixed at the end so that the low bits depend on all. */
function hashOf(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed ^ 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
