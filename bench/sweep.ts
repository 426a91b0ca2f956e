import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/lib/clock.js';
import { defaultLimits, type Limits } from '../src/lib/limits.js';
import { figure, median } from './peer/measures.js';

/**
 * What the tuning constants of src/lib/limits.ts are worth: each at several values, by the benches that feel it. Prints a Markdown
 * table for each, with medians; the default is marked.
 *
 *     node dist/bench/sweep.js --runs 3                      all of them (a quarter of an hour)
 *     node dist/bench/sweep.js --only listChunkBytes --output docs/performance     leaves tuning-listChunkBytes.json and .md there
 *     node dist/bench/sweep.js --smoke                       each once, small (CI runs this)
 *
 * Runs alternate: every value once, then all again in the opposite order.
 */
const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
    smoke: { type: 'boolean', default: false },
    output: { type: 'string' },
  },
});
const { smoke } = values;

type Figures = Readonly<Record<string, number>>;

interface Sweep {
  readonly limit: keyof Limits;
  readonly values: readonly number[];
  readonly setting: string;
  /** One run with the bound at a value. */
  measure(flag: readonly string[]): Figures;
}

const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'listwatch-sweep-'));

/** Standard output of another bench. */
function bench(file: string, args: readonly string[]): string {
  return execFileSync(process.execPath, [join(here, file), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function lists(flag: readonly string[], writes: number, names: readonly string[]): Figures {
  const size = smoke ? ['--pods', '500', '--rounds', '1'] : ['--pods', '5000', '--rounds', '7'];
  const output = bench('list.js', [...size, '--writes', `${writes}`, '--only', names.join(';'), '--json', ...flag]);
  const { figures } = JSON.parse(output) as { figures: { name: string; cpuMs: number; wallMs: number }[] };
  return Object.fromEntries(
    figures.flatMap(({ name, cpuMs, wallMs }) => [
      [`${name}: CPU ms`, cpuMs],
      [`${name}: ms`, wallMs],
    ]),
  );
}

function fanOut(flag: readonly string[], watchers: number, rate: number): Figures {
  const file = join(folder, 'fanout.json');
  const size = ['--pods', '1000', '--watchers', String(smoke ? 5 : watchers), '--seconds', smoke ? '1' : '2'];
  const kind = ['--transports', 'h1', '--formats', 'json', '--rates', String(smoke ? 20 : rate)];
  bench('watching/main.js', ['--mode', 'fanout', ...size, ...kind, '--output', file, ...flag]);
  const { tables } = JSON.parse(readFileSync(file, 'utf8')) as { tables: { rows: Record<string, number>[] }[] };
  const row = tables[0]!.rows[0]!;
  return { [`CPU us/event, ${rate} writes/s`]: row['CPU us/event']! };
}

/** Ages of events in milliseconds, by what is listed meanwhile. */
function ages(
  flag: readonly string[],
  pods: number,
  names: readonly string[],
  wanted: Readonly<Record<string, string>>,
): Figures {
  const size = smoke ? ['--pods', '500', '--seconds', '1', '--rate', '100'] : ['--pods', `${pods}`, '--seconds', '3'];
  const lines = bench('fairness.js', [...size, '--json', ...names.flatMap((name) => ['--only', name]), ...flag]);
  const found: Record<string, number> = {};
  for (const line of lines.trim().split('\n')) {
    const row = JSON.parse(line) as Record<string, number>;
    for (const [key, label] of Object.entries(wanted)) found[`${row['name']}: ${label}`] = row[key]!;
  }
  return found;
}

const KIB = 2 ** 10;
const sweeps: readonly Sweep[] = [
  {
    limit: 'listChunkBytes',
    values: [64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB],
    setting: 'LIST of 5,000 pods at rest',
    measure: (flag) => lists(flag, 0, ['protobuf', 'json']),
  },
  {
    limit: 'deflateAhead',
    values: [1, 2, 4, 8],
    setting: 'LIST of 5,000 pods as JSON and gzip, while 1,000 of them change a second',
    measure: (flag) => lists(flag, smoke ? 100 : 1_000, ['json, gzip']),
  },
  {
    limit: 'listSliceMs',
    values: [2, 4, 8, 20],
    setting: 'whole LISTs of 10,000 pods in a loop, 1,000 changes a second; ages of events at a watcher in ms',
    measure: (flag) => ages(flag, 10_000, ['protobuf', 'JSON'], { lists: 'LISTs', p50: 'age p50', p99: 'age p99' }),
  },
  {
    limit: 'watchFlushMs',
    values: [0, 2, 5, 10],
    setting: '200 watchers of all pods, 500 writes/s; ages of events at one watcher in ms, 1,000 changes a second',
    measure: (flag) => ({
      ...fanOut(flag, 200, 500),
      ...ages(flag, 1_000, ['no LIST'], { p50: 'age p50', p99: 'age p99' }),
    }),
  },
  {
    limit: 'watchFlushBytes',
    values: [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB],
    // Not more: what the watchers do not get in time is encoded all the same, and counted with the events that they get.
    setting: '100 watchers of all pods, 1,000 writes/s',
    measure: (flag) => fanOut(flag, 100, 1_000),
  },
];

function tableOf(sweep: Sweep, taken: ReadonlyMap<number, readonly Figures[]>): string {
  const columns = Object.keys(taken.get(sweep.values[0]!)![0]!);
  const isDefault = (value: number) => (value === defaultLimits[sweep.limit] ? ' (default)' : '');
  const rows = sweep.values.map((value) => [
    `${value}${isDefault(value)}`,
    ...columns.map((column) => figure(median(taken.get(value)!.map((figures) => figures[column]!)))),
  ]);
  const head = [sweep.limit, ...columns];
  return [head, head.map(() => '---:'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function main(): void {
  const runs = Number(values.runs ?? (smoke ? 1 : 3));
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: must be a whole number from 1`);
  const chosen = sweeps.filter(({ limit }) => values.only.length === 0 || values.only.includes(limit));
  if (chosen.length === 0) {
    throw new Error(`--only ${values.only.join(' ')}: there are ${sweeps.map(({ limit }) => limit).join(', ')}`);
  }
  const setting = { processor: cpus()[0]?.model, cores: cpus().length, node: process.version, loadBefore: loadavg() };
  for (const sweep of chosen) {
    const swept = smoke ? sweep.values.slice(0, 1) : sweep.values;
    const taken = new Map<number, Figures[]>(swept.map((value) => [value, []]));
    for (let run = 0; run < runs; run++) {
      for (const value of run % 2 === 0 ? swept : swept.toReversed()) {
        process.stderr.write(`run ${run + 1}/${runs}, ${sweep.limit}=${value}\n`);
        taken.get(value)!.push(sweep.measure(['--limit', `${sweep.limit}=${value}`]));
      }
    }
    const title = `${sweep.setting}; medians of ${runs}`;
    const table = tableOf({ ...sweep, values: swept }, taken);
    console.log(`${title}\n\n${table}\n`);
    if (values.output !== undefined) write(values.output, sweep, title, table, { ...setting, runs, taken });
  }
}

interface Taken {
  readonly processor: string | undefined;
  readonly cores: number;
  readonly node: string;
  readonly loadBefore: readonly number[];
  readonly runs: number;
  readonly taken: ReadonlyMap<number, readonly Figures[]>;
}

function write(output: string, { limit }: Sweep, title: string, table: string, { taken, ...setting }: Taken): void {
  const date = new Date(systemClock.nowMs()).toISOString();
  const load = setting.loadBefore.map((average) => average.toFixed(1)).join(', ');
  const machine = `${cpus().length} cores (${cpus()[0]?.model.trim()}), load averages ${load} before; Node ${process.version}`;
  mkdirSync(output, { recursive: true });
  const file = join(output, `tuning-${limit}`);
  writeFileSync(
    `${file}.json`,
    `${JSON.stringify({ date, ...setting, limit, title, values: Object.fromEntries(taken) })}\n`,
  );
  writeFileSync(`${file}.md`, `# ${limit}\n\n${title}. ${date.split('T')[0]}, ${machine}.\n\n${table}\n`);
}

try {
  main();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
