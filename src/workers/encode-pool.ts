import type { Clock, Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import {
  createItemsEncoder,
  type EncodeStats,
  type EncodeTask,
  type FragmentEncoder,
  type ItemsToEncode,
} from '../serve/fragment-encoder.js';
import { nextTicket, offer } from './claims.js';
import { placesOf } from './places.js';
import { PoolTask } from './pool-task.js';
import { WorkerThread } from './worker-thread.js';

export interface EncodePoolOptions {
  /** Threads at most; each is started when those before it are busy. */
  readonly workers: number;
  readonly limits: EncodeLimits;
  readonly clock: Clock;
  /** A worker has ended by itself. Its tasks are not lost, and there will be another one. */
  readonly onCrash: (error: unknown) => void;
  /** What a worker runs, for tests. */
  readonly entry?: URL;
}

export type EncodeLimits = Pick<
  Limits,
  | 'encodeAheadBytesMax'
  | 'encodeTasksMax'
  | 'encodeTaskBytesMin'
  | 'encodeTaskMs'
  | 'encodeWorkerIdleMs'
  | 'encodeWorkerRestartMs'
>;

/**
 * Encodes the items of LISTs on other cores. A task is offered to a worker, and the owner, which writes the LIST, goes
 * on to take tasks in their order: it encodes itself what no worker has come to, so that nobody ever waits for a worker that
 * starts, is slow or is gone.
 *
 *     worker   [ 1 ][ 2 ][  4  ][ 5 ] ...
 *     owner    [ 0 ] write 0 1 [ 3 ] write 2 3 ...
 *
 * Invariants:
 *   I1  a task is encoded by whoever claimed it (claims.ts), and by nobody else while that thread lives.
 *   I2  a pin is held from before a worker can claim a task until no worker can read its items.
 *   I3  `aheadBytes` is the sum over tasks that are started and not released, and stays within limits.encodeAheadBytesMax.
 *   I4  every cell is either free or belongs to one task that is not released.
 */
export class EncodePool implements FragmentEncoder {
  readonly cells: Int32Array;
  readonly ahead: number;
  readonly #options: EncodePoolOptions;
  readonly #threads: WorkerThread[] = [];
  readonly #freeCells: number[] = [];
  readonly #freeSeenCells: number[] = [];
  /** Started and not released, oldest first. */
  readonly #tasks = new Set<PoolTask>();
  readonly #stats = { started: 0, crashed: 0, worker: 0, owner: 0, refused: 0, aheadBytes: 0 };
  readonly encode = createItemsEncoder();
  #ticket = 0;
  #restartMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: EncodePoolOptions) {
    this.#options = options;
    const { encodeTasksMax } = options.limits;
    this.ahead = options.workers === 0 ? 0 : Math.min(encodeTasksMax, AHEAD_PER_THREAD * (options.workers + 1));
    this.cells = new Int32Array(new SharedArrayBuffer((encodeTasksMax + options.workers) * 4));
    for (let cell = encodeTasksMax - 1; cell >= 0; cell--) this.#freeCells.push(cell);
    for (let worker = 0; worker < options.workers; worker++) this.#freeSeenCells.push(encodeTasksMax + worker);
  }

  get stats(): EncodeStats {
    return {
      workers: this.#threads.length,
      workersStarted: this.#stats.started,
      workersCrashed: this.#stats.crashed,
      tasksByWorkers: this.#stats.worker,
      tasksByOwner: this.#stats.owner,
      tasksRefused: this.#stats.refused,
      aheadBytes: this.#stats.aheadBytes,
    };
  }

  start(items: ItemsToEncode): EncodeTask {
    return this.#offered(items) ?? { take: () => this.#encodeHere(items), cancel: () => {} };
  }

  nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  help(): boolean {
    for (const task of this.#tasks) if (task.help()) return true;
    return false;
  }

  released(task: PoolTask): void {
    if (!this.#tasks.delete(task)) return;
    this.#stats.aheadBytes -= task.byteSize;
    this.#freeCells.push(task.cell);
  }

  count(by: 'worker' | 'owner'): void {
    this.#stats[by]++;
  }

  /** Resolves when no thread is left. What is started later, or not answered yet, is encoded by whoever takes it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await Promise.all(this.#threads.map((thread) => thread.stop()));
  }

  #encodeHere(items: ItemsToEncode) {
    const encoded = this.encode(items);
    this.#stats.owner++;
    return encoded;
  }

  #offered(items: ItemsToEncode): PoolTask | undefined {
    const { limits, workers } = this.#options;
    if (this.#closed || workers === 0) return undefined;
    const places = placesOf(items);
    if (places === undefined || places.byteSize < limits.encodeTaskBytesMin) return undefined;
    const { byteSize } = places;
    const cell = this.#freeCells.at(-1);
    if (cell === undefined || this.#stats.aheadBytes + byteSize > limits.encodeAheadBytesMax) {
      this.#stats.refused++;
      return undefined;
    }
    const worker = this.#pick();
    if (worker === undefined) return undefined;
    this.#freeCells.pop();
    this.#ticket = nextTicket(this.#ticket);
    const task = new PoolTask(this, items, { ticket: this.#ticket, cell, byteSize, worker });
    this.#tasks.add(task);
    this.#stats.aheadBytes += byteSize;
    offer(this.cells, cell, this.#ticket);
    worker.post(task, items.codec, places);
    return task;
  }

  /** The worker with the least to do; another one is started when all have something. */
  #pick(): WorkerThread | undefined {
    let best: WorkerThread | undefined;
    for (const thread of this.#threads) {
      if (thread.isStopping || thread.inbox >= this.#options.limits.encodeTasksMax) continue;
      if (best === undefined || thread.busyBytes < best.busyBytes) best = thread;
    }
    if (best?.isIdle !== true && this.#threads.length < this.#options.workers) return this.#startWorker() ?? best;
    return best;
  }

  #startWorker(): WorkerThread | undefined {
    const { limits, entry = WORKER_ENTRY } = this.#options;
    const nowMs = this.nowMs();
    if (nowMs < this.#restartMs) return undefined;
    const seenCell = this.#freeSeenCells.pop()!;
    const thread = new WorkerThread(entry, this.cells, seenCell, nowMs, {
      exited: (...exit) => this.#exited(...exit),
    });
    this.#threads.push(thread);
    this.#stats.started++;
    this.#timer ??= this.#options.clock.setTimer(limits.encodeTaskMs, () => this.#lookAfter(new Set()));
    return thread;
  }

  #exited(thread: WorkerThread, unanswered: readonly PoolTask[], error: unknown): void {
    this.#threads.splice(this.#threads.indexOf(thread), 1);
    this.#freeSeenCells.push(thread.seenCell);
    if (error !== undefined) {
      this.#stats.crashed++;
      this.#restartMs = this.nowMs() + this.#options.limits.encodeWorkerRestartMs;
      this.#options.onCrash(error);
    }
    for (const task of unanswered) task.answered(undefined);
  }

  /** Ends workers that nobody needs, and those that have been at the same task since the last time. */
  #lookAfter(runningBefore: ReadonlySet<PoolTask>): void {
    const { limits, clock } = this.#options;
    const nowMs = this.nowMs();
    const running = new Set<PoolTask>();
    for (const thread of this.#threads) {
      if (thread.isIdle && nowMs - thread.idleSinceMs >= limits.encodeWorkerIdleMs) void thread.stop();
      for (const task of thread.tasks) {
        if (!task.isRunning) continue;
        if (runningBefore.has(task)) thread.fail(new Error(`a task took longer than ${limits.encodeTaskMs} ms`));
        running.add(task);
      }
    }
    this.#timer =
      this.#threads.length === 0 ? undefined : clock.setTimer(limits.encodeTaskMs, () => this.#lookAfter(running));
  }
}

/** While the owner writes what a thread has encoded, that thread must not run out of tasks. */
const AHEAD_PER_THREAD = 6;
const WORKER_ENTRY = new URL('./encode-worker.js', import.meta.url);
