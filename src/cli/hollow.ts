import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Presets, SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { UsageError } from '../app/usage-error.js';
import { type HollowFlags, hollowFlags, type HollowOptions, resolveHollow } from '../hollow/options.js';
import { reportHollow } from '../hollow/report.js';
import type { HollowProgress } from '../hollow/cluster.js';
import { runHollow } from '../hollow/run-hollow.js';
import { systemClock } from '../lib/clock.js';
import { settingOf } from '../report/setting.js';
import { interruptible } from './interruptible.js';
import { packageVersion } from './version.js';

const INTERRUPTED = 130;

export function addHollowCommand(program: Command): void {
  const command = program
    .command('hollow')
    .description('run a hollow cluster through listwatch, and report its service level')
    .allowExcessArguments(false);
  for (const [name, placeholder, help] of hollowFlags) command.option(`--${name} ${placeholder}`, help);
  command.action(async () => {
    const values = command.opts() as Record<string, string | undefined>;
    const flags = Object.fromEntries(
      command.options.map((option) => [option.name(), values[option.attributeName()]]),
    ) as HollowFlags;
    await hollow(resolveHollow(flags));
  });
}

/** Exits with 0 when every objective was met, 1 when one was missed or the run failed, 130 when it was interrupted. */
async function hollow(options: HollowOptions): Promise<void> {
  prepare(options.output);
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
  const files = { 'report.json': `${JSON.stringify(report, null, 1)}\n`, 'report.txt': benchText, 'report.html': page };
  for (const [name, content] of Object.entries(files)) {
    try {
      writeFileSync(join(options.output, name), content);
    } catch (error) {
      process.stderr.write(`listwatch: ${join(options.output, name)}: not written: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  }
  process.stderr.write(`the report is in ${options.output}\n`);
}

/** Whether the report can be written is found out before the test, not after. */
function prepare(output: string): void {
  try {
    // Not with `recursive`: below /proc that never ends.
    if (!existsSync(output)) mkdirSync(output);
    writeFileSync(join(output, 'report.txt'), '');
  } catch (error) {
    throw new UsageError(`--output ${JSON.stringify(output)}: cannot be written: ${(error as Error).message}`);
  }
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
