import { type Answer, plainText } from './exchange.js';
import type { ByteSink } from './sinks.js';

/**
 * `--max-requests-inflight`: as many requests are answered at the same time, and the next one is told to come back.
 * A request counts until its response has left, so clients that read slowly count too. Watches are not counted
 * (spec 9.3). What is not read is counted apart, by `--max-mutating-requests-inflight`: reviews, and what is forwarded.
 */
export class InFlight {
  readonly #max: number;
  #count = 0;

  /** 0: no bound. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a request in, until its sink closes; false: there are too many. */
  admit(sink: ByteSink): boolean {
    if (!this.enter()) return false;
    sink.onClose(() => this.leave());
    return true;
  }

  /** The same until `leave`. */
  enter(): boolean {
    if (this.#max > 0 && this.#count >= this.#max) return false;
    this.#count++;
    return true;
  }

  leave(): void {
    this.#count--;
  }
}

/** Not a Status: kube-apiserver's filter knows nothing of what the client accepts. */
export const TOO_MANY_REQUESTS: Answer = plainText(429, 'Too many requests, please try again later.\n', {
  'retry-after': '1',
});
