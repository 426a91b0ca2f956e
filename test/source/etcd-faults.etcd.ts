import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { ModRevision } from '../../src/api/revision.js';
import { type RecordedRevision, recordWatch } from '../support/watch-recorder.js';
import type { TestStore } from '../suites/source-suite.js';
import {
  eventually,
  FIRST_ENDPOINT,
  faultTest,
  onceAvailable,
  portOf,
  proxyTo,
  put,
  QUICK,
  rejects,
  server,
  source,
  withEtcd,
} from './etcd-world.js';

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
    const ended = await eventually(async () => {
      const end = await recordWatch(store, '/w/', known.revision + 1).untilEnd();
      assert.notEqual(end.kind, 'cut');
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
  }),
);

faultTest('another cluster at the same address is noticed by its id, by reads and by watches', async () => {
  const [one, two] = await Promise.all([server(), server({ extraArgs: ['--initial-cluster-token', 'other'] })]);
  const proxy = await proxyTo(portOf(one));
  const store = source([`http://127.0.0.1:${proxy.port}`]);
  const other = source([two.endpoint]);
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
});

faultTest('endpoints fail over: one refuses connections, one swallows them', () =>
  withEtcd(async (etcd) => {
    const hole = await proxyTo(portOf(etcd));
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
      // A watch that starts at the bad endpoint ends, and the next one goes to the good one.
      const other = source([bad, etcd.endpoint], QUICK, FIRST_ENDPOINT);
      const cut = recordWatch(other, '/f/', revision);
      const end = await cut.untilEnd(10_000);
      assert.ok(end.kind === 'cut' && end.error.kind === 'unavailable', JSON.stringify(end));
      const next = recordWatch(other, '/f/', revision);
      await next.untilRevision(revision);
      next.handle!.close();
    }
  }),
);

/** A write is not repeated when it may have arrived; a read first finds the endpoint that answers. */
async function put2(store: TestStore, key: string): Promise<ModRevision> {
  await store.currentRevision();
  return put(store, key);
}

faultTest('no endpoint answers: every call fails in bounded time, and connection attempts do not spin', async () => {
  const closing = await proxyTo(1); // accepts, and closes at once because nothing listens behind it
  const store = source([`http://127.0.0.1:${closing.port}`, 'http://127.0.0.1:2'], QUICK);
  const startMs = Date.now();
  let failureCount = 0;
  while (Date.now() - startMs < 2_000) {
    await rejects('unavailable', store.currentRevision());
    assert.equal((await recordWatch(store, '/', 1).untilEnd()).kind, 'cut');
    failureCount++;
    await delay(5);
  }
  assert.ok(failureCount > 10, `${failureCount} failures`);
  assert.ok(closing.connectionCount < 60, `${closing.connectionCount} connections for ${2 * failureCount} calls`);
  assert.equal(await store.progressTrusted(AbortSignal.timeout(500)), false);
  await rejects('unavailable', store.probe());
});

faultTest('a paused etcd: reads and asked watches fail within seconds, and all works again afterwards', () =>
  withEtcd(
    async (etcd, store) => {
      const first = await put(store, '/p/a', '1');
      const idle = recordWatch(store, '/p/', first + 1);
      const asked = recordWatch(store, '/p/', first + 1);
      asked.handle!.requestProgress();
      await asked.until('progress', () => asked.progress.length > 0);
      await etcd.pause();
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
  const etcd = await server();
  const proxy = await proxyTo(portOf(etcd));
  const store = source([`http://127.0.0.1:${proxy.port}`], { progressIntervalMs: 400 });
  const recorder = recordWatch(store, '/', 2);
  await put(store, '/a');
  await recorder.untilRevision(2);
  proxy.swallows = true;
  const end = await recorder.untilEnd(5_000);
  assert.ok(end.kind === 'cut' && /silent/.test(end.error.message), JSON.stringify(end));
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
