import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateRawSync, constants as zlib } from 'node:zlib';
import fc from 'fast-check';
import { createWriter } from '../../src/codec/writer.js';
import { ALONE, PieceDeflater } from '../../src/lib/piece-deflate.js';

const LAST_BLOCK = Uint8Array.of(0x03, 0x00);

interface Piece {
  readonly text: Uint8Array;
  readonly gap: number;
  /** Compressed earlier: the deflater is only told of it. */
  readonly known: boolean;
}

/** A stored block of `size` bytes, as stands between two pieces. */
function stored(size: number): Buffer {
  const block = Buffer.alloc(5 + size, 0x2e);
  block[0] = 0;
  block.writeUInt16LE(size, 1);
  block.writeUInt16LE(~size & 0xffff, 3);
  return block;
}

/** Everything compressed in a row, and what it should be when it is read. */
function joined(pieces: readonly Piece[], deflater = new PieceDeflater()): { parts: Uint8Array[]; want: Buffer } {
  const parts: Uint8Array[] = [];
  const want: Uint8Array[] = [];
  pieces.forEach(({ text, gap, known }, index) => {
    if (index > 0) {
      parts.push(stored(gap));
      want.push(Buffer.alloc(gap, 0x2e));
    }
    const into = createWriter();
    if (known) {
      new PieceDeflater().write(text, ALONE, into);
      deflater.know(text);
    } else deflater.write(text, index === 0 ? ALONE : gap, into);
    parts.push(Buffer.from(into.bytes.subarray(0, into.position)));
    want.push(text);
  });
  return { parts: [...parts, LAST_BLOCK], want: Buffer.concat(want) };
}

function readBack(parts: readonly Uint8Array[]): Buffer {
  return inflateRawSync(Buffer.concat(parts), { finishFlush: zlib.Z_FINISH });
}

const words = ['pod-', 'default', '"metadata":{', '"labels":', 'é', '\u{1f600}', '0123456789', 'a', '{}'];
const likeText = fc.array(fc.constantFrom(...words), { maxLength: 400 }).map((parts) => Buffer.from(parts.join('')));
const anyBytes = fc.uint8Array({ maxLength: 600 });
const piece = fc.record({
  text: fc.oneof(likeText, anyBytes),
  gap: fc.oneof(fc.nat(60), fc.integer({ min: 0, max: 65_535 })),
  known: fc.boolean(),
});

test('pieces and stored blocks in a row are read by zlib as what they were', () => {
  const deflater = new PieceDeflater(); // one for all runs: what it remembers of the last must not matter
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const { parts, want } = joined(pieces, deflater);
      assert.deepEqual(readBack(parts), want);
    }),
    { numRuns: 300 },
  );
});

test('every length and distance that deflate knows', () => {
  const deflater = new PieceDeflater();
  for (const distance of [1, 2, 3, 4, 5, 8, 9, 255, 256, 257, 1023, 4096, 24_576, 24_577, 32_767, 32_768, 32_769]) {
    for (const length of [4, 5, 10, 11, 12, 18, 19, 34, 35, 66, 67, 114, 130, 131, 226, 227, 257, 258, 259, 515, 516]) {
      const text = Buffer.alloc(distance + length);
      for (let at = 0; at < text.length; at++)
        text[at] = at < distance ? (at * at * 31 + (at >> 3)) & 0xff : text[at - distance]!;
      const { parts, want } = joined([{ text, gap: 0, known: false }], deflater);
      assert.deepEqual(readBack(parts), want, `length ${length}, distance ${distance}`);
    }
  }
});

test('a piece that resembles the one before takes a fraction of its bytes, however large the gap', () => {
  const row = (index: number) =>
    Buffer.from(
      JSON.stringify({
        object: {
          name: `pod-${index * 7919}`,
          uid: `0b9a${index * 104_729}`,
          labels: { app: 'web', tier: 'front' },
          node: `node-${index % 9}`,
        },
      }).repeat(3),
    );
  const size = (gap: number) => {
    const pieces = Array.from({ length: 64 }, (_, index) => ({ text: row(index), gap, known: false }));
    const { parts, want } = joined(pieces);
    assert.deepEqual(readBack(parts), want);
    return parts.reduce((sum, { length }) => sum + length, -63 * (gap + 5));
  };
  const plain = row(0).length * 64;
  assert.ok(size(60) < plain / 4, `${size(60)} of ${plain}`);
  assert.ok(size(20_000) < plain / 3, `${size(20_000)} of ${plain}`);
  assert.ok(size(40_000) > size(20_000), 'further than 32 KiB back nothing is found');
});

test('pieces larger than its buffer, and empty ones', () => {
  const large = Buffer.from('a large piece of text; '.repeat(20_000));
  const pieces = [large, Buffer.alloc(0), large, Buffer.alloc(200_000, 'x'), Buffer.from('abc')];
  const { parts, want } = joined(pieces.map((text) => ({ text, gap: 12, known: false })));
  assert.deepEqual(readBack(parts), want);
});
