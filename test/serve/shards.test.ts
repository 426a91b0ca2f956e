import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { shardHash } from '../../src/api/shard-selector.js';
import { utf8 } from '../../src/lib/bytes.js';
import type { Reader } from '../../src/serve/reader.js';
import { configMaps, createWorld, failureOf, type Listed, list, nodes, okOf, TestWatch, type World } from './world.js';

// Server-side sharding (spec 6.3), both from a cache and straight from the store.
const ways = ['cached', 'direct'] as const;
const HASHES = 2n ** 64n;
const hex = (bound: bigint) => `0x${bound.toString(16).padStart(16, '0')}`;
const range = (field: string, start: bigint, end: bigint) =>
  `shardRange(object.metadata.${field}, '${hex(start)}', '${hex(end)}')`;
const asQuery = (selector: string) => `shardSelector=${encodeURIComponent(selector)}`;
const namesOf = ({ names }: Listed) => names.map((name) => name.slice(0, name.indexOf('@')));
const hashOf = (value: string) => BigInt(shardHash(utf8(value)));

const lower = range('uid', 0n, HASHES / 2n);
const upper = range('uid', HASHES / 2n, HASHES);
const IN = '0-uid'; // hashes below the middle
const OUT = '1-uid'; // above it
assert.ok(hashOf(IN) < HASHES / 2n && hashOf(OUT) >= HASHES / 2n);

const sharded = { shardedListAndWatch: true } as const;

const put = (world: World, name: string, uid: string) =>
  world.put(configMaps, { metadata: { namespace: 'd', name, uid } });

const labelled = (world: World, name: string, uid: string, app: string) =>
  world.put(configMaps, { metadata: { namespace: 'd', name, uid, labels: { app } } });

for (const way of ways) {
  describe(`shards, ${way}`, () => {
    test('a LIST holds the objects of its shard, and says which shard that is', async () => {
      await using world = createWorld(sharded);
      for (let index = 0; index < 8; index++) await put(world, `c${index}`, `${index}-uid`);
      const reader = world[way].reader(configMaps);
      const first = okOf(await list(reader, asQuery(`( ${lower.replaceAll(', ', ',')} )`)));
      const second = okOf(await list(reader, asQuery(upper)));
      const all = okOf(await list(reader));
      assert.deepEqual([...namesOf(first), ...namesOf(second)].sort(), namesOf(all));
      for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) {
        const shard = hashOf(`${index}-uid`) < HASHES / 2n ? first : second;
        assert.ok(namesOf(shard).includes(`d/c${index}`), `c${index}`);
      }
      assert.equal(first.shard, lower);
      assert.equal(second.shard, upper);
      assert.equal(all.shard, undefined);
      assert.equal(first.resourceVersion, all.resourceVersion);
    });

    test('any set of ranges that covers all hashes once partitions a LIST, with and without other selectors', async () => {
      await using world = createWorld(sharded);
      const random = fc.sample(fc.tuple(fc.uuid(), fc.constantFrom('a', 'b', 'kube-system')), {
        numRuns: 60,
        seed: 11,
      });
      for (const [index, [uid, namespace]] of random.entries()) {
        // Objects without a uid are in a shard, too.
        const identity = index % 10 === 0 ? {} : { uid };
        const labels = { app: index % 3 === 0 ? 'db' : 'web' };
        await world.put(configMaps, { metadata: { namespace, name: `c${index}`, labels, ...identity } });
      }
      const reader = world[way].reader(configMaps);
      const bounds = fc.uniqueArray(fc.bigInt({ min: 1n, max: HASHES - 1n }), { minLength: 1, maxLength: 5 });
      const others = fc.constantFrom('', 'labelSelector=app%3Ddb', 'fieldSelector=metadata.namespace%3Da', 'limit=7');
      await fc.assert(
        fc.asyncProperty(bounds, fc.constantFrom('uid', 'namespace'), others, async (cuts, field, other) => {
          const edges = [0n, ...cuts.sort((a, b) => (a < b ? -1 : 1)), HASHES];
          const want = namesOf(await whole(reader, other));
          const got: string[] = [];
          // Neighbours are shards of their own; the first and the last range are one.
          const ranges = edges.slice(1).map((end, index) => range(field, edges[index]!, end));
          const shards = ranges.length > 2 ? [`${ranges[0]} || ${ranges.at(-1)}`, ...ranges.slice(1, -1)] : ranges;
          for (const shard of shards) got.push(...namesOf(await whole(reader, `${asQuery(shard)}&${other}`)));
          assert.equal(new Set(got).size, got.length, 'no object is in two shards');
          assert.deepEqual(got.sort(), want.sort());
        }),
        { numRuns: 60 },
      );
    });

    test('cluster-scoped objects hash their empty namespace', async () => {
      await using world = createWorld(sharded);
      await world.put(nodes, { metadata: { name: 'n', uid: 'u' } });
      const empty = hashOf('');
      const reader = world[way].reader(nodes);
      assert.deepEqual(okOf(await list(reader, asQuery(range('namespace', empty, empty + 1n)))).names, ['n@2']);
      assert.deepEqual(okOf(await list(reader, asQuery(range('namespace', 0n, empty)))).names, []);
      assert.deepEqual(okOf(await list(reader, asQuery(range('namespace', empty + 1n, HASHES)))).names, []);
    });

    test('pages: a page is full of its shard; what remains counts every object, since a shard is no selector', async () => {
      await using world = createWorld(sharded);
      for (let index = 0; index < 8; index++) await put(world, `c${index}`, index % 2 === 0 ? OUT : IN);
      const reader = world[way].reader(configMaps);
      const first = okOf(await list(reader, `${asQuery(lower)}&limit=2`));
      assert.deepEqual(namesOf(first), ['d/c1', 'd/c3']);
      assert.equal(first.remainingItemCount, 6);
      const next = okOf(await list(reader, `${asQuery(lower)}&limit=2&continue=${first.continue}`));
      assert.deepEqual(namesOf(next), ['d/c5', 'd/c7']);
      assert.equal(next.continue, undefined);
      assert.equal(next.remainingItemCount, undefined);
      assert.equal(next.shard, lower);
      const selected = okOf(await list(reader, `${asQuery(lower)}&limit=2&labelSelector=%21x`));
      assert.deepEqual(namesOf(selected), ['d/c1', 'd/c3']);
      assert.equal(selected.remainingItemCount, undefined);
    });

    const refusals: [query: string, failure: Record<string, unknown>][] = [
      ['shardSelector=x', { kind: 'unclassified' }],
      ['shardSelector=+', { kind: 'unclassified' }],
      // Before everything that the storage looks at, after everything that the registry looks at.
      ['shardSelector=x&resourceVersion=abc', { kind: 'unclassified' }],
      ['shardSelector=x&continue=abc', { kind: 'unclassified' }],
      ['shardSelector=x&fieldSelector=spec.x%3D1', { kind: 'badRequest' }],
      ['shardSelector=x&resourceVersionMatch=Exact', { kind: 'invalid' }],
    ];
    for (const [query, { kind }] of refusals) {
      test(`?${query} is refused: ${kind}`, async () => {
        await using world = createWorld(sharded);
        const failure = failureOf(await list(world[way].reader(configMaps), query));
        assert.equal(failure.kind, kind);
        if (failure.kind !== 'unclassified') return;
        const why = query.includes('=+')
          ? 'empty shard selector is not allowed; omit the parameter for unfiltered lists'
          : 'unexpected expression kind 3; expected shardRange() call or || operator';
        assert.equal(failure.message, `invalid shard selector: ${why}`);
      });
    }

    test('without the gate the parameter means nothing, whatever it says', async () => {
      await using world = createWorld();
      const reader = world[way].reader(configMaps);
      okOf(await list(reader)); // the cache follows from here on
      for (const [name, uid] of [
        ['a', OUT],
        ['b', IN],
      ] as const)
        await put(world, name, uid);
      for (const query of [asQuery(lower), 'shardSelector=x', 'shardSelector=+']) {
        const listed = okOf(await list(reader, query));
        assert.deepEqual(namesOf(listed), ['d/a', 'd/b']);
        assert.equal(listed.shard, undefined);
        const watch = await TestWatch.open(reader, `watch=1&resourceVersion=1&${query}`);
        assert.deepEqual(await watch.count(2), ['ADDED d/a@2', 'ADDED d/b@3']);
        watch.close();
      }
    });

    test('a WATCH with another selector delivers what is in the shard and selected', async () => {
      await using world = createWorld(sharded);
      const watch = await TestWatch.open(
        world[way].reader(configMaps),
        `watch=1&resourceVersion=1&labelSelector=app%3Dweb&${asQuery(lower)}`,
      );
      await labelled(world, 'in', IN, 'web');
      await labelled(world, 'out', OUT, 'web');
      await labelled(world, 'in', IN, 'db'); // leaves by its label
      await labelled(world, 'out', OUT, 'db');
      await labelled(world, 'in', IN, 'web');
      await labelled(world, 'in', OUT, 'web'); // another object under the key, of the other shard
      await labelled(world, 'in', IN, 'web');
      await world.remove(configMaps, 'd', 'out');
      await world.remove(configMaps, 'd', 'in');
      assert.deepEqual(await watch.count(6), [
        'ADDED d/in@2 {"app":"web"}',
        'DELETED d/in@4 {"app":"web"}',
        'ADDED d/in@6 {"app":"web"}',
        'DELETED d/in@7 {"app":"web"}',
        'ADDED d/in@8 {"app":"web"}',
        'DELETED d/in@10 {"app":"web"}',
      ]);
      watch.close();
    });

    for (const query of ['shardSelector=x', 'shardSelector=x&resourceVersion=abc']) {
      test(`WATCH ?${query} is refused before the stream starts`, async () => {
        await using world = createWorld(sharded);
        const failure = await TestWatch.open(world[way].reader(configMaps), `watch=1&${query}`).then(
          () => assert.fail('it was not refused'),
          (error: unknown) => String(error),
        );
        assert.match(failure, /invalid shard selector: unexpected expression kind 3/);
      });
    }
  });
}

/** All pages of a LIST as one. */
async function whole(reader: Reader, query: string): Promise<Listed> {
  const pages = [okOf(await list(reader, query))];
  for (let page = pages[0]!; page.continue !== undefined; pages.push(page)) {
    page = okOf(await list(reader, `${query}&continue=${page.continue}`));
  }
  return { ...pages[0]!, names: pages.flatMap(({ names }) => names) };
}

test('the WATCHes of all shards together are the WATCH of everything; bookmarks go to each', async () => {
  await using world = createWorld({ ...sharded, limits: { bookmarkEveryMs: 50 } });
  const reader = world.cached.reader(configMaps);
  const options = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1';
  for (let index = 0; index < 20; index++) await put(world, `c${index}`, `${index}-uid`);
  const watches = [];
  for (const query of ['', asQuery(lower), asQuery(upper)]) {
    watches.push(await TestWatch.open(reader, `${options}&${query}`));
  }
  for (let index = 0; index < 20; index += 3) await put(world, `c${index}`, `${index}-uid`);
  for (let index = 0; index < 20; index += 4) await world.remove(configMaps, 'd', `c${index}`);
  const last = await put(world, 'last', 'last-uid');
  const isBookmark = (line: string) => line.startsWith('BOOKMARK');
  const [all, ...shards] = await Promise.all(
    watches.map((watch) =>
      watch.until((lines) => lines.some((line) => isBookmark(line) && Number(line.split(' ')[1]) >= last)),
    ),
  );
  const eventsOf = (lines: readonly string[]) => lines.filter((line) => !isBookmark(line));
  const byRevision = (a: string, b: string) => Number(a.split('@')[1]) - Number(b.split('@')[1]);
  for (const [index, shard] of shards.entries()) {
    assert.ok(eventsOf(shard).length > 5);
    assert.equal(shard.filter((line) => line === 'BOOKMARK 21 end').length, 1);
    for (const line of eventsOf(shard)) {
      const uid = `${/\/c?([a-z0-9]+)@/.exec(line)![1]}-uid`;
      assert.equal(hashOf(uid) < HASHES / 2n, index === 0, line);
    }
  }
  assert.deepEqual(shards.flatMap(eventsOf).sort(byRevision), eventsOf(all!).sort(byRevision));
  for (const watch of watches) watch.close();
});

test('a WATCH straight from the store without another selector delivers every shard, as upstream does', async () => {
  await using world = createWorld(sharded);
  const watch = await TestWatch.open(world.direct.reader(configMaps), `watch=1&resourceVersion=1&${asQuery(lower)}`);
  await put(world, 'a', OUT);
  await put(world, 'b', IN);
  assert.deepEqual(await watch.count(2), ['ADDED d/a@2', 'ADDED d/b@3']);
  watch.close();
});
