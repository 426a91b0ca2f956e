import { type Clock, sleep } from '../lib/clock.js';

/** As kube-apiserver: fewer would make a shutdown long for no reason. */
const PER_SECOND_MIN = 200;
const EVERY_MS = 50;

/** Something that may be a watch. */
export interface Endable {
  readonly endWatch: (() => void) | undefined;
}

/**
 * Ends the watches among them cleanly: at once, or spread evenly over `graceMs`, so that their clients do not all come to
 * another server in the same moment. At least 200 a second end. Resolves when the last one was told.
 */
export async function endWatches(open: Iterable<Endable>, graceMs: number, clock: Clock): Promise<void> {
  const watches = [...open].filter(({ endWatch }) => endWatch !== undefined);
  if (graceMs <= 0) {
    for (const { endWatch } of watches) endWatch?.();
    return;
  }
  const perSecond = Math.max(PER_SECOND_MIN, watches.length / (graceMs / 1_000));
  const startMs = clock.monotonicMs();
  for (let ended = 0; ended < watches.length; ) {
    await sleep(clock, EVERY_MS);
    // By the time that has passed: a loop that is busy does not make it longer.
    const due = Math.min(watches.length, Math.ceil((perSecond * (clock.monotonicMs() - startMs)) / 1_000));
    for (; ended < due; ended++) watches[ended]!.endWatch?.();
  }
}
