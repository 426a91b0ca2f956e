import { type Comparison, compare, figure, ratioText, type Sample, targetText } from './measures.js';
import type { Mode } from './modes.js';

/** Where and how the figures were taken. */
export interface Setting {
  /** ISO 8601. */
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGib: number;
  /** The kernel's load averages before the first measurement: what else ran. */
  readonly loadBefore: readonly number[];
  readonly versions: Readonly<Record<string, string>>;
  readonly pods: number;
  readonly objects: number;
  readonly storedBytes: number;
  readonly runsWanted: number;
  /** Everything tiny: the figures show that the modes work, and are judged by no target. */
  readonly small: boolean;
}

export interface Failure {
  readonly mode: string;
  readonly subject: string;
  readonly run: number;
  readonly message: string;
}

/** All that a run of the bench found out; also the JSON document. */
export interface Report {
  readonly setting: Setting;
  /** Ended by a signal before all was measured. */
  readonly interrupted: boolean;
  readonly comparisons: readonly Comparison[];
  readonly failures: readonly Failure[];
  readonly samples: readonly Sample[];
}

export function reportOf(
  setting: Setting,
  modes: readonly Mode[],
  samples: readonly Sample[],
  failures: readonly Failure[],
  interrupted: boolean,
): Report {
  const comparisons = modes.flatMap((mode) => mode.measures.map((measure) => compare(mode, measure, samples)));
  return { setting, interrupted, comparisons, failures, samples };
}

/** One line that says where and how. */
export function settingText({ setting, interrupted }: Report): string {
  const { versions } = setting;
  return [
    `${setting.date}, ${setting.cores} cores (${setting.processor}), ${setting.memoryGib} GiB`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `${setting.pods} pods, ${setting.objects} objects, ${(setting.storedBytes / 1e6).toFixed(1)} MB stored`,
    `load average before: ${setting.loadBefore.map((load) => load.toFixed(2)).join(' ')}`,
    interrupted ? 'INTERRUPTED: not everything was measured' : `${setting.runsWanted} alternating runs, medians`,
  ].join('; ');
}

export function summaryText({ comparisons, setting }: Report): string {
  if (setting.small) return 'everything tiny, to show that the modes work: no target was judged';
  const count = (verdict: Comparison['verdict']) => comparisons.filter((one) => one.verdict === verdict).length;
  return `${count('met')} targets met, ${count('not met')} not met, ${count('not measured')} not measured`;
}

/** The side-by-side table, as Markdown that is readable in a terminal. */
export function markdownTable(report: Report): string {
  const head = ['what', 'figure', 'peer', 'listwatch', 'other', 'ratio', 'target', '', 'runs'];
  const rows = report.comparisons.map((one) => [
    one.title,
    one.measure.column,
    figure(one.medians.peer),
    figure(one.medians.listwatch),
    otherText(one),
    ratioText(one.ratio),
    targetText(one.measure),
    one.verdict === 'reported' ? '' : one.verdict,
    String(one.runs),
  ]);
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

/** The figure of the third program of a mode, with its name. */
export function otherText({ other }: Comparison): string {
  return other === undefined ? '' : `${figure(other.value)} ${other.subject}`;
}

/**
 * Go benchmark text: one line a run, subjects told apart by `/server=`, so that
 * `benchstat -col /server FILE` compares them with their spread.
 */
export function benchstatText({ setting, samples }: Report): string {
  const lines = [
    `goos: ${process.platform}`,
    `goarch: ${process.arch}`,
    'pkg: listwatch/peer',
    `cpu: ${setting.processor}`,
  ];
  for (const { mode, subject, values } of samples) {
    const name = `Benchmark${mode[0]!.toUpperCase()}${mode.slice(1)}/server=${subject}-${setting.cores}`;
    const metrics = Object.entries(values).map(([column, value]) => `${value} ${column.replaceAll(' ', '-')}`);
    lines.push([name, '1', ...metrics].join('\t'));
  }
  return `${lines.join('\n')}\n`;
}
