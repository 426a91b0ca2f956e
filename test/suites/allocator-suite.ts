import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CreateAllocator } from '../../src/versions/allocator.js';
import { Slabs, UNIT_BYTES } from '../../src/versions/slabs.js';
import { withSeed } from '../engine/with-seed.js';

const SLAB_BYTES = 2 ** 20;

/** What every Allocator promises. Each implementation runs it. */
export function allocatorSuite(name: string, createAllocator: CreateAllocator): void {
  describe(`allocator ${name}`, () => {
    test('slots lie in slabs, start on units and do not overlap; all sizes', () => {
      const slabs = new Slabs(SLAB_BYTES);
      const allocator = createAllocator(slabs);
      const sizes = [0, 1, 15, 16, 17, 300, 511, 512, 513, 4096, 8191, 8192, 8193, 65_536, 700_000, SLAB_BYTES];
      const slots = new SlotMap(slabs);
      for (let round = 0; round < 5; round++) {
        for (const size of sizes) slots.add(allocator.allocate(size), size);
        slots.add(allocator.allocate(SLAB_BYTES * 2 + 12_345), SLAB_BYTES * 2 + 12_345);
        allocator.verify();
      }
      for (const [address, size] of slots.all()) allocator.free(address, size);
      assert.equal(allocator.usedBytes, 0);
      allocator.verify();
    });

    test('bytes written to a slot stay while others come and go', () =>
      withSeed((random) => {
        const slabs = new Slabs(SLAB_BYTES);
        const allocator = createAllocator(slabs);
        const slots = new SlotMap(slabs);
        for (let step = 0; step < 20_000; step++) {
          if (slots.size > 0 && random.chance(step < 12_000 ? 0.45 : 0.6)) {
            const [address, size] = slots.takeAny(random.int(slots.size));
            allocator.free(address, size);
          } else {
            const size = random.chance(0.02) ? random.int(200_000) : random.int(random.chance(0.2) ? 9_000 : 600);
            slots.add(allocator.allocate(size), size);
          }
          if (step % 2_000 === 0) allocator.verify();
        }
        slots.check();
        for (const [address, size] of slots.all()) allocator.free(address, size);
        allocator.verify();
        assert.equal(allocator.usedBytes, 0);
      }));

    test('freed memory serves other sizes: the reserve stays near what is in use', () => {
      const slabs = new Slabs(SLAB_BYTES);
      const allocator = createAllocator(slabs);
      let slots: [number, number][] = [];
      for (let round = 0; round < 40; round++) {
        const size = 100 + round * 150; // objects of a kind grow over time
        const next: [number, number][] = [];
        for (let index = 0; index < 500; index++) next.push([allocator.allocate(size), size]);
        for (const [address, old] of slots) allocator.free(address, old);
        slots = next;
      }
      const inUse = slots.reduce((sum, [, size]) => sum + size, 0);
      assert.ok(slabs.reservedBytes < inUse * 3 + 2 * SLAB_BYTES, `${slabs.reservedBytes} reserved for ${inUse}`);
      allocator.verify();
    });

    test('rounding costs at most five percent above 300 bytes', () => {
      const allocator = createAllocator(new Slabs(SLAB_BYTES));
      let asked = 0;
      for (let size = 300; size < 60_000; size += 37) {
        asked += size;
        allocator.allocate(size);
      }
      assert.ok(allocator.usedBytes >= asked);
      assert.ok(allocator.usedBytes < asked * 1.05, `${allocator.usedBytes} bytes for ${asked}`);
    });

    test('freeing twice is noticed', () => {
      const allocator = createAllocator(new Slabs(SLAB_BYTES));
      const address = allocator.allocate(100_000);
      allocator.free(address, 100_000);
      assert.throws(() => allocator.free(address, 100_000), /freed twice/);
    });
  });
}

/** Slots with a pattern written into each; a pattern that changed means that slots overlap. */
class SlotMap {
  readonly #slabs: Slabs;
  readonly #slots: [address: number, size: number, pattern: number][] = [];
  #pattern = 0;

  constructor(slabs: Slabs) {
    this.#slabs = slabs;
  }

  get size(): number {
    return this.#slots.length;
  }

  add(address: number, size: number): void {
    const slab = this.#slabs.bytes[address >>> this.#slabs.unitShift]!;
    const offset = this.#slabs.offsetOf(address);
    assert.equal(offset % UNIT_BYTES, 0);
    assert.ok(offset + size <= slab.length, `slot ${address} of ${size} bytes leaves its slab`);
    this.#pattern = (this.#pattern + 1) & 0xff;
    slab.fill(this.#pattern, offset, offset + size);
    this.#slots.push([address, size, this.#pattern]);
  }

  takeAny(index: number): [address: number, size: number] {
    const slot = this.#slots[index]!;
    this.#slots[index] = this.#slots[this.#slots.length - 1]!;
    this.#slots.pop();
    this.#checkOne(slot);
    return [slot[0], slot[1]];
  }

  *all(): Iterable<[address: number, size: number]> {
    this.check();
    for (const [address, size] of this.#slots) yield [address, size];
  }

  check(): void {
    for (const slot of this.#slots) this.#checkOne(slot);
  }

  #checkOne([address, size, pattern]: [number, number, number]): void {
    const slab = this.#slabs.bytes[address >>> this.#slabs.unitShift]!;
    const offset = this.#slabs.offsetOf(address);
    for (let at = offset; at < offset + size; at++) {
      if (slab[at] !== pattern) assert.fail(`byte ${at - offset} of slot ${address} (${size} bytes) was overwritten`);
    }
  }
}
