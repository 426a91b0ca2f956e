import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textLine } from '../../src/app/log.js';

const line = (entry: object) => textLine(JSON.stringify({ level: 30, time: '2026-01-01T10:00:00.000Z', ...entry }));

test('an entry is one line of text', () => {
  assert.equal(line({ msg: 'serving', port: 8080 }), 'I 2026-01-01T10:00:00.000Z serving port=8080\n');
  assert.equal(
    line({ level: 50, msg: 'failed', err: { stack: 'Error: x\n    at y' } })
      .trimEnd()
      .split('\n').length,
    1,
  );
});

test('what a client sent can neither begin a line nor speak to a terminal', () => {
  const uri = '/a\r\nE 2026-01-01 forged\u001b[2J\u0007\u009b31m\u2028b\u007f\tc';
  const text = line({ msg: 'request failed', uri });
  assert.equal(
    text,
    'I 2026-01-01T10:00:00.000Z request failed ' +
      'uri=/a\\r\\nE 2026-01-01 forged\\u001b[2J\\u0007\\u009b31m\\u2028b\\u007f\\tc\n',
  );
});
