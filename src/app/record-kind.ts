import { KindSet } from '../codec/kind-set.js';
import { kinds } from '../codec/kinds.js';
import { createKindCodec } from '../codec/kind-codec.js';
import type { Kind } from '../codec/kind.js';
import { type Recorded, record } from '../recording/recorder.js';
import { SourceError } from '../source/source.js';
import type { Config } from './config.js';
import { type FillParts, fillStore } from './fill-store.js';
import { openSource } from './open-source.js';
import { oneLine, UsageError } from './usage-error.js';

export interface RecordOptions {
  readonly kind: Kind;
  /** Must not exist. */
  readonly path: string;
  readonly changesMax: number | undefined;
  /** Ends the recording. */
  readonly signal: AbortSignal;
  readonly progress: (recorded: Recorded) => void;
}

/** Records one kind of the store that the config names. Rejects with UsageError for what the caller can put right. */
export async function recordKind(config: Config, parts: FillParts, options: RecordOptions): Promise<Recorded> {
  const { clock } = parts;
  const { kind, path } = options;
  const { source, embedded } = openSource(config.store, config.limits, parts);
  let running: { stop(): Promise<void> } | undefined;
  try {
    ({ running } = await fillStore(embedded, (one) => createKindCodec(one), new KindSet(kinds), config, parts));
    return await record({
      ...options,
      source,
      clock,
      header: {
        group: kind.group,
        version: kind.version,
        resource: kind.resource,
        prefix: `${config.store.prefix}/${kind.directory}/`,
        startedAt: new Date(clock.nowMs()).toISOString(),
        source: source.name,
      },
    });
  } catch (error) {
    if (error instanceof SourceError) throw new UsageError(`${source.name}: ${oneLine(error)}`);
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new UsageError(`--output ${path}: exists; give the name of a new file`);
    if (code !== undefined) throw new UsageError(`--output ${path}: ${oneLine(error)}`);
    throw error;
  } finally {
    await running?.stop();
    await source.close();
  }
}
