import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExtendedFieldSelector } from '../../src/api/extended-field-selector.js';
import { formatFieldSelector, matchesField, parseFieldSelector } from '../../src/api/field-selector.js';
import { parseListOptions } from '../../src/api/list-options.js';
import { seededRandom } from '../../src/lib/random.js';

/** Text, and its canonical form. */
const accepted: readonly (readonly [text: string, canonical: string])[] = [
  ['spec.nodeName in (a,b)', 'spec.nodeName in (a,b)'],
  ['spec.nodeName in (b, a,b )', 'spec.nodeName in (a,b)'],
  ['spec.nodeName  notin(a)', 'spec.nodeName notin (a)'],
  ['spec.nodeName in ()', 'spec.nodeName in ()'],
  ['spec.nodeName in (,a)', 'spec.nodeName in (,a)'],
  ['spec.nodeName', 'spec.nodeName'],
  ['!spec.nodeName', '!spec.nodeName'],
  ['! spec.nodeName', '!spec.nodeName'],
  ['status.phase!=Failed, spec.nodeName in (a,b) ,!type', '!type,spec.nodeName in (a,b),status.phase!=Failed'],
  ['spec.nodeName,status.phase=Running', 'spec.nodeName,status.phase=Running'],
  ['a in (x\\,y,z\\\\)', 'a in (x\\,y,z\\\\)'],
  ['status.podIPs[0].ip in (::1)', 'status.podIPs[0].ip in (::1)'],
];

for (const [text, canonical] of accepted) {
  test(`${JSON.stringify(text)} is ${canonical}`, () => {
    assert.equal(parseFieldSelector(text).ok, false, 'kube-apiserver refuses it');
    const parsed = parseExtendedFieldSelector(text);
    assert.ok(parsed.ok);
    assert.equal(formatFieldSelector(parsed.value), canonical);
    const again = parseExtendedFieldSelector(canonical);
    assert.deepEqual(again, parsed);
  });
}

const refused = [
  'spec.nodeName in (a',
  'spec.nodeName in a)',
  'spec.nodeName in ((a))',
  'spec.nodeName in (a)(b)',
  'spec.nodeName in',
  'spec.nodeName in a',
  'spec.nodeName IN (a)',
  'in (a)',
  '!',
  '!!a',
  'a b',
  'spec.nodeName in (a),b=c=d',
  'a in (b\\x)',
  'a>1',
];

for (const text of refused) {
  test(`${JSON.stringify(text)} is refused in kube-apiserver's words`, () => {
    const plain = parseFieldSelector(text);
    assert.equal(plain.ok, false);
    assert.deepEqual(parseExtendedFieldSelector(text), plain);
  });
}

test('what kube-apiserver accepts means the same', () => {
  const random = seededRandom(11);
  const pieces = ['a', 'b.c', '=', '==', '!=', ',', '\\', '\\,', '(', ')', ' in ', ' notin ', '!', ' ', 'x'];
  let agreed = 0;
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: 1 + random.int(9) }, () => random.pick(pieces)).join('');
    const plain = parseFieldSelector(text);
    const extended = parseExtendedFieldSelector(text);
    if (plain.ok) {
      assert.deepEqual(extended, plain, text);
      agreed++;
    } else if (!extended.ok) assert.deepEqual(extended, plain, text);
  }
  assert.ok(agreed > 1_000);
});

test('sets and presence match texts', () => {
  const selects = (text: string, value: string) => {
    const parsed = parseExtendedFieldSelector(text);
    assert.ok(parsed.ok);
    return parsed.value.every((requirement) => matchesField(requirement, value));
  };
  assert.deepEqual(
    ['a', 'b', ''].map((value) => selects('f in (a,)', value)),
    [true, false, true],
  );
  assert.deepEqual(
    ['a', 'b', ''].map((value) => selects('f notin (a,)', value)),
    [false, true, false],
  );
  assert.deepEqual(
    ['a', ''].map((value) => selects('f', value)),
    [true, false],
  );
  assert.deepEqual(
    ['a', ''].map((value) => selects('!f', value)),
    [false, true],
  );
  assert.deepEqual(
    ['a', ''].map((value) => selects('f=a', value)),
    [true, false],
  );
});

test('the query knows them only where that was asked for', () => {
  const query = 'fieldSelector=spec.nodeName%20in%20(a,b)';
  const plain = parseListOptions(query);
  assert.equal(plain.ok, false);
  const { message } = plain as { message: string };
  assert.equal(message, "invalid selector: 'spec.nodeName in (a,b)'; can't understand 'b)'");
  assert.equal(parseListOptions(query, { extendedFieldSelectors: true }).ok, true);
});
