import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SharedChunk } from '../../src/http/watch/shared-chunk.js';
import { lineScanner } from '../../src/http/watch/frames.js';
import { eventually, openRaw } from './client.js';
import { pod, type Serving, startServing } from './serving.js';

let serving: Serving;
let port: number;
before(async () => {
  serving = startServing();
  await serving.put('pods', pod('p0', 'a'));
  ({ port } = await serving.server.listenInsecure('127.0.0.1', 0));
});
after(() => serving.close());

const request = (query: string) => `GET /api/v1/pods?watch=1&${query} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const idle = () => eventually('no request is open', () => serving.server.open === 0);

/** The bodies of the chunked responses in the bytes of a connection; throws when a chunk is not as long as it says. */
function bodies(text: string): string[] {
  const found: string[] = [];
  for (let at = 0; at < text.length; ) {
    at = text.indexOf('\r\n\r\n', at) + 4;
    let body = '';
    for (;;) {
      const lineEnd = text.indexOf('\r\n', at);
      const size = Number.parseInt(text.slice(at, lineEnd), 16);
      at = lineEnd + 2 + size;
      body += text.slice(lineEnd + 2, at);
      assert.equal(text.slice(at, at + 2), '\r\n');
      at += 2;
      if (size === 0) break;
    }
    found.push(body);
  }
  return found;
}

const names = (body: string) =>
  body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ type, object }) => `${type} ${object.metadata.name}`);

test('members of a group get the same bytes, each as a whole chunked body', async () => {
  const streams = await Promise.all([1, 2, 3].map(() => openRaw(port, request('resourceVersion=0&timeoutSeconds=1'))));
  for (const stream of streams) await stream.until(/"name":"p0"/);
  for (const name of ['p1', 'p2', 'p3']) await serving.put('pods', pod(name, 'a'));
  for (const stream of streams) await stream.until(/\r\n0\r\n\r\n$/);
  for (const stream of streams) {
    assert.deepEqual(names(bodies(stream.text())[0]!), ['ADDED p0', 'ADDED p1', 'ADDED p2', 'ADDED p3']);
    stream.socket.destroy();
  }
  await idle();
});

test('a watch that waits behind another one on its connection, and a request after both', async () => {
  const query = 'resourceVersion=0&timeoutSeconds=1';
  const stream = await openRaw(port, request(query) + request(query));
  await stream.until(/"name":"p0"/);
  await serving.put('pods', pod('late', 'a')); // the second watch has no connection yet
  await stream.until(/\r\n0\r\n\r\n[\s\S]*\r\n0\r\n\r\n$/);
  stream.socket.write('GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const text = await stream.until(/"gitVersion"/);
  const watches = text.slice(0, text.lastIndexOf('HTTP/1.1 200'));
  for (const body of bodies(watches)) assert.ok(names(body).includes('ADDED late'), body);
  assert.equal(bodies(watches).length, 2);
  stream.socket.destroy();
  await idle();
});

test('a watch that waits behind another one is let go when their connection closes', async () => {
  const query = 'resourceVersion=0';
  const stream = await openRaw(port, request(query) + request(query));
  await stream.until(/"name":"p0"/);
  await eventually('both are open', () => serving.server.open === 2);
  stream.socket.destroy();
  await idle();
});

test('an upgrade to what does not exist is answered, and over when its connection is', async () => {
  const upgrade = 'Host: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
  const stream = await openRaw(port, `GET /api/v1/namespaces/a/pods/p0 HTTP/1.1\r\n${upgrade}`);
  await stream.until(/^HTTP\/1\.1 200 [\s\S]*"name":"p0"/);
  await eventually('the connection ends', () => stream.ended);
  await idle();
});

test('a chunk that is too large to be encoded once', async () => {
  const stream = await openRaw(port, request('resourceVersion=0&timeoutSeconds=1'));
  await stream.until(/"name":"p0"/);
  const large = 'x'.repeat(300_000);
  const object = pod('large', 'a');
  await serving.put('pods', {
    ...object,
    metadata: { ...(object['metadata'] as object), annotations: { large } },
  });
  await serving.put('pods', pod('after', 'a'));
  await stream.until(/\r\n0\r\n\r\n$/);
  const body = bodies(stream.text())[0]!;
  assert.ok(body.includes(large));
  assert.deepEqual(names(body).slice(-2), ['ADDED large', 'ADDED after']);
  stream.socket.destroy();
  await idle();
});

test('HTTP/1.0 knows no chunks: the bytes come bare', async () => {
  const query = '/api/v1/pods?watch=1&resourceVersion=0&timeoutSeconds=1';
  const stream = await openRaw(port, `GET ${query} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
  await eventually('the connection ends', () => stream.ended);
  const [head, body] = stream.text().split('\r\n\r\n');
  assert.doesNotMatch(head!, /transfer-encoding/i);
  assert.equal(names(body!)[0], 'ADDED after');
  await idle();
});

test('a chunk is counted and encoded once, and another one anew', () => {
  const shared = new SharedChunk();
  const [one, two] = [Buffer.from('{}\n'), Buffer.from('{"a":1}\n{}\n')];
  let scans = 0;
  const scanner = lineScanner();
  const counting = {
    push(chunk: Uint8Array) {
      scans++;
      return scanner.push(chunk);
    },
  };
  const seen = [one, one, two, two].map((chunk) => [shared.events(chunk, counting), shared.http1(chunk).toString()]);
  assert.deepEqual(seen, [
    [1, '3\r\n{}\n\r\n'],
    [1, '3\r\n{}\n\r\n'],
    [2, 'b\r\n{"a":1}\n{}\n\r\n'],
    [2, 'b\r\n{"a":1}\n{}\n\r\n'],
  ]);
  assert.equal(scans, 2);
  assert.equal(shared.http1(two), shared.http1(two));
});
