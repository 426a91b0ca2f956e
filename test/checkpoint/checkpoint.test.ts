import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SourceError } from '../../src/source/source.js';
import { contents, keyOf, leaseValue, request, TestSink, turn } from '../cache/support.js';
import { type Process, Site } from './site.js';

// What one process writes down, the next one goes on from; and what is not exactly that is never used.

type Step = { readonly name: string; readonly holder: string | undefined };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    name: fc.integer({ min: 0, max: 12 }).map((number) => `ns/lease-${number}`),
    holder: fc.option(fc.string({ maxLength: 900 }), { nil: undefined }),
  }),
  { maxLength: 60 },
);

async function play(site: Site, all: readonly Step[]): Promise<void> {
  for (const { name, holder } of all) {
    if (holder === undefined) await site.delete(name);
    else await site.put(name, holder);
  }
}

/** What a client sees that watches from this revision on. */
async function replay(process: Process, site: Site, afterRevision: number): Promise<string[]> {
  const sink = new TestSink();
  const watch = process.cache.watch(request({ afterRevision }), sink);
  for (let turns = 0; turns < 10; turns++) {
    await turn();
    site.clock.advance(5);
  }
  watch.close();
  return sink.lines;
}

test('a restored cache is the one that was written: objects, past states, and watches from each revision', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      steps,
      steps,
      fc.integer({ min: 64, max: 4_096 }),
      async (before, during, after, blockBytes) => {
        await using site = new Site();
        await play(site, before);
        const first = await site.start().ready();
        await play(site, during);
        await first.caughtUp();
        const writer = new WriterOf(first, blockBytes);
        await writer.write(site);
        await play(site, after);
        const second = await site.start().ready();
        assert.equal(second.restored, true, second.log.join('\n'));
        await Promise.all([first.caughtUp(), second.caughtUp()]);
        assert.equal(second.cache.oldestWatchable, first.cache.oldestWatchable);
        for (let at = first.cache.oldestWatchable; at <= first.cache.revision; at++) {
          assert.deepEqual(contents(second.cache, at), contents(first.cache, at), `the state at ${at}`);
          assert.deepEqual(await replay(second, site, at), await replay(first, site, at), `a watch from ${at}`);
        }
        second.cache.verify();
        assert.equal(second.cache.stats.historyBytes, first.cache.stats.historyBytes);
      },
    ),
    { numRuns: 40 },
  );
});

/** Writes what another process holds, in blocks of this size. */
class WriterOf {
  readonly #process: Process;
  readonly #blockBytes: number;
  constructor(process: Process, blockBytes: number) {
    this.#process = process;
    this.#blockBytes = blockBytes;
  }
  async write(site: Site): Promise<void> {
    const other = site.start({ blockBytes: this.#blockBytes, folder: site.folder });
    await other.checkpoints.write([this.#process.cache]);
    assert.deepEqual(other.checkpoints.stats.writeFailures, 0, other.log.join('\n'));
    await other.cache.stop();
  }
}

/** Objects, old versions and history, over several blocks. */
async function written(site: Site): Promise<Buffer> {
  for (let index = 0; index < 12; index++) await site.put(`ns/${index}`, 'first '.repeat(20));
  const process = await site.start().ready();
  for (let index = 0; index < 6; index++) await site.put(`ns/${index}`, 'second');
  await site.delete('ns/7', 'ns/8');
  await process.caughtUp();
  await process.write();
  await process.cache.stop();
  return readFileSync(site.path);
}

/** Starts with this file in place, and must list. */
async function assertIgnored(site: Site, bytes: Buffer, how: string): Promise<void> {
  writeFileSync(site.path, bytes);
  const process = await site.start().ready();
  assert.equal(process.restored, false, `${how}: it was used`);
  assert.equal(process.checkpoints.stats.discarded, 1, how);
  assert.deepEqual(process.log.length, 1, `${how}: ${process.log.join('\n')}`);
  assert.match(process.log[0]!, /^the checkpoint is not used: /, how);
  assert.equal(contents(process.cache)?.length, 10, how);
  await process.cache.stop();
}

test('whatever bit is flipped, wherever the file ends, whatever follows it: noticed, said in one line, ignored', async () => {
  await using site = new Site();
  const good = await written(site);
  assert.ok(good.length > 3_000, `${good.length} bytes are more than one block`);
  const flip = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(flip, async ([at, mask]) => {
      const bytes = Buffer.from(good);
      bytes[at]! ^= mask;
      await assertIgnored(site, bytes, `byte ${at} ^ ${mask}`);
    }),
    { numRuns: 250 },
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), (length) =>
      assertIgnored(site, good.subarray(0, length), `cut at ${length}`),
    ),
    { numRuns: 60 },
  );
  await assertIgnored(site, Buffer.concat([good, Buffer.from([0])]), 'one byte more');
  await assertIgnored(site, Buffer.alloc(0), 'empty');
  await assertIgnored(site, Buffer.from('{"kind":"Lease"}'.repeat(9)), 'a foreign file');
  // A block that is whole, but doubled or left out, is out of its place.
  const headerEnd = 20 + good.readUInt32LE(12);
  const blockEnd = headerEnd + 20 + good.readUInt32LE(headerEnd + 12);
  const [header, block, rest] = [
    good.subarray(0, headerEnd),
    good.subarray(headerEnd, blockEnd),
    good.subarray(blockEnd),
  ];
  await assertIgnored(site, Buffer.concat([header, block, block, rest]), 'a block twice');
  await assertIgnored(site, Buffer.concat([header, rest]), 'a block less');
  writeFileSync(site.path, good);
  assert.equal((await site.start().ready()).restored, true, 'the good file is used after all this');
});

test('a file of another format version is said to be that', async () => {
  await using site = new Site();
  const bytes = await written(site);
  bytes.writeUInt32LE(1, 8);
  writeFileSync(site.path, bytes);
  const process = await site.start().ready();
  assert.deepEqual(process.log, ['the checkpoint is not used: format 1, expected 2']);
});

const mismatches: [what: string, change: (site: Site) => Promise<void> | void, said: RegExp][] = [
  ['another cluster', (site) => void (site.clusterId = '00000000000000ff'), /cluster id is 00000000000000ff/],
  ['a raft term that fell', (site) => void (site.raftTerm = 1), /raft term is 1, below 2/],
  ['a store that is behind', (site) => site.wipe(), /before/],
  [
    'a store that was compacted past it',
    async (site) => {
      for (let index = 0; index < 3; index++) await site.put('ns/later', `${index}`);
      await site.store.compact(await site.store.currentRevision());
    },
    /compacted/,
  ],
  [
    'a wiped store, filled again with the same keys beyond the same revision',
    async (site) => {
      await site.wipe();
      for (let index = 0; index < 40; index++) await site.put(`ns/${index % 12}`, 'other');
    },
    /is another one in etcd|keys at revision/,
  ],
];
for (const [what, change, said] of mismatches) {
  test(`not used: ${what}`, async () => {
    await using site = new Site();
    await written(site);
    await change(site);
    const process = await site.start().ready();
    assert.equal(process.restored, false);
    assert.equal(process.log.length, 1);
    assert.match(process.log[0]!, said);
    const fresh = await site.start({ folder: join(site.folder, 'none') }).ready();
    assert.deepEqual(contents(process.cache), contents(fresh.cache));
  });
}

test('not used: of a kind without objects, once its revision is compacted', async () => {
  await using site = new Site();
  const first = await site.start().ready();
  await first.write();
  await site.put('ns/a', 'x');
  await site.put('ns/b', 'x');
  await site.store.compact(await site.store.currentRevision());
  const second = await site.start().ready();
  assert.equal(second.restored, false);
  assert.match(second.log.join('\n'), /the checkpoint is not used: .*compacted/);
  assert.equal(contents(second.cache)?.length, 2);
});

test('not used: bytes that another release made', async () => {
  await using site = new Site();
  await written(site);
  const process = await site.start({ make: 'another' }).ready();
  assert.match(process.log.join('\n'), /made by test .*, not by another/);
});

test('a store that differs where nobody looked is found out soon after, and listed', async () => {
  await using site = new Site();
  await written(site);
  await site.wipe();
  // The same objects at the same revisions, but for one that no sample shows.
  for (let index = 0; index < 12; index++) await site.put(`ns/${index}`, 'first '.repeat(20));
  for (let index = 0; index < 6; index++) await site.put(index === 2 ? 'ns/6' : `ns/${index}`, 'second');
  await site.delete('ns/7', 'ns/8');
  const process = await site.start().ready();
  assert.equal(process.restored, true, 'the samples cannot tell');
  for (let waits = 0; process.cache.stats.relists === 0 && waits < 1_000; waits++) {
    site.clock.advance(10);
    await turn();
  }
  await process.ready();
  const fresh = await site.start({ folder: join(site.folder, 'none') }).ready();
  assert.deepEqual(contents(process.cache), contents(fresh.cache));
  assert.match(process.log.join('\n'), /the cache differs from its source/);
});

test('while etcd is out of reach the checkpoint waits, and is used when it comes back', async () => {
  await using site = new Site();
  await written(site);
  let away = true;
  const revision = await site.store.currentRevision();
  const process = site.start({
    identify: async () => {
      if (away) throw new SourceError('unavailable', 'nobody there');
      return { clusterId: site.clusterId, raftTerm: site.raftTerm, revision, generation: 0 };
    },
  });
  // The file is opened in real time, however long that takes.
  const until = async (holds: () => boolean) => {
    for (let turns = 0; !holds() && turns < 100_000; turns++) {
      await turn();
      site.clock.advance(100);
    }
  };
  await until(() => process.log.length > 0);
  for (let turns = 0; turns < 50; turns++) {
    site.clock.advance(100);
    await turn();
  }
  assert.equal(process.cache.state, 'initializing');
  away = false;
  await until(() => process.restored);
  await process.ready();
  assert.equal(process.restored, true);
  assert.deepEqual(
    process.log.filter((line) => line.includes('waits for etcd')),
    ['the checkpoint waits for etcd: nobody there'],
  );
});

test('a stop while the checkpoint is read ends it, and leaves nothing behind', async () => {
  await using site = new Site();
  await written(site);
  const process = site.start();
  assert.equal(process.cache.state, 'initializing');
  await process.cache.stop();
  for (let turns = 0; turns < 100; turns++) await turn();
  assert.equal(process.cache.state, 'stopped');
  assert.equal(process.checkpoints.stats.discarded, 0);
});

test('only what changed is written; files are for their owner alone, and no half of one stays', async () => {
  await using site = new Site();
  await site.put('ns/a', 'x');
  const process = await site.start().ready();
  await process.write();
  assert.equal(statSync(site.path).mode & 0o777, 0o600);
  await process.write();
  assert.equal(process.checkpoints.stats.writes, 1, 'nothing has changed');
  await site.put('ns/a', 'y');
  await process.caughtUp();
  await process.write();
  assert.equal(process.checkpoints.stats.writes, 2);
  assert.deepEqual(readdirSync(site.folder), ['leases.coordination.k8s.io.v1.checkpoint']);
  assert.equal(process.cache.versions.stats.pins, 0, 'no pin is left');
});

test('what was restored is not written again before something changes, not at an orderly end either', async () => {
  await using site = new Site();
  await written(site);
  const { ino } = statSync(site.path);
  const process = await site.start().ready();
  assert.equal(process.restored, true);
  await process.write();
  assert.deepEqual([process.checkpoints.stats.writes, statSync(site.path).ino], [0, ino]);
  await site.put('ns/1', 'third');
  await process.caughtUp();
  await process.write();
  assert.equal(process.checkpoints.stats.writes, 1);
  assert.notEqual(statSync(site.path).ino, ino);
});

test('a folder that cannot be written to is said once and counted, and serving goes on', async () => {
  await using site = new Site();
  await site.put('ns/a', 'x');
  const folder = join(site.folder, 'gone');
  const process = await site.start({ folder }).ready();
  await process.write();
  await process.write();
  assert.equal(process.checkpoints.stats.writeFailures, 2);
  assert.equal(process.log.length, 1);
  assert.match(process.log[0]!, /^the checkpoint was not written: ENOENT/);
  assert.deepEqual(contents(process.cache)?.length, 1);
  assert.equal(process.cache.versions.stats.pins, 0, 'no pin is left');
  mkdirSync(folder);
  await process.write();
  assert.equal(process.checkpoints.stats.writes, 1, 'it is tried again');
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

test('private kinds are neither written nor read', async () => {
  await using site = new Site();
  const good = await written(site);
  rmSync(site.path);
  const process = await site.start({ isPrivate: true }).ready();
  await process.write();
  assert.equal(existsSync(site.path), false);
  writeFileSync(site.path, good);
  const second = await site.start({ isPrivate: true }).ready();
  assert.equal(second.restored, false);
});

test('a kind with a value that does not parse is not written: the checkpoint could not say so', async () => {
  await using site = new Site();
  await site.put('ns/a', 'x');
  await site.store.write([{ type: 'put', key: keyOf('ns/bad'), value: Buffer.from('k8s:enc:aescbc:v1:key:secret') }]);
  const process = await site.start().ready();
  await process.write();
  assert.equal(existsSync(site.path), false);
  assert.equal(process.checkpoints.stats.writeFailures, 0);
  await site.store.write([{ type: 'put', key: keyOf('ns/bad'), value: leaseValue('ns/bad', 'well again') }]);
  await process.caughtUp();
  await process.write();
  assert.equal(existsSync(site.path), true, 'the key has recovered');
  rmSync(site.path);
  await site.store.write([{ type: 'put', key: keyOf('ns/bad'), value: Buffer.from('k8s:enc:aescbc:v1:key:secret') }]);
  await site.put('ns/bad', 'well again');
  await process.caughtUp();
  await process.write();
  assert.equal(existsSync(site.path), false, 'the history still names it');
});
