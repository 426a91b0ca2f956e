import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { generate } from 'selfsigned';
import { eventually, openHttp2, openRaw, read, request } from './client.js';
import { certificate, pod, type Serving, startServing } from './serving.js';

// Connections that are held, and requests that do not end: what each may cost, and that it ends.

const MAY_I = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const WHO_AM_I = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

async function gauge({ server }: Serving, name: string): Promise<number> {
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await server.metrics.text())?.[1]);
}

const nothingOpen = (serving: Serving) =>
  eventually('no connection is left', async () => (await gauge(serving, 'listwatch_connections')) === 0);

/** A client that never says that it is done, whatever it is told. */
async function openStubborn(port: number, text: string): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let got = '';
  socket.on('data', (chunk) => (got += String(chunk)));
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(text);
  return { socket, text: () => got };
}

for (const [what, text, answer] of [
  ['no head at all', '', /^HTTP\/1\.1 408 /],
  ['a head that does not end', 'GET /healthz HTTP/1.1\r\nHost: localh', /^HTTP\/1\.1 408 /],
  [
    'a body that does not end, of a request that is refused',
    'POST /api/v1/namespaces/a/pods HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{',
    /^HTTP\/1\.1 405 [\s\S]*HTTP\/1\.1 408 /,
  ],
  [
    'a body that does not end, of a review',
    `POST ${WHO_AM_I} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`,
    /^HTTP\/1\.1 (408|504) /,
  ],
  ['what is no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
] as const) {
  test(`${what}: told in time, and the connection ends though the client does not end it`, async (t) => {
    const serving = startServing({ limits: { requestHeadMs: 300, requestTimeoutMs: 500, lingerMs: 400 } });
    t.after(serving.close);
    const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
    const client = await openStubborn(port, text);
    await eventually(`the answer to ${what}`, () => answer.test(client.text()));
    await nothingOpen(serving);
    client.socket.destroy();
  });
}

test('a head that comes a byte at a time is given up, too', async (t) => {
  const serving = startServing({ limits: { requestHeadMs: 500, lingerMs: 400 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const client = await openStubborn(port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n');
  const dribble = setInterval(() => client.socket.write('a'), 20);
  await eventually('408', () => /^HTTP\/1\.1 408 /.test(client.text()));
  await nothingOpen(serving);
  clearInterval(dribble);
  client.socket.destroy();
});

test('over TLS: no handshake, and no head behind one', async (t) => {
  const serving = startServing({ limits: { requestHeadMs: 300, lingerMs: 400, idleConnectionMs: 500 } });
  t.after(serving.close);
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const silent = await openStubborn(port, '');
  const clients = (['http/1.1', 'h2'] as const).map((protocol) => {
    const client = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [protocol] });
    client.on('error', () => {});
    client.resume();
    return client;
  });
  await Promise.all(clients.map((client) => once(client, 'secureConnect')));
  await nothingOpen(serving);
  for (const socket of [silent.socket, ...clients]) socket.destroy();
});

test('an HTTP/2 connection without streams is closed, PINGs or not; one with a watch is not', async (t) => {
  const serving = startServing({ limits: { idleConnectionMs: 600 } });
  t.after(serving.close);
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const [pinging, watching] = [await openHttp2(port), await openHttp2(port)];
  assert.equal((await read(request(pinging, '/healthz'))).code, 200);
  const watch = request(watching, '/api/v1/pods?watch=1');
  await once(watch, 'response');
  let closed = false;
  pinging.on('close', () => (closed = true));
  const pings = setInterval(() => {
    if (!pinging.destroyed && !pinging.closed) pinging.ping(() => {});
  }, 50);
  await eventually('the connection that only pings is closed', () => closed);
  clearInterval(pings);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal(watching.closed || watching.destroyed, false);
  await serving.put('pods', pod('late'));
  const [chunk] = (await once(watch, 'data')) as [Buffer];
  assert.match(chunk.toString(), /"name":"late"/);
  watching.destroy();
});

test('headers that are too many are refused, not passed over', async (t) => {
  const serving = startServing({ limits: { headersMax: 20 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const filler = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: y\r\n`).join('');
  const raw = (count: number) =>
    openRaw(port, `GET /healthz HTTP/1.1\r\nHost: localhost\r\n${filler(count)}Connection: close\r\n\r\n`);
  for (const count of [18, 30, 100, 2_000]) {
    const connection = await raw(count);
    await connection.until(/^HTTP\/1\.1 431 [\s\S]*431 Request Header Fields Too Large$/);
    await eventually('the end', () => connection.ended);
  }
  await (await raw(10)).until(/^HTTP\/1\.1 200 /);
  const { port: tlsPort } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const session = await openHttp2(tlsPort);
  const many = request(session, '/healthz', Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x-${i}`, 'y'])));
  many.on('error', () => {});
  await new Promise((resolve) => many.once('close', resolve));
  assert.equal(many.rstCode, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  assert.equal((await read(request(session, '/healthz'))).code, 200, 'the connection goes on');
  session.destroy();
});

test('more than one Host is refused: which one counts is a matter of opinion', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  for (const hosts of ['Host: localhost\r\nHost: evil.example', 'HOST: localhost\r\nhost: localhost']) {
    const connection = await openRaw(port, `GET /api/v1/pods HTTP/1.1\r\n${hosts}\r\n\r\n`);
    await connection.until(/^HTTP\/1\.1 400 [\s\S]*400 Bad Request: too many Host headers$/);
    await eventually('the end', () => connection.ended);
  }
});

test('what is no request behind one that is being answered ends the connection, and is not answered inside of that', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  await serving.put('pods', pod('p0'));
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const watch = 'GET /api/v1/pods?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const connection = await openRaw(port, watch);
  await connection.until(/"name":"p0"/);
  connection.socket.write('garbage\r\n\r\n');
  await eventually('the end', () => connection.ended);
  assert.doesNotMatch(connection.text(), /400 Bad Request/);
  assert.equal(connection.text().split('HTTP/1.1 ').length, 2);
  await eventually('no request open', () => serving.server.open === 0);
});

const post = (length: number, body: string) =>
  `POST ${WHO_AM_I} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`;

test('bodies together, and reviews at once, are bounded', async (t) => {
  const limits = { requestBodyBytesMax: 1_000, requestBodiesBytesMax: 1_500, postsInFlightMax: 3 };
  const serving = startServing({ limits });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const whole = `{"metadata":{"name":"${'x'.repeat(870)}"}}`;
  const first = await openRaw(port, post(whole.length, whole.slice(0, 800)));
  await eventually('it is read', () => serving.server.open === 1);
  const second = await openRaw(port, post(whole.length, whole));
  await second.until(/^HTTP\/1\.1 429 [\s\S]*please try again later\.\n$/);
  first.socket.write(whole.slice(800));
  await first.until(/^HTTP\/1\.1 201 /);
  const third = await openRaw(port, post(whole.length, whole));
  await third.until(/^HTTP\/1\.1 201 /);
  for (const { socket } of [first, second, third]) socket.destroy();
  await eventually('nothing is open', () => serving.server.open === 0);

  const waiting = await Promise.all([1, 2, 3].map(() => openRaw(port, post(10, '{'))));
  await eventually('three are open', () => serving.server.open === 3);
  const fourth = await openRaw(port, post(2, '{}'));
  await fourth.until(/^HTTP\/1\.1 429 /);
  assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200, 'GETs are counted apart');
  for (const { socket } of [...waiting, fourth]) socket.destroy();
  await eventually('nothing is open', () => serving.server.open === 0);
  await (await openRaw(port, post(2, '{}'))).until(/^HTTP\/1\.1 201 /);
});

test('a client that goes on sending what is too large is told so', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const plain = await openRaw(port, post(100_000_000, ' '.repeat(4 * 2 ** 20)));
  await plain.until(/^HTTP\/1\.1 413 [\s\S]*Request entity too large: limit is 3145728/);
  plain.socket.destroy();
  const { port: tlsPort } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const session = await openHttp2(tlsPort);
  const stream = session.request({ ':path': WHO_AM_I, ':method': 'POST', 'content-type': 'application/json' });
  stream.on('error', () => {});
  stream.write(Buffer.alloc(4 * 2 ** 20, ' '));
  let body = '';
  let code = 0;
  stream.on('response', (headers) => (code = Number(headers[':status'])));
  stream.on('data', (chunk) => (body += String(chunk)));
  await eventually('it is told to stop', () => stream.closed && stream.rstCode === constants.NGHTTP2_NO_ERROR);
  assert.equal(code, 413);
  assert.match(body, /limit is 3145728/);
  assert.equal((await read(request(session, '/healthz'))).code, 200);
  session.destroy();
  await eventually('nothing is open', () => serving.server.open === 0);
});

for (const [what, body] of [
  ['arrays', `{"spec":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
  ['objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
  ['a million open brackets', '['.repeat(1_000_000)],
] as const) {
  test(`a review of ${what} in each other is refused with 400`, async (t) => {
    const serving = startServing();
    t.after(serving.close);
    const answer = await serving.server.inject({
      method: 'POST',
      url: WHO_AM_I,
      headers: { host: 'localhost', 'content-type': 'application/json' },
      payload: body,
    });
    assert.equal(answer.statusCode, 400);
    assert.match(answer.body, /the body does not parse: exceeded max depth/);
  });
}

test('brackets in strings are no depth, and names of prototypes are names', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  const payload =
    `{"spec":{"nonResourceAttributes":{"path":"${'[{'.repeat(2_000)}\\"[","__proto__":"a","constructor":"b"}},` +
    '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}';
  const headers = { host: 'localhost', 'content-type': 'application/json' };
  const answer = await serving.server.inject({ method: 'POST', url: MAY_I, headers, payload });
  assert.equal(answer.statusCode, 201, answer.body);
  assert.match(answer.body, /"__proto__":"a","constructor":"b"\}/);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test('who is refused and does not read the answer is given up', async (t) => {
  const serving = startServing({ limits: { lingerMs: 500 } });
  t.after(serving.close);
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const session = connectHttp2(`https://localhost:${port}`, {
    rejectUnauthorized: false,
    settings: { initialWindowSize: 0 },
  });
  session.on('error', () => {});
  await once(session, 'connect');
  const streams = ['/api/v1/pods', '/api/v1/pods?watch=1'].flatMap((path) =>
    Array.from({ length: 25 }, () => request(session, path, { ':authority': 'evil.example' })),
  );
  streams.push(...Array.from({ length: 25 }, () => request(session, '/api/v1/pods?watch=1&labelSelector=a%3D%3D%3D')));
  for (const stream of streams) stream.on('error', () => {});
  await Promise.all(streams.map((stream) => once(stream, 'response')));
  assert.equal(serving.server.open, streams.length, 'none could be answered whole');
  await eventually('all are given up', () => serving.server.open === 0);
  session.destroy();
});

test('more connections than --max-connections are closed as they come, and counted', async (t) => {
  const serving = startServing({ limits: { connectionsMax: 2 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const GET = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const [first, second] = [await openRaw(port, GET), await openRaw(port, GET)];
  await Promise.all([first, second].map((connection) => connection.until(/\r\n\r\nok$/)));
  const third = await openRaw(port, GET);
  await eventually('the third is closed', () => third.ended);
  assert.equal(third.text(), '');
  assert.equal(await gauge(serving, 'listwatch_connections'), 2);
  assert.equal(await gauge(serving, 'listwatch_connections_refused_total'), 1);
  second.socket.destroy();
  await eventually('there is room', async () => (await gauge(serving, 'listwatch_connections')) === 1);
  await (await openRaw(port, GET)).until(/\r\n\r\nok$/);
});

test('a new certificate is shown to who connects then; who is connected goes on', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  const before = await certificate();
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'renewed' }], { keyType: 'ec' });
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, before);
  const shown = async () => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };
  const session = await openHttp2(port);
  assert.equal(await shown(), 'localhost');
  serving.server.renewTls({ cert, key });
  assert.equal(await shown(), 'renewed');
  assert.equal((await read(request(session, '/healthz'))).code, 200);
  session.destroy();
  const after = await openHttp2(port);
  assert.equal((await read(request(after, '/healthz'))).code, 200);
  after.destroy();
});

test('TLS below the least version, and with no suite in common, is refused', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  const pair = await certificate();
  const attempt = (port: number, options: object) =>
    new Promise<string>((resolve) => {
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
        resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
        socket.destroy();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'refused'));
    });
  const strict = await serving.server.listenSecure('127.0.0.1', 0, { ...pair, minVersion: 'TLSv1.3' });
  assert.match(await attempt(strict.port, { maxVersion: 'TLSv1.2' }), /PROTOCOL_VERSION|refused|ECONNRESET/);
  assert.match(await attempt(strict.port, {}), /^TLSv1\.3 /);
  const one = await serving.server.listenSecure('127.0.0.1', 0, {
    ...pair,
    ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256',
  });
  const old = { maxVersion: 'TLSv1.2' };
  assert.equal(await attempt(one.port, old), 'TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256');
  assert.match(
    await attempt(one.port, { ...old, ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }),
    /HANDSHAKE_FAILURE|ECONNRESET/,
  );
  assert.match(await attempt(one.port, {}), /^TLSv1\.3 TLS_AES_128_GCM_SHA256$/);
  const weak = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' };
  assert.match(await attempt(one.port, weak), /PROTOCOL_VERSION|ECONNRESET|UNSUPPORTED/);
});
