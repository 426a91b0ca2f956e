import type { Clock, Timer } from '../lib/clock.js';

/**
 * One timing wheel serves the bookmarks and deadlines of every watcher: 10,000 watchers cost two
 * list nodes each, not two process timers each. Scheduling and cancelling are O(1).
 *
 *     slot 0   1   2   3  …  2047     a slot is a ring of entries due in that tick, in this
 *          ▲                          turn of the wheel or in a later one
 *          └ tick now
 *
 * The wheel arms one timer of the clock, for its next occupied slot, and none while it is empty.
 * Entries never run early, and late by at most one tick.
 */
export interface TimingWheel {
  schedule(delayMs: number, run: () => void): WheelEntry;
  /** Entries that wait. */
  readonly size: number;
  /** Forgets every entry. */
  stop(): void;
}

export interface WheelEntry {
  /** Idempotent; after the entry has run it does nothing. */
  cancel(): void;
}

const SLOT_COUNT = 2048;
const SLOT_MASK = SLOT_COUNT - 1;

class Entry implements WheelEntry {
  readonly dueTick: number;
  readonly run: () => void;
  next: Entry = this;
  previous: Entry = this;
  #wheel: Wheel | undefined;

  constructor(wheel: Wheel | undefined, dueTick: number, run: () => void) {
    this.#wheel = wheel;
    this.dueTick = dueTick;
    this.run = run;
  }

  cancel(): void {
    const wheel = this.#wheel;
    if (wheel === undefined) return;
    this.#wheel = undefined;
    this.next.previous = this.previous;
    this.previous.next = this.next;
    this.next = this.previous = this;
    wheel.size--;
    if (wheel.size === 0) wheel.disarm();
  }
}

class Wheel implements TimingWheel {
  size = 0;
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #slots: Entry[];
  /** Every slot up to this tick has run. */
  #tick: number;
  #timer: Timer | undefined;
  #armedTick = 0;
  #turning = false;

  constructor(clock: Clock, tickMs: number) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#slots = Array.from({ length: SLOT_COUNT }, () => new Entry(undefined, 0, () => {}));
    this.#tick = this.#tickNow();
  }

  schedule(delayMs: number, run: () => void): WheelEntry {
    if (this.size === 0) this.#tick = this.#tickNow();
    const atMs = this.#clock.monotonicMs() + Math.max(delayMs, 0);
    const entry = new Entry(this, Math.max(Math.ceil(atMs / this.#tickMs), this.#tick + 1), run);
    const head = this.#slots[entry.dueTick & SLOT_MASK]!;
    entry.previous = head.previous;
    entry.next = head;
    head.previous.next = entry;
    head.previous = entry;
    this.size++;
    if (this.#turning) return entry; // The turn arms when it is over.
    if (this.#timer === undefined || entry.dueTick < this.#armedTick) this.#armAt(entry.dueTick);
    return entry;
  }

  stop(): void {
    for (const head of this.#slots) while (head.next !== head) head.next.cancel();
    this.disarm();
  }

  disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tickNow(): number {
    return Math.floor(this.#clock.monotonicMs() / this.#tickMs);
  }

  #armAt(tick: number): void {
    this.#timer?.cancel();
    this.#armedTick = tick;
    this.#timer = this.#clock.setTimer(tick * this.#tickMs - this.#clock.monotonicMs(), () => this.#turn());
  }

  #turn(): void {
    this.#timer = undefined;
    const now = this.#tickNow();
    const from = Math.max(this.#tick + 1, now - SLOT_MASK);
    this.#tick = now;
    // What is due is taken out first: an entry that runs may schedule or cancel others.
    const due: Entry[] = [];
    for (let tick = from; tick <= now; tick++) {
      const head = this.#slots[tick & SLOT_MASK]!;
      for (let entry = head.next; entry !== head; entry = entry.next) if (entry.dueTick <= now) due.push(entry);
    }
    due.sort((a, b) => a.dueTick - b.dueTick);
    this.#turning = true;
    try {
      for (const entry of due) {
        if (entry.next === entry) continue; // Cancelled by one that ran before it.
        entry.cancel();
        entry.run();
      }
    } finally {
      this.#turning = false;
      if (this.size > 0) this.#armNext();
    }
  }

  #armNext(): void {
    for (let tick = this.#tick + 1; tick <= this.#tick + SLOT_COUNT; tick++) {
      const head = this.#slots[tick & SLOT_MASK]!;
      if (head.next === head) continue;
      this.#armAt(tick);
      return;
    }
  }
}

export function createTimingWheel(clock: Clock, tickMs = 50): TimingWheel {
  return new Wheel(clock, tickMs);
}
