import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { protobufFormat } from '../../../src/http/watch/protobuf-format.js';
import { prefixEnd } from '../../../src/lib/bytes.js';
import { systemClock } from '../../../src/lib/clock.js';
import { mappedMemory } from '../../../src/lib/mapped-memory.js';
import { seededRandom } from '../../../src/lib/random.js';
import type { Cell } from '../../../src/pressure/cell.js';
import type { RepresentationName } from '../../../src/pressure/representations.js';
import { Subject } from '../../../src/pressure/subject.js';
import { runTrial } from '../../../src/pressure/trial.js';
import { CACHE_TRIAL, cacheTrial, cellOf } from '../cache-trial.js';
import { inChild } from '../child.js';
import type { Experiment, Sample } from '../experiment.js';
import type { FollowingOrder } from '../following-thread.js';
import { SharedLog } from '../shared-log.js';

const OBJECTS = { small: 1_000, full: 20_000 } as const;
const SERVERS = { small: [1, 2], full: [1, 2, 4] } as const;
/** Of a core for each replica: where they share cores, trials take longer, so that code is compiled alike. */
const SECONDS = { small: 0.1, full: 0.8 } as const;
/** More than the frames of a trial; what is not written to takes no memory. */
const LOG_BYTES = 2 ** 30;
const FLUSH_MS = 2;
const MIB = 2 ** 20;

const DECODED = 'replicas, decoded protobuf';
const SLABS = 'replicas, slabs';
const THREADS = 'one ingest, serving threads';
const REPLICAS = { [DECODED]: 'decoded-protobuf', [SLABS]: 'slabs' } as const satisfies Record<
  string,
  RepresentationName
>;

interface Shared {
  readonly cpuUs: number;
  readonly residentMib: number;
  readonly storedBytes: number;
}

/** In a process of its own: one cache takes the stream, and threads follow what it frames. */
export async function sharedTrial({ cell, threads }: { cell: Cell; threads: number }): Promise<Shared> {
  const before = process.memoryUsage().rss;
  const subject = new Subject(cell, systemClock);
  await subject.load();
  const log = new SharedLog(mappedMemory(LOG_BYTES));
  const control = new SharedArrayBuffer(4);
  const order: FollowingOrder = { log: log.memory, control, everyMs: FLUSH_MS };
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('../following-thread.js', import.meta.url), { workerData: order }),
  );
  const said = (worker: Worker) =>
    new Promise<unknown>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  await Promise.all(workers.map(said));
  const { prefix, codec } = subject.stream;
  const watch = subject.cache.watch(
    {
      from: prefix,
      to: prefixEnd(prefix),
      filter: undefined,
      framer: protobufFormat(codec),
      afterRevision: subject.cache.revision,
      initialEvents: false,
      initialEventsEnd: false,
      bookmarks: false,
      timeoutMs: 3_600_000,
    },
    {
      write(chunk, done) {
        log.append(chunk);
        done?.();
        return true;
      },
      end() {
        throw new Error('the watch was ended');
      },
    },
  );
  const random = seededRandom(cell.seed);
  await runTrial(subject, cell, undefined, cell.seconds * 0.4, random, systemClock);
  const trial = await runTrial(subject, cell, undefined, cell.seconds, random, systemClock);
  const residentMib = (process.memoryUsage().rss - before - log.written) / MIB;
  watch.close();
  const followed = Promise.all(workers.map(said));
  Atomics.store(new Int32Array(control), 0, 1);
  Atomics.notify(new Int32Array(control), 0);
  for (const bytes of await followed) {
    if (bytes !== log.written) throw new Error(`a thread followed ${bytes} of ${log.written} bytes`);
  }
  const { storedBytes } = subject.stream;
  await subject.stop();
  return { cpuUs: (trial.cores * 1e6) / trial.eventsPerSecond, residentMib, storedBytes };
}

export const experiment: Experiment = {
  title: 'More replicas of an apiserver do not help',
  claim:
    'A change of one kind goes to every replica of the apiserver, and each decodes, stores and frames it. So more replicas spread the clients, and not the stream: what limits one of them limits all.',
  source: [{ title: 'k8s-1m: a Kubernetes cluster with 1 million nodes', url: 'https://bchess.github.io/k8s-1m' }],
  method: [
    `A replica is a process with the server's watch cache over ${OBJECTS.full} leases, which takes changes as fast as they go and frames them for one group of watchers. There are one, two and four of them at the same time, each with the whole stream: with leases decoded by protobufjs, as a Go apiserver decodes them, and with slabs.`,
    'Against them stands one process that takes the stream once, into slabs, and appends what it frames to a log in shared memory; one, two or four serving threads copy it from there, as they would for their watchers. listwatch does not ship this (docs/adr/0012): it is what bench/serving-threads.ts tries.',
    'CPU is that of all processes and threads for one change of the stream and depends little on what else the machine does, as long as a trial is long enough to compile the code. Memory is what the processes took more than at their start, without the log. Left out: sockets and clients, whose share replicas do spread, and etcd, which sends the stream once to each replica.',
  ],
  xLabel: 'replicas or threads',
  figures: {
    total: { label: 'CPU, all together', unit: 'us a change' },
    each: { label: 'CPU, one of them', unit: 'us a change' },
    in: { label: 'taken from etcd, all together', unit: 'B a change' },
    resident: { label: 'resident memory, all together', unit: 'MiB' },
  },
  plots: [
    { figure: 'total', title: 'CPU of a change, all together', xScale: 'linear', yScale: 'linear' },
    { figure: 'resident', title: 'Resident memory, all together', xScale: 'linear', yScale: 'linear' },
  ],
  directions: [
    {
      says: 'replicas take the stream once each, serving threads once in all',
      holds: (medians) =>
        medians
          .places('in', SLABS)
          .every(
            (count) =>
              Math.abs(medians.of('in', SLABS, count) / medians.of('in', SLABS, 1) - count) < 0.01 &&
              medians.of('in', THREADS, count) === medians.of('in', THREADS, 1),
          ),
    },
  ],
  async measure(size, run) {
    const samples: Sample[] = [];
    const add = (line: string, at: number, total: number, bytes: number, resident: number) => {
      samples.push(
        { figure: 'total', line, at, value: total },
        { figure: 'each', line, at, value: total / at },
        { figure: 'in', line, at, value: bytes },
        { figure: 'resident', line, at, value: resident },
      );
    };
    const lines = [DECODED, SLABS, THREADS] as const;
    for (const servers of SERVERS[size]) {
      const common = {
        objects: OBJECTS[size],
        seconds: SECONDS[size] * Math.max(1, servers / availableParallelism()),
        seed: run + 1,
      };
      for (const line of run % 2 === 1 ? [...lines].reverse() : lines) {
        if (line === THREADS) {
          const cell = cellOf({ ...common, representation: 'slabs' });
          const shared = await inChild(import.meta.url, sharedTrial, { cell, threads: servers });
          add(line, servers, shared.cpuUs, shared.storedBytes, shared.residentMib);
          continue;
        }
        const cell = cellOf({ ...common, representation: REPLICAS[line], watchers: 1 });
        const trials = await Promise.all(Array.from({ length: servers }, () => inChild(CACHE_TRIAL, cacheTrial, cell)));
        const sum = (of: 'cpuUs' | 'storedBytes' | 'residentMib') => trials.reduce((all, one) => all + one[of], 0);
        add(line, servers, sum('cpuUs'), sum('storedBytes'), sum('residentMib'));
      }
    }
    return samples;
  },
  verdict(medians) {
    const most = medians.places('total', SLABS).at(-1)!;
    const total = (line: string, servers: number) => medians.of('total', line, servers);
    const keeps = [DECODED, SLABS].map((line) => medians.of('each', line, most) / medians.of('each', line, 1));
    const added = (line: string) => (total(line, most) - total(line, 1)) / (most - 1);
    const spread = Math.min(...keeps) >= 0.8;
    const threadsHelp = added(THREADS) < added(SLABS) / 2;
    const resident = (line: string) => medians.of('resident', line, most).toFixed(0);
    return {
      reproduces: spread && threadsHelp ? 'yes' : spread ? 'in part' : 'no',
      text: [
        `With ${most} replicas a change cost each of them ${keeps[0]!.toFixed(2)} (decoded) and ${keeps[1]!.toFixed(2)} times (slabs) of what it cost one that is alone; below 1 would mean that replicas share the work. All together it cost ${total(DECODED, 1).toFixed(1)} us with one and ${total(DECODED, most).toFixed(1)} with ${most} replicas that decode, ${total(SLABS, 1).toFixed(1)} and ${total(SLABS, most).toFixed(1)} with slabs.`,
        `Another serving thread beside one ingest added ${added(THREADS).toFixed(1)} us a change, another replica with slabs ${added(SLABS).toFixed(1)}, one that decodes ${added(DECODED).toFixed(1)}. Memory with ${most}: ${resident(DECODED)} MiB decoded, ${resident(SLABS)} in slabs, ${resident(THREADS)} with threads.`,
        'Neither makes the stream itself faster: one process still takes every change of the kind.',
      ],
    };
  },
};
