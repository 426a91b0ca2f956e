import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { EncodePool } from '../../src/workers/encode-pool.js';
import { eventually, openRaw } from './client.js';
import { pod, type Serving, startServing } from './serving.js';

const PODS = 1_500;

/** A server that encodes with workers, and one of the same store that encodes each item for each LIST. */
async function startPair(limits: Partial<Limits>) {
  const poolLimits = { ...defaultLimits, encodeTaskBytesMin: 0 };
  const encoder = new EncodePool({ workers: 2, limits: poolLimits, clock: systemClock, onCrash: assert.ifError });
  const plain = startServing({ limits: { fragmentCacheBytes: 0 } });
  const serving = startServing({ store: plain.store, limits, encoder });
  for (let index = 0; index < PODS; index++) await put(plain, index, 'first');
  return { plain, serving, encoder };
}

function put(serving: Serving, index: number, text: string) {
  const name = `p${10_000 + index}`;
  return serving.put('pods', pod(name, 'a', { metadata: { name, namespace: 'a', annotations: { text } } }));
}

async function list(serving: Serving, gzip: boolean, path = '/api/v1/pods'): Promise<string> {
  const headers = { host: 'localhost', accept: 'application/json', ...(gzip ? { 'accept-encoding': 'gzip' } : {}) };
  const { rawPayload, headers: answered } = await serving.server.inject({ url: path, headers });
  return (answered['content-encoding'] === 'gzip' ? gunzipSync(rawPayload) : rawPayload).toString();
}

function pinsOf(serving: Serving): number {
  return [...serving.caches.all()].reduce((sum, { versions }) => sum + versions.stats.pins, 0);
}

for (const fragmentCacheBytes of [0, 100_000, 1e8]) {
  test(`LISTs that workers encode have the same bytes, while objects change (${fragmentCacheBytes} bytes kept)`, async (t) => {
    const { plain, serving, encoder } = await startPair({ fragmentCacheBytes });
    t.after(async () => {
      await serving.close();
      await plain.close();
    });
    const random = seededRandom(7);
    for (let round = 0; round < 12; round++) {
      for (let count = 0; count < 40; count++) await put(plain, random.int(PODS), `round ${round}`);
      const path = random.pick(['/api/v1/pods', '/api/v1/namespaces/a/pods?limit=700', '/api/v1/namespaces/b/pods']);
      const gzip = round % 3 === 2;
      const [want, got, again] = await Promise.all([
        list(plain, false, path),
        list(serving, gzip, path),
        list(serving, !gzip, path),
      ]);
      assert.equal(got, want, path);
      assert.equal(again, want, path);
    }
    if (fragmentCacheBytes < 1e6) {
      // On a busy machine the owner may do it all while the workers start.
      const want = await list(plain, false);
      const another = async () => {
        assert.equal(await list(serving, false), want);
        return encoder.stats.tasksByWorkers > 0;
      };
      await eventually('a worker has encoded a leaf', another, 30_000);
    }
    // A worker may still be at a leaf that a LIST no longer needs.
    await eventually('nothing is ahead', () => encoder.stats.aheadBytes === 0);
    await eventually('nothing is pinned', () => pinsOf(serving) === 0);
    assert.equal(encoder.stats.workersCrashed, 0);
  });
}

test('identical LISTs at once share what is encoded', async (t) => {
  const { plain, serving, encoder } = await startPair({ fragmentCacheBytes: 1e8 });
  t.after(async () => {
    await serving.close();
    await plain.close();
  });
  const lists = await Promise.all(Array.from({ length: 8 }, () => list(serving, false)));
  const want = await list(plain, false);
  for (const got of lists) assert.equal(got, want);
  const { tasksByWorkers, tasksByOwner } = encoder.stats;
  const leaves = serving.fragments!.stats.fragments;
  assert.ok(leaves > 20, `${leaves} leaves`);
  assert.equal(tasksByWorkers + tasksByOwner, leaves, 'each leaf is encoded once');
});

test('a client that goes away in the middle leaves nothing pinned and nothing ahead', async (t) => {
  const { plain, serving, encoder } = await startPair({ fragmentCacheBytes: 0 });
  t.after(async () => {
    await serving.close();
    await plain.close();
  });
  for (let index = 0; index < PODS; index++) await put(plain, index, 'x'.repeat(20_000));
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const request = 'GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n';
  const client = await openRaw(port, request);
  await eventually('the response is under way', () => encoder.stats.aheadBytes > 0);
  assert.ok(pinsOf(serving) > 0);
  client.socket.destroy();
  await eventually('nothing is ahead', () => encoder.stats.aheadBytes === 0);
  await eventually('nothing is pinned', () => pinsOf(serving) === 0);
});

test('a LIST that was held for too long is cut off, and leaves nothing ahead', async (t) => {
  const { plain, serving, encoder } = await startPair({ fragmentCacheBytes: 0, pinMs: 300 });
  t.after(async () => {
    await serving.close();
    await plain.close();
  });
  for (let index = 0; index < PODS; index++) await put(plain, index, 'x'.repeat(20_000));
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  const request = 'GET /api/v1/pods HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n';
  const client = await openRaw(port, request);
  client.socket.pause();
  await eventually('the response is under way', () => encoder.stats.aheadBytes > 0);
  await eventually('nothing is ahead', () => encoder.stats.aheadBytes === 0);
  await eventually('nothing is pinned', () => pinsOf(serving) === 0);
  client.socket.destroy();
});

test('metrics say who encodes', async (t) => {
  const { plain, serving } = await startPair({ fragmentCacheBytes: 0 });
  t.after(async () => {
    await serving.close();
    await plain.close();
  });
  await list(serving, false);
  const { body } = await serving.server.inject({ url: '/metrics', headers: { host: 'localhost' } });
  const value = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(body)?.[1]);
  assert.equal(value('listwatch_encode_workers'), 2);
  assert.equal(value('listwatch_encode_workers_started_total'), 2);
  assert.equal(value('listwatch_encode_ahead_bytes'), 0);
  assert.ok(
    value('listwatch_encode_tasks_total{by="owner"}') + value('listwatch_encode_tasks_total{by="worker"}') > 20,
  );
});
