import assert from 'node:assert/strict';
import type { ModRevision } from '../../../src/api/revision.js';
import { prefixEnd } from '../../../src/lib/bytes.js';
import { listPrefix } from '../../../src/source/list-prefix.js';
import { pastRevision } from '../../../src/source/past-revision.js';
import type { Source } from '../../../src/source/source.js';
import { recordWatch } from '../../support/watch-recorder.js';
import { bytes, type PromiseTest, put, read, rejects, remove, text, type TestStore } from './context.js';

export function readTests(promise: PromiseTest): void {
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

  promise('the past reaches back as far as asked, at most to the last compaction', async ({ store, root }) => {
    const prefix = bytes(`${root}/`);
    const compacted = await put(store, `${root}/a`, '0');
    await store.compact(compacted);
    for (let count = 0; count < 4; count++) await put(store, `${root}/a`, 'x');
    const last = await put(store, `${root}/a`, 'last');
    assert.equal(last, compacted + 5);
    const past = (revisions: number) => pastRevision(store, prefix, revisions);
    assert.deepEqual(await Promise.all([0, 2, 5, 6, 1_000].map(past)), [
      last,
      last - 2,
      compacted,
      compacted,
      compacted,
    ]);
    // From there everything can be had.
    const { entries, result } = await read(store, `${root}/`, { revision: compacted });
    assert.deepEqual([entries.map(({ value }) => value), result.revision], [['0'], last]);
    const recorder = recordWatch(store, `${root}/`, compacted + 1);
    await recorder.untilRevision(last);
    assert.deepEqual(
      recorder.revisions.map(({ revision }) => revision),
      [1, 2, 3, 4, 5].map((count) => compacted + count),
    );
    recorder.handle!.close();
    await rejects('closed', pastRevision(store, prefix, 2, AbortSignal.abort()));
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
}

/** A revision from which a watch may start: tests before this one may have compacted a shared store. */
async function oldest(store: TestStore): Promise<ModRevision> {
  return (await store.currentRevision()) - 5;
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
