import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCaches } from '../../src/cache/caches.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import { keyOf, leaseKind, leaseValue, testStorage, turn } from './support.js';

test('caches are made on first use, started then or all at once, and stopped together', async () => {
  const clock = createFakeClock();
  const random = seededRandom(1);
  const store = createEmbeddedStore({ clock, random });
  const log: string[] = [];
  const caches = createCaches({
    sourceFor: () => store,
    codecFor: createKindCodec,
    storageFor: testStorage,
    etcdPrefix: '/registry',
    clock,
    random,
    log: (kind, message) => log.push(`${kind.resource}: ${message}`),
  });
  assert.deepEqual(caches.all(), []);
  const leases = caches.get(leaseKind);
  assert.equal(leases.state, 'idle');
  assert.equal(caches.get(leaseKind), leases);
  const services = findKind('', 'v1', 'services')!;
  await store.write([{ type: 'put', key: keyOf('a/one'), value: leaseValue('a/one', 'x') }]);
  await store.write([{ type: 'put', key: Buffer.from('/registry/services/specs/a/s'), value: Buffer.from('not one') }]);
  await store.write([{ type: 'put', key: Buffer.from('/registry/services/endpoints/a/s'), value: Buffer.from('nor') }]);
  caches.startAll([services, leaseKind]);
  for (let step = 0; step < 5; step++) await turn();
  assert.deepEqual(
    caches.all().map(({ kind, state, stats }) => [kind.resource, state, stats.objects, stats.decodeErrors]),
    [
      ['leases', 'ready', 1, 0],
      ['services', 'ready', 0, 1],
    ],
  );
  await caches.stopAll();
  assert.deepEqual(new Set(caches.all().map(({ state }) => state)), new Set(['stopped']));
  assert.deepEqual(log, []);
  await store.close();
});
