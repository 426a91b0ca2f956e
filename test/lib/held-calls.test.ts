import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeldCalls } from '../../src/lib/held-calls.js';

test('calls are held until there is somebody to be told, then made once, in order', () => {
  const told: string[] = [];
  const calls = new HeldCalls<[string, number]>();
  calls.call('a', 1);
  calls.call('b', 2);
  calls.deliverTo((name, count) => told.push(`${name}${count}`));
  calls.call('c', 3);
  assert.deepEqual(told, ['a1', 'b2', 'c3']);
});
