import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangeOf, utf8 } from '../../src/lib/bytes.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { FragmentCache, KEPT_SHARE } from '../../src/serve/fragment-cache.js';
import { WireLeaves } from '../../src/serve/wire-leaves.js';
import { createVersions } from '../../src/versions/create-versions.js';

const BYTES_MAX = 40_000;
const ITEMS = 8;

interface Written {
  readonly bytes: string;
  /** Pieces that were handed over as they are, and copies. */
  readonly pieces: number;
  readonly copies: number;
}

function start(itemBytes = 100) {
  const limits = {
    ...defaultLimits,
    fragmentCacheBytes: Math.ceil(BYTES_MAX / KEPT_SHARE),
    fragmentObjectBytesMax: 2_000,
  };
  const clock = createFakeClock();
  const cache = new FragmentCache(limits, clock);
  const scope = cache.openScope();
  const versions = createVersions();
  const wires = new WireLeaves(cache, limits);
  let revision = 0;
  const add = (key: number, bytes = itemBytes) => {
    revision++;
    const wire = utf8(`${key}@${revision}`.padEnd(bytes, '.'));
    return versions.add(rangeOf(utf8(`key-${key}`)), rangeOf(wire), 0, revision, revision);
  };
  const ids = (count = ITEMS, bytes = itemBytes) => Int32Array.from({ length: count }, (_, key) => add(key, bytes));
  const want = (of: Int32Array) => {
    const range = rangeOf(new Uint8Array(0));
    return [...of].map((id) => versions.wire(id, range) && text(range.bytes, range.start, range.end)).join('');
  };
  /** Items `from` to `to - 1` of a leaf, which have to be what the versions hold. */
  const write = (place: number, edition: number, of: Int32Array, from = 0, to = of.length): Written => {
    const written = { bytes: '', pieces: 0, copies: 0 };
    wires.write(scope, versions, { place, edition, ids: of }, from, to, {
      append(bytes) {
        written.pieces++;
        written.bytes += text(bytes, 0, bytes.length);
      },
      copy(bytes, begin, end) {
        written.copies++;
        written.bytes += text(bytes, begin, end);
      },
    });
    assert.equal(written.bytes, want(of.subarray(from, to)));
    return written;
  };
  const shape = (written: Written) => [written.pieces, written.copies];
  return { versions, cache, scope, clock, add, ids, shape, write, wires, stop: () => cache.stop() };
}

const text = (bytes: Uint8Array, from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString();

test('a leaf is copied in one piece when it is listed for the second time', () => {
  const { cache, ids, shape, write, wires, stop } = start();
  const leaf = ids();
  assert.deepEqual(shape(write(3, 1, leaf)), [0, ITEMS]);
  assert.equal(cache.bytes, 0);
  assert.deepEqual(shape(write(3, 1, leaf)), [1, 0]);
  assert.ok(cache.bytes >= ITEMS * 100);
  assert.deepEqual(shape(write(3, 1, leaf, 2, 5)), [1, 0]);
  assert.deepEqual(shape(write(500, 2, leaf)), [0, ITEMS]);
  wires.restart();
  assert.deepEqual(shape(write(500, 2, leaf)), [0, ITEMS]);
  stop();
});

test('a small part of a leaf does not pay for the rest of it', () => {
  const { cache, ids, write, stop } = start();
  const leaf = ids();
  for (let round = 0; round < 3; round++) write(1, 1, leaf, 1, 1 + ITEMS / 4 - 1);
  assert.equal(cache.bytes, 0);
  stop();
});

test('a leaf that pages or namespaces cut in two is copied when it is listed for the second time', () => {
  const { ids, shape, write, stop } = start();
  const leaf = ids();
  assert.deepEqual(shape(write(1, 1, leaf, 0, 3)), [0, 3], 'the end of a page');
  assert.deepEqual(shape(write(1, 1, leaf, 3)), [1, 0], 'the beginning of the next one');
  for (let from = 0; from < ITEMS; from++) {
    for (let to = from + 1; to <= ITEMS; to++) assert.deepEqual(shape(write(1, 1, leaf, from, to)), [1, 0]);
  }
  stop();
});

test('what changed since comes from the slabs, until it is more than a quarter', () => {
  const { add, ids, shape, write, stop } = start();
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  const changed = leaf.slice();
  changed[3] = add(3);
  assert.deepEqual(shape(write(1, 2, changed)), [2, 1]);
  changed[0] = add(0);
  assert.deepEqual(shape(write(1, 3, changed)), [2, 2]);
  assert.deepEqual(shape(write(1, 3, changed, 1, 3)), [1, 0]);
  changed[7] = add(7);
  assert.deepEqual(shape(write(1, 4, changed)), [1, 0]);
  assert.deepEqual(shape(write(1, 4, changed)), [1, 0]);
  stop();
});

test('an id that is used again is another version', () => {
  const { versions, add, ids, write, stop } = start();
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  versions.retire(leaf[5]!, ITEMS + 1);
  add(50);
  versions.reclaim(ITEMS + 1);
  const again = add(5);
  assert.equal(again, leaf[5]);
  write(1, 2, leaf);
  stop();
});

test('deleted and inserted neighbours', () => {
  const { add, ids, shape, write, stop } = start();
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  assert.deepEqual(
    shape(
      write(
        1,
        2,
        leaf.filter((_, index) => index !== 2 && index !== 7),
      ),
    ),
    [2, 0],
  );
  assert.deepEqual(shape(write(1, 3, Int32Array.of(add(90), ...leaf, add(99)))), [1, 2]);
  stop();
});

test('a leaf of an older state does not replace that of a newer one', () => {
  const { add, ids, shape, write, stop } = start();
  const older = ids();
  write(1, 1, older);
  const newer = older.map((_, key) => add(key));
  write(1, 2, newer);
  assert.deepEqual(shape(write(1, 1, older)), [0, ITEMS]);
  assert.deepEqual(shape(write(1, 2, newer)), [1, 0]);
  stop();
});

test('large objects are not kept twice, nor are their neighbours', () => {
  const { add, cache, ids, shape, write, stop } = start();
  const leaf = ids();
  leaf[4] = add(4, 2_001);
  for (let round = 0; round < 3; round++) assert.deepEqual(shape(write(1, 1, leaf)), [0, ITEMS]);
  assert.equal(cache.bytes, 0);
  stop();
});

test('copied leaves have the room that fragments leave, and stay while they are used', () => {
  const { cache, scope, clock, ids, shape, write, stop } = start();
  const leaves = Array.from({ length: 6 }, () => ids(ITEMS, 1_000));
  for (let round = 0; round < 4; round++) {
    for (const [place, leaf] of leaves.entries()) {
      const kept = place < 4 && round > 0;
      assert.deepEqual(shape(write(place, 1, leaf)), kept ? [1, 0] : [0, ITEMS], `place ${place}, round ${round}`);
      assert.ok(cache.bytes <= BYTES_MAX);
    }
  }
  assert.equal(cache.stats.refusals, 2 * 3);
  cache.keep(scope, 0, 'json', { edition: 1, cost: 20_000 });
  assert.equal(cache.get(scope, 0, 'json', 1)?.edition, 1);
  assert.ok(cache.bytes <= BYTES_MAX && cache.bytes > 20_000);
  assert.deepEqual(shape(write(3, 1, leaves[3]!)), [1, 0]);
  assert.deepEqual(shape(write(0, 1, leaves[0]!)), [0, ITEMS]);
  clock.advance(defaultLimits.fragmentIdleMs + 1);
  assert.deepEqual(shape(write(5, 1, leaves[5]!)), [1, 0]);
  cache.shrinkTo(20_000);
  assert.equal(cache.bytes, 20_000);
  assert.deepEqual(shape(write(5, 1, leaves[5]!)), [1, 0]);
  assert.equal(cache.get(scope, 0, 'json', 1)?.edition, 1);
  stop();
});

test('copied leaves are let go with their storage, and when nobody uses them', () => {
  const { cache, scope, clock, ids, write, stop } = start();
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  clock.advance(defaultLimits.fragmentKeptMs + 1);
  cache.dropIdle();
  assert.equal(cache.bytes, 0);
  write(1, 1, leaf);
  assert.ok(cache.bytes > 0);
  cache.closeScope(scope);
  assert.equal(cache.bytes, 0);
  write(1, 1, leaf);
  assert.equal(cache.bytes, 0);
  stop();
});
