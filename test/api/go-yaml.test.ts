import assert from 'node:assert/strict';
import { test } from 'node:test';
import { floatText, numberText } from '../../src/api/go-text.js';
import { compareYamlKeys, yamlNumber } from '../../src/api/go-yaml.js';

// What Go prints: `%v` of an int64 or float64, strconv's 'g', and what sigs.k8s.io/yaml makes of JSON's numbers.
const numbers: readonly [value: number | bigint, plain: string, yaml: string][] = [
  [1.5, '1.5', '1.5'],
  [0.0001, '0.0001', '0.0001'],
  [0.00001, '1e-05', '1e-05'],
  [-1.5e-7, '-1.5e-07', '-1.5e-07'],
  [1e6, '1000000', '1000000'],
  [999999.5, '999999.5', '999999.5'],
  [1234567.5, '1.2345675e+06', '1.2345675e+06'],
  [2 ** 53, '9007199254740992', '9007199254740992'],
  [1e19, '1e+19', '10000000000000000000'],
  [1e20, '1e+20', '1e+20'],
  [1e21, '1e+21', '1e+21'],
  [1e300, '1e+300', '1e+300'],
  [-0, '-0', '0'],
];
for (const [value, plain, yaml] of numbers) {
  test(`${value} as Go prints it`, () =>
    assert.deepEqual([numberText(value as number), yamlNumber(value)], [plain, yaml]));
}
test('integers of YAML', () => {
  const texts = [-(2n ** 63n), -(2n ** 63n) - 1025n, 2n ** 64n - 1n, 2n ** 64n].map(yamlNumber);
  const want = ['-9223372036854775808', '-9.223372036854778e+18', '18446744073709551615', '1.8446744073709552e+19'];
  assert.deepEqual(texts, want);
  assert.equal(floatText(1e6), '1e+06');
});

const orders = [
  ['', '.', 'f:a2', 'f:a10', 'f:b'],
  ['-', '_', '0', '00', '1', '9', '10', '010', 'B', 'a', 'a-b', 'a1', 'ab', 'é'],
  ['a:', 'a1', 'aB', 'ab'],
  ['v1', 'v2', 'v10'],
  ['x1', 'x01', 'x10', 'x100'],
];
for (const order of orders) {
  test(`members in order: ${order.join(' ')}`, () =>
    assert.deepEqual([...order].reverse().sort(compareYamlKeys), order));
}
