import assert from 'node:assert/strict';
import type { ModRevision } from '../../../src/api/revision.js';
import { seededRandom, systemRandom } from '../../../src/lib/random.js';
import { recordWatch } from '../../support/watch-recorder.js';
import { bytes, type PromiseTest, put } from './context.js';
import { agreesWithModel } from './model.js';

export function watchTests(promise: PromiseTest): void {
  promise('resume from any revision of the past', async ({ store, root }) => {
    const revisions: ModRevision[] = [];
    for (let index = 0; index < 20; index++) revisions.push(await put(store, `${root}/${index % 3}`, String(index)));
    for (const [index, revision] of revisions.entries()) {
      const recorder = recordWatch(store, `${root}/`, revision);
      await recorder.untilRevision(revisions.at(-1)!);
      assert.deepEqual(
        recorder.revisions.map((recorded) => recorded.revision),
        revisions.slice(index),
      );
      recorder.handle!.close();
    }
  });

  promise('a watch from a compacted revision says so; from the compacted one on it works', async ({ store, root }) => {
    await put(store, `${root}/a`, '1');
    const compacted = await put(store, `${root}/a`, '2');
    const last = await put(store, `${root}/a`, '3');
    await store.compact(compacted);
    const refused = recordWatch(store, `${root}/`, compacted - 1);
    assert.deepEqual(await refused.untilEnd(), { kind: 'compacted', compactRevision: compacted });
    const recorder = recordWatch(store, `${root}/`, compacted);
    await recorder.untilRevision(last);
    assert.deepEqual(
      recorder.revisions.map(({ revision }) => revision),
      [compacted, last],
    );
    recorder.handle!.close();
  });

  promise('compaction does not end a watch that has caught up', async ({ store, root }) => {
    const first = await put(store, `${root}/a`, '1');
    const recorder = recordWatch(store, `${root}/`, first);
    await recorder.untilRevision(first);
    for (let index = 0; index < 10; index++) {
      const revision = await put(store, `${root}/a`, String(index));
      await store.compact(revision);
    }
    await recorder.until('ten more', () => recorder.revisions.length === 11);
    recorder.handle!.close();
  });

  promise('a watch from a future revision waits for it', async ({ store, root }) => {
    const now = await store.currentRevision();
    const recorder = recordWatch(store, `${root}/`, now + 3);
    for (let index = 0; index < 5; index++) await put(store, `${root}/a`, String(index));
    await recorder.untilRevision(now + 5);
    assert.deepEqual(
      recorder.revisions.map(({ revision }) => revision),
      [now + 3, now + 4, now + 5],
    );
    recorder.handle!.close();
  });

  promise('a backlog of 20,000 events arrives in order, whole', async ({ store, root }) => {
    const writeCount = 2_000;
    const perWrite = 10;
    const start = await store.currentRevision();
    for (let batch = 0; batch < writeCount; batch += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          store.write(
            Array.from({ length: perWrite }, (_, part) => ({
              type: 'put',
              key: bytes(`${root}/${part}`),
              value: bytes(`${batch + index}`.padEnd(300, '.')),
            })),
          ),
        ),
      );
    }
    const recorder = recordWatch(store, `${root}/`, start + 1, { keepsValues: false });
    await recorder.untilRevision(start + writeCount, 60_000);
    assert.equal(recorder.changeCount, writeCount * perWrite);
    assert.ok(recorder.revisions.every(({ changes }) => changes.length === perWrite));
    recorder.handle!.close();
  });

  promise('progress is trusted exactly where it cannot overtake', async ({ store, progressMayOvertake }) => {
    assert.equal(await store.progressTrusted(), progressMayOvertake === undefined, progressMayOvertake);
  });

  promise('progress is answered when asked for; events that it overtakes come all the same', async (context) => {
    const { store, root } = context;
    const progressMayOvertake = context.progressMayOvertake !== undefined;
    const start = await store.currentRevision();
    const recorder = recordWatch(store, `${root}/seen/`, start + 1, { progressMayOvertake });
    const perRound = 20;
    for (let round = 1; round <= 5; round++) {
      const writing = Array.from({ length: perRound }, (_, index) => put(store, `${root}/seen/a`, String(index)));
      recorder.handle!.requestProgress();
      const seen = Math.max(...(await Promise.all(writing)));
      const revision = await put(store, `${root}/elsewhere`, String(round));
      const asking = setInterval(() => recorder.handle!.requestProgress(), 20);
      recorder.handle!.requestProgress();
      recorder.handle!.requestProgress();
      try {
        await recorder.until(`progress ${revision}`, () => (recorder.progress.at(-1) ?? 0) >= revision);
      } finally {
        clearInterval(asking);
      }
      if (progressMayOvertake) await recorder.untilRevision(seen);
      assert.equal(recorder.revisions.length, round * perRound);
    }
    recorder.handle!.close();
  });

  promise('progress asked for while a watch catches up loses nothing of the backlog', async (context) => {
    const { store, root } = context;
    const progressMayOvertake = context.progressMayOvertake !== undefined;
    const start = await store.currentRevision();
    const writeCount = 300;
    for (let index = 0; index < writeCount; index += 50) {
      await Promise.all(Array.from({ length: 50 }, () => put(store, `${root}/a`, '.'.repeat(10_000))));
    }
    const last = start + writeCount;
    const recorder = recordWatch(store, `${root}/`, start + 1, { keepsValues: false, progressMayOvertake });
    const asking = setInterval(() => recorder.handle!.requestProgress(), 5);
    try {
      recorder.handle!.requestProgress();
      await recorder.until('progress', () => (recorder.progress.at(-1) ?? 0) >= last);
      if (progressMayOvertake) await recorder.untilRevision(last);
    } finally {
      clearInterval(asking);
    }
    assert.equal(recorder.revisions.length, writeCount);
    recorder.handle!.close();
  });

  promise('closing ends a watch once, and nothing follows', async ({ store, root }) => {
    const start = await store.currentRevision();
    const early = recordWatch(store, `${root}/`, start + 1);
    early.handle!.close();
    early.handle!.close();
    const recorder = recordWatch(store, `${root}/`, start + 1);
    const seen = recordWatch(store, `${root}/`, start + 1);
    const first = await put(store, `${root}/a`, '1');
    await recorder.untilRevision(first);
    recorder.handle!.close();
    const second = await put(store, `${root}/a`, '2');
    await seen.untilRevision(second);
    assert.deepEqual(await recorder.untilEnd(), { kind: 'closed' });
    assert.deepEqual(await early.untilEnd(), { kind: 'closed' });
    assert.equal(recorder.revisions.length, 1);
    assert.equal(early.revisions.length, 0);
    seen.handle!.close();
  });

  promise('a handler may close its watch from within a call', async ({ store, root }) => {
    const start = await store.currentRevision();
    const recorder = recordWatch(store, `${root}/`, start + 1);
    const calls: string[] = [];
    const writes: Promise<unknown>[] = [];
    await new Promise<void>((resolve) => {
      const handle = store.watch(
        { prefix: bytes(`${root}/`), startRevision: start + 1 },
        {
          change: (...[, , , , , , , revision]) => void calls.push(`change ${revision}`),
          commit: (revision) => {
            calls.push(`commit ${revision}`);
            handle.close();
          },
          progress: () => {},
          ended: ({ kind }) => {
            calls.push(kind);
            resolve();
          },
        },
      );
      for (let index = 0; index < 3; index++) writes.push(put(store, `${root}/a`, String(index)));
    });
    await Promise.all(writes); // a watch may hear of a write before its writer does
    await recorder.untilRevision(start + 3);
    assert.deepEqual(calls, [`change ${start + 1}`, `commit ${start + 1}`, 'closed']);
    recorder.handle!.close();
  });

  promise('handlers are never called from within a write, and may write', async ({ store, root }) => {
    const start = await store.currentRevision();
    let isWriting = false;
    let reentered = false;
    const echoes: Promise<unknown>[] = [];
    const handle = store.watch(
      { prefix: bytes(`${root}/in/`), startRevision: start + 1 },
      {
        change: () => {
          if (isWriting) reentered = true;
        },
        commit: (revision) => void echoes.push(put(store, `${root}/out/${revision}`, '')),
        progress: () => {},
        ended: () => {},
      },
    );
    const recorder = recordWatch(store, `${root}/out/`, start + 1);
    for (let index = 0; index < 10; index++) {
      isWriting = true;
      const written = put(store, `${root}/in/a`, String(index));
      isWriting = false;
      await written;
    }
    await recorder.until('ten echoes', () => recorder.revisions.length === 10);
    await Promise.all(echoes);
    assert.equal(reentered, false);
    handle.close();
    recorder.handle!.close();
  });

  promise('many watches each see their prefix', async ({ store, root }) => {
    const watchCount = 200;
    const start = await store.currentRevision();
    const recorders = Array.from({ length: watchCount }, (_, index) =>
      recordWatch(store, `${root}/${index}/`, start + 1),
    );
    let last = start;
    for (let index = 0; index < watchCount; index += 10) {
      last = await store.write(
        Array.from({ length: 10 }, (_, part) => ({
          type: 'put',
          key: bytes(`${root}/${index + part}/a`),
          value: bytes('x'),
        })),
      );
    }
    for (const [index, recorder] of recorders.entries()) {
      await recorder.until(`watch ${index}`, () => recorder.revisions.length === 1);
      assert.deepEqual(
        recorder.revisions[0]!.changes.map(({ key }) => key),
        [`${root}/${index}/a`],
      );
    }
    assert.equal(last, start + watchCount / 10);
    for (const recorder of recorders) recorder.handle!.close();
  });

  promise('random histories agree with a model', async ({ store, root }) => {
    const given = process.env['SEED'];
    const seed = given === undefined ? systemRandom.int(2 ** 31) : Number(given);
    try {
      await agreesWithModel(store, root, seededRandom(seed));
    } catch (error) {
      if (error instanceof Error) error.message = `SEED=${seed}: ${error.message}`;
      throw error;
    }
  });
}
