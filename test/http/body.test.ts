import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Body } from '../../src/http/encode/body.js';
import { writeBytes } from '../../src/http/encode/writer.js';
import type { ByteSink } from '../../src/http/sinks.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';

const CHUNK_BYTES = 1_024;
const SLICE_MS = 8;
const CHUNKS = 40;
const CHUNK_MS = 5;

/** A transport that is always full, and empty again before the turn is over: a fast client on the same machine. */
function eagerSink(): ByteSink {
  let drain = () => {};
  return {
    closed: false,
    writeBytesMax: CHUNK_BYTES * 2,
    write() {
      process.nextTick(() => drain());
      return false;
    },
    onDrain(run) {
      drain = run;
    },
    onClose() {},
    end() {},
    destroy() {},
  };
}

/** Writes chunks that take 5 ms each; returns the most time that passed between two turns of the event loop. */
async function longestSlice(clock: FakeClock): Promise<number> {
  let turnedMs = clock.monotonicMs();
  let longestMs = 0;
  let done = false;
  const turned = () => {
    longestMs = Math.max(longestMs, clock.monotonicMs() - turnedMs);
    turnedMs = clock.monotonicMs();
    if (!done) setImmediate(turned);
  };
  setImmediate(turned);
  const body = new Body({
    sink: eagerSink(),
    clock,
    chunkBytes: CHUNK_BYTES,
    sliceMs: SLICE_MS,
    gzipOffered: false,
    contentLength: undefined,
    start: () => {},
  });
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    clock.advance(CHUNK_MS);
    writeBytes(body, new Uint8Array(CHUNK_BYTES));
    assert.equal(body.due(), true);
    assert.equal(await body.flush(), true);
  }
  await body.end();
  assert.equal(body.bytesOut, CHUNKS * CHUNK_BYTES);
  done = true;
  return longestMs;
}

test('a LIST gives way after its slice, also when its client takes every chunk at once', async () => {
  assert.equal(await longestSlice(createFakeClock()), 2 * CHUNK_MS);
});
