import { linePlot, linePlotFile, type PlotOptions } from '../../src/report/line-plot.js';
import { figure, page } from '../../src/report/page.js';
import { type Setting, settingLines } from '../../src/report/setting.js';
import {
  type Experiment,
  mediansOf,
  type Plot,
  type Sample,
  type Size,
  type Summary,
  summarize,
} from './experiment.js';

/** What is written beside the page, and all that the page is made of besides the experiment itself. */
export interface ExperimentReport {
  readonly name: string;
  readonly setting: Setting;
  readonly size: Size;
  /** Asked for; a run that was interrupted or failed has no samples. */
  readonly runs: number;
  readonly interrupted: boolean;
  /** Why runs failed. */
  readonly failures: readonly string[];
  /** The one-minute load average before the first run: of what else the machine did. */
  readonly loadBefore: number;
  readonly samples: readonly (readonly Sample[])[];
}

interface Row {
  readonly line: string;
  readonly at: number;
  readonly cells: readonly (Summary | undefined)[];
}

function rowsOf(experiment: Experiment, summaries: readonly Summary[]): Row[] {
  const figures = Object.keys(experiment.figures);
  const places = [...new Set(summaries.map(({ line, at }) => JSON.stringify([line, at])))].map(
    (place) => JSON.parse(place) as [string, number],
  );
  const lines = [...new Set(places.map(([line]) => line))].sort();
  return places
    .sort((a, b) => lines.indexOf(a[0]) - lines.indexOf(b[0]) || a[1] - b[1])
    .map(([line, at]) => ({
      line,
      at,
      cells: figures.map((id) => summaries.find((one) => one.figure === id && one.line === line && one.at === at)),
    }));
}

/** Which directions do not hold. Throws when a figure they need was not measured. */
export function brokenDirections(experiment: Experiment, report: ExperimentReport): string[] {
  const medians = mediansOf(summarize(report.samples.flat()));
  return experiment.directions.filter((direction) => !direction.holds(medians)).map(({ says }) => says);
}

function plotOptions(experiment: Experiment, summaries: readonly Summary[], plot: Plot): PlotOptions {
  const { label, unit } = experiment.figures[plot.figure]!;
  const lines =
    plot.lines ?? [...new Set(summaries.filter((one) => one.figure === plot.figure).map(({ line }) => line))].sort();
  return {
    title: plot.title,
    xLabel: experiment.xLabel,
    yLabel: `${label}, ${unit}`,
    xScale: plot.xScale,
    yScale: plot.yScale,
    ...(plot.bound === undefined ? {} : { bound: plot.bound }),
    series: lines.map((line) => ({
      label: line,
      points: summaries
        .filter((one) => one.figure === plot.figure && one.line === line)
        .sort((a, b) => a.at - b.at)
        .map(({ at, median, low, high }) => ({ x: at, y: median, low, high })),
    })),
  };
}

/** The files of a report by their names: JSON, page (Markdown), page (HTML, of its own), plots (SVG), Go benchmark text. */
export function reportFiles(experiment: Experiment, report: ExperimentReport): Map<string, string> {
  const summaries = summarize(report.samples.flat());
  const { name } = report;
  const plots = summaries.length === 0 ? [] : experiment.plots.map((plot) => plotOptions(experiment, summaries, plot));
  const files = new Map<string, string>([
    [`${name}.json`, `${JSON.stringify(report)}\n`],
    [`${name}.md`, markdown(experiment, report, summaries)],
    [`${name}.html`, html(experiment, report, summaries, plots.map(linePlot))],
    [`${name}.txt`, benchText(experiment, report)],
  ]);
  for (const [index, plot] of plots.entries()) files.set(plotFile(name, index), linePlotFile(plot));
  return files;
}

function plotFile(name: string, index: number): string {
  return index === 0 ? `${name}.svg` : `${name}-${index + 1}.svg`;
}

/** What a report says in words, but for the experiment's own text. */
function remarks(report: ExperimentReport): string[] {
  const { runs, samples, size, interrupted, failures, loadBefore } = report;
  return [
    `${samples.length} of ${runs} runs, each in a process of its own; medians, in brackets the lowest and the highest. Seeds are counted from the run's number. Load average before the first: ${figure(loadBefore)}.`,
    ...(size === 'small' ? ['A small pass: it shows that everything works, and nothing about costs.'] : []),
    ...(interrupted ? ['Interrupted before its end.'] : []),
    ...failures.map((failure) => `A run failed: ${failure}`),
  ];
}

function found(experiment: Experiment, report: ExperimentReport, summaries: readonly Summary[]): string[] {
  if (report.size === 'small') return ['Not judged: a small pass.'];
  if (summaries.length === 0) return ['Not judged: no run came to its end.'];
  const { reproduces, text } = experiment.verdict(mediansOf(summaries));
  return [
    { yes: 'It reproduces.', no: 'It does not reproduce.', 'in part': 'It reproduces in part.' }[reproduces],
    ...text,
  ];
}

function spread({ median, low, high, runs }: Summary): string {
  return runs === 1 || low === high ? figure(median) : `${figure(median)} (${figure(low)} to ${figure(high)})`;
}

function markdown(experiment: Experiment, report: ExperimentReport, summaries: readonly Summary[]): string {
  const { title, claim, source, method, figures, xLabel, plots } = experiment;
  const titles = Object.values(figures).map(({ label, unit }) => `${label}, ${unit}`);
  return [
    `# ${title}`,
    `**The claim.** ${claim}`,
    `**Source.** ${source.map((one) => `[${one.title}](${one.url})`).join('; ')}`,
    '## Method',
    ...method,
    `\`npm run experiment -- ${report.name}\``,
    '## Measured',
    ...(summaries.length === 0 ? [] : plots.map((plot, index) => `![${plot.title}](${plotFile(report.name, index)})`)),
    [
      `| | ${xLabel} | ${titles.join(' | ')} |`,
      `| --- | ---: | ${titles.map(() => '---:').join(' | ')} |`,
      ...rowsOf(experiment, summaries).map(
        ({ line, at, cells }) =>
          `| ${line} | ${figure(at)} | ${cells.map((cell) => (cell === undefined ? '' : spread(cell))).join(' | ')} |`,
      ),
    ].join('\n'),
    ...remarks(report),
    settingLines(report.setting).slice(1).join('; '),
    '## Does it reproduce?',
    ...found(experiment, report, summaries),
    `The runs: [${report.name}.json](${report.name}.json). This page is made by the command above; its text is in bench/experiments/published/${report.name}.ts.`,
  ]
    .join('\n\n')
    .concat('\n');
}

function html(
  experiment: Experiment,
  report: ExperimentReport,
  summaries: readonly Summary[],
  plots: readonly string[],
): string {
  const { title, claim, source, method, figures, xLabel } = experiment;
  return page(
    title,
    [claim, `Source: ${source.map((one) => `${one.title} (${one.url})`).join('; ')}`],
    settingLines(report.setting),
    [
      { title: 'Method', text: method },
      {
        title: 'Measured',
        text: remarks(report),
        plots,
        table: {
          head: ['', xLabel, ...Object.values(figures).map(({ label, unit }) => `${label}, ${unit}`)],
          rows: rowsOf(experiment, summaries).map(({ line, at, cells }) => [
            line,
            at,
            ...cells.map((cell) => cell?.median ?? ''),
          ]),
        },
      },
      { title: 'Does it reproduce?', text: found(experiment, report, summaries) },
    ],
  );
}

/** A line a figure and run, for benchstat. */
function benchText({ figures }: Experiment, { name, setting, samples }: ExperimentReport): string {
  const lines = samples
    .flat()
    .map(
      ({ figure: id, line, at, value }) =>
        `BenchmarkExperiment/${name}/${line.replaceAll(/\s+/g, '_')}/${at}/${id}-${setting.cores}\t1\t${value} ${figures[id]!.unit.replaceAll(/\s+/g, '_')}`,
    );
  return [`pkg: listwatch/experiments`, `cpu: ${setting.processor}`, ...lines, ''].join('\n');
}
