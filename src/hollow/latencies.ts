/** Buckets a factor of two: what is reported is at most 1.6% above what was. */
const PER_DOUBLING = 64;
const LEAST_MS = 0.01;
/** From a hundredth of a millisecond to about eleven hours. */
const BUCKETS = PER_DOUBLING * 32;

/** Times in milliseconds, counted in buckets of equal ratio: however many there are, they take the same memory. */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  count = 0;
  maxMs = 0;
  /** Of those counted, how many never came to an end: they rank above all others. */
  failed = 0;

  add(ms: number): void {
    const bucket = Math.ceil(Math.log2(Math.max(ms, LEAST_MS) / LEAST_MS) * PER_DOUBLING);
    this.#counts[Math.min(BUCKETS - 1, bucket)]!++;
    this.count++;
    if (ms > this.maxMs) this.maxMs = ms;
  }

  addFailed(): void {
    this.count++;
    this.failed++;
  }

  merge(other: Latencies): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket]! += other.#counts[bucket]!;
    this.count += other.count;
    this.failed += other.failed;
    this.maxMs = Math.max(this.maxMs, other.maxMs);
  }

  /**
   * The time that this share (0 to 1) did not exceed: the upper end of a bucket, never more than the largest. Infinite
   * when the one of that rank failed; undefined when nothing was added.
   */
  percentile(share: number): number | undefined {
    if (this.count === 0) return undefined;
    let rest = Math.max(1, Math.ceil(this.count * share - 1e-9));
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      rest -= this.#counts[bucket]!;
      if (rest <= 0) return Math.min(LEAST_MS * 2 ** (bucket / PER_DOUBLING), this.maxMs);
    }
    return Number.POSITIVE_INFINITY;
  }

  summary(): LatencySummary | undefined {
    if (this.count === 0) return undefined;
    const at = (share: number) => finite(this.percentile(share));
    return { count: this.count, failed: this.failed, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: this.maxMs };
  }
}

/** Milliseconds. A percentile is null where a call of that rank failed. */
export interface LatencySummary {
  readonly count: number;
  readonly failed: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly max: number;
}

function finite(ms: number | undefined): number | null {
  return ms === undefined || !Number.isFinite(ms) ? null : Number(ms.toPrecision(4));
}
