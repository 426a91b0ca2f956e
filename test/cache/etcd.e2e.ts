import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCache } from '../../src/cache/create-cache.js';
import { utf8 } from '../../src/lib/bytes.js';
import { systemClock } from '../../src/lib/clock.js';
import { systemRandom } from '../../src/lib/random.js';
import { createEtcdSource } from '../../src/source/etcd/etcd-source.js';
import { FlakySource } from '../sim/flaky-source.js';
import { eventually } from '../support/command.js';
import { startEtcd } from '../support/etcd.js';
import {
  contents,
  keyOf,
  leaseCodec,
  leaseKind,
  leaseValue,
  PREFIX,
  request,
  TestSink,
  testStorage,
} from './support.js';

// The cache on a real etcd: what the embedded store and the simulation promise holds there as well.

test('a cache follows a real etcd through restarts, compactions and a wipe', { timeout: 120_000 }, async () => {
  await using etcd = await startEtcd();
  const dependencies = { clock: systemClock, random: systemRandom };
  const writer = createEtcdSource({ endpoints: [etcd.endpoint] }, dependencies);
  const source = createEtcdSource({ endpoints: [etcd.endpoint] }, dependencies);
  // Only used to be cut off from a store that lives on.
  const network = new FlakySource(source, systemClock, systemRandom);
  network.trusted = await source.progressTrusted();
  const log: string[] = [];
  const cache = createCache({
    kind: leaseKind,
    codec: leaseCodec,
    source: network,
    createStorage: testStorage,
    prefix: utf8(PREFIX),
    log: (message) => log.push(message),
  });
  const holdOpen = setInterval(() => {}, 1_000);
  const put = (name: string, holder: string) =>
    writer.write([{ type: 'put', key: keyOf(name), value: leaseValue(name, holder) }]);
  try {
    for (let index = 0; index < 30; index++) await put(`a/${index}`, 'x');
    cache.start();
    assert.equal(await cache.whenReady(10_000), true);
    const first = cache.revision;
    const sinks = Array.from({ length: 1_000 }, () => new TestSink());
    for (const sink of sinks) cache.watch(request({ afterRevision: first }), sink);

    // etcd shows one watch for 1,000 watchers.
    const watches = async () => {
      const metrics = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
      return /^etcd_debugging_mvcc_watcher_total (\d+)$/m.exec(metrics)?.[1];
    };
    await eventually('etcd has one watch', async () => (await watches()) === '1');

    // Another kind moves the store on: progress tells us so, at once. Where it may come before events that precede
    // it, it proves nothing, and the cache stays at what it has seen.
    const other = await writer.write([{ type: 'put', key: utf8('/registry/pods/a/b'), value: utf8('x') }]);
    assert.equal(await cache.waitFor(other, network.trusted ? 3_000 : 500), network.trusted);
    assert.equal(cache.revision, network.trusted ? other : first);

    const written: string[] = [];
    for (let index = 0; index < 60; index++) {
      if (index === 20) await etcd.kill();
      if (index === 20) await etcd.restart();
      if (index === 40) await writer.compact(cache.revision - 5);
      const writing = eventually('etcd takes a write', () => put('a/churned', `v${index}`));
      void cache.waitFor(cache.revision + 1, 1_000); // asks for progress while the event is on its way
      const revision = await writing;
      written.push(`${index === 0 ? 'ADDED' : 'MODIFIED'} a/churned=v${index}@${revision}`);
    }
    await eventually('every change has arrived', () => sinks[999]!.lines.length === 60);
    assert.equal(await watches(), '1');
    for (const sink of sinks) assert.deepEqual(sink.lines, written);
    assert.equal(cache.stats.relists, 0);
    assert.equal(await cache.checkConsistency(), 'success');

    network.down();
    for (let index = 0; index < 10; index++) await put('a/churned', `gap-${index}`);
    const last = await writer.write([{ type: 'delete', key: keyOf('a/0') }]);
    await writer.compact(last);
    network.up = true;
    await eventually('the cache has listed again', () => sinks[0]!.ended === 1);
    assert.equal(cache.stats.relists, 1);
    assert.deepEqual(sinks[0]!.lines, written);
    assert.equal(contents(cache)!.length, 30);
    assert.equal(cache.oldestWatchable, last);
    assert.match(log.join('\n'), /were compacted/);

    await etcd.restart({ wipe: true });
    await eventually('etcd takes a write', () => put('b/new', 'x'));
    await eventually('the new store is served', () => contents(cache)?.join().startsWith('b/new=x@') === true);
    assert.equal(await cache.checkConsistency(), 'success');
    cache.verify();
  } finally {
    clearInterval(holdOpen);
    await cache.stop();
    await source.close();
    await writer.close();
  }
});
