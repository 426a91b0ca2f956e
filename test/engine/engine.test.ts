import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot } from '../../src/engine/engine.js';
import { engines } from '../../src/engine/engines.js';
import type { Random } from '../../src/lib/random.js';
import { NONE, type Pin } from '../../src/versions/versions.js';
import { bytesOf, EngineDriver, engineSuite, FIRST_KEY, OPEN_END } from '../suites/engine-suite.js';
import { withSeed } from './with-seed.js';

interface Kept {
  readonly snapshot: Snapshot;
  readonly pin: Pin;
  readonly want: [string, string][];
}

/** How keys are drawn: each profile is hard on another part of an engine. */
const profiles: Record<string, (random: Random) => { key: string; value: string | undefined }> = {
  'few keys, many updates': (random) => put(random, `k${random.int(12)}`, 0.1),
  'delete-heavy': (random) => put(random, `/registry/pods/ns-${random.int(3)}/pod-${random.int(900)}`, 0.55),
  'keys of one byte': (random) => put(random, String.fromCharCode(random.int(256)), 0.3),
  'prefixes of each other': (random) => put(random, 'a'.repeat(random.int(40)) + 'b'.repeat(random.int(3)), 0.3),
  'large values': (random) => put(random, `k${random.int(200)}`, 0.3, 60_000),
  growing: (random) => put(random, `/registry/leases/kube-node-lease/node-${random.int(1e6)}`, 0.02),
};

function put(random: Random, key: string, deletes: number, bytesMax = 300): { key: string; value: string | undefined } {
  if (random.chance(deletes)) return { key, value: undefined };
  return { key, value: String.fromCharCode(33 + random.int(90)).repeat(random.int(bytesMax)) };
}

for (const [name, createEngine] of Object.entries(engines)) {
  engineSuite(name, createEngine);

  for (const [profile, draw] of Object.entries(profiles)) {
    test(`${name}: an edition names one content of a leaf, for ever: ${profile}`, () =>
      withSeed((random) => {
        const driver = new EngineDriver(createEngine);
        const contents = new Map<number, string>();
        let kept: { snapshot: Snapshot; pin: Pin }[] = [];
        for (let step = 0; step < 200; step++) {
          const changes = new Map<string, string | undefined>();
          for (let count = random.int(20); count > 0; count--) {
            const { key, value } = draw(random);
            changes.set(key, value);
          }
          driver.write([...changes]);
          const snapshot = driver.engine.snapshot();
          if (snapshot.leaves === undefined) return;
          kept.push({ snapshot, pin: driver.versions.pin(driver.revision, `step ${step}`) });
          for (const one of kept) {
            one.snapshot.leaves?.(FIRST_KEY, OPEN_END, ({ edition, ids, offset, count }) => {
              // An id is used again, but not with the same modRevision.
              const versions = [...ids.subarray(offset, offset + count)];
              const content = versions.map((id) => `${id}@${driver.versions.modRevision(id)}`).join(' ');
              assert.equal(contents.get(edition) ?? content, content, `edition ${edition}`);
              contents.set(edition, content);
              return true;
            });
          }
          kept = kept.filter(({ snapshot: held, pin }) => {
            if (random.chance(0.6)) return true;
            held[Symbol.dispose]();
            pin[Symbol.dispose]();
            return false;
          });
          driver.versions.reclaim(driver.revision - random.int(3));
        }
        for (const { snapshot, pin } of kept) {
          snapshot[Symbol.dispose]();
          pin[Symbol.dispose]();
        }
        driver.verify();
      }));

    test(`${name} agrees with a sorted Map, snapshots never change: ${profile}`, () =>
      withSeed((random) => {
        const driver = new EngineDriver(createEngine);
        const model = new Map<string, string>();
        let kept: Kept[] = [];
        for (let step = 0; step < 150; step++) {
          const changes = new Map<string, string | undefined>();
          for (let count = random.int(40); count > 0; count--) {
            const { key, value } = draw(random);
            changes.set(key, value);
          }
          driver.write([...changes]);
          for (const [key, value] of changes) {
            if (value === undefined) model.delete(key);
            else model.set(key, value);
          }
          // Often in consecutive steps: then nodes are born in the very epoch that a snapshot freezes.
          if (random.chance(0.4)) {
            const pin = driver.versions.pin(driver.revision, `step ${step}`);
            kept.push({ snapshot: driver.engine.snapshot(), pin, want: sorted(model) });
          }
          driver.engine.verify();
          checkAgainst(driver, model, random);
          if (random.chance(0.2)) {
            kept = kept.filter((one) => random.chance(0.4) || release(driver, one));
            driver.versions.reclaim(driver.revision - random.int(3));
          }
          if (step % 25 === 0) driver.verify();
        }
        for (const one of kept) release(driver, one);
        driver.verify();
        driver.versions.reclaim(driver.revision);
        assert.equal(driver.versions.stats.retired, 0);
        assert.equal(driver.versions.stats.live, model.size);
        driver.versions.dispose();
      }));
  }
}

function checkAgainst(driver: EngineDriver, model: Map<string, string>, random: Random): void {
  assert.equal(driver.engine.size, model.size);
  using snapshot = driver.engine.snapshot();
  const want = sorted(model);
  assert.deepEqual(driver.entries(snapshot), want);
  const keys = want.map(([key]) => key);
  const [a, b] = [random.pick([...keys, 'x']), random.pick([...keys, 'z'])];
  const [from, to] = a < b ? [a, b] : [b, a];
  if (to === '\x00') return; // as an upper bound it means: to the end
  const inRange = want.filter(([key]) => from <= key && key < to);
  assert.deepEqual(driver.entries(snapshot, bytesOf(from), bytesOf(to)), inRange);
  assert.equal(snapshot.count(bytesOf(from), bytesOf(to)), inRange.length);
  const bytes = inRange.reduce((sum, [, value]) => sum + value.length, 0);
  assert.equal(snapshot.byteSize(bytesOf(from), bytesOf(to)), bytes);
  const found = driver.get(a);
  assert.equal(found === NONE ? undefined : driver.value(found), model.get(a));
}

function release(driver: EngineDriver, { snapshot, pin, want }: Kept): false {
  assert.deepEqual(driver.entries(snapshot, FIRST_KEY, OPEN_END), want);
  snapshot[Symbol.dispose]();
  pin[Symbol.dispose]();
  return false;
}

function sorted(model: Map<string, string>): [string, string][] {
  return [...model].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

test('cow-btree: nodes of disposed snapshots are used again, 200,000 keys', () => {
  const driver = new EngineDriver(engines['cow-btree']);
  const keys = Array.from(
    { length: 200_000 },
    (_, index) => `/registry/leases/ns/node-${String(index).padStart(7, '0')}`,
  );
  for (let at = 0; at < keys.length; at += 1_000) driver.write(keys.slice(at, at + 1_000).map((key) => [key, 'v']));
  const engine = driver.engine as ReturnType<(typeof engines)['cow-btree']>;
  const reservedBefore = engine.reservedBytes;
  assert.ok(reservedBefore < 200_000 * 40, `the engine reserves ${reservedBefore} bytes`);
  for (let round = 0; round < 3_000; round++) {
    using snapshot = engine.snapshot();
    driver.write([[keys[(round * 7919) % keys.length]!, `${round}`]]);
    assert.equal(snapshot.size, 200_000);
    driver.versions.reclaim(driver.revision);
  }
  assert.ok(engine.reservedBytes < reservedBefore * 1.4, `${engine.reservedBytes} bytes after ${reservedBefore}`);
  driver.verify();
});
