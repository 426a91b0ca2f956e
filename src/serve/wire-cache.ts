import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { FragmentScope } from './fragment-cache.js';

/** The stored items of a leaf, copied one behind another: item i lies at `starts[i]` and ends at `starts[i + 1]`. */
export interface WireLeaf {
  readonly edition: number;
  /** Bytes that keeping it costs. */
  readonly cost: number;
  readonly bytes: Buffer;
  readonly starts: Uint32Array;
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

interface Kept {
  readonly leaf: WireLeaf;
  usedMs: number;
}

const PLACES = 2 ** 26;

/**
 * Leaves as protobuf LISTs send them, in the room that encoded fragments leave free: to make one again is a copy, while
 * JSON has to be encoded. So whoever needs the room for an encoded fragment takes it, however recently these were used.
 * Among themselves the rule is that of FragmentCache: what is full stays as it is until something in it is idle.
 */
export class WireCache {
  readonly #kept: LRUCache<number, Kept>;
  readonly #clock: Clock;
  readonly #limits: Limits;
  hits = 0;
  misses = 0;
  evictions = 0;

  constructor(limits: Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#kept = new LRUCache({
      maxSize: Math.max(1, limits.fragmentCacheBytes),
      sizeCalculation: ({ leaf }) => leaf.cost,
    });
  }

  get bytes(): number {
    return this.#kept.calculatedSize;
  }

  get count(): number {
    return this.#kept.size;
  }

  /** What is kept of the leaf at a place, of whatever edition: the caller compares. */
  get(scope: FragmentScope, place: number): WireLeaf | undefined {
    const kept = this.#kept.get(keyOf(scope, place));
    if (kept === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    kept.usedMs = this.#clock.monotonicMs();
    return kept.leaf;
  }

  /** Whether a leaf of this cost would be kept at a place, in `roomBytes`; drops what is idle to make it so. */
  makeRoom(scope: FragmentScope, place: number, cost: number, roomBytes: number): boolean {
    if (scope.closed || place >= PLACES || cost > roomBytes) return false;
    const key = keyOf(scope, place);
    const idleSince = this.#clock.monotonicMs() - this.#limits.fragmentIdleMs;
    const needed = cost - (this.#kept.peek(key)?.leaf.cost ?? 0);
    while (this.bytes + needed > roomBytes) {
      const oldest = this.#kept.rkeys().next().value;
      if (oldest === undefined || oldest === key || this.#kept.peek(oldest)!.usedMs > idleSince) return false;
      this.#drop(oldest);
    }
    return true;
  }

  /** After `makeRoom` has said yes, in the same turn. */
  keep(scope: FragmentScope, place: number, leaf: WireLeaf): void {
    this.#kept.set(keyOf(scope, place), { leaf, usedMs: this.#clock.monotonicMs() });
  }

  /** Lets go, longest unused first, until at most this much is left. */
  shrinkTo(bytes: number): void {
    while (this.bytes > bytes) {
      const oldest = this.#kept.rkeys().next().value;
      if (oldest === undefined) return;
      this.#drop(oldest);
    }
  }

  /** Lets go of what was not used after `untilMs`. */
  dropIdle(untilMs: number): void {
    for (const key of [...this.#kept.rkeys()]) {
      if (this.#kept.peek(key)!.usedMs > untilMs) return;
      this.#drop(key);
    }
  }

  closeScope({ number }: FragmentScope): void {
    for (const key of [...this.#kept.keys()]) {
      if (Math.floor(key / PLACES) === number) this.#kept.delete(key);
    }
  }

  clear(): void {
    this.#kept.clear();
  }

  #drop(key: number): void {
    this.#kept.delete(key);
    this.evictions++;
  }
}

function keyOf(scope: FragmentScope, place: number): number {
  return scope.number * PLACES + place;
}
