const READERS = 0;
/** Readers that the writer waits for. */
const LEAVING = 1;
const WRITER = 2;
const READER = 3;
const CELLS = 4;
/** Taken off the count of readers while a writer is there: a count below zero says so. */
const WRITING = 2 ** 30;

/**
 * A lock for one writer and any number of readers in threads that share memory, with the rules of Go's RWMutex: readers share it,
 * a writer has it alone, and readers that come while a writer waits stand behind the writer.
 */
export class ReadWriteLock {
  /** To be given to other threads. */
  readonly memory: SharedArrayBuffer;
  /** How often `lock` of this object had to sleep. */
  sleeps = 0;
  readonly #cells: Int32Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(CELLS * 4)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  lockForReading(): void {
    if (Atomics.add(this.#cells, READERS, 1) + 1 < 0) this.#take(READER);
  }

  unlockForReading(): void {
    if (Atomics.sub(this.#cells, READERS, 1) - 1 >= 0) return;
    if (Atomics.sub(this.#cells, LEAVING, 1) - 1 === 0) this.#give(WRITER);
  }

  lock(): void {
    const readers = Atomics.sub(this.#cells, READERS, WRITING);
    if (readers === 0) return;
    if (Atomics.add(this.#cells, LEAVING, readers) + readers === 0) return;
    this.sleeps++;
    this.#take(WRITER);
  }

  unlock(): void {
    const waiting = Atomics.add(this.#cells, READERS, WRITING) + WRITING;
    for (let reader = 0; reader < waiting; reader++) this.#give(READER);
  }

  /** A semaphore's down and up. */
  #take(cell: number): void {
    for (;;) {
      const count = Atomics.load(this.#cells, cell);
      if (count > 0 && Atomics.compareExchange(this.#cells, cell, count, count - 1) === count) return;
      if (count === 0) Atomics.wait(this.#cells, cell, 0);
    }
  }

  #give(cell: number): void {
    Atomics.add(this.#cells, cell, 1);
    Atomics.notify(this.#cells, cell, 1);
  }
}
