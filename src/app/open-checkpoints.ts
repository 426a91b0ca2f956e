import { isSecret } from '../codec/kind.js';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { groupResourceOf } from '../api/gvr.js';
import { Checkpoints } from '../checkpoint/checkpoints.js';
import type { Clock } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { Source } from '../source/source.js';
import { makeFolder } from './certificates.js';
import type { Config } from './config.js';
import { fileProblem } from './load/files.js';
import type { Encryption } from './open-encryption.js';
import type { Log } from './log.js';
import { UsageError } from './usage-error.js';

export interface CheckpointParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly version: string;
}

/** Checkpoints in --cache-dir, which is made, or checked; throws UsageError. undefined without the flag. */
export function openCheckpoints(
  config: Config,
  source: Source,
  encryption: Encryption | undefined,
  parts: CheckpointParts,
): Checkpoints | undefined {
  const { cacheDir: folder, etcdOverrides, limits, omitManagedFields, store } = config;
  if (folder === undefined) return undefined;
  const { clock, random, log, version } = parts;
  prepareFolder(folder);
  return new Checkpoints({
    folder,
    source,
    etcdPrefix: store.prefix,
    make: `listwatch ${version}${omitManagedFields ? ' without managedFields' : ''}`,
    // What a custom resource looks like is in its CRD, which may have changed meanwhile; files are of one store, the main one.
    isPrivate: (kind) =>
      isSecret(kind) ||
      // What was encrypted at rest is not written decrypted.
      encryption?.covers(kind) === true ||
      kind.custom !== undefined ||
      etcdOverrides.has(groupResourceOf(kind.group, kind.resource)),
    clock,
    random,
    limits,
    log: ({ group, resource }, level, message) => log[level]({ resource: groupResourceOf(group, resource) }, message),
  });
}

/** Others may neither read nor write what will be served; what a killed process left half written goes. */
function prepareFolder(folder: string): void {
  const probe = join(folder, `writable.${process.pid}.tmp`);
  let mode: number;
  try {
    makeFolder(folder);
    mode = statSync(folder).mode & 0o777;
    writeFileSync(probe, '', { mode: 0o600 });
    rmSync(probe);
    for (const name of readdirSync(folder)) {
      if (/\.checkpoint\.\d+\.tmp$/.test(name)) rmSync(join(folder, name), { force: true });
    }
  } catch (error) {
    throw new UsageError(`--cache-dir ${folder}: ${fileProblem(error)}; checkpoints are kept there`);
  }
  if ((mode & 0o077) !== 0) {
    throw new UsageError(`--cache-dir ${folder}: others can get in (mode ${mode.toString(8)}); expected mode 700`);
  }
}
