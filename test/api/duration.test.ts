import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDurationMs, parseTimeoutMs } from '../../src/api/duration.js';

// Every row was answered by Go's own time.ParseDuration. A text: the error.
const rows: [text: string, milliseconds: number | string][] = [
  ['abc', 'time: invalid duration "abc"'],
  ['5', 'time: missing unit in duration "5"'],
  ['5s', 5000.0],
  ['1h2m3.5s', 3723500.0],
  ['-3s', -3000.0],
  ['+2s', 2000.0],
  ['0', 0.0],
  ['', 'time: invalid duration ""'],
  ['1.s', 1000.0],
  ['.5s', 500.0],
  ['5x', 'time: unknown unit "x" in duration "5x"'],
  ['s', 'time: invalid duration "s"'],
  ['1d', 'time: unknown unit "d" in duration "1d"'],
  ['100ms', 100.0],
  ['3µs', 0.003],
  ['9999999999h', 'time: invalid duration "9999999999h"'],
  ['1.2.3s', 'time: missing unit in duration "1.2.3s"'],
  ['5 s', 'time: unknown unit " s" in duration "5 s"'],
  ['é', 'time: invalid duration "\\xc3\\xa9"'],
  ['-', 'time: invalid duration "-"'],
  ['.', 'time: invalid duration "."'],
];
for (const [text, want] of rows) {
  test(`duration ${JSON.stringify(text)}`, () => {
    const got = parseDurationMs(text);
    assert.deepEqual(got, typeof want === 'number' ? { ok: true, value: want } : { ok: false, message: want });
  });
}

test('?timeout= names the parameter in its error', () => {
  assert.deepEqual(parseTimeoutMs('abc'), {
    ok: false,
    message: 'invalid timeout specified in the request URL - time: invalid duration "abc"',
  });
  assert.deepEqual(parseTimeoutMs(undefined), { ok: true, value: undefined });
  assert.deepEqual(parseTimeoutMs('30s'), { ok: true, value: 30_000 });
});
