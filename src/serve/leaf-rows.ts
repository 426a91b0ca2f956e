import type { ByteWriter, WireObject } from '../codec/codec.js';
import { createWriter } from '../codec/writer.js';
import { copyBytes, rangeOf } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { Fragment } from './fragment-cache.js';

/**
 * Appends an object as a row of a Table. Where the row shows how long ago something was, nothing is written: `hole`
 * is called there, with the time (milliseconds since 1970) that the duration counts from.
 */
export type RowEncoder = (wire: WireObject, into: ByteWriter, hole: (fromMs: number) => void) => void;

/**
 * The items of a leaf as rows of a Table, a comma between two. What depends on the clock is left out, so that rows are
 * right for as long as their objects are:
 *
 *     {"cells":["a","1/1","Running","0","▯","10.0.0.1", ... },{"cells":["b", ... ,"3 (▯ ago)","▯", ... }
 */
export interface LeafRows extends Fragment {
  readonly bytes: Buffer;
  /** Row i begins at `starts[i]` and ends before the comma in front of `starts[i + 1]`. */
  readonly starts: Uint32Array;
  /** The holes of row i are `firstHole[i]` to `firstHole[i + 1] - 1`. */
  readonly firstHole: Uint32Array;
  /** Position in `bytes` of what follows each hole, ascending. */
  readonly holes: Uint32Array;
  /** What the duration in each hole counts from, in milliseconds since 1970. */
  readonly fromMs: Float64Array;
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

/** Some rows of a leaf: `start` to `end - 1`. */
export interface RowRange {
  readonly rows: LeafRows;
  readonly start: number;
  readonly end: number;
}

/** What keeping the rows of a leaf costs besides their bytes: their objects, and the slot that they are found by. */
const OVERHEAD_BYTES = 1024;
const SCRATCH_BYTES_MAX = 4 * 2 ** 20;
const COMMA = 0x2c;
const NO_BYTES = new Uint8Array(0);

/** Makes the rows of leaves, in a buffer that is used again; what is kept are copies of the exact size. */
export class RowsMaker {
  readonly #wire: WireObject = { bytes: NO_BYTES, headerStart: 0, start: 0, end: 0 };
  readonly #range = rangeOf(NO_BYTES);
  #scratch = createWriter();
  #holes: number[] = [];
  #fromMs: number[] = [];
  readonly #hole = (fromMs: number): void => {
    this.#holes.push(this.#scratch.position);
    this.#fromMs.push(fromMs);
  };

  /** Rows of versions that `base`, rows of an earlier edition of the leaf, has are copied; the others are encoded. */
  make(
    edition: number,
    ids: Int32Array,
    versions: Pick<Versions, 'modRevision' | 'object'>,
    base: LeafRows | undefined,
    encode: RowEncoder,
  ): LeafRows {
    const count = ids.length;
    const starts = new Uint32Array(count + 1);
    const firstHole = new Uint32Array(count + 1);
    const revisions = new Float64Array(count);
    const into = this.#scratch;
    into.position = 0;
    this.#holes = [];
    this.#fromMs = [];
    let next = 0;
    for (let index = 0; index < count; index++) {
      const id = ids[index]!;
      revisions[index] = versions.modRevision(id);
      if (index > 0) {
        into.reserve(1);
        into.bytes[into.position++] = COMMA;
      }
      starts[index] = into.position;
      firstHole[index] = this.#holes.length;
      const found = base === undefined ? -1 : itemIn(base, id, revisions[index]!, next);
      if (found === -1) encode(this.#read(versions, id), into, this.#hole);
      else {
        next = found + 1;
        this.#copy(base!, found);
      }
    }
    starts[count] = into.position + 1;
    firstHole[count] = this.#holes.length;
    const bytes = Buffer.allocUnsafeSlow(into.position);
    into.bytes.copy(bytes, 0, 0, into.position);
    if (into.bytes.length > SCRATCH_BYTES_MAX) this.#scratch = createWriter();
    const holes = Uint32Array.from(this.#holes);
    const fromMs = Float64Array.from(this.#fromMs);
    const kept = ids.slice();
    const arrays = [starts, firstHole, holes, fromMs, kept, revisions];
    const cost = arrays.reduce((sum, { byteLength }) => sum + byteLength, bytes.length + OVERHEAD_BYTES);
    return { edition, cost, bytes, starts, firstHole, holes, fromMs, ids: kept, revisions };
  }

  #read(versions: Pick<Versions, 'object'>, id: VersionId): WireObject {
    const { bytes, start, end } = versions.object(id, this.#range);
    return Object.assign(this.#wire, { bytes, headerStart: start, start, end });
  }

  #copy(base: LeafRows, row: number): void {
    const into = this.#scratch;
    const start = base.starts[row]!;
    const end = base.starts[row + 1]! - 1;
    const moved = into.position - start;
    into.reserve(end - start);
    copyBytes(into.bytes, into.position, base.bytes, start, end);
    into.position += end - start;
    for (let hole = base.firstHole[row]!; hole < base.firstHole[row + 1]!; hole++) {
      this.#holes.push(base.holes[hole]! + moved);
      this.#fromMs.push(base.fromMs[hole]!);
    }
  }
}

/**
 * Which item of a fragment is that of a version, not before item `from`; -1: it is not there. The next one, mostly.
 * Ids are used again, but never with their revision.
 */
export function itemIn(
  { ids, revisions }: { readonly ids: Int32Array; readonly revisions: Float64Array },
  id: VersionId,
  revision: number,
  from: number,
): number {
  const found = ids[from] === id ? from : ids.indexOf(id, from);
  return found !== -1 && revisions[found] === revision ? found : -1;
}
