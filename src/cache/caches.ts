import type { ModRevision } from '../api/revision.js';
import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import type { IndexName } from '../indexer/kind-index.js';
import { utf8 } from '../lib/bytes.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { defaultLimits, type Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import { PageGate } from '../source/page-gate.js';
import type { Source } from '../source/source.js';
import { createCache, type LiveCache } from './create-cache.js';
import type { SavedState } from './restored-state.js';
import type { Storage } from './storage.js';
import { createTimingWheel } from './timing-wheel.js';

export interface CachesOptions {
  /** May differ by kind: `--etcd-servers-overrides`. */
  readonly sourceFor: (kind: Kind) => Source;
  readonly codecFor: (kind: Kind) => KindCodec;
  /** Empty versions and an engine over them, e.g. as `--storage-engine` says. */
  readonly storageFor: (kind: Kind) => Storage;
  /** What is indexed from the start, whether or not somebody asks for it. */
  readonly indexedFor?: (kind: Kind) => readonly IndexName[];
  /** Where the state of an earlier process may be. */
  readonly savedFor?: (kind: Kind) => SavedState | undefined;
  /** Without a slash at its end, e.g. `/registry`. */
  readonly etcdPrefix: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly limits?: Limits;
  readonly log?: (kind: Kind, message: string) => void;
  readonly historyBytes?: number | undefined;
}

/** The caches of a process, by kind: made on first use, and started then or all at once. */
export interface Caches {
  /** Not started yet if it is new: its first read does that. */
  get(kind: Kind): LiveCache;
  /** Those that exist. */
  all(): readonly LiveCache[];
  /**
   * The kind is not served any more. Its watches end once the cache has come to `revision`, so that they show the last
   * of its objects go; its memory is given back when no request can be reading from it.
   */
  retire(kind: Kind, revision: ModRevision): void;
  startAll(kinds: Iterable<Kind>): void;
  stopAll(): Promise<void>;
}

export function createCaches(options: CachesOptions): Caches {
  const { sourceFor, codecFor, storageFor, indexedFor, savedFor, etcdPrefix, log, ...shared } = options;
  const clock = options.clock ?? systemClock;
  const limits = options.limits ?? defaultLimits;
  const wheel = createTimingWheel(clock);
  const pageGate = new PageGate(limits.listPagesMax);
  const retired = new Set<LiveCache>();
  const caches = new Map<Kind, LiveCache>();
  const get = (kind: Kind): LiveCache => {
    const found = caches.get(kind);
    if (found !== undefined) return found;
    const cache = createCache({
      ...shared,
      kind,
      codec: codecFor(kind),
      source: sourceFor(kind),
      createStorage: () => storageFor(kind),
      indexed: indexedFor?.(kind) ?? [],
      saved: savedFor?.(kind),
      prefix: utf8(`${etcdPrefix}/${kind.directory}/`),
      wheel,
      pageGate,
      ...(log === undefined ? {} : { log: (message: string) => log(kind, message) }),
    });
    caches.set(kind, cache);
    return cache;
  };
  return {
    get,
    all: () => [...caches.values()],
    retire(kind, revision) {
      const cache = caches.get(kind);
      if (cache === undefined) return;
      caches.delete(kind);
      retired.add(cache);
      void cache.waitFor(revision, limits.freshWaitMs).then(() => cache.endWatches());
      clock.setTimer(limits.requestTimeoutMs, () => {
        if (retired.delete(cache)) void cache.stop();
      });
    },
    startAll(kinds) {
      for (const kind of kinds) get(kind).start();
    },
    async stopAll() {
      for (const cache of [...caches.values(), ...retired]) await cache.stop();
      retired.clear();
      wheel.stop();
    },
  };
}
