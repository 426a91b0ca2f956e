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
  // Half as much again on Node 24, three times as much there when many processes share the machine.
  assert.ok(capacity() < before * 4, `${before} bytes, then ${capacity()}`);
  const worker = new Worker('setTimeout(() => {}, 1)', { eval: true });
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.once('online', keepYoungGenerationSmall);
  await gone;
  live();
  // Between the thread's start and the news of it, a collection may have doubled it once; unchecked, it is sixteen times as large.
  assert.ok(capacity() < before * 4, `${before} bytes, then ${capacity()}`);
  assert.ok(before < 4 * 2 ** 20, `it was ${before} bytes to begin with`);
});
