/**
 * Which keys hold a value that does not parse, and why. One bad value fails the reads that need
 * it (spec 1.4) and nothing else: the kind goes on, and the key recovers with its next good value
 * or its deletion.
 *
 * The list is bounded. When it is full, the values beyond it stand under one more key, '', which
 * no object has; only a new list from the source clears that one.
 */
export class DecodeErrors {
  readonly #messages = new Map<string, string>();
  readonly #countMax: number;
  #overflow = 0;
  /** Since the cache was created. */
  seen = 0;

  constructor(countMax = 1_000) {
    this.#countMax = countMax;
  }

  get messages(): ReadonlyMap<string, string> {
    return this.#messages;
  }

  get size(): number {
    return this.#messages.size === 0 ? 0 : this.#messages.size + Math.max(this.#overflow - 1, 0);
  }

  get overflowed(): boolean {
    return this.#overflow > 0;
  }

  /** What was listed has recovered: only a new list can say how it stands with what was not. */
  get needsList(): boolean {
    return this.#overflow > 0 && this.#messages.size === 1;
  }

  record(key: string, message: string): void {
    this.seen++;
    if (this.#messages.has(key) || this.#messages.size < this.#countMax) {
      this.#messages.delete(key); // The newest stands last.
      this.#messages.set(key, message);
      return;
    }
    this.#overflow++;
    this.#messages.set('', `${this.#overflow} more values do not parse, the newest under ${key}: ${message}`);
  }

  recover(key: string): void {
    this.#messages.delete(key);
  }

  /** After a new list: takes over what that list found. */
  replaceBy(other: DecodeErrors): void {
    this.#messages.clear();
    for (const [key, message] of other.#messages) this.#messages.set(key, message);
    this.#overflow = other.#overflow;
    this.seen += other.seen;
  }
}
