import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCanonical } from '../../src/codec/canonical.js';
import { spliceProtobuf } from '../../src/codec/splice.js';
import { createWriter } from '../../src/codec/writer.js';

// Rules that deliberate mutations have shown to need a test of their own (test/mutations).
const OBJECT_META = 'k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** ObjectMeta as Go writes it: every plain field, empty or not. `generation` is given as bytes. */
function metadata(generation: readonly number[], resourceVersion = true): Buffer {
  const text = (field: number, value = '') => [field * 8 + 2, value.length, ...Buffer.from(value)];
  const creation = [8 * 8 + 2, 0];
  return Buffer.from([
    ...[...text(1, 'n'), ...text(2), ...text(3), ...text(4), ...text(5)],
    ...(resourceVersion ? text(6) : []),
    ...[7 * 8, ...generation, ...creation],
  ]);
}

const varints: [bytes: number[], canonical: boolean, why: string][] = [
  [[0x00], true, '0'],
  [[0x01], true, '1'],
  [[0x81, 0x01], true, '129'],
  [[0x81, 0x00], false, '1 in two bytes'],
  [[0x80, 0x80, 0x00], false, '0 in three bytes'],
  [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], true, '-1'],
  [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], false, 'more than 64 bits'],
];
for (const [bytes, canonical, why] of varints) {
  test(`a generation of ${why} is ${canonical ? '' : 'not '}as Go writes it`, () => {
    const message = metadata(bytes);
    assert.equal(isCanonical(OBJECT_META, message, 0, message.length), canonical);
  });
}

test('a resourceVersion that is not there is put in its place among the fields', () => {
  const object = (meta: Buffer) => Buffer.concat([Buffer.from([0x0a, meta.length]), meta, Buffer.from([0x12, 0x00])]);
  const spliced = (stored: Buffer) => {
    const into = createWriter();
    spliceProtobuf(stored, 0, stored.length, 57, into);
    return Buffer.from(into.bytes.subarray(into.start, into.position));
  };
  const whole = object(metadata([0x05]));
  const without = object(metadata([0x05], false));
  assert.equal(without.length, whole.length - 2);
  assert.deepEqual(spliced(without), spliced(whole));
  assert.ok(spliced(whole).includes(Buffer.from([0x32, 0x02, 0x35, 0x37, 0x38, 0x05])));
});
