#!/usr/bin/env node
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { InvariantError } from '../lib/assert.js';
import { keepYoungGenerationSmall } from '../lib/v8-flags.js';
import { oneLine, UsageError } from '../app/usage-error.js';

/** In the order of the help. Only the modules of the command that runs are loaded: that takes longer than most commands. */
const commands = {
  serve: async () => (await import('./serve.js')).addServeCommand,
  decode: async () => (await import('./decode.js')).addDecodeCommand,
  kubeconfig: async () => (await import('./kubeconfig.js')).addKubeconfigCommand,
  pressure: async () => (await import('./pressure.js')).addPressureCommand,
  hollow: async () => (await import('./hollow.js')).addHollowCommand,
  record: async () => (await import('./record.js')).addRecordCommand,
  replay: async () => (await import('./replay.js')).addReplayCommand,
  version: async () => (await import('./version.js')).addVersionCommand,
};

/** Since Node 22.1, code that was compiled once is kept, beside the build; where that cannot be written, it is compiled each time. */
const { enableCompileCache } = nodeModule as { enableCompileCache?: (folder: string) => unknown };
enableCompileCache?.(fileURLToPath(new URL('../../.compiled', import.meta.url)));

// Before a command's modules are loaded: it is they that make it grow first.
keepYoungGenerationSmall();

const SEE_HELP = '`listwatch help` shows what there is';

/**
 * `listwatch <command>`. What the caller can put right is said in one line on stderr, with exit code
 * 2; code 1 is left for our own faults, whose stack is shown.
 */
async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('listwatch')
    .description("The read path of a Kubernetes apiserver (GET, LIST, WATCH), served from etcd's bytes")
    .helpCommand(false) // below: commander's own shows the general help for a command that does not exist
    .helpOption('-h, --help', 'show this help')
    .showSuggestionAfterError(true)
    .enablePositionalOptions()
    .exitOverride()
    // Said once, in one line, by `fail` below.
    .configureOutput({ writeErr: () => {}, outputError: () => {} });
  const [name = ''] = argv;
  const wanted = Object.hasOwn(commands, name) ? [commands[name as keyof typeof commands]] : Object.values(commands);
  for (const load of wanted) (await load())(program);
  program
    .command('help [command]')
    .description('show the flags of a command')
    .action((name?: string) => {
      const command = program.commands.find((candidate) => candidate.name() === name);
      if (name !== undefined && command === undefined) throw new UsageError(`unknown command '${name}' (${SEE_HELP})`);
      (command ?? program).outputHelp();
    });
  // exitOverride and the output are inherited only by commands made through .command(); this reaches all.
  for (const command of program.commands) command.copyInheritedSettings(program);
  if (argv.length === 0) {
    program.outputHelp();
    return;
  }
  await program.parseAsync([...argv], { from: 'user' });
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return; // --help has printed
    const text = oneLine(error)
      .replace(/^error: /, '')
      .replace(/ ?\(Did you mean (.*)\?\)$/, '; did you mean $1?');
    process.stderr.write(`listwatch: ${text} (${SEE_HELP})\n`);
    process.exitCode = 2;
  } else if (error instanceof UsageError) {
    process.stderr.write(`listwatch: ${oneLine(error)}\n`);
    process.exitCode = 2;
  } else {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`listwatch: ${error instanceof InvariantError ? 'broken invariant: ' : ''}${stack}\n`);
    process.exitCode = 1;
  }
}

// A reader that goes away (`listwatch decode | head`) is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
});

main(process.argv.slice(2)).catch(fail);
