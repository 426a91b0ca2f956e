import { Presets, SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { type HollowFlags, hollowFlags, type HollowOptions, resolveHollow } from '../hollow/options.js';
import { reportHollow } from '../hollow/report.js';
import type { HollowProgress } from '../hollow/cluster.js';
import { runHollow } from '../hollow/run-hollow.js';
import { systemClock } from '../lib/clock.js';
import { settingOf } from '../report/setting.js';
import { flagsOf } from './flags-of.js';
import { interruptible } from './interruptible.js';
import { prepareReportFolder, writeReport } from './report-folder.js';
import { packageVersion } from './version.js';

const INTERRUPTED = 130;

export function addHollowCommand(program: Command): void {
  const command = program
    .command('hollow')
    .description('run a hollow cluster through listwatch, and report its service level')
    .allowExcessArguments(false);
  for (const [name, placeholder, help] of hollowFlags) command.option(`--${name} ${placeholder}`, help);
  command.action(async () => {
    await hollow(resolveHollow(flagsOf(command) as HollowFlags));
  });
}

/** Exits with 0 when every objective was met, 1 when one was missed or the run failed, 130 when it was interrupted. */
async function hollow(options: HollowOptions): Promise<void> {
  prepareReportFolder(options.output);
  process.stderr.write(`${introduction(options)}\n`);
  const bar = createBar(process.stderr);
  const version = packageVersion();
  const result = await interruptible(({ signal }) =>
    runHollow(options, { clock: systemClock, version, progress: bar.update }, signal),
  ).finally(() => bar.stop());
  const command = ['listwatch', ...process.argv.slice(2)].join(' ');
  const setting = settingOf(command, options.seed, version, systemClock.nowMs());
  const { report, page, benchText, table } = reportHollow(result, options, setting, systemClock.monotonicMs());
  process.stdout.write(`${table}\n`);
  if (result.status === 'interrupted') process.exitCode = INTERRUPTED;
  else if (!report.passed) process.exitCode = 1;
  if (result.status === 'failed') process.stderr.write(`listwatch: ${result.message}\n`);
  writeReport(options.output, {
    'report.json': () => `${JSON.stringify(report, null, 1)}\n`,
    'report.txt': () => benchText,
    'report.html': () => page,
  });
}

function introduction({
  nodes,
  watchesPerNode,
  podsPerNode,
  test,
  durationMs,
  serve,
  kubeconfig,
}: HollowOptions): string {
  const etcd = serve['etcd-servers'];
  const store =
    kubeconfig !== undefined
      ? `the server of ${kubeconfig}`
      : etcd === undefined
        ? 'the embedded store'
        : `etcd at ${String(etcd)}`;
  return `${nodes} hollow nodes with ${watchesPerNode} watches each, over ${store}: the ${test} test of ${podsPerNode} pods a node, for ${durationMs / 1000} s`;
}

interface Bar {
  update(progress: HollowProgress): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere a line for every tenth. */
function createBar(output: NodeJS.WriteStream): Bar {
  if (!output.isTTY) {
    let said = '';
    return {
      update({ phase, share, pods }) {
        const line = phase === 'test' ? `${Math.floor(share * 10) * 10}% of the test` : phase;
        if (line === said) return;
        said = line;
        output.write(phase === 'test' ? `${line}, ${pods} pods run\n` : `${line}\n`);
      },
      stop() {},
    };
  }
  const bar = new SingleBar(
    { stream: output, format: '{bar} {percentage}% | {phase} | {pods} pods run', hideCursor: true },
    Presets.shades_classic,
  );
  bar.start(1, 0, { phase: 'starting', pods: 0 });
  return {
    update: ({ phase, share, pods }) => bar.update(phase === 'test' ? share : 0, { phase, pods }),
    stop: () => bar.stop(),
  };
}
