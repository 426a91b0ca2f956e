import type { CacheSnapshot } from '../cache/cache.js';
import type { WireObject } from '../codec/codec.js';
import type { ByteRange } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';
import type { FragmentScope } from './fragment-cache.js';
import { deflate, type KindFragments, type LeafItems, type ReadVersion } from './fragments.js';
import type { DeflatedItems, ListRuns } from './reader.js';

/** What of a leaf belongs to a LIST. */
export interface Run {
  readonly edition: number;
  readonly place: number;
  /** Position in the LIST of its first item. */
  readonly first: number;
  readonly count: number;
  /** A part of a leaf: all of its ids, and where the part begins. */
  readonly part: { readonly ids: Int32Array; readonly start: number } | undefined;
}

export interface LeafwisePage {
  readonly ids: Int32Array;
  readonly itemBytes: number;
  readonly runs: readonly Run[];
}

/**
 * All items of a range, or its first `limit` ones (0: all), by whole leaves: what is known of a leaf is not asked
 * of its versions. In one turn of the event loop: a million objects are 16,000 leaves, and take a few milliseconds.
 */
export function collectLeaves(
  leaves: NonNullable<CacheSnapshot['leaves']>,
  versions: Versions,
  from: ByteRange,
  to: ByteRange,
  limit: number,
  expected: number,
): LeafwisePage {
  const runs: Run[] = [];
  let ids = new Int32Array(expected);
  let first = 0;
  let itemBytes = 0;
  leaves(from, to, (leaf, start, end) => {
    const count = limit === 0 ? end - start : Math.min(end - start, limit - first);
    const at = leaf.offset + start;
    if (first + count > ids.length) {
      const larger = new Int32Array(Math.max(first + count, ids.length * 2));
      larger.set(ids);
      ids = larger;
    }
    ids.set(leaf.ids.subarray(at, at + count), first);
    const { edition, place } = leaf;
    if (count === leaf.count) {
      itemBytes += leaf.bytes;
      runs.push({ edition, place, first, count, part: undefined });
    } else {
      for (let index = at; index < at + count; index++) itemBytes += versions.wireSize(leaf.ids[index]!);
      const part = { ids: leaf.ids.slice(leaf.offset, leaf.offset + leaf.count), start };
      runs.push({ edition, place, first, count, part });
    }
    first += count;
    return first !== limit;
  });
  return { ids: ids.subarray(0, first), itemBytes, runs };
}

/** The runs of one LIST, and the fragments of its kind. */
export class LeafRuns implements ListRuns {
  readonly count: number;
  readonly #runs: readonly Run[];
  readonly #ids: Int32Array;
  readonly #versions: Versions;
  readonly #fragments: KindFragments;
  readonly #scope: FragmentScope;
  readonly #read: ReadVersion;
  /** What had to be made to learn its size, until it is asked for. */
  readonly #measured = new Map<number, Uint8Array>();
  readonly #wire: WireObject = { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };

  constructor(page: LeafwisePage, versions: Versions, fragments: KindFragments, read: ReadVersion) {
    this.count = page.runs.length;
    this.#runs = page.runs;
    this.#ids = page.ids;
    this.#versions = versions;
    this.#fragments = fragments;
    this.#scope = fragments.scopeOf(versions);
    this.#read = read;
  }

  json(run: number): Uint8Array {
    return this.#json(run, true);
  }

  jsonSize(run: number): number {
    const { part } = this.#runs[run]!;
    const known = part === undefined ? this.#fragments.jsonSize(this.#scope, this.#leaf(run)) : undefined;
    if (known !== undefined) return known;
    const json = this.#json(run, false);
    this.#measured.set(run, json);
    return json.length;
  }

  deflated(run: number, format: 'json' | 'protobuf'): DeflatedItems | Promise<DeflatedItems> {
    const make = () => (format === 'json' ? this.#json(run, false) : this.#protobuf(run));
    if (this.#runs[run]!.part !== undefined) return deflate(make());
    return this.#fragments.deflated(this.#scope, this.#versions, this.#leaf(run), `${format}-deflate`, make);
  }

  /** `keep`: plain JSON is ten times as large as compressed JSON, so the compressed one is not a reason to keep it. */
  #json(run: number, keep: boolean): Uint8Array {
    const measured = this.#measured.get(run);
    if (measured !== undefined) {
      this.#measured.delete(run);
      return measured;
    }
    const { count, part } = this.#runs[run]!;
    const start = part?.start ?? 0;
    return this.#fragments.json(this.#scope, this.#versions, this.#leaf(run), start, start + count, this.#read, keep);
  }

  /** A copy: the compressor reads it while the versions may be freed. */
  #protobuf(run: number): Uint8Array {
    const { first, count } = this.#runs[run]!;
    let size = 0;
    for (let index = first; index < first + count; index++) size += this.#versions.wireSize(this.#ids[index]!);
    const bytes = Buffer.allocUnsafeSlow(size);
    let at = 0;
    for (let index = first; index < first + count; index++) {
      const wire = this.#read(this.#ids[index] as VersionId, this.#wire);
      bytes.set(wire.bytes.subarray(wire.headerStart, wire.end), at);
      at += wire.end - wire.headerStart;
    }
    return bytes;
  }

  #leaf(run: number): LeafItems {
    const { edition, place, first, count, part } = this.#runs[run]!;
    return { edition, place, ids: part?.ids ?? this.#ids.subarray(first, first + count) };
  }
}
