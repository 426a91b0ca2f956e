import type { Command } from 'commander';
import { oneLine, UsageError } from '../app/usage-error.js';
import { readOneOf, readSpeed } from '../app/values.js';
import { systemClock } from '../lib/clock.js';
import { readEngine, readRepresentation } from '../pressure/options.js';
import { replay, type ReplayResult } from '../pressure/replay.js';
import { RecordingError } from '../recording/format.js';
import { RecordingFile } from '../recording/read-recording.js';
import { figure } from '../report/page.js';
import { interruptible } from './interruptible.js';

const INTERRUPTED = 130;

interface ReplayFlags {
  readonly engine?: string;
  readonly representation?: string;
  readonly speed?: string;
  readonly output?: string;
}

export function addReplayCommand(program: Command): void {
  const command = program
    .command('replay <file>')
    .description('feed a recording to a watch cache and measure it; `serve --replay` serves one to clients')
    .allowExcessArguments(false)
    .option('--engine <name>', 'how objects are ordered (default cow-btree; names: `listwatch help pressure`)')
    .option('--representation <name>', 'how they are held (default slabs; likewise)')
    .option('--speed <factor>', 'how many times as fast as it was recorded, or max (default 1)')
    .option('--output <format>', 'text or json (default text)');
  command.action((path: string) => run(path, command.opts() as ReplayFlags));
}

/** Exits with 130 when it was interrupted: what was measured by then is said all the same. */
async function run(path: string, flags: ReplayFlags): Promise<void> {
  const engine = readEngine('engine', flags.engine ?? 'cow-btree');
  const representation = readRepresentation('representation', flags.representation ?? 'slabs');
  const speed = readSpeed('speed', flags.speed ?? '1');
  const format = readOneOf('text', 'json')('output', flags.output ?? 'text');
  let file: RecordingFile;
  try {
    file = await RecordingFile.open(path);
  } catch (error) {
    throw new UsageError(`${path}: ${oneLine(error)}`);
  }
  try {
    await interruptible(async ({ signal }) => {
      const result = await replay(file, { engine, representation, speed, signal }, systemClock);
      if (format === 'json') process.stdout.write(`${JSON.stringify({ header: file.header, ...result }, null, 1)}\n`);
      else process.stdout.write(text(file, representation, engine, result));
      if (signal.aborted) process.exitCode = INTERRUPTED;
      else if (file.cutOff) process.stderr.write(`listwatch: ${path} was cut off: its last changes are missing\n`);
    });
  } catch (error) {
    if (error instanceof RecordingError) throw new UsageError(`${path}: ${oneLine(error)}`);
    throw error;
  } finally {
    await file.close();
  }
}

function text({ header }: RecordingFile, representation: string, engine: string, result: ReplayResult): string {
  const { objects, changes, revisions, recordedSeconds, seconds, ageMs, endReason } = result;
  const pauses = Object.values(result.pauses);
  const pauseMs = Math.max(...pauses.map(({ maxMs }) => maxMs));
  return `${[
    `${header.resource} of ${header.source}, recorded ${header.startedAt}; as ${representation}, ordered by ${engine}`,
    `${objects} objects, then ${changes} changes in ${revisions} revisions over ${figure(recordedSeconds)} s`,
    `replayed in ${figure(seconds)} s: ${figure(result.changesPerSecond)} changes/s on ${figure(result.cores)} cores`,
    ...(ageMs === undefined
      ? []
      : [`age of a revision, ms: p50 ${figure(ageMs.p50)}, p99 ${figure(ageMs.p99)}, longest ${figure(ageMs.max)}`]),
    `longest pause of the collector ${figure(pauseMs)} ms; heap allocated a change: ${
      result.allocatedBytesPerChange === undefined
        ? 'too little to tell'
        : `${figure(result.allocatedBytesPerChange)} bytes`
    }`,
    ...(endReason === undefined ? [] : [`the recording ends: ${endReason}`]),
  ].join('\n')}\n`;
}
