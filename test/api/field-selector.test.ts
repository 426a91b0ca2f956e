import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exactFieldValue, formatFieldSelector, parseFieldSelector } from '../../src/api/field-selector.js';

// Every row was answered by apimachinery's own fields.ParseSelector (0.36).
const canonical: [text: string, canonical: string][] = [
  ['', ''],
  ['=', ''],
  ['!=', ''],
  ['a=b', 'a=b'],
  ['a==b', 'a=b'],
  ['a!=b', 'a!=b'],
  ['a=\\,b', 'a=\\,b'],
  ['a=b,,c=d', 'a=b,c=d'],
  ['c=d,a=b', 'a=b,c=d'],
  ['a=', 'a='],
  ['=x', '=x'],
  [',', ''],
  ['a\\,b=c', 'a\\,b=c'],
];
for (const [text, want] of canonical) {
  test(`fieldSelector ${JSON.stringify(text)} is ${want === '' ? 'everything' : want}`, () => {
    const selector = parseFieldSelector(text);
    assert.ok(selector.ok);
    assert.equal(formatFieldSelector(selector.value), want);
  });
}

const rejected: [text: string, message: string][] = [
  ['a', "invalid selector: 'a'; can't understand 'a'"],
  ['a=b,c', "invalid selector: 'a=b,c'; can't understand 'c'"],
  ['a=\\x', 'invalid field selector: invalid escape sequence: \\x'],
  ['a=b=c', 'invalid field selector: unescaped character in value: 61'],
  ['a=b\\', 'invalid field selector: invalid escape sequence: \\'],
  ['a!==b', 'invalid field selector: unescaped character in value: 61'],
  ['a===b', 'invalid field selector: unescaped character in value: 61'],
  ['a=b!=c', 'invalid field selector: unescaped character in value: 61'],
  ['a=é,b=\\é', 'invalid field selector: invalid escape sequence: \\é'],
];
for (const [text, message] of rejected) {
  test(`fieldSelector ${JSON.stringify(text)} is rejected`, () => {
    assert.deepEqual(parseFieldSelector(text), { ok: false, message });
  });
}

test('escapes are removed from values', () => {
  const selector = parseFieldSelector(String.raw`a=b\,c\=d\\e`);
  assert.deepEqual(selector, { ok: true, value: [{ field: 'a', operator: '=', value: String.raw`b,c=d\e` }] });
});

test('only equality demands a value', () => {
  const selector = parseFieldSelector('metadata.name!=a,metadata.namespace==b,metadata.name=c');
  assert.ok(selector.ok);
  assert.equal(exactFieldValue(selector.value, 'metadata.name'), 'c');
  assert.equal(exactFieldValue(selector.value, 'metadata.namespace'), 'b');
  assert.equal(exactFieldValue(selector.value, 'spec.nodeName'), undefined);
});
