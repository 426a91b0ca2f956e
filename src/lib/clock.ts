/**
 * Time is passed in, so that a simulation can run the real code over a fake clock.
 * This file is the only place that reads the process clock or starts timers.
 */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time in milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`; 0: when the I/O that is ready has had its turn. A pending timer does not keep the process alive, beyond that turn, unless it `holds` it. */
  setTimer(delayMs: number, run: () => void, holds?: boolean): Timer;
}

const DELAY_MAX_MS = 2 ** 31 - 1; // longer delays make Node fire at once

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, run, holds = false) {
    if (delayMs <= 0) {
      // A timeout of 0 is one of a millisecond. Not unref'd: the loop would not wake up for it.
      const immediate = setImmediate(run);
      return { cancel: () => clearImmediate(immediate) };
    }
    const handle = setTimeout(run, Math.min(delayMs, DELAY_MAX_MS));
    if (!holds) handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`, or at once when the signal aborts; never rejects. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = () => {
      timer.cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.setTimer(delayMs, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}

/** `run`, so much later than it is asked for; once for all who ask until then. */
export function coalesced(clock: Clock, delayMs: number, run: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    clock.setTimer(delayMs, () => {
      isDue = false;
      run();
    });
  };
}

export interface FakeClock extends Clock {
  /** Moves time forward, firing due timers in order of their time. */
  advance(deltaMs: number): void;
}

export function createFakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let elapsedMs = 0;
  let sequence = 0;
  const pending = new Map<number, { atMs: number; run: () => void }>();
  const nextDue = (untilMs: number) => {
    let due: { id: number; atMs: number } | undefined;
    for (const [id, { atMs }] of pending) {
      if (atMs <= untilMs && (due === undefined || atMs < due.atMs)) due = { id, atMs };
    }
    return due;
  };
  return {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    setTimer(delayMs, run) {
      const id = sequence++;
      pending.set(id, { atMs: elapsedMs + Math.max(delayMs, 0), run });
      return { cancel: () => void pending.delete(id) };
    },
    advance(deltaMs) {
      const untilMs = elapsedMs + deltaMs;
      for (let due = nextDue(untilMs); due !== undefined; due = nextDue(untilMs)) {
        const timer = pending.get(due.id)!;
        pending.delete(due.id);
        elapsedMs = due.atMs;
        timer.run();
      }
      elapsedMs = untilMs;
    },
  };
}
