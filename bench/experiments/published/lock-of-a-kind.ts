import { Worker } from 'node:worker_threads';
import { type EngineName, engines } from '../../../src/engine/engines.js';
import { rangeOf } from '../../../src/lib/bytes.js';
import { seededRandom } from '../../../src/lib/random.js';
import { systemClock } from '../../../src/lib/clock.js';
import { NONE, type VersionId } from '../../../src/versions/versions.js';
import type { Experiment, Medians, Sample } from '../experiment.js';
import { Leases } from '../leases.js';
import type { ListingOrder } from '../listing-thread.js';
import { ReadWriteLock } from '../read-write-lock.js';
import { createSharedIndex, type IndexName } from '../shared-index.js';

const OBJECTS = { small: 1_000, full: 100_000 } as const;
const READERS = { small: [0, 1], full: [0, 1, 2, 4] } as const;
/** Each reader rests so long after a LIST. */
const LIST_EVERY_MS = 5;
const FOR_MS = { small: 60, full: 800 } as const;
/** Events between two looks at the time. */
const TURN = 16;

const LOCKED = { 'b-tree': 'b-tree under a lock', 'hash map': 'hash map under a lock' } as const satisfies Record<
  IndexName,
  string
>;
const SNAPSHOTS = 'cow-btree, snapshots without a lock';
const ALONE = { btree: 'b-tree, one thread', hash: 'hash map, one thread' } as const satisfies Partial<
  Record<EngineName, string>
>;

interface Writing {
  readonly eventsPerSecond: number;
  readonly longestStopMs: number;
  readonly waitedShare: number;
}

/** Renews random leases for so long. `apply` orders one; `between` is called now and then and may read. Both return how long they waited. */
function write(
  leases: Leases,
  seed: number,
  forMs: number,
  apply: (index: number, previous: VersionId, next: VersionId) => number,
  between: () => number = () => 0,
): Writing {
  const random = seededRandom(seed);
  const startMs = systemClock.monotonicMs();
  let [events, waitedMs, longestStopMs] = [0, 0, 0];
  const stopped = (ms: number) => {
    waitedMs += ms;
    if (ms > longestStopMs) longestStopMs = ms;
  };
  for (;;) {
    for (let turn = 0; turn < TURN; turn++) {
      const index = random.int(leases.ids.length);
      const previous = leases.ids[index]!;
      const next = leases.renew(index);
      stopped(apply(index, previous, next));
      events++;
    }
    stopped(between());
    const tookMs = systemClock.monotonicMs() - startMs;
    if (tookMs < forMs) continue;
    return { eventsPerSecond: (events * 1000) / tookMs, longestStopMs, waitedShare: (waitedMs * 100) / tookMs };
  }
}

/** The index is shared by the writer, this thread, and readers in threads of their own. */
async function locked(name: IndexName, readers: number, size: keyof typeof FOR_MS, run: number): Promise<Sample[]> {
  const leases = new Leases(OBJECTS[size], run + 1);
  const index = createSharedIndex(name, leases.keys);
  for (const [at, key] of leases.keys.entries()) index.replace(key, leases.ids[at]!);
  const lock = new ReadWriteLock();
  const control = new SharedArrayBuffer(8);
  const cells = new Int32Array(control);
  const order: ListingOrder = { index: index.memory, lock: lock.memory, control, everyMs: LIST_EVERY_MS };
  const apply = (lease: number, _previous: VersionId, next: VersionId) => {
    const slept = lock.sleeps;
    const beforeMs = systemClock.monotonicMs();
    lock.lock();
    const waitedMs = lock.sleeps === slept ? 0 : systemClock.monotonicMs() - beforeMs;
    index.replace(leases.keys[lease]!, next);
    lock.unlock();
    return waitedMs;
  };
  write(leases, run, FOR_MS[size] / 4, apply);
  const threads: Worker[] = [];
  try {
    for (let reader = 0; reader < readers; reader++) {
      const thread = new Worker(new URL('../listing-thread.js', import.meta.url), { workerData: order });
      threads.push(thread);
      await new Promise((resolve, reject) => thread.once('message', resolve).once('error', reject));
    }
    const before = Atomics.load(cells, 1);
    const writing = write(leases, run + 1, FOR_MS[size], apply);
    return samplesOf(LOCKED[name], readers, writing, ((Atomics.load(cells, 1) - before) * 1000) / FOR_MS[size]);
  } finally {
    Atomics.store(cells, 0, 1);
    Atomics.notify(cells, 0);
    await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve))));
  }
}

/** An engine of listwatch's in one thread, which also answers the LISTs, each from a snapshot. */
function alone(
  engineName: EngineName,
  line: string,
  readers: number,
  size: keyof typeof FOR_MS,
  run: number,
): Sample[] {
  const leases = new Leases(OBJECTS[size], run + 1);
  const engine = engines[engineName](leases.versions);
  const change = { count: 1, previous: new Int32Array(1), next: new Int32Array(1) };
  const apply = (_lease: number, previous: VersionId, next: VersionId) => {
    change.previous[0] = previous;
    change.next[0] = next;
    engine.apply(change, leases.revision);
    return 0;
  };
  for (const id of leases.ids) apply(0, NONE, id);
  const ids = new Int32Array(leases.ids.length);
  const dueMs = Array.from({ length: readers }, () => 0);
  let lists = 0;
  const list = () => {
    const beforeMs = systemClock.monotonicMs();
    for (let reader = 0; reader < readers; reader++) {
      if (dueMs[reader]! > beforeMs) continue;
      using snapshot = engine.snapshot();
      let count = 0;
      snapshot.range(rangeOf(new Uint8Array(0)), rangeOf(Uint8Array.of(0)), (id) => {
        ids[count++] = id;
        return true;
      });
      if (count !== ids.length) throw new Error(`${count} of ${ids.length} ids were listed`);
      lists++;
      dueMs[reader] = systemClock.monotonicMs() + LIST_EVERY_MS;
      return systemClock.monotonicMs() - beforeMs;
    }
    return 0;
  };
  write(leases, run, FOR_MS[size] / 4, apply, list);
  lists = 0;
  const writing = write(leases, run + 1, FOR_MS[size], apply, list);
  return samplesOf(line, readers, writing, (lists * 1000) / FOR_MS[size]);
}

function samplesOf(line: string, at: number, writing: Writing, listsPerSecond: number): Sample[] {
  return [
    { figure: 'rate', line, at, value: writing.eventsPerSecond },
    { figure: 'stopped', line, at, value: writing.waitedShare },
    { figure: 'longest', line, at, value: writing.longestStopMs },
    { figure: 'lists', line, at, value: listsPerSecond },
  ];
}

/** What share of its rate a line keeps when readers come. */
function kept(medians: Medians, line: string): number {
  const places = medians.places('rate', line);
  return medians.of('rate', line, places.at(-1)!) / medians.of('rate', line, places[0]!);
}

export const experiment: Experiment = {
  title: 'The lock of a kind, and what it guards',
  claim:
    "A kube-apiserver keeps each kind in one structure under one read-write lock. With a b-tree in it, about 40,000 updates a second of one kind could be followed; with a hash map about 100,000: the rate of changes to one kind, not the cluster's size, is the limit.",
  source: [{ title: 'k8s-1m: a Kubernetes cluster with 1 million nodes', url: 'https://bchess.github.io/k8s-1m' }],
  method: [
    `One kind of leases, full runs with ${OBJECTS.full}. An event is what listwatch does with one: the stored value becomes wire bytes, goes into a slab as a new version, the old one is retired, and the key gets the new version's id. Only the last step is under the lock.`,
    "The lock is written here, over Atomics in memory that threads share, with the rules of Go's RWMutex: a writer that waits holds off readers that come later. A b-tree and a hash map that threads can share are written here, too, since listwatch's own engines live in one thread; updates find their key in the b-tree by comparing, and in the hash map by hashing. The writer is one thread; each reader is another one that copies the ids of the whole kind under the lock (a LIST), rests for 5 ms, and does it again.",
    "Beside them listwatch's own engines in one thread without any lock: its b-tree and its hash with no reader, and its copy-on-write b-tree with the same readers, whose LISTs are taken from snapshots by the same thread between events. There the time that LISTs take is what stops the writer; with the lock it is the time that the writer slept for it.",
    'Left out: watchers, the history, and that a LIST in Go reads objects (through pointers), which holds the lock for longer than copying four bytes each. Threads share two cores, so with four readers the writer also loses some of its core to them.',
  ],
  xLabel: 'readers',
  figures: {
    rate: { label: 'updates', unit: 'events/s' },
    stopped: { label: 'time that the writer stood still', unit: '%' },
    longest: { label: 'longest such stop', unit: 'ms' },
    lists: { label: 'LISTs', unit: '1/s' },
  },
  plots: [
    { figure: 'rate', title: 'Updates of one kind', xScale: 'linear', yScale: 'linear' },
    {
      figure: 'longest',
      title: 'Longest stop of the writer',
      xScale: 'linear',
      yScale: 'linear',
      lines: [...Object.values(LOCKED), SNAPSHOTS],
    },
  ],
  directions: [
    {
      says: 'without readers the writer never sleeps for the lock',
      holds: (medians) => Object.values(LOCKED).every((line) => medians.of('stopped', line, 0) === 0),
    },
    {
      says: 'with readers all lines answer LISTs',
      holds: (medians) =>
        [...Object.values(LOCKED), SNAPSHOTS].every((line) =>
          medians.places('lists', line).every((readers) => readers === 0 || medians.of('lists', line, readers) > 0),
        ),
    },
  ],
  async measure(size, run) {
    const samples: Sample[] = [];
    const lines: ((readers: number) => Promise<Sample[]> | Sample[])[] = [
      (readers) => locked('b-tree', readers, size, run),
      (readers) => locked('hash map', readers, size, run),
      (readers) => alone('cow-btree', SNAPSHOTS, readers, size, run),
      (readers) => (readers === 0 ? alone('btree', ALONE.btree, 0, size, run) : []),
      (readers) => (readers === 0 ? alone('hash', ALONE.hash, 0, size, run) : []),
    ];
    if (run % 2 === 1) lines.reverse();
    for (const readers of READERS[size]) for (const line of lines) samples.push(...(await line(readers)));
    return samples;
  },
  verdict(medians) {
    const rate = (line: string, readers: number) => medians.of('rate', line, readers);
    const most = medians.places('rate', SNAPSHOTS).at(-1)!;
    const faster = rate(LOCKED['hash map'], 0) / rate(LOCKED['b-tree'], 0);
    const [tree, hash, snapshots] = [LOCKED['b-tree'], LOCKED['hash map'], SNAPSHOTS].map((line) =>
      kept(medians, line),
    );
    const structure = faster >= 1.5;
    const lock = Math.min(tree!, hash!) < 0.8 && Math.min(tree!, hash!) < snapshots!;
    const percent = (share: number) => `${(share * 100).toFixed(0)}%`;
    return {
      reproduces: structure && lock ? 'yes' : structure || lock ? 'in part' : 'no',
      text: [
        `The structure: without readers the b-tree under the lock took ${Math.round(rate(LOCKED['b-tree'], 0))} updates a second, the hash map ${Math.round(rate(LOCKED['hash map'], 0))}, ${faster.toFixed(2)} times as many (published: about 2.5 times). In one thread and without a lock listwatch's b-tree took ${Math.round(rate(ALONE.btree, 0))}, its hash ${Math.round(rate(ALONE.hash, 0))}, its copy-on-write b-tree, which finds the place of a version by its id, ${Math.round(rate(SNAPSHOTS, 0))}.`,
        `The lock: with ${most} readers the b-tree kept ${percent(tree!)} of its rate, the hash map ${percent(hash!)}, and the snapshots ${percent(snapshots!)}; the longest stop of the writer was ${medians.of('longest', LOCKED['b-tree'], most).toFixed(1)}, ${medians.of('longest', LOCKED['hash map'], most).toFixed(1)} and ${medians.of('longest', SNAPSHOTS, most).toFixed(1)} ms. They answered ${Math.round(medians.of('lists', LOCKED['b-tree'], most))}, ${Math.round(medians.of('lists', LOCKED['hash map'], most))} and ${Math.round(medians.of('lists', SNAPSHOTS, most))} LISTs a second.`,
        'An update here is bytes into a slab and an id into a structure; in Go it is also a decoded object, so that the structure is a smaller share of it.',
      ],
    };
  },
};
