import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import { type Random, seededRandom, systemRandom } from '../../src/lib/random.js';
import { hasZstd, storedBlocks, ZSTD_FRAME_END, ZSTD_FRAME_HEAD, zstdBlocks, zstdFrame } from '../../src/lib/zstd.js';
import { standAlone } from '../../src/lib/zstd-sequences.js';

const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync(bytes: Uint8Array): Buffer };
const skip = hasZstd ? false : 'this Node has no Zstandard: it has from 22.15 on';
const decoded = (...blocks: Uint8Array[]) =>
  zstdDecompressSync(Buffer.concat([ZSTD_FRAME_HEAD, ...blocks, ZSTD_FRAME_END]));

/** Blocks as the compressor made them, whether or not they stand alone. Frames of ours have heads of six bytes. */
async function asCompressed(bytes: Buffer): Promise<Buffer> {
  const frame = await zstdFrame(bytes);
  const blocks = frame.subarray(6);
  for (let at = 0; at < blocks.length; ) {
    const header = blocks.readUIntLE(at, 3);
    blocks[at]! &= 0xfe;
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
  }
  return blocks;
}

/** Texts as LISTs have them, and texts that begin with what the compressor likes to repeat from nothing. */
function sample(random: Random): Buffer {
  const words = Array.from({ length: 1 + random.int(30) }, () => random.hex(1 + random.int(12)));
  const start = random.pick(['', '', 'aaaaaaaa', 'abcdabcdabcd', '\0\0\0\0\0', 'x11111y11111']);
  const parts = [start];
  for (let size = random.pick([3, 50, 2_000, 100_000, 400_000]); size > 0; size -= parts.at(-1)!.length + 1) {
    parts.push(random.chance(0.1) ? random.hex(1 + random.int(60)) : random.pick(words));
    if (random.chance(0.3)) parts.push(random.pick(['0000', '{"a":', '":"', 'zzzzzz']));
  }
  return Buffer.from(parts.join(random.pick(['', ',', ' '])));
}

test('blocks that were compressed apart are one frame, in any order', { skip }, async () => {
  const seed = process.env['SEED'] === undefined ? systemRandom.int(2 ** 31) : Number(process.env['SEED']);
  const random = seededRandom(seed);
  const texts = Array.from({ length: 60 }, () => sample(random));
  const blocks = await Promise.all(texts.map(zstdBlocks));
  for (let round = 0; round < 200; round++) {
    const order = Array.from({ length: 1 + random.int(6) }, () => random.int(texts.length));
    const want = Buffer.concat(order.flatMap((at) => [texts[at]!, Buffer.from(',')]));
    const got = decoded(...order.flatMap((at) => [blocks[at]!, storedBlocks(Buffer.from(','))]));
    assert.ok(got.equals(want), `SEED=${seed}: ${order.join(' ')}`);
  }
});

test('Zstandard is found where Node has it', () => {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  assert.equal(hasZstd, major > 23 || (major === 23 && minor >= 8) || (major === 22 && minor >= 15));
});

const curl = spawnSync('curl', ['--version'], { encoding: 'utf8' });
const skipCurl = skip || (curl.stdout?.includes('zstd') === true ? false : 'no curl that has Zstandard');
test('curl and fetch read it to the end', { skip: skipCurl }, async () => {
  const random = seededRandom(3);
  const texts = Array.from({ length: 8 }, () => sample(random));
  const body = Buffer.concat([ZSTD_FRAME_HEAD, ...(await Promise.all(texts.map(zstdBlocks))), ZSTD_FRAME_END]);
  const server = createServer((_, response) => void response.setHeader('content-encoding', 'zstd').end(body));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = { encoding: 'buffer', maxBuffer: 2 ** 28 } as const;
  const { stdout } = await promisify(execFile)('curl', ['-sS', '--noproxy', '*', '--compressed', url], options);
  const fetched = Buffer.from(await (await fetch(url)).arrayBuffer());
  server.close();
  assert.ok(stdout.equals(Buffer.concat(texts)));
  assert.ok(fetched.equals(Buffer.concat(texts)));
});

test('what blocks take over from those before them is seen', { skip }, async () => {
  const random = seededRandom(7);
  const others = await Promise.all(Array.from({ length: 12 }, () => asCompressed(sample(random))));
  let alone = 0;
  let wrong = 0;
  for (let count = 0; count < 100; count++) {
    const text = sample(random);
    const blocks = await asCompressed(text);
    if (standAlone(blocks)) alone++;
    for (const other of others) {
      const before = decoded(other);
      let got: Buffer | undefined;
      try {
        got = decoded(other, blocks).subarray(before.length);
      } catch {
        got = undefined; // a distance that reaches behind the beginning
      }
      if (got?.equals(text) === true) continue;
      wrong++;
      assert.equal(standAlone(blocks), false, `${count}: ${text.toString('latin1', 0, 60)}`);
    }
  }
  assert.ok(alone > 10 && wrong > 10, `${alone} stand alone, ${wrong} are read wrongly`);
});

test('blocks of which hardly any stands alone are stored at first, and larger by that only', { skip }, async () => {
  const text = Buffer.from(`aaaaaaaa${'{"name":"a","value":1},'.repeat(5_000)}`);
  assert.equal(standAlone(await asCompressed(text)), false);
  const blocks = await zstdBlocks(text);
  assert.ok(blocks.length < 1_000, `${blocks.length}`);
  const same = Buffer.alloc(300_000, 'a');
  const [first, ...more] = [await zstdBlocks(same), await zstdBlocks(text), await zstdBlocks(same)];
  assert.ok(decoded(first!, ...more).equals(Buffer.concat([same, text, same])));
});

test('what is no block is refused', () => {
  assert.throws(() => standAlone(Uint8Array.of(0x84, 0, 0, 1)), RangeError);
  assert.throws(() => standAlone(Uint8Array.of(0x14, 0, 0, 8, 0x61)), RangeError);
  // One literal, one sequence of predefined codes, and a bit stream that ends before the first state.
  assert.throws(() => standAlone(Uint8Array.of(0x2c, 0, 0, 8, 0x61, 1, 0, 1)), RangeError);
});
