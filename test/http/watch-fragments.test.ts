import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, systemRandom } from '../../src/lib/random.js';
import { eventually, openRaw } from './client.js';
import { pod, type Serving, startServing } from './serving.js';

const QUERY =
  'watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion=';
const END = /"k8s\.io\/initial-events-end":"true"[^\n]*\n$/;

/** The initial events and the bookmark that ends them. */
async function watchList(port: number, path: string, revision: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}?${QUERY}${revision}`);
  assert.equal(response.status, 200);
  const reader = response.body!.getReader();
  const chunks: Uint8Array[] = [];
  let text = '';
  while (!END.test(text)) {
    const { value, done } = await reader.read();
    assert.equal(done, false, text.slice(-300));
    chunks.push(value!);
    text = Buffer.concat(chunks).toString();
  }
  await reader.cancel();
  return text;
}

/** Not compressed: only then is the JSON of leaves kept. */
async function list(port: number, path: string): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { 'accept-encoding': 'identity' } });
  assert.equal(answer.status, 200);
  await answer.arrayBuffer();
}

test('JSON initial events from what LISTs have encoded are the same as without, and keep nothing', async () => {
  const seed = process.env['SEED'] === undefined ? systemRandom.int(2 ** 31) : Number(process.env['SEED']);
  const random = seededRandom(seed);
  // Chunks that are smaller than a leaf: a stream goes on in the middle of one.
  const limits = { listChunkBytes: 5_000 };
  const plain = startServing({ limits: { ...limits, fragmentCacheBytes: 0 } });
  const kept = startServing({ store: plain.store, limits: { ...limits, fragmentCacheBytes: 1e8 } });
  try {
    const portOf = async ({ server }: Serving) => (await server.listenInsecure('127.0.0.1', 0)).port;
    const [plainPort, keptPort] = [await portOf(plain), await portOf(kept)];
    let revision = 1;
    for (let round = 0; round < 12; round++) {
      for (let count = round === 0 ? 300 : random.int(40); count > 0; count--) {
        const [namespace, name] = [random.pick(['a', 'b', 'c']), `p${random.int(200)}`];
        const metadata = { name, namespace, uid: 'u', annotations: { text: '"<é>"'.repeat(random.int(100)) } };
        if (random.chance(0.2)) revision = await plain.remove('pods', namespace, name);
        else revision = await plain.put('pods', pod(name, namespace, { metadata }));
      }
      // A group that begins with a watch of another kind of start: its format knows nothing of leaves.
      const live = await openRaw(
        keptPort,
        `GET /api/v1/pods?watch=1&resourceVersion=${revision} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      );
      await live.until(/200 OK/);
      if (random.chance(0.5)) await list(keptPort, '/api/v1/pods');
      const path = random.pick(['/api/v1/pods', '/api/v1/namespaces/b/pods']);
      const before = kept.fragments!.stats;
      const [want, got] = [await watchList(plainPort, path, revision), await watchList(keptPort, path, revision)];
      assert.equal(got, want, `SEED=${seed}: ${path}`);
      const after = kept.fragments!.stats;
      assert.equal(after.bytes, before.bytes);
      live.socket.destroy();
    }
    await list(keptPort, '/api/v1/pods');
    const { hits, misses } = { ...kept.fragments!.stats, hits: { ...kept.fragments!.stats.hits } };
    const missed = misses.json;
    await watchList(keptPort, '/api/v1/pods', revision);
    assert.ok(kept.fragments!.stats.hits.json > hits.json, 'the fragments of the LIST are used');
    assert.equal(kept.fragments!.stats.misses.json, missed);
    await eventually('no watch is open', () => kept.server.open === 0 && plain.server.open === 0);
  } finally {
    await kept.close();
    await plain.close();
  }
});

test('the event of every served kind is its list item with a head', async () => {
  const serving = startServing({ limits: { fragmentCacheBytes: 1e8 } });
  try {
    const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
    const objects: [resource: string, path: string, object: Record<string, unknown>][] = [
      ['configmaps', '/api/v1/configmaps', { metadata: { name: 'x', namespace: 'a' } }],
      ['namespaces', '/api/v1/namespaces', { metadata: { name: 'x' } }],
      ['leases', '/apis/coordination.k8s.io/v1/leases', { metadata: { name: 'x', namespace: 'a' } }],
      ['deployments', '/apis/apps/v1/deployments', { metadata: { name: 'x', namespace: 'a' }, spec: {} }],
    ];
    for (const [resource, path, object] of objects) {
      const revision = await serving.put(resource, object);
      const cold = await watchList(port, path, revision);
      await list(port, path);
      const before = serving.fragments!.stats.hits.json;
      assert.equal(await watchList(port, path, revision), cold);
      assert.equal(serving.fragments!.stats.hits.json, before + 1, `${resource}: the fragment is used`);
    }
  } finally {
    await serving.close();
  }
});
