import type { ModRevision } from '../../api/revision.js';
import type { Clock, Timer } from '../../lib/clock.js';
import type { Random } from '../../lib/random.js';
import {
  DELETE,
  type EntryVisitor,
  PUT,
  type RangeRequest,
  type RangeResult,
  type Source,
  SourceError,
  type WatchEnd,
  type WatchHandle,
  type WatchHandler,
  type WatchRequest,
  type WritableStore,
  type WriteOperation,
} from '../source.js';
import { type KeyEntry, KeyOrder, type Version } from './key-order.js';
import { Leases } from './leases.js';
import { VersionLog } from './version-log.js';
import { type Defer, Watchers } from './watchers.js';

export interface EmbeddedOptions {
  /** Old revisions are compacted after this long, as kube-apiserver does with etcd; 0: never by time. */
  readonly historyMs?: number;
  /** ... or earlier, when the versions since the last compaction take more than this. */
  readonly historyBytesMax?: number;
  /** etcd's progress notifications; kubeadm sets 5 s. */
  readonly progressNotifyMs?: number;
  /** When watchers are called; a simulation passes its own scheduler. */
  readonly defer?: Defer;
}

const HISTORY_MS = 300_000;
const HISTORY_BYTES_MAX = 256 * 2 ** 20;
const PROGRESS_NOTIFY_MS = 5_000;
/** Time is cut into this many steps, so that one compaction is a small part of the history. */
const HISTORY_STEPS = 30;
/** A writer that is this many versions ahead of the slowest watcher waits for a turn of the watchers. */
const WRITER_LEAD_MAX = 8_192;
const LEAD_CHECK_EVERY = 64;
/** etcd's first revision: the empty store. */
const FIRST_REVISION = 1;

/** A store in this process: nothing to install, nothing kept after it ends, and etcd's rules for everything else. */
export function createEmbeddedStore(
  dependencies: { clock: Clock; random: Random },
  options: EmbeddedOptions = {},
): EmbeddedStore {
  return new EmbeddedStore(dependencies.clock, dependencies.random, options);
}

/**
 * MVCC as in etcd:
 *
 *     write ──> revision r ──> latest version per key (byKey, order)
 *                         └──> log of versions ──> watchers
 *
 *   I1  every version since the compact revision is in the log; each key's versions form a chain to its past;
 *   I2  a read at revision r sees, per key, the newest version of the chain with modRevision <= r;
 *   I3  a write without effect (only deletes, of keys that are not there) takes no revision;
 *   I4  mutation is synchronous: promises carry results, they do not delay effects.
 */
export class EmbeddedStore implements Source, WritableStore {
  readonly name = 'embedded';
  readonly #byKey = new Map<string, KeyEntry>();
  readonly #order = new KeyOrder();
  readonly #log = new VersionLog();
  readonly #leases: Leases;
  readonly #watchers: Watchers;
  readonly #clock: Clock;
  readonly #historyMs: number;
  readonly #historyBytesMax: number;
  #revision: ModRevision = FIRST_REVISION;
  #compactRevision: ModRevision = 0;
  #historyTimer: Timer | undefined;
  #marks: { readonly ms: number; readonly revision: ModRevision }[] = [];
  #writesSinceCheck = 0;
  #closed = false;

  constructor(clock: Clock, random: Random, options: EmbeddedOptions) {
    this.#clock = clock;
    this.#historyMs = options.historyMs ?? HISTORY_MS;
    this.#historyBytesMax = options.historyBytesMax ?? HISTORY_BYTES_MAX;
    this.#leases = new Leases(clock, random, (entries) => void this.#deleteAll(entries));
    const defer: Defer = options.defer ?? ((run) => void setImmediate(run));
    const progressNotifyMs = options.progressNotifyMs ?? PROGRESS_NOTIFY_MS;
    this.#watchers = new Watchers(this.#log, () => this.#revision, defer, clock, progressNotifyMs);
    if (this.#historyMs > 0) this.#armHistoryTimer();
  }

  /** The oldest revision that can be read; 0 while everything is there. */
  get compactRevision(): ModRevision {
    return this.#compactRevision;
  }

  async range(request: RangeRequest, visit: EntryVisitor, signal?: AbortSignal): Promise<RangeResult> {
    this.#requireOpen();
    if (signal?.aborted) throw new SourceError('closed', 'embedded store: the caller gave up');
    const { limit = 0, revision = 0, countOnly = false, keysOnly = false } = request;
    const at = revision === 0 ? this.#revision : revision;
    this.#requireReadable(at);
    const to = request.to.length === 1 && request.to[0] === 0 ? undefined : latin1(request.to);
    const found: Version[] = [];
    let count = 0;
    this.#order.range(latin1(request.from), to, (entry) => {
      const version = versionAt(entry, at);
      if (version === undefined) return;
      count++;
      if (!countOnly && (limit === 0 || found.length < limit)) found.push(version);
    });
    const result = { revision: this.#revision, count, more: !countOnly && found.length < count };
    // Collected before the first call: the visitor may write.
    for (const { entry, bytes, createRevision, modRevision } of found) {
      const keyLength = entry.key.length;
      visit(bytes, 0, keyLength, keyLength, keysOnly ? keyLength : bytes.length, createRevision, modRevision);
    }
    return result;
  }

  async currentRevision(): Promise<ModRevision> {
    this.#requireOpen();
    return this.#revision;
  }

  async probe(): Promise<void> {
    this.#requireOpen();
  }

  async progressTrusted(): Promise<boolean> {
    return true;
  }

  watch(request: WatchRequest, handler: WatchHandler): WatchHandle {
    return this.#watchers.add(request, handler, this.#refusalOf(request));
  }

  async write(operations: readonly WriteOperation[]): Promise<ModRevision> {
    this.#requireOpen();
    this.#validate(operations);
    const revision = this.#revision + 1;
    let isEffective = false;
    for (const operation of operations) {
      const key = latin1(operation.key);
      if (operation.type === 'put') {
        this.#put(key, operation.key, operation.value, operation.lease, revision);
        isEffective = true;
      } else {
        const entry = this.#byKey.get(key);
        if (entry?.latest?.type !== PUT) continue;
        this.#delete(entry, revision);
        isEffective = true;
      }
    }
    if (!isEffective) return this.#revision; // I3
    this.#finish(revision);
    if (++this.#writesSinceCheck === LEAD_CHECK_EVERY) {
      this.#writesSinceCheck = 0;
      if (this.#log.end - this.#watchers.slowest > WRITER_LEAD_MAX) await this.#watchers.nextTurn();
    }
    return revision;
  }

  async grantLease(ttlSeconds: number): Promise<bigint> {
    this.#requireOpen();
    return this.#leases.grant(ttlSeconds);
  }

  async keepLeaseAlive(lease: bigint): Promise<void> {
    this.#requireOpen();
    this.#leases.keepAlive(lease);
  }

  async revokeLease(lease: bigint): Promise<void> {
    this.#requireOpen();
    this.#deleteAll(this.#leases.revoke(lease));
  }

  async compact(revision: ModRevision): Promise<void> {
    this.#requireOpen();
    if (revision <= this.#compactRevision) throw compactedError(this.#compactRevision);
    if (revision > this.#revision) throw futureError(this.#revision);
    this.#compactTo(revision);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#historyTimer?.cancel();
    this.#leases.close();
    this.#watchers.close();
  }

  /** Checks the order and the chains; for tests. */
  verify(): void {
    this.#order.verify();
    let count = 0;
    this.#order.range('', undefined, (entry) => {
      count++;
      if (this.#byKey.get(entry.key) !== entry) throw new Error(`${entry.key} is in the order but not in the map`);
      for (let version = entry.latest; version?.previous !== undefined; version = version.previous) {
        if (version.previous.modRevision >= version.modRevision)
          throw new Error(`the chain of ${entry.key} does not descend`);
        if (version.modRevision <= this.#compactRevision)
          throw new Error(`the chain of ${entry.key} outlived compaction`);
      }
    });
    if (count !== this.#byKey.size) throw new Error(`the order holds ${count} keys, the map ${this.#byKey.size}`);
  }

  #put(key: string, keyBytes: Uint8Array, value: Uint8Array, lease: bigint | undefined, revision: ModRevision): void {
    let entry = this.#byKey.get(key);
    if (entry === undefined) {
      entry = { key, latest: undefined };
      this.#byKey.set(key, entry);
      this.#order.insert(entry);
    }
    const previous = entry.latest;
    if (previous?.lease !== undefined) this.#leases.detach(previous.lease, entry);
    const bytes = Buffer.allocUnsafeSlow(keyBytes.length + value.length);
    bytes.set(keyBytes);
    bytes.set(value, keyBytes.length);
    const createRevision = previous?.type === PUT ? previous.createRevision : revision;
    this.#append({ entry, type: PUT, bytes, createRevision, modRevision: revision, lease, previous });
    if (lease !== undefined) this.#leases.attach(lease, entry);
  }

  #delete(entry: KeyEntry, revision: ModRevision): void {
    const previous = entry.latest!;
    if (previous.lease !== undefined) this.#leases.detach(previous.lease, entry);
    const bytes = Buffer.allocUnsafeSlow(entry.key.length);
    bytes.write(entry.key, 'latin1');
    this.#append({ entry, type: DELETE, bytes, createRevision: 0, modRevision: revision, lease: undefined, previous });
  }

  #append(version: Version): void {
    version.entry.latest = version;
    this.#log.append(version);
  }

  /** The keys of an ended lease go at one revision. */
  #deleteAll(entries: readonly KeyEntry[]): void {
    if (entries.length === 0) return;
    const revision = this.#revision + 1;
    for (const entry of entries) this.#delete(entry, revision);
    this.#finish(revision);
  }

  #finish(revision: ModRevision): void {
    this.#revision = revision;
    this.#watchers.wake();
    if (this.#log.byteCount > this.#historyBytesMax) this.#compactByBytes();
  }

  #validate(operations: readonly WriteOperation[]): void {
    const put = new Set<string>();
    const deleted = new Set<string>();
    for (const operation of operations) {
      if (operation.key.length === 0) throw new SourceError('invalid', 'etcdserver: key is not provided');
      if (operation.type === 'put' && operation.lease !== undefined) this.#leases.require(operation.lease);
      if (operations.length === 1) return;
      const key = latin1(operation.key);
      const isDuplicate = put.has(key) || (operation.type === 'put' && deleted.has(key));
      if (isDuplicate) throw new SourceError('invalid', 'etcdserver: duplicate key given in txn request');
      (operation.type === 'put' ? put : deleted).add(key);
    }
  }

  #requireOpen(): void {
    if (this.#closed) throw new SourceError('closed', 'embedded store: it is closed');
  }

  #requireReadable(revision: ModRevision): void {
    if (revision > this.#revision) throw futureError(this.#revision);
    if (revision < this.#compactRevision) throw compactedError(this.#compactRevision);
  }

  #refusalOf({ startRevision }: WatchRequest): WatchEnd | undefined {
    if (this.#closed) return { kind: 'closed' };
    if (startRevision !== 0 && startRevision < this.#compactRevision) {
      return { kind: 'compacted', compactRevision: this.#compactRevision };
    }
    return undefined;
  }

  #compactTo(revision: ModRevision): void {
    const { end } = this.#log;
    // The log may reach further back than the last compaction, for the sake of a watch.
    for (let position = this.#log.positionOf(this.#compactRevision + 1); position < end; position++) {
      const version = this.#log.at(position);
      if (version.modRevision > revision) break;
      version.previous = undefined;
      const { entry } = version;
      if (version.type === DELETE && entry.latest === version && this.#byKey.get(entry.key) === entry) {
        this.#byKey.delete(entry.key);
        this.#order.remove(entry);
      }
    }
    this.#compactRevision = revision;
    // As in etcd, a watch that has started is not compacted away: its part of the log stays until it has passed.
    this.#log.dropBefore(Math.min(this.#log.positionOf(revision), this.#watchers.slowest));
  }

  /** Drops an eighth at a time, so that the pause is short. */
  #compactByBytes(): void {
    const { start, end } = this.#log;
    const revision = this.#log.at(start + ((end - start) >>> 3)).modRevision;
    if (revision > this.#compactRevision) this.#compactTo(revision);
    else this.#log.dropBefore(Math.min(this.#log.positionOf(this.#compactRevision), this.#watchers.slowest));
  }

  #armHistoryTimer(): void {
    this.#historyTimer = this.#clock.setTimer(this.#historyMs / HISTORY_STEPS, () => {
      const nowMs = this.#clock.monotonicMs();
      this.#marks.push({ ms: nowMs, revision: this.#revision });
      let due = 0;
      while (this.#marks[0] !== undefined && nowMs - this.#marks[0].ms >= this.#historyMs)
        due = this.#marks.shift()!.revision;
      if (due > this.#compactRevision) this.#compactTo(due);
      this.#armHistoryTimer();
    });
  }
}

function versionAt(entry: KeyEntry, revision: ModRevision): Version | undefined {
  let version = entry.latest;
  while (version !== undefined && version.modRevision > revision) version = version.previous;
  return version?.type === PUT ? version : undefined;
}

function latin1(bytes: Uint8Array): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return buffer.toString('latin1');
}

function compactedError(compactRevision: ModRevision): SourceError {
  const message = 'embedded store: mvcc: required revision has been compacted';
  return new SourceError('compacted', message, compactRevision);
}

function futureError(revision: ModRevision): SourceError {
  return new SourceError('futureRevision', 'embedded store: mvcc: required revision is a future revision', revision);
}
