import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import {
  contents,
  createWorld,
  headedFramer,
  keyOf,
  labelFilter,
  lineFramer,
  request,
  TestSink,
  type World,
} from './support.js';

async function ready(options: Parameters<typeof createWorld>[0] = {}): Promise<World> {
  const world = createWorld(options);
  await world.put('a/first', 'x');
  world.cache.start();
  await world.settle();
  return world;
}

test('one isolated change goes out at once; a burst is gathered', async () => {
  const world = await ready();
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 2 }), sink);
  await world.put('a/one', 'x');
  await new Promise((resolve) => setImmediate(resolve)); // the store delivers; no time passes
  assert.deepEqual(sink.lines, ['ADDED a/one=x@3']);
  for (let index = 0; index < 20; index++) await world.put('a/one', `burst-${index}`);
  await world.settle(10);
  assert.equal(sink.lines.length, 21);
  assert.ok(sink.chunks.length <= 3, `${sink.chunks.length} writes`);
  await world.close();
});

// Spec 3.4. `in` matches the selector; what a watcher with the selector sees of a step from old to new.
const transitions: [old: string | undefined, next: string | undefined, event: string | undefined][] = [
  [undefined, 'in', 'ADDED a/it=new@4'],
  [undefined, 'out', undefined],
  ['in', 'in', 'MODIFIED a/it=new@4'],
  ['in', 'out', 'DELETED a/it=old@4'],
  ['out', 'in', 'ADDED a/it=new@4'],
  ['out', 'out', undefined],
  ['in', undefined, 'DELETED a/it=old@4'],
  ['out', undefined, undefined],
];
for (const [old, next, event] of transitions) {
  test(`a selector sees ${old ?? 'nothing'} -> ${next ?? 'nothing'} as ${event ?? 'nothing'}, live and resumed`, async () => {
    const world = await ready();
    if (old === undefined) await world.put('a/other', 'x', { side: 'in' });
    else await world.put('a/it', 'old', { side: old });
    await world.settle(10);
    const filter = labelFilter('side', 'in');
    const live = new TestSink();
    world.cache.watch(request({ afterRevision: 3, filter }), live);
    if (next === undefined) await world.delete('a/it');
    else await world.put('a/it', 'new', { side: next });
    await world.settle(10);
    const resumed = new TestSink();
    world.cache.watch(request({ afterRevision: 3, filter }), resumed);
    await world.settle(10);
    assert.deepEqual(live.lines, event === undefined ? [] : [event]);
    assert.deepEqual(resumed.lines, live.lines);
    await world.close();
  });
}

test('ranges: a watcher sees its namespace or its object, and nothing else', async () => {
  const world = await ready();
  const [namespace, object, none] = [new TestSink(), new TestSink(), new TestSink()];
  world.cache.watch(request({ afterRevision: 2, from: keyOf('a/'), to: keyOf('a0') }), namespace);
  world.cache.watch(request({ afterRevision: 2, from: keyOf('a/one'), to: keyOf('a/one\0') }), object);
  world.cache.watch(request({ afterRevision: 2, from: keyOf('c/'), to: keyOf('c0') }), none);
  for (const name of ['a/one', 'a/two', 'a-b/one', 'b/one']) await world.put(name, 'x');
  await world.settle(10);
  assert.deepEqual(namespace.lines, ['ADDED a/one=x@3', 'ADDED a/two=x@4']);
  assert.deepEqual(object.lines, ['ADDED a/one=x@3']);
  assert.deepEqual(none.lines, []);
  await world.close();
});

test('the first event of each stream is told apart where the format wants it', async () => {
  const world = await ready();
  const framer = headedFramer;
  const [early, late, initial, resumed] = [new TestSink(), new TestSink(), new TestSink(), new TestSink()];
  world.cache.watch(request({ afterRevision: 2, framer }), early);
  await world.put('a/one', 'x');
  await world.settle(10);
  world.cache.watch(request({ afterRevision: 3, framer }), late);
  world.cache.watch(request({ afterRevision: 3, framer, initialEvents: true, initialEventsEnd: true }), initial);
  await world.put('a/one', 'y');
  await world.settle(10);
  world.cache.watch(request({ afterRevision: 2, framer }), resumed);
  await world.settle(10);
  assert.deepEqual(early.lines, ['COLUMNS ADDED a/one=x@3', 'MODIFIED a/one=y@4']);
  assert.deepEqual(late.lines, ['COLUMNS MODIFIED a/one=y@4']);
  assert.deepEqual(initial.lines, ['COLUMNS ADDED a/first=x@2', 'ADDED a/one=x@3', 'SYNCED @3', 'MODIFIED a/one=y@4']);
  assert.deepEqual(resumed.lines, ['COLUMNS ADDED a/one=x@3', 'MODIFIED a/one=y@4']);
  await world.close();
});

test('a future revision: nothing until it is reached, then what comes after it', async () => {
  const world = await ready();
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 4, bookmarks: true }), sink);
  await world.put('a/one', '3');
  await world.settle(70_000);
  await world.put('a/one', '4');
  await world.put('a/one', '5');
  await world.settle(10);
  assert.deepEqual(sink.lines, ['MODIFIED a/one=5@5'], 'and no bookmark that would go back');
  world.cache.verify();
  await world.close();
});

test('initial events: key order, then a bookmark, then live, with no gap and no duplicate, whatever the transport does', async () => {
  const limits = { ...defaultLimits, listChunkBytes: 200 };
  const world = await ready({ limits });
  for (let index = 0; index < 60; index++) await world.put(`a/${String(index).padStart(2, '0')}`, 'x');
  await world.settle();
  const random = seededRandom(11);
  const streams = Array.from({ length: 12 }, () => {
    const sink = new TestSink();
    sink.room = 1;
    const watch = world.cache.watch(
      request({ afterRevision: world.cache.revision, initialEvents: true, initialEventsEnd: true }),
      sink,
    );
    return { sink, watch, at: world.cache.revision };
  });
  let revision = world.cache.revision;
  for (let step = 0; step < 400; step++) {
    if (random.chance(0.5)) revision = await world.put(`a/${random.int(99)}`, `step-${step}`);
    for (const { sink, watch } of streams) {
      if (!random.chance(0.4)) continue;
      sink.room = 1 + random.int(3);
      watch.drained();
    }
    await world.settle(1);
  }
  for (const { sink, watch } of streams) {
    sink.room = Number.POSITIVE_INFINITY;
    watch.drained();
  }
  await world.settle(50);
  for (const { sink, at } of streams) {
    const synced = sink.lines.indexOf(`SYNCED @${at}`);
    assert.equal(synced, 61);
    const initial = sink.lines.slice(0, synced).map((line) => line.replace('ADDED ', ''));
    assert.deepEqual(initial, [...initial].sort());
    const live = sink.lines.slice(synced + 1).map((line) => Number(line.split('@')[1]));
    assert.deepEqual(
      live,
      Array.from({ length: revision - at }, (_, index) => at + 1 + index),
    );
    assert.equal(sink.ended, 0);
  }
  assert.equal(world.cache.stats.laggingWatchers, 0);
  world.cache.verify();
  await world.close();
});

/** Takes its chunks late, and says so: what it was given must be unchanged until then. */
class LateSink extends TestSink {
  readonly buffers = new Set<ArrayBufferLike>();
  #held: (() => void)[] = [];

  override write(chunk: Uint8Array, done?: () => void): boolean {
    const text = Buffer.from(chunk).toString();
    this.buffers.add(chunk.buffer);
    this.chunks.push({ chunk: Buffer.from(text), text });
    this.#held.push(() => {
      assert.equal(Buffer.from(chunk).toString(), text, 'changed before it was taken');
      done?.();
    });
    return false;
  }

  take(): void {
    for (const take of this.#held.splice(0)) take();
  }
}

test('the memory of a chunk is used again once its transport has taken it, and not before', async () => {
  const world = await ready({ limits: { ...defaultLimits, listChunkBytes: 200 } });
  for (let index = 0; index < 400; index++) await world.put(`a/${String(index).padStart(3, '0')}`, 'x');
  await world.settle();
  const initial = Array.from({ length: 3 }, () => new LateSink());
  const resumed = new LateSink();
  const watches = initial.map((sink) =>
    world.cache.watch(request({ afterRevision: world.cache.revision, initialEvents: true }), sink),
  );
  watches.push(world.cache.watch(request({ afterRevision: 2 }), resumed));
  const sinks = [...initial, resumed];
  for (let step = 0; step < 200; step++) {
    // Every second one is not taken before the next is written.
    if (step % 2 === 0) for (const sink of sinks) sink.take();
    for (const watch of watches) watch.drained();
    await world.settle(1);
  }
  for (const sink of sinks) sink.take();
  for (const sink of initial) assert.equal(sink.lines.length, 401);
  assert.equal(resumed.lines.length, 400);
  const chunks = initial.reduce((sum, sink) => sum + sink.chunks.length, 0);
  const buffers = new Set(sinks.flatMap((sink) => [...sink.buffers]));
  assert.ok(chunks > 80 && buffers.size <= 20, `${buffers.size} buffers for ${chunks} chunks`);
  await world.close();
});

test('memory that had to grow for a large event is used again, too', async () => {
  const world = await ready({ limits: { ...defaultLimits, listChunkBytes: 200 } });
  const large = 'x'.repeat(200_000);
  for (let index = 0; index < 40; index++) await world.put(`a/${String(index).padStart(3, '0')}`, large);
  await world.settle();
  const sink = new LateSink();
  const watch = world.cache.watch(request({ afterRevision: world.cache.revision, initialEvents: true }), sink);
  while (sink.lines.length < 41) {
    sink.take();
    watch.drained();
    await world.settle(1);
  }
  assert.ok(
    sink.chunks.length >= 40 && sink.buffers.size <= 4,
    `${sink.buffers.size} for ${sink.chunks.length} chunks`,
  );
  await world.close();
});

test('a slow sink holds nobody up, shares the frames of its group, and is ended only when history has moved past it', async () => {
  const limits = { ...defaultLimits, groupFrameBytesMax: 400 };
  const world = await ready({ historyBytes: 30_000, limits });
  const [fast, slow, stuck] = [new TestSink(), new TestSink(), new TestSink()];
  world.cache.watch(request({ afterRevision: 2 }), fast);
  const slowWatch = world.cache.watch(request({ afterRevision: 2 }), slow);
  world.cache.watch(request({ afterRevision: 2 }), stuck);
  slow.room = 1;
  stuck.room = 1;
  let revision = 2;
  for (let index = 0; index < 40; index++) {
    revision = await world.put('a/one', `v${index}`);
    await world.settle(3);
    if (index % 7 === 0) {
      slow.room = 1;
      slowWatch.drained();
      slowWatch.drained();
    }
    world.cache.verify();
  }
  assert.equal(fast.lines.length, 40);
  assert.ok(slow.lines.length < 40);
  assert.equal(stuck.lines.length, 1);
  assert.equal(world.cache.stats.laggingWatchers, 2);
  slow.room = Number.POSITIVE_INFINITY;
  slowWatch.drained();
  await world.settle(10);
  assert.deepEqual(slow.lines, fast.lines);
  assert.equal(world.cache.stats.laggingWatchers, 1);
  assert.equal(stuck.ended, 0);
  const held = world.cache.stats.historyEvents;
  for (let index = 0; stuck.ended === 0; index++) {
    assert.ok(index < 2_000, 'the history never moved on');
    revision = await world.put('a/one', `w${index}`);
    await world.settle(3);
  }
  assert.ok(world.cache.stats.historyEvents >= held);
  assert.ok(world.cache.oldestWatchable >= 3);
  assert.equal(stuck.lines.length, 1);
  assert.equal(world.cache.stats.watchersTerminated, 1);
  assert.equal(fast.lines.length, revision - 2);
  assert.deepEqual(slow.lines, fast.lines);
  world.cache.verify();
  await world.close();
});

test('a sink that drains, closes or throws within its write harms nobody', async () => {
  const world = await ready();
  const [drains, closes, throws, calm] = [new TestSink(), new TestSink(), new TestSink(), new TestSink()];
  const watches = [drains, closes, throws, calm].map((sink) => world.cache.watch(request({ afterRevision: 2 }), sink));
  drains.room = 0;
  drains.onWrite = () => watches[0]!.drained();
  closes.onWrite = () => watches[1]!.close();
  throws.onWrite = () => {
    throw new Error('socket hang up');
  };
  for (let index = 0; index < 5; index++) {
    await world.put('a/one', `v${index}`);
    await world.settle(5);
    world.cache.verify();
  }
  assert.equal(calm.lines.length, 5);
  assert.deepEqual(drains.lines, calm.lines);
  assert.equal(closes.lines.length, 1);
  assert.equal(throws.lines.length, 1);
  assert.equal(world.cache.stats.watchers, 2);
  await world.close();
});

test('bookmarks: about every minute, two seconds before the deadline, and only when everything was sent', async () => {
  const world = await ready();
  const [idle, short, none, blocked] = [new TestSink(), new TestSink(), new TestSink(), new TestSink()];
  const times: number[] = [];
  idle.onWrite = () => times.push(world.clock.monotonicMs());
  const start = world.clock.monotonicMs();
  world.cache.watch(request({ afterRevision: 2, bookmarks: true, timeoutMs: 300_000 }), idle);
  world.cache.watch(request({ afterRevision: 2, bookmarks: true, timeoutMs: 10_000 }), short);
  world.cache.watch(request({ afterRevision: 2, timeoutMs: 100_000 }), none);
  blocked.room = 1;
  const blockedWatch = world.cache.watch(request({ afterRevision: 2, bookmarks: true }), blocked);
  await world.settle(7_900);
  assert.deepEqual(short.lines, []);
  await world.settle(200);
  assert.deepEqual(short.lines, ['BOOKMARK @2']);
  await world.settle(2_000);
  assert.equal(short.ended, 1);
  await world.put('a/one', 'x');
  await world.store.write([{ type: 'put', key: Buffer.from('/registry/pods/a/b'), value: Buffer.from('other kind') }]);
  await world.settle(300_000);
  assert.equal(idle.lines[0], 'ADDED a/one=x@3');
  assert.deepEqual(
    new Set(idle.lines.slice(1)),
    new Set(['BOOKMARK @4']),
    'the revision moves on with the other kinds',
  );
  const gaps = times.slice(1).map((time, index) => time - (index === 0 ? start : times[index]!));
  assert.equal(times.at(-1)! - start, 298_000);
  assert.ok(gaps.length >= 5 && gaps.slice(0, -1).every((gap) => gap >= 54_000 && gap <= 66_050), gaps.join());
  assert.equal(idle.ended, 1);
  assert.deepEqual(none.lines, ['ADDED a/one=x@3']);
  assert.equal(none.ended, 1);
  assert.deepEqual(blocked.lines, ['ADDED a/one=x@3']);
  blocked.room = Number.POSITIVE_INFINITY;
  blockedWatch.drained();
  await world.settle(1_100);
  assert.deepEqual(blocked.lines, ['ADDED a/one=x@3', 'BOOKMARK @4'], 'made up for as soon as it can be');
  world.cache.verify();
  await world.close();
});

test('stopping ends the streams cleanly', async () => {
  const world = await ready();
  const sinks = [new TestSink(), new TestSink(), new TestSink()];
  world.cache.watch(request({ afterRevision: 2 }), sinks[0]!);
  world.cache.watch(request({ afterRevision: 2, initialEvents: true }), sinks[1]!);
  world.cache.watch(request({ afterRevision: 99 }), sinks[2]!);
  await world.close();
  assert.deepEqual(
    sinks.map(({ ended }) => ended),
    [1, 1, 1],
  );
  const late = new TestSink();
  world.cache.watch(request(), late);
  await world.settle(100);
  assert.equal(late.ended, 1, 'and who comes later is sent away');
  assert.equal(world.cache.stats.watchers, 0);
});

test('snapshots at older revisions agree with what was there then, in range, count and bytes', async () => {
  const world = await ready();
  const random = seededRandom(5);
  const past: { revision: number; want: string[] }[] = [];
  for (let step = 0; step < 150; step++) {
    const operations = new Map<string, { type: 'delete'; key: Uint8Array } | undefined>();
    for (let count = 1 + random.int(4); count > 0; count--)
      operations.set(`${random.pick(['a', 'b', 'c'])}/${random.int(9)}`, undefined);
    for (const name of operations.keys()) {
      if (random.chance(0.4)) await world.delete(name);
      else await world.put(name, `s${step}`.repeat(1 + random.int(3)));
    }
    await world.settle(3);
    past.push({ revision: world.cache.revision, want: contents(world.cache)! });
  }
  for (const { revision, want } of past) {
    using snapshot = world.cache.snapshot(revision)!;
    assert.equal(snapshot.revision, revision);
    assert.deepEqual(contents(world.cache, revision), want);
    const [from, to] = [keyOf(random.pick(['', 'a/', 'a/4', 'b/'])), keyOf(random.pick(['b/2', 'c0', 'z']))];
    const range = (key: Uint8Array) => ({ bytes: key, start: 0, end: key.length });
    let count = 0;
    let bytes = 0;
    snapshot.range(range(from), range(to), (id) => {
      count++;
      bytes += snapshot.versions.wireSize(id);
      return true;
    });
    assert.equal(snapshot.count(range(from), range(to)), count);
    assert.equal(snapshot.byteSize(range(from), range(to)), bytes);
    let visited = 0;
    snapshot.range(range(from), range(to), () => ++visited < 3);
    assert.equal(visited, Math.min(3, count));
  }
  assert.equal(world.cache.snapshot(world.cache.revision + 1), undefined);
  assert.equal(world.cache.snapshot(1), undefined);
  await world.close();
});

test('10,000 watches by slow and vanishing clients leave nothing behind', async () => {
  const limits = { ...defaultLimits, listChunkBytes: 150 };
  const world = await ready({ limits });
  for (let index = 0; index < 20; index++) await world.put(`a/${index}`, 'x', { side: index % 2 === 0 ? 'in' : 'out' });
  await world.settle();
  const random = seededRandom(2);
  const open: { watch: ReturnType<World['cache']['watch']>; sink: TestSink }[] = [];
  let started = 0;
  while (started < 10_000) {
    for (let count = 0; count < 50; count++, started++) {
      const sink = new TestSink();
      const { revision } = world.cache;
      if (random.chance(0.5)) sink.room = 1 + random.int(3);
      if (random.chance(0.1)) {
        sink.onWrite = () => {
          throw new Error('gone');
        };
      }
      const watch = world.cache.watch(
        request({
          afterRevision: random.chance(0.1) ? revision + random.int(5) : Math.max(2, revision - random.int(10)),
          bookmarks: random.chance(0.5),
          timeoutMs: 1 + random.int(20_000),
          filter: random.pick([undefined, labelFilter('side', 'in'), labelFilter('side', 'out')]),
          framer: random.pick([lineFramer, headedFramer]),
          ...(random.chance(0.3) ? { initialEvents: true, initialEventsEnd: true, afterRevision: revision } : {}),
          ...(random.chance(0.3) ? { from: keyOf('a/1'), to: keyOf('a/1\0') } : {}),
        }),
        sink,
      );
      open.push({ watch, sink });
    }
    await world.put(`a/${random.int(20)}`, `at-${started}`, { side: random.pick(['in', 'out']) });
    await world.settle(random.int(3));
    for (const { watch, sink } of open) {
      if (random.chance(0.05)) sink.room = 3;
      if (random.chance(0.05)) watch.drained();
      if (random.chance(0.02)) watch.close();
    }
    while (open.length > 300) open.splice(random.int(open.length), 1)[0]!.watch.close();
  }
  world.cache.verify();
  assert.ok(world.cache.stats.watchers > 100);
  // Some are closed, the others time out.
  for (const { watch } of open.splice(0, 150)) watch.close();
  await world.settle(21_000);
  const { watchers, watchGroups, watchTimers, laggingWatchers } = world.cache.stats;
  assert.deepEqual(
    { watchers, watchGroups, watchTimers, laggingWatchers },
    { watchers: 0, watchGroups: 0, watchTimers: 0, laggingWatchers: 0 },
  );
  assert.equal(world.cache.versions.stats.pins, 0);
  await world.settle(200_000);
  assert.ok(world.cache.stats.historyEvents <= 100);
  world.cache.verify();
  await world.close();
});
