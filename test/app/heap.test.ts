import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdleCollector } from '../../src/app/heap.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';

const { idleSampleMs, idleCollectAfterMs, idleBusyShare } = defaultLimits;

/** `collectMs`: what a collection takes. */
function world(collectMs = 10) {
  const clock = createFakeClock();
  const state = { busyMs: 0, collections: 0 };
  const collector = new IdleCollector({
    busyMs: () => state.busyMs,
    collect() {
      state.collections++;
      state.busyMs += collectMs;
      clock.advance(collectMs);
    },
    clock,
    limits: defaultLimits,
  });
  collector.start();
  /** One sample with the loop busy for so long. */
  const sample = (busyMs: number) => {
    state.busyMs += busyMs;
    clock.advance(idleSampleMs);
    return state.collections;
  };
  return { collector, sample };
}

test('garbage is collected once, when the loop is idle after it was busy', () => {
  const { collector, sample } = world();
  assert.deepEqual([sample(900), sample(900), sample(900)], [0, 0, 0], 'not while there is much to do');
  assert.equal(sample(0), 1);
  assert.deepEqual([sample(0), sample(1), sample(0)], [1, 1, 1], 'nothing was done since');
  assert.deepEqual([sample(900), sample(0)], [1, 2]);
  assert.equal(collector.collections, 2);
});

test('a little at a time adds up, and idle has a bound', () => {
  const { sample } = world();
  const little = idleSampleMs * idleBusyShare - 1;
  for (let at = 0; at < Math.ceil(idleCollectAfterMs / little) - 1; at++) assert.equal(sample(little), 0);
  assert.equal(sample(little), 1);
  const busy = idleSampleMs * idleBusyShare;
  for (let at = 0; at < 100; at++) assert.equal(sample(busy), 1);
});

test('collections take a twentieth of the time at most', () => {
  const { sample } = world(200);
  sample(900);
  assert.equal(sample(0), 1);
  for (let busy = 900; busy < 4_000; busy += 900) assert.deepEqual([sample(900), sample(0)], [1, 1]);
  assert.deepEqual([sample(900), sample(0)], [1, 2]);
});

test('one comes although there is much to do when memory is short, a twentieth of the time at most', () => {
  const { collector, sample } = world(200);
  sample(900);
  collector.press();
  assert.equal(collector.collections, 1);
  collector.press();
  for (let busy = 900; busy < 4_000; busy += 900) {
    sample(900);
    collector.press();
  }
  assert.equal(collector.collections, 1, 'not before twenty times as long was spent on something else');
  sample(900);
  collector.press();
  assert.equal(collector.collections, 2);
});

test('none comes after the end', () => {
  const { collector, sample } = world();
  sample(900);
  collector.stop();
  assert.equal(sample(0), 0);
});

test('the one of V8 gives back what nobody holds', () => {
  const clock = createFakeClock();
  const collector = new IdleCollector({ busyMs: () => 600, clock, limits: defaultLimits });
  let held: WeakRef<object> | undefined;
  // In a function of its own, so that no register keeps it.
  (() => {
    held = new WeakRef({});
  })();
  return new Promise<void>((resolve) => {
    // A WeakRef keeps its target until the turn ends.
    setImmediate(() => {
      collector.sample();
      assert.equal(collector.collections, 0, 'the first sample sees a busy loop');
      collector.sample();
      assert.equal(collector.collections, 1);
      assert.equal(held!.deref(), undefined);
      resolve();
    });
  });
});
