import type { CacheSnapshot } from '../cache/cache.js';
import { type ByteRange, copyBytes, rangeOf } from '../lib/bytes.js';
import { mappedBytes } from '../lib/mapped-memory.js';
import type { Versions } from '../versions/versions.js';
import type { FragmentScope } from './fragment-cache.js';
import {
  type Compress,
  deflate,
  type JsonJob,
  type KindFragments,
  type LeafItems,
  type LeafSource,
  map,
  zstd,
} from './fragments.js';
import type { DeflatedRows } from './deflated-rows.js';
import { joinJson, type JsonRange, jsonSize, writeJson } from './json-leaf.js';
import type { RowEncoder, RowRange } from './leaf-rows.js';
import type { DeflatedItems, ListRuns, ZstdItems } from './reader.js';
import type { WireSink } from './wire-leaves.js';

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

/**
 * The runs of one LIST, and the fragments of its kind. Disposed, it drops what was started and not taken; `check` throws
 * when the state is not held any more.
 */
export class LeafRuns implements ListRuns, Disposable {
  readonly count: number;
  readonly #runs: readonly Run[];
  readonly #ids: Int32Array;
  readonly #source: LeafSource;
  readonly #fragments: KindFragments;
  readonly #scope: FragmentScope;
  readonly #check: () => void;
  readonly #jobs = new Map<number, JsonJob>();
  /** What had to be made to learn its size, until it is asked for. */
  readonly #measured = new Map<number, JsonRange>();
  /** Of parts of leaves, which may be kept nowhere: a LIST has two at most, and asks for each several times. */
  readonly #rows = new Map<number, RowRange>();
  readonly #wire = rangeOf(new Uint8Array(0));

  constructor(page: LeafwisePage, source: LeafSource, fragments: KindFragments, check: () => void) {
    this.count = page.runs.length;
    this.#runs = page.runs;
    this.#ids = page.ids;
    this.#source = source;
    this.#fragments = fragments;
    this.#scope = fragments.scopeOf(source.versions);
    this.#check = check;
  }

  protobuf(run: number, into: WireSink): void {
    this.#check();
    const { count, part } = this.#runs[run]!;
    const start = part?.start ?? 0;
    this.#fragments.wires.write(this.#source.versions, this.#leaf(run), start, start + count, into);
  }

  json(run: number, into: WireSink): void | Promise<void> {
    for (let next = run; next <= run + this.#fragments.ahead && next < this.count; next++) this.#start(next, true);
    return map(
      () => this.#take(run, true),
      (range) => writeJson(range, into),
    );
  }

  jsonSize(run: number): number | Promise<number> {
    const { part } = this.#runs[run]!;
    const known = part === undefined ? this.#fragments.jsonSize(this.#scope, this.#leaf(run)) : undefined;
    if (known !== undefined) return known;
    return map(
      () => this.#take(run, false),
      (range) => {
        this.#measured.set(run, range);
        return jsonSize(range);
      },
    );
  }

  rows(run: number, encode: RowEncoder): RowRange {
    this.#check();
    const made = this.#rows.get(run);
    if (made !== undefined) return made;
    const { count, part } = this.#runs[run]!;
    const start = part?.start ?? 0;
    const { versions } = this.#source;
    const range = this.#fragments.rows(this.#scope, versions, this.#leaf(run), start, start + count, encode);
    if (part !== undefined) this.#rows.set(run, range);
    return range;
  }

  deflatedRows(run: number, range: RowRange, gaps: Int32Array): DeflatedRows {
    return this.#fragments.deflatedRows(this.#scope, this.#source.versions, this.#leaf(run), range, gaps);
  }

  deflated(run: number, format: 'json' | 'protobuf'): DeflatedItems | Promise<DeflatedItems> {
    return this.#compressed(run, format, 'deflate', deflate);
  }

  zstd(run: number, format: 'json' | 'protobuf'): ZstdItems | Promise<ZstdItems> {
    return this.#compressed(run, format, 'zstd', zstd);
  }

  [Symbol.dispose](): void {
    for (const job of this.#jobs.values()) job.cancel();
    this.#jobs.clear();
  }

  #compressed<Items extends ZstdItems>(
    run: number,
    format: 'json' | 'protobuf',
    coding: 'deflate' | 'zstd',
    compress: Compress<Items>,
  ): Items | Promise<Items> {
    const make = () => (format === 'json' ? this.#jsonToCompress(run, coding) : this.#protobuf(run));
    if (this.#runs[run]!.part !== undefined) return compress(make());
    const { versions } = this.#source;
    return this.#fragments.compressed(this.#scope, versions, this.#leaf(run), `${format}-${coding}`, make, compress);
  }

  #jsonToCompress(run: number, coding: 'deflate' | 'zstd'): Uint8Array | Promise<Uint8Array> {
    for (let next = run + 1; next <= run + this.#fragments.ahead && next < this.count; next++) {
      const { part } = this.#runs[next]!;
      if (part === undefined && this.#fragments.hasCompressed(this.#scope, this.#leaf(next), `json-${coding}`))
        continue;
      this.#start(next, false);
    }
    return map(() => this.#take(run, false), joinJson);
  }

  #take(run: number, keep: boolean): JsonRange | Promise<JsonRange> {
    const measured = this.#measured.get(run);
    this.#measured.delete(run);
    if (measured !== undefined) return measured;
    const job = this.#start(run, keep);
    this.#jobs.delete(run);
    return job.take();
  }

  /** `keep`: plain JSON is ten times as large as compressed JSON, so the compressed one is not a reason to keep it. */
  #start(run: number, keep: boolean): JsonJob {
    const started = this.#jobs.get(run);
    if (started !== undefined) return started;
    this.#check();
    const { count, part } = this.#runs[run]!;
    const start = part?.start ?? 0;
    const job = this.#fragments.json(this.#scope, this.#source, this.#leaf(run), start, start + count, keep);
    this.#jobs.set(run, job);
    return job;
  }

  /** A copy: the compressor reads it while the versions may be freed. */
  #protobuf(run: number): Uint8Array {
    this.#check();
    const { versions } = this.#source;
    const { first, count } = this.#runs[run]!;
    let size = 0;
    for (let index = first; index < first + count; index++) size += versions.wireSize(this.#ids[index]!);
    const bytes = mappedBytes(size);
    let at = 0;
    for (let index = first; index < first + count; index++) {
      const wire = versions.wire(this.#ids[index]!, this.#wire);
      copyBytes(bytes, at, wire.bytes, wire.start, wire.end);
      at += wire.end - wire.start;
    }
    return bytes;
  }

  #leaf(run: number): LeafItems {
    const { edition, place, first, count, part } = this.#runs[run]!;
    return { edition, place, ids: part?.ids ?? this.#ids.subarray(first, first + count) };
  }
}
