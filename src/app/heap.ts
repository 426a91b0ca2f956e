import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { collectGarbage } from '../lib/v8-flags.js';

export interface IdleCollectorOptions {
  /** Milliseconds that the event loop has been busy, since the process began. */
  readonly busyMs?: () => number;
  /** Collects all garbage, in one go. */
  readonly collect?: () => void;
  readonly clock: Clock;
  readonly limits: Limits;
}

/**
 * Collects the garbage of what was done, once nothing is done any more: the pages of a first list, the chunks of a storm of
 * LISTs. They are held by small objects that V8, left alone, has no reason to look at before more of them come.
 *
 *     busy ▁▁▇▇▇▇▆▇▁▁│            since the last collection the loop was busy for `idleCollectAfterMs`, or
 *                    └ collect    for twenty times as long as that collection took; and now it is not
 *
 * So a collection never comes while there is much to do, unless memory is short (`press`), and all of them together take a
 * twentieth of the time at most.
 */
export class IdleCollector {
  readonly #busyMs: () => number;
  readonly #collect: () => void;
  readonly #options: IdleCollectorOptions;
  #timer: Timer | undefined;
  #seenBusyMs = 0;
  #collectedBusyMs = 0;
  #tookMs = 0;
  collections = 0;

  constructor(options: IdleCollectorOptions) {
    this.#options = options;
    this.#busyMs = options.busyMs ?? (() => performance.eventLoopUtilization().active);
    this.#collect = options.collect ?? collectGarbage;
  }

  /** What was done before counts. */
  start(): void {
    const { clock, limits } = this.#options;
    this.#timer = clock.setTimer(limits.idleSampleMs, () => {
      this.sample();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  sample(): void {
    const { limits } = this.#options;
    const busyMs = this.#busyMs();
    const idle = busyMs - this.#seenBusyMs < limits.idleSampleMs * limits.idleBusyShare;
    this.#seenBusyMs = busyMs;
    if (idle && busyMs - this.#collectedBusyMs >= limits.idleCollectAfterMs) this.#collectWhenDue(busyMs);
  }

  /** Memory is short: what was done since the last collection is reason enough for one, however much there is to do. */
  press(): void {
    this.#collectWhenDue(this.#busyMs());
  }

  /** Not before other things took `COSTS` times as long as the last collection. */
  #collectWhenDue(busyMs: number): void {
    const { clock } = this.#options;
    if (busyMs - this.#collectedBusyMs < this.#tookMs * COSTS) return;
    const startMs = clock.monotonicMs();
    this.#collect();
    this.#tookMs = clock.monotonicMs() - startMs;
    this.#collectedBusyMs = this.#seenBusyMs = this.#busyMs();
    this.collections++;
  }
}

/** Times as long as a collection takes something else was done before the next one. */
const COSTS = 20;
