import { deflateRawSync, constants as zlib } from 'node:zlib';
import { crc32, crcShift } from '../lib/crc32.js';
import type { Fragment } from './fragment-cache.js';
import { itemIn, type LeafRows, type RowRange } from './leaf-rows.js';

/**
 * The rests of a leaf's rows, compressed: of each row what follows its last hole, which is nearly all of it. What
 * stands before, with the ages of the moment, goes between them uncompressed:
 *
 *     stored( {"cells":["a","Running","5d )  rest of a  stored( ,{"cells":["b","Running","12h )  rest of b  ...
 *
 * A rest refers back into the rest before it, across the stored bytes in between. It never refers to those bytes, but
 * how many they are has to stay: a row whose ages grow by a digit is compressed again.
 */
export interface DeflatedRows extends Fragment {
  readonly bytes: Buffer;
  /** The rest of row i is `offsets[i]` to `offsets[i + 1]`. */
  readonly offsets: Uint32Array;
  /** Bytes between the rest before and this one; ALONE: it refers to nothing before it; ABSENT: it was never asked for. */
  readonly gaps: Int32Array;
  /** Of the rest uncompressed, with `crcShift` of its length. */
  readonly crcs: Uint32Array;
  readonly shifts: Uint32Array;
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

export const ALONE = -1;
const ABSENT = -2;
const OVERHEAD_BYTES = 1024;
/** Rows are short: a small window and a small table of hashes are all that they need, and are cheap to clear (ADR 8). */
const WINDOW_BITS = 13;
const MEMORY_LEVEL = 6;
/** How much of the rest before is looked back into, at most. */
const LOOK_BACK_BYTES = 4096;
/** Is in no text that is valid UTF-8, so nothing is found in it. */
const FILLER = 0xff;

/** What follows the last hole of a row: `from` to `to`. */
export function restOf({ starts, firstHole, holes }: LeafRows, row: number): { from: number; to: number } {
  const last = firstHole[row + 1]! - 1;
  return { from: last < firstHole[row]! ? starts[row]! : holes[last]!, to: starts[row + 1]! - 1 };
}

/**
 * The rests of some rows of a leaf, each with its gap in `gaps`: those that `base`, of the same leaf or an earlier edition of
 * it, has are used again. Returns `base` itself where it has them all; undefined where that many changed since `base`, just now,
 * that they are better compressed together: a leaf that is rewritten all the time is not worth more.
 */
export function deflateRows(
  range: RowRange,
  gaps: Int32Array,
  base: DeflatedRows | undefined,
): DeflatedRows | undefined {
  const { rows, start, end } = range;
  const { edition, ids, revisions } = rows;
  if (base?.edition === edition && hasAll(base, range, gaps)) return base;
  const count = ids.length;
  const { found, missing } = reusable(range, gaps, base);
  if (base !== undefined && !range.kept && missing * 2 > end - start) return undefined;
  const pieces: Uint8Array[] = [];
  const offsets = new Uint32Array(count + 1);
  const had = new Int32Array(count).fill(ABSENT);
  const crcs = new Uint32Array(count);
  const shifts = new Uint32Array(count);
  let size = 0;
  for (let row = 0; row < count; row++) {
    offsets[row] = size;
    const at = found[row]!;
    if (at === ABSENT) continue;
    if (at >= 0) {
      pieces.push(base!.bytes.subarray(base!.offsets[at]!, base!.offsets[at + 1]!));
      had[row] = base!.gaps[at]!;
      crcs[row] = base!.crcs[at]!;
      shifts[row] = base!.shifts[at]!;
    } else {
      const gap = gaps[row - start]!;
      const { from, to } = restOf(rows, row);
      const rest = rows.bytes.subarray(from, to);
      pieces.push(deflated(rest, gap === ALONE ? undefined : dictionary(rows, row - 1, gap)));
      had[row] = gap;
      crcs[row] = crc32(rest);
      shifts[row] = crcShift(rest.length);
    }
    size += pieces.at(-1)!.length;
  }
  offsets[count] = size;
  const cost = size + count * 32 + OVERHEAD_BYTES;
  return { edition, cost, bytes: concat(pieces, size), offsets, gaps: had, crcs, shifts, ids, revisions };
}

const TO_MAKE = -1;

/** Whether rows that were made from the same edition of the leaf hold every rest that is asked for, with its gap. */
function hasAll(base: DeflatedRows, { start, end }: RowRange, gaps: Int32Array): boolean {
  for (let row = start; row < end; row++) if (base.gaps[row] !== gaps[row - start]) return false;
  return true;
}

/** For each row of the leaf where `base` has its rest, TO_MAKE, or ABSENT: it is neither there nor asked for. */
function reusable({ rows, start, end }: RowRange, gaps: Int32Array, base: DeflatedRows | undefined) {
  const { ids, revisions } = rows;
  const found = new Int32Array(ids.length).fill(ABSENT);
  let missing = 0;
  let next = 0;
  let before = -2;
  for (let row = 0; row < ids.length; row++) {
    const wanted = row >= start && row < end ? gaps[row - start]! : undefined;
    const at = base === undefined ? -1 : itemIn(base, ids[row]!, revisions[row]!, next);
    const follows = at > 0 && at === before + 1;
    before = at === -1 ? -2 : at;
    if (at !== -1) next = at + 1;
    const gap = at === -1 ? ABSENT : base!.gaps[at]!;
    if (gap !== ABSENT && (gap === ALONE || follows) && (wanted === undefined || wanted === gap)) found[row] = at;
    else if (wanted !== undefined) {
      found[row] = TO_MAKE;
      missing++;
    }
  }
  return { found, missing };
}

function concat(pieces: readonly Uint8Array[], size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** What a decoder has last seen before the rest of a row: the rest of the row before, and a gap. */
function dictionary(rows: LeafRows, row: number, gap: number): Uint8Array {
  const { from, to } = restOf(rows, row);
  const seen = rows.bytes.subarray(Math.max(from, to - LOOK_BACK_BYTES), to);
  const bytes = Buffer.alloc(seen.length + gap, FILLER);
  bytes.set(seen);
  return bytes;
}

function deflated(bytes: Uint8Array, before: Uint8Array | undefined): Uint8Array {
  return deflateRawSync(bytes, {
    level: zlib.Z_BEST_SPEED,
    finishFlush: zlib.Z_SYNC_FLUSH,
    windowBits: WINDOW_BITS,
    memLevel: MEMORY_LEVEL,
    chunkSize: LOOK_BACK_BYTES,
    ...(before === undefined ? {} : { dictionary: before }),
  });
}
