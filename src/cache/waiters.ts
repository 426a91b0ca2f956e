import type { ModRevision } from '../api/revision.js';
import type { Clock, Timer } from '../lib/clock.js';

/**
 * Reads that wait until the cache is ready, or has reached a revision. While any of them waits, the
 * source is asked for its progress: at once, then every `everyMs` (spec 2.6).
 */
export class Waiters {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #ask: () => void;
  readonly #waiting = new Set<{ readonly revision: ModRevision; readonly settle: (reached: boolean) => void }>();
  #timer: Timer | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, everyMs: number, ask: () => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#ask = ask;
  }

  get size(): number {
    return this.#waiting.size;
  }

  wait(revision: ModRevision, timeoutMs: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (signal?.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (reached: boolean) => {
        this.#waiting.delete(waiter);
        timer.cancel();
        signal?.removeEventListener('abort', give);
        if (this.#waiting.size === 0) this.#disarm();
        resolve(reached);
      };
      const give = () => settle(false);
      const waiter = { revision, settle };
      const timer = this.#clock.setTimer(timeoutMs, give);
      signal?.addEventListener('abort', give, { once: true });
      this.#waiting.add(waiter);
      if (this.#timer === undefined) this.#arm();
    });
  }

  /** Everything up to this revision has been applied. */
  reached(revision: ModRevision): void {
    if (this.#waiting.size === 0) return;
    for (const waiter of this.#waiting) if (waiter.revision <= revision) waiter.settle(true);
  }

  stop(): void {
    for (const waiter of this.#waiting) waiter.settle(false);
  }

  /** The first question goes out at once, unless the last one is more recent than `everyMs`. */
  #arm(): void {
    const pauseMs = Math.max(0, this.#askedMs + this.#everyMs - this.#clock.monotonicMs());
    if (pauseMs === 0) this.#askNow();
    if (this.#waiting.size === 0) return; // The answer was there at once.
    this.#timer = this.#clock.setTimer(pauseMs === 0 ? this.#everyMs : pauseMs, () => {
      this.#timer = undefined;
      this.#arm();
    });
  }

  #askNow(): void {
    this.#askedMs = this.#clock.monotonicMs();
    this.#ask();
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
