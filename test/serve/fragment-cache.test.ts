import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { FragmentCache, type FragmentFormat, fragmentFormats, KEPT_SHARE } from '../../src/serve/fragment-cache.js';

const BYTES_MAX = 10_000;

function start() {
  const clock = createFakeClock();
  const cache = new FragmentCache({ ...defaultLimits, fragmentCacheBytes: Math.ceil(BYTES_MAX / KEPT_SHARE) }, clock);
  const scope = cache.openScope();
  const keep = (place: number, edition: number, cost: number, format: FragmentFormat = 'json') =>
    cache.keep(scope, place, format, { edition, cost });
  const has = (place: number, edition: number, format: FragmentFormat = 'json') =>
    cache.get(scope, place, format, edition)?.edition === edition;
  return { clock, cache, scope, keep, has };
}

test('a fragment is found by its place, format and storage', () => {
  const { cache, keep, has } = start();
  keep(7, 1, 100);
  assert.ok(has(7, 1));
  assert.ok(!has(8, 1));
  assert.ok(!has(7, 1, 'json-deflate'));
  assert.equal(cache.get(cache.openScope(), 7, 'json', 1), undefined);
  assert.equal(cache.stats.hits.json, 1);
  assert.deepEqual(cache.stats.misses, {
    json: 2,
    'json-deflate': 1,
    'json-zstd': 0,
    'protobuf-zstd': 0,
    'protobuf-deflate': 0,
    table: 0,
    'table-deflate': 0,
  });
  cache.stop();
});

test('a place keeps one fragment of a format: the latest edition', () => {
  const { cache, keep, has } = start();
  keep(7, 5, 4_000);
  keep(7, 6, 5_000);
  assert.ok(has(7, 6));
  assert.equal(cache.stats.bytes, 5_000);
  keep(7, 5, 100); // a slow reader of an older state
  assert.ok(has(7, 6));
  assert.equal(cache.stats.fragments, 1);
  cache.stop();
});

test('what is in use is not dropped for what does not fit: a cyclic reader finds what fits every time', () => {
  const { clock, cache, keep, has } = start();
  let found = 0;
  for (let round = 0; round < 10; round++) {
    for (let place = 0; place < 20; place++) {
      if (has(place, 1)) found++;
      else keep(place, 1, 1_000);
    }
    clock.advance(defaultLimits.fragmentIdleMs / 2);
  }
  assert.equal(found, 9 * 10);
  assert.equal(cache.stats.evictions, 0);
  assert.equal(cache.stats.refusals, 10 * 10);
  cache.stop();
});

test('what was not used for a while makes room, the least recently used first', () => {
  const { clock, cache, keep, has } = start();
  for (let place = 0; place < 10; place++) keep(place, 1, 1_000);
  clock.advance(defaultLimits.fragmentIdleMs + 1);
  assert.ok(has(0, 1));
  keep(100, 1, 2_500);
  assert.ok(has(0, 1) && has(100, 1) && has(4, 1));
  assert.ok(!has(1, 1) && !has(2, 1) && !has(3, 1));
  assert.equal(cache.stats.evictions, 3);
  keep(101, 1, BYTES_MAX + 1);
  assert.ok(!has(101, 1) && has(0, 1));
  cache.stop();
});

test('what saves more work a byte takes the room of what saves less, however recently that was used', () => {
  const { clock, cache, keep, has } = start();
  keep(9, 1, 1_000, 'json');
  for (let place = 0; place < 9; place++) keep(place, 1, 1_000, 'json');
  keep(200, 1, 500, 'json-deflate');
  assert.ok(!has(9, 1));
  for (let place = 0; place < 4; place++) keep(place, 1, 400, 'protobuf-deflate');
  assert.ok(!has(0, 1) && !has(1, 1) && has(2, 1) && has(8, 1));
  for (let place = 0; place < 4; place++) assert.ok(has(place, 1, 'protobuf-deflate'));
  assert.ok(has(200, 1, 'json-deflate'));
  const { bytes, bytesByFormat } = cache.stats;
  assert.deepEqual(
    [bytesByFormat.json, bytesByFormat['json-deflate'], bytesByFormat['protobuf-deflate']],
    [7_000, 500, 1_600],
  );
  assert.equal(bytes, 9_100);
  keep(0, 1, 2_000, 'json');
  keep(100, 1, 2_000, 'json');
  assert.ok(!has(0, 1) && !has(100, 1));
  assert.equal(cache.stats.refusals, 2);
  keep(400, 1, 7_500, 'table');
  assert.ok(has(400, 1, 'table') && !has(8, 1) && has(200, 1, 'json-deflate'));
  keep(400, 1, 10, 'table');
  clock.advance(defaultLimits.fragmentIdleMs + 1);
  keep(300, 1, 9_500, 'json');
  assert.ok(!has(300, 1) && has(200, 1, 'json-deflate'), 'not even if that is idle');
  keep(0, 1, 1_000, 'json');
  cache.shrinkTo(2_100);
  for (let place = 0; place < 4; place++) assert.ok(has(place, 1, 'protobuf-deflate') && !has(place, 1, 'json'));
  cache.stop();
});

test('what nobody uses is let go though there is room', () => {
  const { clock, cache, keep, has } = start();
  keep(1, 1, 1_000);
  keep(2, 1, 1_000);
  for (let passedMs = 0; passedMs <= defaultLimits.fragmentKeptMs; passedMs += defaultLimits.fragmentIdleMs) {
    assert.ok(has(1, 1));
    clock.advance(defaultLimits.fragmentIdleMs);
  }
  assert.equal(cache.stats.bytes, 1_000);
  cache.stop();
  assert.equal(cache.stats.bytes, 0);
});

test('a storage that is gone takes its fragments along, and none come later', () => {
  const { cache, scope, keep, has } = start();
  const other = cache.openScope();
  cache.keep(other, 1, 'json', { edition: 1, cost: 10 });
  keep(1, 1, 1_000);
  keep(1, 1, 1_000, 'protobuf-deflate');
  cache.closeScope(scope);
  assert.equal(cache.stats.bytes, 10);
  keep(2, 1, 1_000);
  assert.ok(!has(2, 1));
  assert.equal(cache.get(other, 1, 'json', 1)?.edition, 1);
  cache.shrinkTo(0);
  assert.equal(cache.stats.bytes, 0);
  cache.stop();
});

test('the bound holds, whatever comes', () => {
  const random = seededRandom(3);
  const { clock, cache, keep, has } = start();
  for (let step = 1; step < 20_000; step++) {
    const format = random.pick([...fragmentFormats]);
    const place = random.int(60);
    if (random.chance(0.5)) keep(place, step, random.int(1_500) + 1, format);
    else has(place, step, format);
    if (random.chance(0.1)) clock.advance(random.int(30_000));
    assert.ok(cache.stats.bytes <= BYTES_MAX, `${cache.stats.bytes} bytes after step ${step}`);
  }
  assert.ok(cache.stats.evictions > 100 && cache.stats.refusals > 100);
  cache.stop();
});

test('what is let go for memory is what was unused longest', () => {
  const { cache, keep, has } = start();
  for (let place = 1; place <= 5; place++) keep(place, 1, 1_000);
  assert.ok(has(1, 1));
  cache.shrinkTo(2_500);
  assert.equal(cache.bytes, 2_000);
  assert.deepEqual(
    [1, 2, 3, 4, 5].filter((place) => has(place, 1)),
    [1, 5],
  );
  cache.stop();
});
