import { parentPort, workerData } from 'node:worker_threads';
import { ReadWriteLock } from './read-write-lock.js';
import { type IndexMemory, openSharedIndex } from './shared-index.js';

export interface ListingOrder {
  readonly index: IndexMemory;
  readonly lock: SharedArrayBuffer;
  /** Cell 0 ends the thread when it is not 0 any more, cell 1 counts the LISTs. */
  readonly control: SharedArrayBuffer;
  readonly everyMs: number;
}

/** A reader in a thread of its own: lists the kind under the lock, rests, lists again. */
const order = workerData as ListingOrder;
const index = openSharedIndex(order.index);
const lock = new ReadWriteLock(order.lock);
const control = new Int32Array(order.control);
const count = order.index.ids.byteLength / 4;
const ids = new Int32Array(count);
parentPort!.postMessage('ready');
do {
  lock.lockForReading();
  const listed = index.list(ids);
  lock.unlockForReading();
  if (listed !== count) throw new Error(`${listed} of ${count} ids were listed`);
  Atomics.add(control, 1, 1);
} while (Atomics.wait(control, 0, 0, order.everyMs) === 'timed-out');
