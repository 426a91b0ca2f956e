import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseShardSelector } from '../../src/api/shard-selector.js';
import type { ObjectFilter } from '../../src/cache/cache.js';
import { createCowBtree } from '../../src/engine/cow-btree.js';
import { compileFilter } from '../../src/serve/filter.js';
import type { VersionId } from '../../src/versions/versions.js';
import { EVERYTHING, History, labelsOf, podCodec, podValue, scanned, type WatchSnapshot } from './history.js';

/** Many pods of `app=web`, five of `app=rare`, and an index that knows it. */
function withRarePods(): History {
  const history = new History(createCowBtree);
  const pods: [string, Uint8Array][] = Array.from({ length: 400 }, (_, index) => [
    `ns/pod-${index}`,
    podValue({ app: index % 80 === 0 ? 'rare' : 'web' }),
  ]);
  history.write(pods);
  history.cache.index.want(['l']);
  history.settle();
  return history;
}

function selected(snapshot: WatchSnapshot, filter: ObjectFilter) {
  const ids: VersionId[] = [];
  const selection = snapshot.select({ ...EVERYTHING, filter, limit: 0 });
  while (
    selection.advance(
      (id) => ids.push(id) > 0,
      () => false,
    ) === 'paused'
  );
  return { ids, plan: selection.plan };
}

test('postings of now answer for an older state: what has come is left out, what has gone is there', () => {
  const history = withRarePods();
  const at = history.revision;
  history.write([['ns/pod-0', podValue({ app: 'web' })]]); // was rare
  history.write([['ns/pod-1', podValue({ app: 'rare' })]]); // is rare now
  history.write([['ns/pod-80', undefined]]); // was rare, is gone
  history.write([['ns/new', podValue({ app: 'rare' })]]);
  const filter = compileFilter(podCodec, labelsOf('app=rare'), [])!;
  for (const [revision, want] of [
    [at, 5],
    [at + 1, 4],
    [at + 2, 5],
    [at + 3, 4],
    [at + 4, 5],
  ] as const) {
    using snapshot = history.cache.snapshot(revision, 'test')!;
    const { ids, plan } = selected(snapshot, filter);
    assert.equal(plan.by, 'postings');
    assert.deepEqual(ids, scanned(snapshot, filter));
    assert.equal(ids.length, want, `at ${revision}`);
  }
  history.close();
});

test('an index finds the candidates of a shard, and the hash decides', () => {
  const history = withRarePods();
  // The pods have no uid: all hash alike, to 0xcbf29ce484222325.
  const shards: [string, number][] = [
    ["shardRange(object.metadata.uid, '0x0000000000000000', '0x8000000000000000')", 0],
    ["shardRange(object.metadata.uid, '0x8000000000000000', '0x10000000000000000')", 5],
  ];
  for (const [text, want] of shards) {
    const shard = parseShardSelector(text);
    assert.ok(shard.ok);
    const filter = compileFilter(podCodec, labelsOf('app=rare'), [], shard.value)!;
    using snapshot = history.cache.snapshot(undefined, 'test')!;
    const { ids, plan } = selected(snapshot, filter);
    assert.equal(plan.by, 'postings');
    assert.equal(ids.length, want);
    assert.deepEqual(ids, scanned(snapshot, filter));
  }
  history.close();
});
