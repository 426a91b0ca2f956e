/** What a trial at one rate showed. */
export interface Trial {
  /** Events a second that were asked for. */
  readonly rate: number;
  /** The ages stayed within the bound, and the rate was kept. */
  readonly passed: boolean;
}

/**
 * The limit lies between two rates. `high` is undefined when the highest rate that was tried passed.
 * How sure that is: the trials at both.
 */
export interface Limit {
  /** 0: no rate that was tried passed. */
  readonly low: number;
  readonly high: number | undefined;
  readonly passes: number;
  readonly failures: number;
}

export interface SearchOptions {
  /** What an unpaced run reached: the search starts there. */
  readonly ceiling: number;
  /** Ends when the two rates are within this factor of each other. */
  readonly resolution: number;
  /** A rate counts as kept when it passes this often. */
  readonly repeats: number;
}

/** Below this share of the ceiling nothing is tried: something else than the rate is wrong. */
const SHARE_MIN = 1 / 256;

/**
 * The highest rate that passes, by bisection of its logarithm between a rate that fails and one that passes. The rate
 * that it ends with is tried again, `repeats` times in all; should it fail once, the search goes on below it.
 */
export async function searchLimit(
  trial: (rate: number) => Promise<Trial>,
  { ceiling, resolution, repeats }: SearchOptions,
): Promise<Limit> {
  const tried = new Map<number, Counts>();
  const passes = async (rate: number) => {
    const { passed } = await trial(rate);
    const counts = tried.get(rate) ?? { passes: 0, failures: 0 };
    if (passed) counts.passes++;
    else counts.failures++;
    tried.set(rate, counts);
    return passed;
  };
  let high: number | undefined;
  for (;;) {
    let low = highestPassed(tried, high);
    let rate = Math.round(high === undefined ? ceiling : high / 2);
    while (low === 0 && rate >= ceiling * SHARE_MIN && rate >= 1) {
      if (await passes(rate)) low = rate;
      else {
        high = rate;
        rate = Math.round(rate / 2);
      }
    }
    while (low > 0 && high !== undefined && high / low > resolution) {
      const between = Math.round(Math.sqrt(low * high));
      if (between <= low || between >= high) break;
      if (await passes(between)) low = between;
      else high = between;
    }
    while (low > 0 && tried.get(low)!.failures === 0 && tried.get(low)!.passes < repeats) await passes(low);
    const sure = tried.get(low) ?? { passes: 0, failures: 0 };
    if (low === 0 || sure.failures === 0) {
      return { low, high, passes: sure.passes, failures: high === undefined ? 0 : tried.get(high)!.failures };
    }
    high = low;
  }
}

interface Counts {
  passes: number;
  failures: number;
}

/** 0: none. Whatever failed is not below the lowest rate that did. */
function highestPassed(tried: ReadonlyMap<number, Counts>, below = Number.POSITIVE_INFINITY): number {
  let best = 0;
  for (const rate of tried.keys()) if (rate < below && rate > best) best = rate;
  return best;
}
