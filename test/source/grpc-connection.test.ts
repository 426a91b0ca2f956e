import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSecureServer, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { generate } from 'selfsigned';
import { systemClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';
import type { RpcFailure } from '../../src/source/etcd/errors.js';
import { type ConnectionOptions, GrpcConnection } from '../../src/source/etcd/grpc-connection.js';
import { framed } from '../../src/source/etcd/grpc-messages.js';
import type { GrpcStream } from '../../src/source/etcd/grpc-stream.js';
import { ReadTicks } from '../../src/source/etcd/read-ticks.js';
import { Redial } from '../../src/source/etcd/redial.js';
import { GRPC, withBytes, withServer, withTrailers } from '../support/grpc-server.js';

interface Call {
  readonly stream: GrpcStream;
  readonly messages: Buffer[];
  readonly ended: Promise<RpcFailure>;
}

function connectionTo(port: number, options: Partial<ConnectionOptions> = {}): GrpcConnection {
  return new GrpcConnection(
    {
      host: '127.0.0.1',
      port,
      secureContext: undefined,
      dialTimeoutMs: 2_000,
      keepaliveTimeMs: 30_000,
      keepaliveTimeoutMs: 10_000,
      messageBytesMax: 2 ** 20,
      windowBytes: 2 ** 20,
      ticks: new ReadTicks({ tickMs: 5, tickBytes: 2 ** 16, ratePerSecond: 200 }),
      redial: new Redial(systemClock),
      ...options,
    },
    systemClock,
  );
}

function call(connection: GrpcConnection, onMessage?: (call: Call) => void): Call {
  const messages: Buffer[] = [];
  let end: (failure: RpcFailure) => void = () => {};
  const ended = new Promise<RpcFailure>((resolve) => (end = resolve));
  const stream = connection.open(
    '/etcdserverpb.Watch/Watch',
    { token: 'secret' },
    {
      message: (bytes) => {
        messages.push(Buffer.from(bytes));
        onMessage?.(made);
      },
      ended: end,
    },
  );
  const made: Call = { stream, messages, ended };
  return made;
}

test('grpc: messages arrive whole and in order, however they are cut', { timeout: 30_000 }, async () => {
  const random = seededRandom(7);
  const sent = Array.from({ length: 400 }, (_, index) =>
    Buffer.alloc(index % 7 === 0 ? 0 : random.int(index % 40 === 1 ? 100_000 : 3_000), index),
  );
  const bytes = Buffer.concat(sent.map(framed));
  await withServer(
    (stream) => {
      withTrailers(stream, { 'grpc-status': '0' });
      void (async () => {
        for (let at = 0; at < bytes.length; ) {
          const to = Math.min(bytes.length, at + 1 + random.int(20_000));
          stream.write(bytes.subarray(at, to));
          at = to;
          if (random.int(4) === 0) await delay(1);
        }
        stream.end();
      })();
    },
    async (port) => {
      const { messages, ended } = call(connectionTo(port));
      assert.deepEqual(await ended, { code: 0, details: '' });
      assert.equal(messages.length, sent.length);
      assert.ok(messages.every((message, index) => message.equals(sent[index]!)));
    },
  );
});

test('grpc: the call says what it is, and what is written arrives, beyond the windows of the server', async () => {
  const received: Buffer[] = [];
  await withServer(
    (stream, headers) => {
      assert.deepEqual(
        [headers[':method'], headers[':path'], headers['te'], headers['content-type'], headers['token']],
        ['POST', '/etcdserverpb.Watch/Watch', 'trailers', 'application/grpc', 'secret'],
      );
      withTrailers(stream, { 'grpc-status': '0' });
      let length = 0;
      stream.on('data', (bytes: Buffer) => {
        received.push(bytes);
        length += bytes.length;
        if (length === 300_010) stream.end();
      });
    },
    async (port) => {
      const { stream, ended } = call(connectionTo(port));
      const [large, small] = [Buffer.alloc(300_000 - 10, 1), Buffer.alloc(10, 2)];
      stream.write(large);
      stream.write(small);
      assert.equal((await ended).code, 0);
      assert.deepEqual(Buffer.concat(received), Buffer.concat([framed(large), framed(small)]));
    },
  );
});

const ends: [what: string, answer: (stream: ServerHttp2Stream) => void, failure: RpcFailure][] = [
  [
    'a status with a text that is encoded',
    (stream) => {
      withTrailers(stream, { 'grpc-status': '14', 'grpc-message': 'etcdserver: no leader %E2%80%93 50%25' });
      stream.end();
    },
    { code: 14, details: 'etcdserver: no leader – 50%' },
  ],
  [
    'a status and nothing else',
    (stream) =>
      stream.respond({ ...GRPC, 'grpc-status': '16', 'grpc-message': 'invalid auth token' }, { endStream: true }),
    { code: 16, details: 'invalid auth token' },
  ],
  [
    'no status',
    (stream) => {
      stream.respond(GRPC);
      stream.end();
    },
    { code: 2, details: 'the stream ended without a status' },
  ],
  [
    'an HTTP error',
    (stream) => {
      stream.respond({ ':status': 503 });
      stream.end('busy');
    },
    { code: 14, details: 'Received HTTP status code 503' },
  ],
  ['a reset', (stream) => stream.close(11), { code: 8, details: 'Received RST_STREAM with code 11' }],
  [
    'a compressed message',
    (stream) => {
      stream.respond(GRPC);
      stream.write(Buffer.from([1, 0, 0, 0, 0]));
    },
    { code: 13, details: 'a message is compressed (flags 1), which was not offered' },
  ],
  [
    'a message that is too large, before it has come',
    (stream) => {
      stream.respond(GRPC);
      stream.write(Buffer.from([0, 0, 16, 0, 1]));
    },
    { code: 8, details: 'Received message larger than max (1048577 vs 1048576)' },
  ],
  [
    'half a message',
    (stream) => {
      withTrailers(stream, { 'grpc-status': '0' });
      stream.end(framed(Buffer.alloc(10)).subarray(0, 9));
    },
    { code: 13, details: 'the stream ended within a message' },
  ],
];
for (const [what, answer, failure] of ends) {
  test(`grpc: a stream ends with ${what}`, { timeout: 10_000 }, () =>
    withServer(answer, async (port) => {
      const { ended, messages } = call(connectionTo(port));
      assert.deepEqual(await ended, failure);
      assert.equal(messages.length, 0);
    }),
  );
}

test('grpc: one stream that ends or is canceled leaves the others alone; the last one ends the connection', async () => {
  const streams: ServerHttp2Stream[] = [];
  const closedWith: Promise<number>[] = [];
  await withServer(
    (stream) => {
      stream.respond(GRPC);
      closedWith.push(new Promise((resolve) => stream.on('close', () => resolve(stream.rstCode))));
      streams.push(stream);
      stream.write(framed(Buffer.from('first')));
    },
    async (port, server) => {
      const sessionClosed = new Promise<void>((resolve) =>
        server.once('session', (session) => session.once('close', resolve)),
      );
      const connection = connectionTo(port);
      const canceled = call(connection, ({ stream }) => stream.cancel());
      const going = call(connection);
      while (closedWith.length === 0 || going.messages.length === 0) await delay(5);
      assert.equal(await closedWith[0], 8, 'CANCEL');
      assert.equal(canceled.messages.length, 1);
      streams[1]!.write(framed(Buffer.from('second')));
      while (going.messages.length < 2) await delay(5);
      assert.equal(connection.isUsable, true);
      going.stream.cancel();
      assert.equal(connection.isUsable, false);
      await sessionClosed;
    },
  );
});

test('grpc: a message that is canceled within is the last of its piece', async () => {
  await withServer(
    (stream) => {
      stream.respond(GRPC);
      stream.write(Buffer.concat([framed(Buffer.from('a')), framed(Buffer.from('b'))]));
    },
    async (port) => {
      const connection = connectionTo(port);
      const { messages } = call(connection, ({ stream }) => stream.cancel());
      while (messages.length === 0) await delay(5);
      await delay(50);
      assert.equal(messages.length, 1);
    },
  );
});

test('grpc: a server that goes away finishes what it has begun, and gets no new streams', async () => {
  await withServer(
    (stream) => {
      withTrailers(stream, { 'grpc-status': '0' });
      stream.session!.goaway(0);
      setTimeout(() => stream.end(framed(Buffer.from('late'))), 200);
    },
    async (port) => {
      const connection = connectionTo(port);
      const { ended, messages } = call(connection);
      while (connection.isUsable) await delay(5);
      assert.equal(messages.length, 0, 'the server has not finished');
      assert.equal((await ended).code, 0);
      assert.equal(String(messages[0]), 'late');
    },
  );
});

test('grpc: no more streams than the server allows', async () => {
  const server = createServer({ settings: { maxConcurrentStreams: 1 } });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.respond(GRPC);
    stream.write(framed(Buffer.alloc(1)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = connectionTo((server.address() as AddressInfo).port);
  const first = call(connection);
  while (first.messages.length === 0) await delay(5);
  assert.equal(connection.isUsable, false);
  first.stream.cancel();
  server.close();
});

test('grpc: a server that falls silent is pinged, and given up when it does not answer', async () => {
  const quick = { keepaliveTimeMs: 50, keepaliveTimeoutMs: 100 };
  await withServer(
    (stream) => stream.respond(GRPC),
    async (port) => {
      const { stream, ended } = call(connectionTo(port, quick));
      assert.equal(await Promise.race([ended, delay(500)]), undefined, 'an answer to the ping is enough');
      stream.cancel();
    },
  );
  await withBytes(
    (socket) => socket.write(SERVER_SETTINGS),
    async (port) => {
      const { ended } = call(connectionTo(port, quick));
      assert.deepEqual(await ended, { code: 14, details: 'Keepalive timeout' });
    },
  );
});

/** RFC 9113, section 4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

const SERVER_SETTINGS = frame(4, 0, 0, Buffer.alloc(0));
const brokenServers: [what: string, bytes: Buffer, details: RegExp][] = [
  [
    'speaks HTTP/1.1',
    Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    /^No connection established\. Last error: the server does not speak HTTP\/2/,
  ],
  [
    'breaks the protocol', // some versions of Node wait for the server to hang up, which this one does not
    Buffer.concat([SERVER_SETTINGS, frame(1, 4, 1, Buffer.of(0x80))]),
    /^Keepalive timeout$|^HTTP\/2 with the server failed: /,
  ],
  [
    'sends it away for pinging too often',
    Buffer.concat([
      SERVER_SETTINGS,
      frame(7, 0, 0, Buffer.from('000000000000000b746f6f5f6d616e795f70696e6773', 'hex')),
    ]),
    /^the server closes the connection \(code 11, too_many_pings\)$/,
  ],
];
for (const [what, bytes, details] of brokenServers) {
  test(`grpc: a server that ${what} ends every stream`, { timeout: 10_000 }, () =>
    withBytes(
      (socket) => socket.write(bytes),
      async (port) => {
        const connection = connectionTo(port, { keepaliveTimeMs: 50, keepaliveTimeoutMs: 100 });
        const calls = [call(connection), call(connection)];
        for (const { ended } of calls) {
          const failure = await ended;
          assert.equal(failure.code, 14);
          assert.match(failure.details, details);
        }
        assert.equal(connection.isUsable, false);
      },
    ),
  );
}

test('grpc: a connection that breaks ends its streams with why, not as if they were reset', async () => {
  const sockets: Socket[] = [];
  const server = createServer();
  server.on('connection', (socket: Socket) => sockets.push(socket));
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.respond(GRPC);
    stream.write(framed(Buffer.from('x')));
  });
  server.on('sessionError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  for (const [end, details] of [
    [(socket: Socket) => socket.resetAndDestroy(), 'read ECONNRESET'],
    [(socket: Socket) => socket.destroy(), 'the server closed the connection'],
  ] as const) {
    const { ended } = call(connectionTo(port), () => end(sockets.pop()!));
    assert.deepEqual(await ended, { code: 14, details });
  }
  server.close();
});

test('grpc: an endpoint that cannot be reached is dialed ever more rarely', async () => {
  const redial = new Redial(systemClock);
  const { ended } = call(connectionTo(1, { redial }));
  const failure = await ended;
  assert.match(failure.details, /^No connection established\. Last error: connect ECONNREFUSED/);
  assert.equal(redial.refusal(), failure);
  redial.succeeded();
  assert.equal(redial.refusal(), undefined);
});

const certificate = generate([{ name: 'commonName', value: '127.0.0.1' }], {
  keyType: 'ec',
  algorithm: 'sha256',
  extensions: [
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
  ],
});

for (const transport of ['TCP', 'TLS']) {
  test(`grpc: over ${transport}, when changes come fast, one wake-up handles several; while somebody waits, none waits`, async (t) => {
    const { private: key, cert } = await certificate;
    const server = transport === 'TLS' ? createSecureServer({ key, cert }) : createServer();
    let serving: ServerHttp2Stream | undefined;
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.respond(GRPC);
      serving = stream;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    let arrivals: number[] = [];
    const { stream } = call(
      connectionTo((server.address() as AddressInfo).port, {
        secureContext: transport === 'TLS' ? createSecureContext({ ca: cert }) : undefined,
        ticks: new ReadTicks({ tickMs: 60, tickBytes: 2 ** 16, ratePerSecond: 100 }),
      }),
      () => arrivals.push(Math.round(performance.now() / 10)),
    );
    t.after(() => {
      stream.cancel();
      server.close();
    });
    while (serving === undefined) await delay(5);
    const burst = async () => {
      arrivals = [];
      for (let index = 0; index < 200; index++) {
        serving!.write(framed(Buffer.from('x')));
        await delay(2);
      }
      while (arrivals.length < 200) await delay(5);
      return new Set(arrivals).size;
    };
    // A machine with much else to do may hold back the writes of a burst, so that they arrive together.
    const seen: string[] = [];
    const isTold = async () => {
      const ticking = await burst();
      stream.hurry(true);
      const hurried = await burst();
      stream.hurry(false);
      seen.push(`at ${ticking} times in ticks, ${hurried} without`);
      return ticking * 2 < hurried;
    };
    for (let attempt = 0; !(await isTold()); attempt++)
      assert.ok(attempt < 9, `200 changes were read ${seen.join('; ')}`);
  });
}

test('grpc: a server that cannot be trusted, or offers no HTTP/2, is told apart', async () => {
  const { private: key, cert } = await certificate;
  const server = createTlsServer({ key, cert }, (socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  for (const [ca, details] of [
    [{ ca: cert }, 'the server does not offer HTTP/2'],
    [{}, 'self-signed certificate'],
  ] as const) {
    const { ended } = call(connectionTo(port, { secureContext: createSecureContext(ca) }));
    const failure = await ended;
    assert.equal(failure.code, 14);
    assert.ok(failure.details.startsWith(`No connection established. Last error: ${details}`), failure.details);
  }
  server.close();
});

test('grpc: a pause between ticks does not let the process end', async () => {
  const program = `
    const [connection, ticks, redial, clock] = await Promise.all(
      ['source/etcd/grpc-connection', 'source/etcd/read-ticks', 'source/etcd/redial', 'lib/clock'].map(
        (name) => import(process.argv[2] + name + '.js')));
    const received = [];
    const options = {
      host: '127.0.0.1', port: Number(process.argv[1]), secureContext: undefined, dialTimeoutMs: 2000, keepaliveTimeMs: 30000,
      keepaliveTimeoutMs: 10000, messageBytesMax: 1000, windowBytes: 65535, redial: new redial.Redial(clock.systemClock),
      ticks: { received: () => 200 },
    };
    new connection.GrpcConnection(options, clock.systemClock).open('/x', {}, {
      message: (bytes) => received.push(String(bytes)),
      ended: () => console.log(received.join()),
    });`;
  await withServer(
    (stream) => {
      withTrailers(stream, { 'grpc-status': '0' });
      stream.write(framed(Buffer.from('a')));
      setTimeout(() => stream.end(framed(Buffer.from('b'))), 50);
    },
    async (port) => {
      const sources = new URL('../../src/', import.meta.url).href;
      const { stdout } = await promisify(execFile)(process.execPath, [
        ...['--input-type=module', '--eval', program, `${port}`, sources],
      ]);
      assert.equal(stdout, 'a,b\n');
    },
  );
});
