import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.js';
import { interruptible } from '../../src/cli/interruptible.js';
import { packageVersion } from '../../src/cli/version.js';
import { settingOf } from '../../src/report/setting.js';
import { repositoryRoot } from '../../test/support/command.js';
import { experimentNames, loadExperiment } from './catalogue.js';
import { inChild } from './child.js';
import { type Experiment, mediansOf, type Sample, type Size, summarize } from './experiment.js';
import { MEASURE, measure } from './measure.js';
import { brokenDirections, type ExperimentReport, reportFiles } from './report.js';

/**
 * Published findings, measured again. Every run is a process of its own; the page of an experiment, its plots and its runs are
 * written as soon as its last run is over.
 *
 *     npm run experiment -- --list
 *     npm run experiment -- bookmarks lock-of-a-kind --runs 5 --output docs/experiments
 *     npm run experiment -- --small            all of them, seconds each: what must hold everywhere is checked (CI runs this)
 *
 * Exits with 1 when a run failed or a direction does not hold, with 2 for a bad command line, with 130 when interrupted;
 * what was measured is written in any case.
 */
const INTERRUPTED = 130;
const RUNS = 5;

interface Command {
  readonly names: readonly string[];
  readonly size: Size;
  readonly runs: number;
  readonly output: string;
}

async function main(): Promise<void> {
  const command = commandOf(process.argv.slice(2));
  if (command === undefined) return;
  await interruptible(async ({ signal }) => {
    for (const name of command.names) {
      if (signal.aborted) break;
      const experiment = await loadExperiment(name);
      const report = await runAll(name, experiment, command, signal);
      for (const [file, text] of reportFiles(experiment, report)) writeFileSync(join(command.output, file), text);
      judge(experiment, report);
    }
    if (signal.aborted) process.exitCode = INTERRUPTED;
  });
}

/** Says what is wrong and sets the exit code, or says what there is and returns nothing. */
function commandOf(argv: readonly string[]): Command | undefined {
  const known = experimentNames();
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        list: { type: 'boolean', default: false },
        small: { type: 'boolean', default: false },
        runs: { type: 'string' },
        output: { type: 'string', default: join(repositoryRoot, 'bench', 'results', 'experiments') },
      },
    });
    if (values.list) {
      process.stdout.write(`${known.join('\n')}\n`);
      return undefined;
    }
    const unknown = positionals.find((name) => !known.includes(name));
    if (unknown !== undefined)
      throw new Error(`no experiment ${JSON.stringify(unknown)}; there are: ${known.join(', ')}`);
    const runs = Number(values.runs ?? (values.small ? 1 : RUNS));
    if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: want a whole number from 1 on`);
    mkdirSync(values.output, { recursive: true });
    const names = positionals.length === 0 ? known : positionals;
    return { names, size: values.small ? 'small' : 'full', runs, output: values.output };
  } catch (error) {
    process.stderr.write(`experiment: ${(error as Error).message}\n`);
    process.exitCode = 2;
    return undefined;
  }
}

async function runAll(
  name: string,
  experiment: Experiment,
  { size, runs }: Command,
  signal: AbortSignal,
): Promise<ExperimentReport> {
  const samples: (readonly Sample[])[] = [];
  const failures: string[] = [];
  const loadBefore = loadavg()[0]!;
  for (let run = 0; run < runs && !signal.aborted; run++) {
    const from = systemClock.nowMs();
    try {
      samples.push(
        await inChild(MEASURE, measure, { name, size, run }, { execArgv: experiment.execArgv ?? [], signal }),
      );
      process.stderr.write(
        `${name}: run ${run + 1} of ${runs}, ${((systemClock.nowMs() - from) / 1000).toFixed(1)} s\n`,
      );
    } catch (error) {
      if (!signal.aborted) failures.push(`run ${run + 1}: ${(error as Error).message}`);
    }
  }
  const command = ['npm run experiment --', name, ...(size === 'small' ? ['--small'] : []), `--runs ${runs}`].join(' ');
  const setting = settingOf(command, 0, packageVersion(), systemClock.nowMs());
  return { name, setting, size, runs, interrupted: signal.aborted, failures, loadBefore, samples };
}

function judge(experiment: Experiment, report: ExperimentReport): void {
  for (const failure of report.failures) process.stderr.write(`${report.name}: ${failure}\n`);
  if (report.failures.length > 0) process.exitCode = 1;
  if (report.samples.length === 0) return;
  const broken = brokenDirections(experiment, report);
  for (const says of broken) process.stderr.write(`${report.name}: does not hold: ${says}\n`);
  if (broken.length > 0) process.exitCode = 1;
  const found = report.size === 'small' ? 'works' : verdictLine(experiment, report);
  process.stdout.write(`${report.name}: ${report.samples.length} of ${report.runs} runs: ${found}\n`);
}

function verdictLine(experiment: Experiment, { samples }: ExperimentReport): string {
  const { reproduces, text } = experiment.verdict(mediansOf(summarize(samples.flat())));
  return `reproduces: ${reproduces}. ${text.join(' ')}`;
}

await main();
