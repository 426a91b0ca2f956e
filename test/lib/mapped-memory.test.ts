import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mappedBytes, mappedMemory } from '../../src/lib/mapped-memory.js';

test('it is shared, zero, and as long as asked for', () => {
  for (const size of [1, 4096, 256 * 2 ** 10]) {
    const memory = mappedMemory(size);
    assert.ok(memory instanceof SharedArrayBuffer);
    assert.equal(memory.byteLength, size);
    assert.ok(Buffer.from(memory, 0, size).every((byte) => byte === 0));
  }
});

const residentBytes = () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]) * 1024;
const skip = process.platform === 'linux' ? false : 'reads /proc';

test('what is not written to takes no memory, even where memory was freed', { skip }, () => {
  const size = 16 * 2 ** 20;
  const before = residentBytes();
  const memory = Buffer.from(mappedMemory(size * 4), 0, size * 4);
  assert.ok(residentBytes() - before < size / 2, 'nothing was touched');
  memory.fill(1, 0, size);
  const grown = residentBytes() - before;
  assert.ok(grown > size / 2 && grown < size * 2, `${grown} bytes more after ${size} were written`);
});

test('bytes of one thread are counted by V8, and can be transferred', async () => {
  const { external } = process.memoryUsage();
  let bytes: Buffer | undefined = mappedBytes(64 * 2 ** 20);
  assert.equal(bytes.length, 64 * 2 ** 20);
  assert.ok(process.memoryUsage().external >= external + bytes.length, 'is a reason to collect garbage');
  bytes.fill(7);
  const { port1, port2 } = new MessageChannel();
  const received = new Promise<ArrayBuffer>((resolve) => port2.once('message', resolve));
  port1.postMessage(bytes.buffer, [bytes.buffer as ArrayBuffer]);
  assert.equal(bytes.length, 0, 'gone from here');
  bytes = Buffer.from(await received, 0, 64 * 2 ** 20);
  assert.equal(bytes[bytes.length - 1], 7);
  bytes = undefined;
  port1.close();
  assert.equal(mappedBytes(100).length, 100, 'small ones are not worth a page');
});
