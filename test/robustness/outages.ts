import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, freePort, pauseProcess } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { type RunningServer, spawnServer, startServer } from '../support/server.js';
import { ask, listOf, metric, metricSum, namesOf, type OpenWatch, openWatch, statusOf } from './client.js';
import { configMap, configMapKey } from './objects.js';

// etcd down at start, killed, restarted, hanging, compacted and wiped, under one listwatch that is never restarted.

const all = '/api/v1/configmaps';
const STALE = 'x-listwatch-stale-seconds';

describe('outages of etcd', () => {
  let etcd: Etcd;
  let kv: EtcdKv;
  let server: RunningServer;
  let written = 0;

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
    await kv.putAll(Array.from({ length: 20 }, () => nextEntry()));
  });
  after(async () => {
    const code = await server?.stop();
    await etcd?.stop();
    assert.equal(code, 0, 'one process lived through it all and ends cleanly');
  });

  function nextEntry(): readonly [key: string, value: string] {
    const name = `c${String(written++).padStart(5, '0')}`;
    return [configMapKey('ns', name), configMap('ns', name)];
  }
  const write = async (count: number) => {
    for (let index = 0; index < count; index++) await kv.put(...nextEntry());
  };
  const watchFrom = (revision: string) =>
    openWatch(server.url, `${all}?watch=1&resourceVersion=${revision}&timeoutSeconds=600`);
  const watchNow = async () => watchFrom(listOf(await ask(server.url, all)).metadata.resourceVersion);

  /** Exactly the next `count` creations, in order, and the stream is open. */
  async function assertWithoutGap(watch: OpenWatch, first: number, count: number): Promise<void> {
    await eventually(`${count} events`, () => watch.events.length >= count, 20_000);
    const want = Array.from({ length: count }, (_, index) => `ADDED c${String(first + index).padStart(5, '0')}`);
    assert.deepEqual(
      watch.events.map(({ type, object }) => `${type} ${object.metadata.name}`),
      want,
    );
    const revisions = watch.events.map(({ object }) => Number(object.metadata.resourceVersion));
    assert.deepEqual(
      [...revisions].sort((a, b) => a - b),
      revisions,
    );
    assert.equal(watch.ended, undefined);
  }

  test('down at start: alive and not ready, reads fail clearly; then everything works without a restart', async () => {
    await etcd.kill();
    server = await spawnServer(['--etcd-servers', etcd.endpoint]);
    await eventually('the port answers', async () => (await ask(server.url, '/livez')).status === 200, 20_000);
    assert.equal((await ask(server.url, '/healthz')).status, 200);
    assert.equal((await ask(server.url, '/readyz')).status, 500);
    for (const path of [
      all,
      `${all}/../`,
      `${all}?resourceVersion=0`,
      '/api/v1/namespaces/ns/configmaps/c00000',
      '/api/v1/events',
    ]) {
      const answer = await ask(server.url, path, 20_000);
      assert.ok(
        path.includes('..') ? answer.status === 404 : [429, 500, 504].includes(answer.status),
        `${path}: ${answer.status} ${answer.body.toString()}`,
      );
    }
    const watch = await ask(server.url, `${all}?watch=1&timeoutSeconds=1`, 20_000);
    assert.ok([429, 500].includes(watch.status), `${watch.status} ${watch.body.toString()}`);
    await etcd.restart();
    await eventually('readyz', async () => (await ask(server.url, '/readyz')).status === 200, 30_000);
    await eventually('a LIST', async () => (await ask(server.url, all)).status === 200, 30_000);
    // A LIST may come from etcd while the cache still waits to try again; watches and stale reads need the cache.
    await eventually(
      'the cache',
      async () => (await ask(server.url, `${all}?resourceVersion=0`)).status === 200,
      15_000,
    );
    assert.equal(namesOf(await ask(server.url, all)).length, 20);
    assert.equal((await ask(server.url, '/api/v1/events')).status, 200);
  });

  test('killed: stale reads and watches go on and say how old they are; consistent reads fail; then no gap', async () => {
    const first = written;
    const watch = await watchNow();
    await write(3);
    await assertWithoutGap(watch, first, 3);
    const fresh = await ask(server.url, `${all}?resourceVersion=0`);
    assert.equal(fresh.headers[STALE], undefined);
    await etcd.kill();
    await delay(2_500);
    for (const path of [`${all}?resourceVersion=0`, '/api/v1/namespaces/ns/configmaps/c00000?resourceVersion=0']) {
      const started = performance.now();
      const answer = await ask(server.url, path);
      assert.equal(answer.status, 200, answer.body.toString().slice(0, 300));
      assert.ok(performance.now() - started < 1_000, 'stale reads do not wait');
      assert.ok(Number(answer.headers[STALE]) >= 1, `${STALE}: ${answer.headers[STALE]}`);
    }
    const ages = await metric(server.url, 'listwatch_watch_cache_stale_seconds');
    assert.ok((ages.get('{group="",resource="configmaps"}') ?? 0) > 1, JSON.stringify([...ages]));
    const revision = listOf(await ask(server.url, `${all}?resourceVersion=0`)).metadata.resourceVersion;
    const exact = await ask(server.url, `${all}?resourceVersion=${revision}&resourceVersionMatch=Exact`);
    assert.equal(exact.status, 200, 'what the cache holds needs no etcd');
    for (const [path, operation] of [
      [all, 'list'],
      ['/api/v1/namespaces/ns/configmaps/c00000', 'get'],
      ['/api/v1/events', 'list'],
    ] as const) {
      const answer = await ask(server.url, path, 70_000);
      assert.equal(answer.status, 500, `${path}: ${answer.body.toString().slice(0, 300)}`);
      const { reason, message } = statusOf(answer);
      assert.equal(reason, 'ServerTimeout');
      const resource = path === '/api/v1/events' ? 'events' : 'configmaps';
      assert.equal(
        message,
        `The ${operation} operation against ${resource} could not be completed at this time, please try again.`,
      );
      assert.equal(answer.headers['retry-after'], '2');
    }
    assert.equal((await ask(server.url, '/livez')).status, 200);
    assert.equal((await ask(server.url, '/readyz')).status, 500);
    const during = await watchFrom(revision);
    assert.equal(during.status, 200, 'a watch can be opened meanwhile');
    assert.equal(watch.ended, undefined);
    await etcd.restart();
    await write(5);
    await assertWithoutGap(watch, first, 8);
    await assertWithoutGap(during, first + 3, 5);
    assert.equal(namesOf(await ask(server.url, all)).length, written);
    await eventually(
      'the age is gone',
      async () => (await ask(server.url, `${all}?resourceVersion=0`)).headers[STALE] === undefined,
    );
    assert.equal(
      (await metric(server.url, 'listwatch_watch_cache_stale_seconds')).get('{group="",resource="configmaps"}'),
      0,
    );
    assert.equal((await ask(server.url, '/readyz')).status, 200);
    watch.close();
    during.close();
  });

  test('hanging: connections stay open and nothing answers; then no gap', async () => {
    const first = written;
    const watch = await watchNow();
    await write(2);
    await etcd.pause();
    try {
      const stale = await ask(server.url, `${all}?resourceVersion=0`);
      assert.equal(stale.status, 200);
      const consistent = await ask(server.url, all, 70_000);
      assert.ok(
        [500, 504].includes(consistent.status),
        `${consistent.status} ${consistent.body.toString().slice(0, 300)}`,
      );
      assert.equal(statusOf(consistent).kind, 'Status');
      assert.equal((await ask(server.url, '/readyz', 20_000)).status, 500);
    } finally {
      etcd.resume();
    }
    await write(3);
    await assertWithoutGap(watch, first, 5);
    await eventually('readyz', async () => (await ask(server.url, '/readyz')).status === 200);
    assert.equal(namesOf(await ask(server.url, all)).length, written);
    watch.close();
  });

  test('restarted five times while it is written to: every change arrives once, in order', async () => {
    const first = written;
    const watch = await watchNow();
    for (let round = 0; round < 5; round++) {
      await write(4);
      await etcd.restart();
    }
    await assertWithoutGap(watch, first, 20);
    watch.close();
  });

  test('compacted behind our position: nobody notices', async () => {
    const first = written;
    const watch = await watchNow();
    const lists = await metricSum(server.url, 'listwatch_watch_cache_relists_total');
    await write(10);
    await eventually('the cache has them', () => watch.events.length === 10);
    await kv.compact(await kv.revision());
    await etcd.restart();
    await write(2);
    await assertWithoutGap(watch, first, 12);
    const listsAfter = await metricSum(server.url, 'listwatch_watch_cache_relists_total');
    assert.equal(listsAfter, lists, 'no cache was listed again');
    watch.close();
  });

  test('compacted past our position: the watch ends or tells the difference, a new one works', async () => {
    const watch = await watchNow();
    await pauseProcess(server.pid);
    try {
      await write(300);
      await kv.delete(configMapKey('ns', 'c00000'));
      await etcd.restart(); // what was sent to our socket already is lost to etcd, so the watch has to be opened anew
      await kv.compact(await kv.revision());
    } finally {
      process.kill(server.pid, 'SIGCONT');
    }
    const answer = await eventually('a consistent LIST', async () => {
      const list = await ask(server.url, all);
      return list.status === 200 ? list : undefined;
    });
    assert.deepEqual(namesOf(answer), expectedNames().slice(1));
    await eventually('the watch ended, or knows of the deletion', () => {
      return watch.ended !== undefined || watch.events.some(({ type }) => type === 'DELETED');
    });
    assert.notEqual(watch.ended, 'cut');
    assert.equal(watch.events.filter(({ type }) => type === 'ERROR').length, 0);
    const again = await watchNow();
    const first = written;
    await write(2);
    await assertWithoutGap(again, first, 2);
    watch.close();
    again.close();
  });

  test('wiped: another store at the same address, with smaller revisions', async () => {
    const oldRevision = listOf(await ask(server.url, all)).metadata.resourceVersion;
    const watch = await watchFrom(oldRevision);
    await etcd.restart({ wipe: true });
    written = 0;
    await kv.putAll(Array.from({ length: 3 }, () => nextEntry()));
    await eventually('the LIST is that of the new store', async () => {
      const list = await ask(server.url, all);
      return list.status === 200 && namesOf(list).length === 3;
    });
    await eventually('the old watch has ended', () => watch.ended !== undefined);
    assert.notEqual(watch.ended, 'cut');
    const stale = listOf(await ask(server.url, `${all}?resourceVersion=0`));
    assert.equal(stale.items.length, 3, 'nothing of the old store is left');
    assert.ok(Number(stale.metadata.resourceVersion) < Number(oldRevision));
    const again = await watchNow();
    await write(2);
    await assertWithoutGap(again, 3, 2);
    again.close();
  });

  test('a continue token from before the wipe does not show the new store as the old one', async () => {
    const page = JSON.parse((await ask(server.url, `${all}?limit=2`)).body.toString()) as {
      metadata: { continue: string };
    };
    const next = `${all}?limit=2&continue=${page.metadata.continue}`;
    const before = await ask(server.url, next, 20_000);
    await etcd.restart({ wipe: true });
    const answer = await ask(server.url, next, 20_000);
    // Until the cache has noticed, its history still holds the old revision: the old page is a right answer, too.
    if (answer.status === 200) assert.equal(answer.body.toString(), before.body.toString());
    else assert.ok([410, 500, 504, 429].includes(answer.status), `${answer.status} ${answer.body.toString()}`);
  });

  const expectedNames = () => Array.from({ length: written }, (_, index) => `c${String(index).padStart(5, '0')}`);
});

describe('several endpoints', () => {
  for (const order of ['first', 'last'] as const) {
    test(`a dead endpoint ${order} in the list`, async () => {
      await using etcd = await startEtcd();
      const kv = etcdKv(etcd.endpoint);
      await kv.put(configMapKey('ns', 'a'), configMap('ns', 'a'));
      const dead = `http://127.0.0.1:${await freePort()}`;
      const list = order === 'first' ? [dead, etcd.endpoint] : [etcd.endpoint, dead];
      const server = await startServer(['--etcd-servers', list.join(',')]);
      try {
        for (let round = 0; round < 5; round++) {
          await kv.put(configMapKey('ns', `b${round}`), configMap('ns', `b${round}`));
          const answer = await ask(server.url, all);
          assert.equal(answer.status, 200, answer.body.toString());
          assert.equal(namesOf(answer).length, round + 2);
          assert.equal((await ask(server.url, '/api/v1/namespaces/ns/configmaps/a')).status, 200);
        }
      } finally {
        assert.equal(await server.stop(), 0);
      }
    });
  }

  test('an endpoint that takes connections and says nothing', async () => {
    const { createServer } = await import('node:net');
    const mute = createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const address = mute.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    connect(port, '127.0.0.1').end(); // it does take connections
    await using etcd = await startEtcd();
    await etcdKv(etcd.endpoint).put(configMapKey('ns', 'a'), configMap('ns', 'a'));
    const server = await startServer(['--etcd-servers', `http://127.0.0.1:${port},${etcd.endpoint}`]);
    try {
      const answer = await eventually('a LIST', async () => {
        const list = await ask(server.url, all, 30_000);
        return list.status === 200 ? list : undefined;
      });
      assert.deepEqual(namesOf(answer), ['a']);
    } finally {
      assert.equal(await server.stop(), 0);
      mute.close();
    }
  });
});
