import type { ModRevision } from '../../api/revision.js';
import { assert } from '../../lib/assert.js';
import { type Clock, sleep } from '../../lib/clock.js';
import type { Random } from '../../lib/random.js';
import {
  type EntryVisitor,
  type FetchedRange,
  type RangeRequest,
  type RangeResult,
  type Source,
  SourceError,
  type StoreId,
  type WatchHandle,
  type WatchHandler,
  type WatchRequest,
  type WritableStore,
  type WriteOperation,
} from '../source.js';
import { type CallOptions, Calls, closedError } from './calls.js';
import { type Endpoint, Endpoints } from './endpoints.js';
import { EtcdWatch } from './etcd-watch.js';
import { StoreIdentity } from './identity.js';
import { type EtcdOptions, type Settings, toSettings } from './options.js';
import type { LentBytes } from './page-buffers.js';
import { isProgressTrusted } from './progress-trusted.js';
import { decode, encode, fromInt64, type Int64, METHODS, toInt64 } from './rpc.js';
import { RangeSkim, skimRangeResponse, visitRangeEntries } from './skim.js';

export interface EtcdDependencies {
  readonly clock: Clock;
  readonly random: Random;
  /** Rare, noteworthy things, one line each. */
  readonly log?: (message: string) => void;
}

/** kube-apiserver's bound for its health check (spec 1.7). */
const PROBE_TIMEOUT_MS = 2_000;
/** kube-apiserver asks for versions with a back-off from 10 ms, doubling, for up to 15 s. */
const VERSION_BACKOFF_MIN_MS = 10;
const VERSION_BACKOFF_MAX_MS = 1_000;
const VERSION_TIMEOUT_MS = 15_000;

/** The etcd v3 Source. Connects at first use; throws SourceError `invalid` for options that cannot work. */
export function createEtcdSource(options: EtcdOptions, dependencies: EtcdDependencies): Source & WritableStore {
  return new EtcdSource(toSettings(options), dependencies);
}

class EtcdSource implements Source, WritableStore {
  readonly name: string;
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #log: (message: string) => void;
  readonly #endpoints: Endpoints;
  readonly #calls: Calls;
  readonly #identity: StoreIdentity;
  readonly #watches = new Set<EtcdWatch>();
  #closed = false;

  constructor(settings: Settings, { clock, random, log }: EtcdDependencies) {
    this.name = `etcd ${settings.targets.map((target) => target.url).join(',')}`;
    this.#settings = settings;
    this.#clock = clock;
    this.#log = log ?? (() => {});
    this.#endpoints = new Endpoints(settings, clock, random);
    this.#calls = new Calls(this.#endpoints, settings, clock);
    this.#identity = new StoreIdentity((message) => {
      this.#log(message);
      for (const watch of [...this.#watches]) watch.replaced(message);
    });
  }

  async range(request: RangeRequest, visit: EntryVisitor, signal?: AbortSignal): Promise<RangeResult> {
    const skim = new RangeSkim();
    const bytes = await this.#read(request, skim, { signal });
    visitRangeEntries(bytes, visit);
    return this.#resultOf(skim);
  }

  async fetch(request: RangeRequest, signal?: AbortSignal): Promise<FetchedRange> {
    const skim = new RangeSkim();
    const page = await this.#page(request, skim, signal);
    const { bytes } = page;
    const [from, to] = lastKeyOf(bytes, skim.lastStart);
    let released = false;
    return {
      ...this.#resultOf(skim),
      entries: skim.entryCount,
      bytes: bytes.length,
      lastKey: skim.entryCount === 0 ? undefined : new Uint8Array(bytes.subarray(from, to)),
      visit(visit, from, size) {
        assert(!released, 'a page is visited that was given back');
        const next = visitRangeEntries(bytes, visit, from, Math.min(bytes.length, from + size));
        return next < bytes.length ? next : undefined;
      },
      release() {
        released = true;
        page.release();
      },
    };
  }

  #resultOf({ header, count, more }: RangeSkim): RangeResult {
    return { revision: header.revision, count, more, generation: this.#identity.generation };
  }

  async currentRevision(signal?: AbortSignal): Promise<ModRevision> {
    const skim = new RangeSkim();
    await this.#read(this.#healthRequest(), skim, { signal });
    return skim.header.revision;
  }

  async identify(signal?: AbortSignal): Promise<StoreId> {
    const skim = new RangeSkim();
    await this.#read(this.#healthRequest(), skim, { signal });
    const { clusterId, generation } = this.#identity;
    return { clusterId, raftTerm: skim.header.raftTerm, revision: skim.header.revision, generation };
  }

  async probe(signal?: AbortSignal): Promise<void> {
    await this.#read(this.#healthRequest(), new RangeSkim(), { signal, timeoutMs: PROBE_TIMEOUT_MS });
  }

  watch(request: WatchRequest, handler: WatchHandler): WatchHandle {
    const watch = new EtcdWatch(request, handler, {
      calls: this.#calls,
      endpoints: this.#endpoints,
      identity: this.#identity,
      settings: this.#settings,
      clock: this.#clock,
      log: this.#log,
      verify: () => this.currentRevision(),
      ended: (ended) => this.#watches.delete(ended),
    });
    this.#watches.add(watch);
    // Later, so that the caller holds the handle before anything arrives.
    queueMicrotask(() => {
      if (this.#closed) watch.close();
      else void watch.open();
    });
    return watch;
  }

  /** Every endpoint must be new enough, since any of them may serve a watch. */
  async progressTrusted(signal?: AbortSignal): Promise<boolean> {
    const deadlineMs = this.#clock.monotonicMs() + VERSION_TIMEOUT_MS;
    const versions = await Promise.all(
      this.#endpoints.all.map((endpoint) => this.#version(endpoint, deadlineMs, signal)),
    );
    return versions.every((version) => version !== undefined && isProgressTrusted(version));
  }

  async write(operations: readonly WriteOperation[]): Promise<ModRevision> {
    const success = operations.map((operation) =>
      operation.type === 'put'
        ? {
            request_put: {
              key: operation.key,
              value: operation.value,
              ...(operation.lease === undefined ? {} : { lease: toInt64(operation.lease) }),
            },
          }
        : { request_delete_range: { key: operation.key } },
    );
    const floor = this.#identity.floor();
    const bytes = await this.#calls.unary(METHODS.txn, encode('TxnRequest', { success }), { idempotent: false });
    // A write is answered with a header first, like a read; the responses to its parts are skipped.
    const skim = new RangeSkim();
    skimRangeResponse(bytes, skim);
    this.#identity.checkLinearizable(skim.header, floor);
    return skim.header.revision;
  }

  async compact(revision: ModRevision): Promise<void> {
    await this.#calls.unary(METHODS.compact, encode('CompactionRequest', { revision }), { idempotent: false });
  }

  async grantLease(ttlSeconds: number): Promise<bigint> {
    const request = encode('LeaseGrantRequest', { TTL: ttlSeconds });
    const bytes = await this.#calls.unary(METHODS.leaseGrant, request, { idempotent: false });
    return fromInt64(decode<{ ID: Int64 | number }>('LeaseResponse', bytes).ID);
  }

  async keepLeaseAlive(lease: bigint): Promise<void> {
    const bytes = await this.#calls.exchange(
      METHODS.leaseKeepAlive,
      encode('LeaseKeepAliveRequest', { ID: toInt64(lease) }),
    );
    const { TTL } = decode<{ TTL: Int64 | number }>('LeaseResponse', bytes);
    if (fromInt64(TTL) <= 0n) throw new SourceError('invalid', 'etcdserver: requested lease not found');
  }

  async revokeLease(lease: bigint): Promise<void> {
    const request = encode('LeaseRevokeRequest', { ID: toInt64(lease) });
    await this.#calls.unary(METHODS.leaseRevoke, request, { idempotent: false });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const watch of [...this.#watches]) watch.close();
    this.#calls.close();
    this.#endpoints.close();
  }

  #healthRequest(): RangeRequest {
    const from = this.#settings.healthKey;
    return { from, to: Uint8Array.of(...from, 0), limit: 1, keysOnly: true };
  }

  async #read(request: RangeRequest, into: RangeSkim, options: CallOptions): Promise<Buffer> {
    if (this.#closed) throw closedError();
    const floor = this.#identity.floor();
    const bytes = await this.#calls.unary(METHODS.range, encodeRange(request), options);
    skimRangeResponse(bytes, into);
    this.#identity.checkLinearizable(into.header, floor);
    return bytes;
  }

  /** The same for a page of a list, which may be large. */
  async #page(request: RangeRequest, into: RangeSkim, signal: AbortSignal | undefined): Promise<LentBytes> {
    if (this.#closed) throw closedError();
    const floor = this.#identity.floor();
    const page = await this.#calls.page(METHODS.range, encodeRange(request), { signal });
    try {
      skimRangeResponse(page.bytes, into);
      this.#identity.checkLinearizable(into.header, floor);
    } catch (error) {
      page.release();
      throw error;
    }
    return page;
  }

  /** The member's version, or undefined if it did not say before the deadline. */
  async #version(endpoint: Endpoint, deadlineMs: number, signal?: AbortSignal): Promise<string | undefined> {
    for (let backoffMs = VERSION_BACKOFF_MIN_MS; ; backoffMs = Math.min(backoffMs * 2, VERSION_BACKOFF_MAX_MS)) {
      const remainingMs = deadlineMs - this.#clock.monotonicMs();
      if (remainingMs <= 0) return undefined;
      try {
        const bytes = await this.#calls.ask(endpoint, METHODS.status, encode('StatusRequest', {}), remainingMs, signal);
        return decode<{ version: string }>('StatusResponse', bytes).version;
      } catch (error) {
        const mayRecover = error instanceof SourceError && error.kind === 'unavailable';
        if (!mayRecover) return undefined;
        await sleep(this.#clock, Math.min(backoffMs, Math.max(remainingMs, 0)), signal);
      }
    }
  }
}

function encodeRange({ from, to, limit, revision, keysOnly, countOnly }: RangeRequest): Buffer {
  return encode('RangeRequest', {
    key: from.length === 0 ? Uint8Array.of(0) : from, // etcd refuses an empty key; this one is before all others
    range_end: to,
    limit: limit ?? 0,
    revision: revision ?? 0,
    keys_only: keysOnly ?? false,
    count_only: countOnly ?? false,
  });
}

/** Of the entry that begins there. */
function lastKeyOf(bytes: Uint8Array, lastStart: number): readonly [from: number, to: number] {
  let [from, to] = [0, 0];
  visitRangeEntries(
    bytes,
    (_bytes, keyStart, keyEnd) => {
      from = keyStart;
      to = keyEnd;
    },
    lastStart,
  );
  return [from, to];
}
