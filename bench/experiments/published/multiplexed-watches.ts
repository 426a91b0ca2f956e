import { etcdKv } from '../../../test/support/etcd-kv.js';
import { sleep, systemClock } from '../../../src/lib/clock.js';
import { ARRANGEMENTS, type Arrangement, EtcdWatches, residentBytes, WATCHED } from '../etcd-watches.js';
import type { Experiment, Medians, Sample, Size } from '../experiment.js';
import { startRealEtcd } from '../real-etcd.js';

const COUNTS = { small: [50], full: [100, 500, 2_000] } as const;
const SETTLE_MS = 500;
const KB = 1_024;
const [ONE, STREAMS, CONNECTIONS] = ARRANGEMENTS;

async function measured(line: Arrangement, at: number): Promise<Sample[]> {
  await using etcd = await startRealEtcd();
  const store = etcdKv(etcd.endpoint);
  await using watches = await EtcdWatches.start(etcd.endpoint);
  await store.put(`${WATCHED}a`, 'before');
  await sleep(systemClock, SETTLE_MS);
  const before = residentBytes(etcd.pid);
  const clientAfter = await watches.open(line, at);
  await sleep(systemClock, SETTLE_MS);
  const after = residentBytes(etcd.pid);
  // Every one of them works: an event for each.
  await store.put(`${WATCHED}a`, 'after');
  await watches.events(at);
  return [
    { figure: 'etcd', line, at, value: (after - before) / KB / KB },
    { figure: 'client', line, at, value: (clientAfter - watches.bytesBefore) / KB / KB },
    { figure: 'etcdEach', line, at, value: (after - before) / KB / at },
    { figure: 'clientEach', line, at, value: (clientAfter - watches.bytesBefore) / KB / at },
  ];
}

/** What etcd's memory grew by, in the largest number of watches, against that for one stream. */
function times(medians: Medians, figure: string, line: Arrangement): number {
  const at = medians.places(figure, line).at(-1)!;
  return medians.of(figure, line, at) / medians.of(figure, ONE, at);
}

export const experiment: Experiment = {
  title: 'Many watches: one stream, a stream each, a connection each',
  claim:
    'In etcd v3 connections, streams and watches are three things: a connection takes about 10 KB of its memory, a stream about another 10 KB, and one of the many watches of a stream less than 1 KB, so that watches multiplexed over one stream cost it an order of magnitude less than those that have a stream or a connection each.',
  source: [
    {
      title: 'etcd: Watch memory usage benchmark',
      url: 'https://etcd.io/docs/v3.6/benchmarks/etcd-3-watch-memory-benchmark/',
    },
  ],
  method: [
    'A real etcd, new for each figure, and a process that watches one prefix many times over: all watches in one gRPC stream, each in a stream of its own over one connection, or each over a connection of its own. The client speaks to etcd with @grpc/grpc-js and reads what comes as listwatch does, without building objects.',
    "Measured is the growth of each process's resident memory, from before the first watch to half a second after the last was confirmed; the client's garbage is collected first, etcd's is not, for nobody can ask it to. Then one key is written, and every watch must have its event, or the run fails.",
    'A resident megabyte is a coarse measure of few watches: what etcd took at start may be used again. The largest numbers say most.',
  ],
  needs: ['etcd'],
  xLabel: 'watches',
  figures: {
    etcd: { label: "growth of etcd's memory", unit: 'MB' },
    client: { label: "growth of the client's memory", unit: 'MB' },
    etcdEach: { label: 'etcd, for each watch', unit: 'KB' },
    clientEach: { label: 'client, for each watch', unit: 'KB' },
  },
  plots: [
    { figure: 'etcd', title: "Growth of etcd's memory", xScale: 'log', yScale: 'linear' },
    { figure: 'client', title: "Growth of the client's memory", xScale: 'log', yScale: 'linear' },
  ],
  directions: [],
  async measure(size: Size, run) {
    const samples: Sample[] = [];
    const lines = run % 2 === 1 ? [...ARRANGEMENTS].reverse() : ARRANGEMENTS;
    for (const count of COUNTS[size]) for (const line of lines) samples.push(...(await measured(line, count)));
    return samples;
  },
  verdict(medians) {
    const at = COUNTS.full.at(-1)!;
    const say = (figure: string) =>
      ARRANGEMENTS.map((line) => `${medians.of(figure, line, at).toFixed(1)} KB (${line})`).join(', ');
    const [streams, connections] = [times(medians, 'etcd', STREAMS), times(medians, 'etcd', CONNECTIONS)];
    return {
      reproduces: streams >= 10 && connections >= 10 ? 'yes' : Math.max(streams, connections) >= 3 ? 'in part' : 'no',
      text: [
        `With ${at} watches each of them took of etcd's memory ${say('etcdEach')}: a stream each ${streams.toFixed(1)} times, a connection each ${connections.toFixed(1)} times what one stream for all takes.`,
        `The client paid ${say('clientEach')} for each.`,
        'listwatch watches each kind once, and so has as many streams as kinds, over a few connections.',
      ],
    };
  },
};
