import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type ByteRange, rangeOf, utf8 } from '../../src/lib/bytes.js';
import type { CreateAllocator } from '../../src/versions/allocator.js';
import { createVersions, POISON } from '../../src/versions/create-versions.js';
import { LinearScanAllocator } from '../../src/versions/linear-scan.js';
import { SegregatedMapAllocator } from '../../src/versions/segregated-map.js';
import type { VersionId, Versions } from '../../src/versions/versions.js';
import { textWires, versionsSuite } from '../suites/versions-suite.js';

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

test('nothing moves into another slab while much is free in those that there are', () => {
  const versions = createVersions({ slabBytes: 2 ** 18 });
  const ids = Array.from({ length: 400 }, (_, index) => add(versions, `k${index}`, 'hh'.repeat(2_000), 1));
  for (const [index, id] of ids.entries()) if (index % 4 !== 0) versions.retire(id, 2);
  versions.reclaim(2);
  const some = Int32Array.from(ids.filter((_, index) => index % 4 === 0).slice(0, 20));
  const { reservedBytes } = versions.stats;
  assert.equal(versions.gather(some, 0), undefined);
  assert.equal(versions.stats.reservedBytes, reservedBytes);
  assert.equal(versions.gather(some, 2 ** 24)?.count, 20);
  assert.ok(versions.stats.reservedBytes > reservedBytes);
  const others = Int32Array.from(ids.filter((_, index) => index % 4 === 0).slice(20, 40));
  versions.reclaim(2);
  assert.equal(versions.gather(others, 0)?.count, 20, 'there is room for it');
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
  assert.throws(() => versions.verify(), /I8: bytes of version 0 changed/);
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

versionsSuite('slabs', (clock) => createVersions({ poison: true, slabBytes: 2 ** 18, clock }), textWires);
for (const [name, createAllocator] of Object.entries({
  'segregated-map': SegregatedMapAllocator,
  'linear-scan': LinearScanAllocator,
})) {
  const allocator: CreateAllocator = (slabs) => new createAllocator(slabs);
  versionsSuite(
    `slabs, ${name}`,
    (clock) => createVersions({ poison: true, slabBytes: 2 ** 18, allocator, clock }),
    textWires,
  );
}
