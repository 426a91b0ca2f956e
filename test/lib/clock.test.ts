import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coalesced, createFakeClock, systemClock } from '../../src/lib/clock.js';

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

test('coalesced: once for all who ask until it is due, and again for who asks after it', () => {
  const clock = createFakeClock();
  let ran = 0;
  const ask = coalesced(clock, 100, () => ran++);
  ask();
  clock.advance(60);
  ask();
  assert.equal(ran, 0);
  clock.advance(40);
  assert.equal(ran, 1);
  clock.advance(500);
  assert.equal(ran, 1);
  ask();
  clock.advance(100);
  assert.equal(ran, 2);
});
