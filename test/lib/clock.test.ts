import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.js';

test('a timer of 0 ms wakes a loop that has nothing else to do, and can be cancelled', async () => {
  let fired = 0;
  const startMs = systemClock.monotonicMs();
  const keepsAlive = setTimeout(() => {}, 5_000);
  systemClock.setTimer(0, () => fired++).cancel();
  await new Promise<void>((resolve) => {
    systemClock.setTimer(0, () => {
      fired++;
      resolve();
    });
  });
  clearTimeout(keepsAlive);
  assert.equal(fired, 1);
  assert.ok(systemClock.monotonicMs() - startMs < 4_000);
});
