import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, openHttp2, openRaw, request } from './client.js';
import { certificate, kindOf, pod, type Serving, startServing } from './serving.js';

const COUNT = 3_000;
const FILLER = 'x'.repeat(4_000);

/** 12 MB of pods: more than the buffers between two sockets take. */
async function startLarge(limits: Parameters<typeof startServing>[0] = {}): Promise<Serving> {
  const serving = startServing(limits);
  for (let index = 0; index < COUNT; index++) {
    const name = `p${String(index).padStart(5, '0')}`;
    await serving.put(
      'pods',
      pod(name, 'default', { metadata: { name, namespace: 'default', annotations: { FILLER } } }),
    );
  }
  return serving;
}

const pins = (serving: Serving) => serving.caches.get(kindOf('pods')).versions.stats.pins;
const GET = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

/** The cache may pin its own state while something reads it; nothing else may be left. */
async function nothingIsLeft(serving: Serving, pinsBefore: number): Promise<void> {
  await eventually(`pins back to ${pinsBefore}, now ${pins(serving)}`, () => pins(serving) === pinsBefore);
  await eventually('no request open', () => serving.server.open === 0);
  await eventually('no watcher', () => serving.caches.get(kindOf('pods')).stats.watchers === 0);
}

test('clients that vanish in the middle of a LIST', async (t) => {
  const serving = await startLarge();
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  await fetch(`http://127.0.0.1:${port}/api/v1/pods?limit=1`);
  const before = pins(serving);
  const variants = [
    '',
    'Accept: application/vnd.kubernetes.protobuf\r\n',
    'Accept: application/json;as=Table;v=v1;g=meta.k8s.io\r\n',
    'Accept: application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io\r\n',
    'Accept-Encoding: gzip\r\n',
    'User-Agent: curl/8\r\n',
  ];
  for (const variant of variants) {
    const connection = await openRaw(port, GET('/api/v1/pods', variant));
    await connection.until(/^HTTP\/1\.1 200/);
    connection.socket.destroy();
  }
  await nothingIsLeft(serving, before);
  await serving.close();
});

test('a client that stops reading a LIST holds little, and is cut off at the deadline', async (t) => {
  const serving = await startLarge({ limits: { requestTimeoutMs: 700 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  await fetch(`http://127.0.0.1:${port}/api/v1/pods?limit=1`);
  const before = pins(serving);
  const connection = await openRaw(port, GET('/api/v1/pods'));
  connection.socket.pause();
  await eventually('the list is pinned', () => pins(serving) > before);
  await nothingIsLeft(serving, before);
  connection.socket.resume();
  await eventually('the end of the connection', () => connection.ended);
  // Whatever was received, it does not end as a complete chunked body would.
  assert.doesNotMatch(connection.text(), /\r\n0\r\n\r\n$/);
  await serving.close();
});

test('a client that stops reading a WATCH: others go on, and it is released when it leaves', async (t) => {
  const serving = await startLarge();
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  await fetch(`http://127.0.0.1:${port}/api/v1/pods?limit=1`);
  const before = pins(serving);
  const watch = '/api/v1/pods?watch=1&resourceVersion=0&allowWatchBookmarks=true';
  const stalled = await openRaw(port, GET(watch));
  stalled.socket.pause();
  const reading = await openRaw(port, GET(watch));
  await eventually('initial events', () => /initial-events-end/.test(reading.text().slice(-2_000)), 30_000);
  await serving.put('pods', pod('late'));
  await eventually('the live event', () => /"name":"late"/.test(reading.text().slice(-2_000)), 30_000);
  assert.equal(serving.server.open, 2);
  stalled.socket.destroy();
  reading.socket.destroy();
  await nothingIsLeft(serving, before);
  await serving.close();
});

test('HTTP/2: streams that stop reading do not stop the others of their connection', async (t) => {
  const serving = await startLarge({ limits: { requestTimeoutMs: 20_000 } });
  t.after(serving.close);
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const session = await openHttp2(port);
  const first = request(session, '/api/v1/pods?limit=1');
  first.resume();
  await new Promise((resolve) => first.once('close', resolve));
  const before = pins(serving);
  const stalled = Array.from({ length: 50 }, () => request(session, '/api/v1/pods'));
  await Promise.all(stalled.map((stream) => new Promise((resolve) => stream.once('response', resolve))));
  assert.ok(pins(serving) > before);
  const small = request(session, '/api/v1/namespaces/default/pods/p00001');
  let body = '';
  for await (const chunk of small) body += String(chunk);
  assert.match(body, /"name":"p00001"/);
  for (const stream of stalled) stream.close();
  await nothingIsLeft(serving, before);
  session.destroy();
  await serving.close();
});

test('a client that does not take the end of its watch is cut off', async (t) => {
  const serving = await startLarge({ limits: { lingerMs: 200 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  await fetch(`http://127.0.0.1:${port}/api/v1/pods?limit=1`);
  const before = pins(serving);
  const stalled = await openRaw(port, GET('/api/v1/pods?watch=1&resourceVersion=0&timeoutSeconds=1'));
  stalled.socket.pause();
  await eventually('the watch is open', () => serving.caches.get(kindOf('pods')).stats.watchers === 1);
  await nothingIsLeft(serving, before);
  stalled.socket.destroy();
});

test('a WebSocket that stops reading holds little, and is released when it leaves', async (t) => {
  const serving = await startLarge();
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  await fetch(`http://127.0.0.1:${port}/api/v1/pods?limit=1`);
  const before = pins(serving);
  const stalled = await openRaw(
    port,
    GET(
      '/api/v1/pods?watch=1&resourceVersion=0',
      'Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://localhost\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    ),
  );
  await stalled.until(/^HTTP\/1\.1 101 /);
  stalled.socket.pause();
  await eventually('the watch is open', () => serving.caches.get(kindOf('pods')).stats.watchers === 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const sent = Number(/^apiserver_watch_events_total\{.*\} (\d+)$/m.exec(await serving.server.metrics.text())![1]);
  assert.ok(sent < COUNT, `${sent} of ${COUNT} events were written to a client that does not read`);
  stalled.socket.destroy();
  await nothingIsLeft(serving, before);
});
