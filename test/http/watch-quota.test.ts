import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WatchQuota } from '../../src/http/watch/quota.js';
import { eventually, openHttp2, openRaw, read, request } from './client.js';
import { certificate, pod, type Serving, startServing } from './serving.js';

const MAX = 2;
const WATCH = '/api/v1/pods?watch=1&resourceVersion=0';

let serving: Serving;
let port: number;
before(async () => {
  serving = startServing({ limits: { watchesPerClientMax: MAX } });
  await serving.put('pods', pod('p0', 'a'));
  ({ port } = await serving.server.listenInsecure('127.0.0.1', 0));
});
after(() => serving.close());

const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
const open = () => openRaw(port, `GET ${WATCH} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
const idle = () => eventually('no request is open', () => serving.server.open === 0);

test('a client beyond its watches gets 429 with Retry-After, and nothing else is refused', async () => {
  const watches = [await open(), await open()];
  for (const watch of watches) await watch.until(/"type":"ADDED"/);
  const refused = await get(WATCH);
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get('retry-after'), '10');
  assert.deepEqual(await refused.json(), {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'Too many requests, please try again later: 127.0.0.1 has 2 watches open, and may not have more',
    reason: 'TooManyRequests',
    details: { retryAfterSeconds: 10 },
    code: 429,
  });
  assert.equal((await get('/api/v1/pods')).status, 200);
  const metrics = await (await get('/metrics')).text();
  assert.match(metrics, /listwatch_watches_refused_total\{group="",version="v1",resource="pods"\} 1\n/);

  watches[0]!.socket.destroy();
  await eventually('one watch is left', () => serving.server.open === 1);
  const next = await open();
  await next.until(/"type":"ADDED"/);
  for (const { socket } of [...watches, next]) socket.destroy();
  await idle();
});

test('a watch that is answered with an error gives its place back', async () => {
  for (let turn = 0; turn < 3 * MAX; turn++) {
    const { status } = await get('/api/v1/pods?watch=1&resourceVersion=abc');
    assert.notEqual(status, 429);
  }
  await idle();
});

test('a watch that ends by itself gives its place back', async () => {
  for (let turn = 0; turn < 2 * MAX; turn++) {
    const answer = await get(`${WATCH}&timeoutSeconds=1`);
    assert.equal(answer.status, 200);
    await answer.body?.cancel();
    await idle();
  }
});

test('addresses are counted apart, and one that has left is forgotten', () => {
  const quota = new WatchQuota(1);
  const release = quota.take('10.0.0.1')!;
  assert.equal(quota.take('10.0.0.1'), undefined);
  const other = quota.take('10.0.0.2')!;
  assert.equal(quota.clientCount, 2);
  release();
  release(); // a second call gives nothing back: another watch holds the place by now
  assert.equal(typeof quota.take('10.0.0.1'), 'function');
  assert.equal(quota.take('10.0.0.1'), undefined);
  other();
  assert.equal(quota.clientCount, 1);
});

test('the streams of an HTTP/2 connection count as those of its address', async () => {
  const listening = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const session = await openHttp2(listening.port);
  const streams = Array.from({ length: MAX }, () => request(session, WATCH));
  for (const stream of streams) await new Promise((resolve) => stream.once('response', resolve));
  const refused = await read(request(session, WATCH));
  assert.equal(refused.code, 429);
  assert.equal(refused.headers['retry-after'], '10');
  session.destroy();
  await idle();
});
