import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../src/lib/random.js';
import { AnswerRevoked } from '../../src/serve/cached-list.js';
import {
  configMaps,
  createWorld,
  failureOf,
  get,
  keyOf,
  list,
  listed,
  staying,
  optionsOf,
  TestWatch,
  okOf,
} from './world.js';

test('a value that does not parse fails what needs it, names its key, and nothing else', async () => {
  await using world = createWorld();
  await world.put(configMaps, { metadata: { namespace: 'a', name: 'good' } });
  await world.put(configMaps, { metadata: { namespace: 'b', name: 'bad' } });
  for (const way of ['cached', 'direct'] as const) okOf(await list(world[way].reader(configMaps)));
  const key = keyOf(configMaps, { namespace: 'b', name: 'bad' });
  await world.store.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from('k8s\0\x0a\xff\xff', 'latin1') }]);
  for (const way of ['cached', 'direct'] as const) {
    const reader = world[way].reader(configMaps);
    for (const failure of [
      failureOf(await list(reader)),
      failureOf(await list(reader, '', 'b')),
      failureOf(await get(reader, 'bad', 'b')),
    ]) {
      assert.equal(failure.kind, 'internal');
      assert.ok(failure.message.includes(key), failure.message);
      assert.match(failure.message, /at byte \d+/);
    }
    assert.deepEqual(okOf(await list(reader, '', 'a')).names, ['a/good@2']);
    assert.deepEqual(okOf(await get(reader, 'good', 'a')), 'a/good@2');
    assert.equal(failureOf(await get(reader, 'none', 'a')).kind, 'notFound');
  }
  const revision = await world.put(configMaps, { metadata: { namespace: 'b', name: 'bad' } });
  for (const way of ['cached', 'direct'] as const) {
    assert.equal(okOf(await get(world[way].reader(configMaps), 'bad', 'b')), `b/bad@${revision}`);
    assert.equal(okOf(await list(world[way].reader(configMaps))).names.length, 2);
  }
});

test('a watch over a value that does not parse ends in an ERROR event', async () => {
  await using world = createWorld();
  for (const way of ['cached', 'direct'] as const) {
    const reader = world[way].reader(configMaps);
    const { resourceVersion } = okOf(await list(reader, 'resourceVersion=0', 'c'));
    const watch = await TestWatch.open(reader, `watch=1&resourceVersion=${resourceVersion}`, 'c');
    const key = keyOf(configMaps, { namespace: 'c', name: way });
    await world.store.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from('nonsense') }]);
    const seen = await watch.finished();
    assert.match(seen.at(-1)!, /^ERROR {"kind":"internal"/);
    await world.remove(configMaps, 'c', way);
    await world.cacheOf(configMaps).waitFor(await world.store.currentRevision(), 1_000);
  }
});

test('an answer that is held for too long is revoked, and what it pinned is free', async () => {
  await using world = createWorld({ limits: { pinMs: 40 } });
  await world.put(configMaps, { metadata: { namespace: 'a', name: 'x' } });
  const reader = world.cached.reader(configMaps);
  const answer = okOf(await reader.list({ namespace: undefined, options: optionsOf(''), signal: staying() }));
  assert.equal(listed(reader, answer).names.length, 1);
  const { versions } = world.cacheOf(configMaps);
  assert.ok(versions.stats.pins > 0);
  await new Promise((resolve) => setTimeout(resolve, 80));
  assert.equal(versions.stats.pins, 0);
  assert.throws(() => listed(reader, answer), AnswerRevoked);
  answer[Symbol.dispose]();
  answer[Symbol.dispose]();
  assert.equal(versions.stats.pins, 0);
});

test('a snapshot keeps its bytes while the objects change under it', async () => {
  await using world = createWorld();
  for (let index = 0; index < 50; index++) {
    await world.put(configMaps, { metadata: { namespace: 'a', name: `c${index}` }, data: { round: '0' } });
  }
  const reader = world.cached.reader(configMaps);
  const answer = okOf(await reader.list({ namespace: undefined, options: optionsOf(''), signal: staying() }));
  const before = listed(reader, answer);
  for (let round = 1; round <= 5; round++) {
    for (let index = 0; index < 50; index++) {
      await world.put(configMaps, { metadata: { namespace: 'a', name: `c${index}` }, data: { round: String(round) } });
    }
  }
  await world.cacheOf(configMaps).waitFor(await world.store.currentRevision(), 2_000);
  assert.deepEqual(listed(reader, answer), before);
  answer[Symbol.dispose]();
  assert.notDeepEqual(okOf(await list(reader)).bytes, before.bytes);
});

test('10,000 good and bad requests leave nothing behind', async () => {
  const random = seededRandom(7);
  await using world = createWorld({ random, limits: { freshWaitMs: 1 } });
  for (let index = 0; index < 100; index++) {
    await world.put(configMaps, {
      metadata: { namespace: `n${index % 4}`, name: `c${index}`, labels: { mod: String(index % 5) } },
    });
  }
  const reader = world.cached.reader(configMaps);
  const page = okOf(await list(reader, 'limit=10'));
  const queries = [
    '',
    'resourceVersion=0',
    'limit=10',
    `limit=10&continue=${page.continue}`,
    'continue=garbage',
    'resourceVersion=101',
    'resourceVersion=50&resourceVersionMatch=Exact',
    'resourceVersion=9999999',
    'resourceVersion=abc',
    'resourceVersionMatch=Bogus',
    'labelSelector=mod%3D3&limit=3',
    'labelSelector=mod+in+(1,2)',
    'fieldSelector=metadata.name%3Dc7',
    'fieldSelector=nonsense%3D1',
  ];
  const { versions } = world.cacheOf(configMaps);
  const request = async (): Promise<boolean> => {
    const namespace = random.chance(0.3) ? `n${random.int(5)}` : undefined;
    switch (random.int(4)) {
      case 0:
        return (await get(reader, `c${random.int(120)}`, `n${random.int(4)}`, random.pick(['', '0', 'x', '999999'])))
          .ok;
      case 1: {
        const over = new AbortController();
        const pending = list(reader, random.pick(queries), namespace, over.signal);
        if (random.chance(0.5)) over.abort();
        return (await pending).ok;
      }
      case 2: {
        const result = await reader.watch({
          namespace,
          options: optionsOf(`watch=1&${random.pick(queries)}`),
          legacyPath: false,
          format: { id: 'none', firstDiffers: false, event() {}, bookmark() {}, error() {} },
          signal: staying(),
        });
        if (!result.ok) return false;
        if (random.chance(0.3)) result.value.cancel();
        else result.value.start({ write: () => true, end() {} }).close();
        return true;
      }
      default:
        return (await list(reader, random.pick(queries), namespace)).ok;
    }
  };
  const wave = async (count: number) => {
    let good = 0;
    for (let done = 0; done < count; done += 50) {
      const outcomes = await Promise.all(Array.from({ length: 50 }, request));
      good += outcomes.filter(Boolean).length;
      await world.put(configMaps, {
        metadata: { namespace: 'n0', name: 'c0', labels: { mod: String(random.int(5)) } },
      });
    }
    return good;
  };
  await wave(2_000);
  const reserved = versions.stats.reservedBytes;
  const good = await wave(8_000);
  assert.ok(good > 2_000 && good < 7_500, `${good} of 8000 were answered well`);
  assert.equal(versions.stats.pins, 0);
  assert.equal(world.cacheOf(configMaps).stats.watchers, 0);
  assert.equal(versions.stats.live, 100);
  assert.equal(versions.stats.reservedBytes, reserved);
});
