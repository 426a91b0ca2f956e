import { assert } from '../lib/assert.js';
import { mappedMemory } from '../lib/mapped-memory.js';

/**
 * Addresses count units of 16 bytes, so that 32 bits reach 64 GiB:
 *
 *     address = slab index << unitShift | offset / 16
 *
 * Every slab owns `slabBytes` of the address space, whether or not it is that large; the first slabs
 * of a region are small, so that kinds with ten objects stay cheap. An object larger than that gets a
 * slab of its own and is addressed by its start alone.
 */
export type Address = number;

export const UNIT_BYTES = 16;
export const UNIT_SHIFT = 4;
export const SLAB_BYTES_DEFAULT = 16 * 2 ** 20;
const SLAB_BYTES_MIN = 256 * 2 ** 10;
const ADDRESS_UNITS = 2 ** 32;
const NO_BYTES = Buffer.alloc(0);
const NO_WORDS = new Int32Array(0);

export class Slabs {
  readonly slabBytes: number;
  /** `address >>> unitShift` is the index of the slab. */
  readonly unitShift: number;
  readonly unitMask: number;
  /** By slab index. Buffers over SharedArrayBuffers: sockets and worker threads read them without a copy. */
  readonly bytes: Buffer[] = [];
  readonly words: Int32Array[] = [];
  reservedBytes = 0;
  readonly #freeIndexes: number[] = [];

  constructor(slabBytes = SLAB_BYTES_DEFAULT) {
    assert(
      slabBytes >= SLAB_BYTES_MIN && slabBytes <= 2 ** 30 && Number.isInteger(Math.log2(slabBytes)),
      `slabBytes must be a power of two between 256 KiB and 1 GiB, not ${slabBytes}`,
    );
    this.slabBytes = slabBytes;
    this.unitShift = Math.log2(slabBytes) - UNIT_SHIFT;
    this.unitMask = 2 ** this.unitShift - 1;
  }

  /** Reserves a slab for a region that holds `regionBytes` already; regions double until slabs reach full size. */
  add(regionBytes: number): number {
    let size = SLAB_BYTES_MIN;
    while (size < this.slabBytes && size < regionBytes) size *= 2;
    return this.#reserve(size);
  }

  /** Reserves a slab for one object that is larger than a slab. */
  addOversize(size: number): number {
    return this.#reserve(Math.ceil(size / 4096) * 4096);
  }

  /** Gives a slab back. The caller promises that nothing points into it. */
  drop(index: number): void {
    const size = this.bytes[index]!.length;
    assert(size > 0, `slab ${index} is dropped twice`);
    this.bytes[index] = NO_BYTES;
    this.words[index] = NO_WORDS;
    this.reservedBytes -= size;
    this.#freeIndexes.push(index);
  }

  addressOf(index: number): Address {
    return (index << this.unitShift) >>> 0;
  }

  /** Offset in bytes of an address in its slab. */
  offsetOf(address: Address): number {
    return (address & this.unitMask) << UNIT_SHIFT;
  }

  #reserve(size: number): number {
    const index = this.#freeIndexes.pop() ?? this.bytes.length;
    assert((index + 1) * 2 ** this.unitShift <= ADDRESS_UNITS, 'versions: the address space of the slabs is full');
    const shared = mappedMemory(size);
    this.bytes[index] = Buffer.from(shared, 0, size);
    this.words[index] = new Int32Array(shared, 0, size / 4);
    this.reservedBytes += size;
    return index;
  }
}
