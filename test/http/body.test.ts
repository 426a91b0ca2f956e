import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Body, pooledChunkBytes } from '../../src/http/encode/body.js';
import { ChunkPool } from '../../src/http/encode/chunk-pool.js';
import { writeBytes } from '../../src/http/encode/writer.js';
import type { ByteSink, Done } from '../../src/http/sinks.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';

const CHUNK_BYTES = 1_024;
const SLICE_MS = 8;
const CHUNKS = 40;
const CHUNK_MS = 5;

function pool(chunkBytes = CHUNK_BYTES): ChunkPool {
  return new ChunkPool(pooledChunkBytes(chunkBytes), 2 ** 20);
}

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
    chunks: pool(),
    sliceMs: SLICE_MS,
    coding: undefined,
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

/** A transport that keeps what it is given until `drain`, as a client that does not read makes it do. */
function stalledSink(gathers: boolean) {
  /** What was in each chunk when it was written: its buffer is used again. */
  const writes: { readonly buffer: ArrayBufferLike; readonly text: string }[][] = [];
  const done: Done[] = [];
  let drained = () => {};
  const write = (chunks: readonly Uint8Array[], finished?: Done) => {
    writes.push(chunks.map((chunk) => ({ buffer: chunk.buffer, text: Buffer.from(chunk).toString() })));
    if (finished !== undefined) done.push(finished);
    return false;
  };
  const sink: ByteSink = {
    closed: false,
    writeBytesMax: CHUNK_BYTES,
    write: (chunk, finished) => write([chunk], finished),
    ...(gathers ? { writeAll: write } : {}),
    onDrain(run) {
      drained = run;
    },
    onClose() {},
    end() {},
    destroy() {},
  };
  return {
    sink,
    writes,
    drain() {
      for (const finished of done.splice(0)) finished();
      drained();
    },
    /** The connection breaks. */
    fail() {
      for (const finished of done.splice(0)) finished(new Error('EPIPE'));
    },
  };
}

const LARGE_BYTES = 16 * 2 ** 10;

for (const gathers of [true, false]) {
  test(`large pieces are sent as they are, in order (${gathers ? 'gathered' : 'one by one'})`, async () => {
    const { sink, writes, drain } = stalledSink(gathers);
    const clock = createFakeClock();
    const body = new Body({
      sink,
      clock,
      chunkBytes: CHUNK_BYTES,
      chunks: pool(),
      sliceMs: SLICE_MS,
      coding: undefined,
      contentLength: undefined,
      start: () => {},
    });
    const large = Buffer.alloc(LARGE_BYTES, 'L');
    const want: string[] = [];
    for (let round = 0; round < 3; round++) {
      const small = Buffer.from(`<${round}>`);
      body.append(small);
      body.append(large);
      body.copy(small, 0, 2);
      want.push(small.toString(), large.toString(), small.toString('utf8', 0, 2));
      assert.equal(body.due(), true);
      const before = writes.length;
      let flushed = false;
      const flushing = body.flush().then(() => (flushed = true));
      for (let written = 0; !flushed; written++) {
        // What waits for a client is never more than one write.
        assert.ok(writes.length - before <= written + 1);
        small.fill('!'); // it was copied
        drain();
        await new Promise(setImmediate);
      }
      await flushing;
    }
    const chunks = writes.flat();
    assert.ok(chunks.map(({ text }) => text).join('') === want.join(''), 'the bytes are those that were appended');
    assert.ok(chunks.filter(({ buffer }) => buffer === large.buffer).length >= 3, 'large pieces are not copied');
    const bytesMax = gathers ? CHUNK_BYTES * 4 : CHUNK_BYTES;
    for (const write of writes) {
      const size = write.reduce((sum, { text }) => sum + text.length, 0);
      assert.ok(size <= bytesMax, `${size} bytes in one write`);
    }
  });
}

for (const [gathers, sizes] of [
  [true, [3, 3]],
  [false, [1, 1, 1, 1, 1, 1]],
] as const) {
  test(`pieces that are sent as they are make one write of three (${gathers ? 'gathered' : 'one by one'})`, async () => {
    const { sink, writes } = stalledSink(gathers);
    const body = new Body({
      sink: {
        ...sink,
        writeBytesMax: LARGE_BYTES,
        write: (chunk) => sink.write(chunk) || true, // it takes what comes
        ...(gathers ? { writeAll: (chunks) => sink.writeAll!(chunks) || true } : {}),
      },
      clock: createFakeClock(),
      chunkBytes: LARGE_BYTES,
      chunks: pool(LARGE_BYTES),
      sliceMs: SLICE_MS,
      coding: undefined,
      contentLength: undefined,
      start: () => {},
    });
    for (let piece = 0; piece < 6; piece++) {
      body.append(Buffer.alloc(LARGE_BYTES, 'L'));
      assert.equal(body.due(), !gathers || piece % 3 === 2);
      await body.flush();
    }
    assert.deepEqual(
      writes.map(({ length }) => length),
      sizes,
    );
    // What is copied is never more than a chunk, or its buffer would grow.
    writeBytes(body, Buffer.alloc(LARGE_BYTES, 'c'));
    assert.equal(body.due(), true);
  });
}

test('what was written before a buffer grew is sent as it was', async () => {
  const { sink, writes, drain } = stalledSink(true);
  const chunks = pool();
  const body = new Body({
    sink,
    clock: createFakeClock(),
    chunkBytes: CHUNK_BYTES,
    chunks,
    sliceMs: SLICE_MS,
    coding: undefined,
    contentLength: undefined,
    start: () => {},
  });
  writeBytes(body, Buffer.from('before'));
  body.append(Buffer.alloc(LARGE_BYTES, 'L'));
  writeBytes(body, Buffer.alloc(pooledChunkBytes(CHUNK_BYTES), 'g')); // more than is left in the chunk
  chunks.take().fill('!'); // another answer's
  let flushed = false;
  const flushing = body.flush().then(() => (flushed = true));
  while (!flushed) {
    drain();
    await new Promise(setImmediate);
  }
  await flushing;
  const text = writes.flat().map((write) => write.text);
  assert.equal(text[0], 'before');
  assert.ok(!text.join('').includes('!'));
});

/** A body over a transport that takes what comes, and keeps it. */
function takenBody(chunks: ChunkPool) {
  const { sink, writes, drain, fail } = stalledSink(true);
  const body = new Body({
    sink: { ...sink, writeAll: (pieces, done) => sink.writeAll!(pieces, done) || true },
    clock: createFakeClock(),
    chunkBytes: CHUNK_BYTES,
    chunks,
    sliceMs: SLICE_MS,
    coding: undefined,
    contentLength: undefined,
    start: () => {},
  });
  const fill = async (letter: string) => {
    writeBytes(body, Buffer.alloc(CHUNK_BYTES, letter));
    await body.flush();
  };
  const buffers = () => new Set(writes.flat().map(({ buffer }) => buffer));
  return { body, fill, writes, buffers, drain, fail };
}

test('a buffer is filled again only after the transport is done with it', async () => {
  const { fill, writes, buffers, drain } = takenBody(pool());
  await fill('a');
  await fill('b');
  await fill('c');
  assert.deepEqual(
    writes.map(([chunk]) => chunk!.text[0]),
    ['a', 'b', 'c'],
  );
  assert.equal(buffers().size, 3);
  drain();
  await fill('d');
  await fill('e');
  assert.equal(buffers().size, 3, 'what came back is used again');
});

test('a client that takes everything at once is sent the same few buffers again and again', async () => {
  const buffers = new Set<ArrayBufferLike>();
  const body = new Body({
    sink: {
      closed: false,
      writeBytesMax: CHUNK_BYTES,
      // As Node's sockets: what the kernel has taken is known at once, and said in a tick of its own.
      write(chunk, done) {
        buffers.add(chunk.buffer);
        if (done !== undefined) process.nextTick(done);
        return true;
      },
      onDrain() {},
      onClose() {},
      end() {},
      destroy() {},
    },
    clock: createFakeClock(),
    chunkBytes: CHUNK_BYTES,
    chunks: pool(),
    sliceMs: SLICE_MS,
    coding: undefined,
    contentLength: undefined,
    start: () => {},
  });
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    writeBytes(body, Buffer.alloc(CHUNK_BYTES, 'c'));
    assert.equal(await body.flush(), true);
  }
  assert.equal(buffers.size, 1);
});

type Taken = Pick<ReturnType<typeof takenBody>, 'buffers'>;
const shared = (a: Taken, b: Taken) => [...a.buffers()].some((buffer) => b.buffers().has(buffer));

test('a buffer goes from one answer to the next, but not after an error', async () => {
  const chunks = pool();
  const first = takenBody(chunks);
  await first.fill('a');
  await first.body.end();
  const second = takenBody(chunks);
  await second.fill('b');
  assert.ok(!shared(second, first), 'the transport reads it');
  first.drain();
  second.fail();
  const third = takenBody(chunks);
  await third.fill('c');
  await third.fill('d');
  assert.ok(shared(third, first), 'it came back');
  assert.ok(!shared(third, second), 'nobody knows whether it is read');
});

test('what is copied goes on in another chunk, and what is encoded in one piece makes it grow', async () => {
  const chunks = pool();
  for (const encoded of [false, true]) {
    const { body, writes, buffers, drain } = takenBody(chunks);
    const piece = Buffer.alloc(CHUNK_BYTES - 1, 'p');
    const want: string[] = [];
    const rounds = 80; // more than a chunk holds
    for (let round = 0; round < rounds; round++) {
      body.copy(piece, 0, piece.length);
      want.push(piece.toString());
      if (!encoded || round !== 10) continue;
      body.append(Buffer.alloc(LARGE_BYTES, 'L')); // so pieces are parts of the buffer that is going to grow
      const large = 'x'.repeat(pooledChunkBytes(CHUNK_BYTES));
      writeBytes(body, Buffer.from(large));
      want.push('L'.repeat(LARGE_BYTES), large);
    }
    await body.end();
    const texts = writes.flat().map(({ text }) => text);
    assert.ok(texts.join('') === want.join(''), 'the bytes are those that were appended');
    const grown = [...buffers()].filter(({ byteLength }) => byteLength > pooledChunkBytes(CHUNK_BYTES));
    assert.equal(grown.length, encoded ? 1 : 0, 'copies alone never make a buffer grow');
    drain();
    assert.equal(chunks.take().length, chunks.chunkBytes, 'what grew is not kept');
  }
});

test('the pool keeps as many buffers as it may, of one size', () => {
  const chunks = new ChunkPool(10, 25);
  chunks.give(Buffer.alloc(11));
  const [a, b, c] = [chunks.take(), chunks.take(), chunks.take()];
  for (const buffer of [a, b, c]) chunks.give(buffer);
  assert.equal(chunks.take(), b);
  assert.equal(chunks.take(), a);
  const fresh = chunks.take();
  assert.ok(![a, b, c].includes(fresh));
  for (const buffer of [a, b, c, fresh]) assert.equal(buffer.length, 10);
});
