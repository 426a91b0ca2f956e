import type { ModRevision } from '../api/revision.js';
import { assert, InvariantError } from '../lib/assert.js';
import { type ByteRange, copyBytes, rangeOf } from '../lib/bytes.js';
import { type Clock, systemClock } from '../lib/clock.js';
import type { Allocator, CreateAllocator } from './allocator.js';
import { Moved, Piece, Pieces } from './pieces.js';
import { Retention } from './retention.js';
import {
  ADDRESS,
  CREATE_REVISION,
  FREE,
  KEY_AND_OFFSET,
  KEY_LENGTH_MAX,
  LIVE,
  MOD_REVISION,
  OBJECT_OFFSET_MAX,
  RETIRED,
  ROW_CHUNK_SHIFT,
  ROW_MASK,
  Rows,
  START_AND_STATE,
  STATE_BITS,
  STATE_MASK,
  WIRE_LENGTH,
} from './rows.js';
import { SizeClassAllocator } from './size-classes.js';
import { type Address, SLAB_BYTES_DEFAULT, Slabs, UNIT_BYTES, UNIT_SHIFT } from './slabs.js';
import { MutableStats } from './stats.js';
import { NONE, type Pin, type PinInfo, type SharedPiece, type VersionId, type Versions } from './versions.js';

export interface VersionsOptions {
  /** Where slots come from; default: size classes. */
  readonly allocator?: CreateAllocator;
  /** Debug: freed bytes are overwritten, freed ids rest, and `verify` compares every slot with its checksum. */
  readonly poison?: boolean;
  /** Freed slots are zeroed: for Secrets. */
  readonly zeroOnFree?: boolean;
  /** A power of two. */
  readonly slabBytes?: number;
  /** A pin was lost without being disposed. It is released and counted in any case. */
  readonly onPinLeak?: (owner: string) => void;
  readonly clock?: Clock;
}

export function createVersions(options: VersionsOptions = {}): Versions {
  return new SlabVersions(options);
}

/** What a freed byte looks like in poisoned builds. */
export const POISON = 0xdb;
const LOOP_COPY_BYTES_MAX = 96;
/** Up to here a loop over words is faster than making a view and having it copied (docs/adr/0017). */
const WORDS_COPY_BYTES_MAX = 768;
/** While more than this share of what is used is free in slabs, besides a whole one, nothing moves that would need another one. */
const FREE_SHARE_MAX = 1 / 4;
/** A larger buffer is not worth to be held on to. */
const SOURCE_BYTES_MAX = 2 ** 20;
/** By count: a word in which that many bytes, the first ones in memory, are ones. */
const FIRST_BYTES = Int32Array.from({ length: 4 }, (_, count) => {
  const word = new Int32Array(1);
  new Uint8Array(word.buffer).fill(0xff, 0, count);
  return word[0]!;
});

/**
 * A slot holds the key, then the wire bytes, without a gap. A piece holds several versions, whose wire bytes follow one
 * another: in front of each key is a unit with the piece's number, and a unit between the last key and the first wire
 * bytes, so that these follow their own key in slots only.
 *
 *     [#7][key a][#7][key b][#7][key c][  ][a@3][b@5][c@9]
 *
 * Invariants:
 *   I1  every id is exactly one of live, retired and free, and the counts say how many are what.
 *   I2  slots of live and retired versions, pieces and what waits for pins lie inside their slabs and do not overlap.
 *   I3  the retire queue holds the retired ids, each once, in the order of supersededAt.
 *   I4  byte totals are the sums over live and retired versions; slots add up to the allocator's used bytes.
 *   I5  pins are ordered by revision and not disposed.
 *   I6  a version still in use is not older than what it became: 0 < createRevision <= modRevision < supersededAt.
 *   I7  a piece counts the versions that lie in it, and their bytes.
 *   I8  (poison) bytes of live and retired versions are what `add` was given.
 */
class SlabVersions implements Versions {
  readonly stats: MutableStats;
  readonly #rows: Rows;
  readonly #slabs: Slabs;
  readonly #allocator: Allocator;
  readonly #retention: Retention;
  readonly #fillOnFree: number;
  readonly #checksums: Map<VersionId, number> | undefined;
  readonly #pieces = new Pieces();
  readonly #moved = new Moved();
  readonly #range: ByteRange = rangeOf(new Uint8Array(0));
  #isDisposed = false;
  /** The buffer that `add` read last, and the same memory as words. */
  #source: Uint8Array = new Uint8Array(0);
  #sourceWords: Int32Array = new Int32Array(0);

  constructor(options: VersionsOptions) {
    this.#slabs = new Slabs(options.slabBytes ?? SLAB_BYTES_DEFAULT);
    const createAllocator = options.allocator ?? ((slabs: Slabs) => new SizeClassAllocator(slabs));
    this.#allocator = createAllocator(this.#slabs);
    this.#rows = new Rows(options.poison === true);
    this.#retention = new Retention(options.clock ?? systemClock, options.onPinLeak ?? (() => {}));
    this.#fillOnFree = options.zeroOnFree === true ? 0 : options.poison === true ? POISON : -1;
    this.#checksums = options.poison === true ? new Map() : undefined;
    this.stats = new MutableStats(this.#slabs, this.#rows, this.#allocator, this.#retention, this.#moved);
    this.#retention.pins.onRelease = () => this.#settle();
  }

  add(
    key: ByteRange,
    wire: ByteRange,
    objectOffset: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): VersionId {
    const keyLength = key.end - key.start;
    const wireLength = wire.end - wire.start;
    if (keyLength > KEY_LENGTH_MAX || keyLength < 0 || wireLength < 0) {
      throw new InvariantError(`versions: key of ${keyLength} bytes, value of ${wireLength} bytes`);
    }
    if (objectOffset > OBJECT_OFFSET_MAX || objectOffset < 0 || objectOffset > wireLength) {
      throw new InvariantError(`versions: object offset ${objectOffset} in ${wireLength} wire bytes`);
    }
    if (!(createRevision > 0 && createRevision <= modRevision && modRevision <= Number.MAX_SAFE_INTEGER)) {
      throw new InvariantError(`versions: createRevision ${createRevision}, modRevision ${modRevision}`);
    }
    const size = keyLength + wireLength;
    const address = this.#allocator.allocate(size);
    const slab = this.#slabs.bytes[address >>> this.#slabs.unitShift]!;
    const offset = (address & this.#slabs.unitMask) << UNIT_SHIFT;
    if (key.bytes !== wire.bytes || key.end !== wire.start) {
      copyInto(slab, offset, key);
      copyInto(slab, offset + keyLength, wire);
    } else if (size <= WORDS_COPY_BYTES_MAX && this.#hasWords(key)) {
      const from = this.#sourceWords;
      const to = this.#slabs.words[address >>> this.#slabs.unitShift]!;
      const end = key.start + size;
      for (let word = key.start >> 2, at = offset >> 2; word < end >> 2; word++, at++) to[at] = from[word]!;
      for (let byte = end & -4; byte < end; byte++) slab[offset - key.start + byte] = key.bytes[byte]!;
    } else {
      slab.set(new Uint8Array(key.bytes.buffer, key.bytes.byteOffset + key.start, size), offset);
    }

    const id = this.#rows.take();
    const words = this.#rows.words[id >>> ROW_CHUNK_SHIFT]!;
    const doubles = this.#rows.doubles[id >>> ROW_CHUNK_SHIFT]!;
    const row = id & ROW_MASK;
    doubles[(row << 2) + MOD_REVISION] = modRevision;
    doubles[(row << 2) + CREATE_REVISION] = createRevision;
    words[(row << 3) + ADDRESS] = address;
    words[(row << 3) + WIRE_LENGTH] = wireLength;
    words[(row << 3) + KEY_AND_OFFSET] = keyLength * 256 + objectOffset;
    words[(row << 3) + START_AND_STATE] = (((offset + keyLength) << STATE_BITS) | LIVE) >>> 0;
    this.stats.live++;
    this.stats.liveBytes += size;
    this.#checksums?.set(id, this.#checksum(id));
    return id;
  }

  retire(id: VersionId, supersededAt: ModRevision): void {
    const rows = this.#rows;
    // Plain throws on hot paths: the arguments of assert() are evaluated even when nothing is wrong.
    if (!(id >= 0 && id < rows.touched) || rows.state(id) !== LIVE) {
      throw new InvariantError(`versions: ${id} is retired but not live`);
    }
    const modRevision = rows.double(id, MOD_REVISION);
    if (!(supersededAt > modRevision)) {
      throw new InvariantError(`versions: ${id} of revision ${modRevision} is superseded at ${supersededAt}`);
    }
    this.#retention.retired.push(id, supersededAt);
    const start = rows.word(id, START_AND_STATE) & ~STATE_MASK;
    rows.words[id >>> ROW_CHUNK_SHIFT]![((id & ROW_MASK) << 3) + START_AND_STATE] = (start | RETIRED) >>> 0;
    const size = this.#slotSize(id);
    this.stats.live--;
    this.stats.liveBytes -= size;
    this.stats.retiredBytes += size;
  }

  reclaim(historyTail: ModRevision, countMax = Number.POSITIVE_INFINITY): number {
    let count = 0;
    for (; count < countMax; count++) {
      const id = this.#retention.next(historyTail);
      if (id === NONE) break;
      this.#free(id);
    }
    this.#settle();
    return count;
  }

  pin(revision: ModRevision, owner: string): Pin {
    return this.#retention.pin(revision, owner);
  }

  pinList(): readonly PinInfo[] {
    return this.#retention.pins.list();
  }

  gather(ids: Int32Array, movedBytesMax: number): SharedPiece | undefined {
    this.#settle();
    if (this.#fillOnFree === 0 || this.#moved.bytes > movedBytesMax) return undefined;
    let keyBytes = UNIT_BYTES;
    let bytes = 0;
    for (const id of ids) {
      if (this.#rows.state(id) !== LIVE) return undefined;
      const size = this.#slotSize(id);
      keyBytes += pieceKeyBytes(size - this.wireSize(id));
      bytes += size;
    }
    const size = ids.reduce((sum, id) => sum + this.wireSize(id), keyBytes);
    if (ids.length === 0 || size > this.#slabs.slabBytes) return undefined;
    const { usedBytes } = this.#allocator;
    const freeBytes = this.#slabs.reservedBytes - this.#slabs.slabBytes - usedBytes;
    if (freeBytes > movedBytesMax + usedBytes * FREE_SHARE_MAX && this.#allocator.fits?.(size) !== true)
      return undefined;
    const address = this.#allocator.allocate(size);
    const piece = this.#pieces.add(
      (number) => new Piece({ number, address, size }, ids.slice(), bytes, (unused) => this.#leavePiece(unused)),
    );
    const words = this.#slabs.words[address >>> this.#slabs.unitShift]!;
    const left = new Set<Piece>();
    let keyAt = this.#slabs.offsetOf(address);
    let wireAt = keyAt + keyBytes;
    for (const id of ids) {
      const before = this.#pieceOf(id);
      const slot = this.#rows.word(id, ADDRESS);
      const slotSize = this.#slotSize(id);
      const wireSize = this.wireSize(id);
      words[keyAt >> 2] = piece.number;
      this.#move(id, address + ((keyAt - this.#slabs.offsetOf(address) + UNIT_BYTES) >> UNIT_SHIFT), wireAt);
      keyAt += pieceKeyBytes(slotSize - wireSize);
      wireAt += wireSize;
      if (before === undefined) this.#moved.push(slot, slotSize, this.#retention.pins.taken);
      else {
        left.add(before);
        before.left(slotSize);
      }
    }
    for (const before of left) if (before.isSparse) this.#scatter(before);
    return piece;
  }

  pieceOf(id: VersionId): SharedPiece | undefined {
    return this.#pieceOf(id);
  }

  modRevision(id: VersionId): ModRevision {
    return this.#rows.doubles[id >>> ROW_CHUNK_SHIFT]![((id & ROW_MASK) << 2) + MOD_REVISION]!;
  }

  createRevision(id: VersionId): ModRevision {
    return this.#rows.doubles[id >>> ROW_CHUNK_SHIFT]![((id & ROW_MASK) << 2) + CREATE_REVISION]!;
  }

  key(id: VersionId, into: ByteRange): ByteRange {
    const words = this.#rows.words[id >>> ROW_CHUNK_SHIFT]!;
    const row = (id & ROW_MASK) << 3;
    if ((words[row + START_AND_STATE]! & STATE_MASK) === FREE) throw staleId(id);
    const address = words[row + ADDRESS]!;
    const start = (address & this.#slabs.unitMask) << UNIT_SHIFT;
    into.bytes = this.#slabs.bytes[address >>> this.#slabs.unitShift]!;
    into.start = start;
    into.end = start + (words[row + KEY_AND_OFFSET]! >>> 8);
    return into;
  }

  hasKey(id: VersionId, words: Int32Array, length: number): boolean {
    const row = (id & ROW_MASK) << 3;
    const columns = this.#rows.words[id >>> ROW_CHUNK_SHIFT]!;
    if ((columns[row + START_AND_STATE]! & STATE_MASK) === FREE) throw staleId(id);
    if (columns[row + KEY_AND_OFFSET]! >>> 8 !== length) return false;
    const address = columns[row + ADDRESS]!;
    const slab = this.#slabs.words[address >>> this.#slabs.unitShift]!;
    const start = (address & this.#slabs.unitMask) << (UNIT_SHIFT - 2);
    const whole = length >> 2;
    for (let word = whole - 1; word >= 0; word--) if (slab[start + word] !== words[word]) return false;
    const rest = length & 3;
    return rest === 0 || ((slab[start + whole]! ^ words[whole]!) & FIRST_BYTES[rest]!) === 0;
  }

  wire(id: VersionId, into: ByteRange): ByteRange {
    return this.#locate(id, into, 0);
  }

  object(id: VersionId, into: ByteRange): ByteRange {
    return this.#locate(id, into, 0xff);
  }

  wireSize(id: VersionId): number {
    return this.#rows.words[id >>> ROW_CHUNK_SHIFT]![((id & ROW_MASK) << 3) + WIRE_LENGTH]!;
  }

  verify(): void {
    const { stats } = this;
    this.#rows.verifyFree();
    let liveBytes = 0;
    let slotBytes = 0;
    const counts = [0, 0, 0];
    const places: [address: number, units: number, what: string][] = [];
    const inPieces = new Map<Piece, { count: number; bytes: number }>();
    // An oversize slot has a slab to itself, so it cannot reach into the address space of the next one.
    const unitsOf = (size: number) => Math.min((size + 15) >>> UNIT_SHIFT, this.#slabs.unitMask + 1);
    for (let id = 0; id < this.#rows.touched; id++) {
      const state = this.#rows.state(id);
      assert(state <= RETIRED, `I1: version ${id} has state ${state}`);
      counts[state]!++;
      if (state === FREE) continue;
      const size = this.#slotSize(id);
      slotBytes += size;
      if (state === LIVE) liveBytes += size;
      const piece = this.#pieceOf(id);
      if (piece === undefined) places.push([this.#rows.word(id, ADDRESS), unitsOf(size), `version ${id}`]);
      else {
        const { count, bytes } = inPieces.get(piece) ?? { count: 0, bytes: 0 };
        inPieces.set(piece, { count: count + 1, bytes: bytes + size });
        assert(piece.ids.includes(id), `I7: version ${id} lies in piece ${piece.number}, which is not of it`);
      }
      this.#verifySlot(id);
      const [created, modified] = [this.createRevision(id), this.modRevision(id)];
      assert(
        created > 0 && created <= modified,
        `I6: version ${id} was created at ${created}, modified at ${modified}`,
      );
    }
    assert(counts[FREE] === this.#rows.freeCount, `I1: ${counts[FREE]} ids are free, counted ${this.#rows.freeCount}`);
    assert(counts[LIVE] === stats.live, `I1: ${counts[LIVE]} versions are live, counted ${stats.live}`);
    assert(counts[RETIRED] === this.#retention.retired.length, `I1: ${counts[RETIRED]} versions are retired`);
    assert(liveBytes === stats.liveBytes, `I4: live versions hold ${liveBytes} bytes, counted ${stats.liveBytes}`);
    assert(slotBytes === liveBytes + stats.retiredBytes, `I4: retired bytes are off: ${stats.retiredBytes}`);
    assert(this.#allocator.usedBytes >= slotBytes, 'I4: the allocator counts less than its slots hold');
    for (const piece of this.#pieces.list()) {
      const { count, bytes } = inPieces.get(piece) ?? { count: 0, bytes: 0 };
      assert(piece.count === count && piece.bytes === bytes, `I7: ${count} versions, ${bytes} bytes in a piece`);
      places.push([piece.address, unitsOf(piece.size), `piece ${piece.number}`]);
    }
    this.#moved.forEach((address, size) => void places.push([address, unitsOf(size), 'a place of before']));
    places.sort((a, b) => a[0] - b[0]);
    for (const [index, [address, , what]] of places.entries()) {
      const before = places[index - 1];
      assert(before === undefined || before[0] + before[1] <= address, `I2: ${what} overlaps ${before?.[2]}`);
    }
    this.#verifyRetired();
    this.#retention.pins.verify();
    assert(
      this.#retention.pins.leaked === 0,
      `I5: ${this.#retention.pins.leaked} pins were lost without being disposed`,
    );
    this.#allocator.verify();
  }

  dispose(): void {
    this.#retention.assertUnpinned();
    this.#isDisposed = true;
    const secrets = this.#fillOnFree === 0;
    for (let index = 0; index < this.#slabs.bytes.length; index++) {
      const bytes = this.#slabs.bytes[index]!;
      if (bytes.length === 0) continue;
      if (secrets) bytes.fill(0);
      this.#slabs.drop(index);
    }
    this.#rows.words.length = 0;
    this.#rows.doubles.length = 0;
    this.#checksums?.clear();
  }

  /** Whether the bytes can be read by words from the start of this key on; remembers the words of the last buffer. */
  #hasWords({ bytes, start }: ByteRange): boolean {
    if ((start & 3) !== 0 || bytes.length > SOURCE_BYTES_MAX) return false;
    if (bytes !== this.#source) {
      if (((bytes.byteOffset | bytes.length) & 3) !== 0) return false;
      this.#source = bytes;
      this.#sourceWords = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    }
    return true;
  }

  #free(id: VersionId): void {
    const size = this.#slotSize(id);
    const piece = this.#pieceOf(id);
    if (piece === undefined) this.#freeSlot(this.#rows.word(id, ADDRESS), size);
    this.#rows.give(id);
    this.stats.retiredBytes -= size;
    this.#checksums?.delete(id);
    if (piece === undefined) return;
    piece.left(size);
    if (piece.isSparse) this.#scatter(piece);
  }

  #freeSlot(address: Address, size: number): void {
    if (this.#fillOnFree !== -1) {
      const offset = this.#slabs.offsetOf(address);
      this.#slabs.bytes[address >>> this.#slabs.unitShift]!.fill(this.#fillOnFree, offset, offset + size);
    }
    this.#allocator.free(address, size);
  }

  #pieceOf(id: VersionId): Piece | undefined {
    const { words } = this.#rows;
    const row = (id & ROW_MASK) << 3;
    const columns = words[id >>> ROW_CHUNK_SHIFT]!;
    const address = columns[row + ADDRESS]!;
    const keyStart = (address & this.#slabs.unitMask) << UNIT_SHIFT;
    const wireStart = columns[row + START_AND_STATE]! >>> STATE_BITS;
    if (wireStart === keyStart + (columns[row + KEY_AND_OFFSET]! >>> 8)) return undefined;
    return this.#pieces.get(this.#slabs.words[address >>> this.#slabs.unitShift]![(keyStart - UNIT_BYTES) >> 2]!);
  }

  /** The version lies elsewhere from now on, with its key at an address and its wire bytes at an offset of the same slab. */
  #move(id: VersionId, address: Address, wireStart: number): void {
    const slab = this.#slabs.bytes[address >>> this.#slabs.unitShift]!;
    const key = this.key(id, this.#range);
    copyBytes(slab, this.#slabs.offsetOf(address), key.bytes, key.start, key.end);
    const wire = this.wire(id, this.#range);
    copyBytes(slab, wireStart, wire.bytes, wire.start, wire.end);
    const words = this.#rows.words[id >>> ROW_CHUNK_SHIFT]!;
    const row = (id & ROW_MASK) << 3;
    words[row + ADDRESS] = address;
    words[row + START_AND_STATE] = ((wireStart << STATE_BITS) | (words[row + START_AND_STATE]! & STATE_MASK)) >>> 0;
  }

  /** Gives what is left in a piece slots again. */
  #scatter(piece: Piece): void {
    for (const id of piece.ids) {
      if (this.#rows.state(id) === FREE || this.#pieceOf(id) !== piece) continue;
      const size = this.#slotSize(id);
      const address = this.#allocator.allocate(size);
      this.#move(id, address, this.#slabs.offsetOf(address) + size - this.wireSize(id));
      piece.left(size);
    }
  }

  #leavePiece(piece: Piece): void {
    if (this.#isDisposed) return;
    this.#pieces.remove(piece);
    this.#moved.push(piece.address, piece.size, this.#retention.pins.taken);
  }

  #settle(): void {
    if (this.#moved.length === 0) return;
    this.#moved.settle(this.#retention.pins.oldestTaken, (address, size) => this.#freeSlot(address, size));
  }

  #locate(id: VersionId, into: ByteRange, offsetMask: number): ByteRange {
    const words = this.#rows.words[id >>> ROW_CHUNK_SHIFT]!;
    const row = (id & ROW_MASK) << 3;
    const startAndState = words[row + START_AND_STATE]!;
    if ((startAndState & STATE_MASK) === FREE) throw staleId(id);
    const start = startAndState >>> STATE_BITS;
    into.bytes = this.#slabs.bytes[words[row + ADDRESS]! >>> this.#slabs.unitShift]!;
    into.start = start + (words[row + KEY_AND_OFFSET]! & offsetMask);
    into.end = start + words[row + WIRE_LENGTH]!;
    return into;
  }

  #slotSize(id: VersionId): number {
    return (this.#rows.word(id, KEY_AND_OFFSET) >>> 8) + this.#rows.word(id, WIRE_LENGTH);
  }

  #verifySlot(id: VersionId): void {
    for (const { bytes, start, end } of [this.key(id, this.#range), this.wire(id, rangeOf(this.#range.bytes))]) {
      assert(start <= end && end <= bytes.length, `I2: the slot of version ${id} leaves its slab`);
    }
    if (this.#checksums === undefined) return;
    assert(this.#checksum(id) === this.#checksums.get(id), `I8: bytes of version ${id} changed after add`);
  }

  #checksum(id: VersionId): number {
    const ofKey = checksumOf(this.key(id, this.#range));
    return checksumOf(this.wire(id, this.#range), ofKey);
  }

  #verifyRetired(): void {
    const seen = new Set<VersionId>();
    let last: ModRevision = 0;
    this.#retention.retired.forEach((id, supersededAt) => {
      assert(this.#rows.state(id) === RETIRED && !seen.has(id), `I3: version ${id} is queued but not retired`);
      assert(supersededAt >= last, `I3: ${supersededAt} follows ${last} in the retire queue`);
      assert(supersededAt > this.modRevision(id), `I6: version ${id} is superseded before it was written`);
      seen.add(id);
      last = supersededAt;
    });
  }
}

/**
 * `set` of a view is a memcpy, but makes a view; below about a hundred bytes the loop is faster. The view is a
 * plain Uint8Array, because making a Buffer's subarray takes longer than copying an object.
 */
function copyInto(slab: Buffer, offset: number, range: ByteRange): void {
  const { bytes, start, end } = range;
  if (end - start > LOOP_COPY_BYTES_MAX) {
    const whole = start === 0 && end === bytes.length;
    slab.set(whole ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start), offset);
    return;
  }
  for (let from = start, to = offset; from < end; from++, to++) slab[to] = bytes[from]!;
}

function checksumOf({ bytes, start, end }: ByteRange, before = 0x811c9dc5): number {
  let sum = before;
  for (let at = start; at < end; at++) sum = Math.imul(sum ^ bytes[at]!, 0x01000193);
  return sum;
}

/** What the key of a version takes in a piece, with the unit in front of it. */
function pieceKeyBytes(keyLength: number): number {
  return UNIT_BYTES + ((keyLength + UNIT_BYTES - 1) & -UNIT_BYTES);
}

function staleId(id: VersionId): InvariantError {
  return new InvariantError(`versions: ${id} is read after it was freed`);
}
