import { constants, PerformanceObserver } from 'node:perf_hooks';
import { GCProfiler } from 'node:v8';
import { Session } from 'node:inspector/promises';
import { type Clock, sleep } from '../lib/clock.js';

export type PauseKind = 'minor' | 'major' | 'incremental' | 'weak';

export interface Pause {
  readonly kind: PauseKind;
  /** Since the watch began. */
  readonly atMs: number;
  readonly ms: number;
}

export interface Collections {
  readonly pauses: readonly Pause[];
  /** Of the JavaScript heap, between the first and the last collection, by what was used before and after each. */
  readonly allocatedBytes: number | undefined;
}

/** Entries of the observer arrive after the fact. */
const SETTLE_MS = 50;

const kinds: Readonly<Record<number, PauseKind>> = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weak',
};

/** Every pause of the collector, and what made it run, from its making to `finish`. */
export class CollectorWatch {
  readonly #pauses: Pause[] = [];
  readonly #startMs: number;
  readonly #clock: Clock;
  readonly #profiler = new GCProfiler();
  readonly #observer: PerformanceObserver;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail;
        const atMs = entry.startTime - this.#startMs;
        if (atMs >= 0) this.#pauses.push({ kind: kinds[kind] ?? 'major', atMs, ms: entry.duration });
      }
    });
    this.#observer.observe({ entryTypes: ['gc'] });
    this.#profiler.start();
  }

  async finish(): Promise<Collections> {
    const { statistics } = this.#profiler.stop() as unknown as { readonly statistics: readonly Collection[] };
    await sleep(this.#clock, SETTLE_MS);
    this.#observer.disconnect();
    return { pauses: this.#pauses, allocatedBytes: allocatedBetween(statistics) };
  }
}

interface Collection {
  readonly beforeGC: { readonly heapStatistics: { readonly usedHeapSize: number } };
  readonly afterGC: { readonly heapStatistics: { readonly usedHeapSize: number } };
}

/** undefined: there were fewer than two collections, and so nothing between them. */
export function allocatedBetween(collections: readonly Collection[]): number | undefined {
  if (collections.length < 2) return undefined;
  let bytes = 0;
  for (let index = 1; index < collections.length; index++) {
    const used = collections[index]!.beforeGC.heapStatistics.usedHeapSize;
    bytes += Math.max(0, used - collections[index - 1]!.afterGC.heapStatistics.usedHeapSize);
  }
  return bytes;
}

/** Counts what `run` allocates on the heap, each object of it: the sampling profiler with an interval of one byte. Slow. */
export async function countAllocations(run: () => Promise<void>): Promise<{ objects: number; bytes: number }> {
  const session = new Session();
  session.connect();
  try {
    await session.post('HeapProfiler.enable');
    await session.post('HeapProfiler.startSampling', {
      samplingInterval: 1,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true,
    } as object);
    await run();
    const { profile } = (await session.post('HeapProfiler.stopSampling')) as unknown as {
      profile: { samples: readonly { size: number }[] };
    };
    return {
      objects: profile.samples.length,
      bytes: profile.samples.reduce((sum, { size }) => sum + size, 0),
    };
  } finally {
    session.disconnect();
  }
}
