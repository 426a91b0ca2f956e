import { sleep, systemClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';
import { collectGarbage } from '../../src/lib/v8-flags.js';
import type { Cell } from '../../src/pressure/cell.js';
import { CollectorWatch } from '../../src/pressure/collector.js';
import { Subject } from '../../src/pressure/subject.js';
import { runTrial } from '../../src/pressure/trial.js';

export interface CacheTrial {
  readonly eventsPerSecond: number;
  /** Of all threads, for each event. */
  readonly cpuUs: number;
  /** Of loading and of the trial. */
  readonly longestPauseMs: number;
  /** Percent of the trial's time. */
  readonly pauseShare: number;
  /** Of the heap, for each event. */
  readonly allocatedBytes: number;
  /** Loaded, after a full collection. */
  readonly heapMib: number;
  /** What the process took more after the trial than before it held anything. */
  readonly residentMib: number;
  /** Key and value of an object, as they come from etcd. */
  readonly storedBytes: number;
  /** What one watcher is given for an event. */
  readonly watchBytes: number;
}

const MIB = 2 ** 20;
/** Loading has compiled the code already; so much more fills the history. */
const WARM_UP_SHARE = 0.4;

/** For `inChild`. */
export const CACHE_TRIAL = import.meta.url;

/** Leases in the engine that listwatch ships, unless said otherwise. */
export function cellOf(
  given: Pick<Cell, 'objects' | 'representation' | 'seconds' | 'seed'> &
    Partial<Pick<Cell, 'kind' | 'objectBytes' | 'watchers'>>,
): Cell {
  return {
    kind: 'leases',
    objectBytes: undefined,
    engine: 'cow-btree',
    load: { kind: 'rates', rates: [] },
    watchers: 0,
    readers: 0,
    listEveryMs: 1_000,
    ageBoundMs: 50,
    semiSpaceMib: undefined,
    heapMib: undefined,
    ...given,
  };
}

/** `startAtMs`: by the clock of the system, for trials that run at the same time in several processes. */
export type TimedCell = Cell & { readonly startAtMs?: number };

/** The server's watch cache takes changes of random objects as fast as they go. In a process of its own. */
export async function cacheTrial(cell: TimedCell): Promise<CacheTrial> {
  collectGarbage();
  const before = process.memoryUsage();
  const subject = new Subject(cell, systemClock);
  const loading = new CollectorWatch(systemClock);
  await subject.load();
  const { pauses } = await loading.finish();
  collectGarbage();
  const heapMib = (process.memoryUsage().heapUsed - before.heapUsed) / MIB;
  const random = seededRandom(cell.seed);
  subject.startWatchers();
  if (cell.startAtMs !== undefined) await sleep(systemClock, cell.startAtMs - systemClock.nowMs());
  await runTrial(subject, cell, undefined, cell.seconds * WARM_UP_SHARE, random, systemClock);
  const trial = await runTrial(subject, cell, undefined, cell.seconds, random, systemClock);
  const residentMib = (process.memoryUsage().rss - before.rss) / MIB;
  await subject.stop();
  const those = Object.values(trial.pauses);
  const events = trial.eventsPerSecond * trial.seconds;
  // Fewer than two collections: what the heap grew by is what was allocated.
  const grown = trial.memory.at(-1)!.heapUsed - trial.memory[0]!.heapUsed;
  return {
    eventsPerSecond: trial.eventsPerSecond,
    cpuUs: (trial.cores * 1e6) / trial.eventsPerSecond,
    longestPauseMs: Math.max(0, ...pauses.map(({ ms }) => ms), ...those.map(({ maxMs }) => maxMs)),
    pauseShare: those.reduce((sum, { totalMs }) => sum + totalMs, 0) / (trial.seconds * 10),
    allocatedBytes: trial.allocatedBytesPerEvent ?? Math.max(0, grown) / events,
    heapMib,
    residentMib,
    storedBytes: subject.stream.storedBytes,
    watchBytes: trial.watchBytes / events / Math.max(1, cell.watchers),
  };
}
