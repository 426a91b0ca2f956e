import { type ByteRange, copyBytes, rangeOf } from '../lib/bytes.js';
import type { Limits } from '../lib/limits.js';
import { mappedBytes } from '../lib/mapped-memory.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { Fragment, FragmentCache, FragmentScope } from './fragment-cache.js';
import type { LeafItems } from './fragments.js';
import { itemIn } from './leaf-rows.js';

/** The stored items of a leaf, copied one behind another: item i lies at `starts[i]` and ends at `starts[i + 1]`. */
interface WireLeaf extends Fragment {
  readonly bytes: Buffer;
  readonly starts: Uint32Array;
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

/** Where the stored items of a LIST go, in order. */
export interface WireSink {
  /** Bytes that nobody changes as long as anybody holds them. */
  append(bytes: Uint8Array): void;
  /** Bytes that are copied before this returns. */
  copy(bytes: Uint8Array, start: number, end: number): void;
}

/** What a leaf costs besides its bytes, and the columns beside them: its objects, and the slot that it is found by. */
const OVERHEAD_BYTES = 512;
/** A leaf is copied anew when more than one in so many of its items has changed since it was last copied. */
const CHANGED_SHARE = 4;
/** A smaller part of a leaf, where a page or namespace begins or ends, does not pay for the rest of it. */
const PART_SHARE = 4;
const EMPTY = new Uint8Array(0);

/**
 * Protobuf LISTs by leaves.
 *
 *     slabs            [key a][a@3]   [key b][b@5] .. [key b][b@12] ..   [key c][c@9]
 *     leaf, copied     a@3 b@5 c@9                     one write
 *     b is written     a@3 --- c@9  and b@12           two writes, and one small copy in between
 *
 * In the slabs items are apart, and handing each to the socket, or copying it, costs more than the socket's own work. So a
 * leaf that is listed for the second time is copied once, in one piece. What changed since is taken from the slabs,
 * until that is more than a quarter.
 */
export class WireLeaves {
  readonly #cache: FragmentCache;
  readonly #limits: Limits;
  /** By place: it was listed once. */
  #listed = new Uint8Array(256);
  readonly #wire: ByteRange = rangeOf(EMPTY);

  constructor(cache: FragmentCache, limits: Limits) {
    this.#cache = cache;
    this.#limits = limits;
  }

  /** Other leaves are meant from now on. */
  restart(): void {
    this.#listed.fill(0);
  }

  /** Items `start` to `end - 1` of a leaf. The caller holds the state that the leaf is of. */
  write(scope: FragmentScope, versions: Versions, leaf: LeafItems, start: number, end: number, into: WireSink): void {
    const { place, edition, ids } = leaf;
    const held = this.#cache.get(scope, place, 'wire', edition) as WireLeaf | undefined;
    if (held?.edition === edition) {
      into.append(held.bytes.subarray(held.starts[start]!, held.starts[end]!));
      return;
    }
    const worthIt = (end - start) * PART_SHARE >= ids.length;
    const made = worthIt && this.#isDue(held, leaf, versions) ? this.#make(scope, versions, leaf) : undefined;
    if (made !== undefined) into.append(made.bytes.subarray(made.starts[start]!, made.starts[end]!));
    else if (held !== undefined) this.#mend(held, versions, ids, start, end, into);
    else for (let index = start; index < end; index++) this.#copy(versions, ids[index]!, into);
  }

  #isDue(held: WireLeaf | undefined, { place, edition, ids }: LeafItems, versions: Versions): boolean {
    if (held === undefined) return this.#wasListed(place);
    if (held.edition > edition) return false;
    let changed = 0;
    let next = 0;
    for (let index = 0; index < ids.length; index++) {
      const found = itemIn(held, ids[index]!, versions.modRevision(ids[index]!), next);
      if (found === -1) changed++;
      else next = found + 1;
    }
    return changed * CHANGED_SHARE > ids.length;
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

  /** undefined: there is no room for it, or its objects are so large that each is worth a write of its own. */
  #make(scope: FragmentScope, versions: Versions, { edition, place, ids }: LeafItems): WireLeaf | undefined {
    const count = ids.length;
    let size = 0;
    for (let index = 0; index < count; index++) {
      const wireSize = versions.wireSize(ids[index]!);
      if (wireSize > this.#limits.fragmentObjectBytesMax) return undefined;
      size += wireSize;
    }
    const cost = size + count * 16 + OVERHEAD_BYTES;
    if (!this.#cache.makeRoom(scope, place, 'wire', cost)) return undefined;
    const bytes = mappedBytes(size);
    const starts = new Uint32Array(count + 1);
    const revisions = new Float64Array(count);
    let at = 0;
    for (let index = 0; index < count; index++) {
      const id = ids[index]!;
      const wire = versions.wire(id, this.#wire);
      copyBytes(bytes, at, wire.bytes, wire.start, wire.end);
      at += wire.end - wire.start;
      starts[index + 1] = at;
      revisions[index] = versions.modRevision(id);
    }
    const made = { edition, cost, bytes, starts, ids: ids.slice(), revisions };
    this.#cache.keep(scope, place, 'wire', made);
    return made;
  }

  /** Neighbours that lie together in what is held are one piece; the rest comes from the slabs. */
  #mend(held: WireLeaf, versions: Versions, ids: Int32Array, start: number, end: number, into: WireSink): void {
    let from = 0;
    let to = 0; // [from, to): items of `held` that are due
    const flush = () => {
      if (to > from) into.append(held.bytes.subarray(held.starts[from]!, held.starts[to]!));
    };
    for (let index = start; index < end; index++) {
      const id = ids[index]!;
      const found = itemIn(held, id, versions.modRevision(id), to);
      if (found === to) {
        to++;
        continue;
      }
      flush();
      if (found !== -1) {
        from = found;
        to = found + 1;
      } else {
        from = to;
        this.#copy(versions, id, into);
      }
    }
    flush();
  }

  #copy(versions: Versions, id: VersionId, into: WireSink): void {
    const { bytes, start, end } = versions.wire(id, this.#wire);
    into.copy(bytes, start, end);
  }
}
