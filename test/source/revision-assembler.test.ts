import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import { RevisionAssembler } from '../../src/source/etcd/revision-assembler.js';
import { encode } from '../../src/source/etcd/rpc.js';
import { skimWatchResponse, WatchSkim } from '../../src/source/etcd/skim.js';
import { SourceError } from '../../src/source/source.js';

const skim = new WatchSkim();

function setup(startRevision = 1, heldBytesMax = 2 ** 20) {
  const calls: string[] = [];
  const assembler = new RevisionAssembler(
    {
      change: (_type, bytes, keyStart, keyEnd, _valueStart, _valueEnd, _create, revision) =>
        calls.push(`${Buffer.from(bytes.subarray(keyStart, keyEnd)).toString()}@${revision}`),
      commit: (revision) => calls.push(`commit ${revision}`),
    },
    startRevision,
    heldBytesMax,
  );
  /** Each event is `key@revision`; a trailing `…` marks a fragment. */
  const add = (text: string) => {
    const fragment = text.endsWith('…');
    const events = text
      .replace('…', '')
      .split(' ')
      .filter((part) => part !== '')
      .map((part) => ({ kv: { key: Buffer.from(part.split('@')[0]!), mod_revision: Number(part.split('@')[1]) } }));
    const bytes = encode('WatchResponse', { header: { revision: 1 }, fragment, events });
    skimWatchResponse(bytes, skim);
    assembler.add(bytes, skim);
    skimWatchResponse(encode('WatchResponse', {}), skim); // the record is reused before the rest of a revision comes
  };
  return { assembler, add, calls, take: () => calls.splice(0).join(', ') };
}

const rows: [what: string, responses: string[], delivered: string[]][] = [
  ['one event', ['a@5'], ['a@5, commit 5']],
  ['several events of one revision', ['a@5 b@5'], ['a@5, b@5, commit 5']],
  ['several revisions', ['a@5 b@6 c@6'], ['a@5, commit 5, b@6, c@6, commit 6']],
  ['a fragment holds its last revision back', ['a@5 b@6…', 'c@6'], ['a@5, commit 5', 'b@6, c@6, commit 6']],
  ['three fragments of one revision', ['a@5…', 'b@5…', 'c@5'], ['', '', 'a@5, b@5, c@5, commit 5']],
  [
    'the next fragment begins another revision',
    ['a@5…', 'b@6…', 'c@7'],
    ['', 'a@5, commit 5', 'b@6, commit 6, c@7, commit 7'],
  ],
  [
    'a fragment that ends one revision and begins the next',
    ['a@5…', 'b@5 c@6…', 'd@6'],
    ['', 'a@5, b@5, commit 5', 'c@6, d@6, commit 6'],
  ],
  ['an empty last fragment', ['a@5…', ''], ['', 'a@5, commit 5']],
  ['an empty fragment within', ['a@5…', '…', 'b@5'], ['', '', 'a@5, b@5, commit 5']],
  ['duplicates are dropped', ['a@5 b@6', 'a@5 b@6 c@7', 'c@7'], ['a@5, commit 5, b@6, commit 6', 'c@7, commit 7', '']],
  ['a duplicate fragment is dropped', ['a@5', 'a@5…', 'b@6'], ['a@5, commit 5', '', 'b@6, commit 6']],
];
for (const [what, responses, delivered] of rows) {
  test(`revisions are whole: ${what}`, () => {
    const { add, take } = setup();
    const got = responses.map((response) => {
      add(response);
      return take();
    });
    assert.deepEqual(got, delivered);
  });
}

test('events before the start revision are dropped', () => {
  const { add, take, assembler } = setup(6);
  add('a@4 b@5 c@6');
  assert.equal(take(), 'c@6, commit 6');
  assert.equal(assembler.droppedCount, 2);
});

for (const responses of [['a@6 b@5'], ['a@6…', 'b@5']]) {
  test(`going back is corrupt, and delivers nothing: ${responses.join(' | ')}`, () => {
    const { add, take } = setup();
    assert.throws(
      () => {
        for (const response of responses) add(response);
      },
      (error) => error instanceof SourceError && error.kind === 'corrupt',
    );
    assert.equal(take(), '');
  });
}

test('a revision larger than the bound is refused', () => {
  const { add } = setup(1, 100);
  assert.throws(() => {
    for (let index = 0; index < 20; index++) add(`key${index}@5…`);
  }, /revision 5 is larger than 100 bytes/);
});

test('a handler that stops within a call hears nothing more', () => {
  for (const stopAt of ['a@5', 'commit 5', 'b@6']) {
    const calls: string[] = [];
    const record = (call: string) => {
      calls.push(call);
      if (call === stopAt) assembler.stop();
    };
    const assembler: RevisionAssembler = new RevisionAssembler(
      {
        change: (_type, bytes, keyStart, keyEnd, _from, _to, _create, revision) =>
          record(`${Buffer.from(bytes.subarray(keyStart, keyEnd)).toString()}@${revision}`),
        commit: (revision) => record(`commit ${revision}`),
      },
      1,
      1_000,
    );
    const events = [5, 6, 6].map((mod_revision, index) => ({ kv: { key: Buffer.from('abc'[index]!), mod_revision } }));
    const bytes = encode('WatchResponse', { events });
    skimWatchResponse(bytes, skim);
    assembler.add(bytes, skim);
    assert.equal(calls.at(-1), stopAt);
  }
});

test('however a history is cut into responses and fragments, the same revisions are delivered', () => {
  const seed = process.env['SEED'] === undefined ? systemRandom.int(2 ** 31) : Number(process.env['SEED']);
  const random: Random = seededRandom(seed);
  for (let round = 0; round < 200; round++) {
    const want: string[] = [];
    const parts: string[] = [];
    let revision = 0;
    for (let index = 0; index < 30; index++) {
      revision += 1 + random.int(3);
      for (let count = 1 + random.int(4); count > 0; count--) {
        parts.push(`k${random.int(9)}@${revision}`);
        want.push(parts.at(-1)!);
      }
      want.push(`commit ${revision}`);
    }
    const { add, calls } = setup();
    while (parts.length > 0) {
      const length = 1 + random.int(8);
      const response = parts.splice(0, length);
      const splitsRevision = parts.length > 0 && parts[0]!.split('@')[1] === response.at(-1)!.split('@')[1];
      add(response.join(' ') + (splitsRevision || (parts.length > 0 && random.chance(0.3)) ? '…' : ''));
    }
    assert.deepEqual(calls, want, `SEED=${seed}`);
  }
});
