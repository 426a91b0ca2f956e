import type { ModRevision } from '../api/revision.js';
import type { ByteRange } from '../lib/bytes.js';
import type { VersionId } from '../versions/versions.js';

/**
 * An Engine keeps one kind's versions ordered by etcd key, and hands out snapshots.
 *
 *     apply @5 ──> snapshot @5      stays readable and never changes
 *     apply @7 ──> snapshot @7      shares every node that @7 did not touch
 *
 * One writer (the watch cache) applies; any number of readers hold snapshots. So a LIST that is
 * paged or streamed slowly never blocks a write and never sees half of one.
 * Engines know nothing of Kubernetes: an entry is a version id (its key and bytes lie in Versions);
 * keys order as raw bytes, as in etcd. No call allocates per entry.
 */
export interface Engine {
  readonly name: string;
  /** Applies every change of one etcd revision (or of one page of an initial list). Asserts that `modRevision` does not shrink. */
  apply(changes: ChangeBatch, modRevision: ModRevision): void;
  /** The version under a key, or NONE. */
  get(key: ByteRange): VersionId;
  /** The state after the latest `apply`. O(1) in the default engine. Dispose it. */
  snapshot(): Snapshot;
  readonly size: number;
  readonly revision: ModRevision;
  verify(): void;
}

/** Reusable columns: change i puts `next[i]` in the place of `previous[i]` (NONE: absent). The keys are equal. */
export interface ChangeBatch {
  count: number;
  previous: Int32Array;
  next: Int32Array;
}

/**
 * Neighbours that an engine keeps together, as they were when a snapshot was taken. What is made from a leaf can be
 * used for every snapshot that shows the same edition, and most of it for the next edition at the same place.
 */
export interface Leaf {
  /** Names the content: leaves with equal editions hold the same versions in the same order. Never used again. */
  edition: number;
  /** What the leaf is called however often its content changes; used again once the leaf is gone. */
  place: number;
  /** Its versions are `ids[offset]` to `ids[offset + count - 1]`, in key order. */
  ids: Int32Array;
  offset: number;
  count: number;
  /** Wire bytes of all its versions. */
  bytes: number;
}

export interface Snapshot extends Disposable {
  readonly revision: ModRevision;
  readonly size: number;
  /** Visits ids with from <= key < to in key order, until `visit` returns false. */
  range(from: ByteRange, to: ByteRange, visit: (id: VersionId) => boolean): void;
  /**
   * Visits the leaves that overlap with from <= key < to, in order, until `visit` returns false; `start` and `end`
   * are the positions in the leaf that lie in the range. The leaf is reused by the next call. Absent: the engine
   * does not keep neighbours together.
   */
  leaves?(from: ByteRange, to: ByteRange, visit: VisitLeaf): void;
  /** Wire bytes in the range, known without visiting each entry where the engine can. */
  byteSize(from: ByteRange, to: ByteRange): number;
  /** Entries in the range, likewise. */
  count(from: ByteRange, to: ByteRange): number;
}

export type VisitLeaf = (leaf: Leaf, start: number, end: number) => boolean;
