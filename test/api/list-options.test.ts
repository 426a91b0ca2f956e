import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ListOptions, parseListOptions } from '../../src/api/list-options.js';
import { decodeQuery } from '../../src/api/query.js';

// Answered by Go's own net/url: malformed pairs vanish, the first of several values counts.
const queries: [query: string, parameters: Record<string, string>][] = [
  ['', {}],
  ['a=1&a=2', { a: '1' }],
  ['a=%zz&b=1', { b: '1' }],
  ['a=%zz&a=1', { a: '1' }],
  ['a+b=c%20d', { 'a b': 'c d' }],
  ['a;b=1&c=2', { c: '2' }],
  ['=x', { '': 'x' }],
  ['a', { a: '' }],
  ['&&a=&', { a: '' }],
  ['%41=%42', { A: 'B' }],
  ['a=%', {}],
  ['a=%4', {}],
  ['a=b=c', { a: 'b=c' }],
  ['a=%C3%A9+%2B', { a: 'é +' }],
];
for (const [query, want] of queries) {
  test(`?${query}`, () => assert.deepEqual(Object.fromEntries(decodeQuery(query)), want));
}

const defaults: ListOptions = {
  watch: false,
  labelSelector: [],
  fieldSelector: [],
  resourceVersion: '',
  resourceVersionMatch: '',
  limit: 0,
  continue: '',
  timeoutSeconds: undefined,
  allowWatchBookmarks: false,
  sendInitialEvents: undefined,
  shardSelector: '',
};

const decoded: [query: string, want: Partial<ListOptions>][] = [
  ['', {}],
  ['unknown=1&Watch=1', {}],
  ['shardSelector=', {}],
  ['shardSelector=+not+looked+at', { shardSelector: ' not looked at' }],
  ['watch', { watch: true }],
  ['watch=', { watch: true }],
  ['watch=1', { watch: true }],
  ['watch=0', { watch: false }],
  ['watch=False', { watch: false }],
  ['watch=no', { watch: true }],
  ['watch=false&watch=true', { watch: false }],
  ['sendInitialEvents=false', { sendInitialEvents: false }],
  ['sendInitialEvents', { sendInitialEvents: true }],
  ['allowWatchBookmarks=true', { allowWatchBookmarks: true }],
  ['limit=5', { limit: 5 }],
  ['limit=-5', { limit: 0 }],
  ['limit=%2B5', { limit: 5 }],
  ['limit=9223372036854775807', { limit: Number.MAX_SAFE_INTEGER }],
  ['timeoutSeconds=-1', { timeoutSeconds: -1n }],
  ['timeoutSeconds=0', { timeoutSeconds: 0n }],
  ['resourceVersion=abc&resourceVersionMatch=Bogus', { resourceVersion: 'abc', resourceVersionMatch: 'Bogus' }],
  ['continue=abc', { continue: 'abc' }],
  ['labelSelector=a%3Db', { labelSelector: [{ key: 'a', operator: '=', values: ['b'] }] }],
  ['fieldSelector=metadata.name%3Dx', { fieldSelector: [{ field: 'metadata.name', operator: '=', value: 'x' }] }],
];
for (const [query, want] of decoded) {
  test(`ListOptions of ?${query}`, () => {
    assert.deepEqual(parseListOptions(query), { ok: true, value: { ...defaults, ...want } });
  });
}

const rejected: [query: string, message: string][] = [
  ['limit=abc', 'strconv.ParseInt: parsing "abc": invalid syntax'],
  ['limit=', 'strconv.ParseInt: parsing "": invalid syntax'],
  ['limit=1.5', 'strconv.ParseInt: parsing "1.5": invalid syntax'],
  ['limit=9223372036854775808', 'strconv.ParseInt: parsing "9223372036854775808": value out of range'],
  ['timeoutSeconds=1s', 'strconv.ParseInt: parsing "1s": invalid syntax'],
  ['timeoutSeconds=%22', 'strconv.ParseInt: parsing "\\"": invalid syntax'],
  ['labelSelector=a%20b', "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
  ['fieldSelector=spec.color', "invalid selector: 'spec.color'; can't understand 'spec.color'"],
  // Numbers are looked at before selectors, label selectors before field selectors.
  ['fieldSelector=x&labelSelector=%2Cb&limit=y&timeoutSeconds=z', 'strconv.ParseInt: parsing "z": invalid syntax'],
  ['fieldSelector=x&labelSelector=%2Cb&limit=y', 'strconv.ParseInt: parsing "y": invalid syntax'],
  ['fieldSelector=x&labelSelector=%2Cb', "found ',', expected: !, identifier, or 'end of string'"],
];
for (const [query, message] of rejected) {
  test(`ListOptions of ?${query} is rejected`, () => {
    assert.deepEqual(parseListOptions(query), { ok: false, message });
  });
}
