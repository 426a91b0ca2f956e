import { type Clock, sleep } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Source } from '../source/source.js';

/**
 * Whether the source's progress reports prove that a cache is fresh (spec 1.7). To find out costs a
 * call to every member and, with members down, many seconds: it is asked once, off the path of
 * requests. A yes stays, as in kube-apiserver; a no is asked again from time to time, because it
 * may only mean that a member could not be reached.
 */
export interface ProgressTrust {
  /** Waits for the first answer, but no longer than reads wait for freshness, and only once; not known yet is no. */
  trusted(signal: AbortSignal): Promise<boolean>;
  /** The answer was yes, which stays so. */
  readonly isTrusted: boolean;
}

const ASK_AGAIN_MS = 15_000;

export function createProgressTrust(
  source: Pick<Source, 'progressTrusted'>,
  clock: Clock,
  { freshWaitMs }: Pick<Limits, 'freshWaitMs'>,
): ProgressTrust {
  let known: boolean | undefined;
  let asking: Promise<void> | undefined;
  let askAgainAtMs = -Infinity;

  async function ask(): Promise<void> {
    known = await source.progressTrusted().catch(() => false);
    askAgainAtMs = clock.monotonicMs() + ASK_AGAIN_MS;
    asking = undefined;
  }

  return {
    get isTrusted() {
      return known === true;
    },
    async trusted(signal) {
      if (known === true) return true;
      if (asking === undefined && clock.monotonicMs() >= askAgainAtMs) asking = ask();
      if (known === undefined && asking !== undefined) {
        const enough = new AbortController();
        const stop = () => enough.abort();
        signal.addEventListener('abort', stop, { once: true });
        await Promise.race([asking, sleep(clock, freshWaitMs, enough.signal)]);
        signal.removeEventListener('abort', stop);
        enough.abort();
        // One wait is enough: until the answer comes, it is no.
        if (!signal.aborted) known ??= false;
      }
      return known ?? false;
    },
  };
}
