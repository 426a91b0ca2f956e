import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, openRaw } from './client.js';
import { pod, startServing } from './serving.js';

const GET = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

test('more requests than --max-requests-inflight are told to come back; watches are not counted', async (t) => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = { name: 'slow', endpoints: ['readyz'] as const, check: () => held };
  const serving = startServing({ limits: { requestsInFlightMax: 2 }, healthChecks: [slow] });
  t.after(serving.close);
  await serving.put('pods', pod('p0'));
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const url = `http://127.0.0.1:${port}`;
  assert.equal((await fetch(`${url}/api/v1/pods`)).status, 200);

  const first = await openRaw(port, GET('/readyz'));
  const second = await openRaw(port, GET('/readyz'));
  await eventually('both are being answered', () => serving.server.open === 2);
  const refused = await openRaw(port, GET('/api/v1/pods'));
  await refused.until(/later\.\n$/);
  assert.match(refused.text(), /^HTTP\/1\.1 429 Too Many Requests\r\n/);
  assert.match(refused.text(), /\r\nretry-after: 1\r\n/i);
  assert.match(refused.text(), /\r\ncontent-type: text\/plain; charset=utf-8\r\n/i);
  assert.match(refused.text(), /\r\nx-content-type-options: nosniff\r\n/i);
  assert.match(refused.text(), /\r\n\r\nToo many requests, please try again later\.\n$/);
  for (const path of ['/healthz', '/metrics', '/api/v1/namespaces/default/pods/p0', '/nowhere']) {
    const response = await fetch(`${url}${path}`);
    assert.deepEqual([response.status, response.headers.get('retry-after')], [429, '1'], path);
  }
  const watch = await openRaw(port, GET('/api/v1/pods?watch=1&resourceVersion=0'));
  await watch.until(/"name":"p0"/);
  const text = await serving.server.metrics.text();
  const labels =
    'verb="LIST",group="",version="v1",resource="pods",subresource="",scope="cluster",component="apiserver"';
  assert.ok(text.includes(`apiserver_request_terminations_total{${labels},code="429"} 1\n`), 'the LIST was terminated');
  assert.ok(text.includes(`apiserver_request_total{${labels},dry_run="",code="429"} 1\n`));

  release();
  await first.until(/\r\n\r\nok$/);
  await second.until(/\r\n\r\nok$/);
  for (const { socket } of [first, second, refused, watch]) socket.destroy();
  await eventually('nothing is open', () => serving.server.open === 0);
  assert.equal((await fetch(`${url}/api/v1/pods`)).status, 200);
});

test('--max-requests-inflight=0 is no bound', async (t) => {
  const serving = startServing({ limits: { requestsInFlightMax: 0 } });
  t.after(serving.close);
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${port}/livez`)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
});
