import assert from 'node:assert/strict';
import { test } from 'node:test';
import { send } from './client.js';
import { startForwarding } from './serving.js';
import { valuesOf } from './target.js';

const METRICS = 'apis/metrics.k8s.io/v1beta1';

test('the index of version 3 names what only the target has, and its documents are the target’s', async (t) => {
  const { target, port, close } = await startForwarding({
    limits: { forwardDiscoveryMs: 100, forwardDiscoveryTimeoutMs: 500 },
  });
  t.after(close);
  let index = (): string => {
    const urlOf = (key: string) => ({ serverRelativeURL: `/openapi/v3/${key}?hash=00` });
    const elsewhere = { serverRelativeURL: 'https://elsewhere.example/' };
    return JSON.stringify({ paths: { [METRICS]: urlOf(METRICS), 'apis/apps/v1': urlOf('apis/apps/v1'), elsewhere } });
  };
  target.answer = (request, response) => {
    const isIndex = request.url === '/openapi/v3';
    if (isIndex || request.url!.startsWith(`/openapi/v3/${METRICS}`))
      response.end(isIndex ? index() : '{"of":"target"}');
    else response.writeHead(404).end();
  };
  const ask = async (path: string) => (await send('HTTP/2', port, { path })).text;
  const urls = async () => {
    const { paths } = JSON.parse(await ask('/openapi/v3')) as { paths: Record<string, { serverRelativeURL: string }> };
    assert.deepEqual(Object.keys(paths), Object.keys(paths).sort());
    return new Map(Object.entries(paths).map(([key, of]) => [key, of.serverRelativeURL]));
  };
  const first = await urls();
  assert.equal(first.get(METRICS), `/openapi/v3/${METRICS}?hash=00`);
  assert.match(first.get('apis/apps/v1')!, /^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/);
  assert.ok(!first.has('elsewhere'));
  assert.deepEqual(valuesOf(target.seen[0]!, 'x-remote-user'), ['system:listwatch']);
  assert.equal(await ask(first.get(METRICS)!), '{"of":"target"}');
  assert.match(await ask(first.get('apis/apps/v1')!), /^\{"openapi":"3\.0\.0"/);

  // What it said last holds.
  for (const wrong of ['nonsense', '{}', '[]']) {
    index = () => wrong;
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.deepEqual(await urls(), first, wrong);
  }
  await target.close();
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual(await urls(), first);
});
