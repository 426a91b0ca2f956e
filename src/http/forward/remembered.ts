import type { Clock } from '../../lib/clock.js';

/** What somebody else says: asked when somebody wants to know and it is old. While there is no answer, what was said last holds. */
export class Remembered<T> {
  readonly #ask: () => Promise<T>;
  readonly #keepMs: number;
  readonly #clock: Clock;
  #said: T | undefined;
  /** undefined: never asked. */
  #askedMs: number | undefined;
  #asking: Promise<void> | undefined;

  constructor(ask: () => Promise<T>, keepMs: number, clock: Clock) {
    this.#ask = ask;
    this.#keepMs = keepMs;
    this.#clock = clock;
  }

  /** undefined: there never was an answer. Never rejects. */
  async current(): Promise<T | undefined> {
    const now = this.#clock.monotonicMs();
    if (this.#askedMs === undefined || now - this.#askedMs >= this.#keepMs) {
      await (this.#asking ??= this.#renew().finally(() => {
        this.#asking = undefined;
        this.#askedMs = this.#clock.monotonicMs();
      }));
    }
    return this.#said;
  }

  async #renew(): Promise<void> {
    try {
      this.#said = await this.#ask();
    } catch {
      // What was said last holds.
    }
  }
}
