import { engines } from '../../src/engine/engines.js';
import type { ChangeBatch, Engine } from '../../src/engine/engine.js';
import { type ByteRange, rangeOf } from '../../src/lib/bytes.js';
import { seededRandom } from '../../src/lib/random.js';
import { createVersions } from '../../src/versions/create-versions.js';
import { NONE, type VersionId, type Versions } from '../../src/versions/versions.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { LeaseStream, leaseKey } from '../corpus.js';

const FROM = rangeOf(Buffer.from('/registry/leases/'));
const TO = rangeOf(Buffer.from('/registry/leases0'));

/** Every engine with a million leases (smoke: 300), and the Map and sorted strings one would write first. */
export function setup(smoke: boolean): BenchCases {
  const count = smoke ? 300 : 1_000_000;
  const batch = smoke ? 50 : 20_000;
  const cases: BenchCases = {};
  for (const [name, createEngine] of Object.entries(engines)) {
    const fixture = () => filled(name, createEngine, count);
    cases[`engine/get/${name}`] = () => getCase(fixture(), batch);
    cases[`engine/update/${name}`] = () => updateCase(fixture(), batch, 0);
    cases[`engine/range/${name}`] = () => rangeCase(fixture());
    cases[`engine/byte-size/${name}`] = () => byteSizeCase(fixture(), smoke ? 20 : 2_000, name === 'cow-btree');
    if (name === 'sorted-array') continue; // every snapshot costs the next write a copy of the array
    cases[`engine/snapshot/${name}`] = () => snapshotCase(fixture(), name === 'cow-btree' ? batch : 10);
    if (name === 'hash' || name === 'btree' || name === 'hash+btree') continue; // likewise, a copy a snapshot
    cases[`engine/update-snapshot-every-1/${name}`] = () => updateCase(fixture(), batch, 1);
    cases[`engine/update-snapshot-every-100/${name}`] = () => updateCase(fixture(), batch, 100);
    cases[`engine/delete-insert/${name}`] = () => deleteInsertCase(fixture(), batch);
    cases[`engine/load-ascending/${name}`] = () => loadCase(createEngine, smoke ? 300 : 200_000, false);
    cases[`engine/load-random/${name}`] = () => loadCase(createEngine, smoke ? 300 : 200_000, true);
  }
  cases['engine/get/map-of-strings'] = () => mapGetCase(count, batch);
  cases['engine/update/map-of-strings'] = () => mapUpdateCase(count, batch);
  return cases;
}

interface Fixture {
  readonly name: string;
  readonly engine: Engine;
  readonly versions: Versions;
  readonly count: number;
  revision: number;
}

const stream = new LeaseStream();
let current: Fixture | undefined; // engines are measured one after the other, so one fixture is kept

function filled(name: string, createEngine: (versions: Versions) => Engine, count: number): Fixture {
  if (current?.name === name && current.count === count) return current;
  current = undefined;
  const versions = createVersions();
  const fixture: Fixture = { name, versions, engine: createEngine(versions), count, revision: 1 };
  const batch: ChangeBatch = { count: 0, previous: new Int32Array(5_000).fill(NONE), next: new Int32Array(5_000) };
  for (let index = 0; index < count; index++) {
    batch.next[batch.count++] = addLease(fixture, index);
    if (batch.count < 5_000 && index + 1 < count) continue;
    fixture.engine.apply(batch, fixture.revision);
    batch.count = 0;
  }
  current = fixture;
  return fixture;
}

function addLease({ versions, revision }: Fixture, index: number): VersionId {
  const { key, value } = stream.set(index, revision);
  return versions.add(rangeOf(key), rangeOf(value), 4, revision, revision);
}

function randomIndexes(count: number, size: number): Int32Array {
  const random = seededRandom(7);
  return Int32Array.from({ length: size }, () => random.int(count));
}

function getCase({ engine, count }: Fixture, size: number): BenchCase {
  const keys = Array.from(randomIndexes(count, size), (index) => rangeOf(leaseKey(index)));
  return {
    ops: size,
    run: () => {
      let checksum = 0;
      for (const key of keys) checksum = (checksum + engine.get(key)) | 0;
      return checksum;
    },
  };
}

/** What the watch cache does per event, without the codec: look up, add, apply, retire, reclaim. */
function updateCase(fixture: Fixture, size: number, snapshotEvery: number): BenchCase {
  const { engine, versions, count } = fixture;
  const indexes = randomIndexes(count, size);
  const batch: ChangeBatch = { count: 1, previous: new Int32Array(1), next: new Int32Array(1) };
  const key: ByteRange = rangeOf(stream.key);
  return {
    ops: size,
    run: () => {
      let checksum = 0;
      for (let at = 0; at < size; at++) {
        const index = indexes[at]!;
        fixture.revision++;
        const next = addLease(fixture, index);
        const previous = engine.get(key);
        batch.previous[0] = previous;
        batch.next[0] = next;
        engine.apply(batch, fixture.revision);
        versions.retire(previous, fixture.revision);
        if (at % 256 === 0) versions.reclaim(fixture.revision - 1_000);
        checksum += versions.wireSize(next);
        if (snapshotEvery === 0 || at % snapshotEvery !== 0) continue;
        using snapshot = engine.snapshot();
        checksum += snapshot.size;
      }
      return checksum;
    },
  };
}

function deleteInsertCase(fixture: Fixture, size: number): BenchCase {
  const { engine, versions, count } = fixture;
  const indexes = randomIndexes(count, size);
  const batch: ChangeBatch = { count: 1, previous: new Int32Array(1), next: new Int32Array(1) };
  const key: ByteRange = rangeOf(stream.key);
  return {
    ops: size * 2,
    run: () => {
      for (let at = 0; at < size; at++) {
        const index = indexes[at]!;
        stream.set(index, 0);
        const previous = engine.get(key);
        batch.previous[0] = previous;
        batch.next[0] = NONE;
        engine.apply(batch, ++fixture.revision);
        versions.retire(previous, fixture.revision);
        batch.previous[0] = NONE;
        batch.next[0] = addLease(fixture, index);
        engine.apply(batch, ++fixture.revision);
        if (at % 256 === 0) versions.reclaim(fixture.revision - 1_000);
      }
      return engine.size;
    },
  };
}

function rangeCase({ engine, count }: Fixture): BenchCase {
  return {
    ops: count,
    run: () => {
      let checksum = 0;
      using snapshot = engine.snapshot();
      snapshot.range(FROM, TO, (id) => {
        checksum = (checksum + id) | 0;
        return true;
      });
      return checksum;
    },
  };
}

function byteSizeCase({ engine, count }: Fixture, size: number, isLogarithmic: boolean): BenchCase {
  const span = isLogarithmic ? Math.floor(count / 2) : Math.min(count, 1_000);
  const ranges = Array.from(randomIndexes(count - span + 1, size), (index) => [index, index + span] as const);
  const bounds = ranges.map(([from, to]) => [rangeOf(leaseKey(from)), rangeOf(leaseKey(to))] as const);
  return {
    ops: size,
    run: () => {
      let bytes = 0;
      using snapshot = engine.snapshot();
      for (const [from, to] of bounds) bytes += snapshot.byteSize(from, to);
      return bytes;
    },
  };
}

function snapshotCase({ engine }: Fixture, size: number): BenchCase {
  return {
    ops: size,
    run: () => {
      let checksum = 0;
      for (let at = 0; at < size; at++) {
        using snapshot = engine.snapshot();
        checksum += snapshot.size;
      }
      return checksum;
    },
  };
}

function loadCase(createEngine: (versions: Versions) => Engine, count: number, shuffled: boolean): BenchCase {
  const versions = createVersions();
  const fixture = { versions, revision: 1 } as Fixture;
  const random = seededRandom(3);
  const ids = Int32Array.from({ length: count }, (_, index) => addLease(fixture, index));
  for (let at = count - 1; shuffled && at > 0; at--) {
    const other = random.int(at + 1);
    [ids[at], ids[other]] = [ids[other]!, ids[at]!];
  }
  const batch: ChangeBatch = { count, previous: new Int32Array(count).fill(NONE), next: ids };
  return {
    ops: count,
    run: () => {
      const engine = createEngine(versions);
      engine.apply(batch, 1);
      return engine.size;
    },
    dispose: () => versions.dispose(),
  };
}

function filledMap(count: number): Map<string, Buffer> {
  const map = new Map<string, Buffer>();
  for (let index = 0; index < count; index++) {
    const { key, value } = stream.set(index, 0);
    map.set(key.toString('latin1'), Buffer.from(value));
  }
  return map;
}

function mapGetCase(count: number, size: number): BenchCase {
  const map = filledMap(count);
  const keys = Array.from(randomIndexes(count, size), (index) => leaseKey(index));
  return {
    ops: size,
    run: () => {
      let checksum = 0;
      for (const key of keys) checksum += map.get(key.toString('latin1'))!.length;
      return checksum;
    },
  };
}

function mapUpdateCase(count: number, size: number): BenchCase {
  const map = filledMap(count);
  const indexes = randomIndexes(count, size);
  let renewal = 0;
  return {
    ops: size,
    run: () => {
      renewal++;
      for (const index of indexes) {
        const { key, value } = stream.set(index, renewal);
        map.set(key.toString('latin1'), Buffer.from(value));
      }
      return map.size;
    },
  };
}
