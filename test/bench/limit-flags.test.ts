import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limitsOf } from '../../bench/limit-flags.js';
import { defaultLimits } from '../../src/lib/limits.js';

test('a bench measures the default limits but for those it is told', () => {
  assert.deepEqual(limitsOf([]), defaultLimits);
  assert.deepEqual(limitsOf(['watchFlushMs=5', 'listChunkBytes=65536']), {
    ...defaultLimits,
    watchFlushMs: 5,
    listChunkBytes: 65_536,
  });
});

for (const [flag, message] of [
  ['watchFlush=5', /no limit is called "watchFlush"/],
  ['watchFlushMs', /must be NAME=NUMBER/],
  ['watchFlushMs=', /must be NAME=NUMBER/],
  ['watchFlushMs=soon', /must be NAME=NUMBER/],
  ['watchFlushMs=-1', /must be NAME=NUMBER/],
  ['toString=1', /no limit is called "toString"/],
] as const) {
  test(`refused: --limit ${flag}`, () => assert.throws(() => limitsOf([flag]), message));
}
