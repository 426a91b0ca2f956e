import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.js';
import { repositoryRoot } from '../../test/support/command.js';
import { goVersion, Lab } from './lab.js';
import { linePlot } from './line-plot.js';
import { figure, median } from './measures.js';
import type { Mode } from './modes.js';

/**
 * How the costs grow, beside the Go peer: with objects, watchers, change rate and object size, at four
 * sizes each. Prints Markdown tables, and writes JSON and a plot (SVG) for each.
 *
 *     npm run build && node dist/bench/peer/growth.js --runs 3 --output docs/performance
 *     node dist/bench/peer/growth.js --only watchers
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
  readonly steps: readonly Step[];
}

interface Row {
  readonly growth: string;
  readonly x: number;
  readonly mode: string;
  readonly subject: 'peer' | 'listwatch';
  readonly run: number;
  readonly value: number;
}

const SUBJECTS = ['peer', 'listwatch'] as const;
const WRITE_SECONDS = 2;

const list = (accept: string) => () => [
  ...['-mode', 'list', '-scope', 'all', '-accept', accept, '-rv', '0', '-gzip', 'off', '-c', '1'],
  ...['-min-time', '1s', '-min-lists', '5'],
];
const watch = (watchers: number, rate: number) => (load: string) => [
  ...['-mode', 'watch', '-accept', 'json', '-watchers', `${watchers}:${rate}`],
  ...['-duration', `${WRITE_SECONDS}s`, '-load', load],
];

const growths: readonly Growth[] = [
  {
    name: 'objects',
    title: 'LIST of all pods (3.3 kB each, as stored)',
    xLabel: 'pods',
    column: 'server CPU ms/list',
    steps: [2_500, 5_000, 10_000, 20_000].map((pods) => ({
      x: pods,
      pods,
      padBytes: 0,
      modes: { protobuf: list('protobuf'), 'JSON, warm': list('json') },
    })),
  },
  {
    name: 'watchers',
    title: 'One write, with all who watch it (JSON, 50 writes/s, 2,000 pods)',
    xLabel: 'watchers of all pods',
    column: 'server CPU us/write',
    steps: [1, 10, 100, 1_000].map((count) => ({
      x: count,
      pods: 2_000,
      padBytes: 0,
      modes: { 'JSON watchers': watch(count, 50) },
    })),
  },
  {
    name: 'rate',
    title: 'One write at several rates (ten JSON watchers, 2,000 pods)',
    xLabel: 'writes/s asked for',
    column: 'server CPU us/write',
    steps: [100, 300, 1_000, 3_000].map((rate) => ({
      x: rate,
      pods: 2_000,
      padBytes: 0,
      modes: { 'ten JSON watchers': watch(10, rate) },
    })),
  },
  {
    name: 'size-list',
    title: 'LIST of 1,000 pods of several sizes',
    xLabel: 'bytes added to each pod',
    column: 'server CPU ms/list',
    steps: [1_024, 4_096, 16_384, 65_536].map((padBytes) => ({
      x: padBytes,
      pods: 1_000,
      padBytes,
      modes: { protobuf: list('protobuf'), 'JSON, warm': list('json') },
    })),
  },
  {
    name: 'size-write',
    title: 'One write of several sizes (ten JSON watchers, 200 writes/s)',
    xLabel: 'bytes added to each pod',
    column: 'server CPU us/write',
    steps: [1_024, 4_096, 16_384, 65_536].map((padBytes) => ({
      x: padBytes,
      pods: 1_000,
      padBytes,
      modes: { 'ten JSON watchers': watch(10, 200) },
    })),
  },
];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '3' },
      only: { type: 'string', multiple: true, default: [] },
      output: { type: 'string', default: join(repositoryRoot, 'bench/results') },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: must be a whole number from 1`);
  const chosen = growths.filter(
    ({ name }) => values.only.length === 0 || values.only.some((word) => name.includes(word)),
  );
  if (chosen.length === 0)
    throw new Error(`--only ${values.only.join(' ')}: there are ${growths.map(({ name }) => name).join(', ')}`);
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interrupt.abort());
  const loadBefore = loadavg();
  let etcd = '';
  mkdirSync(values.output, { recursive: true });
  for (const growth of chosen) {
    const rows: Row[] = [];
    for (const step of growth.steps) {
      if (interrupt.signal.aborted) return;
      const progress = (line: string) => process.stderr.write(`${growth.name}, ${growth.xLabel} ${step.x}: ${line}\n`);
      const lab = await Lab.open({ pods: step.pods, padBytes: step.padBytes, signal: interrupt.signal, progress });
      etcd = lab.etcdVersion;
      try {
        await lab.startServers();
        rows.push(...(await measureStep(lab, growth, step, runs, interrupt.signal, progress)));
      } finally {
        await lab.close();
      }
    }
    if (interrupt.signal.aborted) return;
    const versions = { node: process.version, go: goVersion(), etcd };
    const date = new Date(systemClock.nowMs()).toISOString();
    const document = { date, processor: cpus()[0]?.model, cores: cpus().length, loadBefore, versions, runs, rows };
    writeFileSync(join(values.output, `${growth.name}.json`), `${JSON.stringify(document)}\n`);
    writeFileSync(join(values.output, `${growth.name}.svg`), plot(growth, rows));
    console.log(`${growth.title}: ${growth.column}, medians of ${runs}\n\n${table(growth, rows)}\n`);
  }
}

async function measureStep(
  lab: Lab,
  growth: Growth,
  step: Step,
  runs: number,
  signal: AbortSignal,
  progress: (line: string) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (let run = 0; run < runs; run++) {
    for (const [name, args] of Object.entries(step.modes)) {
      for (const subject of run % 2 === 0 ? SUBJECTS : SUBJECTS.toReversed()) {
        if (signal.aborted) return rows;
        progress(`run ${run + 1}/${runs}, ${name}, ${subject}`);
        const mode: Mode = { name, title: name, over: 'http', args: args(lab.load), measures: [] };
        const value = (await lab.measure(mode, subject))[growth.column];
        if (value === undefined) throw new Error(`the load bench has no column ${growth.column}`);
        rows.push({ growth: growth.name, x: step.x, mode: name, subject, run, value });
      }
    }
  }
  return rows;
}

function medianOf(rows: readonly Row[], x: number, mode: string, subject: Row['subject']): number {
  return median(
    rows.filter((row) => row.x === x && row.mode === mode && row.subject === subject).map((row) => row.value),
  );
}

/** /proc counts in ticks of 10 ms: what is less than one is drawn as a tenth of the smallest figure there can be. */
const DRAWN_MIN = 0.01;

function plot(growth: Growth, rows: readonly Row[]): string {
  const series = Object.keys(growth.steps[0]!.modes).flatMap((mode, index) =>
    SUBJECTS.map((server) => ({
      label: `${server === 'peer' ? 'Go peer' : 'listwatch'}, ${mode}`,
      server,
      dashed: index > 0,
      points: growth.steps.map(({ x }) => ({ x, y: Math.max(DRAWN_MIN, medianOf(rows, x, mode, server)) })),
    })),
  );
  return linePlot(growth.title, growth.xLabel, growth.column, series);
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
