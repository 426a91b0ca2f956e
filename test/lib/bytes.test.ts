import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareUtf8, copyBytes } from '../../src/lib/bytes.js';

test('copyBytes copies the range and nothing else, from shared memory and from any other, however aligned', () => {
  const size = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 500, max: 530 }), fc.constant(5_000));
  const offset = fc.integer({ min: 0, max: 17 });
  fc.assert(
    fc.property(size, offset, offset, fc.boolean(), fc.boolean(), (length, from, at, shared, whole) => {
      const room = from + length + 3;
      const source = new Uint8Array(shared ? new SharedArrayBuffer(room) : new ArrayBuffer(room));
      for (let index = 0; index < room; index++) source[index] = index % 251;
      const into = Buffer.alloc(at + length + 5, 0xee);
      if (whole) copyBytes(into, at, source.subarray(from, from + length), 0, length);
      else copyBytes(into, at, source, from, from + length);
      const want = Buffer.alloc(into.length, 0xee);
      for (let index = 0; index < length; index++) want[at + index] = (from + index) % 251;
      assert.deepEqual(into, want);
    }),
  );
});

test('compareUtf8 orders as the bytes are ordered', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 6 });
  const near = fc.constantFrom(
    '',
    'a',
    'b',
    '\u007f',
    '\u0080',
    '\u07ff',
    '\u0800',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '😀',
    '😀a',
  );
  fc.assert(
    fc.property(fc.oneof(near, text), fc.oneof(near, text), fc.oneof(near, text), (before, a, b) => {
      const want = Buffer.compare(Buffer.from(before + a), Buffer.from(before + b));
      assert.equal(Math.sign(compareUtf8(before + a, before + b)), want);
    }),
  );
});
