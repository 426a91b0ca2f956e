import type { RepresentationName } from '../../../src/pressure/representations.js';
import { CACHE_TRIAL, cacheTrial, cellOf } from '../cache-trial.js';
import { inChild } from '../child.js';
import type { Experiment, Medians, Sample } from '../experiment.js';

/** A line of the plots: how objects are held, and the flags of V8 that say how it collects. */
interface Held {
  readonly line: string;
  readonly representation: RepresentationName;
  readonly execArgv?: readonly string[];
  /** How many objects; the small size has its own. */
  readonly full: readonly number[];
  readonly small: readonly number[];
}

const JSON_OBJECTS = 'decoded JSON';
const PROTOBUF_OBJECTS = 'decoded protobuf';
const SLABS = 'slabs';
const LARGE_YOUNG = 'decoded JSON, semi-space 64 MiB';
const SMALL_YOUNG = 'decoded JSON, semi-space 1 MiB';
const TIGHT = 'decoded JSON, tight heap limit';
/** Of the heap limit: 100,000 live objects and their history take most of it. */
const TIGHT_MIB = 128;

const HELD: readonly Held[] = [
  {
    line: JSON_OBJECTS,
    representation: 'decoded-json',
    full: [10_000, 100_000, 1_000_000],
    small: [2_000],
  },
  { line: PROTOBUF_OBJECTS, representation: 'decoded-protobuf', full: [10_000, 100_000], small: [2_000] },
  { line: SLABS, representation: 'slabs', full: [10_000, 100_000, 1_000_000], small: [2_000] },
  {
    line: LARGE_YOUNG,
    representation: 'decoded-json',
    execArgv: ['--min-semi-space-size=64', '--max-semi-space-size=64'],
    full: [100_000],
    small: [],
  },
  {
    line: SMALL_YOUNG,
    representation: 'decoded-json',
    execArgv: ['--min-semi-space-size=1', '--max-semi-space-size=1'],
    full: [100_000],
    small: [],
  },
  {
    line: TIGHT,
    representation: 'decoded-json',
    execArgv: [`--max-old-space-size=${TIGHT_MIB}`],
    full: [100_000],
    small: [],
  },
];

const perEvent = (medians: Medians, line: string, at: number) => medians.of('allocated', line, at);

export const experiment: Experiment = {
  title: 'The garbage collector as the limit of a watch cache',
  claim:
    'With the lock of a kind out of the way, the last limit of a kube-apiserver that follows a million nodes is the garbage collector: every change is decoded into many small objects, which are kept and then dropped. Settings of the heap (GOGC, GOMEMLIMIT) move the limit, and do not lift it.',
  source: [{ title: 'k8s-1m: a Kubernetes cluster with 1 million nodes', url: 'https://bchess.github.io/k8s-1m' }],
  method: [
    "V8's collector stands in for Go's, and lease objects for what a million nodes write. The server's own watch cache, with history and index by key (the b-tree that it ships), holds them in three forms: parsed from JSON into plain objects; decoded by protobufjs into messages; as their bytes in slabs, outside the heap. The process takes changes of random leases as fast as they go, out of a source in the process, so there is no network in it. Making the source's bytes is part of the cost, the same for all.",
    'Each line and size is a process of its own. The longest pause is that of loading and of the changes; the share of pauses, the rate and what the heap allocates are those of the changes alone. CPU is that of all threads of the process, those of the collector too. What the heap holds is measured after a full collection.',
    `Three more lines change V8's settings with 100,000 decoded JSON objects: halves of the young generation of 1 and of 64 MiB (V8's own: 16), as GOGC decides how often Go collects, and a limit of ${TIGHT_MIB} MiB for the old one, which is near to what the objects need, as GOMEMLIMIT would be.`,
    'Left out: a million decoded protobufjs messages (they take longer to load than a run may last), watchers, and readers. V8 collects by generations and moves objects; Go does neither, and marks on other cores while it goes on. So the shape may be compared and no figure.',
  ],
  xLabel: 'objects',
  figures: {
    rate: { label: 'changes applied', unit: 'events/s' },
    cpu: { label: 'CPU an event', unit: 'us' },
    pause: { label: 'longest pause', unit: 'ms' },
    share: { label: 'time in pauses', unit: '%' },
    allocated: { label: 'heap allocated an event', unit: 'B' },
    heap: { label: 'heap held', unit: 'MiB' },
  },
  plots: [
    { figure: 'rate', title: 'Changes applied, as fast as they go', xScale: 'log', yScale: 'log' },
    { figure: 'pause', title: 'Longest pause', xScale: 'log', yScale: 'linear' },
    { figure: 'share', title: 'Time in pauses', xScale: 'log', yScale: 'linear' },
  ],
  directions: [
    {
      says: 'decoded objects allocate more heap for an event than slabs do, at every size',
      holds: (medians) =>
        [JSON_OBJECTS, PROTOBUF_OBJECTS].every((line) =>
          medians.places('allocated', line).every((at) => perEvent(medians, line, at) > perEvent(medians, SLABS, at)),
        ),
    },
    {
      says: 'decoded objects hold more heap than slabs do, at every size',
      holds: (medians) =>
        [JSON_OBJECTS, PROTOBUF_OBJECTS].every((line) =>
          medians.places('heap', line).every((at) => medians.of('heap', line, at) > medians.of('heap', SLABS, at)),
        ),
    },
  ],
  async measure(size, run) {
    const samples: Sample[] = [];
    const held = run % 2 === 1 ? [...HELD].reverse() : HELD;
    for (const { line, representation, execArgv, ...sizes } of held) {
      for (const objects of sizes[size]) {
        const measured = await inChild(
          CACHE_TRIAL,
          cacheTrial,
          cellOf({ objects, representation, seconds: size === 'small' ? 0.1 : 0.7, seed: run + 1 }),
          { execArgv: execArgv ?? [] },
        );
        samples.push(
          { figure: 'rate', line, at: objects, value: measured.eventsPerSecond },
          { figure: 'cpu', line, at: objects, value: measured.cpuUs },
          { figure: 'pause', line, at: objects, value: measured.longestPauseMs },
          { figure: 'share', line, at: objects, value: measured.pauseShare },
          { figure: 'allocated', line, at: objects, value: measured.allocatedBytes },
          { figure: 'heap', line, at: objects, value: measured.heapMib },
        );
      }
    }
    return samples;
  },
  verdict(medians) {
    const most = medians.places('rate', JSON_OBJECTS).at(-1)!;
    const faster = medians.of('rate', SLABS, most) / medians.of('rate', JSON_OBJECTS, most);
    const share = medians.of('share', JSON_OBJECTS, most);
    const [longDecoded, longSlabs] = [medians.of('pause', JSON_OBJECTS, most), medians.of('pause', SLABS, most)];
    const [settingsAt] = medians.places('rate', LARGE_YOUNG);
    const rate = (line: string, at: number) => Math.round(medians.of('rate', line, at));
    const plain = medians.of('rate', JSON_OBJECTS, settingsAt!);
    const best = Math.max(...[LARGE_YOUNG, SMALL_YOUNG, TIGHT].map((line) => medians.of('rate', line, settingsAt!)));
    const slabs = medians.of('rate', SLABS, settingsAt!);
    const bounded = share >= 20 && faster >= 1.5;
    return {
      reproduces: bounded && best < slabs ? 'yes' : faster >= 1.5 || longDecoded >= 3 * longSlabs ? 'in part' : 'no',
      text: [
        `With ${most} objects decoded JSON took ${rate(JSON_OBJECTS, most)} changes a second and spent ${share.toFixed(0)}% of the time in pauses, the longest of ${longDecoded.toFixed(0)} ms; slabs took ${rate(SLABS, most)} (${faster.toFixed(1)} times), ${medians.of('share', SLABS, most).toFixed(1)}% in pauses, the longest of ${longSlabs.toFixed(0)} ms.`,
        `A change allocated ${Math.round(perEvent(medians, JSON_OBJECTS, most))} bytes of heap for decoded JSON and ${Math.round(perEvent(medians, SLABS, most))} for slabs; loaded, the heap held ${Math.round(medians.of('heap', JSON_OBJECTS, most))} and ${Math.round(medians.of('heap', SLABS, most))} MiB.`,
        `Settings, with ${settingsAt} decoded JSON objects: ${Math.round(plain)} changes a second as V8 decides, ${rate(LARGE_YOUNG, settingsAt!)} with halves of the young generation of 64 MiB, ${rate(SMALL_YOUNG, settingsAt!)} with those of 1 MiB, ${rate(TIGHT, settingsAt!)} with a tight limit (${medians.of('share', TIGHT, settingsAt!).toFixed(0)}% in pauses); slabs, without any: ${Math.round(slabs)}.`,
        'The difference to slabs is that of decoding and of collecting together; the time in pauses is the part that the collector takes from the thread that works, and it has threads of its own besides.',
      ],
    };
  },
};
