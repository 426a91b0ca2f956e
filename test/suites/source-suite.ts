import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ModRevision } from '../../src/api/revision.js';
import { prefixEnd } from '../../src/lib/bytes.js';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import { listPrefix } from '../../src/source/list-prefix.js';
import { type Source, SourceError, type WritableStore, type WriteOperation } from '../../src/source/source.js';
import { type RecordedRevision, recordWatch } from '../support/watch-recorder.js';

export type TestStore = Source & WritableStore;

export interface SuiteStore {
  readonly store: TestStore;
  readonly dispose: () => Promise<void>;
  /** Lets time pass for the store; by default by waiting. */
  readonly elapse?: (ms: number) => Promise<void>;
  /** The shortest lease that the store keeps to. */
  readonly leaseSeconds?: number;
}

interface Context {
  readonly store: TestStore;
  readonly elapse: (ms: number) => Promise<void>;
  readonly leaseSeconds: number;
  /** Unlike that of every other test, so that stores may be shared. */
  readonly root: string;
}

/** What every store promises that is a Source and can be written. Texts are latin1: one character, one byte. */
export function sourceSuite(name: string, create: () => Promise<SuiteStore>): void {
  const promise = (what: string, run: (context: Context) => Promise<void>) =>
    test(what, { timeout: 120_000 }, async () => {
      const { store, dispose, elapse, leaseSeconds } = await create();
      const root = `/test-${systemRandom.hex(8)}`;
      try {
        await run({ store, elapse: elapse ?? ((ms) => delay(ms)), leaseSeconds: leaseSeconds ?? 2, root });
      } finally {
        await dispose();
      }
    });

  describe(`${name}: reads`, () => {
    promise('an empty range has a revision and nothing else', async ({ store, root }) => {
      const { entries, result } = await read(store, root);
      assert.deepEqual(entries, []);
      assert.equal(result.count, 0);
      assert.equal(result.more, false);
      assert.equal(result.revision, await store.currentRevision());
      assert.ok(result.revision >= 1);
    });

    promise('keys come in the order of their bytes', async ({ store, root }) => {
      const names = [
        '\xff',
        '\x00',
        'b',
        'a/b',
        'a',
        'a\xff',
        'a\x00',
        'B',
        '\x7f',
        '\x80',
        'aa',
        '\xff\xff',
        '\xc3\xa9',
      ];
      for (const name of names) await put(store, `${root}/${name}`, name);
      const { entries } = await read(store, `${root}/`);
      const want = [...names].sort((a, b) => Buffer.compare(bytes(a), bytes(b)));
      assert.deepEqual(
        entries.map(({ key }) => key.slice(root.length + 1)),
        want,
      );
      assert.deepEqual(
        entries.map(({ value }) => value),
        want,
      );
    });

    promise('a prefix ends where its last byte does', async ({ store, root }) => {
      for (const key of [
        '/registry/pod',
        '/registry/pods',
        '/registry/pods/a',
        '/registry/pods/\xff',
        '/registry/pods0',
      ]) {
        await put(store, root + key, '');
      }
      await put(store, `${root}/registry/podtemplates/a`, '');
      const recorder = recordWatch(store, `${root}/registry/pods/`, 1 + (await oldest(store)));
      const { entries, result } = await read(store, `${root}/registry/pods/`);
      assert.deepEqual(
        entries.map(({ key }) => key.slice(root.length)),
        ['/registry/pods/a', '/registry/pods/\xff'],
      );
      assert.equal(result.count, 2);
      await put(store, `${root}/registry/podtemplates/b`, '');
      await put(store, `${root}/registry/pods0`, '');
      const last = await put(store, `${root}/registry/pods/b`, '');
      await recorder.untilRevision(last);
      assert.deepEqual(
        recorder.revisions.map(({ changes }) => changes[0]!.key.slice(root.length)),
        ['/registry/pods/a', '/registry/pods/\xff', '/registry/pods/b'],
      );
      recorder.handle!.close();
    });

    promise('a single key is the range up to the key with a zero byte', async ({ store, root }) => {
      await put(store, `${root}/a`, '1');
      await put(store, `${root}/a\x00`, '2');
      await put(store, `${root}/aa`, '3');
      const found: string[] = [];
      const result = await store.range(
        { from: bytes(`${root}/a`), to: bytes(`${root}/a\x00`) },
        (buffer, keyStart, keyEnd) => found.push(text(buffer, keyStart, keyEnd)),
      );
      assert.deepEqual(found, [`${root}/a`]);
      assert.equal(result.count, 1);
    });

    promise('limit cuts, count does not, more tells', async ({ store, root }) => {
      for (let index = 0; index < 10; index++) await put(store, `${root}/${index}`, String(index));
      for (const limit of [1, 9, 10, 11]) {
        const { entries, result } = await read(store, `${root}/`, { limit });
        assert.equal(entries.length, Math.min(limit, 10));
        assert.equal(result.count, 10);
        assert.equal(result.more, limit < 10);
      }
      const keys = await read(store, `${root}/`, { keysOnly: true });
      assert.deepEqual(
        keys.entries.map(({ key, value }) => [key, value]),
        Array.from({ length: 10 }, (_, index) => [`${root}/${index}`, '']),
      );
      const counted = await read(store, `${root}/`, { countOnly: true });
      assert.deepEqual([counted.entries.length, counted.result.count], [0, 10]);
    });

    promise('create and mod revisions follow the life of a key', async ({ store, root }) => {
      const created = await put(store, `${root}/a`, '1');
      const modified = await put(store, `${root}/a`, '2');
      assert.deepEqual((await read(store, `${root}/`)).entries, [
        { key: `${root}/a`, value: '2', createRevision: created, modRevision: modified },
      ]);
      await remove(store, `${root}/a`);
      const again = await put(store, `${root}/a`, '3');
      assert.deepEqual((await read(store, `${root}/`)).entries, [
        { key: `${root}/a`, value: '3', createRevision: again, modRevision: again },
      ]);
    });

    promise('an older revision stays readable as it was', async ({ store, root }) => {
      const first = await put(store, `${root}/a`, '1');
      const second = await put(store, `${root}/b`, '2');
      const third = await remove(store, `${root}/a`);
      const fourth = await put(store, `${root}/a`, '4');
      const values = async (revision: ModRevision) =>
        (await read(store, `${root}/`, { revision })).entries.map(({ value }) => value);
      assert.deepEqual(await values(first), ['1']);
      assert.deepEqual(await values(second), ['1', '2']);
      assert.deepEqual(await values(third), ['2']);
      assert.deepEqual(await values(fourth), ['4', '2']);
      const { result } = await read(store, `${root}/`, { revision: first });
      assert.ok(result.revision >= fourth, 'the revision of a result is the store’s own, not the one asked for');
      assert.equal(result.count, 1);
    });

    promise('empty and large values, binary keys and values', async ({ store, root }) => {
      const large = '\x00\xff'.repeat(2 ** 19);
      const binary = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');
      const start = await put(store, `${root}/empty`, '');
      const recorder = recordWatch(store, `${root}/`, start);
      await put(store, `${root}/large`, large);
      const last = await put(store, `${root}/${binary}`, binary);
      const { entries } = await read(store, `${root}/`);
      assert.deepEqual(
        new Map(entries.map(({ key, value }) => [key.slice(root.length + 1), value])),
        new Map([
          ['empty', ''],
          ['large', large],
          [binary, binary],
        ]),
      );
      await recorder.untilRevision(last);
      assert.deepEqual(
        recorder.revisions.map(({ changes }) => changes[0]!.value),
        ['', large, binary],
      );
      recorder.handle!.close();
    });

    promise('a compacted revision and a future one are refused, each in its way', async ({ store, root }) => {
      const first = await put(store, `${root}/a`, '1');
      const second = await put(store, `${root}/a`, '2');
      await rejects('futureRevision', read(store, root, { revision: second + 1_000 }));
      await rejects('futureRevision', store.compact(second + 1_000));
      await store.compact(second);
      await rejects('compacted', read(store, root, { revision: first }));
      await rejects('compacted', store.compact(second));
      const { entries } = await read(store, root, { revision: second });
      assert.deepEqual(
        entries.map(({ value }) => value),
        ['2'],
      );
    });

    promise('compaction keeps what later revisions need', async ({ store, root }) => {
      await put(store, `${root}/kept`, 'old');
      await put(store, `${root}/deleted`, 'old');
      await remove(store, `${root}/deleted`);
      const kept = await put(store, `${root}/kept`, 'new');
      const compacted = await put(store, `${root}/other`, '');
      await store.compact(compacted);
      const again = await put(store, `${root}/deleted`, 'again');
      const { entries } = await read(store, `${root}/`);
      assert.deepEqual(
        entries.map(({ key, value, modRevision }) => [key.slice(root.length + 1), value, modRevision]),
        [
          ['deleted', 'again', again],
          ['kept', 'new', kept],
          ['other', '', compacted],
        ],
      );
      assert.equal(entries[0]!.createRevision, again);
    });

    promise('an aborted read rejects', async ({ store, root }) => {
      await rejects(
        'closed',
        store.range({ from: bytes(root), to: prefixEnd(bytes(root)) }, () => {}, AbortSignal.abort()),
      );
    });

    promise('listPrefix pages at one revision while others write', async ({ store, root }) => {
      for (let index = 0; index < 25; index++) await put(store, `${root}/${String(index).padStart(2, '0')}`, 'old');
      const before = await store.currentRevision();
      const seen: string[] = [];
      let meddling: Promise<unknown> = Promise.resolve();
      const result = await listPrefix(
        store,
        bytes(`${root}/`),
        (buffer, keyStart, keyEnd, valueStart, valueEnd) => {
          seen.push(`${text(buffer, keyStart, keyEnd).slice(root.length + 1)}=${text(buffer, valueStart, valueEnd)}`);
          if (seen.length === 5) meddling = put(store, `${root}/24`, 'new').then(() => remove(store, `${root}/20`));
        },
        { pageCount: 10 },
      );
      await meddling;
      assert.equal(result.revision, before);
      assert.equal(result.count, 25);
      assert.deepEqual(
        seen,
        Array.from({ length: 25 }, (_, index) => `${String(index).padStart(2, '0')}=old`),
      );
    });

    promise(
      'listPrefix rejects when compaction overtakes it, and finally reads in one piece',
      async ({ store, root }) => {
        for (let index = 0; index < 25; index++) await put(store, `${root}/${index}`, '');
        const overtaking: Source = {
          ...bound(store),
          range: async (request, visit, signal) => {
            const result = await store.range(request, visit, signal);
            await store.compact(await put(store, `${root}/0`, ''));
            return result;
          },
        };
        const visited: string[] = [];
        const list = (attempt: number) =>
          listPrefix(overtaking, bytes(`${root}/`), (buffer, from, to) => visited.push(text(buffer, from, to)), {
            pageCount: 10,
            attempt,
          });
        await rejects('compacted', list(0));
        await rejects('compacted', list(2));
        visited.length = 0;
        assert.equal((await list(3)).count, 25);
        assert.equal(visited.length, 25);
      },
    );
  });

  describe(`${name}: writes`, () => {
    promise('the operations of one write share a revision, in their order', async ({ store, root }) => {
      const start = await put(store, `${root}/c`, '');
      const recorder = recordWatch(store, `${root}/`, start + 1);
      const revision = await store.write([
        { type: 'put', key: bytes(`${root}/b`), value: bytes('1') },
        { type: 'put', key: bytes(`${root}/a`), value: bytes('2') },
        { type: 'delete', key: bytes(`${root}/c`) },
        { type: 'delete', key: bytes(`${root}/never`) },
      ]);
      await recorder.untilRevision(revision);
      assert.deepEqual(recorder.revisions, [
        {
          revision,
          changes: [
            { type: 'PUT', key: `${root}/b`, value: '1', createRevision: revision },
            { type: 'PUT', key: `${root}/a`, value: '2', createRevision: revision },
            { type: 'DELETE', key: `${root}/c`, value: '', createRevision: 0 },
          ],
        },
      ]);
      recorder.handle!.close();
    });

    promise('a write without effect takes no revision', async ({ store, root }) => {
      const before = await put(store, `${root}/a`, '');
      assert.equal(await remove(store, `${root}/never`), before);
      assert.equal(await store.write([]), before);
      assert.equal(await put(store, `${root}/a`, ''), before + 1, 'a put of the same value is an effect');
    });

    promise('a refused write has no effect', async ({ store, root }) => {
      const before = await store.currentRevision();
      const a = { type: 'put', key: bytes(`${root}/a`), value: bytes('1') } as const;
      await rejects('invalid', store.write([a, { ...a, value: bytes('2') }]));
      await rejects('invalid', store.write([a, { type: 'delete', key: a.key }]));
      await rejects('invalid', store.write([a, { type: 'put', key: new Uint8Array(0), value: bytes('2') }]));
      await rejects(
        'invalid',
        store.write([a, { type: 'put', key: bytes(`${root}/b`), value: bytes(''), lease: 12345n }]),
      );
      assert.equal(await store.currentRevision(), before);
      assert.equal((await read(store, root)).result.count, 0);
    });

    promise('the store keeps copies: a caller may reuse its buffers', async ({ store, root }) => {
      const key = bytes(`${root}/a`);
      const value = bytes('before');
      const written = store.write([{ type: 'put', key, value }]);
      await written;
      key.fill(0);
      value.fill(0);
      assert.deepEqual(
        (await read(store, root)).entries.map((entry) => [entry.key, entry.value]),
        [[`${root}/a`, 'before']],
      );
    });

    promise('concurrent writers get a revision each', async ({ store, root }) => {
      const start = await store.currentRevision();
      const recorder = recordWatch(store, `${root}/`, start + 1);
      const revisions = await Promise.all(
        Array.from({ length: 200 }, (_, index) => put(store, `${root}/${index % 7}`, String(index))),
      );
      assert.equal(new Set(revisions).size, 200);
      await recorder.untilRevision(Math.max(...revisions));
      assert.deepEqual(
        recorder.revisions.map(({ revision }) => revision),
        [...revisions].sort((a, b) => a - b),
      );
      const values = new Map(recorder.revisions.map(({ revision, changes }) => [revision, changes[0]!.value]));
      for (const [index, revision] of revisions.entries()) assert.equal(values.get(revision), String(index));
      recorder.handle!.close();
    });

    promise('the keys of an expired lease go at one revision', async ({ store, root, elapse, leaseSeconds }) => {
      const lease = await store.grantLease(leaseSeconds);
      const last = await store.write(
        ['c', 'a', 'b'].map((name) => ({ type: 'put', key: bytes(`${root}/${name}`), value: bytes(''), lease })),
      );
      await put(store, `${root}/c`, 'without the lease');
      const recorder = recordWatch(store, `${root}/`, last + 2);
      await elapse(leaseSeconds * 1_000 + 1);
      await recorder.until('the expiry', () => recorder.revisions.length > 0);
      assert.deepEqual(
        recorder.revisions[0]!.changes.map(({ type, key }) => [type, key.slice(root.length + 1)]),
        [
          ['DELETE', 'a'],
          ['DELETE', 'b'],
        ],
      );
      assert.deepEqual(
        (await read(store, root)).entries.map(({ value }) => value),
        ['without the lease'],
      );
      await rejects('invalid', store.keepLeaseAlive(lease));
      recorder.handle!.close();
    });

    promise('a lease kept alive does not expire', async ({ store, root, elapse, leaseSeconds }) => {
      const lease = await store.grantLease(leaseSeconds);
      await store.write([{ type: 'put', key: bytes(`${root}/a`), value: bytes(''), lease }]);
      for (let step = 0; step < 4; step++) {
        await elapse((leaseSeconds * 1_000) / 2);
        await store.keepLeaseAlive(lease);
      }
      assert.equal((await read(store, root)).result.count, 1);
      await store.revokeLease(lease);
      assert.equal((await read(store, root)).result.count, 0);
    });

    promise('revoking a lease deletes its keys; one without keys takes no revision', async ({ store, root }) => {
      const empty = await store.grantLease(60);
      const before = await store.currentRevision();
      await store.revokeLease(empty);
      assert.equal(await store.currentRevision(), before);
      const lease = await store.grantLease(60);
      await store.write([{ type: 'put', key: bytes(`${root}/a`), value: bytes(''), lease }]);
      await store.write([{ type: 'put', key: bytes(`${root}/b`), value: bytes(''), lease }]);
      await remove(store, `${root}/b`);
      await store.revokeLease(lease);
      assert.equal((await read(store, root)).result.count, 0);
      assert.equal(await store.currentRevision(), before + 4);
      await rejects('invalid', store.revokeLease(lease));
    });
  });

  describe(`${name}: watches`, () => {
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

    promise(
      'a watch from a compacted revision says so; from the compacted one on it works',
      async ({ store, root }) => {
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
      },
    );

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

    promise('progress is answered when asked for, and never overtakes events', async ({ store, root }) => {
      const start = await store.currentRevision();
      const recorder = recordWatch(store, `${root}/seen/`, start + 1);
      for (let round = 0; round < 5; round++) {
        await put(store, `${root}/seen/a`, String(round));
        const revision = await put(store, `${root}/elsewhere`, String(round));
        const asking = setInterval(() => recorder.handle!.requestProgress(), 20);
        recorder.handle!.requestProgress();
        recorder.handle!.requestProgress();
        try {
          await recorder.until(`progress ${revision}`, () => (recorder.progress.at(-1) ?? 0) >= revision);
        } finally {
          clearInterval(asking);
        }
        assert.equal(recorder.revisions.length, round + 1);
      }
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
      const commit = recorder.commit.bind(recorder);
      const seen: ModRevision[] = [];
      const handle = store.watch(
        { prefix: bytes(`${root}/`), startRevision: start + 1 },
        {
          ...recorder.handler,
          change: () => {},
          ended: () => {},
          commit: (revision) => {
            seen.push(revision);
            handle.close();
          },
        },
      );
      assert.ok(commit);
      for (let index = 0; index < 3; index++) await put(store, `${root}/a`, String(index));
      await recorder.untilRevision(start + 3);
      assert.deepEqual(seen, [start + 1]);
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
  });

  describe(`${name}: the end`, () => {
    promise('a closed store ends its watches and refuses the rest', async ({ store, root }) => {
      const recorder = recordWatch(store, `${root}/`, 1 + (await store.currentRevision()));
      await store.probe();
      await store.close();
      await store.close();
      assert.deepEqual(await recorder.untilEnd(), { kind: 'closed' });
      await rejects('closed', store.currentRevision());
      await rejects('closed', store.probe());
      await rejects('closed', put(store, `${root}/a`, ''));
      const late = recordWatch(store, `${root}/`, 1);
      assert.deepEqual(await late.untilEnd(), { kind: 'closed' });
    });
  });
}

type State = Map<
  string,
  { readonly value: string; readonly createRevision: ModRevision; readonly modRevision: ModRevision }
>;

/** Random writes with few keys; every revision's state is kept, and reads and watches of the past are held to it. */
async function agreesWithModel(store: TestStore, root: string, random: Random): Promise<void> {
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

interface Entry {
  readonly key: string;
  readonly value: string;
  readonly createRevision: ModRevision;
  readonly modRevision: ModRevision;
}

async function read(
  store: TestStore,
  prefix: string,
  options: { limit?: number; revision?: ModRevision; keysOnly?: boolean; countOnly?: boolean } = {},
) {
  const entries: Entry[] = [];
  const from = bytes(prefix);
  const result = await store.range(
    { from, to: prefixEnd(from), ...options },
    (buffer, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
      const key = text(buffer, keyStart, keyEnd);
      entries.push({ key, value: text(buffer, valueStart, valueEnd), createRevision, modRevision });
    },
  );
  return { entries, result };
}

function put(store: TestStore, key: string, value: string): Promise<ModRevision> {
  return store.write([{ type: 'put', key: bytes(key), value: bytes(value) }]);
}

function remove(store: TestStore, key: string): Promise<ModRevision> {
  return store.write([{ type: 'delete', key: bytes(key) }]);
}

/** A revision from which a watch may start: tests before this one may have compacted a shared store. */
async function oldest(store: TestStore): Promise<ModRevision> {
  return (await store.currentRevision()) - 5;
}

async function rejects(kind: SourceError['kind'], promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof SourceError, `not a SourceError: ${error}`);
    assert.equal(error.kind, kind, error.message);
    return true;
  });
}

/** Methods of a class instance are not its own properties. */
function bound(source: Source): Source {
  return {
    name: source.name,
    range: (request, visit, signal) => source.range(request, visit, signal),
    currentRevision: (signal) => source.currentRevision(signal),
    watch: (request, handler) => source.watch(request, handler),
    progressTrusted: (signal) => source.progressTrusted(signal),
    probe: (signal) => source.probe(signal),
    close: () => source.close(),
  };
}

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function text(buffer: Uint8Array, from: number, to: number): string {
  return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.length).toString('latin1', from, to);
}
