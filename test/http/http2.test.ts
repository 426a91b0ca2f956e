import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import { eventually, openHttp2, read, request } from './client.js';
import { certificate, pod, type Serving, startServing } from './serving.js';

let serving: Serving;
let port: number;
before(async () => {
  serving = startServing();
  await serving.put('pods', pod('p0'));
  ({ port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate()));
});
after(() => serving.close());

test('GET, LIST, errors and HEAD over HTTP/2', async () => {
  const session = await openHttp2(port);
  const list = await read(request(session, '/api/v1/pods'));
  assert.equal(list.code, 200);
  assert.equal(list.headers['content-length'], String(list.body.length));
  assert.match(list.body.toString(), /"kind":"PodList".*"name":"p0"/);
  assert.equal((await read(request(session, '/api/v1/namespaces/default/pods/p0'))).code, 200);
  assert.equal((await read(request(session, '/api/v1/namespaces/default/pods/none'))).code, 404);
  const head = await read(request(session, '/healthz', { ':method': 'HEAD' }));
  assert.deepEqual([head.code, head.body.length], [200, 0]);
  const posted = session.request({ ':path': '/api/v1/pods', ':method': 'POST', 'content-type': 'application/json' });
  posted.end('{"kind":');
  assert.equal((await read(posted)).code, 405);
  const refused = await read(request(session, '/api/v1/pods', { ':authority': 'evil.example' }));
  assert.equal(refused.code, 403);
  session.destroy();
});

test('a watch over HTTP/2 sends its head at once, its events as they happen, and ends cleanly', async () => {
  const session = await openHttp2(port);
  const stream = request(session, '/api/v1/pods?watch=1&resourceVersion=0&timeoutSeconds=1');
  const { code, headers, body } = await read(stream);
  assert.equal(code, 200);
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['content-length'], undefined);
  assert.match(body.toString(), /^\{"type":"ADDED".*"name":"p0".*\n$/);
  assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  session.destroy();
});

test('HTTP/1.1 over the same TLS listener', async () => {
  const { code, body } = await new Promise<{ code: number; body: string }>((resolve, reject) => {
    const outgoing = httpsRequest(
      { host: 'localhost', port, path: '/version', rejectUnauthorized: false, agent: false },
      (response) => {
        let text = '';
        response.on('data', (chunk) => (text += String(chunk)));
        response.on('end', () => resolve({ code: response.statusCode ?? 0, body: text }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
  assert.equal(code, 200);
  assert.match(body, /"gitVersion": "v1\.36\.4\+listwatch-0\.1\.0"/);
});

/** Node 20 cannot raise the bound of cancelled streams, 1,000 in a burst. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const boundIsOurs = major > 22 || (major === 22 && minor >= 11);

test('a client that cancels its watches in bursts, as informers do, keeps its connection', async () => {
  const session = await openHttp2(port);
  let ended = false;
  session.on('goaway', () => (ended = true));
  session.on('close', () => (ended = true));
  for (let round = 0; round < (boundIsOurs ? 40 : 9); round++) {
    const streams = Array.from({ length: 100 }, () => request(session, '/api/v1/pods?watch=1&resourceVersion=0'));
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    await Promise.all(
      streams.map((stream) => {
        const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
        stream.close(constants.NGHTTP2_CANCEL);
        return closed;
      }),
    );
  }
  assert.equal(ended, false);
  assert.equal((await read(request(session, '/healthz'))).code, 200);
  await eventually('no request open', () => serving.server.open === 0);
  session.destroy();
});

// Newer Node has the larger bucket, which this client in the same process cannot empty: it cancels most streams unsent.
const unreachable = boundIsOurs && 'the bucket of resets is larger than a client in this process can empty';

test('a client that opens and resets streams without end is disconnected', { skip: unreachable }, async () => {
  const session = await openHttp2(port);
  let ended = false;
  session.on('goaway', () => (ended = true));
  session.on('close', () => (ended = true));
  for (let burst = 0; burst < 400 && !ended; burst++) {
    for (let index = 0; index < 100 && !session.destroyed; index++) {
      const stream = request(session, '/api/v1/pods?watch=1&resourceVersion=0');
      stream.on('error', () => {});
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually('the connection ends', () => ended);
  session.destroy();
  const other = await openHttp2(port);
  assert.equal((await read(request(other, '/healthz'))).code, 200);
  other.destroy();
  await eventually('no request open', () => serving.server.open === 0);
});
