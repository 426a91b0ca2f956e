import assert from 'node:assert/strict';
import type { ModRevision } from '../../../src/api/revision.js';
import type { Random } from '../../../src/lib/random.js';
import type { WriteOperation } from '../../../src/source/source.js';
import { type RecordedRevision, recordWatch } from '../../support/watch-recorder.js';
import { bytes, put, read, rejects, remove, type TestStore } from './context.js';

type State = Map<
  string,
  { readonly value: string; readonly createRevision: ModRevision; readonly modRevision: ModRevision }
>;

/** Random writes with few keys; every revision's state is kept, and reads and watches of the past are held to it. */
export async function agreesWithModel(store: TestStore, root: string, random: Random): Promise<void> {
  const begin = await put(store, `${root}/!`, '');
  const live = recordWatch(store, `${root}/`, begin);
  await live.untilRevision(begin); // a watch still on its way could be overtaken by compaction
  live.revisions.length = 0;
  const start = await remove(store, `${root}/!`);
  const states = new Map<ModRevision, State>([[start, new Map()]]);
  const history: RecordedRevision[] = [
    { revision: start, changes: [{ type: 'DELETE', key: `${root}/!`, value: '', createRevision: 0 }] },
  ];
  const keys = Array.from(
    { length: 12 },
    () => `${root}/${random.pick(['a', 'b', 'a/', '\xff', '\x00'])}${random.int(6)}`,
  );
  let current = start;
  let compacted = 0;
  for (let step = 0; step < 150; step++) {
    const state: State = new Map(states.get(current));
    const revision = current + 1;
    const changes: RecordedRevision['changes'] = [];
    const used = new Set<string>();
    const operations: WriteOperation[] = [];
    for (let count = 1 + random.int(4); count > 0; count--) {
      const key = random.pick(keys);
      if (used.has(key)) continue;
      used.add(key);
      if (random.chance(0.6)) {
        const value = random.hex(random.int(20));
        const createRevision = state.get(key)?.createRevision ?? revision;
        operations.push({ type: 'put', key: bytes(key), value: bytes(value) });
        state.set(key, { value, createRevision, modRevision: revision });
        changes.push({ type: 'PUT', key, value, createRevision });
      } else {
        operations.push({ type: 'delete', key: bytes(key) });
        if (state.delete(key)) changes.push({ type: 'DELETE', key, value: '', createRevision: 0 });
      }
    }
    const got = await store.write(operations);
    if (changes.length > 0) {
      current = revision;
      states.set(revision, state);
      history.push({ revision, changes });
    }
    assert.equal(got, current);
    if (random.chance(0.03)) {
      const target = start + 1 + random.int(current - start + 1);
      if (target > compacted && target <= current) {
        await store.compact(target);
        compacted = target;
      }
    }
    if (random.chance(0.3))
      await readsLikeModel(store, root, random, states, start + random.int(current - start + 1), compacted);
  }
  await live.untilRevision(history.at(-1)!.revision);
  assert.deepEqual(live.revisions, history);
  live.handle!.close();
  for (let round = 0; round < 10; round++) {
    const from = Math.max(compacted + 1, start + 1 + random.int(current - start));
    const recorder = recordWatch(store, `${root}/`, from);
    await recorder.untilRevision(history.at(-1)!.revision);
    assert.deepEqual(
      recorder.revisions,
      history.filter(({ revision }) => revision >= from),
    );
    recorder.handle!.close();
  }
}

async function readsLikeModel(
  store: TestStore,
  root: string,
  random: Random,
  states: ReadonlyMap<ModRevision, State>,
  revision: ModRevision,
  compacted: ModRevision,
): Promise<void> {
  const limit = random.int(6);
  if (revision < compacted) {
    await rejects('compacted', read(store, `${root}/`, { revision, limit }));
    return;
  }
  const state = states.get(revision)!;
  const want = [...state].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, version]) => ({ key, ...version }));
  const { entries, result } = await read(store, `${root}/`, { revision, limit });
  assert.deepEqual(entries, limit === 0 ? want : want.slice(0, limit), `state at ${revision}`);
  assert.equal(result.count, want.length);
  assert.equal(result.more, limit !== 0 && want.length > limit);
}
