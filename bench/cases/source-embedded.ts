import { systemClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore, type EmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { LeaseStream, podKey, podValue } from '../corpus.js';

/** The embedded store: renewals of leases with a watcher following, and reads of pods. */
export function setup(smoke: boolean): BenchCases {
  const leaseCount = smoke ? 100 : 100_000;
  const podCount = smoke ? 100 : 20_000;
  return {
    'source/write-leases/embedded': () => writeLeases(leaseCount),
    'source/list-pods/embedded': () => listPods(podCount),
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
