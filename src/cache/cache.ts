import type { ModRevision } from '../api/revision.js';
import type { ByteWriter, KindCodec, WireObject } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import type { Leaf, VisitLeaf } from '../engine/engine.js';
import type { IndexStats, ListCounts } from '../indexer/index-stats.js';
import type { Selection, SelectionRequest, Selector } from '../indexer/indexer.js';
import type { ByteRange } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';

/**
 * A Cache is one kind, live: it follows a Source and answers reads from memory.
 *
 *     source ──revisions──> apply ──> engine (now)  +  history (recent past)
 *                                       │                 │
 *                                  snapshots          watchers: cursors into the history
 *
 * One thread owns it. Mutation runs to completion, with no `await` inside; readers hold pins.
 */
export interface Cache {
  readonly kind: Kind;
  readonly codec: KindCodec;
  /** Of the state now. A relist may replace it: read the ids of a snapshot through `CacheSnapshot.versions`. */
  readonly versions: Versions;
  /** Starts following the source; idempotent. Lazy caches are started by their first read. */
  start(): void;
  stop(): Promise<void>;
  readonly state: CacheState;
  /** Everything up to this revision has been applied. */
  readonly revision: ModRevision;
  /** Milliseconds since the source last told us anything (event, progress or answered probe); 0 while connected and current. */
  readonly staleMs: number;
  /** Text of the last source failure while not `ready` or stale; for messages and logs. */
  readonly lastError: string | undefined;
  /** Milliseconds since the cache became not ready; for the 429 back-off of spec 2.5. */
  readonly unreadyMs: number;
  /** True once the initial list has been applied; false after `timeoutMs`. */
  whenReady(timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
  /** Waits until `revision` has been applied, asking the source for progress meanwhile. False after `timeoutMs`. */
  waitFor(revision: ModRevision, timeoutMs: number, signal?: AbortSignal): Promise<boolean>;
  /**
   * The source was at this revision, as a read that bypassed the cache has learned, and may have told a client. Should
   * the source be replaced before we get there, we know that the revision was not the new one's.
   */
  saw(revision: ModRevision): void;
  /** The oldest revision from which a watch can resume (spec 3.7). */
  readonly oldestWatchable: ModRevision;
  /**
   * The state now, or at an older revision still covered by the history (undefined if not).
   * The snapshot holds a pin: dispose it on every path.
   */
  snapshot(at?: ModRevision): CacheSnapshot | undefined;
  /** The version under an etcd key now, or NONE. Valid until the next turn of the event loop unless pinned. */
  get(key: ByteRange): VersionId;
  watch(request: CacheWatchRequest, sink: WatchSink): CacheWatch;
  /**
   * Keys whose value does not parse -> why; bounded. A GET of such a key and a LIST of a range that holds one
   * fail (spec 1.4); the key recovers with its next good value. Under '' stands what was beyond the bound:
   * then every LIST fails. The cache has no version under these keys.
   */
  readonly decodeErrors: ReadonlyMap<string, string>;
  /** Counts LISTs, by what found their objects, and those of the most recent state. */
  readonly lists: ListCounts;
  readonly stats: CacheStats;
  verify(): void;
}

/** idle: not started. initializing: first list (or a relist that lost the history) not done. ready: serving. */
export type CacheState = 'idle' | 'initializing' | 'ready' | 'stopped';

export interface CacheSnapshot extends Disposable {
  readonly revision: ModRevision;
  /** Where its ids are read, until it is disposed. */
  readonly versions: Versions;
  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void;
  /** See `Snapshot.leaves`. Absent: the state is not one that the engine holds, or the engine has no leaves. */
  readonly leaves: ((from: ByteRange, to: ByteRange, visit: VisitLeaf) => void) | undefined;
  count(from: ByteRange, to: ByteRange): number;
  byteSize(from: ByteRange, to: ByteRange): number;
  /** What passes a filter, in key order, found by whatever way is cheapest. It is read while the snapshot is held. */
  select(request: SelectionRequest): Selection;
}

/** Decides from the wire bytes of an object. Filters with equal ids are interchangeable. */
export interface ObjectFilter {
  /** Canonical text of the selectors. */
  readonly id: string;
  matches(bytes: Uint8Array, start: number, end: number): boolean;
  /** The same test, for indexes; absent: only the bytes can tell. */
  readonly selector?: Selector | undefined;
}

/** Turns changes into bytes of one output format. Framers with equal ids are interchangeable, so watchers share frames. */
export interface Framer {
  readonly id: string;
  /**
   * Appends one event. `wire` carries the right resourceVersion already (DELETED events are re-spliced before).
   * `first`: the first event of this stream (a Table then carries its column definitions).
   */
  event(
    type: 'ADDED' | 'MODIFIED' | 'DELETED',
    wire: WireObject,
    revision: ModRevision,
    first: boolean,
    into: ByteWriter,
  ): void;
  /**
   * Appends the ADDED events of items `start` to `end - 1` of a leaf of the initial state, each as `event` would write it.
   * Only formats whose events do not depend on `first` have it. Absent: each object is framed by `event`.
   */
  leaf?(versions: Versions, leaf: Leaf, start: number, end: number, into: ByteWriter): void;
  bookmark(revision: ModRevision, initialEventsEnd: boolean, first: boolean, into: ByteWriter): void;
  /** True when `event` output depends on `first`. */
  readonly firstDiffers: boolean;
}

export interface CacheWatchRequest {
  /** Keys with from <= key < to. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly filter: ObjectFilter | undefined;
  readonly framer: Framer;
  /** Events with a revision greater than this are delivered... */
  readonly afterRevision: ModRevision;
  /** ...after synthetic ADDED events for the state at `afterRevision`, when set: then afterRevision must be the cache's revision now. */
  readonly initialEvents: boolean;
  /** Send the k8s.io/initial-events-end bookmark after the synthetic events. */
  readonly initialEventsEnd: boolean;
  readonly bookmarks: boolean;
  /** The stream ends cleanly after this long. */
  readonly timeoutMs: number;
}

export type WatchFailureReason = 'unreadable' | 'expired';

/** Where a watch writes. HTTP/1.1, HTTP/2 and WebSocket implement it; so do tests. */
export interface WatchSink {
  /**
   * Returns false when the transport is full: the watch stops writing until `CacheWatch.drained()`. The chunk must not
   * be changed. With `done` it is this watcher's own, and its memory is used again once the transport has called that,
   * which it may never do.
   */
  write(chunk: Uint8Array, done?: () => void): boolean;
  /** A clean end of stream, as clients expect at a timeout. */
  end(): void;
  /**
   * The stream cannot go on: `unreadable`, a value it must deliver does not parse; `expired`, its resourceVersion is
   * of a store that has been replaced (410). Says so and ends; absent: `end` is called.
   */
  fail?(message: string, reason: WatchFailureReason): void;
}

export interface CacheWatch {
  /** The transport can take more. */
  drained(): void;
  /** The client went away, or the server shuts down; releases everything at once. Idempotent. */
  close(): void;
}

export interface CacheStats {
  readonly objects: number;
  readonly watchers: number;
  readonly watchGroups: number;
  readonly historyEvents: number;
  readonly historyBytes: number;
  readonly historySeconds: number;
  readonly eventsReceived: number;
  readonly eventsDispatched: number;
  readonly watchersTerminated: number;
  readonly initializations: number;
  readonly relists: number;
  /** Keys whose value does not parse, now. */
  readonly decodeErrors: number;
  /** Keys below the prefix that are no object of the kind, since the start. */
  readonly ignoredKeys: number;
  /** Entries that wait in the timing wheel for watchers of this cache, and watchers being caught up. */
  readonly watchTimers: number;
  readonly laggingWatchers: number;
  readonly index: IndexStats;
  readonly consistencyChecks: { readonly success: number; readonly failure: number; readonly error: number };
}
