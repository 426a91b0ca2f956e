import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Source, WatchHandle } from '../../src/source/source.js';
import { SourceError } from '../../src/source/source.js';
import {
  configMaps,
  createWorld,
  events,
  failureOf,
  get,
  leases,
  list,
  nodes,
  pods,
  TestWatch,
  okOf,
} from './world.js';

/** The embedded store behind a line that can be cut: every request then fails, and watches end. */
function cuttable() {
  let down = false;
  let trusted = true;
  const watches = new Set<() => void>();
  const check = () => {
    if (down) throw new SourceError('unavailable', 'connection refused');
  };
  return {
    cut() {
      down = true;
      for (const end of [...watches]) end();
    },
    mend() {
      down = false;
    },
    distrustProgress() {
      trusted = false;
    },
    ranges: 0,
    wrap(store: Source): Source {
      return {
        name: 'embedded behind a line',
        range: async (...args) => {
          check();
          this.ranges++;
          return store.range(...args);
        },
        currentRevision: async (signal) => {
          check();
          return store.currentRevision(signal);
        },
        watch(request, handler): WatchHandle {
          let over = false;
          const end = () => {
            if (over) return;
            over = true;
            watches.delete(end);
            handle?.close();
            handler.ended({ kind: 'cut', error: new SourceError('unavailable', 'connection reset') });
          };
          const handle: WatchHandle | undefined = store.watch(request, {
            change: (...args) => over || handler.change(...args),
            commit: (revision) => over || handler.commit(revision),
            progress: (revision) => over || handler.progress(revision),
            ended(reason) {
              watches.delete(end);
              if (!over) handler.ended(reason);
              over = true;
            },
          });
          watches.add(end);
          if (down) queueMicrotask(end);
          return handle;
        },
        progressTrusted: async () => {
          check();
          return trusted;
        },
        probe: async () => check(),
        close: () => store.close(),
      };
    },
  };
}

const limits = { freshWaitMs: 80, backoffMinMs: 5, backoffMaxMs: 20 };

test('store out of reach: stale reads go on, reads that promise freshness fail as upstream', async () => {
  const line = cuttable();
  await using world = createWorld({ limits, source: (store) => line.wrap(store) });
  await world.put(pods, { metadata: { namespace: 'd', name: 'a' } });
  const reader = world.cached.reader(pods);
  const watch = await TestWatch.open(reader, 'watch=1');
  await watch.count(1);
  line.cut();
  const timeout = (operation: string) => ({ kind: 'serverTimeout', group: '', resource: 'pods', operation });
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(okOf(await list(reader, 'resourceVersion=0')).names, ['d/a@2']);
    assert.deepEqual(okOf(await list(reader, 'resourceVersion=2')).names, ['d/a@2']);
    assert.deepEqual(okOf(await list(reader, 'resourceVersion=2&limit=1')).names, ['d/a@2']);
    assert.deepEqual(await get(reader, 'a', 'd', '0'), { ok: true, value: 'd/a@2' });
    assert.deepEqual(failureOf(await list(reader)), timeout('list'));
    assert.deepEqual(failureOf(await get(reader, 'a', 'd')), timeout('get'));
    assert.deepEqual(failureOf(await list(world.direct.reader(pods))), timeout('list'));
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const answer = okOf(
    await reader.list({ namespace: undefined, options: optionsAny, signal: new AbortController().signal }),
  );
  assert.ok(answer.staleMs >= 60, `the age of the answer is said: ${answer.staleMs} ms`);
  answer[Symbol.dispose]();
  assert.equal(watch.ended, false, 'open watches stay open');
  await world.put(pods, { metadata: { namespace: 'd', name: 'b' } });
  line.mend();
  assert.deepEqual(await watch.count(2), ['ADDED d/a@2', 'ADDED d/b@3']);
  assert.deepEqual(okOf(await list(reader)).names, ['d/a@2', 'd/b@3']);
  watch.close();
});

const optionsAny = {
  watch: false,
  labelSelector: [],
  fieldSelector: [],
  resourceVersion: '0',
  resourceVersionMatch: '',
  limit: 0,
  continue: '',
  timeoutSeconds: undefined,
  allowWatchBookmarks: false,
  sendInitialEvents: undefined,
  shardSelector: '',
} as const;

test('cache not ready: pages and GETs come from the store, other lists and watches are told to wait', async () => {
  const line = cuttable();
  await using world = createWorld({ limits, source: (store) => line.wrap(store) });
  await world.put(pods, { metadata: { namespace: 'd', name: 'a' } });
  line.cut();
  const reader = world.cached.reader(pods);
  for (const query of ['resourceVersion=0', 'resourceVersion=2', 'resourceVersion=0&limit=1&labelSelector=a']) {
    const failure = failureOf(await list(reader, query));
    assert.equal(failure.kind, 'initializing');
    assert.equal(failure.retryAfterSeconds, 1);
    assert.match(failure.lastError ?? '', /connection refused/);
  }
  assert.equal(failureOf(await list(reader, 'limit=1')).kind, 'serverTimeout');
  line.mend();
  const ranges = line.ranges;
  assert.deepEqual(await get(reader, 'a', 'd', '0'), { ok: true, value: 'd/a@2' });
  assert.ok(line.ranges > ranges || world.cacheOf(pods).state === 'ready');
  assert.deepEqual(okOf(await list(reader)).names, ['d/a@2']);
});

test('a direct watch survives a cut without a gap or a duplicate', async () => {
  const line = cuttable();
  await using world = createWorld({ limits, source: (store) => line.wrap(store) });
  const watch = await TestWatch.open(world.direct.reader(configMaps), 'watch=1&resourceVersion=1');
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'a' } });
  await watch.count(1);
  line.cut();
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'b' } });
  await new Promise((resolve) => setTimeout(resolve, 20));
  line.mend();
  await world.put(configMaps, { metadata: { namespace: 'd', name: 'c' } });
  assert.deepEqual(await watch.count(3), ['ADDED d/a@2', 'ADDED d/b@3', 'ADDED d/c@4']);
  watch.close();
});

test('progress not trusted: the most recent state is read from the store, other reads from the cache', async () => {
  const line = cuttable();
  line.distrustProgress();
  await using world = createWorld({ limits, source: (store) => line.wrap(store) });
  await world.put(pods, { metadata: { namespace: 'd', name: 'a' } });
  const reader = world.cached.reader(pods);
  okOf(await list(reader, 'resourceVersion=0'));
  const before = line.ranges;
  okOf(await list(reader, 'resourceVersion=0'));
  assert.equal(line.ranges, before);
  okOf(await list(reader));
  okOf(await get(reader, 'a', 'd'));
  assert.equal(line.ranges, before + 2);
  const watch = await TestWatch.open(reader, 'watch=1&allowWatchBookmarks=1');
  const [error] = await watch.finished();
  assert.match(error!, /^ERROR .*RequestWatchProgress is disabled/);
  // The server's own watches, of CustomResourceDefinitions and of roles, have nobody to tell them to LIST.
  const state = 'watch=1&allowWatchBookmarks=1&sendInitialEvents=1&resourceVersion=0&resourceVersionMatch=NotOlderThan';
  const own = await TestWatch.open(reader, state, undefined, false, { ofServer: true });
  assert.match((await own.count(2)).join(), /^ADDED d\/a@\d+,BOOKMARK/);
  own.close();
});

test('GETs that wait share one question for the revision', async () => {
  let questions = 0;
  await using world = createWorld({
    source: (store) =>
      new Proxy(store, {
        get(target, property) {
          if (property === 'currentRevision') questions++;
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }),
  });
  await world.put(nodes, { metadata: { name: 'n' } });
  const reader = world.cached.reader(nodes);
  await list(reader);
  questions = 0;
  const answers = await Promise.all(Array.from({ length: 200 }, () => get(reader, 'n')));
  for (const answer of answers) assert.deepEqual(answer, { ok: true, value: 'n@2' });
  assert.ok(questions <= 2, `${questions} questions for 200 GETs`);
});

test('a GET sees every write that finished before it', async () => {
  await using world = createWorld();
  const reader = world.cached.reader(leases);
  await list(reader);
  for (let step = 0; step < 100; step++) {
    const revision = await world.put(leases, {
      metadata: { namespace: 'd', name: 'l' },
      spec: { leaseTransitions: step },
    });
    assert.deepEqual(await get(reader, 'l', 'd'), { ok: true, value: `d/l@${revision}` });
    const listed = okOf(await list(reader));
    assert.deepEqual(listed.names, [`d/l@${revision}`]);
    assert.ok(Number(listed.resourceVersion) >= revision);
  }
});

test('GET: missing objects, future versions and bad names', async () => {
  await using world = createWorld({ limits });
  await world.put(pods, { metadata: { namespace: 'd', name: 'a' } });
  for (const way of ['cached', 'direct'] as const) {
    const reader = world[way].reader(pods);
    okOf(await list(reader));
    const missing = { kind: 'notFound', group: '', resource: 'pods', name: 'x' };
    for (const at of ['', '0', '2']) assert.deepEqual(failureOf(await get(reader, 'x', 'd', at)), missing);
    const retry = way === 'cached' ? { retryAfterSeconds: 1 } : {};
    const tooLarge = { kind: 'versionTooLarge', requested: 9n, current: 2, ...retry };
    assert.deepEqual(failureOf(await get(reader, 'a', 'd', '9')), tooLarge);
    assert.deepEqual(failureOf(await get(reader, '..', 'd')), {
      kind: 'badRequest',
      message: `Name parameter invalid: "..": may not be '..'`,
    });
    assert.deepEqual(failureOf(await get(reader, 'a%/b', 'd')), {
      kind: 'badRequest',
      message: `Name parameter invalid: "a%/b": may not contain '/';may not contain '%'`,
    });
  }
});

test('a request whose client is gone ends at once', async () => {
  await using world = createWorld();
  const reader = world.cached.reader(pods);
  okOf(await list(reader));
  const over = new AbortController();
  const waiting = list(reader, 'resourceVersion=99', undefined, over.signal);
  over.abort();
  assert.deepEqual(failureOf(await waiting), { kind: 'deadline' });
  assert.deepEqual(failureOf(await list(reader, '', undefined, over.signal)), { kind: 'deadline' });
});

test('events are not cached unless the flag says so', async () => {
  await using world = createWorld();
  assert.equal(world.cached.isCached(events), false);
  assert.equal(world.cached.isCached(pods), true);
  assert.equal(world.direct.isCached(pods), false);
  await world.put(events, {
    metadata: { namespace: 'd', name: 'e' },
    involvedObject: { kind: 'Pod', name: 'a' },
    reason: 'Started',
  });
  const reader = world.cached.reader(events);
  assert.deepEqual(okOf(await list(reader, 'fieldSelector=involvedObject.name%3Da,reason%3DStarted')).names, ['d/e@2']);
  assert.deepEqual(okOf(await list(reader, 'fieldSelector=involvedObject.name%3Db')).names, []);
  assert.deepEqual(world.cached.readiness(), []);
});

test('progress not trusted: pages go on where the store is ahead of a quiet cache', async () => {
  const line = cuttable();
  line.distrustProgress();
  // Progress is not asked for, either: the cache stays at its last event, as on etcd 3.4.
  const deaf = (store: Source): Source => {
    const source = line.wrap(store);
    return {
      ...source,
      watch(request, handler) {
        const handle = source.watch(request, {
          change: (...args) => handler.change(...args),
          commit: (revision) => handler.commit(revision),
          progress: () => undefined,
          ended: (end) => handler.ended(end),
        });
        return { close: () => handle.close(), requestProgress: () => undefined };
      },
    };
  };
  await using world = createWorld({ limits, source: deaf });
  for (const name of ['a', 'b', 'c']) await world.put(pods, { metadata: { namespace: 'd', name } });
  const reader = world.cached.reader(pods);
  await list(reader, 'resourceVersion=0');
  await world.put(nodes, { metadata: { name: 'elsewhere' } });
  const first = okOf(await list(reader, 'limit=2'));
  assert.deepEqual(first.names, ['d/a@2', 'd/b@3']);
  const second = okOf(await list(reader, `limit=2&continue=${first.continue}`));
  assert.deepEqual(second.names, ['d/c@4']);
  assert.equal(second.resourceVersion, first.resourceVersion);
});
