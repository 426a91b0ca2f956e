import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  configMaps,
  createWorld,
  failureOf,
  keyOf,
  list,
  staying,
  optionsOf,
  pods,
  TestWatch,
  okOf,
  type World,
} from './world.js';

const ways = ['cached', 'direct'] as const;
const INITIAL = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1';

const pod = (world: World, name: string, app: string) =>
  world.put(pods, { metadata: { namespace: 'd', name, labels: { app } } });

for (const way of ways) {
  describe(`WATCH, ${way}`, () => {
    test('creates, updates and deletes after a resourceVersion', async () => {
      await using world = createWorld();
      await pod(world, 'a', 'web');
      const reader = world[way].reader(pods);
      const { resourceVersion } = okOf(await list(reader));
      await pod(world, 'a', 'db');
      await pod(world, 'b', 'web');
      const watch = await TestWatch.open(reader, `watch=1&resourceVersion=${resourceVersion}`);
      await world.remove(pods, 'd', 'a');
      await pod(world, 'a', 'web');
      assert.deepEqual(await watch.count(4), [
        'MODIFIED d/a@3 {"app":"db"}',
        'ADDED d/b@4 {"app":"web"}',
        'DELETED d/a@5 {"app":"db"}',
        'ADDED d/a@6 {"app":"web"}',
      ]);
      watch.close();
    });

    test('selectors: an object that leaves is DELETED with what it was, one that enters is ADDED', async () => {
      await using world = createWorld();
      await pod(world, 'a', 'web');
      await pod(world, 'b', 'db');
      const watch = await TestWatch.open(world[way].reader(pods), 'watch=1&resourceVersion=3&labelSelector=app%3Dweb');
      await pod(world, 'a', 'web'); // stays
      await pod(world, 'a', 'db'); // leaves
      await pod(world, 'a', 'cache'); // stays out
      await pod(world, 'b', 'web'); // enters
      await world.remove(pods, 'd', 'a'); // out
      await world.remove(pods, 'd', 'b'); // in
      await pod(world, 'c', 'web');
      assert.deepEqual(await watch.count(5), [
        'MODIFIED d/a@4 {"app":"web"}',
        'DELETED d/a@5 {"app":"web"}',
        'ADDED d/b@7 {"app":"web"}',
        'DELETED d/b@9 {"app":"web"}',
        'ADDED d/c@10 {"app":"web"}',
      ]);
      watch.close();
    });

    test('initial events: the state in key order, the bookmark, then what comes after', async () => {
      await using world = createWorld();
      for (const name of ['c', 'a', 'b']) await pod(world, name, 'web');
      const watch = await TestWatch.open(world[way].reader(pods), INITIAL);
      await watch.count(4);
      await pod(world, 'd', 'web');
      assert.deepEqual(await watch.count(5), [
        'ADDED d/a@3 {"app":"web"}',
        'ADDED d/b@4 {"app":"web"}',
        'ADDED d/c@2 {"app":"web"}',
        'BOOKMARK 4 end',
        'ADDED d/d@5 {"app":"web"}',
      ]);
      watch.close();
    });

    test('old-style watches start with the state; only with bookmarks allowed it is closed by one', async () => {
      await using world = createWorld();
      await pod(world, 'a', 'web');
      const reader = world[way].reader(pods);
      await list(reader);
      for (const query of ['watch=1', 'watch=1&resourceVersion=0']) {
        const plain = await TestWatch.open(reader, query);
        assert.deepEqual(await plain.count(1), ['ADDED d/a@2 {"app":"web"}']);
        plain.close();
        const marked = await TestWatch.open(reader, `${query}&allowWatchBookmarks=1`);
        assert.deepEqual(await marked.count(2), ['ADDED d/a@2 {"app":"web"}', 'BOOKMARK 2 end']);
        marked.close();
      }
      const legacy = await TestWatch.open(reader, 'allowWatchBookmarks=1', 'd', true);
      assert.deepEqual(await legacy.count(1), ['ADDED d/a@2 {"app":"web"}']);
      legacy.close();
    });

    test('without initial events a watch starts now', async () => {
      await using world = createWorld();
      await pod(world, 'a', 'web');
      const reader = world[way].reader(pods);
      await list(reader);
      for (const version of ['', '0']) {
        const query = `watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=${version}`;
        const watch = await TestWatch.open(reader, query);
        if (way === 'direct') await new Promise((resolve) => setTimeout(resolve, 30)); // it asks the store where now is
        await pod(world, `after${version}`, 'web');
        const [first] = await watch.count(1);
        assert.match(first!, new RegExp(`^ADDED d/after${version}@`));
        watch.close();
      }
    });

    test('one namespace, one name', async () => {
      await using world = createWorld();
      const reader = world[way].reader(pods);
      await list(reader);
      const one = await TestWatch.open(reader, 'watch=1&resourceVersion=1&fieldSelector=metadata.name%3Da', 'd');
      const space = await TestWatch.open(reader, 'watch=1&resourceVersion=1', 'd');
      await world.put(pods, { metadata: { namespace: 'd', name: 'ab' } }); // has the name as its prefix
      await world.put(pods, { metadata: { namespace: 'd-2', name: 'a' } });
      await world.put(pods, { metadata: { namespace: 'd', name: 'a' } });
      assert.deepEqual(await one.count(1), ['ADDED d/a@4']);
      assert.deepEqual(await space.count(2), ['ADDED d/ab@2', 'ADDED d/a@4']);
      one.close();
      space.close();
    });

    test('several changes of one revision are all delivered', async () => {
      await using world = createWorld();
      const reader = world[way].reader(configMaps);
      await list(reader);
      const watch = await TestWatch.open(reader, 'watch=1&resourceVersion=1');
      const codec = world.codecOf(configMaps);
      await world.store.write(
        ['a', 'b', 'c'].map((name) => ({
          type: 'put' as const,
          key: Buffer.from(keyOf(configMaps, { namespace: 'd', name })),
          value: codec.toStored({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'd' } }),
        })),
      );
      assert.deepEqual([...(await watch.count(3))].sort(), ['ADDED d/a@2', 'ADDED d/b@2', 'ADDED d/c@2']);
      watch.close();
    });

    test('timeoutSeconds ends the stream cleanly; a negative one is over before it starts', async () => {
      await using world = createWorld();
      const reader = world[way].reader(pods);
      await list(reader);
      const watch = await TestWatch.open(reader, 'watch=1&resourceVersion=1&timeoutSeconds=1');
      assert.deepEqual(await watch.finished(), []);
      const over = await TestWatch.open(reader, 'watch=1&resourceVersion=1&timeoutSeconds=-1');
      // A watch of the store itself just ends.
      const said = way === 'cached' ? ['ERROR {"kind":"internal","message":"context deadline exceeded"}'] : [];
      assert.deepEqual(await over.finished(), said);
    });

    test('a future resourceVersion: a plain watch waits, one with initial events ends in an ERROR event', async () => {
      await using world = createWorld({ limits: { freshWaitMs: 60 } });
      const reader = world[way].reader(pods);
      await list(reader);
      const watch = await TestWatch.open(reader, 'watch=1&resourceVersion=3');
      const state = await TestWatch.open(reader, `${INITIAL}&resourceVersion=30`);
      const [error] = await state.finished();
      assert.match(error!, /^ERROR {"kind":"versionTooLarge","requested":"30","current":1,"retryAfterSeconds":[123]}$/);
      for (const name of ['a', 'b', 'c']) await world.put(pods, { metadata: { namespace: 'd', name } });
      assert.deepEqual(await watch.count(1), ['ADDED d/c@4']);
      watch.close();
    });

    test('malformed requests are answered before the stream', async () => {
      await using world = createWorld();
      const reader = world[way].reader(pods);
      await list(reader);
      const open = async (query: string) =>
        failureOf(
          await reader.watch({
            namespace: undefined,
            options: optionsOf(query),
            legacyPath: false,
            format: undefined as never,
            signal: staying(),
          }),
        ).kind;
      assert.equal(await open('watch=1&resourceVersion=abc'), 'unclassified');
      assert.equal(await open('watch=1&fieldSelector=x%3Dy'), 'badRequest');
      assert.equal(await open('watch=1&resourceVersionMatch=Exact'), 'invalid');
    });

    test('a client that stops reading gets everything once it reads again', async () => {
      await using world = createWorld();
      const reader = world[way].reader(configMaps);
      await list(reader);
      const watch = await TestWatch.open(reader, 'watch=1&resourceVersion=1');
      watch.writable = false;
      await world.put(configMaps, { metadata: { namespace: 'd', name: 'c0' } });
      await watch.count(1);
      for (let index = 1; index < 50; index++) {
        await world.put(configMaps, { metadata: { namespace: 'd', name: `c${index}` } });
      }
      await new Promise((resolve) => setTimeout(resolve, 30));
      assert.equal(watch.events.length, 1, 'nothing more was written into the full transport');
      watch.drain();
      const events = await watch.count(50);
      assert.deepEqual(
        events,
        Array.from({ length: 50 }, (_, index) => `ADDED d/c${index}@${index + 2}`),
      );
      watch.close();
    });
  });
}

test('too old: a cache says how far back it reaches', async () => {
  await using world = createWorld();
  for (const name of ['a', 'b', 'c']) await pod(world, name, 'web');
  const reader = world.cached.reader(pods);
  await list(reader); // the cache starts at revision 4
  const watch = await TestWatch.open(reader, 'watch=1&resourceVersion=2');
  assert.deepEqual(await watch.finished(), ['ERROR {"kind":"expired","message":"too old resource version: 2 (4)"}']);
  const oldest = await TestWatch.open(reader, 'watch=1&resourceVersion=4');
  await pod(world, 'd', 'web');
  assert.deepEqual(await oldest.count(1), ['ADDED d/d@5 {"app":"web"}']);
  oldest.close();
});

test('too old: the store has compacted it', async () => {
  await using world = createWorld();
  for (const name of ['a', 'b', 'c']) await pod(world, name, 'web');
  await world.store.compact(4);
  const watch = await TestWatch.open(world.direct.reader(pods), 'watch=1&resourceVersion=2');
  assert.deepEqual(await watch.finished(), [
    'ERROR {"kind":"expired","message":"The resourceVersion for the provided watch is too old."}',
  ]);
});

test('direct: what a key held before is read from the store when the stream has not seen it', async () => {
  await using world = createWorld();
  await pod(world, 'a', 'web');
  await pod(world, 'b', 'db');
  const watch = await TestWatch.open(world.direct.reader(pods), 'watch=1&resourceVersion=3&labelSelector=app%3Dweb');
  await world.remove(pods, 'd', 'a');
  await world.remove(pods, 'd', 'b');
  await pod(world, 'c', 'web');
  assert.deepEqual(await watch.count(2), ['DELETED d/a@4 {"app":"web"}', 'ADDED d/c@6 {"app":"web"}']);
  watch.close();
});

test('direct: a client that never reads is ended, not buffered for', async () => {
  await using world = createWorld({ limits: { groupFrameBytesMax: 20_000 } });
  const watch = await TestWatch.open(world.direct.reader(configMaps), 'watch=1&resourceVersion=1');
  watch.writable = false;
  for (let index = 0; index < 40 && !watch.ended; index++) {
    await world.put(configMaps, { metadata: { namespace: 'd', name: `c${index}` }, data: { text: 'x'.repeat(1_000) } });
    await new Promise((resolve) => setImmediate(resolve));
  }
  await watch.finished();
  assert.doesNotMatch(watch.events.join(), /ERROR/);
});
