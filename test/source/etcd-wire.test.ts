import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { systemClock } from '../../src/lib/clock.js';
import { systemRandom } from '../../src/lib/random.js';
import { createEtcdSource } from '../../src/source/etcd/etcd-source.js';
import type { EtcdOptions } from '../../src/source/etcd/options.js';
import { encode } from '../../src/source/etcd/rpc.js';
import { SourceError, type WatchEnd } from '../../src/source/source.js';
import type { TestStore } from '../suites/source-suite.js';
import { type ScriptedEtcd, type ScriptedWatch, startScriptedEtcd } from '../support/scripted-etcd.js';
import { recordWatch } from '../support/watch-recorder.js';

const QUICK = { hangProbeMs: 200, hangTimeoutMs: 400, dialTimeoutMs: 1_000, progressAnswerMs: 600 } as const;

function wireTest(
  what: string,
  run: (etcd: ScriptedEtcd, store: TestStore, log: string[]) => Promise<void>,
  options: Partial<EtcdOptions> = {},
): void {
  test(`etcd client: ${what}`, { timeout: 30_000 }, async () => {
    const etcd = await startScriptedEtcd();
    const log: string[] = [];
    const store = createEtcdSource(
      { endpoints: [etcd.endpoint], ...QUICK, ...options },
      { clock: systemClock, random: systemRandom, log: (line) => log.push(line) },
    );
    try {
      await run(etcd, store, log);
    } finally {
      await store.close();
      await etcd[Symbol.asyncDispose]();
    }
  });
}

const header = (revision: number, clusterId = 1) => ({ cluster_id: clusterId, revision, raft_term: 2 });
const putAt = (key: string, mod_revision: number) => ({
  kv: { key: Buffer.from(key), mod_revision, create_revision: mod_revision },
});
const rangeAt = (revision: number, clusterId = 1) => encode('RangeResponse', { header: header(revision, clusterId) });

function isCut(end: WatchEnd, kind: SourceError['kind'], pattern: RegExp): void {
  assert.ok(end.kind === 'cut' && end.error.kind === kind && pattern.test(end.error.message), JSON.stringify(end));
}

async function rejects(kind: SourceError['kind'], pattern: RegExp, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof SourceError && error.kind === kind && pattern.test(error.message), String(error));
    return true;
  });
}

wireTest(
  'a watch is created with fragments and progress, without previous values, on a member with a leader',
  async (etcd, store) => {
    const opened = new Promise<ScriptedWatch>((resolve) => (etcd.watch = resolve));
    recordWatch(store, '/registry/pods/', 11);
    const { metadata, requests } = await opened;
    assert.deepEqual(metadata.get('hasleader'), ['true']);
    const request = requests[0]!['create_request'] as Record<string, unknown>;
    assert.equal(String(request['key']), '/registry/pods/');
    assert.equal(String(request['range_end']), '/registry/pods0');
    assert.equal(Number(request['start_revision']), 11);
    assert.deepEqual([request['progress_notify'], request['fragment'], request['prev_kv']], [true, true, false]);
  },
);

wireTest('a corrupt watch response ends the watch, and delivers nothing of it', async (etcd, store) => {
  etcd.watch = (watch) => {
    watch.send({ header: header(10), created: true });
    const good = encode('WatchResponse', { header: header(11), events: [putAt('/a', 11), putAt('/b', 11)] });
    watch.sendBytes(good.subarray(0, good.length - 1));
  };
  const recorder = recordWatch(store, '/', 11);
  isCut(await recorder.untilEnd(), 'corrupt', /cannot parse/);
  assert.equal(recorder.changeCount, 0);
});

wireTest('a corrupt or headless range response rejects', async (etcd, store) => {
  etcd.range = () => Buffer.from([0x12, 0x7f]);
  await rejects('corrupt', /cannot parse/, store.currentRevision());
  etcd.range = () => Buffer.alloc(0);
  await rejects('corrupt', /no header/, store.currentRevision());
  etcd.range = () => rangeAt(10);
  assert.equal(await store.currentRevision(), 10);
});

wireTest('events that were delivered before are dropped and logged', async (etcd, store, log) => {
  etcd.watch = (watch) => {
    watch.send({ header: header(10), created: true });
    watch.send({ header: header(12), events: [putAt('/a', 11), putAt('/b', 12)] });
    watch.send({ header: header(12), events: [putAt('/b', 12)] });
    watch.send({ header: header(13), events: [putAt('/b', 12), putAt('/c', 13)] });
  };
  const recorder = recordWatch(store, '/', 11);
  await recorder.untilRevision(13);
  assert.deepEqual(
    recorder.revisions.map(({ revision }) => revision),
    [11, 12, 13],
  );
  assert.equal(log.length, 2);
});

wireTest('progress between the fragments of a revision waits for the revision', async (etcd, store) => {
  etcd.watch = (watch) => {
    watch.send({ header: header(10), created: true });
    watch.send({ header: header(11), fragment: true, events: [putAt('/a', 11)] });
    void delay(50).then(() => {
      watch.send({ header: header(11), events: [putAt('/b', 11)] });
      watch.send({ header: header(9) }); // a lagging member: not news
      watch.send({ header: header(15), watch_id: -1 });
    });
  };
  const recorder = recordWatch(store, '/', 11);
  await recorder.until('progress', () => recorder.progress.length > 0);
  assert.deepEqual(recorder.progress, [15]);
  assert.deepEqual(
    recorder.revisions[0]!.changes.map(({ key }) => key),
    ['/a', '/b'],
  );
});

const endings: [what: string, end: (watch: ScriptedWatch) => void, check: (end: WatchEnd) => void][] = [
  [
    'the server ends the stream',
    (watch) => watch.end(),
    (end) => isCut(end, 'unavailable', /the server ended the watch/),
  ],
  [
    'the stream fails',
    (watch) => watch.end(status.UNAVAILABLE, 'etcdserver: no leader'),
    (end) => isCut(end, 'unavailable', /no leader/),
  ],
  [
    'canceled with a reason',
    (watch) => watch.send({ header: header(10), canceled: true, cancel_reason: 'etcdserver: permission denied' }),
    (end) => isCut(end, 'unauthenticated', /permission denied/),
  ],
  [
    'canceled without a reason',
    (watch) => watch.send({ header: header(10), canceled: true }),
    (end) => isCut(end, 'unavailable', /etcd canceled the watch/),
  ],
  [
    'canceled for compaction',
    (watch) => watch.send({ header: header(10), canceled: true, compact_revision: 20 }),
    (end) => assert.deepEqual(end, { kind: 'compacted', compactRevision: 20 }),
  ],
  [
    'another cluster id',
    (watch) => watch.send({ header: header(11, 2), events: [putAt('/a', 11)] }),
    (end) => assert.equal(end.kind, 'replaced'),
  ],
];
for (const [what, finish, check] of endings) {
  wireTest(`the watch ends: ${what}`, async (etcd, store) => {
    etcd.watch = (watch) => {
      watch.send({ header: header(10), created: true });
      finish(watch);
    };
    const recorder = recordWatch(store, '/', 11);
    check(await recorder.untilEnd());
    assert.equal(recorder.changeCount, 0);
  });
}

wireTest(
  'a watch ahead of its member is verified: a wiped store is replaced, a lagging member is not',
  async (etcd, store) => {
    etcd.range = () => rangeAt(100);
    assert.equal(await store.currentRevision(), 100);
    etcd.watch = (watch) => watch.send({ header: header(40), created: true });
    const lagging = recordWatch(store, '/', 101);
    await delay(200);
    assert.equal(lagging.end, undefined);
    etcd.range = () => rangeAt(40);
    const wiped = recordWatch(store, '/', 101);
    assert.equal((await wiped.untilEnd()).kind, 'replaced');
    assert.equal((await lagging.untilEnd()).kind, 'replaced', 'every watch ends');
  },
);

wireTest('a slow member is waited for, a hung one is not', async (etcd, store) => {
  etcd.range = () => undefined;
  let asked = 0;
  etcd.status = () => {
    asked++;
    return encode('StatusResponse', { version: '3.5.16' });
  };
  const slow = store.currentRevision();
  const slowWatch = recordWatch(store, '/', 1);
  await Promise.race([slow, delay(1_500)]);
  assert.ok(asked >= 2, 'its status was asked for');
  assert.equal(slowWatch.end, undefined);
  etcd.status = () => undefined;
  await rejects('unavailable', /does not answer/, slow);
  isCut(await slowWatch.untilEnd(), 'unavailable', /does not answer/);
});

wireTest('a probe fails within two seconds, whatever the request timeout', async (etcd, store) => {
  etcd.range = () => undefined;
  const startMs = systemClock.monotonicMs();
  await rejects('unavailable', /no answer within 2000 ms/, store.probe());
  assert.ok(systemClock.monotonicMs() - startMs < 4_000);
});

wireTest(
  'a request times out, and an aborted one rejects at once',
  async (etcd, store) => {
    etcd.range = () => undefined;
    await rejects('unavailable', /no answer within 500 ms/, store.currentRevision());
    const abort = new AbortController();
    const read = store.currentRevision(abort.signal);
    setImmediate(() => abort.abort());
    await rejects('closed', /gave up/, read);
  },
  { requestTimeoutMs: 500 },
);

wireTest('an unanswered progress request is repeated, then ends the watch', async (etcd, store) => {
  const opened = new Promise<ScriptedWatch>((resolve) => {
    etcd.watch = (watch) => {
      watch.send({ header: header(10), created: true });
      resolve(watch);
    };
  });
  const recorder = recordWatch(store, '/', 11);
  recorder.handle!.requestProgress(); // before the stream is open
  const { requests } = await opened;
  for (let call = 0; call < 50; call++) {
    recorder.handle!.requestProgress();
    await delay(5);
  }
  isCut(await recorder.untilEnd(), 'unavailable', /did not answer a progress request/);
  const count = requests.filter((request) => request['progress_request'] != null).length;
  assert.ok(count >= 2 && count < 15, `${count} requests: calls are coalesced`);
});

wireTest(
  'a message above the bound is a clear error',
  async (etcd, store) => {
    etcd.range = () =>
      encode('RangeResponse', {
        header: header(10),
        kvs: [{ key: Buffer.from('/a'), value: Buffer.alloc(5_000), mod_revision: 3 }],
      });
    await rejects('corrupt', /larger than max/, store.currentRevision());
  },
  { limits: { watchResponseBytesMax: 1_000, requestTimeoutMs: 5_000, progressRequestEveryMs: 100 } },
);

wireTest('progress is trusted when every version is known and new enough', async (etcd, store) => {
  assert.equal(await store.progressTrusted(), true);
  etcd.status = () => encode('StatusResponse', { version: '3.4.23' });
  assert.equal(await store.progressTrusted(), false);
  etcd.status = () => encode('StatusResponse', { version: 'unknown' });
  assert.equal(await store.progressTrusted(), false);
  let failures = 3;
  etcd.status = () =>
    failures-- > 0 ? { code: status.UNAVAILABLE, details: 'starting' } : encode('StatusResponse', { version: '3.6.0' });
  assert.equal(await store.progressTrusted(), true, 'a member that starts is asked again');
  etcd.status = () => ({ code: status.UNAVAILABLE, details: 'gone' });
  assert.equal(await store.progressTrusted(AbortSignal.timeout(300)), false);
});

wireTest('pages of lists take the place of earlier ones, and errors keep their texts', async (etcd, store) => {
  const request = { from: Buffer.from('/a'), to: Buffer.from('/b') };
  const keysOf = async (): Promise<string[]> => {
    const keys: string[] = [];
    const page = await store.fetch!(request);
    const at = page.visit(
      (bytes, from, to) => keys.push(Buffer.from(bytes.subarray(from, to)).toString()),
      0,
      Infinity,
    );
    assert.equal(at, undefined);
    assert.equal(Buffer.from(page.lastKey!).toString(), keys.at(-1));
    page.release!();
    assert.throws(() => page.visit(() => {}, 0, Infinity), /given back/);
    return keys;
  };
  for (let round = 0; round < 3; round++) {
    const kvs = [1, 2, 3].map((index) => ({
      key: Buffer.from(`/a/${round}/${index}`),
      value: Buffer.alloc(50_000, round),
      create_revision: 1,
      mod_revision: 2,
    }));
    etcd.range = () => encode('RangeResponse', { header: header(10 + round), kvs, count: 3 });
    assert.deepEqual(await keysOf(), [`/a/${round}/1`, `/a/${round}/2`, `/a/${round}/3`]);
  }
  etcd.range = () => ({ code: status.OUT_OF_RANGE, details: 'etcdserver: mvcc: required revision has been compacted' });
  await rejects('compacted', /required revision has been compacted/, store.fetch!(request));
  etcd.range = () => rangeAt(11);
  await rejects('replaced', /revision fell from 12 to 11/, store.fetch!(request));
  etcd.range = () => undefined;
  const gaveUp = new AbortController();
  const waiting = store.fetch!(request, gaveUp.signal);
  gaveUp.abort();
  await rejects('closed', /gave up/, waiting);
});
