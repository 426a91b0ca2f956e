import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CheckpointStats } from '../checkpoint/checkpoints.js';
import type { FragmentStats } from '../serve/fragment-cache.js';
import type { EncodeStats } from '../serve/fragment-encoder.js';
import { type MeteredCache, registerCacheMetrics, RESOURCE } from './cache-metrics.js';
import { registerEncodeMetrics } from './encode-metrics.js';
import { type EncryptionStats, type KmsCallObserver, registerEncryptionMetrics } from './encryption-metrics.js';
import { registerCheckpointMetrics } from './checkpoint-metrics.js';
import { type ConnectionCounts, registerConnectionMetrics } from './connection-metrics.js';
import { registerTwinMetrics, type TwinCounts } from './twin-metrics.js';
import { ForwardMetrics } from './forward/forward-metrics.js';
import { registerFragmentMetrics } from './fragment-metrics.js';
import { type MemoryReport, registerMemoryMetrics } from './memory-metrics.js';
import { type ReviewKind, ReviewMetrics } from './review-metrics.js';
import type { BuildInfo } from './version.js';
import { versionDocument } from './version.js';

/** Of one request, as kube-apiserver labels it. Empty for what is not a resource of ours, so that clients cannot make labels up. */
export interface RequestLabels {
  /** GET, LIST, WATCH, or the method of a request that is not for a resource. */
  verb: string;
  group: string;
  version: string;
  resource: string;
  subresource: string;
  /** resource: one object; namespace or cluster: a collection. */
  scope: string;
}

const REQUEST = ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'] as const;
const COMPONENT = 'apiserver';
const DURATIONS = [
  ...[0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60],
];
const SIZES = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);

/** kube-apiserver's own names where the meaning is the same (spec 7.7); ours begin with `listwatch_`. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #reviews = new ReviewMetrics(this.#registry);
  readonly #total;
  readonly #duration;
  readonly #sizes;
  readonly #longRunning;
  readonly #inFlight: Gauge<'request_kind'>;
  readonly #aborts;
  readonly #terminations;
  readonly #deprecated;
  readonly #watchEvents: Counter<'group' | 'version' | 'resource'>;
  /** Since the last time that somebody looked: a counter of prom-client costs more than an event. */
  readonly #eventsSent = new Map<string, EventsSent>();
  readonly #watchesRefused;
  readonly #etcdDuration;
  readonly #etcdTotal;
  readonly #etcdErrors;
  /** Of `#inFlight`, whose one label value this is. */
  #reading = 0;
  readonly #counts = new Map<string, RequestCounts>();

  constructor(
    caches: () => Iterable<MeteredCache>,
    build: BuildInfo,
    fragments?: () => FragmentStats | undefined,
    encodeWorkers?: () => EncodeStats,
    checkpoints?: () => CheckpointStats | undefined,
    twins?: () => TwinCounts | undefined,
    encryption?: () => EncryptionStats | undefined,
  ) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#total = new Counter({
      name: 'apiserver_request_total',
      help: 'Requests by verb, resource and HTTP code.',
      labelNames: [...REQUEST, 'dry_run', 'code'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'apiserver_request_duration_seconds',
      help: 'Time from the request to the end of its response; watches are not observed.',
      labelNames: [...REQUEST, 'dry_run'],
      buckets: DURATIONS,
      registers,
    });
    this.#sizes = new Histogram({
      name: 'apiserver_response_sizes',
      help: 'Bytes of response bodies, before compression.',
      labelNames: [...REQUEST],
      buckets: SIZES,
      registers,
    });
    this.#longRunning = new Gauge({
      name: 'apiserver_longrunning_requests',
      help: 'Watches that are open.',
      labelNames: [...REQUEST],
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'apiserver_current_inflight_requests',
      help: 'Requests being answered, watches not counted.',
      labelNames: ['request_kind'],
      registers,
      collect: () => this.#inFlight.set({ request_kind: 'readOnly' }, this.#reading),
    });
    this.#aborts = new Counter({
      name: 'apiserver_request_aborts_total',
      help: 'Responses that were cut off, by the client or by us.',
      labelNames: ['verb', 'group', 'version', 'resource', 'subresource', 'scope'],
      registers,
    });
    this.#terminations = new Counter({
      name: 'apiserver_request_terminations_total',
      help: 'Requests given up in self-defence: deadline passed, too many at once, or the server shuts down.',
      labelNames: [...REQUEST, 'code'],
      registers,
    });
    this.#deprecated = new Gauge({
      name: 'apiserver_requested_deprecated_apis',
      help: 'Deprecated resources that were asked for.',
      labelNames: ['group', 'version', 'resource', 'subresource', 'removed_release'],
      registers,
    });
    this.#watchEvents = new Counter({
      name: 'apiserver_watch_events_total',
      help: 'Events sent to watchers.',
      labelNames: ['group', 'version', 'resource'],
      registers,
      collect: () => {
        for (const sent of this.#eventsSent.values()) {
          this.#watchEvents.inc(sent.labels, sent.count);
          sent.count = 0;
        }
      },
    });
    this.#watchesRefused = new Counter({
      name: 'listwatch_watches_refused_total',
      help: 'Watches refused because their client had as many as --max-watches-per-client allows.',
      labelNames: ['group', 'version', 'resource'],
      registers,
    });
    this.#etcdDuration = new Histogram({
      name: 'etcd_request_duration_seconds',
      help: 'Time that requests to etcd took.',
      labelNames: ['operation', ...RESOURCE],
      buckets: DURATIONS,
      registers,
    });
    this.#etcdTotal = new Counter({
      name: 'etcd_requests_total',
      help: 'Requests to etcd.',
      labelNames: ['operation', ...RESOURCE],
      registers,
    });
    this.#etcdErrors = new Counter({
      name: 'etcd_request_errors_total',
      help: 'Requests to etcd that failed.',
      labelNames: ['operation', ...RESOURCE],
      registers,
    });
    const { major, minor, gitVersion, goVersion, platform } = versionDocument(build);
    new Gauge({
      name: 'kubernetes_build_info',
      help: 'Always 1; the labels say which release the answers are those of.',
      labelNames: ['major', 'minor', 'git_version', 'go_version', 'platform'],
      registers,
    }).set({ major, minor, git_version: gitVersion, go_version: goVersion, platform }, 1);
    registerCacheMetrics(this.#registry, caches);
    if (fragments !== undefined) registerFragmentMetrics(this.#registry, fragments);
    if (encodeWorkers !== undefined) registerEncodeMetrics(this.#registry, encodeWorkers);
    if (checkpoints !== undefined) registerCheckpointMetrics(this.#registry, checkpoints);
    if (twins !== undefined) registerTwinMetrics(this.#registry, twins);
    if (encryption !== undefined) this.kmsCall = registerEncryptionMetrics(this.#registry, encryption);
  }

  /** Of a KMS plugin, which is there only with encryption at rest. */
  readonly kmsCall: KmsCallObserver = () => {};

  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Counts a request in. */
  begin(): void {
    this.#reading++;
  }

  /** The request has become a watch. */
  watching(labels: RequestLabels): void {
    this.#reading--;
    this.#longRunning.inc({ ...labels, component: COMPONENT });
  }

  /** Counts a request out. */
  end(labels: RequestLabels, { code, bytes, seconds, aborted, terminated, watching }: Outcome): void {
    const known = { ...labels, verb: methodOf(labels.verb) };
    const counts = this.#countsOf(known, code);
    counts.total.inc();
    if (watching) this.#longRunning.dec({ ...labels, component: COMPONENT });
    else {
      this.#reading--;
      counts.duration.observe(seconds);
      counts.sizes.observe(bytes);
    }
    if (aborted) this.#aborts.inc(known);
    if (terminated) this.#terminations.inc({ ...known, component: COMPONENT, code });
  }

  /** Bound to their labels, which are many and seldom new: to look them up by all labels costs more than to count. */
  #countsOf(known: RequestLabels, code: number): RequestCounts {
    const { verb, group, version, resource, subresource, scope } = known;
    const key = `${verb} ${group} ${version} ${resource} ${subresource} ${scope} ${code}`;
    let counts = this.#counts.get(key);
    if (counts === undefined) {
      const all = { ...known, component: COMPONENT };
      counts = {
        total: this.#total.labels({ ...all, dry_run: '', code }),
        duration: this.#duration.labels({ ...all, dry_run: '' }),
        sizes: this.#sizes.labels(all),
      };
      this.#counts.set(key, counts);
    }
    return counts;
  }

  deprecatedRequested(labels: RequestLabels, removedRelease: string): void {
    const { group, version, resource, subresource } = labels;
    this.#deprecated.set({ group, version, resource, subresource, removed_release: removedRelease }, 1);
  }

  /** Events sent to the watchers of one resource; all of them add to the same count. */
  watchEvents({ group, version, resource }: RequestLabels): { count: number } {
    const key = `${group}/${version}/${resource}`;
    let sent = this.#eventsSent.get(key);
    if (sent === undefined) {
      sent = { labels: { group, version, resource }, count: 0 };
      this.#eventsSent.set(key, sent);
    }
    return sent;
  }

  watchRefused({ group, version, resource }: RequestLabels): void {
    this.#watchesRefused.inc({ group, version, resource });
  }

  /** For sources: one request to etcd is done. `operation`: get, list, watch ... */
  etcdRequest(operation: string, group: string, resource: string, seconds: number, failed: boolean): void {
    this.#etcdDuration.observe({ operation, group, resource }, seconds);
    this.#etcdTotal.inc({ operation, group, resource });
    if (failed) this.#etcdErrors.inc({ operation, group, resource });
  }

  /** Only where something is forwarded. */
  forwarding(): ForwardMetrics {
    return new ForwardMetrics(this.#registry);
  }

  reportConnections(counts: ConnectionCounts): void {
    registerConnectionMetrics(this.#registry, counts);
  }

  reportMemory(report: () => MemoryReport): void {
    registerMemoryMetrics(this.#registry, report);
  }

  /** A review was posted to a webhook, or tried to be. */
  reviewed(kind: ReviewKind, code: string, seconds: number): void {
    this.#reviews.posted(kind, code, seconds);
  }

  close(): void {
    this.#registry.clear();
  }
}

interface EventsSent {
  readonly labels: Record<'group' | 'version' | 'resource', string>;
  count: number;
}

interface RequestCounts {
  readonly total: { inc(): void };
  readonly duration: { observe(seconds: number): void };
  readonly sizes: { observe(bytes: number): void };
}

export interface Outcome {
  readonly code: number;
  readonly bytes: number;
  readonly seconds: number;
  /** The response did not reach its end. */
  readonly aborted: boolean;
  readonly terminated: boolean;
  /** It was counted as a watch. */
  readonly watching: boolean;
}

/** Verbs of resources pass; methods that nobody knows share one label. */
function methodOf(verb: string): string {
  return METHODS.has(verb) || verb === 'LIST' || verb === 'WATCH' ? verb : 'other';
}
