import { assert, InvariantError } from '../lib/assert.js';
import type { Allocator } from './allocator.js';
import { SegregatedMapAllocator } from './segregated-map.js';
import { type Address, type Slabs, UNIT_BYTES, UNIT_SHIFT } from './slabs.js';

/**
 * The default allocator: slots of equal size share a span of 64 KiB.
 *
 *     size <= 512 B       classes in steps of 16 B
 *     size <= 8 KiB       32 classes per power of two: at most 3% is rounding
 *     larger              a region of its own, 512 B granules (segregated map)
 *
 * A bit says whether a slot is free, beside the slabs, not in them: giving a slot back does not touch its
 * memory, which the caches have long forgotten. A span whose slots are all free returns to its slab for any
 * class, and an empty slab returns to the system: a kind whose objects grow over time does not keep the
 * classes it has left.
 *
 * Invariants:
 *   A1  a span's free bits and its used slots add up to the slots of its class.
 *   A2  a span is in its class's list exactly when it has a free slot.
 *   A3  used, free and unassigned spans add up to the slabs' size.
 */
export class SizeClassAllocator implements Allocator {
  readonly name = 'size-classes';
  readonly #slabs: Slabs;
  readonly #large: SegregatedMapAllocator;
  #smallBytes = 0;
  /** By class: the first span with a free slot, or -1. */
  readonly #open = new Int32Array(CLASS_COUNT).fill(-1);
  /** By span number, SPAN_FIELDS values each; see the constants below. */
  #spans = new Int32Array(0);
  readonly #regions: Region[] = [];
  #regionBytes = 0;

  constructor(slabs: Slabs) {
    this.#slabs = slabs;
    this.#large = new SegregatedMapAllocator(slabs, LARGE_GRANULE_BYTES);
  }

  get usedBytes(): number {
    return this.#smallBytes + this.#large.usedBytes;
  }

  allocate(size: number): Address {
    if (size > SMALL_BYTES_MAX) return this.#large.allocate(size);
    const sizeClass = classOf(size);
    let span = this.#open[sizeClass]!;
    if (span === -1) span = this.#openSpan(sizeClass);
    const at = span * SPAN_FIELDS;
    const spans = this.#spans;
    let word = at + FREE_BITS;
    while (spans[word] === 0) word++;
    const bits = spans[word]!;
    const slot = (word - at - FREE_BITS) * 32 + 31 - Math.clz32(bits & -bits);
    spans[word] = bits & (bits - 1);
    const slotUnits = CLASS_UNITS[sizeClass]!;
    const used = spans[at + USED]! + 1;
    spans[at + USED] = used;
    if (used === CLASS_SLOTS[sizeClass]) this.#unlink(span, sizeClass);
    this.#smallBytes += slotUnits << UNIT_SHIFT;
    return span * SPAN_UNITS + slot * slotUnits;
  }

  fits(size: number): boolean {
    return size > SMALL_BYTES_MAX && this.#large.fits(size);
  }

  free(address: Address, size: number): void {
    if (size > SMALL_BYTES_MAX) {
      this.#large.free(address, size);
      return;
    }
    const sizeClass = classOf(size);
    const span = Math.floor(address / SPAN_UNITS);
    const at = span * SPAN_FIELDS;
    const spans = this.#spans;
    const slotUnits = CLASS_UNITS[sizeClass]!;
    const slot = Math.floor((address - span * SPAN_UNITS) / slotUnits);
    const word = at + FREE_BITS + (slot >>> 5);
    const bit = 1 << (slot & 31);
    if (spans[at + CLASS] !== sizeClass + 1 || (spans[word]! & bit) !== 0) {
      throw new InvariantError(`slot ${address} is freed twice`);
    }
    spans[word]! |= bit;
    const used = spans[at + USED]! - 1;
    spans[at + USED] = used;
    this.#smallBytes -= slotUnits << UNIT_SHIFT;
    if (used + 1 === CLASS_SLOTS[sizeClass]) this.#link(span, sizeClass);
    // The last open span of a class stays, so that one object coming and going moves no spans.
    const onlyOne = this.#open[sizeClass] === span && spans[at + NEXT] === -1;
    if (used === 0 && !onlyOne) {
      this.#unlink(span, sizeClass);
      this.#closeSpan(span);
    }
  }

  verify(): void {
    this.#large.verify();
    let smallBytes = 0;
    let regionBytes = 0;
    for (const region of this.#regions) {
      if (region.spanCount === 0) continue;
      regionBytes += region.spanCount * SPAN_BYTES;
      let unassigned = 0;
      for (let index = 0; index < region.spanCount; index++) {
        const span = region.firstSpan + index;
        const sizeClass = this.#spans[span * SPAN_FIELDS + CLASS]! - 1;
        const marked = (region.free[index >>> 5]! & (1 << (index & 31))) !== 0;
        assert(marked === (sizeClass === -1), `A3: span ${span} is ${marked ? 'free but assigned' : 'lost'}`);
        if (marked) unassigned++;
        else smallBytes += this.#verifySpan(span, sizeClass);
      }
      const { slab, freeCount } = region;
      assert(unassigned === freeCount, `A3: slab ${slab} counts ${freeCount} free spans, has ${unassigned}`);
    }
    assert(smallBytes === this.#smallBytes, `A3: spans hold ${smallBytes} bytes, counted ${this.#smallBytes}`);
    assert(regionBytes === this.#regionBytes, `A3: slabs hold ${regionBytes} bytes, counted ${this.#regionBytes}`);
  }

  #verifySpan(span: number, sizeClass: number): number {
    const at = span * SPAN_FIELDS;
    let free = 0;
    for (let slot = 0; slot < SLOTS_MAX; slot++) {
      if ((this.#spans[at + FREE_BITS + (slot >>> 5)]! & (1 << (slot & 31))) === 0) continue;
      assert(slot < CLASS_SLOTS[sizeClass]!, `A1: span ${span} has slot ${slot} free, which it does not have`);
      free++;
    }
    const used = this.#spans[at + USED]!;
    assert(used + free === CLASS_SLOTS[sizeClass], `A1: span ${span} uses ${used} slots and has ${free} free`);
    let listed = false;
    for (let open = this.#open[sizeClass]!; open !== -1; open = this.#spans[open * SPAN_FIELDS + NEXT]!) {
      if (open === span) listed = true;
    }
    assert(listed === free > 0, `A2: span ${span} is ${listed ? 'full but listed' : 'open but not listed'}`);
    return used * CLASS_UNITS[sizeClass]! * UNIT_BYTES;
  }

  #openSpan(sizeClass: number): number {
    let region = this.#regions.find(({ freeCount }) => freeCount > 0);
    region ??= this.#addRegion();
    let word = 0;
    while (region.free[word] === 0) word++;
    const freeSpans = region.free[word]!;
    const bit = 31 - Math.clz32(freeSpans & -freeSpans);
    region.free[word] = freeSpans & (freeSpans - 1);
    region.freeCount--;
    const span = region.firstSpan + word * 32 + bit;
    const at = span * SPAN_FIELDS;
    this.#spans[at + CLASS] = sizeClass + 1;
    this.#spans[at + USED] = 0;
    const slots = CLASS_SLOTS[sizeClass]!;
    const bits = this.#spans.subarray(at + FREE_BITS, at + SPAN_FIELDS).fill(0);
    bits.fill(-1, 0, slots >>> 5);
    if (slots % 32 !== 0) bits[slots >>> 5] = (1 << (slots % 32)) - 1;
    this.#link(span, sizeClass);
    return span;
  }

  #closeSpan(span: number): void {
    this.#spans[span * SPAN_FIELDS + CLASS] = 0;
    const slab = Math.floor((span * SPAN_UNITS) / 2 ** this.#slabs.unitShift);
    const region = this.#regions[slab]!;
    const index = span - region.firstSpan;
    region.free[index >>> 5]! |= 1 << (index & 31);
    region.freeCount++;
    const freeElsewhere = this.#regionBytes - this.#smallBytes - region.spanCount * SPAN_BYTES;
    if (region.freeCount === region.spanCount && freeElsewhere > region.spanCount * SPAN_BYTES) {
      this.#regionBytes -= region.spanCount * SPAN_BYTES;
      this.#slabs.drop(slab);
      this.#regions[slab] = NO_REGION;
    }
  }

  #addRegion(): Region {
    const slab = this.#slabs.add(this.#regionBytes);
    const spanCount = this.#slabs.bytes[slab]!.length / SPAN_BYTES;
    const firstSpan = this.#slabs.addressOf(slab) / SPAN_UNITS;
    const free = new Int32Array(Math.ceil(spanCount / 32)).fill(-1);
    if (spanCount % 32 !== 0) free[free.length - 1] = (1 << (spanCount % 32)) - 1;
    // Slabs of the large region take indexes too; their places here stay empty.
    while (this.#regions.length < slab) this.#regions.push(NO_REGION);
    this.#regions[slab] = { slab, firstSpan, spanCount, free, freeCount: spanCount };
    this.#regionBytes += spanCount * SPAN_BYTES;
    const needed = (firstSpan + spanCount) * SPAN_FIELDS;
    if (needed > this.#spans.length) {
      const grown = new Int32Array(needed);
      grown.set(this.#spans);
      this.#spans = grown;
    }
    return this.#regions[slab]!;
  }

  #link(span: number, sizeClass: number): void {
    const at = span * SPAN_FIELDS;
    const first = this.#open[sizeClass]!;
    this.#spans[at + NEXT] = first;
    this.#spans[at + PREVIOUS] = -1;
    if (first !== -1) this.#spans[first * SPAN_FIELDS + PREVIOUS] = span;
    this.#open[sizeClass] = span;
  }

  #unlink(span: number, sizeClass: number): void {
    const at = span * SPAN_FIELDS;
    const next = this.#spans[at + NEXT]!;
    const previous = this.#spans[at + PREVIOUS]!;
    if (next !== -1) this.#spans[next * SPAN_FIELDS + PREVIOUS] = previous;
    if (previous !== -1) this.#spans[previous * SPAN_FIELDS + NEXT] = next;
    else this.#open[sizeClass] = next;
  }
}

interface Region {
  readonly slab: number;
  readonly firstSpan: number;
  readonly spanCount: number;
  /** A bit per span that belongs to no class. */
  readonly free: Int32Array;
  freeCount: number;
}

const NO_REGION: Region = { slab: -1, firstSpan: 0, spanCount: 0, free: new Int32Array(0), freeCount: 0 };

const SPAN_BYTES = 64 * 2 ** 10;
const SPAN_UNITS = SPAN_BYTES / UNIT_BYTES;
const SMALL_BYTES_MAX = 8 * 2 ** 10;
const LARGE_GRANULE_BYTES = 512;
/** Up to here classes step by one unit. */
const FINE_UNITS_MAX = 32;

/** No object is smaller with its key, and a span's free bits fit in 32 words. */
const SLOT_UNITS_MIN = 4;
const SLOTS_MAX = SPAN_UNITS / SLOT_UNITS_MIN;

// Fields of a span.
const CLASS = 0; // plus one; 0 means unassigned
const USED = 1; // slots
const NEXT = 2;
const PREVIOUS = 3;
const FREE_BITS = 4; // a bit per slot
const SPAN_FIELDS = FREE_BITS + SLOTS_MAX / 32;

/** Classes 0..31 hold 1..32 units; above, each power of two has 32 classes. */
function classOf(size: number): number {
  const units = Math.max(SLOT_UNITS_MIN, (size + UNIT_BYTES - 1) >> UNIT_SHIFT);
  if (units <= FINE_UNITS_MAX) return units - 1;
  const shift = 26 - Math.clz32(units - 1); // 33..64 units: 0, 65..128: 1, ...
  return (shift << 5) + 31 + (((units - 1) >> shift) - 31);
}

const CLASS_COUNT = classOf(SMALL_BYTES_MAX) + 1;
const CLASS_UNITS = new Int32Array(CLASS_COUNT);
const CLASS_SLOTS = new Int32Array(CLASS_COUNT);
for (let size = UNIT_BYTES; size <= SMALL_BYTES_MAX; size += UNIT_BYTES) {
  // The largest size of a class comes last.
  const sizeClass = classOf(size);
  CLASS_UNITS[sizeClass] = Math.max(SLOT_UNITS_MIN, size >> UNIT_SHIFT);
  CLASS_SLOTS[sizeClass] = Math.floor(SPAN_UNITS / CLASS_UNITS[sizeClass]!);
}
