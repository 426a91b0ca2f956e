import type { EncodedItems, EncodeTask, ItemsToEncode } from '../serve/fragment-encoder.js';
import { claim, isClaimed } from './claims.js';
import type { Reply } from './messages.js';
import type { WorkerThread } from './worker-thread.js';

/** What a task needs of its pool. */
export interface TaskPool {
  readonly cells: Int32Array;
  encode(items: ItemsToEncode): EncodedItems;
  nowMs(): number;
  /** Encodes one task that nobody has come to yet, since this thread would only wait; false: there is none. */
  help(): boolean;
  /** Nobody needs the task's cell, or its place in the queue. */
  released(task: PoolTask): void;
  count(by: 'worker' | 'owner'): void;
}

/**
 *     offered ──worker claims──> running ──reply──> done ──take──> released
 *        │                          └──worker ends──> lost ──take──> encoded here, released
 *        └──the owner needs it, or helps──> encoded here
 *
 * The pin is let go at the moment from which no worker can read the items: the owner's claim, the reply, or the end
 * of the worker's thread.
 */
export class PoolTask implements EncodeTask {
  readonly ticket: number;
  readonly cell: number;
  readonly byteSize: number;
  readonly #pool: TaskPool;
  readonly #items: ItemsToEncode;
  #worker: WorkerThread | undefined;
  #pin: Disposable | undefined;
  #encoded: EncodedItems | undefined;
  #wanted = true;
  #settle: { resolve(encoded: EncodedItems): void; reject(error: unknown): void } | undefined;

  constructor(
    pool: TaskPool,
    items: ItemsToEncode,
    place: { ticket: number; cell: number; byteSize: number; worker: WorkerThread },
  ) {
    this.#pool = pool;
    this.#items = items;
    this.ticket = place.ticket;
    this.cell = place.cell;
    this.byteSize = place.byteSize;
    this.#worker = place.worker;
    this.#pin = items.hold();
  }

  get isRunning(): boolean {
    return this.#worker !== undefined && isClaimed(this.#pool.cells, this.cell, this.ticket);
  }

  take(): EncodedItems | Promise<EncodedItems> {
    if (this.#worker === undefined || this.#claimed()) {
      this.#wanted = false;
      this.#pool.released(this);
      return this.#result();
    }
    const coming = new Promise<EncodedItems>((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#helpMeanwhile();
    return coming;
  }

  /** One task in each turn of the loop, so that a worker that was descheduled holds up only what it has claimed. */
  #helpMeanwhile(): void {
    if (this.#worker !== undefined && this.#pool.help()) setImmediate(() => this.#helpMeanwhile());
  }

  cancel(): void {
    this.#wanted = false;
    if (this.#worker === undefined || this.#claimed()) this.#pool.released(this);
  }

  /** Encodes it here if no worker has begun; false: one has, or there is nothing left to do. */
  help(): boolean {
    if (!this.#wanted || this.#worker === undefined || !this.#claimed()) return false;
    try {
      this.#encoded = this.#pool.encode(this.#items);
      this.#pool.count('owner');
    } catch {
      // Whoever takes it tries again, and is told.
    }
    return true;
  }

  /** undefined: the worker could not, or has ended. */
  answered(encoded: Reply['encoded']): void {
    this.#leave();
    if (encoded !== undefined) {
      this.#encoded = { bytes: Buffer.from(encoded.bytes), starts: encoded.starts };
      this.#pool.count('worker');
    }
    if (!this.#wanted) this.#pool.released(this);
    if (this.#settle === undefined) return;
    this.#wanted = false;
    this.#pool.released(this);
    try {
      this.#settle.resolve(this.#result());
    } catch (error) {
      this.#settle.reject(error);
    }
  }

  #result(): EncodedItems {
    if (this.#encoded !== undefined) return this.#encoded;
    const encoded = this.#pool.encode(this.#items);
    this.#pool.count('owner');
    return encoded;
  }

  #claimed(): boolean {
    if (!claim(this.#pool.cells, this.cell, this.ticket)) return false;
    this.#leave();
    return true;
  }

  /** No worker reads the items from now on. */
  #leave(): void {
    this.#worker?.forget(this, this.#pool.nowMs());
    this.#worker = undefined;
    this.#pin?.[Symbol.dispose]();
    this.#pin = undefined;
  }
}
