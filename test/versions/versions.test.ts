import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ByteRange, rangeOf, utf8 } from '../../src/lib/bytes.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { createVersions, POISON } from '../../src/versions/create-versions.js';
import { LinearScanAllocator } from '../../src/versions/linear-scan.js';
import { SegregatedMapAllocator } from '../../src/versions/segregated-map.js';
import type { Pin, VersionId, Versions } from '../../src/versions/versions.js';
import { withSeed } from '../engine/with-seed.js';

const range = (): ByteRange => ({ bytes: new Uint8Array(0), start: 0, end: 0 });
const text = ({ bytes, start, end }: ByteRange) => Buffer.from(bytes.subarray(start, end)).toString();

function add(versions: Versions, key: string, wire: string, revision: number): VersionId {
  return versions.add(rangeOf(utf8(key)), rangeOf(utf8(wire)), 2, revision, revision);
}

test('key, wire bytes and object come back as they went in, in one contiguous range', () => {
  const versions = createVersions();
  const source = utf8('..KEYhhOBJECT..');
  const id = versions.add(
    { bytes: source, start: 2, end: 5 },
    { bytes: source, start: 5, end: 13 },
    2,
    7,
    Number.MAX_SAFE_INTEGER,
  );
  source.fill(0);
  assert.equal(text(versions.key(id, range())), 'KEY');
  assert.equal(text(versions.wire(id, range())), 'hhOBJECT');
  assert.equal(text(versions.object(id, range())), 'OBJECT');
  assert.equal(versions.wireSize(id), 8);
  assert.equal(versions.createRevision(id), 7);
  assert.equal(versions.modRevision(id), Number.MAX_SAFE_INTEGER);
  assert.ok(versions.wire(id, range()).bytes.buffer instanceof SharedArrayBuffer);
  versions.verify();
});

test('key and wire bytes that lie together, at every alignment and around every bound', () => {
  const versions = createVersions({ poison: true });
  const arena = Buffer.alloc(2 ** 17);
  const sizes = [1, 3, 4, 5, 40, 95, 97, 766, 767, 768, 769, 5_001, 90_001];
  const added: { id: VersionId; want: string }[] = [];
  for (const start of [0, 1, 3, 4, 16, 20]) {
    for (const [index, size] of sizes.entries()) {
      for (let at = 0; at < arena.length; at++) arena[at] = (at * 7 + size + start) & 0xff;
      const keyEnd = start + Math.min(index, size);
      const wire = { bytes: arena, start: keyEnd, end: start + size };
      const id = versions.add({ bytes: arena, start, end: keyEnd }, wire, 0, 1, 1);
      added.push({ id, want: arena.toString('latin1', start, start + size) });
    }
  }
  const latin1 = ({ bytes, start, end }: ByteRange) => Buffer.from(bytes.subarray(start, end)).toString('latin1');
  for (const { id, want } of added) {
    assert.equal(latin1(versions.key(id, range())) + latin1(versions.wire(id, range())), want);
  }
  versions.verify();
});

test('a short copy brings nothing along from behind the object', () => {
  const versions = createVersions();
  const arena = Buffer.from('keyOBJECTsecret!');
  const id = versions.add({ bytes: arena, start: 0, end: 3 }, { bytes: arena, start: 3, end: 9 }, 0, 1, 1);
  const { bytes, end } = versions.wire(id, range());
  assert.deepEqual([...bytes.subarray(end, end + 7)], [0, 0, 0, 0, 0, 0, 0]);
});

test('keys are compared whole, up to their last byte', () => {
  const versions = createVersions();
  for (let length = 0; length < 13; length++) {
    const key = Buffer.alloc(length, 'k');
    const id = versions.add(rangeOf(key), rangeOf(utf8('wire')), 0, 1, 1);
    const words = new Int32Array(4);
    const bytes = new Uint8Array(words.buffer);
    bytes.set(key);
    assert.equal(versions.hasKey(id, words, length), true, `length ${length}`);
    assert.equal(versions.hasKey(id, words, length + 1), false);
    for (let at = 0; at < length; at++) {
      bytes[at]! ^= 1;
      assert.equal(versions.hasKey(id, words, length), false, `length ${length}, byte ${at}`);
      bytes[at]! ^= 1;
    }
    versions.retire(id, 2);
    versions.reclaim(2);
    assert.throws(() => versions.hasKey(id, words, length), /read after it was freed/);
  }
});

test('sizes from nothing to larger than a slab', () => {
  const versions = createVersions({ slabBytes: 2 ** 18 });
  const sizes = [0, 1, 96, 97, 4_000, 8_192, 70_000, 2 ** 18, 2 ** 18 + 1, 3_000_000];
  const ids = sizes.map((size, index) =>
    versions.add(rangeOf(utf8(`k${index}`)), rangeOf(Buffer.alloc(size, index)), 0, 1, 1),
  );
  versions.verify();
  for (const [index, id] of ids.entries()) {
    const { bytes, start, end } = versions.wire(id, range());
    assert.equal(end - start, sizes[index]);
    assert.ok(bytes.subarray(start, end).every((byte) => byte === index));
    versions.retire(id, 2);
  }
  assert.equal(versions.reclaim(2), ids.length);
  versions.verify();
  assert.equal(versions.stats.slotBytes, 0);
});

// When is a version superseded at 10 freed? One row per rule.
const rows: [name: string, pins: number[], historyTail: number, freed: number][] = [
  ['history may still name it', [], 9, 0],
  ['history has moved to its revision', [], 10, 1],
  ['history has moved past it', [], 11, 1],
  ['a pin reads the state before it was superseded', [9], 20, 0],
  ['a pin sends the event that superseded it', [10], 20, 0],
  ['a pin is younger', [11], 20, 1],
  ['the oldest pin decides', [11, 30, 9], 20, 0],
];
for (const [name, pins, historyTail, freed] of rows) {
  test(`reclaim: ${name}`, () => {
    const versions = createVersions({ poison: true });
    const id = add(versions, 'a', 'hhvalue', 5);
    versions.retire(id, 10);
    const held = pins.map((revision) => versions.pin(revision, 'test'));
    assert.equal(versions.reclaim(historyTail), freed);
    if (freed === 0) assert.equal(text(versions.wire(id, range())), 'hhvalue');
    else assert.throws(() => versions.wire(id, range()), /read after it was freed/);
    versions.verify();
    for (const pin of held) pin[Symbol.dispose]();
    assert.equal(versions.reclaim(20), 1 - freed);
    versions.dispose();
  });
}

test('a large reclaim can be spread over turns', () => {
  const versions = createVersions();
  for (let index = 0; index < 20_000; index++) versions.retire(add(versions, `k${index}`, 'hhx', 1), 2);
  assert.equal(versions.reclaim(2, 15_000), 15_000);
  assert.equal(versions.stats.retired, 5_000);
  versions.verify();
  assert.equal(versions.reclaim(2), 5_000);
});

test('a revision whose versions may be gone cannot be pinned', () => {
  const versions = createVersions();
  versions.retire(add(versions, 'a', 'hh', 1), 10);
  versions.reclaim(10);
  assert.throws(() => versions.pin(9, 'late'), /pins revision 9, but versions superseded at 10 are gone/);
  versions.pin(10, 'in time')[Symbol.dispose]();
});

test('retiring twice, out of order or before the version was written is refused', () => {
  const versions = createVersions();
  const [a, b] = [add(versions, 'a', 'hh', 5), add(versions, 'b', 'hh', 5)];
  assert.throws(() => versions.retire(a, 5), /is superseded at 5/);
  versions.retire(a, 9);
  assert.throws(() => versions.retire(a, 10), /retired but not live/);
  assert.throws(() => versions.retire(b, 8), /in the order of revisions/);
  assert.throws(() => versions.retire(12_345, 10), /retired but not live/);
});

test('bad attributes are refused at the door', () => {
  const versions = createVersions();
  const bytes = rangeOf(utf8('hh'));
  assert.throws(() => versions.add(bytes, bytes, 3, 1, 1), /object offset/);
  assert.throws(() => versions.add(bytes, bytes, 0, 2, 1), /createRevision 2, modRevision 1/);
  assert.throws(() => versions.add(bytes, bytes, 0, 0, 1), /createRevision 0/);
  assert.throws(() => versions.add(bytes, bytes, 0, 1, 2 ** 53), /modRevision/);
  assert.equal(versions.stats.live, 0);
  versions.verify();
});

test('poisoned builds overwrite freed bytes and let ids rest; slots of Secrets are zeroed', () => {
  for (const [options, want] of [
    [{ poison: true }, POISON],
    [{ zeroOnFree: true }, 0],
  ] as const) {
    const versions = createVersions(options);
    const id = add(versions, 'a', 'hh'.repeat(100), 1);
    const other = add(versions, 'b', 'hh', 1);
    const view = versions.wire(id, range());
    versions.retire(id, 2);
    versions.reclaim(2);
    assert.ok(view.bytes.subarray(view.start, view.end).every((byte) => byte === want));
    versions.retire(other, 3);
    versions.reclaim(3);
    assert.equal(add(versions, 'c', 'hh', 4), 'poison' in options ? id : other);
  }
});

test('verify notices a byte that changed in a published slot', () => {
  const versions = createVersions({ poison: true });
  const id = add(versions, 'a', 'hhvalue', 1);
  versions.verify();
  const view = versions.wire(id, range());
  view.bytes[view.start + 3]! ^= 1;
  assert.throws(() => versions.verify(), /I7: bytes of version 0 changed/);
});

test('pins are listed with owner and age, the oldest revision first; dispose refuses while one is held', () => {
  const clock = createFakeClock();
  const versions = createVersions({ clock });
  const pins: Pin[] = [versions.pin(30, 'list'), versions.pin(10, 'watch')];
  clock.advance(500);
  pins.push(versions.pin(20, 'page'));
  assert.deepEqual(versions.pinList(), [
    { revision: 10, owner: 'watch', ageMs: 500 },
    { revision: 20, owner: 'page', ageMs: 0 },
    { revision: 30, owner: 'list', ageMs: 500 },
  ]);
  assert.throws(() => versions.dispose(), /disposed while watch pins revision 10/);
  for (const pin of pins) {
    pin[Symbol.dispose]();
    pin[Symbol.dispose]();
  }
  assert.equal(versions.stats.pins, 0);
  versions.dispose();
  assert.equal(versions.stats.reservedBytes, 0);
});

test('a pin that is lost is reported, counted and released', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const owners: string[] = [];
  const versions = createVersions({ onPinLeak: (owner) => owners.push(owner) });
  (() => void versions.pin(5, 'forgetful'))();
  for (let round = 0; round < 50 && owners.length === 0; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(owners, ['forgetful']);
  assert.equal(versions.stats.pins, 0);
  assert.equal(versions.stats.pinsLeaked, 1);
  assert.throws(() => versions.verify(), /1 pins were lost/);
});

const allocators = {
  'size-classes': undefined,
  'segregated-map': (slabs: ConstructorParameters<typeof SegregatedMapAllocator>[0]) =>
    new SegregatedMapAllocator(slabs),
  'linear-scan': (slabs: ConstructorParameters<typeof LinearScanAllocator>[0]) => new LinearScanAllocator(slabs),
};
for (const [name, allocator] of Object.entries(allocators)) {
  test(`agrees with a model under adds, retirements, pins and reclaims: ${name}`, () =>
    withSeed((random) => {
      const versions = createVersions({ poison: true, slabBytes: 2 ** 18, ...(allocator && { allocator }) });
      const live: [id: VersionId, wire: string][] = [];
      let retired: [id: VersionId, wire: string, supersededAt: number][] = [];
      let pins: Pin[] = [];
      let tail = 0;
      for (let revision = 1; revision <= 1_500; revision++) {
        for (let count = random.int(5); count > 0; count--) {
          const wire = `hh${random.hex(random.chance(0.02) ? 60_000 : random.int(900))}`;
          live.push([add(versions, `/registry/pods/${random.hex(1 + random.int(20))}`, wire, revision), wire]);
        }
        for (let count = random.int(5); count > 0 && live.length > 0; count--) {
          const [[id, wire]] = live.splice(random.int(live.length), 1) as [[VersionId, string]];
          if (versions.modRevision(id) === revision) live.push([id, wire]);
          else {
            versions.retire(id, revision);
            retired.push([id, wire, revision]);
          }
        }
        if (random.chance(0.2)) pins.push(versions.pin(Math.max(tail, revision - random.int(30)), 'model'));
        if (random.chance(0.2)) pins = pins.filter((pin) => random.chance(0.4) || pin[Symbol.dispose]());
        if (random.chance(0.3)) {
          tail = Math.max(tail, revision - random.int(60));
          const oldestPin = Math.min(...pins.map((pin) => pin.revision));
          const kept = retired.filter(([, , at]) => at > tail || at >= oldestPin);
          assert.equal(versions.reclaim(tail), retired.length - kept.length);
          retired = kept;
        }
        if (revision % 50 !== 0) continue;
        versions.verify();
        for (const [id, wire] of [...live, ...retired]) assert.equal(text(versions.wire(id, range())), wire);
        assert.equal(versions.stats.live, live.length);
        assert.equal(versions.stats.retired, retired.length);
      }
      for (const pin of pins) pin[Symbol.dispose]();
      versions.dispose();
    }));
}
