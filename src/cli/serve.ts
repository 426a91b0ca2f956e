import type { Command } from 'commander';
import { type FlagValues, resolveConfig, serveFlags } from '../app/config.js';
import { createLog } from '../app/log.js';
import { superviseProcess } from '../app/shutdown.js';
import { systemClock } from '../lib/clock.js';
import { systemRandom } from '../lib/random.js';
import { startText } from './start-text.js';
import { createRejections } from './rejections.js';
import { packageVersion } from './version.js';
import { flagsOf } from './flags-of.js';

export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('serve a cluster: from etcd, or from the embedded store filled with --load or --sample')
    .allowExcessArguments(false);
  for (const [name, placeholder, help] of serveFlags) command.option(`--${name} ${placeholder}`, help);
  command.action(async () => serve(flagsOf(command) as FlagValues));
}

async function serve(flags: FlagValues): Promise<void> {
  const config = resolveConfig(flags, process.env);
  const log = createLog(config.verbosity, config.logFormat);
  // Only what --load reads has progress to show.
  const progress =
    config.load === undefined ? {} : { progress: (await import('./progress.js')).createProgress(process.stderr) };
  const rejections = createRejections(process.stderr);
  // Flags that cannot work are refused before anything else is loaded.
  const { startServer } = await import('../app/compose.js');
  const server = await startServer(config, {
    clock: systemClock,
    random: systemRandom,
    log,
    version: packageVersion(),
    ...progress,
    reject: rejections.add,
  }).finally(() => rejections.end());
  superviseProcess(server, config.shutdownDelayMs, log, systemClock);
  process.stdout.write(startText(server, config));
}
