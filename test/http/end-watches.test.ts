import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endWatches } from '../../src/http/end-watches.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';
import { eventually, openHttp2, openRaw, request } from './client.js';
import { certificate, pod, startServing } from './serving.js';

// --shutdown-watch-termination-grace-period: watches end cleanly, at once or over a time (spec 9.4).

/** So many that count how often they are ended, and one that is no watch. */
function watches(count: number) {
  const counts = new Uint8Array(count);
  const open = Array.from({ length: count }, (_, index) => ({ endWatch: () => void counts[index]!++ }));
  return { open: [...open, { endWatch: undefined }], ended: () => counts.reduce((sum, one) => sum + one, 0), counts };
}

async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 10) {
    clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('without a time, all end at once', async () => {
  const { open, ended } = watches(1_000);
  await endWatches(open, 0, createFakeClock());
  assert.equal(ended(), 1_000);
});

test('they end evenly over the time, each once', async () => {
  const clock = createFakeClock();
  const { open, ended, counts } = watches(10_000);
  let isOver = false;
  const ending = endWatches(open, 10_000, clock).then(() => (isOver = true));
  assert.equal(ended(), 0);
  for (let second = 1; second <= 9; second++) {
    await pass(clock, 1_000);
    assert.ok(Math.abs(ended() - second * 1_000) <= 100, `${ended()} after ${second} s`);
  }
  assert.equal(isOver, false);
  await pass(clock, 1_100);
  await ending;
  assert.deepEqual(new Set(counts), new Set([1]));
});

test('few end at 200 a second', async () => {
  const clock = createFakeClock();
  const { open, ended } = watches(100);
  const ending = endWatches(open, 60_000, clock);
  await pass(clock, 250);
  assert.ok(ended() > 0 && ended() < 100, `${ended()} after 250 ms`);
  await pass(clock, 350);
  await ending;
  assert.equal(ended(), 100);
});

test('a server that closes ends its watches over the time, cleanly, over HTTP/1.1 and HTTP/2', async (t) => {
  const serving = startServing({ limits: { watchTerminationGraceMs: 1_000 } });
  t.after(serving.close);
  await serving.put('pods', pod('p0'));
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const secure = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const path = '/api/v1/pods?watch=1&resourceVersion=0';
  const plain = await Promise.all(
    Array.from({ length: 100 }, () => openRaw(port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)),
  );
  const session = await openHttp2(secure.port);
  const codes: (number | undefined)[] = [];
  for (let index = 0; index < 300; index++) {
    const stream = request(session, path);
    stream.on('close', () => codes.push(stream.rstCode));
    stream.resume();
  }
  await eventually('all watches', () => serving.server.open === 400);
  const startMs = performance.now();
  const closing = serving.server.close();
  await eventually('some have ended', () => serving.server.open < 350);
  assert.ok(serving.server.open > 0, 'and not all of them');
  await closing;
  assert.ok(performance.now() - startMs > 700, 'it took its time');
  await eventually('the client knows', () => codes.length === 300);
  assert.deepEqual(new Set(codes), new Set([0]));
  for (const connection of plain) await connection.until(/\r\n0\r\n\r\n$/);
});
