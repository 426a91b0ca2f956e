import type { Cache } from '../cache/cache.js';
import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Admission } from '../lib/memory-budget.js';
import type { Random } from '../lib/random.js';
import type { Source } from '../source/source.js';
import type { Failure } from './failure.js';
import type { KindFragments } from './fragments.js';
import type { RevisionProbe } from './freshness.js';
import type { ProgressTrust } from './progress-trust.js';
import type { CacheCondition } from './read-plan.js';

/** What the reads of one kind work with. */
export interface ReadContext {
  readonly kind: Kind;
  readonly codec: KindCodec;
  /** E.g. `/registry/pods/`. */
  readonly directory: string;
  readonly source: Source;
  /** undefined: every read goes to the source. */
  readonly cache: Cache | undefined;
  /** What LISTs of the kind keep encoded; undefined: nothing. */
  readonly fragments: KindFragments | undefined;
  /** Shared by the kinds of one source. */
  readonly probe: RevisionProbe;
  /** Likewise. */
  readonly progress: ProgressTrust;
  /** Feature gate ShardedListAndWatch. */
  readonly shardedListAndWatch: boolean;
  /** Of LISTs, by the memory they need. */
  readonly admission: Admission;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
}

/** The condition where nothing has to be asked for it; undefined: see `conditionOf`. */
export function conditionNow({ cache, progress }: ReadContext, progressMatters: boolean): CacheCondition | undefined {
  if (cache === undefined) return { cache: 'uncached', progressTrusted: true };
  if (progressMatters && !progress.isTrusted) return undefined;
  if (cache.state === 'idle') cache.start();
  return { cache: cache.state === 'ready' ? 'ready' : 'unready', progressTrusted: true };
}

/** `progressMatters`: the read depends on whether the source's progress can be trusted; the first one waits for that. */
export async function conditionOf(
  context: ReadContext,
  progressMatters: boolean,
  signal: AbortSignal,
): Promise<CacheCondition> {
  const now = conditionNow(context, progressMatters);
  if (now !== undefined) return now;
  const cache = context.cache!;
  if (cache.state === 'idle') cache.start();
  const progressTrusted = await context.progress.trusted(signal);
  return { cache: cache.state === 'ready' ? 'ready' : 'unready', progressTrusted };
}

/**
 * Caches start with their first read, so the first list of a kind would be told to come back in a
 * second: it waits instead, as long as reads wait for freshness. A cache that lost its state later
 * answers 429 at once, as kube-apiserver's do.
 */
export async function becomesReady(context: ReadContext, cache: Cache, signal: AbortSignal): Promise<boolean> {
  if (cache.state === 'ready') return true;
  if (cache.stats.initializations > 0) return false;
  return cache.whenReady(context.limits.freshWaitMs, signal);
}

/** 429, with a pause that grows while the cache stays unready (spec 2.5). */
export function initializing(cache: Cache): Failure {
  const seconds = cache.unreadyMs / 1_000;
  const retryAfterSeconds = Math.floor(Math.min(30, Math.max(1, Math.exp(0.06 * seconds))));
  return { kind: 'initializing', lastError: cache.lastError, retryAfterSeconds };
}

export const ABORTED = Symbol('aborted');

/** The outcome of shared work, or ABORTED as soon as this request is over; the work goes on for the others. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | typeof ABORTED> {
  if (signal.aborted) {
    work.catch(() => undefined);
    return Promise.resolve(ABORTED);
  }
  return new Promise((resolve, reject) => {
    const abort = () => resolve(ABORTED);
    signal.addEventListener('abort', abort, { once: true });
    const settled = () => signal.removeEventListener('abort', abort);
    work.then(
      (value) => {
        settled();
        resolve(value);
      },
      (error: unknown) => {
        settled();
        reject(error);
      },
    );
  });
}

/** Client numbers may exceed what a revision can be; such a one is simply never reached. */
export function revisionNumber(revision: bigint): number {
  return revision > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(revision);
}
