import { LRUCache } from 'lru-cache';
import type { Clock } from '../lib/clock.js';

interface Kept<T> {
  readonly value: T;
  usedMs: number;
}

/** What was made from leaves and is equally worth keeping, by number, in the order in which it was last used. */
export class KeptLeaves<T extends { readonly cost: number }> {
  readonly #kept: LRUCache<number, Kept<T>>;
  readonly #clock: Clock;
  evictions = 0;

  constructor(bytesMax: number, clock: Clock) {
    this.#clock = clock;
    this.#kept = new LRUCache({
      maxSize: Math.max(1, bytesMax), // 0 would be no bound; who keeps makes room first
      sizeCalculation: ({ value }) => value.cost,
    });
  }

  get bytes(): number {
    return this.#kept.calculatedSize;
  }

  /** Visits what is kept, by its key. */
  forEach(visit: (key: number, value: T) => void): void {
    for (const [key, { value }] of this.#kept.entries()) visit(key, value);
  }

  get count(): number {
    return this.#kept.size;
  }

  get(key: number): T | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    kept.usedMs = this.#clock.monotonicMs();
    return kept.value;
  }

  /** The same, but it does not count as used. */
  peek(key: number): T | undefined {
    return this.#kept.peek(key)?.value;
  }

  set(key: number, value: T): void {
    this.#kept.set(key, { value, usedMs: this.#clock.monotonicMs() });
  }

  /** Lets go of what was not used after `untilMs`, longest unused first, until at most `bytes` are left; never of `spared`. */
  shrink(bytes: number, untilMs: number, spared?: number): void {
    while (this.bytes > bytes) {
      const oldest = this.#kept.rkeys().next().value;
      if (oldest === undefined || oldest === spared || this.#kept.peek(oldest)!.usedMs > untilMs) return;
      this.#kept.delete(oldest);
      this.evictions++;
    }
  }

  /** Drops what `gone` says, which is no eviction. */
  drop(gone: (key: number) => boolean): void {
    for (const key of [...this.#kept.keys()]) if (gone(key)) this.#kept.delete(key);
  }
}
