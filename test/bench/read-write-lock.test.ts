import assert from 'node:assert/strict';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import { ReadWriteLock } from '../../bench/experiments/read-write-lock.js';
import { createSharedIndex, type IndexName, openSharedIndex } from '../../bench/experiments/shared-index.js';
import { seededRandom } from '../../src/lib/random.js';

test('a read-write lock keeps readers apart from the writer, in other threads, and lets both go on', async () => {
  const lock = new ReadWriteLock();
  const memory = new SharedArrayBuffer(16);
  const cells = new Int32Array(memory);
  const source = `
    import { workerData, parentPort } from 'node:worker_threads';
    const { ReadWriteLock } = await import(workerData.module);
    const lock = new ReadWriteLock(workerData.lock);
    const cells = new Int32Array(workerData.memory);
    let torn = 0, reads = 0;
    parentPort.postMessage('ready');
    while (cells[2] === 0 || reads < 100) {
      lock.lockForReading();
      const first = cells[0];
      for (let turn = 0; turn < 50; turn++) if (cells[1] !== first || cells[0] !== first) torn++;
      lock.unlockForReading();
      reads++;
    }
    parentPort.postMessage({ torn, reads });`;
  const workers = [1, 2].map(
    () =>
      new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
        workerData: {
          module: new URL('../../bench/experiments/read-write-lock.js', import.meta.url).href,
          lock: lock.memory,
          memory,
        },
      }),
  );
  const message = (worker: Worker) => new Promise<unknown>((resolve) => worker.once('message', resolve));
  await Promise.all(workers.map(message));
  const answers = workers.map(message);
  for (let write = 1; write <= 20_000; write++) {
    lock.lock();
    cells[0] = write;
    cells[1] = write;
    lock.unlock();
  }
  Atomics.store(cells, 2, 1);
  for (const answer of (await Promise.all(answers)) as { torn: number; reads: number }[]) {
    assert.equal(answer.torn, 0);
    assert.ok(answer.reads >= 100);
  }
});

test('a lock that nobody else holds is never slept for', () => {
  const lock = new ReadWriteLock();
  for (let turn = 0; turn < 100; turn++) {
    lock.lock();
    lock.unlock();
    lock.lockForReading();
    lock.unlockForReading();
  }
  assert.equal(lock.sleeps, 0);
});

for (const name of ['b-tree', 'hash map'] as const satisfies IndexName[]) {
  test(`shared ${name}: agrees with a Map, also when opened from its memory`, () => {
    const random = seededRandom(1);
    const keys = Array.from({ length: 1_000 }, (_, index) =>
      Buffer.from(`/leases/${String(index * 7).padStart(6, '0')}`),
    );
    const index = createSharedIndex(name, keys);
    const other = openSharedIndex(index.memory);
    const model = new Map(keys.map((key, at) => [key.toString(), at]));
    for (let id = 1_000; id < 5_000; id++) {
      const key = random.pick(keys);
      index.replace(key, id);
      model.set(key.toString(), id);
    }
    for (const key of keys) assert.equal(other.get(key), model.get(key.toString()));
    const listed = new Int32Array(keys.length);
    assert.equal(other.list(listed), keys.length);
    const want = [...model.values()];
    if (name === 'b-tree') assert.deepEqual([...listed], want);
    else
      assert.deepEqual(
        [...listed].sort((a, b) => a - b),
        want.sort((a, b) => a - b),
      );
    assert.throws(() => index.get(Buffer.from('/leases/000001')), /no such key/);
  });
}
