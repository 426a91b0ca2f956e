import { Presets, SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { systemClock } from '../lib/clock.js';
import { cellName } from '../pressure/cell.js';
import { pressureFlags, type PressureFlags, resolvePressure } from '../pressure/options.js';
import { pressureBenchText, pressurePage, type PressureReport, pressureTable } from '../pressure/report.js';
import { type GridProgress, runGrid } from '../pressure/run-grid.js';
import { settingOf } from '../report/setting.js';
import { flagsOf } from './flags-of.js';
import { interruptible } from './interruptible.js';
import { prepareReportFolder, writeReport } from './report-folder.js';
import { packageVersion } from './version.js';

const INTERRUPTED = 130;

export function addPressureCommand(program: Command): void {
  const command = program
    .command('pressure')
    .description('find the rate of changes that a watch cache bears, by how its objects are held and ordered')
    .allowExcessArguments(false);
  for (const [name, placeholder, help] of pressureFlags) command.option(`--${name} ${placeholder}`.trim(), help);
  command.action(async () => {
    await pressure(flagsOf(command) as PressureFlags);
  });
}

/** Exits with 1 when a cell failed, with 130 when it was interrupted; the report is written in both cases. */
async function pressure(flags: PressureFlags): Promise<void> {
  const { cells, seed, output } = resolvePressure(flags);
  prepareReportFolder(output);
  const bar = createBar(process.stderr);
  const { outcomes, interrupted } = await interruptible(async ({ signal }) => ({
    outcomes: await runGrid(cells, systemClock, signal, bar.update),
    interrupted: signal.aborted,
  })).finally(() => bar.stop());
  const command = ['listwatch', ...process.argv.slice(2)].join(' ');
  const report: PressureReport = {
    setting: settingOf(command, seed, packageVersion(), systemClock.nowMs()),
    interrupted,
    planned: cells.length,
    outcomes,
  };
  process.stdout.write(`${pressureTable(report)}\n`);
  writeReport(output, {
    'report.json': () => `${JSON.stringify(report, null, 1)}\n`,
    'report.txt': () => pressureBenchText(report),
    'report.html': () => pressurePage(report),
  });
  if (interrupted) process.exitCode = INTERRUPTED;
  else if (outcomes.some(({ status }) => status === 'failed')) process.exitCode = 1;
}

interface Bar {
  update(progress: GridProgress): void;
  stop(): void;
}

/** A bar with the time that is left on a terminal; elsewhere a line for every cell. */
function createBar(output: NodeJS.WriteStream): Bar {
  if (!output.isTTY) {
    let said = -1;
    return {
      update({ over, total, cell }) {
        if (over === said) return;
        said = over;
        output.write(`cell ${over + 1} of ${total}: ${cellName(cell)}\n`);
      },
      stop() {},
    };
  }
  const bar = new SingleBar(
    { stream: output, format: '{bar} {percentage}% | {left} | {cell} {phase}', hideCursor: true },
    Presets.shades_classic,
  );
  bar.start(1, 0, { left: '', cell: '', phase: 'starting' });
  return {
    update: ({ share, leftMs, cell, phase }) =>
      bar.update(share, { left: leftText(leftMs), cell: cellName(cell), phase }),
    stop: () => bar.stop(),
  };
}

function leftText(leftMs: number | undefined): string {
  if (leftMs === undefined) return 'time left: not known yet';
  const seconds = Math.ceil(leftMs / 1000);
  return `${seconds >= 60 ? `${Math.floor(seconds / 60)} min ` : ''}${seconds % 60} s left`;
}
