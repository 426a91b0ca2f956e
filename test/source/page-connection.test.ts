import assert from 'node:assert/strict';
import { constants, createSecureServer, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext } from 'node:tls';
import { generate } from 'selfsigned';
import { systemClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';
import { framed } from '../../src/source/etcd/grpc-messages.js';
import { FrameReader, headerBlock } from '../../src/source/etcd/http2-frames.js';
import { type LentBytes, PageBuffers } from '../../src/source/etcd/page-buffers.js';
import { type PageCall, PageConnection, type PageConnectionOptions } from '../../src/source/etcd/page-connection.js';
import { eventually } from '../support/command.js';
import { GRPC, withBytes, withServer, withTrailers } from '../support/grpc-server.js';

function connectionTo(port: number, options: Partial<PageConnectionOptions> = {}): PageConnection {
  return new PageConnection(
    {
      host: '127.0.0.1',
      port,
      secureContext: undefined,
      dialTimeoutMs: 10_000,
      keepaliveTimeMs: 30_000,
      keepaliveTimeoutMs: 10_000,
      messageBytesMax: 8 * 2 ** 20,
      windowBytes: 2 ** 20,
      idleMs: 60_000,
      ...options,
    },
    systemClock,
  );
}

const REQUEST = Buffer.from('which page');

/** Resolves with the answer, or with undefined when it is refused. */
function ask(connection: PageConnection, made?: (call: PageCall | undefined) => void): Promise<LentBytes | undefined> {
  return new Promise((resolve) => {
    const call = connection.open('/etcdserverpb.KV/Range', { token: 'secret' }, REQUEST, {
      answered: resolve,
      refused: () => resolve(undefined),
    });
    made?.(call);
    if (call === undefined) resolve(undefined);
  });
}

function answer(stream: ServerHttp2Stream, message: Buffer): void {
  withTrailers(stream, { 'grpc-status': '0' });
  stream.end(framed(message));
}

test('pages: answers arrive whole, several at once, however they are cut, in memory that is used again', async () => {
  const random = seededRandom(11);
  await withServer(
    (stream) => {
      const message = Buffer.alloc(300_000 + random.int(3 * 2 ** 20), random.int(256));
      withTrailers(stream, { 'grpc-status': '0', size: String(message.length) });
      void (async () => {
        const bytes = framed(message);
        for (let at = 0; at < bytes.length; ) {
          const to = Math.min(bytes.length, at + 1 + random.int(200_000));
          stream.write(bytes.subarray(at, to));
          at = to;
          if (random.int(8) === 0) await delay(1);
        }
        stream.end();
      })();
    },
    async (port) => {
      const connection = connectionTo(port);
      const seen = new Set<ArrayBufferLike>();
      for (let round = 0; round < 6; round++) {
        const pages = await Promise.all([ask(connection), ask(connection), ask(connection)]);
        for (const page of pages) {
          assert.ok(page !== undefined && page.bytes.length >= 300_000);
          assert.ok(
            page.bytes.every((byte) => byte === page.bytes[0]),
            'one message is not mixed with another',
          );
          seen.add(page.bytes.buffer);
        }
        for (const page of pages) page?.release();
      }
      assert.ok(seen.size < 18, `${seen.size} buffers for 18 pages`);
      connection.retire();
    },
  );
});

test('pages: a page that is not released stays as it is', async () => {
  let next = 0;
  await withServer(
    (stream) => answer(stream, Buffer.alloc(100_000, next++)),
    async (port) => {
      const connection = connectionTo(port);
      const kept = await ask(connection);
      for (let round = 0; round < 3; round++) (await ask(connection))?.release();
      assert.ok(kept?.bytes.every((byte) => byte === 0));
      connection.retire();
    },
  );
});

test('pages: the call says what it is, with values of any length', async () => {
  const token = 'x'.repeat(300);
  const asked = new Promise<Record<string, unknown>>((resolve) => {
    void withServer(
      (stream, headers) => {
        resolve(headers);
        stream.on('data', (bytes: Buffer) => assert.deepEqual(bytes, framed(REQUEST)));
        stream.on('end', () => answer(stream, Buffer.of(1)));
      },
      async (port) => {
        const connection = connectionTo(port);
        await new Promise<void>((done) => {
          connection.open('/a/b', { token }, REQUEST, { answered: () => done(), refused: () => done() });
        });
        connection.retire();
      },
    );
  });
  const headers = await asked;
  const shown = [':method', ':path', ':scheme', 'te', 'content-type', 'token'].map((name) => headers[name]);
  assert.deepEqual(shown, ['POST', '/a/b', 'http', 'trailers', 'application/grpc', token]);
  assert.equal(headerBlock([['a', 'b'.repeat(127)]]).length, 1 + 2 + 2 + 127);
});

const refusals: [what: string, answer: (stream: ServerHttp2Stream) => void][] = [
  [
    'an error',
    (stream) => stream.respond({ ...GRPC, 'grpc-status': '11', 'grpc-message': 'compacted' }, { endStream: true }),
  ],
  [
    'an error in trailers',
    (stream) => {
      withTrailers(stream, { 'grpc-status': '14' });
      stream.end();
    },
  ],
  [
    'half a message',
    (stream) => {
      withTrailers(stream, { 'grpc-status': '0' });
      stream.end(framed(Buffer.alloc(100_000)).subarray(0, 50_000));
    },
  ],
  [
    'more than a message',
    (stream) => {
      withTrailers(stream, { 'grpc-status': '0' });
      stream.end(Buffer.concat([framed(Buffer.alloc(10)), framed(Buffer.alloc(10))]));
    },
  ],
  ['a reset', (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
  [
    'a reset within a message',
    (stream) => {
      stream.respond(GRPC);
      stream.write(framed(Buffer.alloc(100_000)).subarray(0, 50_000), () =>
        stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      );
    },
  ],
  ['a message that is too large', (stream) => answer(stream, Buffer.alloc(8 * 2 ** 20 + 1))],
  [
    'a message that is compressed',
    (stream) => {
      const bytes = framed(Buffer.alloc(10));
      bytes[0] = 1;
      withTrailers(stream, { 'grpc-status': '0' });
      stream.end(bytes);
    },
  ],
];
for (const [what, refuse] of refusals) {
  test(`pages: ${what} is refused, and the next answer is none the worse`, async () => {
    let first = true;
    await withServer(
      (stream) => {
        if (first) refuse(stream);
        else answer(stream, Buffer.from('well'));
        first = false;
      },
      async (port) => {
        const connection = connectionTo(port);
        assert.equal(await ask(connection), undefined);
        assert.equal((await ask(connection))?.bytes.toString(), 'well');
        connection.retire();
      },
    );
  });
}

test('pages: padded answers are refused', async () => {
  const server = createServer({ paddingStrategy: constants.PADDING_STRATEGY_MAX });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream, Buffer.alloc(10_000));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = connectionTo((server.address() as AddressInfo).port);
  assert.equal(await ask(connection), undefined);
  connection.retire();
  server.close();
});

test('pages: a call that is canceled tells nothing, and the server stops sending', async () => {
  const closed: Promise<void>[] = [];
  await withServer(
    (stream) => {
      closed.push(new Promise((resolve) => stream.on('close', resolve)));
      if (closed.length === 1) {
        stream.respond(GRPC);
        stream.write(framed(Buffer.alloc(100_000)).subarray(0, 50_000));
      } else answer(stream, Buffer.from('well'));
    },
    async (port) => {
      const connection = connectionTo(port);
      let told = false;
      const call = connection.open('/a/b', {}, REQUEST, {
        answered: () => (told = true),
        refused: () => (told = true),
      });
      await eventually('the call has arrived', () => closed.length === 1);
      call?.cancel();
      await closed[0];
      assert.equal((await ask(connection))?.bytes.toString(), 'well');
      assert.equal(told, false);
      connection.retire();
    },
  );
});

test('pages: no more calls than the server allows; the others are for somebody else', async () => {
  const server = createServer({ settings: { maxConcurrentStreams: 1 } });
  const streams: ServerHttp2Stream[] = [];
  server.on('stream', (stream) => streams.push(stream));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = connectionTo((server.address() as AddressInfo).port);
  const first = ask(connection);
  assert.equal(await ask(connection), undefined);
  await eventually('the call has arrived', () => streams.length === 1);
  answer(streams[0]!, Buffer.from('well'));
  assert.equal((await first)?.bytes.toString(), 'well');
  connection.retire();
  server.close();
});

test('pages: a server that goes away finishes what it has begun, and gets no new calls', async () => {
  const streams: ServerHttp2Stream[] = [];
  await withServer(
    (stream) => streams.push(stream),
    async (port) => {
      const connection = connectionTo(port);
      const first = ask(connection);
      await eventually('the call has arrived', () => streams.length === 1);
      streams[0]!.session!.goaway();
      await eventually('it is known', () => !connection.isUsable);
      assert.equal(await ask(connection), undefined);
      answer(streams[0]!, Buffer.from('well'));
      assert.equal((await first)?.bytes.toString(), 'well');
    },
  );
});

test('pages: a ping of the server is answered; a server that falls silent is pinged, and given up', async () => {
  let answered = false;
  await withServer(
    (stream) => {
      stream.session!.ping((error) => {
        answered = error === null;
      });
    },
    async (port) => {
      const connection = connectionTo(port);
      let call: PageCall | undefined;
      void ask(connection, (made) => (call = made));
      await eventually('the ping is answered', () => answered);
      connection.retire();
      call?.cancel();
    },
  );
  // Bare TCP: the settings of a server that then says nothing more.
  await withBytes(
    (socket: Socket) => socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])),
    async (port) => {
      const connection = connectionTo(port, { keepaliveTimeMs: 50, keepaliveTimeoutMs: 50 });
      assert.equal(await ask(connection), undefined);
      assert.ok(!connection.isUsable && connection.wasOpen);
    },
  );
});

const strangers: [what: string, answer: (socket: Socket) => void][] = [
  ['speaks HTTP/1.1', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['closes the connection', (socket) => socket.destroy()],
  ['ends the connection', (socket) => socket.end()],
];
for (const [what, speak] of strangers) {
  test(`pages: a server that ${what} is given up before it was open`, () =>
    withBytes(speak, async (port) => {
      const connection = connectionTo(port);
      assert.equal(await ask(connection), undefined);
      assert.ok(!connection.isUsable && !connection.wasOpen);
    }));
}

test('pages: a connection without calls ends', async () => {
  await withServer(
    (stream) => answer(stream, Buffer.from('well')),
    async (port) => {
      const connection = connectionTo(port, { idleMs: 20 });
      assert.equal((await ask(connection))?.bytes.toString(), 'well');
      await eventually('it ends', () => !connection.isUsable);
      assert.ok(connection.wasOpen);
    },
  );
});

test('pages: over TLS, with a server that is trusted', async () => {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  const server = createSecureServer({ key, cert });
  server.on('stream', (stream) => answer(stream, Buffer.alloc(3 * 2 ** 20, 7)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const trusting = connectionTo(port, { secureContext: createSecureContext({ ca: cert }) });
  const page = await ask(trusting);
  assert.equal(page?.bytes.length, 3 * 2 ** 20);
  assert.ok(page.bytes.every((byte) => byte === 7));
  assert.equal(await ask(connectionTo(port, { secureContext: createSecureContext() })), undefined);
  trusting.retire();
  server.close();
});

test('pages: frames are cut the same, wherever the pieces end', () => {
  const bytes = Buffer.from([
    0, 0, 3, 0, 1, 0, 0, 0, 1, 7, 8, 9, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 5, 1, 2,
  ]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const told: unknown[] = [];
    const data: number[] = [];
    const reader = new FrameReader({
      data: (_stream, piece, from, to) => data.push(...piece.subarray(from, to)),
      frame: (type, flags, stream, payload) => told.push([type, flags, stream, [...payload]]),
      broken: (why) => told.push(why),
    });
    reader.add(bytes.subarray(0, cut), cut);
    reader.add(bytes.subarray(cut), bytes.length - cut);
    assert.deepEqual(data, [7, 8, 9]);
    assert.deepEqual(told, [
      [0, 1, 1, []],
      [4, 0, 0, []],
      [3, 0, 5, [1, 2]],
    ]);
  }
});

test('pages: few buffers are kept, and a buffer is given to one at a time', () => {
  const buffers = new PageBuffers();
  const pages = Array.from({ length: 9 }, () => buffers.take(100_000));
  for (const page of pages) page.release();
  for (const page of pages) page.release();
  const again = Array.from({ length: 9 }, () => buffers.take(100_000));
  const before = new Set(pages.map(({ bytes }) => bytes.buffer));
  assert.equal(new Set(again.map(({ bytes }) => bytes.buffer)).size, 9);
  assert.equal(again.filter(({ bytes }) => before.has(bytes.buffer)).length, 4);
});
