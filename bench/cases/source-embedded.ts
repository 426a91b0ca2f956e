import { systemClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore, type EmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { LeaseStream, podKey, podValue } from '../corpus.js';

/**
 * The embedded store: renewals of leases with a watcher following, and reads of pods. `map-of-buffers` has
 * neither history nor order: it copies the value, calls its one watcher, and sorts when it is read.
 */
export function setup(smoke: boolean): BenchCases {
  const leaseCount = smoke ? 100 : 100_000;
  const podCount = smoke ? 100 : 20_000;
  return {
    'source/write-leases/embedded': () => writeLeases(leaseCount),
    'source/write-leases/map-of-buffers': () => writeLeasesToMap(leaseCount),
    'source/list-pods/embedded': () => listPods(podCount),
    'source/list-pods/map-of-buffers': () => listPodsOfMap(podCount),
  };
}

function open(): EmbeddedStore {
  return createEmbeddedStore({ clock: systemClock, random: seededRandom(1) });
}

function writeLeases(count: number): BenchCase {
  const store = open();
  const stream = new LeaseStream();
  let delivered = 0;
  let round = 0;
  store.watch(
    { prefix: Buffer.from('/registry/leases/'), startRevision: 2 },
    { change: () => void delivered++, commit: () => {}, progress: () => {}, ended: () => {} },
  );
  return {
    ops: count,
    run: async () => {
      round++;
      for (let index = 0; index < count; index++) {
        const { key, value } = stream.set(index, round);
        await store.write([{ type: 'put', key, value }]);
      }
      // The watcher must have kept up, but for the lead that a writer may have.
      return delivered > count * round - 20_000 ? count : 0;
    },
    dispose: () => void store.close(),
  };
}

function listPods(count: number): BenchCase {
  const store = open();
  const random = seededRandom(2);
  for (let index = 0; index < count; index++) {
    void store.write([{ type: 'put', key: podKey(index), value: podValue(index, random) }]);
  }
  const from = Buffer.from('/registry/pods/');
  const to = Buffer.from('/registry/pods0');
  return {
    ops: count,
    run: async () => {
      let checksum = 0;
      await store.range({ from, to }, (bytes, _keyStart, keyEnd, _valueStart, valueEnd) => {
        checksum = (checksum + bytes[keyEnd]! + valueEnd) | 0;
      });
      return checksum;
    },
    dispose: () => void store.close(),
  };
}

function writeLeasesToMap(count: number): BenchCase {
  const store = new Map<string, Buffer>();
  const stream = new LeaseStream();
  let delivered = 0;
  const watcher = (_key: string, _value: Buffer) => void delivered++;
  let round = 0;
  return {
    ops: count,
    run: () => {
      round++;
      for (let index = 0; index < count; index++) {
        const { key, value } = stream.set(index, round);
        const name = key.toString('latin1');
        const copy = Buffer.from(value);
        store.set(name, copy);
        watcher(name, copy);
      }
      return delivered === count * round ? store.size : 0;
    },
  };
}

function listPodsOfMap(count: number): BenchCase {
  const store = new Map<string, Buffer>();
  const random = seededRandom(2);
  for (let index = 0; index < count; index++) store.set(podKey(index).toString('latin1'), podValue(index, random));
  return {
    ops: count,
    run: () => {
      let checksum = 0;
      for (const key of [...store.keys()].sort()) {
        if (!key.startsWith('/registry/pods/')) continue;
        const value = store.get(key)!;
        checksum = (checksum + value[0]! + value.length) | 0;
      }
      return checksum;
    },
  };
}
