const STEPS_PER_MS = 10;
const STEPS = 100_000;

/** Ages of events in steps of a tenth of a millisecond, up to ten seconds. */
export class Ages {
  maxMs = 0;
  count = 0;
  readonly #counts = new Uint32Array(STEPS);

  add(ms: number): void {
    if (ms > this.maxMs) this.maxMs = ms;
    this.#counts[Math.min(STEPS - 1, Math.max(0, Math.floor(ms * STEPS_PER_MS)))]!++;
    this.count++;
  }

  /** An upper bound of this share's age; 0 when nothing was added. */
  percentile(share: number): number {
    let rest = this.count * share;
    for (let step = 0; step < STEPS && this.count > 0; step++) {
      rest -= this.#counts[step]!;
      if (rest <= 0) return Math.min((step + 1) / STEPS_PER_MS, Math.max(this.maxMs, 1 / STEPS_PER_MS));
    }
    return 0;
  }
}
