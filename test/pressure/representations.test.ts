import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWriter } from '../../src/codec/writer.js';
import { rangeOf, utf8 } from '../../src/lib/bytes.js';
import { systemClock } from '../../src/lib/clock.js';
import { type Random, seededRandom } from '../../src/lib/random.js';
import { manifests, type PressureKind } from '../../src/pressure/manifests.js';
import { HeapVersions } from '../../src/pressure/heap-versions.js';
import { ObjectStream, ObjectTooSmall } from '../../src/pressure/object-stream.js';
import { type RepresentationName, representations } from '../../src/pressure/representations.js';
import { withSeed } from '../engine/with-seed.js';
import { textWires, versionsSuite, type Wires } from '../suites/versions-suite.js';

/** Wire bytes of real objects: a decoded form can hold no others. */
function wiresOf(stream: ObjectStream): Wires {
  const writer = createWriter();
  return {
    objectOffset: offsetOf(stream),
    one: (random: Random) => {
      const { value } = stream.set(random.int(1_000), random.int(1_000));
      writer.position = 0;
      stream.codec.toWire(value, 0, value.length, 1 + random.int(9), writer);
      return new Uint8Array(writer.bytes.subarray(writer.headerStart, writer.position));
    },
  };
}

/** The header of an item is as long for each object of one size. */
function offsetOf(stream: ObjectStream): number {
  const writer = createWriter();
  const { value } = stream.set(0, 0);
  stream.codec.toWire(value, 0, value.length, 1, writer);
  return writer.start - writer.headerStart;
}

const kinds = Object.keys(manifests) as PressureKind[];
const names = (Object.keys(representations) as RepresentationName[]).filter((name) => name !== 'slabs'); // test/versions
for (const name of names) {
  const stream = new ObjectStream('leases', undefined, 7);
  versionsSuite(name, (clock) => representations[name](stream.codec, clock), wiresOf(stream), false);
  for (const kind of kinds) {
    test(`${name}: ${kind} come back byte for byte`, () =>
      withSeed((random) => {
        const { codec } = new ObjectStream(kind, undefined, 7);
        const wires = wiresOf(new ObjectStream(kind, undefined, random.int(2 ** 31)));
        const versions = representations[name](codec, systemClock);
        for (let round = 0; round < 50; round++) {
          const wire = wires.one(random);
          const id = versions.add(rangeOf(utf8(`k${round}`)), rangeOf(wire), wires.objectOffset, 1, 1);
          const { bytes, start, end } = versions.wire(id, rangeOf(new Uint8Array(0)));
          assert.deepEqual(Buffer.from(bytes.subarray(start, end)), Buffer.from(wire));
        }
      }));
  }
}
versionsSuite(
  'any bytes on the heap',
  (clock) =>
    new HeapVersions(
      { hold: (bytes, start, end) => new Uint8Array(bytes.subarray(start, end)), wire: (value: Uint8Array) => value },
      clock,
    ),
  textWires,
  false,
);

for (const kind of kinds) {
  test(`a stream of ${kind} writes what the codec takes, each write another one`, () => {
    const stream = new ObjectStream(kind, undefined, 1);
    const random = seededRandom(3);
    for (let round = 0; round < 200; round++) {
      const [index, tick] = [random.int(10_000_000), random.int(100_000_000)];
      const { key, value } = stream.set(index, tick);
      const digits = String(index).padStart(7, '0');
      assert.ok(key.toString().endsWith(`/${digits}`));
      assert.equal(stream.indexOf(key), index);
      const writer = createWriter();
      stream.codec.toWire(value, 0, value.length, 5, writer);
      const object = stream.codec.read(writer.bytes, writer.start, writer.position) as {
        metadata: { name: string; annotations: Record<string, string> };
      };
      assert.equal(object.metadata.name, digits);
      assert.equal(object.metadata.annotations['listwatch.dev/tick'], String(tick).padStart(8, '0'));
    }
    assert.equal(stream.codec.slowDecodes, 0);
  });
}

test('objects have the size that was asked for, or it is said how small they can be', () => {
  for (const size of [900, 4_096, 20_000]) {
    const { value } = new ObjectStream('leases', size, 1).set(0, 0);
    assert.ok(value.length <= size && value.length > size - 4, `${value.length} of ${size} bytes`);
  }
  assert.throws(
    () => new ObjectStream('pods', 100, 1),
    (error) => error instanceof ObjectTooSmall && error.least > 2_000,
  );
});

test('the same seed makes the same objects', () => {
  const value = (seed: number) => new ObjectStream('pods', undefined, seed).set(5, 6).value.toString('latin1');
  assert.equal(value(1), value(1));
  assert.notEqual(value(1), value(2));
});
