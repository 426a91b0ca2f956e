import type { Cache, CacheState } from '../cache/cache.js';
import type { KindCodec } from '../codec/codec.js';
import { type Kind, storageResourceOf } from '../codec/kind.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { type Admission, unlimited } from '../lib/memory-budget.js';
import type { Random } from '../lib/random.js';
import type { Source } from '../source/source.js';
import type { FragmentCache } from './fragment-cache.js';
import { type FragmentEncoder, InThreadEncoder } from './fragment-encoder.js';
import { KindFragments } from './fragments.js';
import { createRevisionProbe, type RevisionProbe } from './freshness.js';
import { createReader } from './kind-reader.js';
import { createProgressTrust, type ProgressTrust } from './progress-trust.js';
import type { Reader } from './reader.js';
import { directoryOf } from './scope.js';

/** Everything that can be read, one Reader per kind. */
export interface Service {
  reader(kind: Kind): Reader;
  /** The kind is not served any more: its reader goes. */
  forget(kind: Kind): void;
  /** False: every read of the kind goes to the source. */
  isCached(kind: Kind): boolean;
  /** The caches that exist, for /readyz and metrics. */
  readiness(): KindReadiness[];
}

export interface KindReadiness {
  readonly kind: Kind;
  readonly state: CacheState;
  /** Age of what it serves, when the source is out of reach. */
  readonly staleMs: number;
  readonly lastError: string | undefined;
}

export interface ServiceOptions {
  /** `/registry`: with a slash in front and none behind. */
  readonly etcdPrefix: string;
  /** Of one kind: different kinds may live in different stores. The same object for the same store. */
  readonly source: (kind: Kind) => Source;
  readonly codec: (kind: Kind) => KindCodec;
  /** The cache of a kind, made at its first call, not started. Only called for kinds that are cached. */
  readonly cache: (kind: Kind) => Cache;
  /** `--watch-cache`. */
  readonly watchCache: boolean;
  /** `--watch-cache-sizes`: resource (`events`, `deployments.apps`) to size; 0 turns its cache off. */
  readonly watchCacheSizes: ReadonlyMap<string, number>;
  /** Feature gate ShardedListAndWatch: without it `shardSelector` is ignored. Off when absent, as upstream. */
  readonly shardedListAndWatch?: boolean;
  /** Where LISTs of a kind keep what they encoded; undefined: nowhere. */
  readonly fragments?: (kind: Kind) => FragmentCache | undefined;
  /** Who encodes them; this thread when absent. */
  readonly encoder?: FragmentEncoder;
  /** Of LISTs, by the memory they need; absent: all are admitted. */
  readonly admission?: Admission;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
}

/** What the kinds of one store ask it together. */
interface Shared {
  readonly probe: RevisionProbe;
  readonly progress: ProgressTrust;
}

export function createService(options: ServiceOptions): Service {
  const { limits, clock, random } = options;
  const encoder = options.encoder ?? new InThreadEncoder();
  const readers = new Map<Kind, Reader>();
  const caches = new Map<Kind, Cache>();
  const shared = new Map<Source, Shared>();

  function sharedBy(source: Source): Shared {
    let both = shared.get(source);
    if (both === undefined) {
      both = { probe: createRevisionProbe(source), progress: createProgressTrust(source, clock, limits) };
      shared.set(source, both);
    }
    return both;
  }

  function isCached(kind: Kind): boolean {
    if (!options.watchCache) return false;
    const size = options.watchCacheSizes.get(storageResourceOf(kind));
    return size === undefined ? kind.cachedByDefault : size > 0;
  }

  function create(kind: Kind): Reader {
    const source = options.source(kind);
    const cache = isCached(kind) ? options.cache(kind) : undefined;
    if (cache !== undefined) caches.set(kind, cache);
    const codec = options.codec(kind);
    const fragments = options.fragments?.(kind);
    return createReader({
      kind,
      codec,
      directory: directoryOf(options.etcdPrefix, kind),
      source,
      cache,
      fragments: fragments === undefined ? undefined : new KindFragments(codec, fragments, encoder, limits),
      ...sharedBy(source),
      shardedListAndWatch: options.shardedListAndWatch === true,
      admission: options.admission ?? unlimited,
      limits,
      clock,
      random,
    });
  }

  return {
    isCached,
    reader(kind) {
      let reader = readers.get(kind);
      if (reader === undefined) readers.set(kind, (reader = create(kind)));
      return reader;
    },
    forget(kind) {
      readers.delete(kind);
      caches.delete(kind);
    },
    readiness: () => [...caches].map(([kind, { state, staleMs, lastError }]) => ({ kind, state, staleMs, lastError })),
  };
}
