import type { ModRevision } from '../api/revision.js';

/**
 * A Source answers one question: *list this prefix at a revision, then stream every later change
 * in order, and say how far you have got*. It also answers direct reads, because some requests
 * must bypass the cache (uncached kinds, old etcd, fallbacks).
 *
 *     range(prefix) @57 ──> entries, revision 57
 *     watch(prefix, from 58) ──> entry entry commit(58) · commit(60) · progress(75) · ended(...)
 *
 * Implementations: etcd v3 over gRPC (etcd/), the embedded store (embedded/). One conformance
 * suite (test/suites/source-suite.ts) runs against all of them.
 *
 * Entries are passed as ranges of a shared buffer, without an object per entry. The buffer is
 * valid only during the call: whoever keeps bytes copies them.
 */
export interface Source {
  /** For logs and metrics, e.g. `etcd http://127.0.0.1:2379` or `embedded`. */
  readonly name: string;
  /** Visits keys in byte order; resolves after the last. Rejects with SourceError. */
  range(request: RangeRequest, visit: EntryVisitor, signal?: AbortSignal): Promise<RangeResult>;
  /** `range` in two steps, so that the next page can be under way while this one is visited. Absent: there is nothing to gain. */
  fetch?(request: RangeRequest, signal?: AbortSignal): Promise<FetchedRange>;
  /** The store's revision by a linearizable read: at least every write that finished before the call. */
  currentRevision(signal?: AbortSignal): Promise<ModRevision>;
  /** Starts a watch. Never throws: every failure arrives as `handler.ended`. */
  watch(request: WatchRequest, handler: WatchHandler): WatchHandle;
  /**
   * False when the store may report progress before the events that precede it (etcd < 3.4.31, < 3.5.13), or when its
   * version is unknown. Events are as reliable as ever; a progress report then only tells that the store is alive.
   */
  progressTrusted(signal?: AbortSignal): Promise<boolean>;
  /** Which store this is, by a linearizable read; rejects with SourceError. Absent: the store does not outlive the process. */
  identify?(signal?: AbortSignal): Promise<StoreId>;
  /** Cheap health probe for /readyz; rejects with SourceError. */
  probe(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Tells stores apart over restarts of this process. */
export interface StoreId {
  /** etcd's, in hex. A store that is wiped and set up with the same flags has the same one. */
  readonly clusterId: string;
  /** Never falls in one store. */
  readonly raftTerm: number;
  readonly revision: ModRevision;
  /** See `RangeResult`. */
  readonly generation: number;
}

export interface RangeRequest {
  /** Keys with from <= key < to. For a single key: `to` is the key followed by a zero byte. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** 0 or absent: no limit. */
  readonly limit?: number;
  /** Read the store as it was at this revision; absent: most recent, linearizable. */
  readonly revision?: ModRevision;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
}

export interface RangeResult {
  /** The store's revision when the read was answered (etcd's header.revision). */
  readonly revision: ModRevision;
  /** Keys in [from, to), whatever the limit. */
  readonly count: number;
  /** True when the limit cut the range short. */
  readonly more: boolean;
  /**
   * Which store answered, counted from 0: grows whenever the source finds the store replaced. A watch that
   * continues this read passes it on, so that it cannot follow another store by accident.
   */
  readonly generation?: number;
}

export interface FetchedRange extends RangeResult {
  /** In this answer. */
  readonly entries: number;
  readonly bytes: number;
  /** A copy; undefined when there are no entries. */
  readonly lastKey: Uint8Array | undefined;
  /**
   * Visits entries from the one at position `from` on (0, or what an earlier call returned) until they are about
   * `size` bytes. Returns the position of the next one, or undefined when that was the last.
   */
  visit(visit: EntryVisitor, from: number, size: number): number | undefined;
  /** It will not be visited any more: its memory may hold another page from now on. Without this call it is collected some time. */
  release?(): void;
}

export type EntryVisitor = (
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
  createRevision: ModRevision,
  modRevision: ModRevision,
) => void;

export interface WatchRequest {
  readonly prefix: Uint8Array;
  /** The first revision whose changes are wanted. */
  readonly startRevision: ModRevision;
  /** From the `RangeResult` that this watch continues; the watch ends with `replaced` if the store is another one by now. */
  readonly generation?: number;
}

export const PUT = 0;
export const DELETE = 1;
export type ChangeType = typeof PUT | typeof DELETE;

/**
 * Called in order: any number of `put`/`del` of one revision, then `commit` of that revision.
 * A revision is delivered whole: the source holds fragments back until it is complete.
 * Revisions grow strictly; one that was delivered before is never delivered again.
 * After `ended` nothing is called any more.
 */
export interface WatchHandler {
  change(
    type: ChangeType,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    /** Empty for DELETE. */
    valueStart: number,
    valueEnd: number,
    /** 0 for DELETE. */
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): void;
  commit(modRevision: ModRevision): void;
  /** The store has reached this revision. Where progress is trusted, nothing with a revision <= this will come any more. */
  progress(revision: ModRevision): void;
  ended(end: WatchEnd): void;
}

export type WatchEnd =
  /** Transport failure or server restart: watch again from the next revision. */
  | { readonly kind: 'cut'; readonly error: SourceError }
  /** The start revision is older than what the store keeps: relist. */
  | { readonly kind: 'compacted'; readonly compactRevision: ModRevision }
  /** Another cluster id, or a revision below one already seen: the store was wiped or restored. */
  | { readonly kind: 'replaced'; readonly message: string }
  | { readonly kind: 'closed' };

export interface WatchHandle {
  /** Asks for a `progress` call soon; calls are coalesced. */
  requestProgress(): void;
  /** Ends the watch; `ended({kind: 'closed'})` follows, synchronously or not, exactly once. */
  close(): void;
}

export type SourceErrorKind =
  | 'unavailable' // cannot be reached, or timed out: try again later
  | 'compacted' // the revision asked for is older than the store keeps
  | 'futureRevision' // the revision asked for is newer than the store's
  | 'replaced' // the store is not the one we knew
  | 'unauthenticated' // bad credentials or TLS
  | 'corrupt' // bytes that do not parse as what they should be
  | 'invalid' // the store refuses the request as it stands: an empty key, a key twice in one write, an unknown lease
  | 'closed';

export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly kind: SourceErrorKind;
  /** For `compacted`: the oldest revision still readable, when known. For `futureRevision`: the current one. */
  readonly revision: ModRevision | undefined;
  constructor(kind: SourceErrorKind, message: string, revision?: ModRevision) {
    super(message);
    this.kind = kind;
    this.revision = revision;
  }
}

/** What can be written: the embedded store always, etcd in tests and in the hollow cluster. */
export interface WritableStore {
  /** Puts and deletes of one call share one revision, as in an etcd transaction. */
  write(operations: readonly WriteOperation[]): Promise<ModRevision>;
  /** Returns the lease id. Keys attached to it are deleted, at one revision, when it expires. */
  grantLease(ttlSeconds: number): Promise<bigint>;
  keepLeaseAlive(lease: bigint): Promise<void>;
  revokeLease(lease: bigint): Promise<void>;
  compact(revision: ModRevision): Promise<void>;
}

export type WriteOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly lease?: bigint }
  | { readonly type: 'delete'; readonly key: Uint8Array };
