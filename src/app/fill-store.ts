import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import type { KindSet } from '../codec/kind-set.js';
import type { Clock } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { WritableStore } from '../source/source.js';
import type { Config } from './config.js';
import type { LoadProgress, LoadSummary } from './load/load.js';
import type { Log } from './log.js';
import { createObjectStore, type ObjectStore } from './object-store.js';
import { UsageError } from './usage-error.js';

export interface FillParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly progress?: { update(progress: LoadProgress): void; stop(): void };
  /** One line for each object that --load rejects. */
  readonly reject?: (line: string) => void;
}

/** What goes on writing into the store. */
export interface Running {
  stop(): Promise<void>;
}

/** Puts into the embedded store what --load, --sample and --replay ask for, and waits until it is there. */
export async function fillStore(
  embedded: WritableStore | undefined,
  codec: (kind: Kind) => KindCodec,
  kinds: KindSet,
  config: Pick<Config, 'store' | 'load' | 'sample' | 'replay'>,
  parts: FillParts,
): Promise<{ readonly loaded: LoadSummary | undefined; readonly running: Running | undefined }> {
  if (embedded === undefined) return { loaded: undefined, running: undefined };
  const objects = createObjectStore(embedded, config.store.prefix, codec, kinds);
  const loaded = config.load === undefined ? undefined : await load(objects, config.load, parts);
  if (config.replay !== undefined) {
    const { startReplay } = await import('./replay.js');
    return { loaded, running: await startReplay(embedded, config.store.prefix, config.replay, parts) };
  }
  if (config.sample === undefined) return { loaded, running: undefined };
  const { runSample } = await import('./sample/run-sample.js');
  const failed = (error: unknown) => parts.log.error({ err: error }, 'the sample cluster has stopped');
  return { loaded, running: await runSample(objects, config.sample, parts.clock, failed) };
}

async function load(
  objects: ObjectStore,
  options: NonNullable<Config['load']>,
  parts: FillParts,
): Promise<LoadSummary> {
  const { clock, random, log, progress } = parts;
  const { loadManifests } = await import('./load/load.js');
  const summary = await loadManifests(options.paths, objects, clock, random, {
    reject: (line) => parts.reject?.(line),
    progress: (at) => progress?.update(at),
  }).finally(() => progress?.stop());
  const { rejected, namespacesMissing, ...counts } = summary;
  if (rejected > 0 && !options.ignoreErrors) {
    const total = rejected + counts.objects + counts.repeated;
    throw new UsageError(`--load: ${rejected} of ${total} objects rejected; --load-ignore-errors goes on without them`);
  }
  log.info({ ...counts, rejected }, 'loaded');
  if (namespacesMissing.length > 0) {
    log.warn(
      { namespaces: namespacesMissing.slice(0, 20).join(',') },
      'objects are in namespaces that were not loaded',
    );
  }
  return summary;
}
