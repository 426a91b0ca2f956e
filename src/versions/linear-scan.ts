import { assert, InvariantError } from '../lib/assert.js';
import type { Allocator } from './allocator.js';
import { type Address, type Slabs, UNIT_BYTES } from './slabs.js';

/**
 * First fit over free extents in address order: what bbolt did before the segregated map. The
 * baseline of the allocator benches: it packs well, and slows down with every hole.
 *
 * Invariants:
 *   A1  free extents lie inside one slab each, ascend and do not touch.
 *   A3  free and used units add up to the slabs' size.
 */
export class LinearScanAllocator implements Allocator {
  readonly name = 'linear-scan';
  usedBytes = 0;
  readonly #slabs: Slabs;
  readonly #unitsPerSlab: number;
  readonly #slabUnits = new Map<number, number>();
  #regionBytes = 0;
  #oversizeBytes = 0;
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];

  constructor(slabs: Slabs) {
    this.#slabs = slabs;
    this.#unitsPerSlab = slabs.slabBytes / UNIT_BYTES;
  }

  allocate(size: number): Address {
    const units = unitsOf(size);
    if (units > this.#unitsPerSlab) return this.#allocateOversize(size);
    let index = this.#firstFit(units);
    if (index === -1) {
      this.#addSlab(units);
      index = this.#firstFit(units);
    }
    const start = this.#starts[index]!;
    if (this.#lengths[index] === units) {
      this.#starts.splice(index, 1);
      this.#lengths.splice(index, 1);
    } else {
      this.#starts[index]! += units;
      this.#lengths[index]! -= units;
    }
    this.usedBytes += units * UNIT_BYTES;
    return start;
  }

  free(address: Address, size: number): void {
    const units = unitsOf(size);
    if (units > this.#unitsPerSlab) {
      this.#freeOversize(address, size);
      return;
    }
    this.usedBytes -= units * UNIT_BYTES;
    this.#insert(address, units);
  }

  verify(): void {
    let free = 0;
    for (let index = 0; index < this.#starts.length; index++) {
      const start = this.#starts[index]!;
      const end = start + this.#lengths[index]!;
      const slab = Math.floor(start / this.#unitsPerSlab);
      const slabUnits = this.#slabUnits.get(slab);
      assert(slabUnits !== undefined, `A1: extent ${start} lies in no slab`);
      assert(end <= slab * this.#unitsPerSlab + slabUnits, `A1: extent ${start} leaves its slab`);
      const next = this.#starts[index + 1] ?? Number.POSITIVE_INFINITY;
      assert(end < next || (end === next && end % this.#unitsPerSlab === 0), `A1: extent ${start} touches the next`);
      free += end - start;
    }
    const total = free * UNIT_BYTES + this.usedBytes - this.#oversizeBytes;
    assert(total === this.#regionBytes, `A3: ${total} bytes are free or used, the slabs have ${this.#regionBytes}`);
  }

  #firstFit(units: number): number {
    const lengths = this.#lengths;
    for (let index = 0; index < lengths.length; index++) {
      if (lengths[index]! >= units) return index;
    }
    return -1;
  }

  #addSlab(units: number): void {
    const slab = this.#slabs.add(Math.max(this.#regionBytes, units * UNIT_BYTES));
    const slabUnits = this.#slabs.bytes[slab]!.length / UNIT_BYTES;
    this.#slabUnits.set(slab, slabUnits);
    this.#regionBytes += slabUnits * UNIT_BYTES;
    this.#insert(this.#slabs.addressOf(slab), slabUnits);
  }

  #insert(start: number, units: number): void {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! < start) low = middle + 1;
      else high = middle;
    }
    const end = start + units;
    if (low < this.#starts.length && end > this.#starts[low]!) throw new InvariantError(`slot ${start} is freed twice`);
    const joinsNext = this.#starts[low] === end && end % this.#unitsPerSlab !== 0;
    const before = low - 1;
    const joinsBefore =
      before >= 0 && this.#starts[before]! + this.#lengths[before]! === start && start % this.#unitsPerSlab !== 0;
    if (joinsBefore && joinsNext) {
      this.#lengths[before]! += units + this.#lengths[low]!;
      this.#starts.splice(low, 1);
      this.#lengths.splice(low, 1);
    } else if (joinsBefore) {
      this.#lengths[before]! += units;
    } else if (joinsNext) {
      this.#starts[low] = start;
      this.#lengths[low]! += units;
    } else {
      this.#starts.splice(low, 0, start);
      this.#lengths.splice(low, 0, units);
    }
  }

  #allocateOversize(size: number): Address {
    const slab = this.#slabs.addOversize(size);
    const reserved = this.#slabs.bytes[slab]!.length;
    this.usedBytes += reserved;
    this.#oversizeBytes += reserved;
    return this.#slabs.addressOf(slab);
  }

  #freeOversize(address: Address, size: number): void {
    const slab = address >>> this.#slabs.unitShift;
    const reserved = this.#slabs.bytes[slab]!.length;
    assert(reserved >= size, `slot ${address} is freed twice`);
    this.usedBytes -= reserved;
    this.#oversizeBytes -= reserved;
    this.#slabs.drop(slab);
  }
}

function unitsOf(size: number): number {
  return Math.max(1, Math.ceil(size / UNIT_BYTES));
}
