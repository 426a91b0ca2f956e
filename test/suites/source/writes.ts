import assert from 'node:assert/strict';
import { recordWatch } from '../../support/watch-recorder.js';
import { bytes, type PromiseTest, put, read, rejects, remove } from './context.js';

export function writeTests(promise: PromiseTest): void {
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
}
