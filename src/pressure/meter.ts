import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '../lib/clock.js';
import { Ages } from './ages.js';
import { CollectorWatch, type Pause, type PauseKind } from './collector.js';

export interface Distribution {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Pauses of one kind: how many, the longest, all together. */
export interface PauseSum {
  readonly count: number;
  readonly maxMs: number;
  readonly totalMs: number;
}

export interface MemorySample {
  readonly atMs: number;
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
}

export interface Measured {
  readonly seconds: number;
  /** Of processor time, all threads of the process. */
  readonly cores: number;
  /** undefined: no event had a time when it was due. */
  readonly ageMs: Distribution | undefined;
  readonly loopDelayMs: Distribution;
  readonly pauses: Readonly<Record<PauseKind, PauseSum>>;
  /** The longest ones first. */
  readonly longestPauses: readonly Pause[];
  readonly allocatedBytes: number | undefined;
  readonly memory: readonly MemorySample[];
}

const MEMORY_SAMPLES = 60;
const LONGEST_PAUSES = 20;

/** What a stretch of time cost the process, from the making of the meter to `finish`. */
export class Meter {
  readonly ages = new Ages();
  readonly #clock: Clock;
  readonly #expectedMs: number;
  readonly #collector: CollectorWatch;
  readonly #delay = monitorEventLoopDelay({ resolution: 1 });
  readonly #cpuBefore = process.cpuUsage();
  readonly #startMs: number;
  readonly #memory: MemorySample[] = [];

  /** `expectedMs`: how long it will take, about, so that memory is looked at often enough and no oftener. */
  constructor(clock: Clock, expectedMs: number) {
    this.#clock = clock;
    this.#expectedMs = expectedMs;
    this.#collector = new CollectorWatch(clock);
    this.#startMs = clock.monotonicMs();
    this.#delay.enable();
  }

  /** Since the start. To be called each turn: it also looks at the memory, now and then. */
  elapsedMs(): number {
    const atMs = this.#clock.monotonicMs() - this.#startMs;
    if (atMs * MEMORY_SAMPLES > this.#memory.length * this.#expectedMs) {
      const { heapUsed, external, rss } = process.memoryUsage();
      this.#memory.push({ atMs, heapUsed, external, rss });
    }
    return atMs;
  }

  async finish(): Promise<Measured> {
    const elapsedMs = this.#clock.monotonicMs() - this.#startMs;
    const cpu = process.cpuUsage(this.#cpuBefore);
    const delay = this.#delay;
    delay.disable();
    const { pauses, allocatedBytes } = await this.#collector.finish();
    const { ages } = this;
    return {
      seconds: elapsedMs / 1000,
      cores: (cpu.user + cpu.system) / 1000 / elapsedMs,
      ageMs: ages.count === 0 ? undefined : { p50: ages.percentile(0.5), p99: ages.percentile(0.99), max: ages.maxMs },
      loopDelayMs: { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
      pauses: sums(pauses),
      longestPauses: [...pauses].sort((a, b) => b.ms - a.ms).slice(0, LONGEST_PAUSES),
      allocatedBytes,
      memory: this.#memory,
    };
  }
}

function sums(pauses: readonly Pause[]): Readonly<Record<PauseKind, PauseSum>> {
  const of = (kind: PauseKind): PauseSum => {
    const those = pauses.filter((pause) => pause.kind === kind);
    return {
      count: those.length,
      maxMs: those.reduce((max, { ms }) => Math.max(max, ms), 0),
      totalMs: those.reduce((sum, { ms }) => sum + ms, 0),
    };
  };
  return { minor: of('minor'), major: of('major'), incremental: of('incremental'), weak: of('weak') };
}
