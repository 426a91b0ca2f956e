import { systemClock } from '../../../src/lib/clock.js';
import { CACHE_TRIAL, cacheTrial, cellOf } from '../cache-trial.js';
import { inChild } from '../child.js';
import type { Experiment, Sample } from '../experiment.js';

const OBJECTS = { small: 1_000, full: 20_000 } as const;
const WORKERS = { small: [1, 2], full: [1, 2, 4] } as const;
const SECONDS = { small: 0.1, full: 1 } as const;
/** Time for all workers to start and to load; whoever is later begins late. */
const START_MS = { small: 300, full: 2_500 } as const;
const NODES = { small: 5_000, full: 1_000_000 } as const;
const INTERVALS_SECONDS = [10, 20, 40] as const;

const KINDS = 'independent kinds';
const HOT = 'one hot kind';
const ALL_NODES = 'leases of all nodes';

export const experiment: Experiment = {
  title: 'Sharding by kind, and one kind that is hot',
  claim:
    'Kinds are independent, so that they can be spread over stores and cores, and a cluster grows with them. The rate of changes to one kind cannot be spread: a million nodes that renew their leases every 10 s make 100,000 changes a second, and a longer interval is what lowers that.',
  source: [{ title: 'k8s-1m: a Kubernetes cluster with 1 million nodes', url: 'https://bchess.github.io/k8s-1m' }],
  method: [
    `A worker is a process with the server's watch cache in slabs over ${OBJECTS.full} leases, which takes changes as fast as they go; one, two and four start at the same time. Independent kinds: each worker has a stream of its own, and what they take together counts. One hot kind: every worker has to take the whole stream to be able to answer for the kind, so that a change counts when the slowest has it.`,
    'Objects of all kinds are as large as leases, so that the lines can be compared. Time is wall time, and workers beyond the number of cores share them, with the collectors of all processes and with whatever else the machine does.',
    `Besides, one worker holds leases of ${NODES.full} nodes: what it takes in a second is set against what the nodes write with renewals every ${INTERVALS_SECONDS.join(', ')} s. Left out: etcd, whose own limit (about 50,000 writes a second, says the same source) comes before that; the network; watchers.`,
  ],
  xLabel: 'workers',
  figures: {
    rate: { label: 'different changes applied', unit: 'events/s' },
    taken: { label: 'changes applied, counted at each worker', unit: 'events/s' },
  },
  plots: [{ figure: 'rate', title: 'Changes applied by all workers', xScale: 'linear', yScale: 'linear' }],
  directions: [
    {
      says: 'each change of a hot kind is taken by every worker',
      holds: (medians) =>
        medians
          .places('rate', HOT)
          .every((workers) => medians.of('taken', HOT, workers) >= 0.999 * workers * medians.of('rate', HOT, workers)),
    },
  ],
  async measure(size, run) {
    const samples: Sample[] = [];
    const lines = [KINDS, HOT] as const;
    for (const workers of WORKERS[size]) {
      for (const line of run % 2 === 1 ? [...lines].reverse() : lines) {
        const startAtMs = systemClock.nowMs() + START_MS[size];
        const trials = await Promise.all(
          Array.from({ length: workers }, (_, worker) => {
            const seed = line === HOT ? run + 1 : run * 8 + worker + 1;
            const cell = cellOf({ objects: OBJECTS[size], representation: 'slabs', seconds: SECONDS[size], seed });
            return inChild(CACHE_TRIAL, cacheTrial, { ...cell, startAtMs });
          }),
        );
        const rates = trials.map(({ eventsPerSecond }) => eventsPerSecond);
        const taken = rates.reduce((sum, rate) => sum + rate, 0);
        samples.push({ figure: 'taken', line, at: workers, value: taken });
        samples.push({ figure: 'rate', line, at: workers, value: line === HOT ? Math.min(...rates) : taken });
      }
    }
    const million = await inChild(
      CACHE_TRIAL,
      cacheTrial,
      cellOf({ objects: NODES[size], representation: 'slabs', seconds: SECONDS[size], seed: run + 1 }),
    );
    samples.push({ figure: 'rate', line: ALL_NODES, at: 1, value: million.eventsPerSecond });
    return samples;
  },
  verdict(medians) {
    const rate = (line: string, workers: number) => medians.of('rate', line, workers);
    const grown = (line: string, workers: number) => rate(line, workers) / rate(line, 1);
    const limit = rate(ALL_NODES, 1);
    const most = medians.places('rate', KINDS).at(-1)!;
    const scales = grown(KINDS, 2) >= 1.5;
    const bounded = grown(HOT, 2) <= 1.1;
    const needs = INTERVALS_SECONDS.map((seconds) => {
      const needed = NODES.full / seconds;
      return `every ${seconds} s: ${needed} a second, ${needed <= limit ? 'within' : 'beyond'} it`;
    });
    return {
      reproduces: scales && bounded ? 'yes' : scales || bounded ? 'in part' : 'no',
      text: [
        `Two workers took ${grown(KINDS, 2).toFixed(2)} times the changes of one when their kinds are independent, ${most} took ${grown(KINDS, most).toFixed(2)} times; of one hot kind two took ${grown(HOT, 2).toFixed(2)} and ${most} took ${grown(HOT, most).toFixed(2)} times.`,
        `One worker with ${NODES.full} leases took ${Math.round(limit)} changes a second. Renewals ${needs.join('; ')}. The limit is the cache's alone: etcd's comes before it, and watchers take their part of it.`,
      ],
    };
  },
};
