import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Clock, sleep } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import { Ages } from './ages.js';
import type { Cell, Distribution, MemorySample, PauseSum, TrialResult } from './cell.js';
import { CollectorWatch, type Pause, type PauseKind } from './collector.js';
import type { Subject } from './subject.js';

/** Events in one turn of the event loop: as many as one read from a socket brings, with small objects (64 KiB). */
const TURN_COUNT_MAX = 110;
/** Less than this share of the rate that was asked for means that it was not kept. */
const RATE_KEPT = 0.98;
/** With ages of so many times the bound nothing is left to learn. */
const HOPELESS = 20;
const MEMORY_SAMPLES = 60;
const LONGEST_PAUSES = 20;
const RATE_MS = 1_000;

/**
 * Writes random objects at a rate for so many seconds, in an open loop: an event is due at its time however far behind
 * we are, and what waits because the process is late counts into its age. `rate` undefined: as fast as it goes.
 */
export async function runTrial(
  subject: Subject,
  cell: Cell,
  rate: number | undefined,
  seconds: number,
  random: Random,
  clock: Clock,
): Promise<TrialResult> {
  const { cache, source } = subject;
  const ages = new Ages();
  const memory: MemorySample[] = [];
  const listsBefore = subject.lists;
  const watchBytesBefore = subject.watchBytes;
  const reading = new AbortController();
  const collector = new CollectorWatch(clock);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const cpuBefore = process.cpuUsage();
  const first = source.revision;
  const startMs = clock.monotonicMs();
  delay.enable();
  const readers = Array.from({ length: cell.readers }, (_, reader) =>
    read(subject, cell, (cell.listEveryMs * reader) / cell.readers, clock, reading.signal),
  );
  let elapsedMs = 0;
  let applied = first;
  let cutShort = false;
  while (elapsedMs < seconds * 1000 && !cutShort) {
    const done = source.revision - first;
    const wanted = rate === undefined ? TURN_COUNT_MAX : Math.floor((rate * elapsedMs) / RATE_MS) - done;
    const count = Math.max(0, Math.min(TURN_COUNT_MAX, wanted));
    for (let event = 0; event < count; event++) source.write(random.int(cell.objects));
    if (count < TURN_COUNT_MAX) await sleep(clock, 1);
    else await new Promise((resolve) => setImmediate(resolve));
    elapsedMs = clock.monotonicMs() - startMs;
    if (rate !== undefined) {
      let ageMs = 0;
      while (applied < cache.revision) {
        applied++;
        ageMs = elapsedMs - ((applied - first) * RATE_MS) / rate;
        ages.add(ageMs);
      }
      cutShort = ageMs > cell.ageBoundMs * HOPELESS;
    }
    if (elapsedMs * MEMORY_SAMPLES > memory.length * seconds * 1000) memory.push(memoryAt(elapsedMs));
  }
  delay.disable();
  const cpu = process.cpuUsage(cpuBefore);
  const events = source.revision - first;
  reading.abort();
  await Promise.all(readers);
  const { pauses, allocatedBytes } = await collector.finish();
  if (cache.revision !== source.revision) {
    throw new Error(`revision ${source.revision} was written, ${cache.revision} is reached: ${cache.lastError ?? ''}`);
  }
  const eventsPerSecond = (events / elapsedMs) * 1000;
  const age = rate === undefined ? undefined : distribution(ages);
  return {
    rate,
    seconds: elapsedMs / 1000,
    eventsPerSecond,
    cores: (cpu.user + cpu.system) / 1000 / elapsedMs,
    ageMs: age,
    loopDelayMs: { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 },
    pauses: sums(pauses),
    longestPauses: [...pauses].sort((a, b) => b.ms - a.ms).slice(0, LONGEST_PAUSES),
    allocatedBytesPerEvent: allocatedBytes === undefined || events === 0 ? undefined : allocatedBytes / events,
    memory,
    lists: subject.lists - listsBefore,
    watchBytes: subject.watchBytes - watchBytesBefore,
    cutShort,
    passed:
      rate === undefined ||
      (!cutShort && age !== undefined && age.p99 <= cell.ageBoundMs && eventsPerSecond >= rate * RATE_KEPT),
  };
}

async function read(
  subject: Subject,
  { listEveryMs }: Cell,
  waitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  await sleep(clock, waitMs, signal);
  for (let dueMs = clock.monotonicMs(); !signal.aborted; dueMs += listEveryMs) {
    await subject.list();
    await sleep(clock, Math.max(1, dueMs + listEveryMs - clock.monotonicMs()), signal);
  }
}

function memoryAt(atMs: number): MemorySample {
  const { heapUsed, external, rss } = process.memoryUsage();
  return { atMs, heapUsed, external, rss };
}

function distribution(ages: Ages): Distribution {
  return { p50: ages.percentile(0.5), p99: ages.percentile(0.99), max: ages.maxMs };
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
