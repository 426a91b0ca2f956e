import { rangeOf } from '../../src/lib/bytes.js';
import { seededRandom } from '../../src/lib/random.js';
import type { CreateAllocator } from '../../src/versions/allocator.js';
import { createVersions } from '../../src/versions/create-versions.js';
import { LinearScanAllocator } from '../../src/versions/linear-scan.js';
import { SegregatedMapAllocator } from '../../src/versions/segregated-map.js';
import { SizeClassAllocator } from '../../src/versions/size-classes.js';
import { Slabs } from '../../src/versions/slabs.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { LeaseStream, podKey, podValue } from '../corpus.js';

const allocators: Record<string, CreateAllocator> = {
  'size-classes': (slabs) => new SizeClassAllocator(slabs),
  'segregated-map': (slabs) => new SegregatedMapAllocator(slabs),
  'linear-scan': (slabs) => new LinearScanAllocator(slabs),
};

/**
 * Allocators alone, with the sizes of pods in churn, and under versions with leases and pods; beside
 * `buffers`, a Buffer of its own for every value, which the collector frees.
 */
export function setup(smoke: boolean): BenchCases {
  const cases: BenchCases = {};
  for (const [name, create] of Object.entries(allocators)) {
    cases[`versions/churn/${name}`] = () => churnCase(create, smoke ? 100 : 20_000);
    cases[`versions/replace-leases/${name}`] = () => replaceLeases(create, smoke ? 100 : 20_000);
    cases[`versions/replace-pods/${name}`] = () => replacePods(create, smoke ? 20 : 2_000);
  }
  cases['versions/churn/buffers'] = () => churnBuffers(smoke ? 100 : 20_000);
  cases['versions/replace-leases/buffers'] = () => replaceLeaseBuffers(smoke ? 100 : 20_000);
  cases['versions/replace-pods/buffers'] = () => replacePodBuffers(smoke ? 20 : 2_000);
  return cases;
}

/** Slots of mixed sizes come and go at random: the holes that a first fit has to walk. */
function churnCase(create: CreateAllocator, count: number): BenchCase {
  const allocator = create(new Slabs());
  const { sizes, order } = churnPlan(count);
  const addresses = Float64Array.from(sizes, (size) => allocator.allocate(size));
  return {
    ops: count,
    run: () => {
      for (let at = 0; at < count; at++) {
        const slot = order[at]!;
        allocator.free(addresses[slot]!, sizes[slot]!);
        sizes[slot] = sizes[(slot + at) % count]!;
        addresses[slot] = allocator.allocate(sizes[slot]!);
      }
      return allocator.usedBytes;
    },
  };
}

function churnPlan(count: number): { sizes: Int32Array; order: Int32Array } {
  const random = seededRandom(9);
  const sizes = Int32Array.from({ length: count }, () => 300 + random.int(random.chance(0.05) ? 60_000 : 4_000));
  return { sizes, order: Int32Array.from({ length: count }, () => random.int(count)) };
}

function churnBuffers(count: number): BenchCase {
  const { sizes, order } = churnPlan(count);
  const held = Array.from(sizes, (size) => Buffer.allocUnsafe(size));
  return {
    ops: count,
    run: () => {
      for (let at = 0; at < count; at++) {
        const slot = order[at]!;
        sizes[slot] = sizes[(slot + at) % count]!;
        held[slot] = Buffer.allocUnsafe(sizes[slot]!);
      }
      return held.reduce((sum, { length }) => sum + length, 0);
    },
  };
}

function replaceLeaseBuffers(count: number): BenchCase {
  const stream = new LeaseStream();
  let revision = 1;
  const held = Array.from({ length: count }, (_, index) => Buffer.from(stream.set(index, revision).value));
  return {
    ops: count,
    run: () => {
      for (let index = 0; index < count; index++) held[index] = Buffer.from(stream.set(index, ++revision).value);
      return held.length;
    },
  };
}

function replacePodBuffers(count: number): BenchCase {
  const random = seededRandom(4);
  const values = Array.from({ length: count }, (_, index) => podValue(index, random));
  let revision = 1;
  const held = values.map((value) => Buffer.from(value));
  return {
    ops: count,
    run: () => {
      for (let index = 0; index < count; index++) held[index] = Buffer.from(values[(index + ++revision) % count]!);
      return held.length;
    },
  };
}

function replaceLeases(create: CreateAllocator, count: number): BenchCase {
  const versions = createVersions({ allocator: create });
  const stream = new LeaseStream();
  const ids = new Int32Array(count);
  const key = rangeOf(stream.key);
  let revision = 1;
  const add = (index: number) => {
    const { value } = stream.set(index, revision);
    return versions.add(key, rangeOf(value), 4, revision, revision);
  };
  for (let index = 0; index < count; index++) ids[index] = add(index);
  return {
    ops: count,
    run: () => {
      for (let index = 0; index < count; index++) {
        revision++;
        const next = add(index);
        versions.retire(ids[index]!, revision);
        ids[index] = next;
        if (index % 64 === 0) versions.reclaim(revision);
      }
      return versions.stats.live;
    },
    dispose: () => versions.dispose(),
  };
}

function replacePods(create: CreateAllocator, count: number): BenchCase {
  const versions = createVersions({ allocator: create });
  const random = seededRandom(4);
  const keys = Array.from({ length: count }, (_, index) => rangeOf(podKey(index)));
  const values = Array.from({ length: count }, (_, index) => rangeOf(podValue(index, random)));
  let revision = 1;
  const ids = Int32Array.from(keys, (key, index) => versions.add(key, values[index]!, 4, revision, revision));
  return {
    ops: count,
    run: () => {
      for (let index = 0; index < count; index++) {
        revision++;
        const next = versions.add(keys[index]!, values[(index + revision) % count]!, 4, 1, revision);
        versions.retire(ids[index]!, revision);
        ids[index] = next;
        if (index % 64 === 0) versions.reclaim(revision);
      }
      return versions.stats.live;
    },
    dispose: () => versions.dispose(),
  };
}
