import { Worker } from 'node:worker_threads';
import type { KindCodec } from '../codec/codec.js';
import { keepYoungGenerationSmall } from '../lib/v8-flags.js';
import type { KindMessage, Reply, TaskMessage, WorkerStart } from './messages.js';
import type { Places } from './places.js';
import type { PoolTask } from './pool-task.js';

/** Enough for the schema and the code made from it; the items' bytes are outside of this. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 8 };

export interface WorkerThreadEvents {
  /** `error`: why, unless it was told to stop. All that it had not replied to is in `unanswered`. */
  readonly exited: (thread: WorkerThread, unanswered: readonly PoolTask[], error: unknown) => void;
}

/** One worker as the owner sees it. It keeps the process alive only while it works. */
export class WorkerThread {
  readonly #worker: Worker;
  readonly #cells: Int32Array;
  readonly #seenCell: number;
  readonly #events: WorkerThreadEvents;
  /** Tasks that were posted and are neither answered nor claimed by the owner, oldest first. */
  readonly #tasks = new Map<number, PoolTask>();
  readonly #kinds = new Map<KindCodec, number>();
  #posted = 0;
  #error: unknown;
  #stopping: Promise<void> | undefined;
  busyBytes = 0;
  idleSinceMs: number;

  constructor(entry: URL, cells: Int32Array, seenCell: number, nowMs: number, events: WorkerThreadEvents) {
    this.#cells = cells;
    this.#seenCell = seenCell;
    this.#events = events;
    this.idleSinceMs = nowMs;
    Atomics.store(cells, seenCell, 0);
    const workerData: WorkerStart = { cells, seenCell };
    this.#worker = new Worker(entry, { workerData, resourceLimits: RESOURCE_LIMITS, name: 'listwatch-encode' });
    this.#worker.unref();
    this.#worker.once('online', keepYoungGenerationSmall);
    this.#worker.on('message', (reply: Reply) => this.#tasks.get(reply.ticket)?.answered(reply.encoded));
    this.#worker.on('error', (error) => {
      this.#error = error;
    });
    this.#worker.on('messageerror', (error) => this.fail(error));
    this.#worker.on('exit', (code) => this.#exited(code));
  }

  get seenCell(): number {
    return this.#seenCell;
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  get tasks(): Iterable<PoolTask> {
    return this.#tasks.values();
  }

  get isIdle(): boolean {
    return this.#tasks.size === 0;
  }

  /** Messages that it has not looked at, those of tasks that others have claimed included. */
  get inbox(): number {
    return this.#posted - Atomics.load(this.#cells, this.#seenCell);
  }

  post(task: PoolTask, codec: KindCodec, { slabs, places, byteSize }: Places): void {
    let kind = this.#kinds.get(codec);
    if (kind === undefined) {
      kind = this.#kinds.size;
      this.#kinds.set(codec, kind);
      this.#worker.postMessage({ kind, definition: codec.kind } satisfies KindMessage);
    }
    if (this.#tasks.size === 0) this.#worker.ref();
    this.#tasks.set(task.ticket, task);
    this.busyBytes += byteSize;
    this.#posted++;
    const { ticket, cell } = task;
    this.#worker.postMessage({ ticket, cell, kind, slabs, places } satisfies TaskMessage);
  }

  /** The task is answered, or not this worker's any more. */
  forget(task: PoolTask, nowMs: number): void {
    if (!this.#tasks.delete(task.ticket)) return;
    this.busyBytes -= task.byteSize;
    if (this.#tasks.size > 0) return;
    this.idleSinceMs = nowMs;
    this.#worker.unref();
  }

  /** Ends it as if it had ended by itself. */
  fail(error: unknown): void {
    this.#error ??= error;
    void this.#worker.terminate();
  }

  /** Resolves when its thread is gone. */
  stop(): Promise<void> {
    this.#stopping ??= this.#worker.terminate().then(() => undefined);
    return this.#stopping;
  }

  #exited(code: number): void {
    const unanswered = [...this.#tasks.values()];
    this.#tasks.clear();
    const error = this.isStopping ? undefined : (this.#error ?? new Error(`the worker ended with code ${code}`));
    this.#events.exited(this, unanswered, error);
  }
}
