import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthCheck } from '../../src/http/health.js';
import { eventually, openHttp2, openRaw, request } from './client.js';
import { certificate, pod, startServing } from './serving.js';

const always: HealthCheck['endpoints'] = ['healthz', 'livez', 'readyz'];

function serve(failing: () => boolean) {
  return startServing({
    healthChecks: [
      { name: 'ping', endpoints: always, check: async () => {} },
      {
        name: 'etcd',
        endpoints: always,
        check: async () => {
          if (failing()) throw new Error('no route to etcd');
        },
      },
      { name: 'informer-sync', endpoints: ['readyz'], check: async () => {} },
    ],
  });
}

test('/metrics/slis: what each check said, and how often; checks that were excluded or asked for alone said nothing', async (t) => {
  let failing = true;
  const serving = serve(() => failing);
  t.after(serving.close);
  const get = async (url: string): Promise<string> =>
    (await serving.server.inject({ url, headers: { host: 'localhost' } })).body;
  for (const url of ['/readyz', '/readyz?exclude=ping', '/livez/ping']) await get(url);
  failing = false;
  await get('/readyz');
  const lines = (await get('/metrics/slis')).split('\n').filter((line) => line.startsWith('kubernetes_'));
  assert.deepEqual(
    lines.filter((line) => /"(ping|etcd)"/.test(line)),
    [
      'kubernetes_healthcheck{name="ping",type="readyz"} 1',
      'kubernetes_healthcheck{name="etcd",type="readyz"} 1',
      'kubernetes_healthchecks_total{name="ping",status="success",type="readyz"} 2',
      'kubernetes_healthchecks_total{name="etcd",status="error",type="readyz"} 2',
      'kubernetes_healthchecks_total{name="etcd",status="success",type="readyz"} 1',
    ],
  );
});

test('health endpoints, as in spec 7.5', async (t) => {
  let failing = false;
  const serving = serve(() => failing);
  t.after(serving.close);
  const get = async (url: string, method: 'GET' | 'HEAD' | 'POST' = 'GET') => {
    const { statusCode, body, headers } = await serving.server.inject({ method, url, headers: { host: 'localhost' } });
    return {
      code: statusCode,
      body,
      nosniff: headers['x-content-type-options'] === 'nosniff',
      type: headers['content-type'],
    };
  };
  const text = { nosniff: true, type: 'text/plain; charset=utf-8' };
  for (const path of ['/healthz', '/livez', '/readyz']) {
    assert.deepEqual(await get(path), { code: 200, body: 'ok', ...text });
    assert.deepEqual(await get(path, 'HEAD'), { code: 200, body: '', ...text });
    assert.equal((await get(path, 'POST')).code, 200);
  }
  assert.equal((await get('/livez?verbose')).body, '[+]ping ok\n[+]etcd ok\nlivez check passed\n');
  assert.equal(
    (await get('/readyz?verbose=')).body,
    '[+]ping ok\n[+]etcd ok\n[+]informer-sync ok\n[+]shutdown ok\nreadyz check passed\n',
  );
  assert.equal(
    (await get('/livez?verbose&exclude=etcd&exclude=zz')).body,
    '[+]ping ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for "zz"\nlivez check passed\n',
  );
  assert.deepEqual(await get('/readyz/etcd'), { code: 200, body: 'ok', nosniff: false, type: text.type });
  assert.equal((await get('/livez/informer-sync')).code, 404);
  assert.equal((await get('/readyz/none')).body, '404 page not found\n');
  failing = true;
  assert.deepEqual(await get('/livez'), {
    code: 500,
    body: '[+]ping ok\n[-]etcd failed: reason withheld\nlivez check failed\n',
    ...text,
  });
  assert.equal((await get('/livez?exclude=etcd')).code, 200);
  assert.equal((await get('/readyz/etcd')).body, 'internal server error: no route to etcd\n');
  assert.equal((await get('/readyz/etcd')).code, 500);
  failing = false;
  serving.server.beginShutdown();
  assert.equal((await get('/livez')).code, 200);
  assert.match((await get('/readyz')).body, /\n\[-\]shutdown failed: reason withheld\nreadyz check failed\n$/);
  await serving.close();
});

test('closing ends watches cleanly, lets answers finish, and releases the port', async (t) => {
  const serving = serve(() => false);
  t.after(serving.close);
  await serving.put('pods', pod('p0'));
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const secure = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const watch = 'watch=1&resourceVersion=0&allowWatchBookmarks=true';
  const plain = await openRaw(port, `GET /api/v1/pods?${watch} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await plain.until(/initial-events-end/);
  const idle = await openRaw(port, '');
  const session = await openHttp2(secure.port);
  const stream = request(session, `/api/v1/pods?${watch}`);
  let received = '';
  stream.on('data', (chunk) => (received += String(chunk)));
  await eventually('initial events', () => received.includes('initial-events-end'));
  const ended = new Promise<number | undefined>((resolve) => stream.once('close', () => resolve(stream.rstCode)));
  await serving.server.close();
  assert.match(plain.text(), /\r\n0\r\n\r\n$/); // the end of a chunked body
  assert.doesNotMatch(plain.text(), /ERROR/);
  assert.equal(await ended, 0);
  await eventually('the connections are closed', () => plain.ended && idle.ended && session.destroyed);
  await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
  assert.equal(serving.server.open, 0);
  await serving.close();
});

test('a response that does not end is cut when its time is up', async (t) => {
  const serving = startServing({ limits: { shutdownMs: 200 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  // Waits for a revision that does not come.
  const waiting = await openRaw(port, 'GET /api/v1/pods?resourceVersion=9999999 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await eventually('the request is open', () => serving.server.open === 1);
  const startMs = performance.now();
  await serving.server.close();
  assert.ok(performance.now() - startMs < 2_500);
  await eventually('the connection is cut', () => waiting.ended);
  await serving.close();
});

test('requests that arrive while the server closes are refused with 503', async (t) => {
  const serving = startServing({ limits: { shutdownMs: 1_000 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const open = await openRaw(port, 'GET /api/v1/pods?resourceVersion=9999999 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await eventually('the request is open', () => serving.server.open === 1);
  const closing = serving.server.close();
  await new Promise((resolve) => setImmediate(resolve));
  const { statusCode, headers, body } = await serving.server.inject({
    url: '/api/v1/pods',
    headers: { host: 'localhost' },
  });
  assert.equal(statusCode, 503);
  assert.equal(headers['retry-after'], '1');
  assert.match(body, /"message":"apiserver is shutting down","reason":"ServiceUnavailable"/);
  open.socket.destroy();
  await closing;
  await serving.close();
});

test('a port in use is the system’s error', async (t) => {
  const serving = serve(() => false);
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  await assert.rejects(serving.server.listenInsecure('127.0.0.1', port), { code: 'EADDRINUSE' });
  await serving.close();
});
