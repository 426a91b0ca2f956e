import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { eventually, freePort, repositoryRoot, start } from '../../../test/support/command.js';
import type { Etcd } from '../../../test/support/etcd.js';
import { etcdKv } from '../../../test/support/etcd-kv.js';
import { pods } from '../../corpus.js';
import { relabelled } from '../../indexed-pods.js';
import { cpuMsOf } from '../cpu-time.js';
import type { Experiment, Sample, Size } from '../experiment.js';
import { startRealEtcd } from '../real-etcd.js';

const CACHED = 'from the cache';
const CONSISTENT = 'from the cache, consistent';
const DIRECT = 'from etcd';
/** Namespaces and apps of the corpus. */
const NAMESPACES = 200;
const APPS = 500;
const SIZES = {
  small: { pods: 400, reads: [20, 10, 4] },
  full: { pods: 2_000, reads: [2_000, 600, 40] },
} as const;
/** Reads that are under way at once. */
const READERS = 4;
const KINDS = ['a GET', 'a LIST of a namespace', 'a LIST by a label'] as const;

interface Served {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<unknown>;
}

async function serve(etcd: Etcd, ...flags: string[]): Promise<Served> {
  const port = await freePort();
  const args = ['serve', '--etcd-servers', etcd.endpoint, '--insecure-port', `${port}`, '--secure-port', '0', ...flags];
  const command = start(process.execPath, [join(repositoryRoot, 'dist/src/cli/main.js'), ...args]);
  process.on('exit', () => command.child.kill('SIGKILL'));
  try {
    await eventually('listwatch is ready', async () => {
      if (command.child.exitCode !== null) throw new Error(`listwatch ended: ${command.stderr().slice(-2_000)}`);
      return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
    });
  } catch (error) {
    await command.stop();
    throw error;
  }
  return { port, pid: command.pid, stop: () => command.stop() };
}

/** Reads to the end; rejects for anything but 200. */
function read(agent: Agent, port: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/vnd.kubernetes.protobuf', 'accept-encoding': 'identity' };
    get({ agent, port, host: '127.0.0.1', path, headers }, (response) => {
      response.on('error', reject);
      response.on('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`GET ${path}: ${response.statusCode}`)),
      );
      response.resume();
    }).on('error', reject);
  });
}

/** How many ranges etcd has answered. */
async function rangesOf(etcd: Etcd): Promise<number> {
  const metrics = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
  const found = /^grpc_server_started_total\{grpc_method="Range",.*\} (\S+)$/m.exec(metrics)?.[1];
  if (found === undefined) throw new Error('etcd has no metric of its Range calls');
  return Number(found);
}

interface Subject {
  readonly line: string;
  readonly server: Served;
  readonly query: string;
}

async function measured(etcd: Etcd, { line, server, query }: Subject, at: number, paths: string[]): Promise<Sample[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: READERS });
  const tookMs: number[] = [];
  try {
    const all = paths.map((path) => (path.includes('?') ? `${path}&${query}` : `${path}?${query}`));
    for (const path of all.slice(0, Math.ceil(all.length / 4))) await read(agent, server.port, path);
    const ranges = await rangesOf(etcd);
    const [etcdMs, serverMs] = [cpuMsOf(etcd.pid), cpuMsOf(server.pid)];
    const left = all.values();
    const reader = async () => {
      for (const path of left) {
        const startMs = performance.now();
        await read(agent, server.port, path);
        tookMs.push(performance.now() - startMs);
      }
    };
    await Promise.all(Array.from({ length: READERS }, reader));
    const perThousand = (value: number) => (value * 1_000) / all.length;
    const cpu = { etcd: cpuMsOf(etcd.pid) - etcdMs, server: cpuMsOf(server.pid) - serverMs };
    const asked = (await rangesOf(etcd)) - ranges;
    tookMs.sort((a, b) => a - b);
    return [
      { figure: 'etcdCpu', line, at, value: perThousand(cpu.etcd) },
      { figure: 'ranges', line, at, value: perThousand(asked) },
      { figure: 'serverCpu', line, at, value: perThousand(cpu.server) },
      { figure: 'median', line, at, value: tookMs[tookMs.length >> 1]! },
      { figure: 'tail', line, at, value: tookMs[Math.floor(tookMs.length * 0.99)]! },
    ];
  } finally {
    agent.destroy();
  }
}

const { pods: PODS } = SIZES.full;

export const experiment: Experiment = {
  title: 'Reads from the cache against reads from etcd',
  claim:
    'Kubernetes 1.2 gave the apiserver a cache of what is in etcd, kept current by one watch in the background. Reads that come from memory take their load off etcd, and are faster.',
  source: [
    {
      title: '1000 nodes and beyond: updates to Kubernetes performance and scalability in 1.2',
      url: 'https://kubernetes.io/blog/2016/03/1000-nodes-and-beyond-updates-to-kubernetes-performance-and-scalability-in-12/',
    },
  ],
  method: [
    `A real etcd holds ${PODS} pods in ${NAMESPACES} namespaces. Two listwatch servers stand before it: one with its watch cache, one with --watch-cache=false, which ranges over etcd for each read and filters what comes, as an apiserver without a cache does. Unlike Kubernetes 1.1 it does not decode the objects for that, and so is the cheaper way to read from etcd.`,
    `Three reads, by how many pods they go over where nothing is indexed: a GET goes over one, a LIST of a namespace over ${PODS / NAMESPACES}, a LIST of the pods of one app by label over all ${PODS}, of which ${PODS / APPS} are its own. ${READERS} readers ask for protobuf over HTTP/1.1 without a pause. From the cache they read at resourceVersion=0 (whatever the cache has) and without a resourceVersion (consistent: etcd is asked for its revision by one small read, which those who wait share).`,
    "Measured are etcd's CPU time and the Range calls that it counts itself, the server's CPU time, and the latency at the client. Nothing is written meanwhile. CPU is accounted in steps of 10 ms.",
  ],
  needs: ['etcd'],
  xLabel: 'pods that the read goes over (GET, namespace, label)',
  figures: {
    etcdCpu: { label: "etcd's CPU for 1,000 reads", unit: 'ms' },
    ranges: { label: 'Range calls for 1,000 reads', unit: 'calls' },
    serverCpu: { label: "the server's CPU for 1,000 reads", unit: 'ms' },
    median: { label: 'latency, median', unit: 'ms' },
    tail: { label: 'latency, 99th percentile', unit: 'ms' },
  },
  plots: [
    { figure: 'etcdCpu', title: "etcd's CPU for 1,000 reads", xScale: 'log', yScale: 'linear' },
    { figure: 'median', title: 'Latency, median', xScale: 'log', yScale: 'log' },
    { figure: 'serverCpu', title: "The server's CPU for 1,000 reads", xScale: 'log', yScale: 'log' },
  ],
  directions: [
    {
      says: 'reads from the cache at resourceVersion=0 ask less of etcd than reads from etcd',
      holds: (medians) =>
        medians
          .places('ranges', DIRECT)
          .every((at) => medians.of('ranges', CACHED, at) < medians.of('ranges', DIRECT, at)),
    },
  ],
  async measure(size: Size, run) {
    const { pods: count, reads } = SIZES[size];
    await using etcd = await startRealEtcd();
    const objects = pods(count, run + 1).map(
      ({ key, value }) => [key.toString('latin1'), relabelled(value, {})] as const,
    );
    await etcdKv(etcd.endpoint).putAll(objects);
    const servers: Served[] = [];
    try {
      servers.push(await serve(etcd, '--watch-cache-initialization=pods'));
      servers.push(await serve(etcd, '--watch-cache=false'));
      const subjects: Subject[] = [
        { line: CACHED, server: servers[0]!, query: 'resourceVersion=0' },
        { line: CONSISTENT, server: servers[0]!, query: '' },
        { line: DIRECT, server: servers[1]!, query: '' },
      ];
      if (run % 2 === 1) subjects.reverse();
      const pathOf = [
        (index: number) => {
          const [, , , namespace, name] = objects[(index * 7) % count]![0].split('/');
          return `/api/v1/namespaces/${namespace}/pods/${name}`;
        },
        (index: number) => `/api/v1/namespaces/ns-${index % NAMESPACES}/pods`,
        (index: number) => `/api/v1/pods?labelSelector=app%3Dsvc-${index % APPS}`,
      ];
      const places = [1, count / NAMESPACES, count];
      const samples: Sample[] = [];
      for (const [kind, at] of places.entries()) {
        const paths = Array.from({ length: reads[kind]! }, (_, index) => pathOf[kind]!(index));
        for (const subject of subjects) samples.push(...(await measured(etcd, subject, at, paths)));
      }
      return samples;
    } finally {
      for (const server of servers) await server.stop();
    }
  },
  verdict(medians) {
    const places = medians.places('etcdCpu', DIRECT);
    const share = (figure: string, line: string) =>
      places.map((at) => medians.of(figure, line, at) / medians.of(figure, DIRECT, at));
    const say = (figure: string, line: string) =>
      share(figure, line)
        .map((part, index) => `${(100 * part).toFixed(0)}% (${KINDS[index]})`)
        .join(', ');
    const load = share('etcdCpu', CACHED).every((part) => part <= 0.1);
    const faster = share('median', CACHED).every((part) => part < 1);
    return {
      reproduces: load && faster ? 'yes' : load || faster ? 'in part' : 'no',
      text: [
        `Read from the cache at resourceVersion=0, etcd's CPU time was ${say('etcdCpu', CACHED)} of that for reading from etcd, and the median latency ${say('median', CACHED)}.`,
        `Consistent reads from the cache took ${say('etcdCpu', CONSISTENT)} of etcd's CPU time, and ${say('median', CONSISTENT)} of the latency: the small read of the revision is the same for each of them.`,
      ],
    };
  },
};
