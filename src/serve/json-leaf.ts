import { mappedBytes } from '../lib/mapped-memory.js';
import type { Fragment } from './fragment-cache.js';
import type { EncodedItems } from './fragment-encoder.js';
import type { WireSink } from './wire-leaves.js';

/**
 * The items of a leaf as JSON, in the pieces that they were encoded in:
 *
 *     edition 7    {a@3},{b@5},{c@9}
 *     b is written
 *     edition 8    {a@3},-----,{c@9}   {b@12}        two pieces, three writes
 *
 * Editions share their pieces, so that a write costs the encoding of one object. What is worn is copied into one
 * piece: when more than a quarter of the bytes is of no use any more, or there are many pieces. docs/adr/0009
 */
export interface JsonLeaf extends Fragment {
  readonly pieces: readonly Buffer[];
  /** Item i lies in `pieces[pieceOf[i]]`, from `starts[i]` to before `ends[i]`. Neighbours in a piece have a comma between them. */
  readonly pieceOf: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

/** Some items of a leaf: `start` to `end - 1`. */
export interface JsonRange {
  readonly leaf: JsonLeaf;
  readonly start: number;
  readonly end: number;
}

/** Which versions a leaf is made of. */
export interface LeafVersions {
  readonly edition: number;
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

/** What a fragment costs besides its bytes: its objects, and the slot that it is found by. */
const OVERHEAD_BYTES = 512;
/** A smaller leaf is copied for every edition: it is less work than its pieces are at every LIST. */
const PATCHED_BYTES_MIN = 64 * 2 ** 10;
const PIECES_MAX = 16;
const DEAD_SHARE = 4;
const COMMA = Uint8Array.of(0x2c);

/** All of its items were encoded together. */
export function encodedLeaf(versions: LeafVersions, { bytes, starts }: EncodedItems): JsonLeaf {
  const count = versions.ids.length;
  const ends = new Uint32Array(count);
  for (let index = 0; index < count; index++) ends[index] = starts[index + 1]! - 1;
  return leafOf(versions, [bytes], new Uint8Array(count), starts.subarray(0, count), ends);
}

/** Item i is item `found[i]` of the base; those with -1 are what was encoded, in order. */
export function patchedLeaf(
  versions: LeafVersions,
  base: JsonLeaf,
  found: Int32Array,
  encoded: EncodedItems,
): JsonLeaf {
  const count = found.length;
  const pieceOf = new Uint8Array(count);
  const starts = new Uint32Array(count);
  const ends = new Uint32Array(count);
  /** By their number in the base: 1 more than their number in what is made. */
  const numbers = new Uint8Array(base.pieces.length + 1);
  const fresh = base.pieces.length;
  const pieces: Buffer[] = [];
  let live = 0;
  for (let index = 0, next = 0; index < count; index++) {
    const at = found[index]!;
    const piece = at === -1 ? fresh : base.pieceOf[at]!;
    if (numbers[piece] === 0) numbers[piece] = pieces.push(at === -1 ? encoded.bytes : base.pieces[piece]!);
    pieceOf[index] = numbers[piece]! - 1;
    starts[index] = at === -1 ? encoded.starts[next]! : base.starts[at]!;
    ends[index] = at === -1 ? encoded.starts[++next]! - 1 : base.ends[at]!;
    live += ends[index]! - starts[index]! + 1;
  }
  const leaf = leafOf(versions, pieces, pieceOf, starts, ends);
  const held = pieces.reduce((sum, { length }) => sum + length + 1, 0);
  const isWorn = pieces.length > PIECES_MAX || (held - live) * DEAD_SHARE > live;
  if (pieces.length === 1 || (live >= PATCHED_BYTES_MIN && !isWorn)) return leaf;
  const one = encodedStarts(leaf);
  return encodedLeaf(versions, { bytes: joinJson({ leaf, start: 0, end: count }), starts: one });
}

/** Bytes of the items, with the commas between them. */
export function jsonSize({ leaf: { starts, ends }, start, end }: JsonRange): number {
  let size = Math.max(0, end - start - 1);
  for (let index = start; index < end; index++) size += ends[index]! - starts[index]!;
  return size;
}

/** The items, a comma between two. */
export function writeJson({ leaf, start, end }: JsonRange, into: WireSink): void {
  for (let index = start; index < end; ) {
    if (index > start) into.copy(COMMA, 0, 1);
    const until = runEnd(leaf, index, end);
    into.append(leaf.pieces[leaf.pieceOf[index]!]!.subarray(leaf.starts[index]!, leaf.ends[until - 1]!));
    index = until;
  }
}

/** The same in one piece: a part of the leaf's own where it has them so. */
export function joinJson(range: JsonRange): Buffer {
  const { leaf, start, end } = range;
  if (start < end && runEnd(leaf, start, end) === end) {
    return leaf.pieces[leaf.pieceOf[start]!]!.subarray(leaf.starts[start]!, leaf.ends[end - 1]!);
  }
  const bytes = mappedBytes(jsonSize(range));
  let at = 0;
  for (let index = start; index < end; ) {
    if (index > start) bytes[at++] = COMMA[0]!;
    const until = runEnd(leaf, index, end);
    at += leaf.pieces[leaf.pieceOf[index]!]!.copy(bytes, at, leaf.starts[index]!, leaf.ends[until - 1]!);
    index = until;
  }
  return bytes;
}

/** The end of the items from `start` on that lie one behind another. */
function runEnd({ pieceOf, starts, ends }: JsonLeaf, start: number, end: number): number {
  let next = start + 1;
  while (next < end && pieceOf[next] === pieceOf[start] && starts[next] === ends[next - 1]! + 1) next++;
  return next;
}

/** Where the items begin in what `joinJson` makes of all of them, and where one more would. */
function encodedStarts({ starts, ends }: JsonLeaf): Uint32Array {
  const joined = new Uint32Array(starts.length + 1);
  for (let index = 0; index < starts.length; index++) {
    joined[index + 1] = joined[index]! + ends[index]! - starts[index]! + 1;
  }
  return joined;
}

function leafOf(
  { edition, ids, revisions }: LeafVersions,
  pieces: readonly Buffer[],
  pieceOf: Uint8Array,
  starts: Uint32Array,
  ends: Uint32Array,
): JsonLeaf {
  const columns = [pieceOf, starts, ends, ids, revisions].reduce((sum, { byteLength }) => sum + byteLength, 0);
  const cost = pieces.reduce((sum, { length }) => sum + length, columns + OVERHEAD_BYTES);
  return { edition, cost, pieces, pieceOf, starts, ends, ids, revisions };
}
