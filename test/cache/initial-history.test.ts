import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/lib/bytes.js';
import { defaultLimits } from '../../src/lib/limits.js';
import type { Source } from '../../src/source/source.js';
import { contents, createWorld, request, TestSink, type World } from './support.js';

// A cache that begins in the past: it can resume watches from before its start, and shows nobody the past as the present.

const limits = (initialHistoryRevisions: number) => ({ ...defaultLimits, initialHistoryRevisions });

/** Revisions 2 to 11: one=h2 ... one=h11, of which 5 also has two and 9 deletes it. */
async function fill({ store, put, delete: remove }: World): Promise<void> {
  for (let revision = 2; revision <= 11; revision++) {
    if (revision === 5) await put('a/two', 'x');
    else if (revision === 9) await remove('a/two');
    else await put('a/one', `h${revision}`);
  }
  assert.equal(await store.currentRevision(), 11);
}

/** Of another kind. */
async function passTime({ store }: World, revisions: number): Promise<void> {
  for (let count = 0; count < revisions; count++) {
    await store.write([{ type: 'put', key: utf8('/registry/other/o'), value: utf8('v') }]);
  }
}

function watched(world: World, afterRevision: number): TestSink {
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision }), sink);
  return sink;
}

/** The store, with some of it done differently. */
function changed(store: Source, how: Partial<Source>): Source {
  return {
    name: store.name,
    range: (...asked) => store.range(...asked),
    currentRevision: (signal) => store.currentRevision(signal),
    watch: (...asked) => store.watch(...asked),
    progressTrusted: (signal) => store.progressTrusted(signal),
    probe: (signal) => store.probe(signal),
    close: () => store.close(),
    ...how,
  };
}

test('watches go on from before the start, and reads see the present', async () => {
  const world = createWorld({ limits: limits(5) });
  await fill(world);
  world.cache.start();
  await world.settle();
  assert.equal(world.cache.state, 'ready');
  assert.deepEqual([world.cache.revision, world.cache.oldestWatchable], [11, 6]);
  assert.deepEqual(contents(world.cache), ['a/one=h11@11']);
  assert.deepEqual(contents(world.cache, 7), ['a/one=h7@7', 'a/two=x@5']);
  const sink = watched(world, 7);
  await world.settle(10);
  const told = ['MODIFIED a/one=h8@8', 'DELETED a/two=x@9', 'MODIFIED a/one=h10@10', 'MODIFIED a/one=h11@11'];
  assert.deepEqual(sink.lines, told);
  await world.put('a/one', 'h12');
  await world.settle(10);
  assert.deepEqual(sink.lines, [...told, 'MODIFIED a/one=h12@12']);
  const { initializations, relists } = world.cache.stats;
  assert.deepEqual([initializations, relists], [1, 0]);
  world.cache.verify();
  await world.close();
});

test('without it, the history begins with the start', async () => {
  const world = createWorld();
  await fill(world);
  world.cache.start();
  await world.settle();
  assert.deepEqual([world.cache.revision, world.cache.oldestWatchable], [11, 11]);
  await world.close();
});

for (const asked of [7, 100]) {
  test(`what was compacted is not to be had: ${asked} revisions before, the first is 8`, async () => {
    const world = createWorld({ limits: limits(asked) });
    await fill(world);
    await world.store.compact(8);
    world.cache.start();
    await world.settle();
    assert.deepEqual([world.cache.state, world.cache.revision, world.cache.oldestWatchable], ['ready', 11, 8]);
    const sink = watched(world, 8);
    await world.settle(10);
    assert.deepEqual(sink.lines, ['DELETED a/two=x@9', 'MODIFIED a/one=h10@10', 'MODIFIED a/one=h11@11']);
    assert.deepEqual(world.log, []);
    await world.close();
  });
}

test('a store that is young is followed from its first revision; an empty one is ready at once', async () => {
  const world = createWorld({ limits: limits(100) });
  await fill(world);
  world.cache.start();
  await world.settle();
  assert.deepEqual([world.cache.state, world.cache.revision, world.cache.oldestWatchable], ['ready', 11, 1]);
  await world.close();
  const empty = createWorld({ limits: limits(100) });
  empty.cache.start();
  await empty.settle();
  assert.equal(empty.cache.state, 'ready');
  await empty.close();
});

test('a kind of which nothing changes is ready once the source says how far it is', async () => {
  let asked = 0;
  const world = createWorld({
    limits: limits(10),
    wrap: (store) =>
      changed(store, {
        watch(...how) {
          const handle = store.watch(...how);
          // As etcd, which does not answer before it has fed the watch.
          const requestProgress = () => void (++asked > 2 && handle.requestProgress());
          return { requestProgress, close: () => handle.close() };
        },
      }),
  });
  await world.put('a/one', 'x');
  await passTime(world, 48);
  world.cache.start();
  await world.settle(300);
  assert.deepEqual([world.cache.state, world.cache.revision, world.cache.oldestWatchable], ['ready', 50, 40]);
  const sink = watched(world, 45);
  await world.put('a/one', 'y');
  await world.settle(10);
  assert.deepEqual(sink.lines, ['MODIFIED a/one=y@51']);
  await world.close();
});

test('while it catches up nobody reads, and who waits is answered by the present', async () => {
  const open: (() => void)[] = [];
  const world = createWorld({
    limits: limits(5),
    wrap: (store) =>
      changed(store, {
        watch(...asked) {
          open.push(() => store.watch(...asked).requestProgress());
          return { requestProgress() {}, close() {} };
        },
      }),
  });
  await fill(world);
  world.cache.start();
  await world.settle(50);
  assert.equal(open.length, 1);
  assert.equal(world.cache.state, 'initializing');
  assert.equal(world.cache.stats.initializations, 0);
  assert.equal(contents(world.cache), undefined);
  const ready = world.cache.whenReady(10_000).then(() => contents(world.cache));
  open[0]!();
  await world.settle(10);
  assert.deepEqual(await ready, ['a/one=h11@11']);
  await world.close();
});

test('compaction overtakes it: it lists again, at the present', async () => {
  let overtaken = false;
  const world: World = createWorld({
    limits: limits(5),
    wrap: (store) =>
      changed(store, {
        watch(...asked) {
          if (!overtaken) void world.store.compact(11);
          overtaken = true;
          return store.watch(...asked);
        },
      }),
  });
  await fill(world);
  world.cache.start();
  await world.settle(500);
  assert.deepEqual([world.cache.state, world.cache.revision, world.cache.oldestWatchable], ['ready', 11, 11]);
  assert.deepEqual([world.cache.stats.relists, contents(world.cache)], [1, ['a/one=h11@11']]);
  assert.match(world.log.join(), /were compacted/);
  world.cache.verify();
  await world.close();
});

test('a store whose progress is not to be trusted is listed at the present', async () => {
  const world = createWorld({
    limits: limits(5),
    wrap: (store) => changed(store, { progressTrusted: async () => false }),
  });
  await fill(world);
  world.cache.start();
  await world.settle(50);
  assert.deepEqual([world.cache.state, world.cache.oldestWatchable], ['ready', 11]);
  await world.close();
});

test('stopped while it catches up, it lets go', async () => {
  const world = createWorld({
    limits: limits(5),
    wrap: (store) => changed(store, { watch: () => ({ requestProgress() {}, close() {} }) }),
  });
  await fill(world);
  world.cache.start();
  await world.settle(50);
  await world.cache.stop();
  assert.equal(world.cache.state, 'stopped');
  await world.settle(70_000);
  await world.store.close();
});
