import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRevisionProbe } from '../../src/serve/freshness.js';

/** A store whose answers are given by hand. */
function gatedStore() {
  const waiting: ((revision: number) => void)[] = [];
  let revision = 10;
  return {
    write: () => ++revision,
    currentRevision: () => new Promise<number>((resolve) => waiting.push(resolve)),
    /** Answers the oldest question with the revision that the store has now. */
    async answer(at = revision) {
      waiting.shift()!(at);
      await new Promise((resolve) => setImmediate(resolve));
    },
    get asked() {
      return waiting.length;
    },
  };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('a probe that started before a request arrived is never used for it', async () => {
  const store = gatedStore();
  const probe = createRevisionProbe(store);
  const first = probe.latest();
  await turn();
  store.write();
  const second = probe.latest(); // its write is not in the answer that is under way
  await store.answer(10);
  assert.equal(await first, 10);
  await store.answer();
  assert.equal(await second, 11);
});

test('requests that arrive in one turn share the probe that starts at its end', async () => {
  const store = gatedStore();
  const probe = createRevisionProbe(store);
  const all: Promise<number>[] = [];
  for (let request = 0; request < 32; request++) {
    all.push(probe.latest());
    await null; // each came over a connection of its own
  }
  assert.equal(store.asked, 0);
  await turn();
  assert.equal(store.asked, 1);
  await store.answer();
  assert.deepEqual(new Set(await Promise.all(all)), new Set([10]));
  assert.equal(probe.probes, 1);
});

test('requests that wait share one probe', async () => {
  const store = gatedStore();
  const probe = createRevisionProbe(store);
  const first = probe.latest();
  await turn();
  const others = Array.from({ length: 100 }, () => probe.latest());
  assert.equal(store.asked, 1);
  await store.answer();
  assert.equal(store.asked, 1);
  await store.answer();
  assert.deepEqual(new Set(await Promise.all([first, ...others])), new Set([10]));
  assert.equal(probe.probes, 2);
});

test('a failed probe fails its own requests only', async () => {
  let fail = true;
  const probe = createRevisionProbe({
    currentRevision: async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (!fail) return 7;
      fail = false;
      throw new Error('no answer');
    },
  });
  const first = probe.latest();
  await turn();
  const second = probe.latest();
  await assert.rejects(first, /no answer/);
  assert.equal(await second, 7);
  assert.equal(await probe.latest(), 7);
});
