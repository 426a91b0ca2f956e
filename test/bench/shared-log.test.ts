import assert from 'node:assert/strict';
import test from 'node:test';
import { SharedLog } from '../../bench/experiments/shared-log.js';

test('a shared log gives out what was appended, in order, to whoever opens its memory', () => {
  const log = new SharedLog(new SharedArrayBuffer(8 + 10));
  const other = new SharedLog(log.memory);
  log.append(Buffer.from('abc'));
  assert.equal(other.behind(0).toString(), 'abc');
  log.append(Buffer.from('defg'));
  assert.equal(other.written, 7);
  assert.equal(other.behind(3).toString(), 'defg');
  assert.equal(other.behind(7).length, 0);
  assert.throws(() => log.append(Buffer.from('hijk')), RangeError);
  assert.equal(other.written, 7);
});
