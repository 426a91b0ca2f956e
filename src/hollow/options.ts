import type { FlagValues } from '../app/config.js';
import { resolveConfig } from '../app/config.js';
import { UsageError } from '../app/usage-error.js';
import { bad, readDurationMs, readInteger, readOneOf, readText, type ValueReader } from '../app/values.js';
import { engines } from '../engine/engines.js';
import { defaultLimits } from '../lib/limits.js';
import type { Encoding } from './frames.js';
import type { KubeletTimes } from './kubelet.js';

/** Flags of `listwatch hollow`: name, placeholder, help. */
export const hollowFlags: readonly (readonly [name: string, placeholder: string, help: string])[] = [
  ['nodes', '<n>', 'hollow nodes (default 20)'],
  ['duration', '<duration>', 'length of the test, once the nodes are there (default 1m0s)'],
  [
    'test',
    '<name>',
    'density: fill the nodes, then one pod after the other; load: groups of pods come, change and go (default density)',
  ],
  ['pods-per-node', '<n>', 'pods that the test fills a node with, up to 110 (default 30)'],
  ['pod-interval', '<duration>', 'density: one pod each, when the nodes are filled (default 200ms)'],
  ['controller-rate', '<n>', 'pods that controllers create and delete a second, at most (default 50)'],
  ['lease-interval', '<duration>', 'how often each node renews its Lease (default 10s)'],
  ['node-status-interval', '<duration>', 'how often each node reports its status (default 5m0s)'],
  ['relist-interval', '<duration>', 'how often each kubelet lists its containers (default 1s)'],
  ['container-start', '<duration>', 'what a container takes to start, on average (default 100ms)'],
  ['watches-per-node', '<n>', 'watches that each node keeps open (default 18)'],
  ['list-interval', '<duration>', 'how often a user lists something (default 500ms)'],
  ['encoding', '<name>', 'what is read: protobuf or json (default protobuf)'],
  ['etcd-servers', '<urls>', 'write into this etcd and serve it, instead of the embedded store'],
  ['etcd-prefix', '<path>', 'where the objects lie in etcd (default /registry)'],
  [
    'kubeconfig',
    '<file>',
    'read from and write through the kube-apiserver of this context, which has no scheduler or controllers of its own',
  ],
  ['storage-engine', '<list>', 'resource[.group]=engine,... for the server under test'],
  ['twin', '<engine>', `a second engine, which must answer the same: ${Object.keys(engines).join(', ')}`],
  ['objectives', '<list>', 'which must be met for exit code 0: 1.2, 1.6, slo, startup (default: all)'],
  ['seed', '<n>', 'of everything that is chosen at random (default 1)'],
  ['output', '<folder>', 'where report.html, report.json and report.txt go (default listwatch-hollow)'],
];

export type TestName = 'density' | 'load';
export const objectiveSets = ['1.2', '1.6', 'slo', 'startup'] as const;
export type ObjectiveSet = (typeof objectiveSets)[number];

export interface HollowOptions {
  readonly nodes: number;
  readonly durationMs: number;
  readonly test: TestName;
  readonly podsPerNode: number;
  readonly podIntervalMs: number;
  readonly controllerRate: number;
  readonly kubelet: KubeletTimes;
  readonly watchesPerNode: number;
  readonly listIntervalMs: number;
  readonly encoding: Encoding;
  /** Of somebody else's server, which is then the one under test. */
  readonly kubeconfig: string | undefined;
  /** Of the server under test. */
  readonly serve: FlagValues;
  readonly objectives: readonly ObjectiveSet[];
  readonly seed: number;
  readonly output: string;
}

export type HollowFlags = Readonly<Record<string, string | true | undefined>>;

/** What a node takes, as kubelets have it unless told otherwise. */
const PODS_PER_NODE_MAX = 110;
const PASSED_ON = ['etcd-servers', 'etcd-prefix', 'storage-engine', 'twin'] as const;

/** Throws UsageError. */
export function resolveHollow(flags: HollowFlags): HollowOptions {
  const read = <T>(name: string, reader: ValueReader<T>, otherwise: string): T => {
    const given = flags[name];
    return reader(name, typeof given === 'string' ? given : otherwise);
  };
  const { hollowNodesMax, hollowPodsMax, hollowWatchesMax } = defaultLimits;
  const nodes = read('nodes', readInteger(1, hollowNodesMax), '20');
  const podsPerNode = read('pods-per-node', readInteger(0, PODS_PER_NODE_MAX), '30');
  const watchesPerNode = read('watches-per-node', readInteger(1, 100), '18');
  if (nodes * podsPerNode > hollowPodsMax) {
    throw new UsageError(`--nodes ${nodes} with ${podsPerNode} pods each are more than ${hollowPodsMax} pods`);
  }
  if (nodes * watchesPerNode > hollowWatchesMax) {
    throw new UsageError(
      `--nodes ${nodes} with ${watchesPerNode} watches each are more than ${hollowWatchesMax} watches`,
    );
  }
  const serve = Object.fromEntries(
    PASSED_ON.flatMap((name) => (typeof flags[name] === 'string' ? [[name, flags[name]]] : [])),
  ) as FlagValues;
  resolveConfig({ ...serve, 'secure-port': '0', 'insecure-port': '8080' }, process.env); // said here and not by another process
  const kubeconfig = flags['kubeconfig'] === undefined ? undefined : read('kubeconfig', readText, '');
  const [other] = Object.keys(serve);
  if (kubeconfig !== undefined && other !== undefined) {
    throw new UsageError(`--kubeconfig and --${other} exclude each other: the server of the kubeconfig has its own`);
  }
  const output = flags['output'];
  return {
    nodes,
    podsPerNode,
    watchesPerNode,
    durationMs: read('duration', readSpan(1_000), '1m'),
    test: read('test', readOneOf('density', 'load'), 'density'),
    podIntervalMs: read('pod-interval', readSpan(5), '200ms'),
    controllerRate: read('controller-rate', readInteger(1, 10_000), '50'),
    kubelet: {
      leaseEveryMs: read('lease-interval', readSpan(100), '10s'),
      statusEveryMs: read('node-status-interval', readSpan(100), '5m'),
      relistEveryMs: read('relist-interval', readSpan(20), '1s'),
      startMs: read('container-start', readDurationMs, '100ms'),
    },
    listIntervalMs: read('list-interval', readSpan(5), '500ms'),
    encoding: read('encoding', readOneOf('protobuf', 'json'), 'protobuf'),
    kubeconfig,
    serve,
    objectives: read('objectives', readObjectives, objectiveSets.join(',')),
    seed: read('seed', readInteger(0, 2 ** 31 - 1), '1'),
    output: typeof output === 'string' && output !== '' ? output : 'listwatch-hollow',
  };
}

function readSpan(leastMs: number): ValueReader<number> {
  return (flag, text) => {
    const ms = readDurationMs(flag, text);
    if (ms < leastMs)
      throw bad(flag, text, `expected ${leastMs < 1000 ? `${leastMs}ms` : `${leastMs / 1000}s`} or more`);
    return ms;
  };
}

const readObjectives: ValueReader<readonly ObjectiveSet[]> = (flag, text) =>
  text.split(',').map((name) => readOneOf(...objectiveSets)(flag, name));
