import type { ObjectFilter } from '../../../src/cache/cache.js';
import { defaultLimits } from '../../../src/lib/limits.js';
import { ALL_PODS, labelFilter, opaque, PodCache, podCodec, podVariants, relabelled } from '../../indexed-pods.js';
import { CountingSink, watchersOf, watchFromNow } from '../../watched-pods.js';
import { cpuMicros } from '../cpu-time.js';
import type { Experiment, Sample } from '../experiment.js';

const INDEX = 'label index';
const BYTES = 'scan, labels read from bytes';
const DECODED = 'scan, labels decoded';
/** What a selector picks of all pods, in percent, and the label that says so. */
const SELECTED = [
  [0.1, 'per-mille', 'yes'],
  [1, 'percent', 'yes'],
  [10, 'tenth', 'yes'],
  [100, 'release', 'stable'],
] as const;
const SIZES = {
  small: { pods: 2_000, watchers: 50, changes: 4, forMs: 3 },
  full: { pods: 50_000, watchers: 1_000, changes: 20, forMs: 180 },
} as const;
type SizeOf = (typeof SIZES)[keyof typeof SIZES];

type Labels = Readonly<Record<string, string>>;

/** The labels of each variant, as a cache of decoded objects has them at hand. */
function decodedLabels(value: Buffer): Labels {
  const into = { bytes: Buffer.alloc(0), position: 0, start: 0, headerStart: 0, reserve };
  function reserve(size: number): void {
    const larger = Buffer.alloc(into.position + size);
    into.bytes.copy(larger);
    into.bytes = larger;
  }
  podCodec.toWire(value, 0, value.length, 1, into);
  return Object.fromEntries(podCodec.labels(into.bytes, into.start, into.position));
}

function lists({ pods: count, forMs }: SizeOf, run: number): Sample[] {
  const pods = new PodCache(count).index('l');
  const variants = podVariants().map(decodedLabels);
  // An object of its own for each pod, as a decoder makes it.
  const decoded = Array.from({ length: count }, (_, index) => ({ labels: { ...variants[index % variants.length]! } }));
  const cells = SELECTED.flatMap(([at, key, value]) => {
    const filter = labelFilter(`${key}=${value}`);
    const found = (by: ObjectFilter) => () => {
      using snapshot = pods.cache.snapshot(undefined, 'experiment')!;
      let objects = 0;
      snapshot.select({ ...ALL_PODS, filter: by, limit: 0 }).advance(
        () => ++objects > 0,
        () => false,
      );
      return objects;
    };
    const lines: [string, () => number][] = [
      [INDEX, found(filter)],
      [BYTES, found(opaque(filter))],
      [DECODED, () => decoded.reduce((objects, { labels }) => (labels[key] === value ? objects + 1 : objects), 0)],
    ];
    const counts = new Set(lines.map(([, list]) => list()));
    if (counts.size !== 1) throw new Error(`${filter.id}: the ways do not agree: ${[...counts].join(', ')}`);
    if (run % 2 === 1) lines.reverse();
    return lines.map(([line, list]) => ({ line, at, list }));
  });
  const all = (): Sample[] =>
    cells.map(({ line, at, list }) => ({ figure: 'list', line, at, value: cpuMicros(forMs, list) / 1_000 }));
  // Twice: in the first pass V8 still compiles.
  all();
  const samples = all();
  pods.close();
  return samples;
}

/** Microseconds of CPU for each change of a pod that one in `teams` watchers wants, each with a selector of its own. */
function dispatch(
  { watchers: count, changes, forMs }: SizeOf,
  teams: number,
  filterOf: (team: string) => ObjectFilter,
): number {
  const pods = new PodCache(100);
  const watchers = watchersOf(pods);
  const sinks = Array.from({ length: count }, () => new CountingSink());
  for (const [index, sink] of sinks.entries()) {
    // Another id makes it another selector, so that nobody shares a group.
    const filter = { ...filterOf(`team-${index % teams}`), id: `watcher-${index}` };
    watchers.watch({ ...watchFromNow(pods), filter }, sink);
  }
  const value = relabelled(podVariants()[0]!, { team: 'team-0' });
  let rounds = 0;
  const round = () => {
    rounds++;
    for (let change = 0; change < changes; change++) {
      watchers.changed(pods.update(change, value));
      pods.clock.advance(defaultLimits.watchFlushMs);
    }
  };
  // The first round puts the pods into the team.
  round();
  const micros = cpuMicros(forMs, round) / changes;
  const events = sinks.reduce((sum, sink) => sum + sink.events, 0);
  const expected = rounds * changes * Math.ceil(count / teams);
  if (events !== expected) throw new Error(`${events} events were delivered, not ${expected}`);
  watchers.stop();
  pods.close();
  return micros;
}

function changes(size: SizeOf, run: number): Sample[] {
  const labels = decodedLabels(relabelled(podVariants()[0]!, { team: 'team-0' }));
  const byLabel = (team: string): ObjectFilter => labelFilter(`team=${team}`);
  const lines: [string, typeof byLabel][] = [
    [INDEX, byLabel],
    [BYTES, (team) => opaque(byLabel(team))],
    // Every pod that changes has these labels, so that the filter need not be told which one it is.
    [DECODED, (team) => ({ id: team, matches: () => labels['team'] === team })],
  ];
  if (run % 2 === 1) lines.reverse();
  // One way after the other, as a server has only one; and twice, for in the first pass V8 still compiles.
  return lines.flatMap(([line, filterOf]) => {
    const all = () =>
      SELECTED.map(([at]) => ({ figure: 'change', line, at, value: dispatch(size, 100 / at, filterOf) }));
    all();
    return all();
  });
}

const { pods, watchers } = SIZES.full;

export const experiment: Experiment = {
  title: 'Label selectors: an index against a scan',
  claim:
    "To find the pods of one controller, Kubernetes 1.2 walked all pods of a namespace and compared labels; an efficient index of labels was planned, because what is looked for is a small part of what is walked. A watch with a selector has the same problem the other way round: each change is compared with each watcher's selector.",
  source: [
    {
      title: '1000 nodes and beyond: updates to Kubernetes performance and scalability in 1.2',
      url: 'https://kubernetes.io/blog/2016/03/1000-nodes-and-beyond-updates-to-kubernetes-performance-and-scalability-in-12/',
    },
    {
      title: 'KEP-4933 discussion: label index for the watch cache',
      url: 'https://github.com/kubernetes/kubernetes/issues/126283',
    },
  ],
  method: [
    `LIST: a cache of ${pods} pods is asked for those with a label that all, a tenth, a hundredth or a thousandth of them have. Measured is the finding of their ids in key order from a snapshot; encoding and sending are the same for all and left out. The same cache answers by its label index and, with a selector that no index understands, by reading each object's bytes. A cache of decoded objects need not read bytes: the third line walks an array of decoded labels, and nothing else, which is the least that a scan can cost.`,
    `WATCH: ${watchers} watchers have a selector each and are taken for different ones even where the selectors are equal, so that nobody shares work. A pod changes that all, a tenth, a hundredth or a thousandth of them select. Measured is the change from the cache's commit to the writes, framed for each watcher that gets it. Again by terms, by reading the object's bytes for each watcher (before and after), and with a filter that compares decoded labels.`,
    'Time is CPU time of the process. The three ways must find the same number of objects and deliver the same number of events, or the run fails. What an index costs when pods change is measured by the bench cases indexer/ingest, not here.',
  ],
  xLabel: 'objects that the selector picks, %',
  figures: {
    list: { label: 'CPU to find the objects of a LIST', unit: 'ms' },
    change: { label: 'CPU for a change', unit: 'us' },
  },
  plots: [
    { figure: 'list', title: `LIST of ${pods} pods by a label`, xScale: 'log', yScale: 'log' },
    { figure: 'change', title: `A change with ${watchers} selective watchers`, xScale: 'log', yScale: 'log' },
  ],
  directions: [],
  measure: async (size, run) => [...lists(SIZES[size], run), ...changes(SIZES[size], run)],
  verdict(medians) {
    const times = (figure: string, line: string, at: number) =>
      medians.of(figure, line, at) / medians.of(figure, INDEX, at);
    const [listGain, changeGain] = [times('list', DECODED, 0.1), times('change', DECODED, 0.1)];
    const say = (figure: string, at: number) =>
      `${times(figure, DECODED, at).toFixed(1)} times (decoded labels) and ${times(figure, BYTES, at).toFixed(1)} times (bytes)`;
    return {
      reproduces: listGain >= 10 && changeGain >= 10 ? 'yes' : listGain >= 2 || changeGain >= 2 ? 'in part' : 'no',
      text: [
        `To find a thousandth of ${pods} pods took ${medians.of('list', INDEX, 0.1).toFixed(3)} ms by the index; the scans took ${say('list', 0.1)} as much. For a tenth of them it was ${say('list', 10)}, for all of them ${say('list', 100)}.`,
        `A change that one in a thousand of ${watchers} watchers selects took ${medians.of('change', INDEX, 0.1).toFixed(1)} us; without an index of the selectors ${say('change', 0.1)} as much. When all of them select it, ${say('change', 100)}.`,
      ],
    };
  },
};
