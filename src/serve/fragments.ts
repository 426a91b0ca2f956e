import { deflateRaw, constants as zlib } from 'node:zlib';
import type { ByteWriter, KindCodec, WireObject } from '../codec/codec.js';
import { createWriter } from '../codec/writer.js';
import { crc32, crcShift } from '../lib/crc32.js';
import type { Limits } from '../lib/limits.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { Fragment, FragmentCache, FragmentFormat, FragmentScope } from './fragment-cache.js';
import type { DeflatedItems } from './reader.js';

/** A leaf as some LIST saw it: see `Leaf` of the engine. */
export interface LeafItems {
  readonly edition: number;
  readonly place: number;
  readonly ids: Int32Array;
}

/** Points `into` at a version that the reader's snapshot pins. Throws when it does so no longer. */
export type ReadVersion = (id: VersionId, into: WireObject) => WireObject;

/** The items of a leaf as JSON, a comma between two. */
interface JsonFragment extends Fragment {
  readonly bytes: Buffer;
  /** Item i lies at `starts[i]` and ends before the comma in front of `starts[i + 1]`. */
  readonly starts: Uint32Array;
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

interface DeflatedFragment extends Fragment, DeflatedItems {}

/** What a fragment costs besides its bytes: its objects, and the slot that it is found by. */
const OVERHEAD_BYTES = 512;
const COMMA = 0x2c;
const SCRATCH_BYTES_MAX = 4 * 2 ** 20;

/**
 * The encoded leaves of one kind.
 *
 *     leaf, edition 7   [ a@3 b@5 c@9 ]        json: {a@3},{b@5},{c@9}      deflated: 4b 4c ...
 *     b is written
 *     leaf, edition 8   [ a@3 b@12 c@9 ]       json: {a@3} and {c@9} are copied, b@12 is encoded
 *
 * A fragment is right for its edition, whoever asks. For any other edition its JSON is material: an item is used again
 * if the leaf holds the same version. An id alone does not say so, since ids are used again, but no two versions
 * ever had both the same id and the same modRevision: those of one revision are all added before any of
 * them can be freed. One turn of the event loop encodes a leaf; compressing is done by the thread pool, and whoever asks
 * meanwhile waits for the same promise.
 */
export class KindFragments {
  readonly #codec: KindCodec;
  readonly #cache: FragmentCache;
  readonly #limits: Limits;
  readonly #deflating = new Map<string, Promise<DeflatedItems>>();
  readonly #wire: WireObject = { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
  #scratch = createWriter();
  #versions: Versions | undefined;
  #scope: FragmentScope;

  constructor(codec: KindCodec, cache: FragmentCache, limits: Limits) {
    this.#codec = codec;
    this.#cache = cache;
    this.#limits = limits;
    this.#scope = cache.openScope();
  }

  /** Whose leaves are meant from now on. A cache that started over has other versions, and other leaves. */
  scopeOf(versions: Versions): FragmentScope {
    if (this.#versions !== versions) {
      if (this.#versions !== undefined) {
        this.#cache.closeScope(this.#scope);
        this.#scope = this.#cache.openScope();
      }
      this.#versions = versions;
    }
    return this.#scope;
  }

  /** Items `start` to `end - 1` of a leaf as JSON. */
  json(
    scope: FragmentScope,
    versions: Versions,
    leaf: LeafItems,
    start: number,
    end: number,
    read: ReadVersion,
    keep: boolean,
  ): Uint8Array {
    const { edition, place, ids } = leaf;
    const held = this.#cache.get(scope, place, 'json', edition) as JsonFragment | undefined;
    if (held?.edition === edition) return cut(held, start, end);
    // A small part of a leaf does not pay for the rest of it.
    const whole = (end - start) * 2 > ids.length;
    const made = this.#encode(edition, whole ? ids : ids.subarray(start, end), versions, held, read);
    if (!whole) return made.bytes;
    if ((keep || held !== undefined) && !this.#isLarge(ids, versions)) this.#cache.keep(scope, place, 'json', made);
    return cut(made, start, end);
  }

  /** Bytes of a whole leaf as JSON, if that is known. */
  jsonSize(scope: FragmentScope, leaf: LeafItems): number | undefined {
    const held = this.#cache.get(scope, leaf.place, 'json-deflate', leaf.edition) as DeflatedFragment | undefined;
    return held?.edition === leaf.edition ? held.size : undefined;
  }

  /** A whole leaf, compressed. `make` is called when it is neither kept nor being compressed. */
  deflated(
    scope: FragmentScope,
    versions: Versions,
    leaf: LeafItems,
    format: FragmentFormat,
    make: () => Uint8Array,
  ): DeflatedItems | Promise<DeflatedItems> {
    const { edition, place, ids } = leaf;
    const held = this.#cache.get(scope, place, format, edition) as DeflatedFragment | undefined;
    if (held?.edition === edition) return held;
    const name = `${scope.number} ${edition} ${format}`;
    let deflating = this.#deflating.get(name);
    if (deflating === undefined) {
      const large = this.#isLarge(ids, versions);
      this.#cache.compressions++;
      deflating = deflate(make())
        .then((items) => {
          const fragment = { edition, cost: items.bytes.length + OVERHEAD_BYTES, ...items };
          if (!large) this.#cache.keep(scope, place, format, fragment);
          return items;
        })
        .finally(() => this.#deflating.delete(name));
      this.#deflating.set(name, deflating);
    }
    return deflating;
  }

  #isLarge(ids: Int32Array, versions: Versions): boolean {
    return ids.some((id) => versions.wireSize(id) > this.#limits.fragmentObjectBytesMax);
  }

  #encode(
    edition: number,
    ids: Int32Array,
    versions: Versions,
    base: JsonFragment | undefined,
    read: ReadVersion,
  ): JsonFragment {
    const count = ids.length;
    const starts = new Uint32Array(count + 1);
    const revisions = new Float64Array(count);
    const into = this.#scratch;
    into.position = 0;
    let next = 0;
    for (let index = 0; index < count; index++) {
      const id = ids[index]!;
      revisions[index] = versions.modRevision(id);
      if (index > 0) appendComma(into);
      starts[index] = into.position;
      const found = base === undefined ? -1 : base.ids.indexOf(id, next);
      if (base !== undefined && found !== -1 && base.revisions[found] === revisions[index]) {
        append(into, base.bytes, base.starts[found]!, base.starts[found + 1]! - 1);
        next = found + 1;
        continue;
      }
      const wire = read(id, this.#wire);
      this.#codec.toJson(wire.bytes, wire.start, wire.end, false, into);
    }
    starts[count] = into.position + 1;
    const bytes = Buffer.allocUnsafeSlow(into.position);
    into.bytes.copy(bytes, 0, 0, into.position);
    if (into.bytes.length > SCRATCH_BYTES_MAX) this.#scratch = createWriter();
    const cost = bytes.length + starts.byteLength + revisions.byteLength + ids.byteLength + OVERHEAD_BYTES;
    return { edition, cost, bytes, starts, ids: ids.slice(), revisions };
  }
}

/**
 * Level 1 as upstream's, and a flush at the end, which fills up the last byte: so streams that were made apart can stand
 * one behind another.
 */
export function deflate(bytes: Uint8Array): Promise<DeflatedItems> {
  const crc = crc32(bytes);
  const size = bytes.length;
  return new Promise((resolve, reject) => {
    deflateRaw(bytes, { level: zlib.Z_BEST_SPEED, finishFlush: zlib.Z_SYNC_FLUSH }, (error, deflated) => {
      if (error === null) resolve({ bytes: exact(deflated), size, crc, shift: crcShift(size) });
      else reject(error);
    });
  });
}

/** A small result is a view of zlib's larger buffer, which would be kept with it. */
function exact(bytes: Buffer): Uint8Array {
  return bytes.buffer.byteLength === bytes.length ? bytes : new Uint8Array(bytes);
}

function cut({ bytes, starts }: JsonFragment, start: number, end: number): Uint8Array {
  return bytes.subarray(starts[start]!, starts[end]! - 1);
}

function appendComma(into: ByteWriter): void {
  into.reserve(1);
  into.bytes[into.position++] = COMMA;
}

function append(into: ByteWriter, bytes: Buffer, start: number, end: number): void {
  into.reserve(end - start);
  into.position += bytes.copy(into.bytes, into.position, start, end);
}
