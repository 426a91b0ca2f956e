import { figure, page, type PageCell, type PageSection } from '../report/page.js';
import { linePlot, type PlotSeries } from '../report/line-plot.js';
import { type Setting, settingLines } from '../report/setting.js';
import { type Cell, cellName, type TrialResult } from './cell.js';
import type { PauseSum } from './meter.js';
import type { CellOutcome } from './run-grid.js';

/** All that the harness found out; also the JSON document. */
export interface PressureReport {
  readonly setting: Setting;
  /** Ended by a signal: some cells are missing, one may be incomplete. */
  readonly interrupted: boolean;
  /** Cells that were to be run. */
  readonly planned: number;
  readonly outcomes: readonly CellOutcome[];
}

const MIB = 2 ** 20;

/** The trial to look at: at the limit where there is one, else the one that wrote the most. */
function telling({ result }: CellOutcome): TrialResult | undefined {
  const { limit, trials } = result;
  const at = limit === undefined ? undefined : trials.findLast(({ rate, passed }) => rate === limit.low && passed);
  return at ?? [...trials].sort((a, b) => b.eventsPerSecond - a.eventsPerSecond)[0];
}

function longestPause(trial: TrialResult | undefined): number | undefined {
  return trial === undefined ? undefined : Math.max(...pauseSums(trial).map(({ maxMs }) => maxMs));
}

function pauseSums({ pauses }: TrialResult): PauseSum[] {
  return Object.values(pauses);
}

function perObject({ cell, result }: CellOutcome, of: 'heapUsed' | 'rss'): number | undefined {
  return result.held === undefined ? undefined : result.held[of] / cell.objects;
}

function limitText({ result: { limit } }: CellOutcome): string {
  if (limit === undefined) return '';
  if (limit.low === 0) return 'no rate passed';
  return `${figure(limit.low)}${limit.high === undefined ? ' or more' : ` to ${figure(limit.high)}`}`;
}

const HEAD = [
  'cell',
  'limit, events/s',
  'unpaced, events/s',
  'age p50 ms',
  'p99',
  'max',
  'longest pause ms',
  'pauses ms/s',
  'heap B/event',
  'objects/event',
  'heap B/object',
  'resident B/object',
  'load s',
  '',
];

function row(outcome: CellOutcome): (string | number)[] {
  const { cell, result, status, message = '' } = outcome;
  const trial = telling(outcome);
  const pauseMs = trial === undefined ? undefined : pauseSums(trial).reduce((sum, { totalMs }) => sum + totalMs, 0);
  return [
    cellName(cell),
    limitText(outcome),
    result.ceilingPerSecond ?? '',
    trial?.ageMs?.p50 ?? '',
    trial?.ageMs?.p99 ?? '',
    trial?.ageMs?.max ?? '',
    longestPause(trial) ?? '',
    trial === undefined || pauseMs === undefined ? '' : pauseMs / trial.seconds,
    trial?.allocatedBytesPerEvent ?? '',
    result.allocations?.objectsPerEvent ?? '',
    perObject(outcome, 'heapUsed') ?? '',
    perObject(outcome, 'rss') ?? '',
    result.loadSeconds ?? '',
    status === 'done' ? '' : `${status}: ${message.split('\n')[0]}`,
  ];
}

/** For a terminal. */
export function pressureTable({ outcomes }: PressureReport): string {
  const rows = outcomes.map((outcome) => row(outcome).map((cell) => (typeof cell === 'number' ? figure(cell) : cell)));
  const widths = HEAD.map((title, column) => Math.max(title.length, ...rows.map((cells) => cells[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [line(HEAD), ...rows.map(line)].join('\n');
}

/** Go benchmark text: a line a trial, for benchstat. */
export function pressureBenchText({ setting, outcomes }: PressureReport): string {
  const lines = ['pkg: listwatch/pressure', `cpu: ${setting.processor}`];
  for (const outcome of outcomes) {
    const name = `BenchmarkPressure/${cellName(outcome.cell)}`;
    const { limit, allocations, trials } = outcome.result;
    if (limit !== undefined) lines.push(`${name}/limit-${setting.cores}\t1\t${limit.low} events/s`);
    if (allocations !== undefined) {
      lines.push(
        `${name}/allocations-${setting.cores}\t1\t${allocations.bytesPerEvent} B/op\t${allocations.objectsPerEvent} allocs/op`,
      );
    }
    for (const trial of trials) {
      const { rate, ageMs } = trial;
      if (ageMs === undefined) continue;
      const pauseMs = longestPause(trial) ?? 0;
      lines.push(
        `${name}/rate:${rate}-${setting.cores}\t1\t${ageMs.p50} age-p50-ms\t${ageMs.p99} age-p99-ms\t${pauseMs} pause-max-ms\t${trial.eventsPerSecond} events/s`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

export function pressurePage(report: PressureReport): string {
  const { outcomes, interrupted, planned, setting } = report;
  const [first] = outcomes;
  const boundMs = first?.cell.ageBoundMs ?? 0;
  const failed = outcomes.filter(({ status }) => status !== 'done').length;
  return page(
    'What a watch cache bears, and what bounds it',
    [
      `Each cell is a watch cache of its own, in a fresh process, that takes changes of random objects at a rate. Its limit is the highest rate at which 99 of 100 events were applied within ${boundMs} ms of when they were due.`,
      ...(interrupted ? [`Interrupted: ${outcomes.length} of ${planned} cells were begun.`] : []),
      ...(failed > 0 ? [`${failed} of ${outcomes.length} cells did not get to their end; the table says why.`] : []),
    ],
    settingLines(setting),
    [
      { title: 'The limit', plots: [...limitPlots(outcomes), ...pausePlots(outcomes)] },
      ...agePlots(outcomes, boundMs),
      ...memoryPlots(outcomes),
      { title: 'All cells', table: { head: HEAD, rows: outcomes.map(pageRow) } },
      {
        title: 'How to read this',
        text: [
          'An event is due at a fixed time, however late the process is; what waits counts into its age. The limit lies between the two rates: the lower one passed every trial, the higher one failed.',
          'Longest pause, pauses and heap bytes an event are those of the trial at the limit; objects an event were counted one by one in a run apart. Bytes an object are those of the loaded cache after a full collection, beyond what the process had before; stored bytes are in the JSON document.',
          'The generator runs in the process that is measured; what it costs is a copy of the object, in every cell the same.',
        ],
      },
    ],
  );
}

function pageRow(outcome: CellOutcome): PageCell[] {
  return row(outcome).map((cell, column) =>
    column === HEAD.length - 1 && cell !== '' ? { text: String(cell), style: 'bad' } : cell,
  );
}

/** Series of the cells that differ in nothing but the number of objects. */
function byObjects(
  outcomes: readonly CellOutcome[],
  point: (outcome: CellOutcome) => { y: number; low?: number; high?: number } | undefined,
): PlotSeries[] {
  const series = new Map<string, { x: number; y: number }[]>();
  for (const outcome of [...outcomes].sort((a, b) => a.cell.objects - b.cell.objects)) {
    const found = point(outcome);
    if (found === undefined || !(found.y > 0)) continue;
    const label = seriesName(outcome.cell, outcomes);
    series.set(label, [...(series.get(label) ?? []), { x: outcome.cell.objects, ...found }]);
  }
  return [...series].map(([label, points]) => ({ label, points }));
}

/** Only what tells the cells apart. */
function seriesName(cell: Cell, outcomes: readonly CellOutcome[]): string {
  const differ = (of: (one: Cell) => unknown) => new Set(outcomes.map((outcome) => of(outcome.cell))).size > 1;
  return [
    cell.representation,
    ...(differ(({ engine }) => engine) ? [cell.engine] : []),
    ...(differ(({ semiSpaceMib }) => semiSpaceMib) ? [`semi-space ${cell.semiSpaceMib ?? 'default'}`] : []),
    ...(differ(({ heapMib }) => heapMib) ? [`heap ${cell.heapMib ?? 'default'}`] : []),
  ].join(', ');
}

function limitPlots(outcomes: readonly CellOutcome[]): string[] {
  const series = byObjects(outcomes, ({ result: { limit } }) =>
    limit === undefined ? undefined : { y: limit.low, low: limit.low, high: limit.high ?? limit.low },
  );
  if (series.length === 0) return [];
  return [
    linePlot({
      title: 'Limit',
      xLabel: 'objects held',
      yLabel: 'events a second',
      xScale: 'log',
      yScale: 'linear',
      series,
    }),
  ];
}

function pausePlots(outcomes: readonly CellOutcome[]): string[] {
  const series = byObjects(outcomes, (outcome) => {
    const pauses = [...outcome.result.trials.map(longestPause), outcome.result.loadLongestPauseMs];
    return { y: Math.max(0.1, ...pauses.filter((ms) => ms !== undefined)) };
  });
  if (series.length === 0) return [];
  return [
    linePlot({
      title: 'Longest pause of the collector, first list included',
      xLabel: 'objects held',
      yLabel: 'ms',
      xScale: 'log',
      yScale: 'log',
      series,
    }),
  ];
}

/** Of the largest number of objects, where differences show. */
function largest(outcomes: readonly CellOutcome[]): CellOutcome[] {
  const most = Math.max(...outcomes.map(({ cell }) => cell.objects));
  return outcomes.filter(({ cell }) => cell.objects === most);
}

function agePlots(outcomes: readonly CellOutcome[], boundMs: number): PageSection[] {
  const series = largest(outcomes).flatMap((outcome) => {
    const points = outcome.result.trials
      .flatMap(({ rate, ageMs }) =>
        rate === undefined || ageMs === undefined ? [] : [{ x: rate, y: Math.max(0.1, ageMs.p99) }],
      )
      .sort((a, b) => a.x - b.x);
    return points.length === 0 ? [] : [{ label: seriesName(outcome.cell, outcomes), points }];
  });
  if (series.length === 0) return [];
  const { objects } = largest(outcomes)[0]!.cell;
  return [
    {
      title: 'Where the ages go out of hand',
      plots: [
        linePlot({
          title: `Age of events, 99th percentile, ${figure(objects)} objects`,
          xLabel: 'events a second asked for',
          yLabel: 'ms',
          xScale: 'linear',
          yScale: 'log',
          series,
          bound: { y: boundMs, label: `bound: ${boundMs} ms` },
        }),
      ],
    },
  ];
}

function memoryPlots(outcomes: readonly CellOutcome[]): PageSection[] {
  const shown = largest(outcomes).flatMap((outcome) => {
    const trial = telling(outcome);
    return trial === undefined || trial.memory.length < 2 ? [] : [{ outcome, trial }];
  });
  if (shown.length === 0) return [];
  const plot = (title: string, of: 'heapUsed' | 'external' | 'rss') =>
    linePlot({
      title,
      xLabel: 'seconds of the trial at the limit',
      yLabel: 'MiB',
      xScale: 'linear',
      yScale: 'linear',
      series: shown.map(({ outcome, trial }) => ({
        label: seriesName(outcome.cell, outcomes),
        points: trial.memory.map((sample) => ({ x: sample.atMs / 1000, y: sample[of] / MIB })),
      })),
    });
  return [
    {
      title: 'Memory over time',
      plots: [plot('JavaScript heap', 'heapUsed'), plot('External memory', 'external'), plot('Resident memory', 'rss')],
    },
  ];
}
