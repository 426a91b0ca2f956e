import { type ByteRange, rangeOf } from '../lib/bytes.js';
import type { Held } from '../lib/held.js';
import type { Limits } from '../lib/limits.js';
import type { SharedPiece, VersionId, Versions } from '../versions/versions.js';
import type { LeafItems } from './fragments.js';

/** Where the stored items of a LIST go, in order. */
export interface WireSink {
  /** Bytes that nobody changes as long as anybody holds them, or holds the memory that they are in, which is used again. */
  append(bytes: Uint8Array, memory?: Held): void;
  /** Bytes that are copied before this returns. */
  copy(bytes: Uint8Array, start: number, end: number): void;
}

/** An edition of a leaf that is a piece, as long as no version has left that. */
interface Whole {
  readonly edition: number;
  readonly piece: SharedPiece;
  readonly count: number;
}

/** A leaf is made one piece again when more than one in so many of its items lies elsewhere. */
const LOOSE_SHARE = 4;
/** A smaller part of a leaf, where a page or namespace begins or ends, does not pay for the rest of it. */
const PART_SHARE = 4;
const EMPTY = new Uint8Array(0);

/**
 * Protobuf LISTs by leaves.
 *
 *     slots            [key a][a@3]   [key b][b@5] ..   [key c][c@9]
 *     a piece          .. a@3 b@5 c@9                        one write
 *     b is written     .. a@3 --- c@9    [key b][b@12]       two writes, and one small copy in between
 *
 * In slots items are apart, and handing each to the socket, or copying it, costs more than the socket's own work. So the versions of a
 * leaf that is listed for the second time move into one piece: they lie there, and nowhere else. What changed since has slots
 * of its own, until that is more than a quarter.
 */
export class WireLeaves {
  readonly #limits: Limits;
  /** By place: it was listed once. */
  #listed = new Uint8Array(256);
  /** By place. */
  #whole: (Whole | undefined)[] = [];
  readonly #wire: ByteRange = rangeOf(EMPTY);

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Other leaves are meant from now on. */
  restart(): void {
    this.#listed.fill(0);
    this.#whole = [];
  }

  /** Items `start` to `end - 1` of a leaf, at least one. The caller holds the state that the leaf is of. */
  write(versions: Versions, leaf: LeafItems, start: number, end: number, into: WireSink): void {
    const { place, edition, ids } = leaf;
    const whole = this.#whole[place];
    let piece = whole?.edition === edition && whole.piece.count === whole.count ? whole.piece : undefined;
    const pays = (end - start) * PART_SHARE >= ids.length;
    if (piece === undefined && pays && this.#isDue(leaf, versions)) {
      piece = versions.gather(ids, this.#limits.movedBytesMax);
      if (piece !== undefined) this.#whole[place] = { edition, piece, count: ids.length };
    }
    if (piece === undefined) return this.#writeLoose(versions, ids, start, end, into);
    const { bytes, start: from } = versions.wire(ids[start]!, this.#wire);
    into.append(bytes.subarray(from, versions.wire(ids[end - 1]!, this.#wire).end), piece);
  }

  #isDue({ place, ids }: LeafItems, versions: Versions): boolean {
    if (!this.#wasListed(place)) return false;
    let loose = 0;
    for (const id of ids) {
      if (versions.wireSize(id) > this.#limits.fragmentObjectBytesMax) return false; // it is worth a write of its own
      if (versions.pieceOf(id) === undefined) loose++;
    }
    return loose * LOOSE_SHARE > ids.length;
  }

  #wasListed(place: number): boolean {
    if (place >= this.#listed.length) {
      const larger = new Uint8Array(Math.max(place + 1, this.#listed.length * 2));
      larger.set(this.#listed);
      this.#listed = larger;
    }
    const before = this.#listed[place] === 1;
    this.#listed[place] = 1;
    return before;
  }

  /** Neighbours that lie together in a piece are one write; the rest comes from the slots. */
  #writeLoose(versions: Versions, ids: Int32Array, start: number, end: number, into: WireSink): void {
    let piece: SharedPiece | undefined;
    let bytes: Uint8Array = EMPTY;
    let from = 0;
    let to = 0; // [from, to): what is due of the piece
    const flush = () => {
      if (piece !== undefined) into.append(bytes.subarray(from, to), piece);
      piece = undefined;
    };
    for (let index = start; index < end; index++) {
      const id: VersionId = ids[index]!;
      const wire = versions.wire(id, this.#wire);
      const next = versions.pieceOf(id);
      if (piece !== undefined && next === piece && wire.start === to) {
        to = wire.end;
        continue;
      }
      flush();
      if (next === undefined) into.copy(wire.bytes, wire.start, wire.end);
      else {
        piece = next;
        bytes = wire.bytes;
        from = wire.start;
        to = wire.end;
      }
    }
    flush();
  }
}
