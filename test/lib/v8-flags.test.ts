import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { keepYoungGenerationSmall } from '../../src/lib/v8-flags.js';

/** Bytes of one half. */
function capacity(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')!;
  return space.space_available_size + space.space_used_size;
}

/** Much survives. */
function live(): number {
  let held: object[] = [];
  for (let index = 0; index < 3_000_000; index++) {
    held.push({ index });
    if (held.length > 300_000) held = [];
  }
  return held.length;
}

test('the young generation stays as it is, and does again when a thread has started', async () => {
  keepYoungGenerationSmall();
  const before = capacity();
  live();
  assert.ok(capacity() < before * 2, `${before} bytes, then ${capacity()}`); // half as much again on Node 24
  const worker = new Worker('setTimeout(() => {}, 1)', { eval: true });
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.once('online', keepYoungGenerationSmall);
  await gone;
  live();
  // Between the thread's start and the news of it, a collection may have doubled it once; unchecked, it is sixteen times as large.
  assert.ok(capacity() <= before * 2.1, `${before} bytes, then ${capacity()}`);
  assert.ok(before < 4 * 2 ** 20, `it was ${before} bytes to begin with`);
});
