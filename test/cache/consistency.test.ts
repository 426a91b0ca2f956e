import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../../src/lib/limits.js';
import { rangeOf } from '../../src/lib/bytes.js';
import { contents, createWorld, keyOf, request, TestSink } from './support.js';

async function filled(options: Parameters<typeof createWorld>[0] = {}) {
  const world = createWorld(options);
  for (let index = 0; index < 50; index++) await world.put(`a/${index}`, 'x');
  await world.store.write([{ type: 'put', key: keyOf('a/bad'), value: Buffer.from('garbage') }]);
  await world.store.write([{ type: 'put', key: keyOf('marker'), value: Buffer.from('') }]);
  world.cache.start();
  await world.settle();
  return world;
}

test('a cache that agrees with its source passes, over several pages, with unreadable and foreign keys', async () => {
  const world = await filled({ limits: { ...defaultLimits, listPageCount: 7 } });
  assert.equal(await world.cache.checkConsistency(), 'success');
  await world.settle(700_000);
  assert.ok(world.cache.stats.consistencyChecks.success >= 2, 'and is checked from time to time');
  assert.deepEqual(world.cache.stats.consistencyChecks.failure, 0);
  assert.equal(world.cache.versions.stats.pins, 0);
  await world.close();
});

test('a corrupted byte is found, logged, and mended by a new list', async () => {
  const world = await filled();
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: world.cache.revision }), sink);
  const id = world.cache.get(rangeOf(keyOf('a/17')));
  const { bytes, end } = world.cache.versions.object(id, rangeOf(new Uint8Array(0)));
  bytes[end - 1]! ^= 0x01; // the last letter of the holder
  assert.match(contents(world.cache)!.find((entry) => entry.startsWith('a/17='))!, /=y@/);
  assert.equal(world.cache.stats.relists, 0);
  await world.settle(331_000);
  assert.equal(world.cache.stats.consistencyChecks.failure, 1);
  assert.match(
    world.log.join('\n'),
    /the cache differs from its source at revision \d+: the bytes of \/registry\/leases\/a\/17 are not those of revision 19/,
  );
  assert.equal(world.cache.stats.relists, 1);
  assert.equal(world.cache.state, 'ready');
  assert.equal(
    contents(world.cache)!.find((entry) => entry.startsWith('a/17=')),
    'a/17=x@19',
  );
  assert.equal(sink.ended, 1, 'whoever may have been sent the wrong bytes starts over');
  assert.equal(await world.cache.checkConsistency(), 'success');
  world.cache.verify();
  await world.close();
});

test('a corrupted key is found', async () => {
  const world = await filled();
  const id = world.cache.get(rangeOf(keyOf('a/17')));
  const { bytes, end } = world.cache.versions.key(id, rangeOf(new Uint8Array(0)));
  bytes[end - 1] = 0x7a;
  assert.equal(await world.cache.checkConsistency(), 'failure');
  await world.settle(100);
  assert.equal(
    contents(world.cache)!.find((entry) => entry.startsWith('a/17=')),
    'a/17=x@19',
  );
  await world.close();
});

test('a source that cannot say counts as an error, not as a failure', async () => {
  const world = await filled();
  const last = await world.store.write([{ type: 'put', key: Buffer.from('/other'), value: Buffer.from('') }]);
  await world.store.compact(last);
  assert.equal(await world.cache.checkConsistency(), 'error');
  assert.deepEqual(world.cache.stats.consistencyChecks, { success: 0, failure: 0, error: 1 });
  assert.equal(world.cache.stats.relists, 0);
  await world.close();
});
