import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReadTicks } from '../../src/source/etcd/read-ticks.js';

const OPTIONS = { tickMs: 5, tickBytes: 64 * 2 ** 10, ratePerSecond: 200 };

/** Messages of `bytes` come every `everyMs`; returns how long each of them waited, and the wake-ups. */
function replay(ticks: ReadTicks, everyMs: number, count: number, bytes: number, startMs = 0) {
  const waits: number[] = [];
  let wakeUps = 0;
  let openMs = startMs;
  for (let index = 0; index < count; ) {
    const nowMs = Math.max(startMs + index * everyMs, openMs);
    let messages = 0;
    for (; index < count && startMs + index * everyMs <= nowMs; index++, messages++) {
      waits.push(nowMs - (startMs + index * everyMs));
    }
    wakeUps++;
    openMs = nowMs + ticks.received(nowMs, messages * bytes, messages);
  }
  return { waits, wakeUps };
}

test('read ticks: while changes are rare, none waits', () => {
  for (const everyMs of [50, 10, 5.5]) {
    const { waits } = replay(new ReadTicks(OPTIONS), everyMs, 500, 3_000);
    assert.equal(Math.max(...waits), 0, `one every ${everyMs} ms`);
  }
});

test('read ticks: when they come fast, several share a wake-up, and none waits longer than a tick', () => {
  const ticks = new ReadTicks(OPTIONS);
  const { waits, wakeUps } = replay(ticks, 1, 5_000, 3_000);
  assert.ok(wakeUps < 1_300, `${wakeUps} wake-ups for 5000 changes`);
  assert.ok(Math.max(...waits) <= OPTIONS.tickMs, `${Math.max(...waits)} ms`);
  // And when it is quiet again, at once.
  const quiet = replay(ticks, 20, 100, 3_000, 5_100);
  assert.equal(Math.max(...quiet.waits.slice(5)), 0);
});

test('read ticks: what comes in bulk is read at full speed', () => {
  const ticks = new ReadTicks(OPTIONS);
  replay(ticks, 1, 1_000, 100);
  let pausedMs = 0;
  for (let read = 0; read < 1_000; read++) pausedMs += ticks.received(2_000 + read * 0.5, 64 * 2 ** 10, 20);
  assert.equal(pausedMs, 0);
});

test('read ticks: after a pause of hours the old rate is forgotten', () => {
  const ticks = new ReadTicks(OPTIONS);
  replay(ticks, 1, 1_000, 100);
  assert.equal(ticks.received(1e7, 100, 1), 0);
});
