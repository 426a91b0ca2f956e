import type { Clock } from '../lib/clock.js';
import { seededRandom } from '../lib/random.js';
import type { Cell, CellResult, TrialResult } from './cell.js';
import { CollectorWatch, countAllocations } from './collector.js';
import { collectGarbage } from '../lib/v8-flags.js';
import { type Limit, searchLimit } from './limit.js';
import { Subject } from './subject.js';
import { runTrial } from './trial.js';

/** Said as a cell goes on, so that what was measured survives its end. */
export type CellMessage =
  | { readonly type: 'phase'; readonly phase: 'loading' | 'warming' | 'measuring'; readonly share: number }
  | { readonly type: 'known'; readonly known: Partial<CellResult> }
  | { readonly type: 'trial'; readonly trial: TrialResult }
  | { readonly type: 'done'; readonly result: CellResult }
  | { readonly type: 'failed'; readonly message: string };

/** Until the code is compiled and the history has filled, trials say little. */
const WARM_UP_SHARE = 0.5;
const COUNTED_EVENTS = 1_000;
/** Trials that a search takes, about: for the time that is left. */
const SEARCH_TRIALS = 9;

export async function runCell(cell: Cell, clock: Clock, say: (message: CellMessage) => void): Promise<CellResult> {
  say({ type: 'phase', phase: 'loading', share: 0 });
  collectGarbage();
  const before = process.memoryUsage();
  const subject = new Subject(cell, clock);
  const loading = new CollectorWatch(clock);
  const startMs = clock.monotonicMs();
  await subject.load();
  const loadSeconds = (clock.monotonicMs() - startMs) / 1000;
  const { pauses } = await loading.finish();
  collectGarbage();
  const after = process.memoryUsage();
  const known = {
    storedBytesPerObject: subject.stream.storedBytes,
    loadSeconds,
    loadLongestPauseMs: pauses.reduce((max, { ms }) => Math.max(max, ms), 0),
    held: {
      heapUsed: after.heapUsed - before.heapUsed,
      external: after.external - before.external,
      rss: after.rss - before.rss,
    },
  };
  say({ type: 'known', known });
  say({ type: 'phase', phase: 'warming', share: 0.2 });
  const random = seededRandom(cell.seed);
  subject.startWatchers();
  await runTrial(subject, { ...cell, readers: 0 }, undefined, cell.seconds * WARM_UP_SHARE, random, clock);
  const { eventsPerSecond: ceilingPerSecond } = await runTrial(subject, cell, undefined, cell.seconds, random, clock);
  say({ type: 'known', known: { ceilingPerSecond } });

  const trials: TrialResult[] = [];
  const expected = cell.load.kind === 'rates' ? cell.load.rates.length : SEARCH_TRIALS;
  const trial = async (rate: number) => {
    const result = await runTrial(subject, cell, rate, cell.seconds, random, clock);
    trials.push(result);
    say({ type: 'trial', trial: result });
    say({ type: 'phase', phase: 'measuring', share: 0.3 + 0.65 * Math.min(1, trials.length / expected) });
    return { rate, passed: result.passed };
  };
  let limit: Limit | undefined;
  if (cell.load.kind === 'rates') for (const rate of cell.load.rates) await trial(rate);
  else limit = await searchLimit(trial, { ceiling: ceilingPerSecond, ...cell.load });

  const counted = await countAllocations(async () => {
    for (let event = 0; event < COUNTED_EVENTS; event++) {
      subject.source.write(random.int(cell.objects));
      if (event % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
    }
  });
  subject.cache.verify();
  await subject.stop();
  return {
    ...known,
    ceilingPerSecond,
    trials,
    limit,
    allocations: {
      objectsPerEvent: counted.objects / COUNTED_EVENTS,
      bytesPerEvent: counted.bytes / COUNTED_EVENTS,
    },
  };
}
