import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rangeOf, utf8 } from '../../src/lib/bytes.js';
import type { Held } from '../../src/lib/held.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { WireLeaves } from '../../src/serve/wire-leaves.js';
import { createVersions } from '../../src/versions/create-versions.js';

const ITEMS = 8;

interface Written {
  readonly bytes: string;
  /** Pieces that were handed over as they are, and copies. */
  readonly pieces: number;
  readonly copies: number;
  readonly handed: readonly { readonly bytes: Uint8Array; readonly memory: Held | undefined }[];
}

function start(itemBytes = 100, movedBytesMax = defaultLimits.movedBytesMax) {
  const versions = createVersions({ poison: true });
  const wires = new WireLeaves({ ...defaultLimits, movedBytesMax, fragmentObjectBytesMax: 2_000 });
  let revision = 0;
  const add = (key: number, bytes = itemBytes) => {
    revision++;
    const wire = utf8(`${key}@${revision}`.padEnd(bytes, '.'));
    return versions.add(rangeOf(utf8(`key-${key}`)), rangeOf(wire), 0, revision, revision);
  };
  const ids = (count = ITEMS, bytes = itemBytes) => Int32Array.from({ length: count }, (_, key) => add(key, bytes));
  const want = (of: Int32Array) => {
    const range = rangeOf(new Uint8Array(0));
    return [...of].map((id) => versions.wire(id, range) && text(range.bytes, range.start, range.end)).join('');
  };
  /** Items `from` to `to - 1` of a leaf, which have to be what the versions hold. */
  const write = (place: number, edition: number, of: Int32Array, from = 0, to = of.length): Written => {
    const handed: { bytes: Uint8Array; memory: Held | undefined }[] = [];
    let bytes = '';
    let copies = 0;
    wires.write(versions, { place, edition, ids: of }, from, to, {
      append(piece, memory) {
        handed.push({ bytes: piece, memory });
        bytes += text(piece, 0, piece.length);
      },
      copy(piece, begin, end) {
        copies++;
        bytes += text(piece, begin, end);
      },
    });
    assert.equal(bytes, want(of.subarray(from, to)));
    versions.verify();
    return { bytes, pieces: handed.length, copies, handed };
  };
  const shape = (written: Written) => [written.pieces, written.copies];
  /** What was changed: the one of before is superseded, and freed if nobody needs it. */
  const supersede = (id: number) => {
    versions.retire(id, ++revision);
    versions.reclaim(revision);
  };
  return { versions, add, ids, shape, write, wires, supersede };
}

const text = (bytes: Uint8Array, from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString();

test('the versions of a leaf move into one piece when it is listed for the second time', () => {
  const { versions, ids, shape, write, wires } = start();
  const leaf = ids();
  assert.deepEqual(shape(write(3, 1, leaf)), [0, ITEMS]);
  assert.deepEqual(shape(write(3, 1, leaf)), [1, 0]);
  assert.equal(versions.pieceOf(leaf[0]!), versions.pieceOf(leaf[7]!));
  assert.ok(versions.stats.movedBytes >= ITEMS * 100);
  versions.reclaim(0);
  assert.equal(versions.stats.movedBytes, 0, 'where they lay is free');
  assert.ok(versions.stats.slotBytes < ITEMS * 200);
  assert.deepEqual(shape(write(3, 1, leaf, 2, 5)), [1, 0]);
  const other = ids();
  assert.deepEqual(shape(write(500, 2, other)), [0, ITEMS]);
  wires.restart();
  assert.deepEqual(shape(write(500, 2, other)), [0, ITEMS]);
  assert.deepEqual(shape(write(3, 1, leaf)), [1, 0], 'they lie there still');
});

test('a small part of a leaf does not pay for the rest of it', () => {
  const { versions, ids, write } = start();
  const leaf = ids();
  for (let round = 0; round < 3; round++) write(1, 1, leaf, 1, 1 + ITEMS / 4 - 1);
  assert.equal(versions.pieceOf(leaf[1]!), undefined);
});

test('a leaf that pages or namespaces cut in two moves when it is listed for the second time', () => {
  const { ids, shape, write } = start();
  const leaf = ids();
  assert.deepEqual(shape(write(1, 1, leaf, 0, 3)), [0, 3], 'the end of a page');
  assert.deepEqual(shape(write(1, 1, leaf, 3)), [1, 0], 'the beginning of the next one');
  for (let from = 0; from < ITEMS; from++) {
    for (let to = from + 1; to <= ITEMS; to++) assert.deepEqual(shape(write(1, 1, leaf, from, to)), [1, 0]);
  }
});

test('what changed since comes from slots, until it is more than a quarter', () => {
  const { add, ids, shape, write } = start();
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  const changed = leaf.slice();
  changed[3] = add(3);
  assert.deepEqual(shape(write(1, 2, changed)), [2, 1]);
  changed[0] = add(0);
  assert.deepEqual(shape(write(1, 3, changed)), [2, 2]);
  assert.deepEqual(shape(write(1, 3, changed, 1, 3)), [1, 0]);
  changed[7] = add(7);
  assert.deepEqual(shape(write(1, 4, changed)), [1, 0]);
  assert.deepEqual(shape(write(1, 4, changed)), [1, 0]);
});

test('an id that is used again is another version', () => {
  const { versions, add, ids, write } = start();
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  versions.retire(leaf[5]!, ITEMS + 1);
  add(50);
  versions.reclaim(ITEMS + 1);
  const again = add(5);
  assert.equal(again, leaf[5]);
  write(1, 2, leaf);
});

test('deleted and inserted neighbours', () => {
  const { add, ids, shape, write } = start();
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  assert.deepEqual(
    shape(
      write(
        1,
        2,
        leaf.filter((_, index) => index !== 2 && index !== 7),
      ),
    ),
    [2, 0],
  );
  assert.deepEqual(shape(write(1, 3, Int32Array.of(add(90), ...leaf, add(99)))), [1, 2]);
});

test('a leaf of an older state, whose versions are not live any more, stays as it is', () => {
  const { versions, add, ids, shape, write } = start();
  const older = ids();
  write(1, 1, older);
  const newer = older.map((_, key) => add(key));
  write(1, 2, newer);
  versions.retire(older[0]!, 2 * ITEMS + 1);
  assert.deepEqual(shape(write(1, 1, older)), [0, ITEMS]);
  assert.deepEqual(shape(write(1, 2, newer)), [1, 0]);
});

test('large objects stay where they are, and so do their neighbours', () => {
  const { versions, add, ids, shape, write } = start();
  const leaf = ids();
  leaf[4] = add(4, 2_001);
  for (let round = 0; round < 3; round++) assert.deepEqual(shape(write(1, 1, leaf)), [0, ITEMS]);
  assert.equal(versions.pieceOf(leaf[0]!), undefined);
});

test('nothing more moves while readers of before keep too much', () => {
  const { versions, ids, shape, write } = start(1_000, 10_000);
  const leaves = [ids(), ids(), ids()];
  const reader = versions.pin(1, 'slow reader');
  for (const [place, leaf] of leaves.entries()) write(place, 1, leaf);
  assert.deepEqual(
    leaves.map((leaf, place) => shape(write(place, 1, leaf))),
    [
      [1, 0],
      [1, 0],
      [0, ITEMS],
    ],
  );
  reader[Symbol.dispose]();
  assert.equal(versions.stats.movedBytes, 0);
  assert.deepEqual(shape(write(2, 1, leaves[2]!)), [1, 0]);
});

test('what a transport holds is neither freed nor written to, whatever becomes of the versions', () => {
  const { versions, add, ids, write, supersede } = start(1_000);
  const leaf = ids();
  write(1, 1, leaf);
  const { bytes, handed } = write(1, 1, leaf);
  const [{ bytes: held, memory }] = handed as [{ bytes: Uint8Array; memory: Held }];
  memory.hold();
  const changed = leaf.map((id, key) => {
    const next = add(key);
    supersede(id);
    return next;
  });
  for (let round = 0; round < 3; round++) write(1, 2, changed);
  for (let key = 100; key < 200; key++) supersede(add(key, 8_000)); // would take its place
  versions.verify();
  assert.equal(text(held, 0, held.length), bytes);
  const used = versions.stats.slotBytes;
  memory.release();
  versions.reclaim(0);
  assert.ok(versions.stats.slotBytes <= used - held.length);
  assert.notEqual(text(held, 0, held.length), bytes, 'it is poisoned');
});

test('pieces with more holes than versions are given up, and their versions have slots again', () => {
  const { versions, add, ids, shape, write, supersede } = start(1_000);
  const leaf = ids();
  write(1, 1, leaf);
  write(1, 1, leaf);
  for (let key = 0; key < 5; key++) {
    supersede(leaf[key]!);
    leaf[key] = add(key);
  }
  assert.equal(versions.pieceOf(leaf[7]!), undefined);
  assert.ok(versions.stats.slotBytes < ITEMS * 1_100);
  assert.deepEqual(shape(write(1, 2, leaf)), [1, 0]);
});
