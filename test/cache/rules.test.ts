import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Group } from '../../src/cache/groups.js';
import { CHANGE, History } from '../../src/cache/history.js';
import { createKeyLayout } from '../../src/cache/layout.js';
import { Waiters } from '../../src/cache/waiters.js';
import { WatchCache } from '../../src/cache/watch-cache.js';
import { utf8 } from '../../src/lib/bytes.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { PUT, SourceError } from '../../src/source/source.js';
import { NONE } from '../../src/versions/versions.js';
import {
  createWorld,
  keyOf,
  labelFilter,
  leaseCodec,
  leaseValue,
  lineFramer,
  PREFIX,
  request,
  TestSink,
  testStorage,
  turn,
} from './support.js';

// Rules that deliberate mutations have shown to need a test of their own (test/mutations).

test('history: the last hundred events stay, however old', () => {
  const history = new History(0, 0);
  for (let revision = 1; revision <= 101; revision++) history.append(revision, CHANGE, NONE, NONE, 0, 0);
  assert.equal(history.evict(1_000_000, 1_000, Number.POSITIVE_INFINITY), true);
  assert.equal(history.count, 100);
  assert.equal(history.tail, 1);
  assert.equal(history.evict(2_000_000, 1_000, Number.POSITIVE_INFINITY), false);
});

test('a reader that waits for a revision is told when it is there, and not one revision before', async () => {
  const clock = createFakeClock();
  let asked = 0;
  const waiters = new Waiters(clock, 100, () => void asked++);
  const outcome = waiters.wait(7, 1_000, undefined);
  waiters.reached(6);
  assert.equal(waiters.size, 1);
  waiters.reached(7);
  assert.equal(waiters.size, 0);
  assert.equal(await outcome, true);
  const late = waiters.wait(8, 1_000, undefined);
  waiters.reached(7);
  clock.advance(1_000);
  assert.equal(await late, false);
  assert.ok(asked > 1);
});

test('chunks that laggards share are bounded, the oldest go first', () => {
  const group = new Group<object>('g', request());
  group.laggardCame(0);
  for (let from = 0; from < 10; from++) group.keep({ from, to: from + 1, bytes: new Uint8Array(100) }, 350);
  assert.equal(group.recentBytes, 300);
  assert.equal(group.recentFrom, 7);
  assert.equal(group.chunkAfter(7)?.from, 7);
});

/** A watch cache without a source, at revision 5. */
function bareCache() {
  const clock = createFakeClock();
  const cache = new WatchCache({
    codec: leaseCodec,
    layout: createKeyLayout(utf8(PREFIX), true),
    createStorage: testStorage,
    clock,
    limits: defaultLimits,
    historyBytes: undefined,
  });
  cache.install(cache.startFill('fresh'), 5);
  const change = (name: string, holder: string, createRevision: number, modRevision: number) => {
    const both = Buffer.concat([keyOf(name), leaseValue(name, holder)]);
    const keyEnd = keyOf(name).length;
    return [PUT, both, 0, keyEnd, keyEnd, both.length, createRevision, modRevision] as const;
  };
  return { cache, change };
}

test('the revision never falls, whatever the source says of its progress', () => {
  const { cache } = bareCache();
  assert.equal(cache.progress(9), true);
  for (const revision of [9, 8, 5, 0]) assert.equal(cache.progress(revision), false);
  assert.equal(cache.revision, 9);
  cache.dispose();
});

test('a revision that was applied is refused when it comes again; one that progress had passed is late', () => {
  const { cache, change } = bareCache();
  cache.change(...change('a/one', 'x', 6, 6));
  assert.equal(cache.commit(6).result, 'applied');
  for (const revision of [6, 5]) {
    cache.change(...change('a/one', 'y', revision, revision));
    assert.equal(cache.commit(revision).result, 'refused');
  }
  cache.progress(8);
  cache.change(...change('a/one', 'z', 6, 7));
  assert.equal(cache.commit(7).result, 'late');
  assert.equal(cache.refused, 3);
  assert.equal(cache.history.count, 1);
  cache.dispose();
});

test('a revision that only others saw of a store is the old one when the store has been replaced', () => {
  const { cache } = bareCache();
  cache.saw(9);
  cache.saw(8);
  cache.discard();
  assert.equal(cache.abandonedRevision, 9);
  // What was seen of the old store says nothing about the next one.
  cache.install(cache.startFill('fresh'), 2);
  cache.discard();
  assert.equal(cache.abandonedRevision, 9);
  cache.dispose();
});

test('a list that is no newer than what was seen is of another store', () => {
  const { cache } = bareCache();
  const fill = cache.startFill('difference');
  for (const revision of [4, 5]) {
    assert.throws(
      () => cache.checkList(fill, revision),
      (error) => error instanceof SourceError && error.kind === 'replaced',
    );
  }
  cache.checkList(fill, 6);
  // Into new storage any list is right.
  cache.checkList(cache.startFill('fresh'), 1);
  cache.dispose();
});

test('a relist reads an object that was created anew, even under a modRevision that it had', () => {
  const { cache, change } = bareCache();
  cache.change(...change('a/one', 'x', 6, 7));
  cache.commit(7);
  const fill = cache.startFill('difference');
  const [, bytes, ...rest] = change('a/one', 'y', 7, 7);
  fill.entry(bytes, rest[0], rest[1], rest[2], rest[3], rest[4], rest[5]);
  cache.install(fill, 9);
  const range = { bytes: keyOf('a/one'), start: 0, end: keyOf('a/one').length };
  const id = cache.get(range);
  assert.equal(cache.storage.versions.createRevision(id), 7);
  cache.dispose();
});

test('who asked for a future revision gets everything after it, also what came in the same tick', async () => {
  const world = createWorld();
  world.cache.start();
  await world.settle();
  const keepsTheTickOpen = new TestSink();
  world.cache.watch(request({ afterRevision: 1 }), keepsTheTickOpen);
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 3 }), sink);
  // The first change is sent at once; the others are gathered for a tick.
  await Promise.all([world.put('a/1', 'x'), world.put('a/2', 'x'), world.put('a/3', 'x'), world.put('a/4', 'x')]);
  await world.settle(50);
  assert.deepEqual(sink.lines, ['ADDED a/3=x@4', 'ADDED a/4=x@5']);
  assert.equal(keepsTheTickOpen.lines.length, 4);
  world.cache.verify();
  await world.close();
});

test('... and nothing before it, also when the source tells its progress between a change and its tick', async () => {
  const world = createWorld();
  world.cache.start();
  await world.settle();
  const all = new TestSink();
  world.cache.watch(request({ afterRevision: 1 }), all);
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 4 }), sink);
  await Promise.all([world.put('a/1', 'x'), world.put('a/2', 'x'), world.put('a/3', 'x'), world.put('a/4', 'x')]);
  // Another key than the cache's: only progress tells of it.
  await world.store.write([{ type: 'put', key: utf8('/registry/pods/a/b'), value: utf8('x') }]);
  const reached = world.cache.waitFor(6, 1_000);
  for (let turns = 0; turns < 8; turns++) await turn(); // no time passes: the tick is to come
  assert.deepEqual(all.lines, ['ADDED a/1=x@2', 'ADDED a/2=x@3', 'ADDED a/3=x@4', 'ADDED a/4=x@5']);
  await world.settle(50);
  assert.equal(await reached, true);
  assert.deepEqual(sink.lines, ['ADDED a/4=x@5']);
  world.cache.verify();
  await world.close();
});

test('watchers share frames only with watchers of the same format', async () => {
  const world = createWorld();
  world.cache.start();
  await world.settle();
  const sinks = [new TestSink(), new TestSink()];
  const loud = {
    ...lineFramer,
    id: 'loud',
    event(...[type, wire, revision, first, into]: Parameters<typeof lineFramer.event>) {
      into.reserve(1);
      into.bytes[into.position++] = 0x21;
      lineFramer.event(type, wire, revision, first, into);
    },
  };
  for (const [index, framer] of [lineFramer, loud].entries()) {
    world.cache.watch(request({ afterRevision: 1, framer }), sinks[index]!);
  }
  await world.put('a/1', 'x');
  await world.settle(20);
  assert.deepEqual(
    sinks.map(({ lines }) => lines),
    [['ADDED a/1=x@2'], ['!ADDED a/1=x@2']],
  );
  await world.close();
});

test('... and of the same selectors', async () => {
  const world = createWorld();
  world.cache.start();
  await world.settle();
  const sinks = ['in', 'out'].map((side) => {
    const sink = new TestSink();
    world.cache.watch(request({ afterRevision: 1, filter: labelFilter('side', side) }), sink);
    return sink;
  });
  await world.put('a/1', 'x', { side: 'in' });
  await world.put('a/2', 'x', { side: 'out' });
  await world.settle(20);
  assert.deepEqual(
    sinks.map(({ lines }) => lines),
    [['ADDED a/1=x@2'], ['ADDED a/2=x@3']],
  );
  await world.close();
});

test('a laggard gets a revision in one piece, however large', async () => {
  const world = createWorld({ limits: { ...defaultLimits, groupFrameBytesMax: 1 } });
  world.cache.start();
  await world.settle();
  const sink = new TestSink();
  sink.room = 1; // full with its first chunk
  const watch = world.cache.watch(request({ afterRevision: 1 }), sink);
  await world.put('a/first', 'x');
  await world.settle(20);
  const large = 'y'.repeat(4_000);
  for (let revision = 0; revision < 3; revision++) {
    // 100 KB each: more than a laggard is caught up with in one write.
    await world.store.write(
      Array.from({ length: 25 }, (_, index) => ({
        type: 'put' as const,
        key: keyOf(`a/${index}`),
        value: leaseValue(`a/${index}`, large),
      })),
    );
  }
  await world.settle(20);
  assert.equal(sink.chunks.length, 1);
  for (let more = 0; more < 20; more++) {
    sink.room = 1;
    watch.drained();
    await world.settle(20);
    world.cache.verify();
  }
  assert.equal(sink.lines.length, 76);
  const chunkOf = new Map<string, number>();
  for (const [index, { text }] of sink.chunks.entries()) {
    for (const line of text.split('\n').slice(0, -1)) {
      const revision = line.slice(line.lastIndexOf('@'));
      assert.equal(chunkOf.get(revision) ?? index, index, `revision ${revision} is split`);
      chunkOf.set(revision, index);
    }
  }
  assert.ok(chunkOf.size === 4 && new Set(chunkOf.values()).size > 1);
  await world.close();
});
