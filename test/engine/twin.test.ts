import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChangeBatch, Engine } from '../../src/engine/engine.js';
import { engines, type EngineName } from '../../src/engine/engines.js';
import { createTwin, TwinRecord } from '../../src/engine/twin.js';
import { NONE, type VersionId, type Versions } from '../../src/versions/versions.js';
import { bytesOf, EngineDriver, engineSuite, FIRST_KEY, OPEN_END } from '../suites/engine-suite.js';

const twinOf =
  (first: EngineName, second: (versions: Versions) => Engine, record = new TwinRecord(assert.fail)) =>
  (versions: Versions) =>
    createTwin(engines[first](versions), second, versions, record);

// A twin is an engine like any other; what it compares on the way are answers of two that agree.
engineSuite('cow-btree with twin hash', twinOf('cow-btree', engines.hash));
engineSuite('btree with twin cow-btree', twinOf('btree', engines['cow-btree']));

/** An engine with a fault. */
function faulty(versions: Versions, fault: (engine: Engine) => Partial<Engine>): Engine {
  const engine = engines['sorted-array'](versions);
  return new Proxy(engine, {
    get(target, name) {
      const replaced = (fault(target) as Record<PropertyKey, unknown>)[name];
      if (replaced !== undefined) return replaced;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}

const loses = (key: string) => (versions: Versions) =>
  faulty(versions, (engine) => ({
    apply(changes: ChangeBatch, revision: number) {
      const kept = [...changes.next.subarray(0, changes.count)].map(
        (id, index) => [changes.previous[index]!, id] as const,
      );
      const left = kept.filter(([, id]) => id === NONE || keyOf(versions, id) !== key);
      const [previous, next] = [Int32Array.from(left, ([id]) => id), Int32Array.from(left, ([, id]) => id)];
      engine.apply({ count: left.length, previous, next }, revision);
    },
  }));

function keyOf(versions: Versions, id: VersionId): string {
  const { bytes, start, end } = versions.key(id, bytesOf(''));
  return Buffer.from(bytes.subarray(start, end)).toString('latin1');
}

/** What a second engine may do wrong, a question that brings it out, and what is said of it. */
const faults: readonly [string, (versions: Versions) => Engine, (driver: EngineDriver) => void, RegExp][] = [
  [
    'a key is lost: get',
    loses('b'),
    (driver) => assert.notEqual(driver.get('b'), NONE),
    /cow-btree and sorted-array differ in the get of "b" at revision 1: "b" of revision 1, and nothing/,
  ],
  ['a key is lost: size', loses('b'), (driver) => assert.equal(driver.engine.size, 3), /size at revision 1: 3, and 2/],
  [
    'a key is lost: range',
    loses('b'),
    (driver) => {
      using snapshot = driver.engine.snapshot();
      assert.equal(driver.entries(snapshot).length, 3);
    },
    /number 1 of "" to "\\u0000" at revision 1: "b" of revision 1, and "c" of revision 1/,
  ],
  [
    'the last key is lost: leaves',
    loses('c'),
    (driver) => {
      using snapshot = driver.engine.snapshot();
      snapshot.leaves?.(FIRST_KEY, OPEN_END, () => true);
    },
    /number 2 of .*: "c" of revision 1, and nothing/,
  ],
  [
    'a key is lost: count',
    loses('a'),
    (driver) => {
      using snapshot = driver.engine.snapshot();
      assert.equal(snapshot.count(FIRST_KEY, OPEN_END), 3);
    },
    /count of "" to .*: 3, and 2/,
  ],
  [
    'the second engine throws',
    (versions) =>
      faulty(versions, () => ({
        get() {
          throw new Error('no such leaf');
        },
      })),
    (driver) => assert.notEqual(driver.get('a'), NONE),
    /cow-btree and sorted-array: get: no such leaf/,
  ],
];
for (const [name, second, ask, says] of faults) {
  test(`twin: ${name}; the first engine's answer counts`, () => {
    const said: string[] = [];
    const record = new TwinRecord((message) => said.push(message));
    const driver = new EngineDriver(twinOf('cow-btree', second, record));
    driver.write(['a', 'b', 'c'].map((key) => [key, 'v']));
    const before = record.differences;
    ask(driver);
    assert.ok(record.differences > before);
    assert.ok(
      said.some((message) => says.test(message)),
      said.join('\n'),
    );
  });
}

test('twin: a reader that has had enough sees no difference; only the first differences are told', () => {
  const said: string[] = [];
  const record = new TwinRecord((message) => said.push(message));
  const driver = new EngineDriver(twinOf('cow-btree', loses('c'), record));
  driver.write(['a', 'b', 'c'].map((key) => [key, 'v']));
  {
    using snapshot = driver.engine.snapshot();
    let seen = 0;
    snapshot.range(FIRST_KEY, OPEN_END, () => ++seen < 2);
    assert.equal(seen, 2);
  }
  const [before, told] = [record.differences, said.length];
  for (let round = 0; round < 100; round++) driver.get('c');
  assert.equal(record.differences, before + 100);
  assert.ok(said.length <= 20 && said.length > told);
  assert.ok(record.comparisons > 100);
});
