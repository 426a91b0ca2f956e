import assert from 'node:assert/strict';
import { test } from 'node:test';
import { combineCrc, crc32, crc32ByTable, crcShift } from '../../src/lib/crc32.js';
import { seededRandom } from '../../src/lib/random.js';

const bytesOf = (text: string) => Buffer.from(text, 'latin1');

test('the check value of CRC-32', () => {
  assert.equal(crc32(bytesOf('123456789')), 0xcbf43926);
  assert.equal(crc32ByTable(bytesOf('123456789')), 0xcbf43926);
  assert.equal(crc32(bytesOf('')), 0);
  for (const none of [Buffer.alloc(0), Buffer.allocUnsafeSlow(0).subarray(0, 0)]) assert.equal(crc32(none, 5), 5);
});

test('pieces in a row: continued, by table and combined are the same', () => {
  const random = seededRandom(1);
  const whole = Buffer.from(Array.from({ length: 70_000 }, () => random.int(256)));
  const want = crc32ByTable(whole);
  for (let round = 0; round < 50; round++) {
    const cut = random.pick([0, 1, 2, whole.length - 1, whole.length, random.int(whole.length)]);
    const [first, second] = [whole.subarray(0, cut), whole.subarray(cut)];
    assert.equal(crc32(second, crc32(first)), want);
    assert.equal(crc32ByTable(second, crc32ByTable(first)), want);
    assert.equal(combineCrc(crc32(first), crc32(second), crcShift(second.length)), want);
  }
});

test('the shift of a long piece is that of its parts', () => {
  const gigabyte = crcShift(2 ** 30);
  let combined = 1;
  for (let round = 0; round < 8; round++) combined = combineCrc(combined, 0, gigabyte);
  assert.equal(combineCrc(1, 0, crcShift(2 ** 33)), combined);
});
