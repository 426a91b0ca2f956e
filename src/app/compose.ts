import { groupResourceOf } from '../api/gvr.js';
import type { KindCodec } from '../codec/codec.js';
import { isSecret, type Kind } from '../codec/kind.js';
import { createKindCodec } from '../codec/kind-codec.js';
import { KindSet } from '../codec/kind-set.js';
import { kinds as registry } from '../codec/kinds.js';
import { decryptingSource } from '../encryption/decrypting-source.js';
import type { KmsCallObserver } from '../http/encryption-metrics.js';
import type { HttpServer } from '../http/server.js';
import { HeldCalls } from '../lib/held-calls.js';
import { FragmentCache } from '../serve/fragment-cache.js';
import { EncodePool } from '../workers/encode-pool.js';
import { createService } from '../serve/service.js';
import type { Source, WritableStore } from '../source/source.js';
import { openCaches } from './caches.js';
import { followAuthorities } from './authority-renewal.js';
import { followCertificate } from './certificate-renewal.js';
import { provideCertificate } from './certificates.js';
import type { Config, StoreConfig } from './config.js';
import { CustomKinds } from './custom-kinds.js';
import { withDeclaredFields } from './declared-fields.js';
import { openSources } from './etcd-overrides.js';
import { IdleCollector } from './heap.js';
import { openForwardTarget } from './forward-config.js';
import { createHealthChecks } from './health-checks.js';
import { type AccessOpener, later } from './later.js';
import type { OpenAccessParts } from './open-access.js';
import { checkPorts, type Listening, openListeners } from './listen.js';
import { type FillParts, fillStore, type Running } from './fill-store.js';
import type { FollowedFiles } from './followed-files.js';
import type { LoadSummary } from './load/load.js';
import { createMemoryBudget, memoryReport } from './memory.js';
import { meteredSource, type ReportRequest, resourceOf } from './metered-source.js';
import { TwinRecord } from '../engine/twin.js';
import { openCheckpoints } from './open-checkpoints.js';
import { openSource } from './open-source.js';
import type { Stoppable } from './shutdown.js';

export interface AppParts extends FillParts {
  /** Of the listwatch package. */
  readonly version: string;
  /** Is given the embedded store, when there is one: to write into it while it is served. */
  readonly onEmbedded?: (store: WritableStore) => void;
}

export interface RunningServer extends Stoppable {
  readonly listening: { readonly insecure: Listening | undefined; readonly secure: Listening | undefined };
  readonly loaded: LoadSummary | undefined;
}

/** Joins everything; the only place that picks implementations. Rejects with UsageError for what the caller can put right. */
export async function startServer(config: Config, parts: AppParts): Promise<RunningServer> {
  const { clock, random, log } = parts;
  const { limits } = config;
  await checkPorts(config);
  const { secure } = config;
  const pair = secure === undefined ? undefined : await provideCertificate(secure.tls, secure.address, clock.nowMs());
  // The server, which has the metrics, is made from what these report.
  const reviewed = new HeldCalls<Parameters<OpenAccessParts['reviewed']>>();
  const reported = new HeldCalls<Parameters<ReportRequest>>();
  const reportedKms = new HeldCalls<Parameters<KmsCallObserver>>();
  const opener = config.access === undefined ? undefined : await later.access();
  const access =
    config.access === undefined
      ? undefined
      : opener?.openAccess(config.access, limits, { ...parts, reviewed: reviewed.call });
  const forwardTo = config.forward === undefined ? undefined : openForwardTarget(config.forward);
  const encryption =
    config.encryption === undefined
      ? undefined
      : new (await later.encryption()).Encryption(config.encryption, {
          clock,
          random,
          limits,
          log,
          report: reportedKms.call,
        });
  const opened = openSource(config.store, limits, parts);
  const { embedded } = opened;
  const { store } = config;
  const kinds = new KindSet(
    registry.filter((kind) => kind.servedByDefault).map((kind) => withDeclaredFields(kind, config.indexFields)),
    (kind) => withDeclaredFields(kind, config.indexFields),
  );
  const metered = (one: Source) => {
    const source = meteredSource(one, store.prefix, kinds, clock, reported.call);
    if (encryption === undefined) return source;
    const decryptionOf = (key: Uint8Array) => encryption.decryptionOf(resourceOf(key, store.prefix, kinds));
    return decryptingSource(source, decryptionOf, limits.kmsHeldBytesMax);
  };
  const source = store.kind === 'embedded' ? opened.source : metered(opened.source);
  const sources = openSources(source, config.etcdOverrides, (endpoints) =>
    metered(openSource({ ...store, endpoints } as StoreConfig, limits, parts).source),
  );
  const codec = codecs(config);
  const checkpoints = openCheckpoints(config, source, encryption, parts);
  const twins = new TwinRecord((message) => parts.log.error({ twin: config.twin }, message));
  const caches = openCaches(config, codec, sources.of, checkpoints, twins, parts);
  const encoder = new EncodePool({
    workers: config.encodeWorkers,
    limits,
    clock,
    onCrash: (error) => log.error({ err: error }, 'an encode worker has ended; another one takes its place'),
  });
  // A cache of no size keeps nothing, but LISTs are made from leaves, which workers can encode.
  const byLeaves = limits.fragmentCacheBytes > 0 || config.encodeWorkers > 0;
  const fragments = byLeaves ? new FragmentCache(limits, clock) : undefined;
  const collector = new IdleCollector({ clock, limits });
  const sheddables = fragments === undefined ? [] : [fragments];
  const budget = createMemoryBudget(config, caches, sheddables, () => collector.press(), { clock, log, limits });
  const service = createService({
    etcdPrefix: config.store.prefix,
    source: sources.of,
    codec,
    cache: (kind) => caches.get(kind),
    watchCache: config.watchCache,
    watchCacheSizes: config.watchCacheSizes,
    // Freed Secrets leave no bytes behind, so none of theirs are kept.
    fragments: (kind) => (isSecret(kind) ? undefined : fragments),
    encoder,
    shardedListAndWatch: config.featureGates.shardedListAndWatch,
    admission: budget,
    limits,
    clock,
    random,
  });
  const eager = new Set(kinds.all.filter((kind) => service.isCached(kind) && isEager(config, opener, kind)));
  const customKinds = new CustomKinds({
    kinds,
    reader: service.reader(kinds.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions')!),
    clock,
    limits,
    appeared(kind) {
      if (!service.isCached(kind) || !isEager(config, opener, kind)) return;
      caches.startAll([kind]);
      // A server that is ready does not become unready because somebody defines a kind.
      if (!customKinds.synced) eager.add(kind);
    },
    known() {
      for (const resource of config.eager === 'all' ? [] : config.eager) {
        if (kinds.all.some(({ group, resource: plural }) => groupResourceOf(group, plural) === resource)) continue;
        log.warn(
          { resource },
          '--watch-cache-initialization names a resource that no CustomResourceDefinition defines',
        );
      }
    },
    removed(kind, revision) {
      eager.delete(kind);
      service.forget(kind);
      caches.retire(kind, revision);
    },
    log: (message) => log.warn({ resource: 'customresourcedefinitions.apiextensions.k8s.io' }, message),
  });
  let http: HttpServer | undefined;
  let running: Running | undefined;
  const renewals: FollowedFiles[] = [];
  const release = async () => {
    for (const renewal of renewals) renewal.stop();
    access?.stop();
    budget.stop();
    collector.stop();
    customKinds.stop();
    encryption?.stop();
    await running?.stop();
    fragments?.stop();
    await encoder.close();
    await checkpoints?.stop(caches.all());
    await caches.stopAll();
    await sources.close();
  };
  try {
    const filled = await fillStore(embedded, codec, kinds, config, parts);
    const { loaded } = filled;
    running = filled.running;
    if (embedded !== undefined) parts.onEmbedded?.(embedded);
    // What the store is asked now, it answers while the rest of our modules is loaded.
    caches.startAll(eager);
    customKinds.start();
    const { createHttpServer } = await later.http();
    const serving = createHttpServer({
      kinds,
      // What was loaded is known; a kind that etcd has may not be yet.
      kindsKnown: () => embedded !== undefined || customKinds.synced,
      readerFor: (kind) => service.reader(kind),
      caches: () => caches.all(),
      fragments: () => fragments?.stats,
      encodeWorkers: () => encoder.stats,
      checkpoints: () => checkpoints?.stats,
      twins: () => (config.twin === undefined ? undefined : twins),
      encryption: encryption === undefined ? undefined : () => encryption.stats,
      healthChecks: createHealthChecks({
        sources: config.store.kind === 'etcd' ? sources.all : [],
        encryption: encryption?.healthChecks ?? [],
        eager: () => [...eager].map((kind) => caches.get(kind)),
        customKinds,
      }),
      build: { packageVersion: parts.version },
      access,
      forwardTo,
      identityHeaders: config.access && opener?.identityHeadersOf(config.access),
      listSyntax: { extendedFieldSelectors: config.extendedFieldSelectors },
      goAwayChance: config.goAwayChance,
      limits,
      clock,
      random,
      // What fastify says about itself is for those who look closer.
      log: log.child({}, { level: config.verbosity > 3 ? log.level : 'warn' }),
    });
    http = serving;
    const { metrics } = serving;
    reported.deliverTo((...request) => metrics.etcdRequest(...request));
    reportedKms.deliverTo(metrics.kmsCall);
    reviewed.deliverTo((...review) => metrics.reviewed(...review));
    metrics.reportMemory(() =>
      memoryReport(budget, caches, collector.collections, {
        fragments: fragments?.bytes ?? 0,
        unsent: serving.unsentBytes,
      }),
    );
    access?.start((group, resource) => {
      const kind = kinds.all.find((one) => one.group === group && one.resource === resource);
      return kind === undefined ? undefined : service.reader(kind);
    });
    budget.start();
    collector.start();
    encryption?.start();
    checkpoints?.start(() => caches.all());
    const authorities = access?.authorities ?? [];
    const ca = () => authorities.map((one) => one.authorities.pem);
    const listening = await openListeners(serving, config, pair, ca());
    const { certificatePollMs: everyMs } = limits;
    if (pair !== undefined && secure !== undefined && 'certFile' in secure.tls) {
      const [what, renewed] = ['tls-cert-file', serving.renewTls] as const;
      renewals.push(followCertificate({ what, ...secure.tls, pair, everyMs, renewed, clock, log }));
    }
    for (const one of authorities) {
      const renewed = () => serving.renewTls({ ca: ca() });
      renewals.push(followAuthorities({ ...one, everyMs, renewed, clock, log }));
    }
    if (forwardTo?.pair !== undefined && config.forward?.clientPair !== undefined) {
      const [what, renewed] = ['proxy-client-cert-file', serving.renewForwardCertificate] as const;
      const { clientPair } = config.forward;
      renewals.push(followCertificate({ what, ...clientPair, pair: forwardTo.pair, everyMs, renewed, clock, log }));
    }
    log.info({ ...urlsOf(listening), source: source.name }, 'serving');
    return {
      listening,
      loaded,
      beginShutdown: () => serving.beginShutdown(),
      async stop() {
        await serving.close();
        await release();
        log.info('stopped');
      },
    };
  } catch (error) {
    await http?.close();
    await release();
    throw error;
  }
}

/** Permissions are read from caches, so these start with the server. */
function isEager({ eager, access }: Config, opener: AccessOpener | undefined, kind: Kind): boolean {
  if (access !== undefined && opener?.isFollowed(access, kind.group, kind.resource) === true) return true;
  return eager === 'all' || eager.has(groupResourceOf(kind.group, kind.resource));
}

function codecs({ omitManagedFields }: Config): (kind: Kind) => KindCodec {
  const made = new WeakMap<Kind, KindCodec>();
  return (kind) => {
    let codec = made.get(kind);
    if (codec === undefined) made.set(kind, (codec = createKindCodec(kind, { omitManagedFields })));
    return codec;
  };
}

function urlsOf({ insecure, secure }: RunningServer['listening']): Record<string, string> {
  return {
    ...(insecure === undefined ? {} : { http: insecure.url }),
    ...(secure === undefined ? {} : { https: secure.url }),
  };
}
