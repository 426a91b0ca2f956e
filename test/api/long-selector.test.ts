import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type FieldRequirement, matchesField } from '../../src/api/field-selector.js';
import { type LabelRequirement, matchesLabel } from '../../src/api/label-selector.js';
import { parseListOptions } from '../../src/api/list-options.js';
import { fieldConditions, isLong, labelTest } from '../../src/api/long-selector.js';

const key = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
const value = fc.constantFrom('', 'x', 'y', '1', '2', '3', '-4', '9223372036854775807');
const number = fc.constantFrom('-5', '0', '1', '2', '9223372036854775806');

const label: fc.Arbitrary<LabelRequirement> = fc.oneof(
  fc.record({ key, operator: fc.constantFrom('=', '==', '!='), values: value.map((one) => [one]) }),
  fc.record({ key, operator: fc.constantFrom('in', 'notin'), values: fc.uniqueArray(value, { maxLength: 4 }) }),
  fc.record({ key, operator: fc.constantFrom('exists', '!'), values: fc.constant([]) }),
  fc.record({ key, operator: fc.constantFrom('gt', 'lt'), values: number.map((one) => [one]) }),
) as fc.Arbitrary<LabelRequirement>;
const labels = fc.uniqueArray(fc.tuple(key, value), { selector: ([name]) => name, maxLength: 4 });

test('all terms of a label selector at once say what they say one by one', () => {
  fc.assert(
    fc.property(fc.array(label, { maxLength: 6 }), labels, (requirements, entries) => {
      const object = new Map<string, string>(entries);
      const want = requirements.every((requirement) => matchesLabel(requirement, object.get(requirement.key)));
      assert.equal(labelTest(requirements)(object), want);
    }),
    { numRuns: 5_000 },
  );
});

const field: fc.Arbitrary<FieldRequirement> = fc.oneof(
  fc.record({ field: key, operator: fc.constantFrom('=', '==', '!=', 'exists', '!'), value }),
  fc.record({
    field: key,
    operator: fc.constantFrom('in', 'notin'),
    value: fc.constant(''),
    values: fc.uniqueArray(value, { maxLength: 4 }),
  }),
) as fc.Arbitrary<FieldRequirement>;

test('all terms of a field selector at once say what they say one by one', () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 6 }), labels, (requirements, entries) => {
      const object = new Map<string, string>(entries);
      const textOf = (name: string) => object.get(name) ?? '';
      const want = requirements.every((requirement) => matchesField(requirement, textOf(requirement.field)));
      const conditions = [...fieldConditions(requirements)];
      assert.equal(
        conditions.every(([name, condition]) => condition.holds(textOf(name))),
        want,
      );
    }),
    { numRuns: 5_000 },
  );
});

test('what is long, and what is too long', () => {
  assert.equal(isLong([{ values: ['a'] }, { values: ['b', 'c'] }]), false);
  assert.equal(isLong(Array.from({ length: 17 }, () => ({}))), true);
  const set = (count: number) =>
    `labelSelector=a+in+(${Array.from({ length: count }, (_, index) => `v${index}`).join(',')})`;
  assert.equal(parseListOptions(set(9_999)).ok, true);
  assert.deepEqual(parseListOptions(set(10_000)), {
    ok: false,
    message: 'the selectors have 10001 terms and values; at most 10000 are accepted',
  });
});
