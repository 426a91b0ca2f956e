import { groupResourceOf } from '../api/gvr.js';
import { type Caches, createCaches } from '../cache/caches.js';
import type { Checkpoints } from '../checkpoint/checkpoints.js';
import type { KindCodec } from '../codec/codec.js';
import { isSecret, type Kind } from '../codec/kind.js';
import { DEFAULT_ENGINE, engines } from '../engine/engines.js';
import { createTwin, type TwinRecord } from '../engine/twin.js';
import type { Clock } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { Source } from '../source/source.js';
import { createVersions } from '../versions/create-versions.js';
import type { Config } from './config.js';
import { declaredOf } from './declared-fields.js';
import type { Log } from './log.js';

/** The caches of the process: which engine orders a kind, and that freed Secrets leave no bytes behind. */
export function openCaches(
  config: Config,
  codecFor: (kind: Kind) => KindCodec,
  sourceFor: (kind: Kind) => Source,
  checkpoints: Checkpoints | undefined,
  twins: TwinRecord,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Log },
): Caches {
  const resourceOf = (kind: Kind) => groupResourceOf(kind.group, kind.resource);
  return createCaches({
    sourceFor,
    codecFor,
    storageFor(kind) {
      const resource = resourceOf(kind);
      const versions = createVersions({
        clock,
        zeroOnFree: isSecret(kind),
        onPinLeak: (owner) => log.error({ resource, owner }, 'a pin was lost'),
      });
      const engine = engines[config.engines.get(resource) ?? DEFAULT_ENGINE](versions);
      if (config.twin === undefined) return { versions, engine };
      return { versions, engine: createTwin(engine, engines[config.twin], versions, twins) };
    },
    indexedFor: (kind) => {
      const selectable = kind.custom === undefined ? [] : kind.selectableFields.map(({ label }) => label);
      return [...declaredOf(kind, config.indexFields), ...selectable].map((path) => `f:${path}` as const);
    },
    savedFor: (kind) => checkpoints?.savedFor(kind, codecFor(kind)),
    etcdPrefix: config.store.prefix,
    clock,
    random,
    limits: config.limits,
    log: (kind, message) => log.warn({ resource: resourceOf(kind) }, message),
  });
}
