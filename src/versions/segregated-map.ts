import { assert, InvariantError } from '../lib/assert.js';
import type { Allocator } from './allocator.js';
import { type Address, type Slabs, UNIT_BYTES } from './slabs.js';

/**
 * Free extents by size in hash maps, with coalescing of neighbours through maps keyed by an extent's
 * start and end. This is the page allocator that etcd's bbolt adopted from Alibaba in place of its
 * linear scan: O(1) for a size that was freed before. Where bbolt walks its map for a larger extent,
 * a bitmap of sizes finds the smallest that fits.
 *
 * The map holds one entry per free extent, never one per object.
 *
 * Invariants:
 *   A1  free extents lie inside one slab each, do not overlap and do not touch.
 *   A2  the maps by start, by end and by size hold the same extents.
 *   A3  free and used granules add up to the slabs' size.
 */
export class SegregatedMapAllocator implements Allocator {
  readonly name = 'segregated-map';
  usedBytes = 0;
  readonly #slabs: Slabs;
  readonly #granuleUnits: number;
  readonly #granuleBytes: number;
  readonly #granulesPerSlab: number;
  /** Granules of each slab of this region, by slab index. */
  readonly #regionSlabs = new Map<number, number>();
  #regionBytes = 0;
  #oversizeBytes = 0;
  readonly #lengthByStart = new Map<number, number>();
  readonly #startByEnd = new Map<number, number>();
  readonly #startsBySize = new Map<number, Set<number>>();
  /** Bit n: some free extent has n granules. The summary has a bit per word that is not zero. */
  readonly #sizes: Int32Array;
  readonly #sizesSummary: Int32Array;

  constructor(slabs: Slabs, granuleBytes = UNIT_BYTES) {
    this.#slabs = slabs;
    this.#granuleBytes = granuleBytes;
    this.#granuleUnits = granuleBytes / UNIT_BYTES;
    this.#granulesPerSlab = slabs.slabBytes / granuleBytes;
    const words = (this.#granulesPerSlab >>> 5) + 1;
    this.#sizes = new Int32Array(words);
    this.#sizesSummary = new Int32Array((words >>> 5) + 1);
  }

  allocate(size: number): Address {
    const granules = this.#granulesOf(size);
    if (granules > this.#granulesPerSlab) return this.#allocateOversize(size);
    let found = this.#smallestSize(granules);
    if (found === -1) {
      this.#addSlab(granules);
      found = this.#smallestSize(granules);
    }
    const starts = this.#startsBySize.get(found)!;
    const start = starts.values().next().value!;
    this.#remove(start, found);
    if (found > granules) this.#insert(start + granules, found - granules);
    this.usedBytes += granules * this.#granuleBytes;
    return start * this.#granuleUnits;
  }

  fits(size: number): boolean {
    const granules = this.#granulesOf(size);
    return granules <= this.#granulesPerSlab && this.#smallestSize(granules) !== -1;
  }

  free(address: Address, size: number): void {
    const granules = this.#granulesOf(size);
    if (granules > this.#granulesPerSlab) {
      this.#freeOversize(address, size);
      return;
    }
    let start = address / this.#granuleUnits;
    let length = granules;
    if (this.#lengthByStart.has(start)) throw new InvariantError(`slot ${address} is freed twice`);
    this.usedBytes -= granules * this.#granuleBytes;
    if (start % this.#granulesPerSlab !== 0) {
      const before = this.#startByEnd.get(start);
      if (before !== undefined) {
        const beforeLength = start - before;
        this.#remove(before, beforeLength);
        start = before;
        length += beforeLength;
      }
    }
    const end = start + length;
    if (end % this.#granulesPerSlab !== 0) {
      const afterLength = this.#lengthByStart.get(end);
      if (afterLength !== undefined) {
        this.#remove(end, afterLength);
        length += afterLength;
      }
    }
    this.#insert(start, length);
    if (start % this.#granulesPerSlab === 0) this.#dropIfEmpty(start, length);
  }

  verify(): void {
    let freeGranules = 0;
    let previousEnd = -1;
    for (const [start, length] of [...this.#lengthByStart].sort((a, b) => a[0] - b[0])) {
      const slabStart = Math.floor(start / this.#granulesPerSlab) * this.#granulesPerSlab;
      const slabGranules = this.#regionSlabs.get(slabStart / this.#granulesPerSlab);
      assert(slabGranules !== undefined, `A1: extent ${start} lies in no slab of this region`);
      assert(start + length <= slabStart + slabGranules, `A1: extent ${start}+${length} leaves its slab`);
      const touches = start < previousEnd || (start === previousEnd && start !== slabStart);
      assert(!touches, `A1: extent ${start} touches the one before it`);
      assert(this.#startByEnd.get(start + length) === start, `A2: extent ${start} is missing by its end`);
      assert(this.#startsBySize.get(length)?.has(start), `A2: extent ${start} is missing by its size`);
      freeGranules += length;
      previousEnd = start + length;
    }
    let bySize = 0;
    for (const [size, starts] of this.#startsBySize) {
      const marked = (this.#sizes[size >>> 5]! & (1 << (size & 31))) !== 0;
      assert(starts.size > 0 && marked, `A2: size ${size} is empty or not marked`);
      bySize += starts.size;
    }
    assert(bySize === this.#lengthByStart.size && bySize === this.#startByEnd.size, 'A2: the maps differ in size');
    const total = freeGranules * this.#granuleBytes + this.usedBytes - this.#oversizeBytes;
    assert(total === this.#regionBytes, `A3: ${total} bytes are free or used, the slabs have ${this.#regionBytes}`);
  }

  #granulesOf(size: number): number {
    return Math.max(1, Math.ceil(size / this.#granuleBytes));
  }

  #addSlab(granules: number): void {
    const index = this.#slabs.add(Math.max(this.#regionBytes, granules * this.#granuleBytes));
    const count = this.#slabs.bytes[index]!.length / this.#granuleBytes;
    this.#regionSlabs.set(index, count);
    this.#regionBytes += count * this.#granuleBytes;
    this.#insert(index * this.#granulesPerSlab, count);
  }

  /** One empty slab is kept, so that a region at the edge of a slab does not give and take on every call. */
  #dropIfEmpty(start: number, length: number): void {
    const index = start / this.#granulesPerSlab;
    if (this.#regionSlabs.get(index) !== length || this.#regionSlabs.size === 1) return;
    if (this.#regionBytes + this.#oversizeBytes - this.usedBytes < length * this.#granuleBytes * 2) return;
    this.#remove(start, length);
    this.#regionSlabs.delete(index);
    this.#regionBytes -= length * this.#granuleBytes;
    this.#slabs.drop(index);
  }

  #allocateOversize(size: number): Address {
    const index = this.#slabs.addOversize(size);
    const reserved = this.#slabs.bytes[index]!.length;
    this.usedBytes += reserved;
    this.#oversizeBytes += reserved;
    return this.#slabs.addressOf(index);
  }

  #freeOversize(address: Address, size: number): void {
    const index = address >>> this.#slabs.unitShift;
    const reserved = this.#slabs.bytes[index]!.length;
    assert(reserved >= size, `slot ${address} is freed twice`);
    this.usedBytes -= reserved;
    this.#oversizeBytes -= reserved;
    this.#slabs.drop(index);
  }

  #insert(start: number, length: number): void {
    this.#lengthByStart.set(start, length);
    this.#startByEnd.set(start + length, start);
    const starts = this.#startsBySize.get(length);
    if (starts !== undefined) {
      starts.add(start);
      return;
    }
    this.#startsBySize.set(length, new Set([start]));
    this.#sizes[length >>> 5]! |= 1 << (length & 31);
    this.#sizesSummary[length >>> 10]! |= 1 << ((length >>> 5) & 31);
  }

  #remove(start: number, length: number): void {
    this.#lengthByStart.delete(start);
    this.#startByEnd.delete(start + length);
    const starts = this.#startsBySize.get(length)!;
    starts.delete(start);
    if (starts.size > 0) return;
    this.#startsBySize.delete(length);
    const word = length >>> 5;
    this.#sizes[word]! &= ~(1 << (length & 31));
    if (this.#sizes[word] === 0) this.#sizesSummary[word >>> 5]! &= ~(1 << (word & 31));
  }

  /** The smallest free size that is at least `granules`, or -1. */
  #smallestSize(granules: number): number {
    const word = granules >>> 5;
    const inWord = this.#sizes[word]! & (-1 << (granules & 31));
    if (inWord !== 0) return (word << 5) + lowestBit(inWord);
    let summaryWord = (word + 1) >>> 5;
    if (summaryWord >= this.#sizesSummary.length) return -1;
    let summary = this.#sizesSummary[summaryWord]! & (-1 << ((word + 1) & 31));
    while (summary === 0) {
      if (++summaryWord >= this.#sizesSummary.length) return -1;
      summary = this.#sizesSummary[summaryWord]!;
    }
    const next = (summaryWord << 5) + lowestBit(summary);
    return (next << 5) + lowestBit(this.#sizes[next]!);
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
