import type { Clock, Timer } from './clock.js';
import type { Limits } from './limits.js';

/** Something that is kept for speed alone, and can be made again. */
export interface Sheddable {
  readonly bytes: number;
  /** Lets go until at most this many bytes are left. */
  shrinkTo(bytes: number): void;
}

/** Something that keeps the past, as much of it as there is room for. */
export interface Shortenable {
  /** From now on to keep only this share, 0 to 1, of what it usually keeps. */
  keepShare(share: number): void;
}

/**
 * What is done about memory, each rung on top of those below it:
 *
 *     calm       nothing
 *     shed       what can be made again is let go
 *     shorten    histories keep less of the past, down to a sixteenth
 *     refuse     LISTs that are not cheap are refused, and garbage is collected though there is much to do
 */
export const rungs = ['calm', 'shed', 'shorten', 'refuse'] as const;
export type Rung = (typeof rungs)[number];

export type MemoryLimits = Pick<
  Limits,
  | 'memoryShedAt'
  | 'memoryShortenAt'
  | 'memoryRefuseAt'
  | 'memoryHysteresis'
  | 'memorySampleMs'
  | 'memoryAloneEveryMs'
  | 'cheapListBytes'
  | 'historyShareMin'
>;

export interface MemoryBudgetOptions {
  /** What the process may use; 0: any amount. */
  readonly bytesMax: number;
  /** What it uses now. */
  readonly measure: () => number;
  readonly sheddables: () => Iterable<Sheddable>;
  readonly shortenables: () => Iterable<Shortenable>;
  readonly limits: MemoryLimits;
  readonly clock: Clock;
  /** Called at each sample while costly LISTs are refused, after all else was done: garbage can go. */
  readonly pressed?: () => void;
  /** Called when the rung changes. */
  readonly changed?: (rung: Rung, usedBytes: number) => void;
}

/** A place in the budget. Disposed when what it was taken for is over. */
export interface Reservation extends Disposable {
  /** More is needed than was thought. False: there is no room for it, and nothing was taken. */
  grow(bytes: number): boolean;
}

/** Decides whether something large may begin. */
export interface Admission {
  /**
   * `costBytes`: how much it reads, by which the costly are told from the cheap. `ownBytes`: what it is going to
   * hold itself. undefined: not now; `retryAfterSeconds` says when to ask again.
   */
  admit(costBytes: number, ownBytes: number): Reservation | undefined;
  readonly retryAfterSeconds: number;
}

const RETRY_SECONDS_MAX = 32;

/**
 * One budget for the memory of the process, and the ladder of what is given up to stay within it. Objects, GETs and
 * watches are never given up: what does not fit beside them waits or is made again.
 *
 * Invariants:
 *   I1  a rung is climbed as soon as a sample is above its bound, and left once one is below it by the hysteresis.
 *   I2  nothing costly begins that would lead above the bound for refusing, with all that is reserved in use,
 *       but one at a time, now and then, while the budget itself is kept: what the allocator keeps of memory that was
 *       freed counts as used until something uses it again, so refusing alone might never end.
 *   I3  what was reserved is given back once, however often it is disposed.
 */
export class MemoryBudget implements Admission {
  readonly bytesMax: number;
  refused = 0;
  shedBytes = 0;
  usedBytes = 0;
  reservedBytes = 0;
  /** What histories keep of what they usually do. */
  historyShare = 1;
  readonly #options: MemoryBudgetOptions;
  #level = 0;
  #refusingSinceMs = 0;
  /** When one was let through alone, and whether it is over. */
  #aloneSinceMs = Number.NEGATIVE_INFINITY;
  #alone = false;
  #timer: Timer | undefined;

  constructor(options: MemoryBudgetOptions) {
    this.#options = options;
    this.bytesMax = options.bytesMax;
  }

  get rung(): Rung {
    return rungs[this.#level]!;
  }

  /** Samples regularly from now on. */
  start(): void {
    if (this.bytesMax === 0) return;
    const { clock, limits } = this.#options;
    this.#timer = clock.setTimer(limits.memorySampleMs, () => {
      this.sample();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Measures, and does what has to be done. */
  sample(): void {
    this.#measure();
    if (this.#level >= 1) this.#shed();
    this.#adjustHistories();
    if (this.rung === 'refuse') this.#options.pressed?.();
  }

  admit(costBytes: number, ownBytes: number): Reservation | undefined {
    if (this.bytesMax > 0 && costBytes > this.#options.limits.cheapListBytes) {
      // Many may come between two samples.
      this.#measure();
      if (this.rung === 'refuse' || !this.#hasRoom(ownBytes)) {
        if (this.#mayGoAlone()) return this.#goAlone(ownBytes);
        this.refused++;
        return undefined;
      }
    }
    return this.#reserve(ownBytes);
  }

  /** Longer the longer it lasts, so that those who wait do not all come back at once. */
  get retryAfterSeconds(): number {
    if (this.rung !== 'refuse') return 1;
    const seconds = (this.#options.clock.monotonicMs() - this.#refusingSinceMs) / 1000;
    return Math.min(RETRY_SECONDS_MAX, 1 + Math.floor(seconds / 2));
  }

  #hasRoom(bytes: number): boolean {
    return this.usedBytes + this.reservedBytes + bytes <= this.bytesMax * this.#options.limits.memoryRefuseAt; // I2
  }

  #mayGoAlone(): boolean {
    const { clock, limits } = this.#options;
    if (this.rung !== 'refuse' || this.#alone || this.usedBytes >= this.bytesMax) return false;
    const sinceMs = Math.max(this.#refusingSinceMs, this.#aloneSinceMs);
    return clock.monotonicMs() - sinceMs >= limits.memoryAloneEveryMs;
  }

  #goAlone(ownBytes: number): Reservation {
    this.#alone = true;
    this.#aloneSinceMs = this.#options.clock.monotonicMs();
    return this.#reserve(ownBytes, () => {
      this.#alone = false;
    });
  }

  #reserve(ownBytes: number, over?: () => void): Reservation {
    let held = ownBytes;
    let open = true;
    this.reservedBytes += ownBytes;
    return {
      grow: (bytes) => {
        if (!open) return false;
        if (this.bytesMax > 0) {
          this.#measure();
          if (!this.#hasRoom(bytes)) {
            this.refused++;
            return false;
          }
        }
        held += bytes;
        this.reservedBytes += bytes;
        return true;
      },
      [Symbol.dispose]: () => {
        if (!open) return; // I3
        open = false;
        this.reservedBytes -= held;
        over?.();
      },
    };
  }

  #measure(): void {
    const { measure, limits, clock, changed } = this.#options;
    this.usedBytes = measure();
    const share = this.bytesMax === 0 ? 0 : this.usedBytes / this.bytesMax;
    const bounds = [limits.memoryShedAt, limits.memoryShortenAt, limits.memoryRefuseAt];
    const before = this.#level;
    while (this.#level < bounds.length && share >= bounds[this.#level]!) this.#level++; // I1
    while (this.#level > 0 && share < bounds[this.#level - 1]! - limits.memoryHysteresis) this.#level--;
    if (this.#level === before) return;
    if (this.rung === 'refuse') this.#refusingSinceMs = clock.monotonicMs();
    changed?.(this.rung, this.usedBytes);
  }

  /** As much as lies above the bound, and half of it at least where that is not enough for long. */
  #shed(): void {
    const { sheddables, limits } = this.#options;
    let excess = this.usedBytes - this.bytesMax * (limits.memoryShedAt - limits.memoryHysteresis);
    for (const sheddable of sheddables()) {
      if (excess <= 0) return;
      const before = sheddable.bytes;
      if (before === 0) continue;
      sheddable.shrinkTo(Math.max(0, before - Math.max(excess, before / 2)));
      const freed = before - sheddable.bytes;
      this.shedBytes += freed;
      excess -= freed;
    }
  }

  #adjustHistories(): void {
    const { shortenables, limits } = this.#options;
    const short = this.#level >= 2;
    const share = short ? Math.max(limits.historyShareMin, this.historyShare / 2) : 1;
    if (share === this.historyShare && !short) return;
    this.historyShare = share;
    // Caches that were made meanwhile are told, too.
    for (const shortenable of shortenables()) shortenable.keepShare(share);
  }
}

/** Where nobody counts. */
export const unlimited: Admission = {
  admit: () => ({ grow: () => true, [Symbol.dispose]: () => undefined }),
  retryAfterSeconds: 1,
};
