/**
 * When to leave bytes in the kernel for a moment, so that one wake-up of the process handles several writes.
 * Pure: it is told the time and what came. docs/adr/0018
 *
 *     slow:  read on at once                          (messages come more rarely than `ratePerSecond`)
 *     busy:  read ── pause ──> read ── pause ──> ...  (one tick is `tickMs` long, or `tickBytes`, if those come first)
 *
 *   I1  while messages are rare, none waits;
 *   I2  no byte waits for longer than a tick;
 *   I3  a tick that has brought `tickBytes` is followed by no pause: what comes in bulk is read at full speed.
 */
export class ReadTicks {
  readonly #options: ReadTickOptions;
  #tickStartMs = Number.NEGATIVE_INFINITY;
  #tickBytes = 0;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #windowMessages = 0;
  #busy = false;

  constructor(options: ReadTickOptions) {
    this.#options = options;
  }

  /** So many bytes were read, and so many messages ended in them: how long to pause; 0: not at all. */
  received(nowMs: number, bytes: number, messages: number): number {
    const { tickMs, tickBytes, ratePerSecond } = this.#options;
    this.#windowMessages += messages;
    const windowMs = nowMs - this.#windowStartMs;
    if (windowMs >= WINDOW_MS) {
      this.#busy = (this.#windowMessages * 1_000) / windowMs >= ratePerSecond;
      this.#windowStartMs = nowMs;
      this.#windowMessages = 0;
    }
    if (nowMs - this.#tickStartMs >= tickMs) {
      this.#tickStartMs = nowMs;
      this.#tickBytes = 0;
    }
    this.#tickBytes += bytes;
    if (!this.#busy || this.#tickBytes >= tickBytes) return 0;
    return this.#tickStartMs + tickMs - nowMs;
  }
}

export interface ReadTickOptions {
  readonly tickMs: number;
  readonly tickBytes: number;
  readonly ratePerSecond: number;
}

/** Over which the rate is taken: long enough that two writes by chance are no rate, short enough to be soon forgotten. */
const WINDOW_MS = 100;
