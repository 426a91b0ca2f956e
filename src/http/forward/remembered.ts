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
  #hasFailed = false;

  constructor(ask: () => Promise<T>, keepMs: number, clock: Clock) {
    this.#ask = ask;
    this.#keepMs = keepMs;
    this.#clock = clock;
  }

  /** undefined: there never was an answer. Never rejects. */
  async current(): Promise<T | undefined> {
    const now = this.#clock.monotonicMs();
    if (this.#askedMs === undefined || now - this.#askedMs >= this.#keepMs) {
      await this.#renew();
    }
    return this.#said;
  }

  /** As `current`, but what was said before does not do, unless the last question had no answer. */
  async latest(): Promise<T | undefined> {
    if (this.#hasFailed) return this.current();
    await this.#renew();
    return this.#said;
  }

  #renew(): Promise<void> {
    return (this.#asking ??= this.#askOnce().finally(() => {
      this.#asking = undefined;
      this.#askedMs = this.#clock.monotonicMs();
    }));
  }

  async #askOnce(): Promise<void> {
    try {
      this.#said = await this.#ask();
      this.#hasFailed = false;
    } catch {
      this.#hasFailed = true; // what was said last holds
    }
  }
}
