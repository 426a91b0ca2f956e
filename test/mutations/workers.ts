import { type Mutation, of } from './mutation.js';

const POOL = 'src/workers/encode-pool.ts';
const tests = ['workers/encode-pool'];

/** Encode workers: who encodes a task, and what is held meanwhile. */
export const workerMutations: readonly Mutation[] = [
  ...of('src/workers/claims.ts', tests, [
    [`${POOL} I1`, 'return Atomics.compareExchange(cells, cell, ticket, -ticket) === ticket;', 'return ticket !== 0;'],
  ]),
  ...of('src/workers/pool-task.ts', tests, [
    [`${POOL} I2`, 'this.#pin = items.hold();', 'this.#pin = undefined;'],
    [
      'a cancelled task keeps its pin while a worker reads',
      '  cancel(): void {\n    this.#wanted = false;',
      '  cancel(): void {\n    this.#wanted = false;\n    this.#pin?.[Symbol.dispose]();\n    this.#pin = undefined;',
    ],
    [
      'what a worker could not encode is tried again',
      'if (encoded !== undefined) {',
      'if (encoded === undefined) this.#encoded = { bytes: Buffer.alloc(0), starts: new Uint32Array(1) };\n    else {',
    ],
  ]),
  ...of(POOL, tests, [
    [`${POOL} I3`, 'this.#stats.aheadBytes -= task.byteSize;', ''],
    ['what is ahead is bounded in bytes', 'this.#stats.aheadBytes + byteSize > limits.encodeAheadBytesMax', 'false'],
    [`${POOL} I4`, 'this.#freeCells.push(task.cell);', ''],
    ['what a dead worker was at is not lost', 'for (const task of unanswered) task.answered(undefined);', ''],
    ['a worker that hangs is ended', 'if (runningBefore.has(task)) thread.fail(', 'if (nowMs < 0) thread.fail('],
    ['a crash does not start worker after worker', 'if (nowMs < this.#restartMs) return undefined;', ''],
    ['messages do not pile up', ' || thread.inbox >= this.#options.limits.encodeTasksMax', ''],
  ]),
];
