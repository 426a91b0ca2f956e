import { performance } from 'node:perf_hooks';
import { seededRandom } from '../../../src/lib/random.js';
import type { Experiment, Sample } from '../experiment.js';
import { type FreePages, ScannedPages, SegregatedPages } from '../free-pages.js';

const LISTS = {
  'linear scan': ScannedPages,
  'segregated hash map': SegregatedPages,
} as const;
const SPANS = { small: [1_000, 4_000], full: [1_000, 10_000, 100_000, 300_000] } as const;
/** Spans are of one to this many pages, and one page that is in use lies between two. */
const SPAN_MAX = 4;
/** What is asked for: mostly short, now and then longer than any span of the fragmented list. */
const LONG = 8;

/** What a fragmented file has free. */
function fragmented(spans: number, seed: number): [number, number][] {
  const random = seededRandom(seed);
  const found: [number, number][] = [];
  let page = 2;
  for (let span = 0; span < spans; span++) {
    const count = 1 + random.int(SPAN_MAX);
    found.push([page, count]);
    page += count + 1;
  }
  // Room for what is longer than every hole, at the end of the file; much more would be most of a list of few fragments.
  found.push([page, LONG * 4]);
  return found;
}

/** Microseconds of one allocation with the freeing of what it gave, for as many as fit in the time. */
function measured(pages: FreePages, seed: number, forMs: number): number {
  const random = seededRandom(seed);
  const start = performance.now();
  let operations = 0;
  for (;;) {
    for (let turn = 0; turn < 16; turn++) {
      const count = random.chance(0.1) ? LONG : 1 + random.int(SPAN_MAX);
      const first = pages.allocate(count);
      if (first === undefined) throw new Error(`no ${count} free pages side by side`);
      pages.free(first, count);
      operations++;
    }
    const tookMs = performance.now() - start;
    if (tookMs >= forMs) return (tookMs * 1000) / operations;
  }
}

export const experiment: Experiment = {
  title: 'Free pages: a linear scan against a segregated hash map',
  claim:
    "etcd's file keeps the numbers of its free pages. Searching them from the begin for a span of the right length costs more the more fragments there are; with the spans in a hash map by their length it costs the same at every size.",
  source: [
    {
      title: 'Performance optimization of etcd in web scale data scenario (CNCF, 2019)',
      url: 'https://www.cncf.io/blog/2019/05/09/performance-optimization-of-etcd-in-web-scale-data-scenario/',
    },
  ],
  method: [
    'Both lists are written anew here, after the description: sorted page numbers that are scanned from the first, and spans in lists by their length which are also found by their first and last page, so that neighbours join. Both start with the same holes of one to four pages, one page in use between two, and free room behind the last.',
    'One operation is an allocation and the freeing of what it gave: nine in ten of one to four pages, one in ten of eight, which fit into no hole. Time is the time of the process in one thread; nothing is written to a disk.',
  ],
  xLabel: 'fragments',
  figures: { operation: { label: 'allocate and free', unit: 'us' } },
  plots: [{ figure: 'operation', title: 'One allocation', xScale: 'log', yScale: 'log' }],
  directions: [
    {
      says: 'the scan costs more with more fragments than the hash map does',
      holds: (medians) => {
        const last = medians.places('operation', 'linear scan').at(-1)!;
        return medians.of('operation', 'linear scan', last) > medians.of('operation', 'segregated hash map', last);
      },
    },
  ],
  async measure(size, run) {
    const samples: Sample[] = [];
    const names = Object.keys(LISTS) as (keyof typeof LISTS)[];
    if (run % 2 === 1) names.reverse();
    for (const spans of SPANS[size]) {
      for (const line of names) {
        const pages = new LISTS[line](fragmented(spans, run + 1));
        measured(pages, run, size === 'small' ? 20 : 200);
        const value = measured(pages, run, size === 'small' ? 50 : 1000);
        samples.push({ figure: 'operation', line, at: spans, value });
      }
    }
    return samples;
  },
  verdict(medians) {
    const places = medians.places('operation', 'linear scan');
    const grown = (line: string) =>
      medians.of('operation', line, places.at(-1)!) / medians.of('operation', line, places[0]!);
    const [scan, map] = [grown('linear scan'), grown('segregated hash map')];
    return {
      reproduces: scan > 10 && map < 5 ? 'yes' : scan > 2 * map ? 'in part' : 'no',
      text: [
        `From ${places[0]} to ${places.at(-1)} fragments the scan became ${scan.toFixed(0)} times as dear, the hash map ${map.toFixed(1)} times.`,
        `With ${places.at(-1)} fragments one allocation took ${medians.of('operation', 'linear scan', places.at(-1)!).toFixed(0)} us by scan and ${medians.of('operation', 'segregated hash map', places.at(-1)!).toFixed(2)} us by hash map.`,
      ],
    };
  },
};
