import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../src/lib/clock.js';
import { seededRandom, systemRandom } from '../../src/lib/random.js';
import { createEmbeddedStore, type EmbeddedOptions } from '../../src/source/embedded/embedded-store.js';
import { KeyOrder } from '../../src/source/embedded/key-order.js';
import { VersionLog } from '../../src/source/embedded/version-log.js';
import { SourceError } from '../../src/source/source.js';
import { sourceSuite } from '../suites/source-suite.js';
import { recordWatch } from '../support/watch-recorder.js';

sourceSuite('embedded store', async () => {
  const clock = createFakeClock();
  const store = createEmbeddedStore({ clock, random: systemRandom });
  return {
    store,
    elapse: async (ms) => clock.advance(ms),
    leaseSeconds: 1,
    dispose: async () => {
      store.verify();
      await store.close();
    },
  };
});

function embedded(options: EmbeddedOptions = {}) {
  const clock = createFakeClock();
  const store = createEmbeddedStore({ clock, random: seededRandom(1) }, options);
  const put = (key: string, value = '') =>
    store.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from(value) }]);
  return { clock, store, put };
}

test('a write takes effect when it is called: promises only carry what came of it', async () => {
  const { store } = embedded();
  const put = (key: string) => store.write([{ type: 'put' as const, key: Buffer.from(key), value: Buffer.from('') }]);
  const written = put('/a');
  const seen = store.currentRevision();
  const again = put('/b');
  assert.deepEqual(await Promise.all([written, seen, again]), [2, 2, 3]);
  await store.close();
});

test('a slow watcher is served in turns of a few milliseconds, whole revisions and in order', async () => {
  const turns: (() => void)[] = [];
  const { clock, store, put } = embedded({ defer: (run) => void turns.push(run) });
  for (let count = 0; count < 100; count++) void put(`/a/${count}`);
  const committed: number[] = [];
  let open = 0;
  store.watch(
    { prefix: Buffer.from('/a/'), startRevision: 2 },
    {
      change(_type, _bytes, _keyStart, _keyEnd, _valueStart, _valueEnd, _createRevision, modRevision) {
        open = modRevision;
        clock.advance(1);
      },
      commit(revision) {
        assert.equal(revision, open);
        committed.push(revision);
      },
      progress: () => {},
      ended: () => {},
    },
  );
  let longest = 0;
  let taken = 0;
  for (let turn = turns.shift(); turn !== undefined; turn = turns.shift(), taken++) {
    const before = committed.length;
    turn();
    longest = Math.max(longest, committed.length - before);
  }
  assert.deepEqual(
    committed,
    Array.from({ length: 100 }, (_, index) => index + 2),
  );
  assert.ok(longest <= 16 && taken >= 7, `${longest} changes in one of ${taken} turns`);
  await store.close();
});

test('a new store is at revision 1, like etcd', async () => {
  const { store, put } = embedded();
  assert.equal(await store.currentRevision(), 1);
  assert.equal(await put('/a'), 2);
  assert.equal(await store.progressTrusted(), true);
  await store.close();
});

test('history is compacted by time: five minutes stay readable', async () => {
  const { clock, store, put } = embedded();
  const first = await put('/a', 'old');
  await put('/a', 'new');
  clock.advance(299_000);
  await store.range({ from: Buffer.from('/'), to: Buffer.from('0'), revision: first }, () => {});
  await put('/a', 'newest');
  clock.advance(60_000);
  await assert.rejects(
    store.range({ from: Buffer.from('/'), to: Buffer.from('0'), revision: first }, () => {}),
    (error) => error instanceof SourceError && error.kind === 'compacted' && error.revision === first + 1,
  );
  await store.range({ from: Buffer.from('/'), to: Buffer.from('0'), revision: first + 1 }, () => {});
  store.verify();
  await store.close();
});

test('history is compacted by bytes, and a watch that has started misses nothing', async () => {
  const { store, put } = embedded({ historyBytesMax: 200_000 });
  const recorder = recordWatch(store, '/', 2, { keepsValues: false });
  for (let index = 0; index < 20_000; index++) await put(`/${index % 100}`, 'x'.repeat(50));
  // While it writes, the log must keep what the watch has yet to see.
  assert.ok(store.compactRevision > 10_000, `compacted to ${store.compactRevision}`);
  await recorder.untilRevision(20_001);
  assert.equal(recorder.revisions.length, 20_000);
  for (let index = 0; index < 100; index++) await put(`/${index}`);
  assert.ok(store.compactRevision > 19_000, `compacted to ${store.compactRevision}`);
  store.verify();
  await store.close();
});

test('deleted keys leave no trace after compaction', async () => {
  const { store, put } = embedded();
  for (let round = 0; round < 50; round++) {
    for (let index = 0; index < 100; index++) await put(`/${round}/${index}`);
    const keys = Array.from({ length: 100 }, (_, index) => Buffer.from(`/${round}/${index}`));
    await store.write(keys.map((key) => ({ type: 'delete', key })));
    await store.compact(await store.currentRevision());
    store.verify();
  }
  assert.equal((await store.range({ from: Buffer.from('/'), to: Buffer.from('0') }, () => {})).count, 0);
  await store.close();
});

test('idle watches are told of progress every few seconds', async () => {
  const { clock, store, put } = embedded({ progressNotifyMs: 5_000 });
  const recorder = recordWatch(store, '/watched/', 2);
  const revision = await put('/elsewhere');
  clock.advance(5_000);
  await recorder.until('progress', () => recorder.progress.includes(revision));
  await store.close();
});

test('a writer that runs ahead of its watchers waits for them', async () => {
  const { store, put } = embedded();
  const recorder = recordWatch(store, '/', 2, { keepsValues: false });
  let behindMax = 0;
  for (let index = 0; index < 50_000; index++) {
    const revision = await put(`/${index % 10}`);
    behindMax = Math.max(behindMax, revision - recorder.committed);
  }
  assert.ok(behindMax < 10_000, `the watch was ${behindMax} revisions behind`);
  await store.close();
});

test('the key order agrees with a sorted array', () => {
  const random = seededRandom(7);
  const order = new KeyOrder();
  const model = new Map<string, { key: string; latest: undefined }>();
  for (let step = 0; step < 20_000; step++) {
    const key = random.chance(0.5) ? `k${random.int(3_000)}` : `k${String(step).padStart(6, '0')}`;
    const known = model.get(key);
    if (known === undefined) {
      const entry = { key, latest: undefined };
      model.set(key, entry);
      order.insert(entry);
    } else if (random.chance(0.7)) {
      model.delete(key);
      order.remove(known);
    }
  }
  order.verify();
  const sorted = [...model.keys()].sort();
  for (let round = 0; round < 50; round++) {
    const from = random.pick(sorted);
    const to = random.chance(0.2) ? undefined : random.pick(sorted);
    const got: string[] = [];
    order.range(from, to, ({ key }) => got.push(key));
    assert.deepEqual(
      got,
      sorted.filter((key) => key >= from && (to === undefined || key < to)),
    );
  }
});

test('the version log keeps positions while it drops its front', () => {
  const log = new VersionLog();
  const entry = { key: 'k', latest: undefined };
  const append = (modRevision: number) =>
    log.append({
      entry,
      type: 0,
      bytes: Buffer.alloc(10),
      createRevision: 1,
      modRevision,
      lease: undefined,
      previous: undefined,
    });
  for (let revision = 1; revision <= 5_000; revision++) {
    append(revision * 2);
    if (revision % 7 === 0) log.dropBefore(revision - 100);
  }
  assert.equal(log.end, 5_000);
  assert.equal(log.at(4_999).modRevision, 10_000);
  assert.equal(log.positionOf(9_999), 4_999);
  assert.equal(log.positionOf(10_001), 5_000);
  log.dropBefore(log.end);
  assert.equal(log.byteCount, 0);
  append(20_000);
  assert.equal(log.at(log.positionOf(1)).modRevision, 20_000);
});
