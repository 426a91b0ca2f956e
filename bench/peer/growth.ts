import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.js';
import { linePlotFile } from '../../src/report/line-plot.js';
import { repositoryRoot } from '../../test/support/command.js';
import { goVersion, Lab } from './lab.js';
import { figure, median } from './measures.js';
import type { Mode } from './modes.js';

/**
 * How the costs grow, beside the Go peer: with objects, watchers, change rate and object size, at four
 * sizes each. Prints Markdown tables, and writes JSON and a plot (SVG) for each as soon as it is whole, and at the end of
 * a run of all of them the tables with their plots (growth.md).
 *
 *     npm run build && node dist/bench/peer/growth.js --runs 3 --output docs/performance      about ten minutes
 *     node dist/bench/peer/growth.js --only watchers
 *     node dist/bench/peer/growth.js --small          tiny, at two sizes: it works, and says nothing about costs (CI runs this)
 */
interface Step {
  readonly x: number;
  readonly pods: number;
  readonly padBytes: number;
  /** Arguments of the load bench, by what they measure. */
  readonly modes: Readonly<Record<string, (load: string) => readonly string[]>>;
}

interface Growth {
  readonly name: string;
  readonly title: string;
  readonly xLabel: string;
  readonly column: string;
  /** Measured in the first run alone, before anything else is asked of the servers. */
  readonly once?: true;
  readonly steps: readonly Step[];
}

interface Row {
  readonly growth: string;
  readonly x: number;
  readonly mode: string;
  readonly subject: 'peer' | 'listwatch';
  readonly run: number;
  readonly value: number;
  /** Events that watchers should have had and had not: their watches were ended, or the machine was too busy. */
  readonly missed?: number;
}

const SUBJECTS = ['peer', 'listwatch'] as const;
const watch = (watchers: number, rate: number, duration: string) => (load: string) => [
  ...['-mode', 'watch', '-accept', 'json', '-watchers', `${watchers}:${rate}`],
  ...['-duration', duration, '-load', load],
];

/** Each at four sizes, or, to see that all of it works, at two tiny ones. */
function growthsOf(small: boolean): Growth[] {
  const podCounts = small ? [100, 200] : [5_000, 10_000, 20_000, 50_000];
  const watcherCounts = small ? [2, 4] : [10, 100, 500, 1_000];
  const rates = small ? [50, 100] : [100, 300, 1_000, 2_000];
  const pads = small ? [1_024, 4_096] : [1_024, 4_096, 16_384, 65_536];
  const paddedPods = small ? 100 : 1_000;
  const duration = small ? '500ms' : '2s';
  // Watchers and rates grow on the smallest of the clusters above: they need none of their own.
  const watched = { pods: podCounts[0]!, padBytes: 0 };
  const list = (accept: string) => () => [
    ...['-mode', 'list', '-scope', 'all', '-accept', accept, '-rv', '0', '-gzip', 'off', '-c', '1'],
    ...['-min-time', small ? '100ms' : '700ms', '-min-lists', '2'],
  ];
  const lists = { protobuf: list('protobuf'), 'JSON, warm': list('json') };
  const watchers = watcherCounts.map((count) => ({
    ...watched,
    x: count,
    modes: { 'JSON watchers': watch(count, 50, duration) },
  }));
  return [
    {
      name: 'rss',
      title: 'Resident memory at rest (3.3 kB a pod, as stored)',
      xLabel: 'pods',
      column: 'RSS MiB',
      once: true,
      steps: podCounts.map((pods) => ({ x: pods, pods, padBytes: 0, modes: { 'at rest': () => ['-mode', 'mem'] } })),
    },
    {
      name: 'objects',
      title: 'LIST of all pods (3.3 kB each, as stored)',
      xLabel: 'pods',
      column: 'server CPU ms/list',
      steps: podCounts.map((pods) => ({ x: pods, pods, padBytes: 0, modes: lists })),
    },
    {
      name: 'watchers',
      title: 'One write, with all who watch it (JSON, 50 writes/s)',
      xLabel: 'watchers of all pods',
      column: 'server CPU us/write',
      steps: watchers,
    },
    {
      name: 'watchers-event',
      title: 'One event at one watcher, by how many watch (JSON, 50 writes/s)',
      xLabel: 'watchers of all pods',
      column: 'server CPU us/event',
      steps: watchers,
    },
    {
      name: 'rate',
      title: 'One write at several rates (ten JSON watchers)',
      xLabel: 'writes/s asked for',
      column: 'server CPU us/write',
      steps: rates.map((rate) => ({ ...watched, x: rate, modes: { 'ten JSON watchers': watch(10, rate, duration) } })),
    },
    {
      name: 'size-list',
      title: `LIST of ${paddedPods} pods of several sizes`,
      xLabel: 'bytes added to each pod',
      column: 'server CPU ms/list',
      steps: pads.map((padBytes) => ({ x: padBytes, pods: paddedPods, padBytes, modes: lists })),
    },
    {
      name: 'size-write',
      title: 'One write of several sizes (ten JSON watchers, 200 writes/s)',
      xLabel: 'bytes added to each pod',
      column: 'server CPU us/write',
      steps: pads.map((padBytes) => ({
        x: padBytes,
        pods: paddedPods,
        padBytes,
        modes: { 'ten JSON watchers': watch(10, 200, duration) },
      })),
    },
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string' },
      small: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      output: { type: 'string', default: join(repositoryRoot, 'bench/results') },
    },
  });
  const runs = Number(values.runs ?? (values.small ? 1 : 3));
  const growths = growthsOf(values.small);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: must be a whole number from 1`);
  const chosen = growths.filter(
    ({ name }) => values.only.length === 0 || values.only.some((word) => name.includes(word)),
  );
  if (chosen.length === 0)
    throw new Error(`--only ${values.only.join(' ')}: there are ${growths.map(({ name }) => name).join(', ')}`);
  const interrupt = new AbortController();
  const { signal } = interrupt;
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt.abort());
  const loadBefore = loadavg();
  let etcd = '';
  mkdirSync(values.output, { recursive: true });
  const rows: Row[] = [];
  const left = new Set(chosen);
  const sections = new Map<Growth, string>();
  for (const { pods, padBytes } of clustersOf(chosen)) {
    const progress = (line: string) => process.stderr.write(`${pods} pods, ${padBytes} bytes more each: ${line}\n`);
    const lab = await Lab.open({ pods, padBytes, signal, progress });
    etcd = lab.etcdVersion;
    try {
      await lab.startServers();
      rows.push(...(await measureCluster(lab, { pods, padBytes }, chosen, runs, signal, progress)));
    } finally {
      await lab.close();
    }
    if (signal.aborted) break;
    for (const growth of left) {
      const mine = rows.filter((row) => row.growth === growth.name);
      if (new Set(mine.map(({ x }) => x)).size < growth.steps.length) continue;
      left.delete(growth);
      const versions = { node: process.version, go: goVersion(), etcd };
      const date = new Date(systemClock.nowMs()).toISOString();
      const setting = { date, processor: cpus()[0]?.model, cores: cpus().length, loadBefore, versions };
      const taken = growth.once ? 1 : runs;
      const document = { ...setting, column: growth.column, runs: taken, rows: mine };
      writeFileSync(join(values.output, `${growth.name}.json`), `${JSON.stringify(document)}\n`);
      writeFileSync(join(values.output, `${growth.name}.svg`), plot(growth, mine));
      const heading = `${growth.title}: ${growth.column}, ${taken === 1 ? 'one run' : `medians of ${taken}`}`;
      console.log(`${heading}\n\n${table(growth, mine)}\n`);
      sections.set(growth, `## ${heading}\n\n${table(growth, mine)}\n\n![${growth.title}](${growth.name}.svg)\n`);
    }
  }
  if (sections.size === growths.length) {
    const load = loadBefore.map((average) => average.toFixed(1)).join(', ');
    const [date] = new Date(systemClock.nowMs()).toISOString().split('T');
    const machine = `${cpus().length} cores (${cpus()[0]?.model.trim()}), load averages ${load} before`;
    const versions = `Node ${process.version}, ${goVersion()}, etcd ${etcd}`;
    const head = `# How costs grow, beside the Go peer\n\n${date}, ${machine}; ${versions}. The runs themselves are in the JSON files beside.\n`;
    const inOrder = growths.map((growth) => sections.get(growth)!);
    writeFileSync(join(values.output, 'growth.md'), [head, ...inOrder].join('\n'));
  }
  if (signal.aborted) process.exitCode = 130;
}

interface Cluster {
  readonly pods: number;
  readonly padBytes: number;
}

const isOf = (step: Step, { pods, padBytes }: Cluster) => step.pods === pods && step.padBytes === padBytes;

/** Each cluster that a step needs, once: it is loaded, and servers are started, for all that is measured on it. */
function clustersOf(chosen: readonly Growth[]): Cluster[] {
  const found: Cluster[] = [];
  for (const step of chosen.flatMap(({ steps }) => steps)) {
    if (!found.some((cluster) => isOf(step, cluster))) found.push({ pods: step.pods, padBytes: step.padBytes });
  }
  return found;
}

/**
 * What several growths show of one measurement is measured once a run. Before the first run both servers take in changes
 * and deliver them, so that no size is measured with code that has not been compiled yet.
 */
async function measureCluster(
  lab: Lab,
  cluster: Cluster,
  chosen: readonly Growth[],
  runs: number,
  signal: AbortSignal,
  progress: (line: string) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  const measureAll = async (growths: readonly Growth[], run: number) => {
    const measured = new Map<string, Readonly<Record<string, number>>>();
    for (const growth of growths) {
      for (const step of growth.steps.filter((one) => isOf(one, cluster))) {
        for (const [name, argsOf] of Object.entries(step.modes)) {
          const args = argsOf(lab.load);
          for (const subject of run % 2 === 0 ? SUBJECTS : SUBJECTS.toReversed()) {
            if (signal.aborted) return;
            const key = [subject, ...args].join(' ');
            let values = measured.get(key);
            if (values === undefined) {
              progress(`run ${run + 1}/${runs}, ${growth.name} ${step.x}, ${name}, ${subject}`);
              measured.set(key, (values = await lab.measure(modeOf(name, args), subject)));
            }
            const value = values[growth.column];
            if (value === undefined) throw new Error(`the load bench has no column ${growth.column}`);
            const missed = values['missed'] ?? 0;
            if (missed > 0) progress(`${missed} events were missed`);
            const row: Row = { growth: growth.name, x: step.x, mode: name, subject, run, value };
            rows.push(missed > 0 ? { ...row, missed } : row);
          }
        }
      }
    }
  };
  const isOnce = ({ once }: Growth) => once === true;
  await measureAll(chosen.filter(isOnce), 0);
  const repeated = chosen.filter((growth) => !isOnce(growth));
  for (const subject of repeated.length === 0 ? [] : SUBJECTS) {
    if (signal.aborted) return rows;
    progress(`warming up, ${subject}`);
    await lab.measure(modeOf('warm-up', watch(10, 500, '2s')(lab.load)), subject);
  }
  for (let run = 0; run < runs; run++) await measureAll(repeated, run);
  return rows;
}

function modeOf(name: string, args: readonly string[]): Mode {
  return { name, title: name, over: 'http', args, measures: [] };
}

function medianOf(rows: readonly Row[], x: number, mode: string, subject: Row['subject']): number {
  return median(
    rows.filter((row) => row.x === x && row.mode === mode && row.subject === subject).map((row) => row.value),
  );
}

/** /proc counts in ticks of 10 ms: what is less than one is drawn as a tenth of the smallest figure there can be. */
const DRAWN_MIN = 0.01;
/** Of the plots' colours. */
const [BLUE, GREY] = [0, 4];

function plot(growth: Growth, rows: readonly Row[]): string {
  const series = Object.keys(growth.steps[0]!.modes).flatMap((mode, index) =>
    SUBJECTS.map((server) => ({
      label: `${server === 'peer' ? 'Go peer' : 'listwatch'}, ${mode}`,
      color: server === 'peer' ? GREY : BLUE,
      dashed: index > 0,
      points: growth.steps.map(({ x }) => ({ x, y: Math.max(DRAWN_MIN, medianOf(rows, x, mode, server)) })),
    })),
  );
  return linePlotFile({
    title: growth.title,
    xLabel: growth.xLabel,
    yLabel: growth.column,
    xScale: 'log',
    yScale: 'log',
    series,
  });
}

function table(growth: Growth, rows: readonly Row[]): string {
  const modes = Object.keys(growth.steps[0]!.modes);
  const head = [growth.xLabel, ...modes.flatMap((mode) => [`peer, ${mode}`, `listwatch, ${mode}`, 'peer / listwatch'])];
  const lines = growth.steps.map(({ x }) => [
    String(x),
    ...modes.flatMap((mode) => {
      const [peer, ours] = [medianOf(rows, x, mode, 'peer'), medianOf(rows, x, mode, 'listwatch')];
      return [figure(peer), figure(ours), ours === 0 ? '' : figure(peer / ours)];
    }),
  ]);
  return [head, head.map(() => '---:'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

await main();
