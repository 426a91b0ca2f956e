import type { Clock, Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Sheddable } from '../lib/memory-budget.js';
import { KeptLeaves } from './kept-leaves.js';

/** How the items of a leaf are kept: as JSON, compressed, as rows of a Table; the order is that of the numbers in keys. */
export const fragmentFormats = [
  'json',
  'json-deflate',
  'protobuf-deflate',
  'table',
  'table-deflate',
  'json-zstd',
  'protobuf-zstd',
] as const;
export type FragmentFormat = (typeof fragmentFormats)[number];

/** What was made from one edition of a leaf. */
export interface Fragment {
  readonly edition: number;
  /** Bytes that keeping it costs. */
  readonly cost: number;
}

export interface FragmentStats {
  readonly bytes: number;
  readonly bytesByFormat: Readonly<Record<FragmentFormat, number>>;
  readonly bytesMax: number;
  readonly fragments: number;
  readonly hits: Readonly<Record<FragmentFormat, number>>;
  readonly misses: Readonly<Record<FragmentFormat, number>>;
  /** Leaves that were compressed: concurrent LISTs share one compression. */
  readonly compressions: number;
  /** Dropped to make room, or because nobody had used them for long. */
  readonly evictions: number;
  /** Not kept, because what is kept was used more recently than `limits.fragmentIdleMs` ago. */
  readonly refusals: number;
}

/** The leaves of one storage: a kind that starts over gets another one, and nothing of the old one is found again. */
export interface FragmentScope {
  readonly number: number;
  closed: boolean;
}

/** Of the bound; the rest is for what is on its way: leaves that are being made, and what was dropped until it is collected. docs/adr/0019 */
export const KEPT_SHARE = 7 / 8;
const PLACES = 2 ** 26;
/** At least as many as there are formats. */
const FORMATS = 8;

/**
 * What work a kept byte of each format saves, as a rank. JSON saves encoding; a row takes as long to make as the object's JSON and is half as large; what is compressed is a tenth as large, and
 * takes longest to make.
 */
const RANKS: Readonly<Record<FragmentFormat, number>> = {
  json: 0,
  table: 1,
  'json-deflate': 2,
  'protobuf-deflate': 2,
  'table-deflate': 2,
  'json-zstd': 2,
  'protobuf-zstd': 2,
};
const RANK_COUNT = 3;

/**
 * The fragments of all kinds, bounded in bytes. A key names a place in an engine, so a leaf that was replaced
 * keeps one fragment at most: the new edition's takes its place.
 *
 * Who needs room takes it from what saves less work a byte (RANKS), however recently that was used. Among equals the last
 * use decides, though not as in an LRU. A LIST reads its leaves from the first to the last. If they did not fit, dropping
 * the least recently used one would drop each just before it is read again, and nothing would ever be found. So what is
 * full stays as it is until something in it has not been used for `fragmentIdleMs`: then the part that fits is found
 * every time. docs/adr/0009
 */
export class FragmentCache implements Sheddable {
  /** By rank. */
  readonly #ranks: readonly KeptLeaves<Fragment>[];
  readonly #bytesMax: number;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #hits = counters();
  readonly #misses = counters();
  compressions = 0;
  #refusals = 0;
  #scopes = 0;
  #timer: Timer | undefined;

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#bytesMax = Math.floor(limits.fragmentCacheBytes * KEPT_SHARE);
    this.#ranks = Array.from({ length: RANK_COUNT }, () => new KeptLeaves(this.#bytesMax, clock));
    this.#scheduleTidy();
  }

  stop(): void {
    this.#timer?.cancel();
    for (const rank of this.#ranks) rank.drop(() => true);
  }

  get stats(): FragmentStats {
    const bytesByFormat = () => this.#bytesByFormat();
    return {
      bytes: this.bytes,
      // A walk over all that is kept, for who asks for it.
      get bytesByFormat() {
        return bytesByFormat();
      },
      bytesMax: this.#bytesMax,
      fragments: this.#sum(({ count }) => count),
      hits: this.#hits,
      misses: this.#misses,
      compressions: this.compressions,
      evictions: this.#sum(({ evictions }) => evictions),
      refusals: this.#refusals,
    };
  }

  openScope(): FragmentScope {
    return { number: ++this.#scopes, closed: false };
  }

  /** Drops everything of a storage, and takes nothing more of it. */
  closeScope(scope: FragmentScope): void {
    scope.closed = true;
    for (const rank of this.#ranks) rank.drop((key) => Math.floor(key / (PLACES * FORMATS)) === scope.number);
  }

  /** The fragment at a place, of whatever edition: the caller compares. */
  get(scope: FragmentScope, place: number, format: FragmentFormat, edition: number): Fragment | undefined {
    const kept = this.#rankOf(format).get(keyOf(scope, place, format));
    if (kept?.edition === edition) this.#hits[format]++;
    else this.#misses[format]++;
    return kept;
  }

  /** The same, but it is neither counted nor does it count as used. */
  peek(scope: FragmentScope, place: number, format: FragmentFormat): Fragment | undefined {
    return this.#rankOf(format).peek(keyOf(scope, place, format));
  }

  /** Keeps a fragment if there is room for it. What is there of a later edition stays. */
  keep(scope: FragmentScope, place: number, format: FragmentFormat, fragment: Fragment): void {
    const before = this.peek(scope, place, format);
    if (before !== undefined && before.edition > fragment.edition) return;
    if (!this.makeRoom(scope, place, format, fragment.cost)) return;
    this.#rankOf(format).set(keyOf(scope, place, format), fragment);
  }

  /** Whether a fragment of this cost would be kept now, which may be asked before it is made. */
  makeRoom(scope: FragmentScope, place: number, format: FragmentFormat, cost: number): boolean {
    if (scope.closed || place >= PLACES) return false;
    const key = keyOf(scope, place, format);
    const own = RANKS[format];
    const needed = cost - (this.#ranks[own]!.peek(key)?.cost ?? 0);
    const idleSince = this.#clock.monotonicMs() - this.#limits.fragmentIdleMs;
    if (cost <= this.#bytesMax) {
      for (let rank = 0; rank <= own; rank++) {
        const excess = this.bytes + needed - this.#bytesMax;
        if (excess <= 0) return true;
        const kept = this.#ranks[rank]!;
        kept.shrink(Math.max(0, kept.bytes - excess), rank < own ? Infinity : idleSince, key);
      }
      if (this.bytes + needed <= this.#bytesMax) return true;
    }
    this.#refusals++;
    return false;
  }

  get bytes(): number {
    return this.#sum(({ bytes }) => bytes);
  }

  /** Memory is needed elsewhere: lets go of what saves least, and of that what was unused longest, until at most this much is left. */
  shrinkTo(bytes: number): void {
    for (const rank of this.#ranks) rank.shrink(Math.max(0, rank.bytes - Math.max(0, this.bytes - bytes)), Infinity);
  }

  /** Lets go of what nobody has used for `fragmentKeptMs`, though there is room. */
  dropIdle(): void {
    const until = this.#clock.monotonicMs() - this.#limits.fragmentKeptMs;
    for (const rank of this.#ranks) rank.shrink(0, until);
  }

  #scheduleTidy(): void {
    this.#timer = this.#clock.setTimer(this.#limits.fragmentIdleMs, () => {
      this.dropIdle();
      this.#scheduleTidy();
    });
  }

  #rankOf(format: FragmentFormat): KeptLeaves<Fragment> {
    return this.#ranks[RANKS[format]]!;
  }

  #bytesByFormat(): Record<FragmentFormat, number> {
    const bytes = counters();
    for (const rank of this.#ranks) {
      rank.forEach((key, { cost }) => {
        bytes[fragmentFormats[key % FORMATS]!] += cost;
      });
    }
    return bytes;
  }

  #sum(of: (rank: KeptLeaves<Fragment>) => number): number {
    return this.#ranks.reduce((sum, rank) => sum + of(rank), 0);
  }
}

function keyOf(scope: FragmentScope, place: number, format: FragmentFormat): number {
  return (scope.number * PLACES + place) * FORMATS + fragmentFormats.indexOf(format);
}

function counters(): Record<FragmentFormat, number> {
  return Object.fromEntries(fragmentFormats.map((format) => [format, 0])) as Record<FragmentFormat, number>;
}
