import { createWriter } from '../codec/writer.js';
import { crc32, crcShift } from '../lib/crc32.js';
import { ALONE, PieceDeflater } from '../lib/piece-deflate.js';
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

const ABSENT = -2;
const OVERHEAD_BYTES = 1024;
const SCRATCH_BYTES_MAX = 2 ** 20;

/** Of this thread: a leaf is compressed without a pause. */
const deflater = new PieceDeflater();
let scratch = createWriter();

/** What follows the last hole of a row: `from` to `to`. */
export function restOf({ starts, firstHole, holes }: LeafRows, row: number): { from: number; to: number } {
  const last = firstHole[row + 1]! - 1;
  return { from: last < firstHole[row]! ? starts[row]! : holes[last]!, to: starts[row + 1]! - 1 };
}

/**
 * The rests of some rows of a leaf, each with its gap in `gaps`: those that `base`, of the same leaf or an earlier edition of
 * it, has are used again. Returns `base` itself where it has them all.
 */
export function deflateRows(range: RowRange, gaps: Int32Array, base: DeflatedRows | undefined): DeflatedRows {
  const { rows, start } = range;
  const { edition, ids, revisions } = rows;
  if (base?.edition === edition && hasAll(base, range, gaps)) return base;
  const count = ids.length;
  const found = reusable(range, gaps, base);
  const offsets = new Uint32Array(count + 1);
  const had = new Int32Array(count).fill(ABSENT);
  const crcs = new Uint32Array(count);
  const shifts = new Uint32Array(count);
  const into = scratch;
  into.position = 0;
  let known = -2; // the row whose rest the deflater has before it
  for (let row = 0; row < count; row++) {
    offsets[row] = into.position;
    const at = found[row]!;
    if (at === ABSENT) continue;
    if (at >= 0) {
      const from = base!.offsets[at]!;
      const to = base!.offsets[at + 1]!;
      into.reserve(to - from);
      into.bytes.set(base!.bytes.subarray(from, to), into.position);
      into.position += to - from;
      had[row] = base!.gaps[at]!;
      crcs[row] = base!.crcs[at]!;
      shifts[row] = base!.shifts[at]!;
    } else {
      const gap = gaps[row - start]!;
      const rest = restBytes(rows, row);
      if (gap !== ALONE && known !== row - 1) deflater.know(restBytes(rows, row - 1));
      deflater.write(rest, gap, into);
      known = row;
      had[row] = gap;
      crcs[row] = crc32(rest);
      shifts[row] = crcShift(rest.length);
    }
  }
  const size = into.position;
  offsets[count] = size;
  const bytes = Buffer.allocUnsafeSlow(size);
  into.bytes.copy(bytes, 0, 0, size);
  if (into.bytes.length > SCRATCH_BYTES_MAX) scratch = createWriter();
  return { edition, cost: size + count * 32 + OVERHEAD_BYTES, bytes, offsets, gaps: had, crcs, shifts, ids, revisions };
}

const TO_MAKE = -1;

/** Whether rows that were made from the same edition of the leaf hold every rest that is asked for, with its gap. */
function hasAll(base: DeflatedRows, { start, end }: RowRange, gaps: Int32Array): boolean {
  for (let row = start; row < end; row++) if (base.gaps[row] !== gaps[row - start]) return false;
  return true;
}

/** For each row of the leaf where `base` has its rest, TO_MAKE, or ABSENT: it is neither there nor asked for. */
function reusable({ rows, start, end }: RowRange, gaps: Int32Array, base: DeflatedRows | undefined): Int32Array {
  const { ids, revisions } = rows;
  const found = new Int32Array(ids.length).fill(ABSENT);
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
    else if (wanted !== undefined) found[row] = TO_MAKE;
  }
  return found;
}

function restBytes(rows: LeafRows, row: number): Uint8Array {
  const { from, to } = restOf(rows, row);
  return rows.bytes.subarray(from, to);
}
