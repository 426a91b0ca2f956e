import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ModRevision } from '../../src/api/revision.js';
import type { Engine, Snapshot } from '../../src/engine/engine.js';
import { type ByteRange, rangeOf, utf8 } from '../../src/lib/bytes.js';
import { seededRandom } from '../../src/lib/random.js';
import { createVersions } from '../../src/versions/create-versions.js';
import { NONE, type VersionId, type Versions } from '../../src/versions/versions.js';

export const FIRST_KEY = rangeOf(new Uint8Array(0));
export const OPEN_END = rangeOf(Uint8Array.of(0));

/**
 * Drives an engine as the watch cache does: values become versions, one batch is one revision, superseded
 * versions are retired. Keys are latin1 strings here, so that every byte can occur and JavaScript orders them as etcd.
 */
export class EngineDriver {
  revision: ModRevision = 0;
  readonly versions: Versions;
  readonly engine: Engine;

  constructor(createEngine: (versions: Versions) => Engine) {
    this.versions = createVersions({ poison: true, slabBytes: 2 ** 20 });
    this.engine = createEngine(this.versions);
  }

  /** A value of undefined deletes. All changes share one revision. */
  write(changes: readonly (readonly [key: string, value: string | undefined])[]): void {
    this.revision++;
    const previous: VersionId[] = [];
    const next: VersionId[] = [];
    for (const [key, value] of changes) {
      const before = this.get(key);
      if (value === undefined && before === NONE) continue;
      previous.push(before);
      next.push(value === undefined ? NONE : this.add(key, value));
    }
    const batch = { count: next.length, previous: Int32Array.from(previous), next: Int32Array.from(next) };
    this.engine.apply(batch, this.revision);
    for (const id of previous) if (id !== NONE) this.versions.retire(id, this.revision);
  }

  add(key: string, value: string): VersionId {
    return this.versions.add(bytesOf(key), bytesOf(value), 0, this.revision, this.revision);
  }

  get(key: string): VersionId {
    return this.engine.get(bytesOf(key));
  }

  value(id: VersionId): string {
    return textOf(this.versions.wire(id, { bytes: new Uint8Array(0), start: 0, end: 0 }));
  }

  entries(snapshot: Snapshot, from = FIRST_KEY, to = OPEN_END): [string, string][] {
    const entries: [string, string][] = [];
    snapshot.range(from, to, (id) => {
      const key = this.versions.key(id, { bytes: new Uint8Array(0), start: 0, end: 0 });
      entries.push([textOf(key), this.value(id)]);
      return true;
    });
    return entries;
  }

  verify(): void {
    this.engine.verify();
    this.versions.verify();
  }
}

export function bytesOf(text: string): ByteRange {
  return rangeOf(Buffer.from(text, 'latin1'));
}

function textOf({ bytes, start, end }: ByteRange): string {
  return Buffer.from(bytes.subarray(start, end)).toString('latin1');
}

/** What every Engine promises. Each implementation runs it. */
export function engineSuite(name: string, createEngine: (versions: Versions) => Engine): void {
  describe(`engine ${name}`, () => {
    const start = () => new EngineDriver(createEngine);

    test('an empty engine has nothing in any range', () => {
      const driver = start();
      using snapshot = driver.engine.snapshot();
      assert.equal(driver.engine.size, 0);
      assert.equal(snapshot.size, 0);
      assert.equal(driver.get('a'), NONE);
      assert.deepEqual(driver.entries(snapshot), []);
      assert.equal(snapshot.count(FIRST_KEY, OPEN_END), 0);
      assert.equal(snapshot.byteSize(FIRST_KEY, OPEN_END), 0);
      driver.verify();
    });

    test('keys order as bytes, a prefix before its extensions', () => {
      const driver = start();
      const keys = ['/a/b', '/a-b/c', '/a', '/a/', '/a/b\x00', '/\xff', '\x00', '\xff\xff', '/a/bb', '/A'];
      driver.write(keys.map((key) => [key, `v${key}`]));
      using snapshot = driver.engine.snapshot();
      assert.deepEqual(
        driver.entries(snapshot).map(([key]) => key),
        [...keys].sort((a, b) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'))),
      );
      driver.verify();
    });

    test('a range holds from, not to; an inverted or empty range holds nothing', () => {
      const driver = start();
      for (let index = 0; index < 300; index++) driver.write([[`k${String(index).padStart(3, '0')}`, `v${index}`]]);
      using snapshot = driver.engine.snapshot();
      const cases: [from: string, to: string, count: number][] = [
        ['k000', 'k300', 300],
        ['k010', 'k020', 10],
        ['k0105', 'k0115', 1],
        ['k064', 'k128', 64],
        ['k', 'l', 300],
        ['k010', 'k010', 0],
        ['k020', 'k010', 0],
        ['l', 'm', 0],
        ['a', 'k', 0],
        ['k299', 'k2990', 1],
        ['', 'k001', 1],
      ];
      for (const [from, to, count] of cases) {
        const entries = driver.entries(snapshot, bytesOf(from), bytesOf(to));
        assert.equal(entries.length, count, `[${from}, ${to})`);
        assert.equal(snapshot.count(bytesOf(from), bytesOf(to)), count, `count [${from}, ${to})`);
        const bytes = entries.reduce((sum, [, value]) => sum + value.length, 0);
        assert.equal(snapshot.byteSize(bytesOf(from), bytesOf(to)), bytes, `byteSize [${from}, ${to})`);
      }
      assert.equal(snapshot.count(bytesOf('k100'), OPEN_END), 200);
      assert.equal(snapshot.count(OPEN_END, OPEN_END), 300, 'a range may start at the key 00');
    });

    test('a visit ends when the visitor has enough', () => {
      const driver = start();
      driver.write(Array.from({ length: 200 }, (_, index) => [`k${1000 + index}`, 'v'] as const));
      using snapshot = driver.engine.snapshot();
      let visited = 0;
      snapshot.range(bytesOf('k1150'), OPEN_END, () => ++visited < 7);
      assert.equal(visited, 7);
    });

    test('replacing a key changes the version, and only that', () => {
      const driver = start();
      driver.write([
        ['a', '1'],
        ['b', '1'],
        ['c', '1'],
      ]);
      for (let round = 2; round < 200; round++) driver.write([['b', `${round}`.repeat(round)]]);
      assert.equal(driver.engine.size, 3);
      assert.equal(driver.value(driver.get('b')), '199'.repeat(199));
      assert.equal(driver.value(driver.get('a')), '1');
      driver.verify();
    });

    test('a snapshot stays what it was while its keys are replaced, deleted and added', () => {
      const driver = start();
      const keys = Array.from({ length: 500 }, (_, index) => `k${1000 + index}`);
      driver.write(keys.map((key) => [key, 'old']));
      using pin = driver.versions.pin(driver.revision, 'test');
      using snapshot = driver.engine.snapshot();
      const want = driver.entries(snapshot);
      for (const key of keys) driver.write([[key, 'new']]);
      for (const key of keys)
        driver.write([
          [key, undefined],
          [`${key}x`, 'added'],
        ]);
      driver.versions.reclaim(driver.revision);
      assert.deepEqual(driver.entries(snapshot), want);
      assert.equal(snapshot.size, 500);
      assert.equal(snapshot.revision, pin.revision);
      assert.equal(snapshot.byteSize(FIRST_KEY, OPEN_END), 1500);
      using after = driver.engine.snapshot();
      assert.deepEqual(
        driver.entries(after),
        keys.map((key) => [`${key}x`, 'added']),
      );
      driver.verify();
    });

    test('deleting everything empties the engine, and it can be filled again', () => {
      const driver = start();
      for (let round = 0; round < 3; round++) {
        const random = seededRandom(round);
        const keys = Array.from({ length: 3_000 }, (_, index) => `/${(index * 7919) % 3_000}`);
        driver.write(keys.map((key) => [key, 'v'.repeat(1 + random.int(40))]));
        assert.equal(driver.engine.size, 3_000);
        driver.verify();
        while (keys.length > 0) driver.write(keys.splice(0, 1 + random.int(200)).map((key) => [key, undefined]));
        assert.equal(driver.engine.size, 0);
        driver.verify();
        driver.versions.reclaim(driver.revision);
        assert.equal(driver.versions.stats.retired, 0);
      }
    });

    test('large objects: byte totals of ranges stay exact', () => {
      const driver = start();
      const random = seededRandom(5);
      for (let round = 0; round < 400; round++) {
        const key = `k${random.int(60)}`;
        driver.write([[key, random.chance(0.3) ? undefined : 'x'.repeat(random.int(90_000))]]);
        if (round % 50 === 0) driver.verify();
        driver.versions.reclaim(driver.revision);
      }
      using snapshot = driver.engine.snapshot();
      const bytes = driver.entries(snapshot).reduce((sum, [, value]) => sum + value.length, 0);
      assert.equal(snapshot.byteSize(FIRST_KEY, OPEN_END), bytes);
      driver.verify();
    });

    test('revisions must not shrink, and a key is inserted once', () => {
      const driver = start();
      driver.write([['a', '1']]);
      const empty = { count: 0, previous: new Int32Array(0), next: new Int32Array(0) };
      assert.throws(() => driver.engine.apply(empty, driver.revision - 1), /is applied after/);
      const again = { count: 1, previous: Int32Array.of(NONE), next: Int32Array.of(driver.add('a', '2')) };
      assert.throws(() => driver.engine.apply(again, driver.revision), /does not replace it/);
    });

    test('a change whose previous version is not the current one is refused', () => {
      const driver = start();
      driver.write([['a', '1']]);
      const stale = driver.get('a');
      driver.write([['a', '2']]);
      const batch = { count: 1, previous: Int32Array.of(stale), next: Int32Array.of(driver.add('a', '3')) };
      assert.throws(() => driver.engine.apply(batch, driver.revision), /is not the current one of its key|not in/);
    });

    test('leaves are the range in pieces: each in order, whole but for the ends, with its bytes', () => {
      const driver = start();
      const random = seededRandom(7);
      driver.write(
        Array.from({ length: 1_500 }, (_, index) => [`k${10_000 + index}`, 'v'.repeat(1 + random.int(900))]),
      );
      for (let round = 0; round < 300; round++) {
        driver.write([
          [`k${10_000 + random.int(1_500)}`, random.chance(0.5) ? undefined : 'w'.repeat(random.int(900))],
        ]);
      }
      using snapshot = driver.engine.snapshot();
      if (snapshot.leaves === undefined) return; // this engine keeps no neighbours together
      const ranges = [
        [FIRST_KEY, OPEN_END],
        [bytesOf('k10100'), bytesOf('k10101')],
        [bytesOf('k10037'), bytesOf('k11200')],
        [bytesOf('k11000'), OPEN_END],
        [bytesOf('k2'), bytesOf('k1')],
        [bytesOf('x'), OPEN_END],
      ] as const;
      for (const [from, to] of ranges) {
        const walked: VersionId[] = [];
        snapshot.range(from, to, (id) => walked.push(id) > 0);
        const pieces: VersionId[][] = [];
        const editions = new Set<number>();
        snapshot.leaves(from, to, (leaf, first, end) => {
          const ids = [...leaf.ids.subarray(leaf.offset, leaf.offset + leaf.count)];
          const bytes = ids.reduce((sum, id) => sum + driver.versions.wireSize(id), 0);
          assert.equal(leaf.bytes, bytes);
          assert.ok(first >= 0 && first < end && end <= leaf.count, `${first} to ${end} of ${leaf.count}`);
          assert.ok(leaf.edition > 0);
          editions.add(leaf.edition);
          pieces.push(ids.slice(first, end));
          return true;
        });
        assert.deepEqual(pieces.flat(), walked);
        assert.equal(editions.size, pieces.length);
      }
      let visited = 0;
      snapshot.leaves(FIRST_KEY, OPEN_END, () => ++visited < 3);
      assert.equal(visited, 3);
    });

    test('a disposed snapshot is not read; disposing twice is allowed', () => {
      const driver = start();
      driver.write([['a', '1']]);
      const snapshot = driver.engine.snapshot();
      snapshot[Symbol.dispose]();
      snapshot[Symbol.dispose]();
      assert.throws(() => snapshot.count(FIRST_KEY, OPEN_END), /after it was disposed/);
      driver.verify();
    });

    for (const order of ['ascending', 'descending', 'random'] as const) {
      test(`20,000 keys, ${order}`, () => {
        const driver = start();
        const random = seededRandom(11);
        const numbers = Array.from({ length: 20_000 }, (_, index) => index);
        if (order === 'descending') numbers.reverse();
        if (order === 'random') numbers.sort(() => random.float() - 0.5);
        const keys = numbers.map((number) => `/registry/pods/ns-${number % 37}/pod-${String(number).padStart(6, '0')}`);
        for (let at = 0; at < keys.length; at += 500) {
          driver.write(keys.slice(at, at + 500).map((key) => [key, key.slice(-9)]));
        }
        driver.verify();
        using snapshot = driver.engine.snapshot();
        assert.deepEqual(
          driver.entries(snapshot).map(([key]) => key),
          [...keys].sort(),
        );
        const [from, to] = [utf8('/registry/pods/ns-7/'), utf8('/registry/pods/ns-70')].map(rangeOf);
        assert.equal(snapshot.count(from!, to!), keys.filter((key) => key.startsWith('/registry/pods/ns-7/')).length);
      });
    }
  });
}
