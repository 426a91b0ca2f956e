import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Source, SourceError } from '../../src/source/source.js';
import { createWorld, failureOf, get, list, okOf, pods } from './world.js';

/** The embedded store, whose changes can be held back from whoever watches, and whose reads can fail. */
function delayed() {
  const line = { held: false, down: false };
  const wrap = (store: Source): Source => ({
    name: 'embedded, late',
    range: async (...args) => {
      if (line.down) throw new SourceError('unavailable', 'connection refused');
      return store.range(...args);
    },
    currentRevision: (signal) => store.currentRevision(signal),
    watch: (request, handler) =>
      store.watch(request, {
        change: (...args) => line.held || handler.change(...args),
        commit: (revision) => line.held || handler.commit(revision),
        progress: (revision) => line.held || handler.progress(revision),
        ended: (reason) => handler.ended(reason),
      }),
    progressTrusted: async () => true,
    probe: async () => undefined,
    close: () => store.close(),
  });
  return { line, wrap };
}

test('LISTs of the most recent state are counted, with those that etcd had to answer', async () => {
  const { line, wrap } = delayed();
  await using world = createWorld({ limits: { freshWaitMs: 40 }, source: wrap });
  await world.put(pods, { metadata: { namespace: 'd', name: 'a' } });
  const reader = world.cached.reader(pods);
  const counts = () =>
    world.cacheOf(pods)!.lists.consistentReads.map(({ success, fallback, count }) => [success, fallback, count]);

  okOf(await list(reader, 'resourceVersion=0'));
  okOf(await list(reader, 'resourceVersion=2'));
  okOf(await get(reader, 'a', 'd'));
  assert.deepEqual(counts(), []);
  okOf(await list(reader));
  okOf(await list(reader));
  assert.deepEqual(counts(), [[true, false, 2]]);

  line.held = true;
  await world.put(pods, { metadata: { namespace: 'd', name: 'b' } });
  assert.deepEqual(okOf(await list(reader)).names, ['d/a@2', 'd/b@3']);
  line.down = true;
  failureOf(await list(reader));
  assert.deepEqual(counts(), [
    [true, false, 2],
    [true, true, 1],
    [false, true, 1],
  ]);
});
