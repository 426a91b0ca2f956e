import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectFilter } from '../../src/cache/cache.js';
import { engines } from '../../src/engine/engines.js';
import type { Selection } from '../../src/indexer/indexer.js';
import { type ByteRange, prefixEnd, rangeOf, utf8 } from '../../src/lib/bytes.js';
import type { Random } from '../../src/lib/random.js';
import type { VersionId } from '../../src/versions/versions.js';
import { withSeed } from '../engine/with-seed.js';
import { EVERYTHING, History, randomFilter, randomPod, scanned, type WatchSnapshot } from './history.js';

/**
 * The promise of every plan: what it selects is what reading every object of that very snapshot selects, in
 * the same order. Held against random histories, at the state now and at older ones, while objects change between two
 * steps of one selection, while indexes come up and while they are dropped.
 */
const STEPS = 220;

interface Open {
  readonly snapshot: WatchSnapshot;
  readonly selection: Selection;
  readonly want: readonly VersionId[];
  readonly got: VersionId[];
  readonly why: string;
}

for (const [name, createEngine] of Object.entries(engines)) {
  test(`${name}: every plan selects what a scan selects`, () =>
    withSeed((random) => {
      // A small budget in one of three runs: label keys and indexes are dropped in the middle of it.
      const tight = random.chance(0.34);
      const limits = tight ? { indexBytesMin: 30_000 + random.int(60_000), indexBytesFraction: 0 } : {};
      const history = new History(createEngine, limits);
      const pool = Array.from({ length: 150 }, () => randomPod(random));
      const objects = new Map<string, { value: Uint8Array; revision: number }>();
      const plans = new Map<string, number>();
      let open: Open[] = [];
      for (let step = 0; step < STEPS; step++) {
        mutate(history, objects, pool, random);
        if (step === 20) history.cache.index.want(['l', 'f:spec.nodeName', 'f:status.phase']);
        if (step === 90) history.cache.index.want(['f:spec.hostNetwork', 'f:status.podIPs']);
        // Indexes come up in small steps, with changes and reads between them.
        history.cache.index.build(() => history.cache.snapshot(undefined, 'build'), 1 + random.int(60));
        if (step % 60 === 59) relist(history, objects, random);
        if (step === 150 && random.chance(0.5)) {
          history.clock.advance(4_000_000);
          history.cache.tidy(); // idle indexes go
        }
        for (let reads = random.int(3); reads > 0; reads--) {
          const begun = begin(history, random, () => mutate(history, objects, pool, random));
          if (begun === undefined) continue;
          plans.set(begun.selection.plan.by, (plans.get(begun.selection.plan.by) ?? 0) + 1);
          open.push(begun);
        }
        open = open.filter((one) => !goOn(one, random));
        if (step % 20 === 0) history.cache.verify();
      }
      for (const one of open) while (!goOn(one, random));
      history.settle();
      history.cache.verify();
      if (!tight) {
        for (const by of ['scan', 'columns', 'postings']) {
          assert.ok((plans.get(by) ?? 0) > 5, `${by} was planned ${plans.get(by)} times`);
        }
      }
      history.close();
    }));
}

function mutate(
  history: History,
  objects: Map<string, { value: Uint8Array; revision: number }>,
  pool: readonly Uint8Array[],
  random: Random,
): void {
  const changes = new Map<string, Uint8Array | undefined>();
  for (let count = random.int(12); count > 0; count--) {
    const name = `ns-${random.int(3)}/pod-${random.int(120)}`;
    changes.set(name, random.chance(0.25) ? undefined : random.pick(pool));
  }
  history.write(changes);
  for (const [name, value] of changes) {
    if (value === undefined) objects.delete(name);
    else objects.set(name, { value, revision: history.revision });
  }
}

function relist(history: History, objects: Map<string, { value: Uint8Array; revision: number }>, random: Random): void {
  for (const name of [...objects.keys()]) if (random.chance(0.1)) objects.delete(name);
  history.relist(random.chance(0.5) ? 'fresh' : 'difference', objects);
}

function begin(history: History, random: Random, change: () => void): Open | undefined {
  const { tail } = history.cache.history;
  const at = random.chance(0.4) ? tail + random.int(history.cache.revision - tail + 1) : undefined;
  const snapshot = history.cache.snapshot(at, 'test');
  if (snapshot === undefined) return undefined;
  const filter: ObjectFilter | undefined = random.chance(0.95) ? randomFilter(random) : undefined;
  const { from, to } = randomRange(random);
  const limit = random.chance(0.4) ? 1 + random.int(20) : 0;
  const want = scanned(snapshot, filter ?? { id: '', matches: () => true }, from, to);
  // Postings tell of the state at the time of the snapshot only as long as nothing changes.
  if (random.chance(0.2)) change();
  const selection = snapshot.select({ from, to, filter, limit });
  const why = `${filter?.id.replace('\0', ' & ')} at ${at ?? 'now'} limit ${limit} by ${selection.plan.by}`;
  return { snapshot, selection, want: limit === 0 ? want : want.slice(0, limit), got: [], why };
}

/** True when it has ended, and is what it should be. */
function goOn({ snapshot, selection, want, got, why }: Open, random: Random): boolean {
  let patience = 1 + random.int(20);
  const advance = selection.advance(
    (id) => {
      got.push(id);
      return --patience > 0 && got.length !== want.length;
    },
    () => random.chance(0.5),
  );
  const done = advance === 'end' || got.length >= want.length;
  if (!done) return false;
  assert.deepEqual(got, want, why);
  snapshot[Symbol.dispose]();
  return true;
}

function randomRange(random: Random): { from: ByteRange; to: ByteRange } {
  if (random.chance(0.5)) return EVERYTHING;
  const namespace = utf8(`/registry/pods/ns-${random.int(4)}/`);
  if (random.chance(0.6)) return { from: rangeOf(namespace), to: rangeOf(prefixEnd(namespace)) };
  return { from: rangeOf(utf8(`/registry/pods/ns-1/pod-${random.int(120)}`)), to: EVERYTHING.to };
}
