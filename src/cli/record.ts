import type { Command } from 'commander';
import { type FlagName, type FlagValues, resolveConfig, serveFlags } from '../app/config.js';
import { createLog } from '../app/log.js';
import { recordKind } from '../app/record-kind.js';
import { UsageError } from '../app/usage-error.js';
import { bad, readDurationMs, readInteger, readKinds, readText } from '../app/values.js';
import { isSecret, type Kind } from '../codec/kind.js';
import { systemClock, type Timer } from '../lib/clock.js';
import { systemRandom } from '../lib/random.js';
import type { Recorded } from '../recording/recorder.js';
import { flagsOf } from './flags-of.js';
import { interruptible } from './interruptible.js';
import { createRejections } from './rejections.js';

const FOR_EVER_MS = Number.MAX_SAFE_INTEGER;
/** Flags of `serve` that say which store, and what the embedded one is filled with. */
const STORE_FLAGS: readonly FlagName[] = [
  'etcd-servers',
  'etcd-prefix',
  'etcd-cafile',
  'etcd-certfile',
  'etcd-keyfile',
  'etcd-user',
  'etcd-password-file',
  'load',
  'load-ignore-errors',
  'sample',
  'sample-seed',
  'event-ttl',
];

interface RecordFlags {
  readonly kind?: string;
  readonly output?: string;
  readonly duration?: string;
  readonly changes?: string;
  readonly includeSecrets?: boolean;
}

export function addRecordCommand(program: Command): void {
  const command = program
    .command('record')
    .description("write one kind's objects, and every change of them with its time, to a file")
    .allowExcessArguments(false)
    .option('--kind <resource[.group]>', 'what is recorded, e.g. pods or leases.coordination.k8s.io')
    .option('--output <file>', 'where; the file must not exist')
    .option('--duration <duration>', 'end after this long (default: at ctrl-C)')
    .option('--changes <n>', 'end after so many changes')
    .option('--include-secrets', 'allow --kind secrets: the file then holds them as etcd does');
  for (const [name, placeholder, help] of serveFlags) {
    if (STORE_FLAGS.includes(name)) command.option(`--${name} ${placeholder}`, help);
  }
  command.action(async () => {
    const given = Object.entries(flagsOf(command));
    const store = Object.fromEntries(given.filter(([name]) => STORE_FLAGS.includes(name as FlagName))) as FlagValues;
    await run(command.opts() as RecordFlags, store);
  });
}

async function run(flags: RecordFlags, storeFlags: FlagValues): Promise<void> {
  const kind = kindOf(flags);
  const path = readText('output', required('output', flags.output));
  const durationMs = flags.duration === undefined ? undefined : readDurationMs('duration', flags.duration);
  if (durationMs === 0) throw bad('duration', '0', 'expected a duration greater than zero');
  const changesMax = flags.changes === undefined ? undefined : readInteger(1, 1e15 - 1)('changes', flags.changes);
  const config = resolveConfig(storeFlags, process.env);
  const rejections = createRejections(process.stderr);
  const parts = { clock: systemClock, random: systemRandom, log: createLog(0, 'text'), reject: rejections.add };

  let timer: Timer | undefined;
  try {
    const { objects, changes, bytes, reason } = await interruptible((stop) => {
      const progress = (recorded: Recorded) => {
        if (timer !== undefined) return;
        timer = systemClock.setTimer(durationMs ?? FOR_EVER_MS, () => stop.abort('its duration was over'));
        process.stderr.write(`${recorded.objects} ${kind.resource}; recording their changes\n`);
      };
      return recordKind(config, parts, { kind, path, changesMax, signal: stop.signal, progress });
    });
    process.stdout.write(`${path}: ${objects} objects, ${changes} changes, ${bytes} bytes; ${reason}\n`);
  } finally {
    rejections.end();
    timer?.cancel();
  }
}

function kindOf({ kind: text, includeSecrets }: RecordFlags): Kind {
  const [kind] = readKinds('kind', required('kind', text));
  if (kind === undefined) throw bad('kind', String(text), 'no such resource');
  if (isSecret(kind) && includeSecrets !== true) {
    throw new UsageError('--kind secrets: a recording holds what etcd does; say --include-secrets if that is wanted');
  }
  return kind;
}

function required(flag: string, value: string | undefined): string {
  if (value === undefined) throw new UsageError(`--${flag} is needed (\`listwatch help record\` shows all flags)`);
  return value;
}
