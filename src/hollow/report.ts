import { linePlot, type PlotSeries } from '../report/line-plot.js';
import { figure, page, type PageCell, type PageSection } from '../report/page.js';
import { type Setting, settingLines } from '../report/setting.js';
import { Latencies, type LatencySummary } from './latencies.js';
import type { Meters } from './meters.js';
import type { HollowOptions } from './options.js';
import type { HollowResult } from './run-hollow.js';
import {
  isPassed,
  judge,
  measuredCalls,
  type MeasuredCall,
  nameOfCall,
  type Objective,
  startLatencies,
  STARTUP_BOUND_MS,
} from './service-levels.js';

/** All that a run found out; also the JSON document. Times are milliseconds. */
export interface HollowReport {
  readonly setting: Setting;
  readonly status: HollowResult['status'];
  /** Why it failed. */
  readonly message: string | undefined;
  readonly passed: boolean;
  readonly options: HollowOptions;
  readonly testSeconds: number;
  readonly objectives: readonly Objective[];
  readonly calls: readonly MeasuredCall[];
  readonly podStarts: Readonly<Record<string, LatencySummary | undefined>>;
  readonly pods: {
    readonly created: number;
    readonly started: number;
    readonly gone: number;
    readonly waiting: number;
  };
  readonly watchLag: Readonly<Record<string, LatencySummary | undefined>>;
  readonly storeWrites: LatencySummary | undefined;
  readonly counts: Meters['counts'];
  readonly server: HollowResult['server'];
  readonly twin: HollowResult['twin'];
  readonly problems: readonly string[];
  readonly seconds: readonly {
    readonly second: number;
    readonly callsP99: number | null;
    readonly lagP99: number | null;
    readonly podsRunning: number;
    readonly podsCreated: number;
  }[];
}

export interface Reported {
  readonly report: HollowReport;
  readonly page: string;
  readonly benchText: string;
  readonly table: string;
}

export function reportHollow(result: HollowResult, options: HollowOptions, setting: Setting, nowMs: number): Reported {
  const { meters, status, message, testSeconds, server, twin } = result;
  const objectives = judge(result, options.objectives, nowMs);
  const { stages } = meters.starts;
  const report: HollowReport = {
    setting,
    status,
    message,
    passed: status === 'done' && isPassed(objectives),
    options,
    testSeconds,
    objectives,
    calls: measuredCalls(meters),
    podStarts: {
      ...Object.fromEntries(Object.entries(stages).map(([stage, latencies]) => [stage, latencies.summary()])),
      whole: startLatencies(meters, nowMs).summary(),
    },
    pods: {
      created: meters.starts.created,
      started: stages.whole.count,
      gone: meters.starts.gone,
      waiting: meters.starts.unstartedAges(nowMs).length,
    },
    watchLag: Object.fromEntries([...meters.lags.byResource].map(([name, latencies]) => [name, latencies.summary()])),
    storeWrites: meters.writes.summary(),
    counts: meters.counts,
    server,
    twin,
    problems: meters.problems,
    seconds: meters.moments.map(({ second, calls, lag, podsRunning, podsCreated }) => ({
      second,
      callsP99: calls.summary()?.p99 ?? null,
      lagP99: lag.summary()?.p99 ?? null,
      podsRunning,
      podsCreated,
    })),
  };
  return {
    report,
    page: pageOf(report, meters),
    benchText: benchTextOf(report),
    table: tableOf(report),
  };
}

const CALL_HEAD = ['what', 'count', 'failed', 'p50 ms', 'p90 ms', 'p99 ms', 'max ms'];
const OBJECTIVE_HEAD = ['objective', 'verdict', 'measured ms', 'bound ms', 'of', 'count', 'source'];
const VERDICT_COLUMN = 1;

function latencyCells(name: string, latency: LatencySummary): (string | number)[] {
  const { count, failed, p50, p90, p99, max } = latency;
  return [name, count, failed, ...[p50, p90, p99].map((ms) => ms ?? 'failed'), max];
}

function groupsOf(report: HollowReport): { readonly title: string; readonly rows: (string | number)[][] }[] {
  const rows = (verb: (verb: string) => boolean) =>
    report.calls.filter((call) => verb(call.verb)).map((call) => latencyCells(nameOfCall(call), call.latency));
  const named = (summaries: Readonly<Record<string, LatencySummary | undefined>>) =>
    Object.entries(summaries).flatMap(([name, summary]) =>
      summary === undefined ? [] : [latencyCells(name, summary)],
    );
  return [
    { title: 'Calls', rows: rows((verb) => verb !== 'LIST' && verb !== 'WATCH') },
    { title: 'LISTs', rows: rows((verb) => verb === 'LIST') },
    { title: 'Watches opened', rows: rows((verb) => verb === 'WATCH') },
    { title: 'Pod start-up', rows: named(report.podStarts) },
    { title: 'Watch lag: from a write sent to its event read', rows: named(report.watchLag) },
    { title: 'Writes into the store', rows: named({ 'put or delete': report.storeWrites }) },
  ].filter((group) => group.rows.length > 0);
}

function objectiveCells({
  text,
  source,
  boundMs,
  measuredMs,
  of,
  count,
  verdict,
  set,
}: Objective): (string | number)[] {
  const measured = measuredMs ?? (verdict === 'nothing measured' || set === 'twin' ? '' : 'failed');
  return [text, verdict, measured, set === 'twin' ? '' : boundMs, of, count, source];
}

/** For a terminal. */
function tableOf(report: HollowReport): string {
  const { objectives, problems, passed, status, message } = report;
  const sections = [
    ['Objectives', OBJECTIVE_HEAD, objectives.map(objectiveCells)] as const,
    ...groupsOf(report).map(({ title, rows }) => [title, CALL_HEAD, rows] as const),
  ];
  const lines = sections.flatMap(([title, head, rows]) => ['', title, ...aligned(head, rows)]);
  if (problems.length > 0) lines.push('', 'Problems', ...problems.map((problem) => `  ${problem}`));
  const verdict =
    status === 'failed'
      ? `failed: ${message}`
      : status === 'interrupted'
        ? 'interrupted'
        : passed
          ? 'passed'
          : 'missed';
  return [summaryOf(report), ...lines, '', verdict].join('\n');
}

function aligned(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const texts = [head, ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? figure(cell) : cell)))];
  const numeric = head.map((_, column) => rows.some((row) => typeof row[column] === 'number'));
  const widths = head.map((_, column) => Math.max(...texts.map((row) => row[column]!.length)));
  return texts.map((row) =>
    `  ${row.map((cell, column) => (numeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join('  ')}`.trimEnd(),
  );
}

function summaryOf({ options, testSeconds, pods, counts, server, twin }: HollowReport): string {
  const { nodes, test } = options;
  return [
    `${nodes} hollow nodes, ${figure(testSeconds)} s of the ${test} test: ${figure(pods.created)} pods created, ${figure(pods.started)} started, ${figure(pods.gone)} gone`,
    `${figure(counts.watchesOpened)} watches, ${figure(counts.events)} events and ${figure(counts.bytes / 2 ** 20)} MiB read`,
    ...(server === undefined
      ? []
      : [
          `the server used ${figure(server.cpuSeconds)} s of CPU and held ${figure(server.residentBytes / 2 ** 20)} MiB`,
        ]),
    ...(twin === undefined ? [] : [`its engines were compared ${figure(twin.comparisons)} times`]),
  ].join('; ');
}

/** Go benchmark text, for benchstat. */
function benchTextOf({ setting, options, calls, podStarts, watchLag }: HollowReport): string {
  const lines = ['pkg: listwatch/hollow', `cpu: ${setting.processor}`];
  const add = (name: string, summary: LatencySummary | undefined) => {
    if (summary === undefined) return;
    const { count, p50, p90, p99 } = summary;
    const figures = Object.entries({ p50, p90, p99 }).flatMap(([unit, ms]) =>
      ms === null ? [] : [`${ms} ${unit}-ms`],
    );
    const of = `BenchmarkHollow/${options.test}/nodes:${options.nodes}/${name}-${setting.cores}`;
    if (figures.length > 0) lines.push([of, count, ...figures].join('\t'));
  };
  for (const call of calls) {
    add([call.verb, call.resource, ...(call.subresource ?? []), call.scope].join('/'), call.latency);
  }
  for (const [stage, summary] of Object.entries(podStarts)) add(`pod-start/${stage}`, summary);
  for (const [resource, summary] of Object.entries(watchLag)) add(`watch-lag/${resource}`, summary);
  return `${lines.join('\n')}\n`;
}

function pageOf(report: HollowReport, meters: Meters): string {
  const { objectives, status, message, passed, problems } = report;
  const verdict =
    status === 'failed'
      ? `The run failed: ${message}. What was measured until then is below.`
      : status === 'interrupted'
        ? 'The run was interrupted; what was measured until then is below.'
        : passed
          ? 'Every objective was met.'
          : 'At least one objective was missed.';
  const tables = groupsOf(report).map(({ title, rows }): PageSection => ({ title, table: { head: CALL_HEAD, rows } }));
  return page('Service level of a hollow cluster', [verdict, `${summaryOf(report)}.`], settingLines(report.setting), [
    { title: 'Objectives', table: { head: OBJECTIVE_HEAD, rows: objectives.map(objectiveRow) } },
    { title: 'Distributions', plots: distributions(meters) },
    { title: 'Over time', plots: overTime(report) },
    ...tables,
    ...(problems.length === 0 ? [] : [{ title: 'Problems', text: problems }]),
    {
      title: 'How to read this',
      text: [
        'A call is measured by its client, from the request to the last byte of the answer. A call that failed counts as one that never came back; 404, 409 and 410 are answers. Where an objective holds for each resource, the slowest one is shown; with fewer than a hundred calls its 99th percentile is the maximum.',
        'A pod has started when a watcher has seen it running and ready; the time counts from when its creation was sent. The kubelet finds out by listing its containers, so up to one interval of that is in it. Pods that waited longer than the bound and did not start are counted.',
        'Clients, kubelets and controllers are one process beside the server: their own delays are in every figure.',
      ],
    },
  ]);
}

function objectiveRow(objective: Objective): PageCell[] {
  const { verdict } = objective;
  const cells: PageCell[] = objectiveCells(objective);
  cells[VERDICT_COLUMN] = { text: verdict, style: verdict === 'met' ? 'good' : 'bad' };
  return cells;
}

const SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1];

/** Time by share: the curve of each that has something. */
function distributionPlot(
  title: string,
  yLabel: string,
  curves: Readonly<Record<string, Latencies>>,
  bound?: { readonly y: number; readonly label: string },
): string[] {
  const series = Object.entries(curves).flatMap(([label, latencies]): PlotSeries[] => {
    const points = SHARES.flatMap((share) => {
      const ms = latencies.percentile(share);
      return ms === undefined || !Number.isFinite(ms) ? [] : [{ x: share * 100, y: Math.max(0.01, ms) }];
    });
    return points.length === 0 ? [] : [{ label, points }];
  });
  if (series.length === 0) return [];
  const options = { title, xLabel: 'percent of them took no longer', yLabel, series } as const;
  return [linePlot({ ...options, xScale: 'linear', yScale: 'log', ...(bound === undefined ? {} : { bound }) })];
}

function distributions(meters: Meters): string[] {
  const calls: Record<string, Latencies> = {};
  for (const { call, latencies } of meters.calls.values()) {
    if (call.verb === 'WATCH') continue;
    const label = `${call.verb}, ${call.scope}`;
    (calls[label] ??= new Latencies()).merge(latencies);
  }
  const { whole, scheduling, kubelet, watch } = meters.starts.stages;
  return [
    ...distributionPlot('API calls', 'ms', calls, { y: 1_000, label: '1 s' }),
    ...distributionPlot(
      'Pod start-up, and its parts',
      'ms',
      { whole, 'until bound': scheduling, 'until running': kubelet, 'until seen': watch },
      { y: STARTUP_BOUND_MS, label: '5 s' },
    ),
    ...distributionPlot('Watch lag', 'ms', Object.fromEntries(meters.lags.byResource)),
  ];
}

function overTime({ seconds }: HollowReport): string[] {
  const line = (label: string, of: (second: HollowReport['seconds'][number]) => number | null): PlotSeries[] => {
    const points = seconds.flatMap((second) => {
      const y = of(second);
      return y === null ? [] : [{ x: second.second, y: Math.max(0.01, y) }];
    });
    return points.length === 0 ? [] : [{ label, points }];
  };
  const pods = [...line('created so far', (at) => at.podsCreated), ...line('running', (at) => at.podsRunning)];
  const slowest = [...line('API calls', (at) => at.callsP99), ...line('watch lag', (at) => at.lagP99)];
  const common = { xLabel: 'seconds of the test', xScale: 'linear' } as const;
  return [
    ...(pods.length === 0
      ? []
      : [linePlot({ ...common, title: 'Pods', yLabel: 'pods', yScale: 'linear', series: pods })]),
    ...(slowest.length === 0
      ? []
      : [
          linePlot({
            ...common,
            title: '99th percentile of each second',
            yLabel: 'ms',
            yScale: 'log',
            series: slowest,
          }),
        ]),
  ];
}
