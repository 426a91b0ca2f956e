import type { Address, Slabs } from './slabs.js';

/**
 * An Allocator hands out slots in slabs. Slots do not overlap, start on 16-byte units and stay where
 * they are. `free` gets the size that was asked for, so an allocator needs no header in front of a slot.
 */
export interface Allocator {
  readonly name: string;
  allocate(size: number): Address;
  /** Whether it would be handed out without another slab; absent where that is not known. */
  fits?(size: number): boolean;
  free(address: Address, size: number): void;
  /** Bytes of all slots handed out, rounding included. */
  readonly usedBytes: number;
  /** Checks the allocator's numbered invariants; throws InvariantError. */
  verify(): void;
}

export type CreateAllocator = (slabs: Slabs) => Allocator;
