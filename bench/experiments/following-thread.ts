import { parentPort, workerData } from 'node:worker_threads';
import { SharedLog } from './shared-log.js';

export interface FollowingOrder {
  readonly log: SharedArrayBuffer;
  /** Cell 0 ends the thread when it is not 0 any more. */
  readonly control: SharedArrayBuffer;
  /** As often as the server flushes what its watchers are to be sent. */
  readonly everyMs: number;
}

/** A serving thread: takes out of the shared log what its watchers would be sent. Says at its end how much that was. */
const { log: memory, control, everyMs } = workerData as FollowingOrder;
const log = new SharedLog(memory);
const cells = new Int32Array(control);
let read = 0;
parentPort!.postMessage('ready');
while (Atomics.wait(cells, 0, 0, everyMs) === 'timed-out') read += log.behind(read).length;
read += log.behind(read).length;
parentPort!.postMessage(read);
