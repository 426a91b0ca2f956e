import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ChannelCredentials, Client, Metadata } from '@grpc/grpc-js';
import { generate } from 'selfsigned';
import type { ModRevision } from '../../src/api/revision.js';
import { systemClock } from '../../src/lib/clock.js';
import { type Random, systemRandom } from '../../src/lib/random.js';
import { createEtcdSource } from '../../src/source/etcd/etcd-source.js';
import type { EtcdOptions } from '../../src/source/etcd/options.js';
import { encode, METHODS } from '../../src/source/etcd/rpc.js';
import { skimWatchResponse, WatchSkim } from '../../src/source/etcd/skim.js';
import { SourceError } from '../../src/source/source.js';
import { sourceSuite, type TestStore } from '../suites/source-suite.js';
import { type Etcd, type EtcdOptions as ServerOptions, startEtcd } from '../support/etcd.js';
import { startTcpProxy } from '../support/tcp-proxy.js';
import { type RecordedRevision, recordWatch } from '../support/watch-recorder.js';

let shared: Promise<Etcd> | undefined;
after(async () => (await shared)?.stop());

sourceSuite('etcd', async () => {
  shared ??= startEtcd();
  const store = source([(await shared).endpoint]);
  return { store, dispose: () => store.close() };
});

const QUICK = { hangProbeMs: 300, hangTimeoutMs: 700, progressAnswerMs: 1_500 } as const;
const FIRST_ENDPOINT: Random = { ...systemRandom, int: () => 0 };

function source(endpoints: readonly string[], options: Partial<EtcdOptions> = {}, random = systemRandom): TestStore {
  return createEtcdSource({ endpoints, ...options }, { clock: systemClock, random });
}

function put(store: TestStore, key: string, value = ''): Promise<ModRevision> {
  return store.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from(value) }]);
}

async function withEtcd(
  run: (etcd: Etcd, store: TestStore) => Promise<void>,
  options: ServerOptions = {},
  sourceOptions: Partial<EtcdOptions> = {},
): Promise<void> {
  const etcd = await startEtcd(options);
  const store = source([etcd.endpoint], sourceOptions);
  try {
    await run(etcd, store);
  } finally {
    await store.close();
    await etcd.stop();
  }
}

function faultTest(what: string, run: () => Promise<void>): void {
  test(`etcd: ${what}`, { timeout: 120_000 }, run);
}

async function rejects(kind: SourceError['kind'], promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof SourceError, `not a SourceError: ${error}`);
    assert.equal(error.kind, kind, error.message);
    return true;
  });
}

/** Tries until it succeeds: etcd comes back after a restart, and connections with it. */
async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 20_000): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

/** Repeats while the store is unavailable; any other outcome is the result. */
async function onceAvailable<T>(attempt: () => Promise<T>, timeoutMs = 20_000): Promise<T> {
  const deadlineMs = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const isUnavailable = error instanceof SourceError && error.kind === 'unavailable';
      if (!isUnavailable || Date.now() > deadlineMs) throw error;
      await delay(50);
    }
  }
}

/** Watches again from the next revision after every cut, as a reflector does. */
async function follow(store: TestStore, prefix: string, from: ModRevision, until: () => ModRevision | undefined) {
  const revisions: RecordedRevision[] = [];
  let cutCount = 0;
  let next = from;
  const deadlineMs = Date.now() + 60_000;
  for (;;) {
    assert.ok(Date.now() < deadlineMs, `followed to ${next - 1} only`);
    const recorder = recordWatch(store, prefix, next);
    const isDone = () => (until() ?? Number.POSITIVE_INFINITY) <= recorder.committed;
    const poll = setInterval(() => {
      if (isDone()) recorder.handle!.close();
    }, 20);
    const end = await recorder.untilEnd(60_000).finally(() => clearInterval(poll));
    revisions.push(...recorder.revisions);
    next = Math.max(next, recorder.committed + 1);
    if (end.kind === 'closed' || (until() ?? Number.POSITIVE_INFINITY) < next) return { revisions, cutCount };
    assert.equal(end.kind, 'cut', JSON.stringify(end));
    cutCount++;
    await delay(50);
  }
}

faultTest('kill -9 and restart, three times: a follower misses nothing and sees nothing twice', () =>
  withEtcd(async (etcd, store) => {
    const start = await store.currentRevision();
    let last: ModRevision | undefined;
    const following = follow(store, '/k/', start + 1, () => last);
    const writer = source([etcd.endpoint]);
    for (let round = 0; round < 3; round++) {
      for (let index = 0; index < 200; index++)
        await eventually(() => put(writer, `/k/${index % 20}`, `${round} ${index}`));
      await etcd.restart();
    }
    last = await eventually(() => put(writer, '/k/end'));
    const { revisions, cutCount } = await following;
    assert.ok(cutCount >= 3, `cut ${cutCount} times`);
    const history = recordWatch(store, '/k/', start + 1);
    await history.untilRevision(last);
    assert.deepEqual(revisions, history.revisions);
    assert.ok(revisions.length > 600);
    await writer.close();
  }),
);

faultTest('a cut watch resumes when compaction is behind it, and is told when compaction is past it', () =>
  withEtcd(async (etcd, store) => {
    const first = await put(store, '/c/a', '1');
    const recorder = recordWatch(store, '/c/', first);
    await recorder.untilRevision(first);
    await etcd.kill();
    const end = await recorder.untilEnd();
    assert.equal(end.kind, 'cut');
    assert.ok(end.kind === 'cut' && end.error.kind === 'unavailable');
    await etcd.restart();
    const second = await eventually(() => put(store, '/c/a', '2'));
    await store.compact(first);
    const resumed = recordWatch(store, '/c/', first + 1);
    await resumed.untilRevision(second);
    assert.equal(resumed.revisions.length, 1);
    resumed.handle!.close();
    const third = await put(store, '/c/a', '3');
    await store.compact(third);
    assert.deepEqual(await recordWatch(store, '/c/', first + 1).untilEnd(), {
      kind: 'compacted',
      compactRevision: third,
    });
  }),
);

faultTest('restarted on wiped data: reads reject with replaced once, every watch ends, then all is new', () =>
  withEtcd(async (etcd, store) => {
    for (let index = 0; index < 10; index++) await put(store, `/w/${index}`);
    const known = await store.range({ from: Buffer.from('/w/'), to: Buffer.from('/w0') }, () => {});
    assert.equal(known.count, 10);
    await etcd.restart({ wipe: true });
    // The first watch after the cut is on the future of another store; it must not wait there in silence.
    const recorder = recordWatch(store, '/w/', known.revision + 1);
    const ended = await eventually(async () => {
      const end = await recorder.untilEnd();
      if (end.kind === 'cut') return recordWatch(store, '/w/', known.revision + 1).untilEnd();
      return end;
    });
    assert.equal(ended.kind, 'replaced');
    const fresh = await eventually(() => store.range({ from: Buffer.from('/w/'), to: Buffer.from('/w0') }, () => {}));
    assert.equal(fresh.count, 0);
    assert.equal(fresh.generation, known.generation! + 1);
    for (let index = 0; index < 20; index++) await put(store, `/w/${index}`); // beyond the old revisions
    const stale = recordWatch(store, '/w/', known.revision + 1, { generation: known.generation });
    assert.equal((await stale.untilEnd()).kind, 'replaced');
    const recent = recordWatch(store, '/w/', fresh.revision + 1, { generation: fresh.generation });
    await recent.until('twenty', () => recent.revisions.length === 20);
    recent.handle!.close();
  }),
);

faultTest('wiped and written beyond the old revisions: the raft term tells', () =>
  withEtcd(async (etcd, store) => {
    await etcd.restart(); // raises the term
    await eventually(() => put(store, '/t/a'));
    await etcd.restart({ wipe: true });
    const other = source([etcd.endpoint]);
    for (let index = 0; index < 20; index++) await eventually(() => put(other, `/t/${index}`));
    await rejects(
      'replaced',
      onceAvailable(() => store.currentRevision()),
    );
    await other.close();
  }),
);

faultTest('another cluster at the same address is noticed by its id, by reads and by watches', async () => {
  const [one, two] = await Promise.all([startEtcd(), startEtcd({ extraArgs: ['--initial-cluster-token', 'other'] })]);
  const proxy = await startTcpProxy(portOf(one));
  const store = source([`http://127.0.0.1:${proxy.port}`]);
  const other = source([two.endpoint]);
  try {
    await put(store, '/a');
    for (let index = 0; index < 10; index++) await put(other, `/b/${index}`); // ahead, so revisions do not tell
    const recorder = recordWatch(store, '/', 3);
    await delay(200);
    proxy.target = portOf(two);
    proxy.cut();
    assert.equal((await recorder.untilEnd()).kind, 'cut');
    const again = await eventually(async () => {
      const end = await recordWatch(store, '/', 3).untilEnd();
      assert.notEqual(end.kind, 'cut');
      return end;
    });
    assert.equal(again.kind, 'replaced');
    assert.equal(await store.currentRevision(), await other.currentRevision());
    proxy.target = portOf(one);
    proxy.cut();
    await rejects(
      'replaced',
      onceAvailable(() => store.currentRevision()),
    );
    assert.equal(await store.currentRevision(), 2);
  } finally {
    await Promise.all([store.close(), other.close()]);
    await proxy[Symbol.asyncDispose]();
    await Promise.all([one.stop(), two.stop()]);
  }
});

faultTest('endpoints fail over: one refuses connections, one swallows them', () =>
  withEtcd(async (etcd) => {
    const hole = await startTcpProxy(portOf(etcd));
    hole.swallows = true;
    for (const bad of ['http://127.0.0.1:1', `http://127.0.0.1:${hole.port}`]) {
      const store = source([bad, etcd.endpoint], QUICK, FIRST_ENDPOINT);
      const startMs = Date.now();
      const revision = await put2(store, '/f/a');
      assert.ok(Date.now() - startMs < 10_000, `${bad}: ${Date.now() - startMs} ms`);
      // From now on the good one is preferred.
      const againMs = Date.now();
      await store.currentRevision();
      assert.ok(Date.now() - againMs < 500);
      const recorder = recordWatch(store, '/f/', revision);
      await recorder.untilRevision(revision);
      recorder.handle!.close();
      await store.close();
      // A watch that starts at the bad endpoint ends, and the next one goes to the good one.
      const other = source([bad, etcd.endpoint], QUICK, FIRST_ENDPOINT);
      const cut = recordWatch(other, '/f/', revision);
      const end = await cut.untilEnd(10_000);
      assert.ok(end.kind === 'cut' && end.error.kind === 'unavailable', JSON.stringify(end));
      const next = recordWatch(other, '/f/', revision);
      await next.untilRevision(revision);
      next.handle!.close();
      await other.close();
    }
    await hole[Symbol.asyncDispose]();
  }),
);

/** A write is not repeated when it may have arrived; a read first finds the endpoint that answers. */
async function put2(store: TestStore, key: string): Promise<ModRevision> {
  await store.currentRevision();
  return put(store, key);
}

faultTest('no endpoint answers: every call fails in bounded time, and connection attempts do not spin', async () => {
  const hole = await startTcpProxy(1);
  hole.swallows = true;
  const store = source(['http://127.0.0.1:1', 'http://127.0.0.1:2'], QUICK);
  let failures = 0;
  const startMs = Date.now();
  while (Date.now() - startMs < 1_000) {
    await rejects('unavailable', store.currentRevision());
    failures++;
    await delay(5);
  }
  assert.ok(failures > 10);
  assert.equal(await store.progressTrusted(AbortSignal.timeout(500)), false);
  await rejects('unavailable', store.probe());
  await store.close();
  await hole[Symbol.asyncDispose]();
});

faultTest('a paused etcd: reads and asked watches fail within seconds, and all works again afterwards', () =>
  withEtcd(
    async (etcd, store) => {
      const first = await put(store, '/p/a', '1');
      const idle = recordWatch(store, '/p/', first + 1);
      const asked = recordWatch(store, '/p/', first + 1);
      asked.handle!.requestProgress();
      await asked.until('progress', () => asked.progress.length > 0);
      etcd.pause();
      const startMs = Date.now();
      asked.handle!.requestProgress();
      await Promise.all([
        rejects('unavailable', store.currentRevision()),
        rejects('unavailable', store.probe()),
        asked.untilEnd(5_000).then((end) => assert.ok(end.kind === 'cut' && end.error.kind === 'unavailable')),
        recordWatch(store, '/p/', first)
          .untilEnd(5_000)
          .then((end) => assert.equal(end.kind, 'cut')),
      ]);
      assert.ok(Date.now() - startMs < 5_000);
      etcd.resume();
      const second = await eventually(() => put(store, '/p/a', '2'));
      const recorder = recordWatch(store, '/p/', first);
      await recorder.untilRevision(second);
      recorder.handle!.close();
      // The idle watch may have survived or have been cut, but it has not skipped anything.
      await idle.until('the put or the end', () => idle.revisions.length > 0 || idle.end !== undefined);
      idle.handle!.close();
    },
    {},
    QUICK,
  ),
);

faultTest('a silent stream is replaced after two progress intervals', async () => {
  const etcd = await startEtcd();
  const proxy = await startTcpProxy(portOf(etcd));
  const store = source([`http://127.0.0.1:${proxy.port}`], { progressIntervalMs: 400 });
  const recorder = recordWatch(store, '/', 2);
  await put(store, '/a');
  await recorder.untilRevision(2);
  proxy.swallows = true;
  const end = await recorder.untilEnd(5_000);
  assert.ok(end.kind === 'cut' && /silent/.test(end.error.message), JSON.stringify(end));
  await store.close();
  await proxy[Symbol.asyncDispose]();
  await etcd.stop();
});

faultTest('etcd’s own progress notifications arrive', () =>
  withEtcd(
    async (_, store) => {
      const recorder = recordWatch(store, '/seen/', 2);
      const revision = await put(store, '/elsewhere');
      await recorder.until('progress', () => (recorder.progress.at(-1) ?? 0) >= revision);
      recorder.handle!.close();
    },
    { extraArgs: ['--experimental-watch-progress-notify-interval', '300ms'] },
  ),
);

faultTest('a revision larger than a response arrives in fragments and is delivered whole', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'listwatch-fragments-'));
  try {
    const big = await startEtcd({ dataDir, extraArgs: ['--max-request-bytes', String(32 * 2 ** 20)] });
    const writer = source([big.endpoint]);
    const value = Buffer.alloc(400_000, 'x');
    const write = (prefix: string) =>
      writer.write(
        Array.from({ length: 40 }, (_, index) => ({ type: 'put', key: Buffer.from(`${prefix}${index}`), value })),
      );
    const before = await put(writer, '/big/before');
    const large = await write('/big/');
    await put(writer, '/big/between');
    const second = await write('/big/');
    const last = await put(writer, '/big/after');
    await writer.close();
    await big.stop();
    // With the default bound on requests, responses of more than about 2 MB are cut into fragments.
    const etcd = await startEtcd({ dataDir });
    assert.ok((await countFragments(etcd.endpoint, before, last)) > 10);
    const store = source([etcd.endpoint]);
    for (const start of [before, large, second]) {
      const recorder = recordWatch(store, '/big/', start, { keepsValues: false });
      await recorder.untilRevision(last);
      const counts = new Map(recorder.revisions.map(({ revision, changes }) => [revision, changes.length]));
      assert.equal(counts.get(second), 40);
      if (start <= large) assert.equal(counts.get(large), 40);
      assert.equal(counts.size, last - start + 1);
      recorder.handle!.close();
    }
    // A bound below the size of one revision is a clear error, not an endless wait.
    const bounded = source([etcd.endpoint], {
      limits: { watchResponseBytesMax: 4 * 2 ** 20, requestTimeoutMs: 10_000, progressRequestEveryMs: 100 },
    });
    const refused = await recordWatch(bounded, '/big/', large).untilEnd();
    assert.ok(refused.kind === 'cut' && /larger than/.test(refused.error.message), JSON.stringify(refused));
    await bounded.close();
    await store.close();
    await etcd.stop();
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

/** Watches without our client, and counts responses that say they continue. */
async function countFragments(endpoint: string, from: ModRevision, to: ModRevision): Promise<number> {
  const client = new Client(endpoint.replace('http://', ''), ChannelCredentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
  });
  const same = (bytes: Buffer) => bytes;
  const stream = client.makeBidiStreamRequest(METHODS.watch, same, same, new Metadata());
  const skim = new WatchSkim();
  let count = 0;
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('data', (bytes: Buffer) => {
      skimWatchResponse(bytes, skim);
      if (skim.fragment) count++;
      if (skim.eventCount > 0 && skim.events[(skim.eventCount - 1) * 7 + 6] === to) resolve();
    });
    const create_request = {
      key: Buffer.from('/big/'),
      range_end: Buffer.from('/big0'),
      start_revision: from,
      fragment: true,
    };
    stream.write(encode('WatchRequest', { create_request }));
  });
  stream.on('error', () => {});
  stream.cancel();
  client.close();
  return count;
}

faultTest('an expired lease with many keys is one revision, however many responses it takes', () =>
  withEtcd(async (_, store) => {
    const lease = await store.grantLease(2);
    const padding = 'k'.repeat(1_000);
    for (let batch = 0; batch < 4_000; batch += 100) {
      await store.write(
        Array.from({ length: 100 }, (_item, index) => ({
          type: 'put',
          key: Buffer.from(`/l/${batch + index}/${padding}`),
          value: Buffer.alloc(0),
          lease,
        })),
      );
    }
    const recorder = recordWatch(store, '/l/', 1 + (await store.currentRevision()));
    await store.revokeLease(lease);
    await recorder.until('the deletes', () => recorder.revisions.length > 0);
    assert.equal(recorder.revisions.length, 1);
    assert.equal(recorder.revisions[0]!.changes.length, 4_000);
    recorder.handle!.close();
  }),
);

faultTest('TLS with client certificates, from files and from text', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listwatch-tls-'));
  const extension = (cA: boolean) => [
    { name: 'basicConstraints' as const, cA, critical: true },
    { name: 'keyUsage' as const, digitalSignature: true, keyCertSign: cA },
    ...(cA ? [] : [{ name: 'extKeyUsage' as const, serverAuth: true, clientAuth: true }]),
    ...(cA ? [] : [{ name: 'subjectAltName' as const, altNames: [{ type: 7 as const, ip: '127.0.0.1' }] }]),
  ];
  const make = async (name: string, ca?: { key: string; cert: string }) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: extension(ca === undefined),
      ...(ca === undefined ? {} : { ca }),
    });
    const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
    writeFileSync(files.certFile, cert);
    writeFileSync(files.keyFile, key);
    return { cert, key, ...files };
  };
  const ca = await make('ca');
  const server = await make('server', ca);
  const client = await make('client', ca);
  const stranger = await make('stranger');
  const etcd = await startEtcd({ tls: { certFile: server.certFile, keyFile: server.keyFile, caFile: ca.certFile } });
  try {
    const files = { caFile: ca.certFile, certFile: client.certFile, keyFile: client.keyFile };
    const texts = { caFile: ca.cert, certFile: client.cert, keyFile: client.key };
    for (const [endpoint, options] of [
      [etcd.endpoint, files],
      [etcd.endpoint.replace('https://', ''), texts], // TLS follows from the files
    ] as const) {
      const store = source([endpoint], options);
      const revision = await put(store, '/tls/a', '1');
      const recorder = recordWatch(store, '/tls/', revision);
      await recorder.untilRevision(revision);
      assert.equal(await store.progressTrusted(), true);
      await store.close();
    }
    for (const [what, options] of [
      ['no client certificate', { caFile: ca.certFile }],
      ['a client certificate of another CA', { ...files, certFile: stranger.certFile, keyFile: stranger.keyFile }],
      ['another CA for the server', { ...files, caFile: stranger.certFile }],
    ] as const) {
      const store = source([etcd.endpoint], { ...options, requestTimeoutMs: 5_000 });
      await assert.rejects(store.currentRevision(), (error) => {
        assert.ok(error instanceof SourceError && error.kind === 'unauthenticated', `${what}: ${error}`);
        return true;
      });
      const end = await recordWatch(store, '/', 1).untilEnd();
      assert.ok(end.kind === 'cut' && end.error.kind === 'unauthenticated', `${what}: ${JSON.stringify(end)}`);
      await store.close();
    }
    assert.throws(
      () => source([etcd.endpoint], { ...files, caFile: join(folder, 'missing') }),
      /cannot read the CA certificate/,
    );
  } finally {
    await etcd.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

faultTest('user and password: wrong ones are refused, expired tokens are renewed, rights are kept', () =>
  withEtcd(
    async (etcd, open) => {
      await put(open, '/registry/a');
      const gateway = async (path: string, body: object) => {
        const response = await fetch(`${etcd.endpoint}/v3/auth/${path}`, {
          method: 'POST',
          body: JSON.stringify(body),
        });
        assert.equal(response.status, 200, await response.text());
      };
      const early = source([etcd.endpoint], { user: 'reader', password: 'secret' });
      await early.currentRevision(); // credentials, and a store that asks for none
      await early.close();
      await gateway('user/add', { name: 'root', password: 'root' });
      await gateway('user/grant', { user: 'root', role: 'root' });
      await gateway('user/add', { name: 'reader', password: 'secret' });
      await gateway('role/add', { name: 'registry' });
      const range = { key: btoa('/registry/'), range_end: btoa('/registry0'), permType: 'READWRITE' };
      await gateway('role/grant', { name: 'registry', perm: range });
      await gateway('user/grant', { user: 'reader', role: 'registry' });
      await gateway('enable', {});

      const store = source([etcd.endpoint], { user: 'reader', password: 'secret' });
      const revision = await put(store, '/registry/b');
      const recorder = recordWatch(store, '/registry/', revision);
      await recorder.untilRevision(revision);
      await store.probe();
      await rejects('unauthenticated', put(store, '/elsewhere'));
      const denied = await recordWatch(store, '/elsewhere', 1).untilEnd();
      assert.ok(denied.kind === 'cut' && denied.error.kind === 'unauthenticated', JSON.stringify(denied));
      await delay(3_500); // the token expires
      await store.currentRevision();
      await delay(3_500);
      const resumed = await eventually(async () => {
        const again = recordWatch(store, '/registry/', revision);
        await again.until('events or the end', () => again.revisions.length > 0 || again.end !== undefined);
        assert.equal(again.end, undefined);
        return again;
      });
      resumed.handle!.close();
      await store.close();

      for (const wrong of [{ user: 'reader', password: 'no' }, { user: 'nobody', password: 'secret' }, {}]) {
        const refused = source([etcd.endpoint], wrong);
        await rejects(
          'unauthenticated',
          refused.range({ from: Buffer.from('/registry/'), to: Buffer.from('/registry0') }, () => {}),
        );
        const end = await recordWatch(refused, '/registry/', 1).untilEnd();
        assert.ok(end.kind === 'cut' && end.error.kind === 'unauthenticated', JSON.stringify(end));
        await refused.close();
      }
    },
    { extraArgs: ['--auth-token-ttl', '1'] },
  ),
);

faultTest('watches are spread over connections, one watch each', () =>
  withEtcd(
    async (etcd, store) => {
      const recorders = Array.from({ length: 6 }, (_, index) => recordWatch(store, `/s/${index}/`, 2));
      for (let index = 0; index < 6; index++) await put(store, `/s/${index}/a`);
      for (const recorder of recorders) await recorder.until('its event', () => recorder.revisions.length === 1);
      const metrics = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
      assert.match(metrics, /etcd_debugging_mvcc_watcher_total 6\n/);
      assert.match(metrics, /etcd_debugging_mvcc_watch_stream_total 6\n/);
      for (const recorder of recorders) recorder.handle!.close();
      await eventually(async () => {
        const later = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
        assert.match(later, /etcd_debugging_mvcc_watcher_total 0\n/);
      });
    },
    {},
    { connections: 3 },
  ),
);

function portOf(etcd: Etcd): number {
  return Number(new URL(etcd.endpoint).port);
}
