import { type Caches, createCaches } from '../src/cache/caches.js';
import type { KindCodec } from '../src/codec/codec.js';
import { KindSet } from '../src/codec/kind-set.js';
import type { Kind } from '../src/codec/kind.js';
import { createKindCodec } from '../src/codec/kind-codec.js';
import { createCowBtree } from '../src/engine/cow-btree.js';
import { createHttpServer, type HttpServer } from '../src/http/server.js';
import { systemClock } from '../src/lib/clock.js';
import { defaultLimits, type Limits } from '../src/lib/limits.js';
import { seededRandom } from '../src/lib/random.js';
import { FragmentCache } from '../src/serve/fragment-cache.js';
import { createService } from '../src/serve/service.js';
import type { Source } from '../src/source/source.js';
import { createVersions } from '../src/versions/create-versions.js';

export interface ServedStore {
  readonly http: HttpServer;
  readonly caches: Caches;
  /** undefined where `limits.fragmentCacheBytes` is 0. */
  readonly fragments: FragmentCache | undefined;
  close(): Promise<void>;
}

/** A listwatch over a store, in this process, as `listwatch serve` puts it together; it listens nowhere yet. */
export function serveStore(store: Source, kinds: readonly Kind[], limits: Limits = defaultLimits): ServedStore {
  const clock = systemClock;
  const random = seededRandom(7);
  const codecs = new Map<Kind, KindCodec>();
  const codec = (kind: Kind): KindCodec => {
    if (!codecs.has(kind)) codecs.set(kind, createKindCodec(kind));
    return codecs.get(kind)!;
  };
  const caches = createCaches({
    sourceFor: () => store,
    codecFor: codec,
    storageFor() {
      const versions = createVersions({ clock });
      return { versions, engine: createCowBtree(versions) };
    },
    etcdPrefix: '/registry',
    clock,
    random,
    limits,
  });
  const fragments = limits.fragmentCacheBytes > 0 ? new FragmentCache(limits, clock) : undefined;
  const service = createService({
    etcdPrefix: '/registry',
    source: () => store,
    codec,
    cache: (kind) => caches.get(kind),
    watchCache: true,
    watchCacheSizes: new Map(),
    fragments: () => fragments,
    limits,
    clock,
    random,
  });
  const http = createHttpServer({
    kinds: new KindSet(kinds),
    readerFor: (kind) => service.reader(kind),
    caches: () => caches.all(),
    healthChecks: [],
    build: { packageVersion: '0.0.0' },
    limits,
    clock,
    random,
  });
  return {
    http,
    caches,
    fragments,
    async close() {
      await http.close();
      await caches.stopAll();
      fragments?.stop();
    },
  };
}
