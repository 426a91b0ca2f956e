import type { Clock, Timer } from '../lib/clock.js';

/**
 * Work that could hold up ingest (streaming initial events, catching laggards up) takes turns:
 * all jobs together run for at most `sliceMs`, then the event loop gets its turn. Jobs go round
 * robin, so one large stream does not keep a small one waiting.
 */
export interface Turns {
  /** `job` does a small piece of work and returns true while there is more. */
  add(job: () => boolean): void;
  readonly size: number;
  stop(): void;
}

export function createTurns(clock: Clock, sliceMs: number): Turns {
  let jobs: (() => boolean)[] = [];
  let timer: Timer | undefined;
  const arm = () => {
    if (timer === undefined && jobs.length > 0) timer = clock.setTimer(0, turn);
  };
  const turn = () => {
    timer = undefined;
    const untilMs = clock.monotonicMs() + sliceMs;
    do {
      const round = jobs;
      jobs = [];
      let index = 0;
      for (; index < round.length; index++) {
        if (round[index]!()) jobs.push(round[index]!);
        if (clock.monotonicMs() >= untilMs) {
          jobs = [...round.slice(index + 1), ...jobs];
          break;
        }
      }
    } while (jobs.length > 0 && clock.monotonicMs() < untilMs);
    arm();
  };
  return {
    get size() {
      return jobs.length;
    },
    add(job) {
      jobs.push(job);
      arm();
    },
    stop() {
      jobs = [];
      timer?.cancel();
      timer = undefined;
    },
  };
}
