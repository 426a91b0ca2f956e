import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { utf8 } from '../../src/lib/bytes.js';
import { systemClock } from '../../src/lib/clock.js';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import { encodeHeader, RecordingEncoder, type RecordingEntry, RecordingError } from '../../src/recording/format.js';
import { RecordingFile } from '../../src/recording/read-recording.js';
import { type Recorded, record } from '../../src/recording/recorder.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import type { Source, WatchHandler } from '../../src/source/source.js';
import { eventually } from '../support/command.js';

const folder = mkdtempSync(join(tmpdir(), 'listwatch-recording-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const header = {
  group: '',
  version: 'v1',
  resource: 'configmaps',
  prefix: '/registry/configmaps/',
  startedAt: '2026-01-01T00:00:00.000Z',
  source: 'test',
};
let files = 0;
const newPath = () => join(folder, `${files++}.rec`);

async function read(path: string): Promise<{ entries: RecordingEntry[]; cutOff: boolean }> {
  const file = await RecordingFile.open(path);
  try {
    const entries: RecordingEntry[] = [];
    for await (const entry of file.entries()) entries.push(copied(entry));
    return { entries, cutOff: file.cutOff };
  } finally {
    await file.close();
  }
}

/** Bytes as text, so that entries can be compared. */
function copied(entry: RecordingEntry): RecordingEntry {
  return Object.fromEntries(
    Object.entries(entry).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    ]),
  ) as unknown as RecordingEntry;
}

function someEntries(random: Random): RecordingEntry[] {
  const bytes = (length: number) => Buffer.from(random.hex(length), 'latin1');
  const entries: RecordingEntry[] = [];
  let revision = random.int(1e6) + 1;
  let atUs = 0;
  const put = (type: 'object' | 'put'): RecordingEntry => {
    const size = random.chance(0.01) ? 700_000 : random.int(3_000);
    const modRevision = revision + random.int(3);
    return { type, key: bytes(random.int(60)), value: bytes(size), createRevision: revision, modRevision };
  };
  for (let count = random.int(200); count > 0; count--) entries.push(put('object'));
  entries.push({ type: 'state', revision });
  for (let count = random.int(400); count > 0; count--) {
    revision += 1 + random.int(2 ** 33);
    for (let changes = 1 + random.int(3); changes > 0; changes--) {
      entries.push(random.chance(0.2) ? { type: 'delete', key: bytes(20), modRevision: revision } : put('put'));
    }
    atUs += random.int(10_000_000);
    entries.push({ type: 'commit', revision, atUs });
  }
  entries.push({ type: 'end', reason: 'enough – é' });
  return entries;
}

function encoded(entries: readonly RecordingEntry[]): Buffer[] {
  const encoder = new RecordingEncoder();
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    if (entry.type === 'object') encoder.object(entry.key, entry.value, entry.createRevision, entry.modRevision);
    else if (entry.type === 'put') encoder.put(entry.key, entry.value, entry.createRevision, entry.modRevision);
    else if (entry.type === 'delete') encoder.delete(entry.key, entry.modRevision);
    else if (entry.type === 'state') encoder.state(entry.revision);
    else if (entry.type === 'commit') encoder.commit(entry.revision, entry.atUs);
    else if (entry.type === 'end') encoder.end(entry.reason);
    const block = encoder.block();
    if (block !== undefined) blocks.push(block);
  }
  const last = encoder.block(true);
  if (last !== undefined) blocks.push(last);
  return blocks;
}

test('what is written is read again; cut off anywhere, what is whole of it', async (context) => {
  const seed = Number(process.env['SEED'] ?? systemRandom.int(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const random = seededRandom(seed);
  for (let round = 0; round < 12; round++) {
    const entries = someEntries(random);
    const blocks = encoded(entries);
    const bytes = Buffer.concat([encodeHeader(header), ...blocks]);
    const path = newPath();
    writeFileSync(path, bytes);
    const want = entries.map(copied);
    assert.deepEqual(await read(path), { entries: want, cutOff: false });

    const length = encodeHeader(header).length + random.int(bytes.length - encodeHeader(header).length);
    writeFileSync(path, bytes.subarray(0, length));
    const { entries: there, cutOff } = await read(path);
    assert.deepEqual(there, want.slice(0, there.length));
    const ends = blocks.map((_, index) =>
      [encodeHeader(header), ...blocks.slice(0, index + 1)].reduce((sum, { length: part }) => sum + part, 0),
    );
    assert.equal(cutOff, length !== encodeHeader(header).length && !ends.includes(length));
  }
});

test('damage is told by the block that it is in', async () => {
  const path = newPath();
  const blocks = encoded(someEntries(seededRandom(5)));
  const start = encodeHeader(header).length;
  const good = Buffer.concat([encodeHeader(header), ...blocks]);
  for (const [at, says] of [
    [start, /the block at byte \d+ is damaged/],
    [start + 8, /damaged: its checksum is another one/],
    [start + 12 + blocks[0]!.length / 2, /the block at byte \d+ is damaged/],
  ] as const) {
    const bad = Buffer.from(good);
    bad[Math.floor(at)]! ^= 0x55;
    writeFileSync(path, bad);
    await assert.rejects(read(path), (error) => error instanceof RecordingError && says.test(error.message));
  }
});

for (const [what, content, says] of [
  ['another file', 'hello\n', /not a recording/],
  ['nothing', '', /not a recording/],
  ['a later version', 'listwatch recording 2\n{}\n', /a recording of version 2; this listwatch reads version 1/],
  ['half a header', 'listwatch recording 1\n{"group', /the header has no end/],
  ['a header that is not JSON', 'listwatch recording 1\nx\n', /the header is not JSON/],
  ['a header that lacks a member', 'listwatch recording 1\n{"group":""}\n', /the header has no version/],
] as const) {
  test(`refused: ${what}`, async () => {
    const path = newPath();
    writeFileSync(path, content);
    await assert.rejects(
      RecordingFile.open(path),
      (error) => error instanceof RecordingError && says.test(error.message),
    );
  });
}

const key = (name: string) => utf8(`/registry/configmaps/default/${name}`);
const options = (source: Source, path: string, signal: AbortSignal, changesMax?: number) => ({
  source,
  header,
  path,
  clock: systemClock,
  signal,
  changesMax,
  progress: (_: Recorded) => {},
});

test('a store is recorded: its state, then each revision as one, and other kinds are not', async () => {
  const store = createEmbeddedStore({ clock: systemClock, random: seededRandom(1) });
  await store.write([{ type: 'put', key: key('a'), value: utf8('one') }]);
  await store.write([{ type: 'put', key: utf8('/registry/secrets/default/s'), value: utf8('secret') }]);
  const path = newPath();
  const stop = new AbortController();
  let ready = false;
  const recording = record({ ...options(store, path, stop.signal, 4), progress: () => (ready = true) });
  await eventually('the state is written', () => ready);
  await store.write([
    { type: 'put', key: key('b'), value: utf8('two') },
    { type: 'delete', key: key('a') },
  ]);
  await store.write([{ type: 'put', key: utf8('/registry/secrets/default/s'), value: utf8('secret') }]);
  await store.write([{ type: 'put', key: key('b'), value: utf8('three') }]);
  await store.write([{ type: 'delete', key: key('b') }]);
  const recorded = await recording;
  assert.deepEqual([recorded.objects, recorded.changes, recorded.reason], [1, 4, '4 changes were recorded']);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.ok(!readFileSync(path, 'latin1').includes('secret'));
  const { entries } = await read(path);
  assert.deepEqual(
    entries.map(({ type }) => type),
    ['object', 'state', 'put', 'delete', 'commit', 'put', 'commit', 'delete', 'commit', 'end'],
  );
  const commits = entries.filter((entry) => entry.type === 'commit');
  const revisions = commits.map(({ revision }) => revision);
  assert.deepEqual(revisions, [revisions[0], revisions[0]! + 2, revisions[0]! + 3]);
  assert.ok(commits.every(({ atUs }, index) => atUs >= (commits[index - 1]?.atUs ?? 0)));
  await assert.rejects(record(options(store, path, stop.signal)), /EEXIST/);
  await store.close();
});

test('a watch that is cut is taken up where it was; what was compacted ends the recording', async () => {
  const store = createEmbeddedStore({ clock: systemClock, random: seededRandom(1) });
  await store.write([{ type: 'put', key: key('a'), value: utf8('one') }]);
  const starts: number[] = [];
  let handler: WatchHandler | undefined;
  /** Its watches end when we say so. */
  const source: Source = {
    name: 'cut',
    range: (...request) => store.range(...request),
    currentRevision: () => store.currentRevision(),
    watch(request, given) {
      starts.push(request.startRevision);
      handler = given;
      return store.watch(request, given);
    },
    progressTrusted: async () => true,
    probe: async () => {},
    close: async () => {},
  };
  const path = newPath();
  const recording = record(options(source, path, new AbortController().signal));
  await eventually('the watch is there', () => starts.length === 1);
  const revision = await store.write([{ type: 'put', key: key('a'), value: utf8('two') }]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  handler!.ended({ kind: 'cut', error: new Error('cut') as never });
  await eventually('the watch is there again', () => starts.length === 2);
  assert.equal(starts[1], revision + 1);
  handler!.ended({ kind: 'compacted', compactRevision: revision + 9 });
  const { changes, reason } = await recording;
  assert.equal(changes, 1);
  assert.match(reason, new RegExp(`changes after revision ${revision} were compacted`));
  assert.equal((await read(path)).entries.at(-1)?.type, 'end');
  await store.close();
});
