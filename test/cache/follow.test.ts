import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import { FlakySource } from '../sim/flaky-source.js';
import { contents, createWorld, keyOf, leaseValue, request, TestSink } from './support.js';

function flakyWorld(options: Parameters<typeof createWorld>[0] = {}) {
  let network: FlakySource | undefined;
  const world = createWorld({
    ...options,
    wrap: (store, clock) => (network = new FlakySource(store, clock, seededRandom(3))),
  });
  return { ...world, network: network! };
}

test('a source that is down at the start: not ready, the reason is told, ready once it is up', async () => {
  const world = flakyWorld();
  world.network.down();
  world.cache.start();
  await world.settle(5_000);
  assert.equal(world.cache.state, 'initializing');
  assert.equal(world.cache.lastError, 'store is down');
  assert.equal(world.cache.unreadyMs, 5_000);
  assert.equal(world.cache.snapshot(), undefined);
  const ready = world.cache.whenReady(60_000);
  world.network.up = true;
  await world.settle(12_000);
  assert.equal(await ready, true);
  assert.equal(world.cache.state, 'ready');
  assert.equal(world.cache.lastError, undefined);
  assert.equal(world.cache.unreadyMs, 0);
  await world.close();
});

test('whenReady and waitFor give up at their timeout, when aborted, and when the cache stops', async () => {
  const world = flakyWorld();
  world.network.down();
  world.cache.start();
  const late = world.cache.whenReady(100);
  const abort = new AbortController();
  const aborted = world.cache.waitFor(5, 60_000, abort.signal);
  const stopped = world.cache.waitFor(5, 60_000);
  await world.settle(110);
  assert.equal(await late, false);
  abort.abort();
  assert.equal(await aborted, false);
  await world.close();
  assert.equal(await stopped, false);
  assert.equal(await world.cache.whenReady(10), false);
});

test('a cut is resumed: watchers miss nothing and do not notice', async () => {
  const world = flakyWorld();
  await world.put('a/one', 'x');
  world.cache.start();
  await world.settle();
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: world.cache.revision }), sink);
  for (let round = 0; round < 5; round++) {
    await world.put('a/one', `before-${round}`);
    if (round % 2 === 0) await world.settle(20); // else the change is lost under way, and comes again
    world.network.cut();
    await world.put('a/one', `after-${round}`);
    await world.settle(2_000);
  }
  const expected = [0, 1, 2, 3, 4].flatMap((round) => [
    `MODIFIED a/one=before-${round}@${3 + 2 * round}`,
    `MODIFIED a/one=after-${round}@${4 + 2 * round}`,
  ]);
  assert.deepEqual(sink.lines, expected);
  assert.equal(world.cache.stats.relists, 0);
  assert.equal(sink.ended, 0);
  world.cache.verify();
  await world.close();
});

test('with the source gone for ten minutes, the cache serves, says how old it is, and goes on afterwards', async () => {
  const world = flakyWorld();
  await world.put('a/one', 'x');
  world.cache.start();
  await world.settle(100);
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 2, bookmarks: true }), sink);
  assert.equal(world.cache.staleMs, 0);
  world.network.down();
  await world.settle(600_000);
  assert.equal(world.cache.state, 'ready');
  assert.equal(world.cache.lastError, 'store is down');
  assert.ok(world.cache.staleMs >= 600_000 && world.cache.staleMs < 605_000, `${world.cache.staleMs}`);
  assert.deepEqual(contents(world.cache), ['a/one=x@2']);
  assert.equal(sink.ended, 0);
  assert.ok(sink.lines.length >= 8 && sink.lines.every((line) => line === 'BOOKMARK @2'), sink.lines.join());
  world.network.up = true;
  await world.put('a/one', 'y');
  await world.settle(11_000);
  assert.equal(sink.lines.at(-1), 'MODIFIED a/one=y@3');
  assert.equal(world.cache.staleMs, 0);
  assert.equal(world.cache.lastError, undefined);
  await world.close();
});

test('waitFor asks for progress at once and every 100 ms, and returns with the revision', async () => {
  const world = createWorld();
  world.cache.start();
  await world.settle();
  await world.store.write([{ type: 'put', key: Buffer.from('/registry/pods/a/b'), value: Buffer.from('other kind') }]);
  const revision = await world.store.currentRevision();
  assert.ok(world.cache.revision < revision);
  const started = world.clock.monotonicMs();
  assert.equal(await Promise.race([world.cache.waitFor(revision, 3_000), world.settle(50).then(() => 'late')]), true);
  assert.ok(world.clock.monotonicMs() - started < 50);
  assert.equal(world.cache.revision, revision);
  const future = world.cache.waitFor(revision + 1, 3_000);
  await world.settle(1_000);
  await world.store.write([{ type: 'put', key: Buffer.from('/registry/pods/a/b'), value: Buffer.from('again') }]);
  await world.settle(150);
  assert.equal(await future, true);
  const never = world.cache.waitFor(revision + 100, 3_000);
  await world.settle(3_010);
  assert.equal(await never, false);
  await world.close();
});

test('progress of an old etcd moves nothing', async () => {
  const world = flakyWorld();
  world.network.trusted = false;
  world.cache.start();
  await world.settle();
  await world.store.write([{ type: 'put', key: Buffer.from('/registry/pods/a/b'), value: Buffer.from('other kind') }]);
  await world.settle(20_000);
  assert.equal(world.cache.revision, 1);
  assert.equal(world.cache.staleMs, 0, 'but it is a sign of life');
  await world.put('a/one', 'x');
  await world.settle(10);
  assert.equal(world.cache.revision, 3);
  await world.close();
});

test('compaction behind our position goes unnoticed; past it, watchers end and the difference is listed', async () => {
  const world = flakyWorld();
  for (const name of ['a/kept', 'a/changed', 'a/deleted', 'b/again']) await world.put(name, 'old');
  world.cache.start();
  await world.settle(100);
  const keptId = () => {
    using snapshot = world.cache.snapshot()!;
    let found = -1;
    snapshot.range(
      { bytes: keyOf('a/kept'), start: 0, end: keyOf('a/kept').length },
      { bytes: keyOf('a/kept\0'), start: 0, end: keyOf('a/kept\0').length },
      (id) => {
        found = id;
        return true;
      },
    );
    return found;
  };
  await world.store.compact(4);
  world.network.cut();
  await world.settle(1_000);
  assert.equal(world.cache.stats.relists, 0);

  const before = keptId();
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 5 }), sink);
  using old = world.cache.snapshot()!;
  world.network.down();
  await world.put('a/changed', 'new');
  await world.delete('a/deleted');
  await world.delete('b/again');
  await world.put('b/again', 'reborn');
  await world.put('c/new', 'new');
  await world.put('c/brief', 'x');
  await world.delete('c/brief');
  const last = await world.put('d/other', 'x');
  await world.store.compact(last);
  await world.settle(5_000);
  assert.equal(world.cache.state, 'ready', 'what is old is served until the list is there');
  assert.deepEqual(contents(world.cache), ['a/changed=old@3', 'a/deleted=old@4', 'a/kept=old@2', 'b/again=old@5']);
  world.network.up = true;
  await world.settle(11_000);
  assert.deepEqual(contents(world.cache), [
    'a/changed=new@6',
    'a/kept=old@2',
    'b/again=reborn@9',
    'c/new=new@10',
    'd/other=x@13',
  ]);
  assert.equal(world.cache.stats.relists, 1);
  assert.deepEqual(sink.lines, [], 'the gap is not filled with events that never happened');
  assert.equal(sink.ended, 1, 'the stream ends cleanly');
  assert.equal(world.cache.oldestWatchable, last, 'nobody resumes across the gap');
  assert.equal(contents(world.cache, 5), undefined);
  assert.equal(keptId(), before, 'what did not change was not read again');
  assert.equal(
    old.count(
      { bytes: keyOf(''), start: 0, end: keyOf('').length },
      { bytes: keyOf('z'), start: 0, end: keyOf('z').length },
    ),
    4,
    'an open snapshot is not touched',
  );
  world.cache.verify();
  await world.put('a/kept', 'newer');
  await world.settle(10);
  assert.equal(contents(world.cache)?.[1], 'a/kept=newer@14');
  await world.close();
});

test('a replaced store: nothing of the old one is served, older resourceVersions are refused', async () => {
  const world = flakyWorld();
  for (let index = 0; index < 10; index++) await world.put(`a/old-${index}`, 'x');
  world.cache.start();
  await world.settle(100);
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 11 }), sink);
  const held = world.cache.snapshot()!;
  const other = createEmbeddedStore({ clock: world.clock, random: world.random });
  await other.write([{ type: 'put', key: keyOf('a/new'), value: leaseValue('a/new', 'y') }]);
  world.network.weather.delayMaxMs = 50;
  world.network.replace(other);
  assert.equal(world.cache.state, 'initializing');
  assert.equal(world.cache.snapshot(), undefined);
  assert.equal(sink.ended, 1);
  await world.settle(1_000);
  assert.equal(world.cache.state, 'ready');
  assert.equal(world.cache.revision, 2);
  assert.deepEqual(contents(world.cache), ['a/new=y@2']);
  assert.equal(world.cache.oldestWatchable, 2);
  assert.equal(
    held.count(
      { bytes: keyOf(''), start: 0, end: keyOf('').length },
      { bytes: keyOf('z'), start: 0, end: keyOf('z').length },
    ),
    10,
  );
  held[Symbol.dispose]();
  held[Symbol.dispose]();
  const [refused, foreign, future] = [new TestSink(), new TestSink(), new TestSink()];
  world.cache.watch(request({ afterRevision: 1 }), refused);
  world.cache.watch(request({ afterRevision: 11 }), foreign);
  world.cache.watch(request({ afterRevision: 12 }), future);
  await world.settle(10);
  assert.equal(refused.ended, 1);
  assert.deepEqual([foreign.failure, foreign.reason], ['too old resource version: 11 (2)', 'expired']);
  assert.equal(future.ended, 0, 'nobody has seen it yet');
  world.cache.verify();
  await other.close();
  await world.close();
});

test('a list that fails between its pages starts over and leaves nothing behind', async () => {
  const limits = { ...defaultLimits, listPageCount: 10 };
  const world = flakyWorld({ limits });
  for (let index = 0; index < 95; index++) await world.put(`a/${index}`, 'x');
  world.network.weather = { delayMaxMs: 5, lossChance: 0.05 };
  world.cache.start();
  await world.settle(120_000);
  assert.equal(world.cache.state, 'ready');
  assert.ok(world.cache.stats.relists > 0, 'this seed loses a request');
  assert.equal(contents(world.cache)?.length, 95);
  world.cache.verify();
  await world.close();
});

test('values that do not parse: noted, not served, and recovered from', async () => {
  const world = createWorld();
  await world.put('a/good', 'x');
  await world.store.write([{ type: 'put', key: keyOf('a/bad'), value: Buffer.from('k8s\0garbage') }]);
  await world.store.write([{ type: 'put', key: keyOf('directory'), value: Buffer.from('') }]);
  await world.store.write([{ type: 'put', key: keyOf('a/b/c'), value: Buffer.from('') }]);
  world.cache.start();
  await world.settle();
  assert.equal(world.cache.state, 'ready');
  assert.deepEqual([...world.cache.decodeErrors.keys()], ['/registry/leases/a/bad']);
  assert.deepEqual(contents(world.cache), ['a/good=x@2']);
  assert.equal(world.cache.stats.ignoredKeys, 2);

  const everyone = new TestSink();
  const others = new TestSink();
  const silent = new TestSink();
  Object.defineProperty(silent, 'fail', { value: undefined });
  const { revision } = world.cache;
  world.cache.watch(request({ afterRevision: revision }), everyone);
  world.cache.watch(request({ afterRevision: revision, filter: { id: 'all', matches: () => true } }), silent);
  world.cache.watch(request({ afterRevision: revision, from: keyOf('b/'), to: keyOf('b0') }), others);
  await world.store.write([
    { type: 'put', key: keyOf('a/good'), value: leaseValue('a/good', 'y') },
    { type: 'put', key: keyOf('a/worse'), value: Buffer.from('neither') },
  ]);
  await world.put('b/fine', 'x');
  await world.settle(20);
  assert.equal(everyone.lines.length, 0, 'the revision is not sent in part');
  assert.match(everyone.failure ?? '', /^\/registry\/leases\/a\/worse: /);
  assert.equal(silent.ended, 1);
  assert.deepEqual(others.lines, ['ADDED b/fine=x@7']);
  assert.equal(others.ended, 0);

  const again = new TestSink();
  world.cache.watch(request({ afterRevision: revision }), again);
  await world.settle(20);
  assert.match(again.failure ?? '', /a\/worse/, 'nobody gets across it from the history');

  await world.put('a/worse', 'mended');
  await world.delete('a/bad');
  await world.settle(20);
  assert.deepEqual([...world.cache.decodeErrors], []);
  assert.deepEqual(contents(world.cache), ['a/good=y@6', 'a/worse=mended@8', 'b/fine=x@7']);
  world.cache.verify();
  await world.close();
});

test('a value that stops to parse takes its object along, and gives it back', async () => {
  const world = createWorld();
  await world.put('a/one', 'x');
  world.cache.start();
  await world.settle();
  await world.store.write([{ type: 'put', key: keyOf('a/one'), value: Buffer.from('broken') }]);
  await world.settle(10);
  assert.deepEqual(contents(world.cache), []);
  assert.deepEqual(contents(world.cache, 2), ['a/one=x@2']);
  assert.equal(world.cache.decodeErrors.size, 1);
  await world.put('a/one', 'y');
  await world.settle(10);
  assert.deepEqual(contents(world.cache), ['a/one=y@4']);
  assert.equal(world.cache.decodeErrors.size, 0);
  world.cache.verify();
  await world.close();
});

test('the expiry of a lease deletes many keys at one revision: applied whole, sent whole', async () => {
  const world = createWorld();
  const lease = await world.store.grantLease(10);
  await world.store.write(
    Array.from({ length: 50 }, (_, index) => {
      const name = `a/${String(index).padStart(2, '0')}`;
      return { type: 'put' as const, key: keyOf(name), value: leaseValue(name, 'x'), lease };
    }),
  );
  await world.put('a/stays', 'x');
  world.cache.start();
  await world.settle();
  const sink = new TestSink();
  world.cache.watch(request({ afterRevision: 3 }), sink);
  await world.settle(15_000);
  assert.deepEqual(contents(world.cache), ['a/stays=x@3']);
  assert.equal(sink.chunks.length, 1);
  assert.equal(sink.lines.length, 50);
  assert.ok(sink.lines.every((line) => line.startsWith('DELETED ') && line.endsWith('=x@4')));
  assert.equal(contents(world.cache, 3)?.length, 51);
  await world.close();
});
