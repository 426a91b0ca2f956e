import { generate } from 'selfsigned';
import { KindSet } from '../../src/codec/kind-set.js';
import { kinds } from '../../src/codec/kinds.js';
import type { Kind } from '../../src/codec/kind.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import type { KindCodec } from '../../src/codec/codec.js';
import { createHttpServer, type HttpServer, type HttpServerDeps } from '../../src/http/server.js';
import { type Clock, systemClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import { type Random, seededRandom } from '../../src/lib/random.js';
import { utf8 } from '../../src/lib/bytes.js';
import { type Caches, createCaches } from '../../src/cache/caches.js';
import { createCowBtree } from '../../src/engine/cow-btree.js';
import { createVersions } from '../../src/versions/create-versions.js';
import { FragmentCache } from '../../src/serve/fragment-cache.js';
import type { EncodePool } from '../../src/workers/encode-pool.js';
import { createService, type Service } from '../../src/serve/service.js';
import { createEmbeddedStore, type EmbeddedStore } from '../../src/source/embedded/embedded-store.js';

/** A server over the real embedded store, caches and readers; nothing stands in for anything. */
export interface Serving {
  readonly store: EmbeddedStore;
  readonly service: Service;
  readonly caches: Caches;
  readonly fragments: FragmentCache | undefined;
  readonly server: HttpServer;
  readonly kinds: KindSet;
  put(resource: string, object: Record<string, unknown>): Promise<number>;
  remove(resource: string, namespace: string | undefined, name: string): Promise<number>;
  /** Idempotent; to be passed on. */
  readonly close: () => Promise<void>;
}

export interface ServingOptions {
  readonly limits?: Partial<Limits>;
  readonly clock?: Clock;
  /** A store that another server serves, too; it is not closed. */
  readonly store?: EmbeddedStore;
  /** False: every read goes to the store. */
  readonly watchCache?: boolean;
  /** What is freed is overwritten. */
  readonly poison?: boolean;
  /** Closed with the server. */
  readonly encoder?: EncodePool;
  readonly shardedListAndWatch?: boolean;
  readonly healthChecks?: HttpServerDeps['healthChecks'];
  readonly access?: HttpServerDeps['access'];
  readonly forwardTo?: HttpServerDeps['forwardTo'];
  readonly identityHeaders?: HttpServerDeps['identityHeaders'];
  readonly goAwayChance?: number;
  readonly random?: Random;
}

export const servedKinds = kinds.filter(({ servedByDefault }) => servedByDefault);

export function kindOf(resource: string): Kind {
  return servedKinds.find((kind) => kind.resource === resource)!;
}

export function startServing(options: ServingOptions = {}): Serving {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? seededRandom(1);
  const limits = { ...defaultLimits, ...options.limits };
  const store = options.store ?? createEmbeddedStore({ clock, random });
  const codecs = new Map<Kind, KindCodec>();
  const codecOf = (kind: Kind) => {
    let codec = codecs.get(kind);
    if (codec === undefined) codecs.set(kind, (codec = createKindCodec(kind)));
    return codec;
  };
  const caches = createCaches({
    etcdPrefix: '/registry',
    sourceFor: () => store,
    codecFor: codecOf,
    storageFor() {
      const versions = createVersions({ poison: options.poison ?? false });
      return { versions, engine: createCowBtree(versions) };
    },
    clock,
    random,
    limits,
  });
  const { encoder } = options;
  const byLeaves = limits.fragmentCacheBytes > 0 || encoder !== undefined;
  const fragments = byLeaves ? new FragmentCache(limits, clock) : undefined;
  const service = createService({
    etcdPrefix: '/registry',
    source: () => store,
    codec: codecOf,
    cache: caches.get,
    watchCache: options.watchCache ?? true,
    watchCacheSizes: new Map(),
    shardedListAndWatch: options.shardedListAndWatch ?? false,
    fragments: () => fragments,
    ...(encoder === undefined ? {} : { encoder }),
    limits,
    clock,
    random,
  });
  const kindSet = new KindSet(servedKinds);
  const server = createHttpServer({
    kinds: kindSet,
    readerFor: (kind) => service.reader(kind),
    caches: caches.all,
    fragments: () => fragments?.stats,
    ...(encoder === undefined ? {} : { encodeWorkers: () => encoder.stats }),
    healthChecks: options.healthChecks ?? [],
    build: { packageVersion: '0.1.0' },
    access: options.access,
    forwardTo: options.forwardTo,
    identityHeaders: options.identityHeaders,
    goAwayChance: options.goAwayChance ?? 0,
    limits,
    clock,
    random,
  });
  const keyOf = (kind: Kind, namespace: string | undefined, name: string) =>
    utf8(`/registry/${kind.directory}/${kind.namespaced ? `${namespace}/` : ''}${name}`);
  let closing: Promise<void> | undefined;
  const close = async () => {
    await server.close();
    fragments?.stop();
    await encoder?.close();
    await caches.stopAll();
    if (options.store === undefined) await store.close();
  };
  return {
    store,
    service,
    caches,
    fragments,
    server,
    kinds: kindSet,
    put(resource, object) {
      const kind = kindOf(resource);
      const metadata = object['metadata'] as { name: string; namespace?: string };
      const value = codecOf(kind).toStored({
        apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`,
        kind: kind.kind,
        ...object,
      });
      return store.write([{ type: 'put', key: keyOf(kind, metadata.namespace, metadata.name), value }]);
    },
    remove: (resource, namespace, name) =>
      store.write([{ type: 'delete', key: keyOf(kindOf(resource), namespace, name) }]),
    close: () => (closing ??= close()),
  };
}

export function pod(name: string, namespace = 'default', more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    metadata: { name, namespace, uid: `uid-${name}`, creationTimestamp: '2026-01-02T03:04:05Z', labels: { app: 'a' } },
    spec: { containers: [{ name: 'c', image: 'i' }] },
    status: { phase: 'Running' },
    ...more,
  };
}

let made: Promise<{ cert: string; key: string }> | undefined;

/** A self-signed certificate for localhost, made once. */
export function certificate(): Promise<{ cert: string; key: string }> {
  made ??= generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' }).then((pair) => ({
    cert: pair.cert,
    key: pair.private,
  }));
  return made;
}
