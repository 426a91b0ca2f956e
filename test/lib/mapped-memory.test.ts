import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mappedMemory } from '../../src/lib/mapped-memory.js';

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
