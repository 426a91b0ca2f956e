import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, openHttp2, openRaw, read, request } from './client.js';
import { certificate, pod, startServing } from './serving.js';

/** The samples of one metric whose labels include these. */
function sample(text: string, name: string, labels: Record<string, string> = {}): number | undefined {
  const line = text
    .split('\n')
    .find(
      (candidate) =>
        (candidate.startsWith(`${name}{`) || candidate.startsWith(`${name} `)) &&
        Object.entries(labels).every(([label, value]) => new RegExp(`[{,]${label}="${value}"`).test(candidate)),
    );
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
}

test('requests are counted by verb and resource, complete ones not as aborted', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  await serving.put('pods', pod('p0'));
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const secure = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const base = `http://127.0.0.1:${port}`;
  const session = await openHttp2(secure.port);
  await (await fetch(`${base}/api/v1/pods`)).text();
  await read(request(session, '/api/v1/pods'));
  await read(request(session, '/api/v1/namespaces/default/pods/p0'));
  await read(request(session, '/api/v1/namespaces/default/pods/none'));
  await read(request(session, '/api/v1/pods?watch=1&resourceVersion=0&timeoutSeconds=1'));
  for (let index = 0; index < 50; index++)
    await (await fetch(`${base}/apis/made-up-${index}/v1/things-${index}`)).text();
  session.destroy();
  await eventually('no request open', () => serving.server.open === 0);
  const response = await fetch(`${base}/metrics`);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores');
  const text = await response.text();
  const pods = { group: '', version: 'v1', resource: 'pods' };
  const total = (labels: Record<string, string>) => sample(text, 'apiserver_request_total', { ...pods, ...labels });
  assert.equal(total({ verb: 'LIST', scope: 'cluster', code: '200' }), 2);
  assert.equal(total({ verb: 'GET', scope: 'resource', code: '200' }), 1);
  assert.equal(total({ verb: 'GET', scope: 'resource', code: '404' }), 1);
  assert.equal(total({ verb: 'WATCH', code: '200' }), 1);
  assert.equal(sample(text, 'apiserver_request_aborts_total'), undefined);
  assert.equal(sample(text, 'apiserver_current_inflight_requests', { request_kind: 'readOnly' }), 1); // this one
  assert.equal(sample(text, 'apiserver_longrunning_requests', { verb: 'WATCH' }), 0);
  assert.ok(sample(text, 'apiserver_response_sizes_sum', { ...pods, verb: 'LIST' })! > 300);
  assert.equal(sample(text, 'apiserver_request_duration_seconds_count', { ...pods, verb: 'LIST' }), 2);
  // Clients cannot make labels up.
  assert.doesNotMatch(text, /made-up|things-/);
  assert.equal(sample(text, 'apiserver_request_total', { resource: '', verb: 'GET', code: '404' }), 50);
  // Read from the cache.
  assert.equal(sample(text, 'apiserver_resource_objects', { group: '', resource: 'pods' }), 1);
  assert.equal(sample(text, 'apiserver_watch_cache_initializations_total', { resource: 'pods' }), 1);
  assert.equal(sample(text, 'apiserver_watch_cache_resource_version', { resource: 'pods' }), 2);
  assert.equal(sample(text, 'listwatch_watchers', { resource: 'pods' }), 0);
  assert.ok(sample(text, 'process_resident_memory_bytes')! > 1e6);
  assert.equal(sample(text, 'kubernetes_build_info', { major: '1', minor: '36' }), 1);
  await serving.close();
});

test('two servers in one process do not share their metrics', async (t) => {
  const [left, right] = [startServing(), startServing()];
  t.after(left.close);
  t.after(right.close);
  await left.server.inject({ url: '/version', headers: { host: 'localhost' } });
  const count = async (serving: typeof left) =>
    sample(await serving.server.metrics.text(), 'apiserver_request_total', { verb: 'GET' });
  assert.deepEqual([await count(left), await count(right)], [1, undefined]);
  await left.close();
  await right.close();
});

test('a cut LIST is counted as aborted, a passed deadline as terminated', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const waiting = await openRaw(port, 'GET /api/v1/pods?resourceVersion=999999 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await eventually('the request is open', () => serving.server.open === 1);
  waiting.socket.destroy();
  await eventually('it is closed', () => serving.server.open === 0);
  await (await fetch(`http://127.0.0.1:${port}/api/v1/pods?resourceVersion=999999&timeout=10ms`)).text();
  const text = await serving.server.metrics.text();
  assert.equal(sample(text, 'apiserver_request_aborts_total', { verb: 'LIST', resource: 'pods' }), 1);
  assert.equal(sample(text, 'apiserver_request_terminations_total', { verb: 'LIST', code: '504' }), 1);
  await serving.close();
});

test('etcd requests are observed by whoever makes them', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  serving.server.metrics.etcdRequest('list', '', 'pods', 0.01, false);
  serving.server.metrics.etcdRequest('list', '', 'pods', 0.02, true);
  const text = await serving.server.metrics.text();
  const labels = { operation: 'list', resource: 'pods' };
  assert.equal(sample(text, 'etcd_requests_total', labels), 2);
  assert.equal(sample(text, 'etcd_request_errors_total', labels), 1);
  assert.equal(sample(text, 'etcd_request_duration_seconds_count', labels), 2);
  await serving.close();
});

test('with the store out of reach, stale answers say how old they are', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  await serving.put('pods', pod('p0'));
  const get = (url: string) => serving.server.inject({ url, headers: { host: 'localhost' } });
  const fresh = await get('/api/v1/pods');
  assert.equal(fresh.headers['x-listwatch-stale-seconds'], undefined);
  await serving.store.close();
  await eventually('answers are marked', async () => {
    const stale = await get('/api/v1/pods?resourceVersion=0');
    assert.equal(stale.body, fresh.body);
    return Number(stale.headers['x-listwatch-stale-seconds']) >= 1;
  });
  const one = await get('/api/v1/namespaces/default/pods/p0?resourceVersion=0');
  assert.ok(Number(one.headers['x-listwatch-stale-seconds']) >= 1);
  const consistent = await get('/api/v1/pods');
  assert.equal(consistent.statusCode, 500);
  assert.match(consistent.body, /"reason":"ServerTimeout"/);
  assert.equal(consistent.headers['retry-after'], '2');
  const metrics = await serving.server.metrics.text();
  assert.ok(sample(metrics, 'listwatch_watch_cache_stale_seconds', { resource: 'pods' })! > 0);
});

test('consistent reads are counted by resource, success and fallback', async (t) => {
  const serving = startServing();
  t.after(() => serving.close());
  const ask = async (url: string) => (await serving.server.inject({ url, headers: { host: 'localhost' } })).body;
  await ask('/api/v1/pods?resourceVersion=0');
  await ask('/api/v1/pods');
  await ask('/api/v1/namespaces/default/pods');
  assert.equal(
    sample(await ask('/metrics'), 'apiserver_watch_cache_consistent_read_total', {
      group: '',
      resource: 'pods',
      success: 'true',
      fallback: 'false',
    }),
    2,
  );
});
