import { deflateRaw, constants as zlib } from 'node:zlib';
import type { KindCodec, WireObject } from '../codec/codec.js';
import { crc32, crcShift } from '../lib/crc32.js';
import type { Limits } from '../lib/limits.js';
import { zstdBlocks } from '../lib/zstd.js';
import { mappedBytes } from '../lib/mapped-memory.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { Fragment, FragmentCache, FragmentFormat, FragmentScope } from './fragment-cache.js';
import type { EncodedItems, EncodeTask, FragmentEncoder } from './fragment-encoder.js';
import { type DeflatedRows, deflateRows } from './deflated-rows.js';
import { encodedLeaf, type JsonLeaf, type JsonRange, patchedLeaf } from './json-leaf.js';
import { itemIn, type LeafRows, type RowEncoder, type RowRange, RowsMaker } from './leaf-rows.js';
import type { DeflatedItems, ZstdItems } from './reader.js';
import { WireLeaves } from './wire-leaves.js';

/** A leaf as some LIST saw it: see `Leaf` of the engine. */
export interface LeafItems {
  readonly edition: number;
  readonly place: number;
  readonly ids: Int32Array;
}

/** The state that leaves are read from. */
export interface LeafSource {
  readonly versions: Versions;
  /** Keeps what the state holds readable until it is disposed. The state has to be held when this is called. */
  hold(): Disposable;
}

/** JSON on its way. Either `take` or `cancel` is called, once. */
export interface JsonJob {
  take(): JsonRange | Promise<JsonRange>;
  cancel(): void;
}

/** What is compressed is awaited, and nobody changes it meanwhile. */
export type Compress<Items extends ZstdItems> = (made: Uint8Array | Promise<Uint8Array>) => Promise<Items>;

/** A leaf that somebody encodes, and how many LISTs wait for it. */
interface Encoding {
  readonly task: { take(): JsonLeaf | Promise<JsonLeaf>; cancel(): void };
  takers: number;
  taken: JsonLeaf | Promise<JsonLeaf> | undefined;
  keep: boolean;
}

/** What a fragment costs besides its bytes: its objects, and the slot that it is found by. */
const OVERHEAD_BYTES = 512;
const compressedJson = ['json-deflate', 'json-zstd'] as const;
const NOTHING: EncodedItems = { bytes: Buffer.alloc(0), starts: Uint32Array.of(1) };
const NOTHING_TO_DO: EncodeTask = { take: () => NOTHING, cancel: () => {} };

/**
 * The encoded leaves of one kind.
 *
 *     leaf, edition 7   [ a@3 b@5 c@9 ]        json: {a@3},{b@5},{c@9}      deflated: 4b 4c ...
 *     b is written
 *     leaf, edition 8   [ a@3 b@12 c@9 ]       json: {a@3} and {c@9} are used again, b@12 is encoded
 *
 * A fragment is right for its edition, whoever asks. For any other edition its JSON is material: an item is used again
 * if the leaf holds the same version. An id alone does not say so, since ids are used again, but no two versions
 * ever had both the same id and the same modRevision: those of one revision are all added before any of
 * them can be freed. What is being encoded or
 * compressed is shared: whoever asks for the same edition meanwhile gets the same result.
 */
export class KindFragments {
  readonly #codec: KindCodec;
  readonly #cache: FragmentCache;
  readonly #limits: Limits;
  readonly #encoder: FragmentEncoder;
  readonly #compressing = new Map<string, Promise<ZstdItems>>();
  readonly #encoding = new Map<string, Encoding>();
  readonly #rows = new RowsMaker();
  readonly wires: WireLeaves;
  #versions: Versions | undefined;
  #scope: FragmentScope;

  constructor(codec: KindCodec, cache: FragmentCache, encoder: FragmentEncoder, limits: Limits) {
    this.#encoder = encoder;
    this.#codec = codec;
    this.#cache = cache;
    this.#limits = limits;
    this.wires = new WireLeaves(limits);
    this.#scope = cache.openScope();
  }

  /** Whose leaves are meant from now on. A cache that started over has other versions, and other leaves. */
  scopeOf(versions: Versions): FragmentScope {
    if (this.#versions !== versions) {
      if (this.#versions !== undefined) {
        this.#cache.closeScope(this.#scope);
        this.#scope = this.#cache.openScope();
        this.wires.restart();
      }
      this.#versions = versions;
    }
    return this.#scope;
  }

  /** How many leaves it is worth having started before the one that is taken. */
  get ahead(): number {
    return this.#encoder.ahead;
  }

  /** Items `start` to `end - 1` of a leaf as JSON. `keep`: for later LISTs. */
  json(scope: FragmentScope, source: LeafSource, leaf: LeafItems, start: number, end: number, keep: boolean): JsonJob {
    const { edition, place, ids } = leaf;
    const held = this.#cache.get(scope, place, 'json', edition) as JsonLeaf | undefined;
    if (held?.edition === edition) return { take: () => ({ leaf: held, start, end }), cancel: () => {} };
    // A small part of a leaf does not pay for the rest of it.
    if ((end - start) * 2 < ids.length) {
      const part = this.#encode(edition, ids.subarray(start, end), source, held);
      return {
        take: () => map(part.take, (made) => ({ leaf: made, start: 0, end: end - start })),
        cancel: () => part.cancel(),
      };
    }
    const name = `${scope.number} ${edition}`;
    let encoding = this.#encoding.get(name);
    if (encoding === undefined) {
      encoding = { task: this.#encode(edition, ids, source, held), takers: 0, taken: undefined, keep: false };
      this.#encoding.set(name, encoding);
    }
    const shared = encoding;
    shared.takers++;
    shared.keep ||= (keep || held !== undefined) && !this.#isLarge(ids, source.versions);
    const done = () => this.#encoding.delete(name);
    return {
      take: () => {
        shared.taken ??= map(
          shared.task.take,
          (fragment) => {
            done();
            if (shared.keep) this.#cache.keep(scope, place, 'json', fragment);
            return fragment;
          },
          done,
        );
        const { taken } = shared;
        return map(
          () => taken,
          (fragment) => ({ leaf: fragment, start, end }),
        );
      },
      cancel: () => {
        if (--shared.takers > 0 || shared.taken !== undefined) return;
        done();
        shared.task.cancel();
      },
    };
  }

  /** What is kept of the leaf at a place, perhaps of another edition of it; nothing is made. */
  kept(scope: FragmentScope, { place, edition }: Pick<LeafItems, 'place' | 'edition'>): JsonLeaf | undefined {
    return this.#cache.get(scope, place, 'json', edition) as JsonLeaf | undefined;
  }

  /** Items `start` to `end - 1` of a leaf as rows. What is kept is found by the leaf alone, so `encode` is always the same. */
  rows(
    scope: FragmentScope,
    versions: Versions,
    { edition, place, ids }: LeafItems,
    start: number,
    end: number,
    encode: RowEncoder,
  ): RowRange {
    const held = this.#cache.get(scope, place, 'table', edition) as LeafRows | undefined;
    if (held?.edition === edition) return { rows: held, start, end };
    // A small part of a leaf does not pay for the rest of it.
    if ((end - start) * 2 < ids.length) {
      const rows = this.#rows.make(edition, ids.subarray(start, end), versions, held, encode);
      return { rows, start: 0, end: end - start };
    }
    const rows = this.#rows.make(edition, ids, versions, held, encode);
    if (!this.#isLarge(ids, versions)) this.#cache.keep(scope, place, 'table', rows);
    return { rows, start, end };
  }

  /** Rows that `rows` gave for the leaf, compressed. */
  deflatedRows(
    scope: FragmentScope,
    versions: Versions,
    { edition, place, ids }: LeafItems,
    range: RowRange,
    gaps: Int32Array,
  ): DeflatedRows {
    if (range.rows.ids.length !== ids.length) return deflateRows(range, gaps, undefined);
    const held = this.#cache.get(scope, place, 'table-deflate', edition) as DeflatedRows | undefined;
    const made = deflateRows(range, gaps, held);
    if (made === held || this.#isLarge(ids, versions)) return made;
    this.#cache.compressions++;
    this.#cache.keep(scope, place, 'table-deflate', made);
    return made;
  }

  /** Bytes of a whole leaf as JSON, if that is known. */
  jsonSize(scope: FragmentScope, leaf: LeafItems): number | undefined {
    for (const format of compressedJson) {
      const held = this.#cache.peek(scope, leaf.place, format) as (Fragment & ZstdItems) | undefined;
      if (held?.edition === leaf.edition) return held.size;
    }
    return undefined;
  }

  /** Whether a whole leaf is kept compressed, or is being compressed. */
  hasCompressed(scope: FragmentScope, { edition, place }: LeafItems, format: FragmentFormat): boolean {
    const kept = this.#cache.peek(scope, place, format)?.edition === edition;
    return kept || this.#compressing.has(`${scope.number} ${edition} ${format}`);
  }

  /** A whole leaf, compressed. `make` is called when it is neither kept nor being compressed. */
  compressed<Items extends ZstdItems>(
    scope: FragmentScope,
    versions: Versions,
    leaf: LeafItems,
    format: FragmentFormat,
    make: () => Uint8Array | Promise<Uint8Array>,
    compress: Compress<Items>,
  ): Items | Promise<Items> {
    const { edition, place, ids } = leaf;
    const held = this.#cache.get(scope, place, format, edition) as (Fragment & Items) | undefined;
    if (held?.edition === edition) return held;
    const name = `${scope.number} ${edition} ${format}`;
    let compressing = this.#compressing.get(name) as Promise<Items> | undefined;
    if (compressing === undefined) {
      const large = this.#isLarge(ids, versions);
      this.#cache.compressions++;
      compressing = compress(make())
        .then((items) => {
          const fragment = { edition, cost: items.bytes.length + OVERHEAD_BYTES, ...items };
          if (!large) this.#cache.keep(scope, place, format, fragment);
          return items;
        })
        .finally(() => this.#compressing.delete(name));
      this.#compressing.set(name, compressing);
    }
    return compressing;
  }

  #isLarge(ids: Int32Array, versions: Versions): boolean {
    return ids.some((id) => versions.wireSize(id) > this.#limits.fragmentObjectBytesMax);
  }

  /** What `base` does not hold is encoded, the rest used again. Whoever takes it holds a state with this leaf. */
  #encode(
    edition: number,
    ids: Int32Array,
    { versions, hold }: LeafSource,
    base: JsonLeaf | undefined,
  ): { take(): JsonLeaf | Promise<JsonLeaf>; cancel(): void } {
    const count = ids.length;
    const revisions = new Float64Array(count);
    /** Position of each item in the base; -1: it has to be encoded. */
    const found = new Int32Array(count).fill(-1);
    const missing: VersionId[] = [];
    let next = 0;
    for (let index = 0; index < count; index++) {
      const id = ids[index]!;
      revisions[index] = versions.modRevision(id);
      const at = base === undefined ? -1 : itemIn(base, id, revisions[index]!, next);
      if (at !== -1) {
        found[index] = at;
        next = at + 1;
      } else missing.push(id);
    }
    const task =
      missing.length === 0
        ? NOTHING_TO_DO
        : this.#encoder.start({
            codec: this.#codec,
            count: missing.length,
            at: (index, into) => readVersion(versions, missing[index]!, into),
            hold,
          });
    const kept = ids.slice();
    const finish = (encoded: EncodedItems): JsonLeaf => {
      const versions = { edition, ids: kept, revisions };
      return base === undefined ? encodedLeaf(versions, encoded) : patchedLeaf(versions, base, found, encoded);
    };
    return { take: () => map(() => task.take(), finish), cancel: () => task.cancel() };
  }
}

function readVersion(versions: Versions, id: VersionId, into: WireObject): WireObject {
  const { bytes, start, end } = versions.object(id, into);
  return Object.assign(into, { bytes, headerStart: start, start, end });
}

/** `then`, at once where there is nothing to wait for. `failed` is called when `start` throws or rejects. */
export function map<T, U>(start: () => T | Promise<T>, done: (value: T) => U, failed = () => {}): U | Promise<U> {
  let value: T | Promise<T>;
  try {
    value = start();
  } catch (error) {
    failed();
    throw error;
  }
  if (!(value instanceof Promise)) return done(value);
  return value.then(done, (error: unknown) => {
    failed();
    throw error;
  });
}

/**
 * Level 1 as upstream's, and a flush at the end, which fills up the last byte: so streams that were made apart can stand
 * one behind another.
 */
export async function deflate(made: Uint8Array | Promise<Uint8Array>): Promise<DeflatedItems> {
  const bytes = await made;
  const crc = crc32(bytes);
  const size = bytes.length;
  return new Promise((resolve, reject) => {
    deflateRaw(bytes, { level: zlib.Z_BEST_SPEED, finishFlush: zlib.Z_SYNC_FLUSH }, (error, deflated) => {
      if (error === null) resolve({ bytes: exact(deflated), size, crc, shift: crcShift(size) });
      else reject(error);
    });
  });
}

/** About the work of `deflate`, and smaller (ADR 26). */
export async function zstd(made: Uint8Array | Promise<Uint8Array>): Promise<ZstdItems> {
  const bytes = await made;
  const size = bytes.length;
  return { bytes: await zstdBlocks(bytes), size };
}

/** Not zlib's own buffer, which may be larger and comes from the C library. */
function exact(bytes: Buffer): Uint8Array {
  const copy = mappedBytes(bytes.length);
  copy.set(bytes);
  return copy;
}
