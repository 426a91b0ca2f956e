import { CACHE_TRIAL, cacheTrial, cellOf } from '../cache-trial.js';
import { inChild } from '../child.js';
import type { Experiment, Medians, Sample } from '../experiment.js';

const NODES = { small: [200], full: [1_000, 5_000, 10_000] } as const;
/** How often a node tells that it is there, either way. */
const EVERY_SECONDS = 10;

const STATUS = 'node status';
const LEASE = 'lease';
const KINDS = {
  [STATUS]: { kind: 'nodes', objectBytes: 15_000 },
  [LEASE]: { kind: 'leases', objectBytes: 300 },
} as const;

function ratio(medians: Medians, figure: string, at: number): number {
  return medians.of(figure, STATUS, at) / medians.of(figure, LEASE, at);
}

export const experiment: Experiment = {
  title: 'Heartbeats: node status against leases',
  claim:
    'A kubelet said every ten seconds that it is alive by writing the status of its node, often more than 15 kB; with 10,000 nodes that filled etcd and kept the master busy. A lease object of some hundred bytes says the same.',
  source: [
    {
      title: 'KEP-589: Efficient node heartbeats',
      url: 'https://github.com/kubernetes/enhancements/blob/master/keps/sig-node/589-efficient-node-heartbeats/README.md',
    },
    {
      title: 'How does Alibaba ensure the performance of system components in a 10,000-node Kubernetes cluster? (2020)',
      url: 'https://www.alibabacloud.com/blog/how-does-alibaba-ensure-the-performance-of-system-components-in-a-10000-node-kubernetes-cluster_595469',
    },
  ],
  method: [
    'As many objects as there are nodes: nodes of 15,000 stored bytes, mostly lists of images as in the proposal, or leases of 300. Each write of one is a heartbeat. The watch cache of the server takes it: from stored bytes to wire bytes, into a slab and the order of keys, into the history, and to one watcher of all of them, in protobuf.',
    'Heartbeats come as fast as they go; CPU is that of the process for each, and includes making the stored bytes, which is a copy of them. Bytes in are key and value as etcd sends them, bytes out are what the watcher is given. Resident memory is what the process took more than at its start when heartbeats had been coming for a while, with the history, what the allocator holds in reserve, and the young generation of the heap, which is most of it for few small objects.',
    'Left out: etcd itself, which writes each version to its log and its file and keeps it until compaction, so that there bytes in are bytes on disk; and that kubelets still write their status when it changes, or every five minutes.',
  ],
  xLabel: 'nodes',
  figures: {
    in: { label: 'bytes in', unit: 'B a heartbeat' },
    out: { label: 'bytes out, a watcher', unit: 'B a heartbeat' },
    cpu: { label: 'CPU', unit: 'us a heartbeat' },
    resident: { label: 'resident memory', unit: 'MiB' },
  },
  plots: [
    { figure: 'cpu', title: 'CPU of a heartbeat', xScale: 'log', yScale: 'log' },
    { figure: 'resident', title: 'Resident memory', xScale: 'log', yScale: 'linear' },
  ],
  directions: [
    {
      says: 'a status takes more bytes than a lease does, in and out',
      holds: (medians) =>
        ['in', 'out'].every((figure) =>
          medians.places(figure, LEASE).every((nodes) => ratio(medians, figure, nodes) > 10),
        ),
    },
  ],
  async measure(size, run) {
    const samples: Sample[] = [];
    const lines = [STATUS, LEASE] as const;
    for (const objects of NODES[size]) {
      for (const line of run % 2 === 1 ? [...lines].reverse() : lines) {
        const seconds = size === 'small' ? 0.1 : 1;
        const cell = cellOf({ ...KINDS[line], objects, representation: 'slabs', watchers: 1, seconds, seed: run + 1 });
        const trial = await inChild(CACHE_TRIAL, cacheTrial, cell);
        samples.push(
          { figure: 'in', line, at: objects, value: trial.storedBytes },
          { figure: 'out', line, at: objects, value: trial.watchBytes },
          { figure: 'cpu', line, at: objects, value: trial.cpuUs },
          { figure: 'resident', line, at: objects, value: trial.residentMib },
        );
      }
    }
    return samples;
  },
  verdict(medians) {
    const nodes = medians.places('cpu', LEASE).at(-1)!;
    const cpu = ratio(medians, 'cpu', nodes);
    const resident = ratio(medians, 'resident', nodes);
    const perSecond = nodes / EVERY_SECONDS;
    const of = (figure: string, line: string) => medians.of(figure, line, nodes);
    const load = (line: string) =>
      `${((perSecond * of('in', line)) / 2 ** 20).toFixed(1)} MiB a second from etcd, ${((perSecond * of('out', line)) / 2 ** 20).toFixed(1)} to each watcher and ${((perSecond * of('cpu', line)) / 1e4).toFixed(1)}% of a core`;
    return {
      reproduces: cpu >= 5 && resident >= 5 ? 'yes' : cpu >= 2 || resident >= 2 ? 'in part' : 'no',
      text: [
        `With ${nodes} nodes a heartbeat by status took ${ratio(medians, 'in', nodes).toFixed(0)} times the bytes of one by lease, ${cpu.toFixed(1)} times the CPU (${of('cpu', STATUS).toFixed(1)} against ${of('cpu', LEASE).toFixed(1)} us), and the cache ${resident.toFixed(1)} times the memory (${of('resident', STATUS).toFixed(0)} against ${of('resident', LEASE).toFixed(0)} MiB).`,
        `One heartbeat a node every ${EVERY_SECONDS} s is ${perSecond} a second: by status ${load(STATUS)}; by lease ${load(LEASE)}.`,
        'Whoever decodes pays more than what is copied here: the bytes are what both designs share.',
      ],
    };
  },
};
