import assert from 'node:assert/strict';
import { test } from 'node:test';
import { send } from './client.js';
import { asJane, type Forwarding, startForwarding } from './serving.js';
import { valuesOf } from './target.js';

const METRICS = 'apis/metrics.k8s.io/v1beta1';
const APPS = 'apis/apps/v1';
const OWN = /^\{"openapi":"3\.0\.0"/;
const HASHED = /\?hash=[0-9A-F]{128}$/;

/** A target with documents of these keys, in an index that can be replaced. */
async function startDocuments(keys: readonly string[]) {
  const forwarding = await startForwarding({ limits: { forwardDiscoveryMs: 100, forwardDiscoveryTimeoutMs: 500 } });
  const urlOf = (key: string) => ({ serverRelativeURL: `/openapi/v3/${key}?hash=00` });
  const indexOf = (named: readonly string[]) =>
    JSON.stringify({
      paths: {
        ...Object.fromEntries(named.map((key) => [key, urlOf(key)])),
        elsewhere: { serverRelativeURL: 'https://elsewhere.example/' },
      },
    });
  const said = { index: indexOf(keys) };
  forwarding.target.answer = (request, response) => {
    if (request.url === '/openapi/v3') response.end(said.index);
    else response.writeHead(200, { etag: '"theirs"' }).end(`{"of":"target"}`);
  };
  return { ...forwarding, said, indexOf };
}

const ask = async ({ port }: Pick<Forwarding, 'port'>, path: string) =>
  send('HTTP/2', port, { path, headers: { ...asJane } });

async function urlsOf(forwarding: Pick<Forwarding, 'port'>): Promise<ReadonlyMap<string, string>> {
  const { text } = await ask(forwarding, '/openapi/v3');
  const { paths } = JSON.parse(text) as { paths: Record<string, { serverRelativeURL: string }> };
  assert.deepEqual(Object.keys(paths), Object.keys(paths).sort());
  return new Map(Object.entries(paths).map(([key, of]) => [key, of.serverRelativeURL]));
}

test('documents are the target’s, asked for as the user; those of what only listwatch has are its own', async (t) => {
  const forwarding = await startDocuments([METRICS, APPS]);
  t.after(forwarding.close);
  const { target } = forwarding;
  const urls = await urlsOf(forwarding);
  assert.deepEqual(valuesOf(target.seen[0]!, 'x-remote-user'), ['system:listwatch']);
  for (const key of [METRICS, APPS]) {
    assert.equal(urls.get(key), `/openapi/v3/${key}?hash=00`);
    const answer = await ask(forwarding, urls.get(key)!);
    assert.deepEqual([answer.text, answer.headers['etag']], ['{"of":"target"}', '"theirs"']);
    assert.equal(target.seen.at(-1)!.url, urls.get(key));
    assert.deepEqual(valuesOf(target.seen.at(-1)!, 'x-remote-user'), ['jane']);
  }
  assert.ok(!urls.has('elsewhere'));
  assert.match(urls.get('api/v1')!, HASHED);
  assert.match((await ask(forwarding, urls.get('api/v1')!)).text, OWN);
  assert.equal((await ask(forwarding, '/openapi/v2')).text, '{"of":"target"}');
  assert.equal(target.seen.at(-1)!.url, '/openapi/v2');
  assert.equal((await ask(forwarding, '/openapi/none')).code, 404);
});

test('of a target without such documents, they are listwatch’s own', async (t) => {
  const forwarding = await startForwarding({ limits: { forwardDiscoveryMs: 100, forwardDiscoveryTimeoutMs: 500 } });
  t.after(forwarding.close);
  forwarding.target.answer = (_request, response) => response.writeHead(404).end('404 page not found\n');
  const version2 = await ask(forwarding, '/openapi/v2');
  assert.equal(version2.code, 200);
  assert.match(version2.text, /^\{"swagger":"2\.0"/);
  const url = (await urlsOf(forwarding)).get(APPS)!;
  assert.match(url, HASHED);
  assert.match((await ask(forwarding, url)).text, OWN);
});

test('the index is as new as the target’s', async (t) => {
  const forwarding = await startDocuments([APPS]);
  t.after(forwarding.close);
  for (const keys of [[APPS], [APPS, METRICS], [METRICS]]) {
    forwarding.said.index = forwarding.indexOf(keys);
    const urls = await urlsOf(forwarding);
    for (const key of [APPS, METRICS]) {
      const isTheirs = urls.get(key) === `/openapi/v3/${key}?hash=00`;
      assert.equal(isTheirs, keys.includes(key), `${key} of ${keys.join()}`);
      if (isTheirs) assert.equal((await ask(forwarding, urls.get(key)!)).text, '{"of":"target"}');
    }
  }
});

test('while the target is away, what its index said last holds, and documents are listwatch’s own', async (t) => {
  const forwarding = await startDocuments([METRICS, APPS]);
  t.after(forwarding.close);
  const first = await urlsOf(forwarding);
  for (const wrong of ['nonsense', '{}', '[]']) {
    forwarding.said.index = wrong;
    assert.deepEqual(await urlsOf(forwarding), first, wrong);
  }
  await forwarding.target.close();
  assert.deepEqual(await urlsOf(forwarding), first);
  // Whoever has a URL of the target's is sent to what there is instead.
  const moved = await ask(forwarding, first.get(APPS)!);
  assert.equal(moved.code, 301);
  const location = String(moved.headers['location']);
  assert.match(location, HASHED);
  assert.match((await ask(forwarding, location)).text, OWN);
  assert.match((await ask(forwarding, '/openapi/v2')).text, /^\{"swagger":"2\.0"/);
  assert.equal((await ask(forwarding, first.get(METRICS)!)).code, 503);
});
