import { type Clock, sleep } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { Cell, TrialResult } from './cell.js';
import { Meter } from './meter.js';
import type { Subject } from './subject.js';

/** Events in one turn of the event loop: as many as one read from a socket brings, with small objects (64 KiB). */
const TURN_COUNT_MAX = 110;
/** Less than this share of the rate that was asked for means that it was not kept. */
const RATE_KEPT = 0.98;
/** With ages of so many times the bound nothing is left to learn. */
const HOPELESS = 20;
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
  const listsBefore = subject.lists;
  const watchBytesBefore = subject.watchBytes;
  const reading = new AbortController();
  const meter = new Meter(clock, seconds * 1000);
  const first = source.revision;
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
    elapsedMs = meter.elapsedMs();
    if (rate === undefined) continue;
    let ageMs = 0;
    while (applied < cache.revision) {
      applied++;
      ageMs = elapsedMs - ((applied - first) * RATE_MS) / rate;
      meter.ages.add(ageMs);
    }
    cutShort = ageMs > cell.ageBoundMs * HOPELESS;
  }
  const events = source.revision - first;
  const measured = meter.finish();
  reading.abort();
  await Promise.all(readers);
  const { allocatedBytes, ...rest } = await measured;
  if (cache.revision !== source.revision) {
    throw new Error(`revision ${source.revision} was written, ${cache.revision} is reached: ${cache.lastError ?? ''}`);
  }
  const eventsPerSecond = events / rest.seconds;
  const { ageMs } = rest;
  return {
    ...rest,
    rate,
    eventsPerSecond,
    allocatedBytesPerEvent: allocatedBytes === undefined || events === 0 ? undefined : allocatedBytes / events,
    lists: subject.lists - listsBefore,
    watchBytes: subject.watchBytes - watchBytesBefore,
    cutShort,
    passed:
      rate === undefined ||
      (!cutShort && ageMs !== undefined && ageMs.p99 <= cell.ageBoundMs && eventsPerSecond >= rate * RATE_KEPT),
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
