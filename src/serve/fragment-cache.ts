import { LRUCache } from 'lru-cache';
import type { Clock, Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Sheddable } from '../lib/memory-budget.js';
import { WireCache } from './wire-cache.js';

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

interface Kept {
  readonly fragment: Fragment;
  usedMs: number;
}

const PLACES = 2 ** 26;
/** At least as many as there are formats. */
const FORMATS = 8;

/**
 * The fragments of all kinds, bounded in bytes. A key names a place in an engine, so a leaf that was replaced
 * keeps one fragment at most: the new edition's takes its place.
 *
 * A LIST reads its leaves from the first to the last. If they did not fit, dropping the least recently used one would
 * drop each just before it is read again, and nothing would ever be found. So what is full stays as it is until
 * something in it has not been used for `fragmentIdleMs`: then the part that fits is found every time.
 */
export class FragmentCache implements Sheddable {
  /** Of the same bound, but the first to give way. */
  readonly wires: WireCache;
  readonly #kept: LRUCache<number, Kept>;
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #hits = counters();
  readonly #misses = counters();
  compressions = 0;
  #evictions = 0;
  #refusals = 0;
  #scopes = 0;
  #timer: Timer | undefined;

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.wires = new WireCache(limits, clock);
    this.#kept = new LRUCache({
      maxSize: Math.max(1, limits.fragmentCacheBytes), // 0 would be no bound; #makeRoom keeps it
      sizeCalculation: ({ fragment }) => fragment.cost,
    });
    this.#scheduleTidy();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#kept.clear();
    this.wires.clear();
  }

  get stats(): FragmentStats {
    return {
      bytes: this.bytes,
      bytesMax: this.#limits.fragmentCacheBytes,
      fragments: this.#kept.size + this.wires.count,
      hits: this.#hits,
      misses: this.#misses,
      compressions: this.compressions,
      evictions: this.#evictions + this.wires.evictions,
      refusals: this.#refusals,
    };
  }

  openScope(): FragmentScope {
    return { number: ++this.#scopes, closed: false };
  }

  /** Drops everything of a storage, and takes nothing more of it. */
  closeScope(scope: FragmentScope): void {
    scope.closed = true;
    this.wires.closeScope(scope);
    for (const key of [...this.#kept.keys()]) {
      if (Math.floor(key / (PLACES * FORMATS)) === scope.number) this.#kept.delete(key);
    }
  }

  /** The fragment at a place, of whatever edition: the caller compares. */
  get(scope: FragmentScope, place: number, format: FragmentFormat, edition: number): Fragment | undefined {
    const kept = this.#kept.get(keyOf(scope, place, format));
    if (kept?.fragment.edition === edition) this.#hits[format]++;
    else this.#misses[format]++;
    if (kept === undefined) return undefined;
    kept.usedMs = this.#clock.monotonicMs();
    return kept.fragment;
  }

  /** The same, but it is neither counted nor does it count as used. */
  peek(scope: FragmentScope, place: number, format: FragmentFormat): Fragment | undefined {
    return this.#kept.peek(keyOf(scope, place, format))?.fragment;
  }

  /** Keeps a fragment if there is room for it. What is there of a later edition stays. */
  keep(scope: FragmentScope, place: number, format: FragmentFormat, fragment: Fragment): void {
    if (scope.closed || place >= PLACES) return;
    const key = keyOf(scope, place, format);
    const before = this.#kept.peek(key)?.fragment;
    if (before !== undefined && before.edition > fragment.edition) return;
    if (!this.#makeRoom(fragment.cost - (before?.cost ?? 0), key)) {
      this.#refusals++;
      return;
    }
    this.#kept.set(key, { fragment, usedMs: this.#clock.monotonicMs() });
  }

  /** Whether a copied leaf of this cost would be kept now, which is asked before it is made. */
  makeRoomForWire(scope: FragmentScope, place: number, cost: number): boolean {
    const room = this.#limits.fragmentCacheBytes - this.#kept.calculatedSize;
    if (this.wires.makeRoom(scope, place, cost, room)) return true;
    this.#refusals++;
    return false;
  }

  get bytes(): number {
    return this.#kept.calculatedSize + this.wires.bytes;
  }

  /** Memory is needed elsewhere: lets go, longest unused first, until at most this much is left. */
  shrinkTo(bytes: number): void {
    this.wires.shrinkTo(Math.max(0, bytes - this.#kept.calculatedSize));
    while (this.#kept.calculatedSize > bytes) {
      const oldest = this.#kept.rkeys().next().value;
      if (oldest === undefined) return;
      this.#kept.delete(oldest);
      this.#evictions++;
    }
  }

  /** Lets go of what nobody has used for `fragmentKeptMs`, though there is room. */
  dropIdle(): void {
    const until = this.#clock.monotonicMs() - this.#limits.fragmentKeptMs;
    this.wires.dropIdle(until);
    for (const key of [...this.#kept.rkeys()]) {
      if (this.#kept.peek(key)!.usedMs > until) return;
      this.#kept.delete(key);
      this.#evictions++;
    }
  }

  #scheduleTidy(): void {
    this.#timer = this.#clock.setTimer(this.#limits.fragmentIdleMs, () => {
      this.dropIdle();
      this.#scheduleTidy();
    });
  }

  #makeRoom(bytes: number, replaced: number): boolean {
    const { fragmentCacheBytes, fragmentIdleMs } = this.#limits;
    const idleSince = this.#clock.monotonicMs() - fragmentIdleMs;
    if (bytes > fragmentCacheBytes) return false;
    this.wires.shrinkTo(Math.max(0, fragmentCacheBytes - this.#kept.calculatedSize - bytes));
    while (this.#kept.calculatedSize + bytes > fragmentCacheBytes) {
      const oldest = this.#kept.rkeys().next().value;
      if (oldest === undefined || oldest === replaced) return false;
      if (this.#kept.peek(oldest)!.usedMs > idleSince) return false;
      this.#kept.delete(oldest);
      this.#evictions++;
    }
    return true;
  }
}

function keyOf(scope: FragmentScope, place: number, format: FragmentFormat): number {
  return (scope.number * PLACES + place) * FORMATS + fragmentFormats.indexOf(format);
}

function counters(): Record<FragmentFormat, number> {
  return Object.fromEntries(fragmentFormats.map((format) => [format, 0])) as Record<FragmentFormat, number>;
}
