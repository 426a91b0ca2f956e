import type { Clock } from '../../lib/clock.js';
import type { RpcFailure } from './errors.js';

/** As grpc-js is told to do with the connection for reads and writes. */
export const REDIAL_MIN_MS = 100;
export const REDIAL_MAX_MS = 3_000;

/** How often an endpoint is dialed that cannot be reached: meanwhile calls fail at once, with the last failure. */
export class Redial {
  readonly #clock: Clock;
  #failures = 0;
  #againMs = Number.NEGATIVE_INFINITY;
  #last: RpcFailure | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Why not to dial now; undefined: dial. */
  refusal(): RpcFailure | undefined {
    return this.#clock.monotonicMs() < this.#againMs ? this.#last : undefined;
  }

  /** A connection ended before the server had said anything. Those that were dialed together count once. */
  failed(failure: RpcFailure): void {
    const nowMs = this.#clock.monotonicMs();
    this.#last = failure;
    if (nowMs < this.#againMs) return;
    this.#againMs = nowMs + Math.min(REDIAL_MAX_MS, REDIAL_MIN_MS * 2 ** Math.min(this.#failures++, 30));
  }

  succeeded(): void {
    this.#failures = 0;
    this.#againMs = Number.NEGATIVE_INFINITY;
  }
}
