import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { BroadcastChannel } from 'node:worker_threads';
import { findKind } from '../../src/codec/kinds.js';
import { createFakeClock, systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import type { EncodeTask } from '../../src/serve/fragment-encoder.js';
import { EncodePool, type EncodePoolOptions } from '../../src/workers/encode-pool.js';
import { claim, isClaimed, nextTicket, offer } from '../../src/workers/claims.js';
import { PoolTask } from '../../src/workers/pool-task.js';
import { GATE, scripted } from './scripted-worker.js';
import { encoderSuite, expectedJson, storedItems, textsOf } from '../suites/encoder-suite.js';

const limits = { ...defaultLimits, encodeTaskBytesMin: 0 };
const pods = findKind('', 'v1', 'pods')!;

function poolOf(t: { after(run: () => Promise<void>): void }, options: Partial<EncodePoolOptions> = {}) {
  const crashes: string[] = [];
  const onCrash = (error: unknown) => void crashes.push(String(error));
  const pool = new EncodePool({ workers: 1, limits, clock: systemClock, onCrash, ...options });
  t.after(() => pool.close());
  return { pool, crashes };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds(); turn++) {
    assert.ok(turn < 1_000, `${what} has not come true in 10 s`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isRunning = (task: EncodeTask) => task instanceof PoolTask && task.isRunning;

{
  const pool = new EncodePool({ workers: 2, limits, clock: systemClock, onCrash: assert.ifError });
  encoderSuite('EncodePool', pool, () => pool.close());
}
{
  const pool = new EncodePool({ workers: 0, limits, clock: systemClock, onCrash: assert.ifError });
  encoderSuite('EncodePool without workers', pool, () => pool.close());
  after(() => assert.equal(pool.stats.workersStarted, 0));
}

test('workers do the work while the owner waits, and the owner what they have not come to', async (t) => {
  const { pool } = poolOf(t);
  const stored = storedItems(pods, 8);
  const want = expectedJson(stored);
  const warm = pool.start(stored.items);
  await until('the worker has begun', () => isRunning(warm));
  const tasks = [warm, ...Array.from({ length: 40 }, () => pool.start(stored.items))];
  for (const task of tasks) assert.deepEqual(textsOf(await task.take()), want);
  const { tasksByWorkers, tasksByOwner } = pool.stats;
  assert.equal(tasksByWorkers + tasksByOwner, 41);
  assert.ok(tasksByWorkers >= 1 && tasksByOwner >= 1, `${tasksByWorkers} by the worker, ${tasksByOwner} by the owner`);
  assert.equal(pool.stats.aheadBytes, 0);
});

test('nobody waits for a worker that does not come to its tasks', async (t) => {
  const { pool } = poolOf(t, { entry: scripted('idle') });
  const stored = storedItems(pods);
  const task = pool.start(stored.items);
  assert.equal(stored.versions.stats.pins, 1);
  const encoded = task.take();
  assert.ok(!(encoded instanceof Promise));
  assert.deepEqual(textsOf(encoded), expectedJson(stored));
  assert.equal(stored.versions.stats.pins, 0);
});

test('a worker that crashes is replaced; what it was at is encoded by the owner, and held no longer', async (t) => {
  const { pool, crashes } = poolOf(t, { entry: scripted('crash') });
  const stored = storedItems(pods);
  const [first, second] = [pool.start(stored.items), pool.start(stored.items)];
  await until('the crash', () => crashes.length > 0);
  assert.deepEqual(crashes, ['Error: crashed on purpose']);
  assert.equal(stored.versions.stats.pins, 0);
  assert.equal(pool.stats.workers, 0);
  assert.deepEqual(textsOf(await second.take()), expectedJson(stored));
  assert.deepEqual(textsOf(await first.take()), expectedJson(stored));
  pool.start(stored.items).cancel();
  assert.equal(pool.stats.workersStarted, 1, 'not at once again');
  await new Promise((resolve) => setTimeout(resolve, limits.encodeWorkerRestartMs));
  const third = pool.start(stored.items);
  assert.equal(pool.stats.workersStarted, 2);
  assert.deepEqual(textsOf(await third.take()), expectedJson(stored));
});

test('a taker that waits for a worker that crashes gets its items from the owner', async (t) => {
  const { pool, crashes } = poolOf(t, { entry: scripted('slow') });
  const stored = storedItems(pods);
  const task = pool.start(stored.items);
  await until('the worker has begun', () => isRunning(task));
  const coming = task.take();
  assert.ok(coming instanceof Promise);
  assert.equal(stored.versions.stats.pins, 1, 'the worker still reads');
  await pool.close();
  assert.deepEqual(textsOf(await coming), expectedJson(stored));
  assert.equal(stored.versions.stats.pins, 0);
  assert.deepEqual(crashes, [], 'it was told to stop');
});

test('while a worker is at what is taken, the owner goes on with what is ahead', async (t) => {
  const { pool } = poolOf(t, { entry: scripted('slow') });
  const stored = storedItems(pods);
  const tasks = Array.from({ length: 5 }, () => pool.start(stored.items));
  await until('the worker has begun', () => isRunning(tasks[0]!));
  const coming = tasks[0]!.take();
  await until('all others are encoded', () => pool.stats.tasksByOwner === 4);
  await pool.close();
  for (const taken of [coming, ...tasks.slice(1).map((task) => task.take())]) {
    assert.deepEqual(textsOf(await taken), expectedJson(stored));
  }
  assert.equal(pool.stats.tasksByOwner, 5);
});

test('what a worker cannot encode is tried again', async (t) => {
  const { pool } = poolOf(t, { entry: scripted('blind') });
  const stored = storedItems(pods);
  const task = pool.start(stored.items);
  await until('the answer', () => stored.versions.stats.pins === 0);
  assert.deepEqual(textsOf(await task.take()), expectedJson(stored));
});

test('a worker that hangs is ended, and counts as crashed', async (t) => {
  const clock = createFakeClock();
  const { pool, crashes } = poolOf(t, { entry: scripted('hang'), clock });
  const stored = storedItems(pods);
  const task = pool.start(stored.items);
  await until('the worker has begun', () => isRunning(task));
  const coming = task.take();
  clock.advance(limits.encodeTaskMs);
  assert.equal(pool.stats.workers, 1, 'seen once');
  clock.advance(limits.encodeTaskMs);
  assert.deepEqual(textsOf(await coming), expectedJson(stored));
  assert.deepEqual(crashes, ['Error: a task took longer than 10000 ms']);
  assert.equal(stored.versions.stats.pins, 0);
});

test('a cancelled task keeps its pin until the worker has replied', async (t) => {
  const { pool } = poolOf(t, { entry: scripted('slow') });
  const stored = storedItems(pods);
  const { versions } = stored;
  const [running, offered] = [pool.start(stored.items), pool.start(stored.items)];
  await until('the worker has begun', () => isRunning(running));
  offered.cancel();
  running.cancel();
  assert.equal(versions.stats.pins, 1, 'only that of the task the worker is at');
  assert.ok(pool.stats.aheadBytes > 0);
  // The versions are superseded and would be freed, and overwritten, but for the pin.
  for (const id of stored.ids) versions.retire(id, 1_000);
  assert.equal(versions.reclaim(2_000), 0);
  const gate = new BroadcastChannel(GATE);
  gate.postMessage('go');
  gate.close();
  await until('the reply', () => versions.stats.pins === 0);
  assert.equal(pool.stats.aheadBytes, 0);
  assert.equal(versions.reclaim(2_000), stored.ids.length);
});

test('the queue is bounded in bytes and in tasks; what does not fit is encoded when it is taken', async (t) => {
  const stored = storedItems(pods);
  const byteSize = stored.ids.reduce((sum, id) => sum + objectSize(stored, id), 0);
  for (const bound of [{ encodeAheadBytesMax: byteSize * 3 + 1 }, { encodeTasksMax: 3 }]) {
    const { pool } = poolOf(t, { entry: scripted('idle'), limits: { ...limits, ...bound } });
    const tasks = Array.from({ length: 5 }, () => pool.start(stored.items));
    assert.equal(stored.versions.stats.pins, 3);
    assert.equal(pool.stats.aheadBytes, byteSize * 3);
    assert.equal(pool.stats.tasksRefused, 2);
    for (const task of tasks) assert.deepEqual(textsOf(await task.take()), expectedJson(stored));
    assert.equal(pool.stats.aheadBytes, 0);
    assert.equal(stored.versions.stats.pins, 0);
    pool.start(stored.items).cancel();
    assert.equal(pool.stats.tasksRefused, 2, 'there is room again');
  }
});

test('messages of a worker that does not read them do not pile up', async (t) => {
  const { pool } = poolOf(t, { entry: scripted('idle'), limits: { ...limits, encodeTasksMax: 4 } });
  const stored = storedItems(pods);
  let offered = 0;
  for (let index = 0; index < 10; index++) {
    const task = pool.start(stored.items);
    if (task instanceof PoolTask) offered++;
    await task.take();
  }
  assert.equal(offered, 4);
});

test('small tasks, and bytes that lie in no slab, stay in their thread', async (t) => {
  const { pool } = poolOf(t, { limits: { ...limits, encodeTaskBytesMin: 2 ** 20 } });
  const stored = storedItems(pods);
  assert.deepEqual(textsOf(await pool.start(stored.items).take()), expectedJson(stored));
  const { pool: other } = poolOf(t);
  const at: typeof stored.items.at = (index, into) => {
    const { bytes, start, end } = stored.items.at(index, into);
    return Object.assign(into, { bytes: Buffer.from(bytes.subarray(start, end)), start: 0, end: end - start });
  };
  assert.deepEqual(textsOf(await other.start({ ...stored.items, at }).take()), expectedJson(stored));
  assert.equal(pool.stats.workersStarted + other.stats.workersStarted, 0);
});

test('a worker that has nothing to do ends, and another one starts when there is', async (t) => {
  const clock = createFakeClock();
  const { pool, crashes } = poolOf(t, { clock });
  const stored = storedItems(pods);
  await pool.start(stored.items).take();
  assert.equal(pool.stats.workers, 1);
  clock.advance(limits.encodeWorkerIdleMs - limits.encodeTaskMs);
  assert.equal(pool.stats.workers, 1);
  clock.advance(limits.encodeTaskMs * 2);
  await until('its end', () => pool.stats.workers === 0);
  assert.deepEqual(crashes, []);
  assert.deepEqual(textsOf(await pool.start(stored.items).take()), expectedJson(stored));
  assert.equal(pool.stats.workersStarted, 2);
});

test('a closed pool has no threads and goes on encoding', async (t) => {
  const { pool } = poolOf(t, { workers: 2 });
  const stored = storedItems(pods);
  const before = [pool.start(stored.items), pool.start(stored.items)];
  assert.equal(pool.stats.workers, 2);
  await pool.close();
  assert.equal(pool.stats.workers, 0);
  for (const task of [...before, pool.start(stored.items)]) {
    assert.deepEqual(textsOf(await task.take()), expectedJson(stored));
  }
  assert.equal(pool.stats.workersStarted, 2);
  assert.equal(stored.versions.stats.pins, 0);
});

test('only one of those who claim a task has it, and an old ticket claims nothing', () => {
  const cells = new Int32Array(new SharedArrayBuffer(4));
  offer(cells, 0, 7);
  assert.equal(isClaimed(cells, 0, 7), false);
  assert.deepEqual([claim(cells, 0, 7), claim(cells, 0, 7), isClaimed(cells, 0, 7)], [true, false, true]);
  offer(cells, 0, 8);
  assert.deepEqual([claim(cells, 0, 7), isClaimed(cells, 0, 7), claim(cells, 0, 8)], [false, false, true]);
  assert.equal(nextTicket(2 ** 31 - 1), 1);
});

function objectSize(stored: ReturnType<typeof storedItems>, id: number): number {
  const { start, end } = stored.versions.object(id, { bytes: new Uint8Array(0), start: 0, end: 0 });
  return end - start;
}
