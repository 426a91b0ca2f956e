import type { ModRevision } from '../api/revision.js';
import type { ByteRange } from '../lib/bytes.js';
import type { Held } from '../lib/held.js';

/** A version is one object at one modRevision; its id indexes the columns. Ids are reused after reclaim. */
export type VersionId = number;
export const NONE: VersionId = -1;

/**
 * Versions keep the bytes of one kind's objects outside the JavaScript heap: key and wire bytes in
 * slabs (SharedArrayBuffers), attributes in typed-array columns. No JavaScript object per version.
 *
 *     add ──> live ──retire(@r)──> retired ──reclaim(history tail, oldest pin)──> free, id reused
 *
 * Slots are immutable once published, but a version may move to another one (`gather`): what is read without a pin is read in one go. A retired version stays readable while the history may
 * still name it (revision > tail) or a pin may still read it (pin <= the revision that superseded it).
 */
export interface Versions {
  /**
   * Copies key and wire bytes in. `objectOffset` is where the message starts in the wire bytes (after the item header).
   * Fastest when the wire bytes lie right behind the key, and both in one buffer that is used again and again.
   */
  add(
    key: ByteRange,
    wire: ByteRange,
    objectOffset: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): VersionId;
  /** The version was superseded or deleted at this revision. */
  retire(id: VersionId, supersededAt: ModRevision): void;
  /**
   * Frees every retired version superseded at or before `historyTail` that no pin can read. Returns how many.
   * With `countMax` it stops there, so that a caller can spread a large reclaim over several turns.
   */
  reclaim(historyTail: ModRevision, countMax?: number): number;
  /** Holds every version that is live or in history at this revision and later. Dispose it on every path. */
  pin(revision: ModRevision, owner: string): Pin;
  /** Every held pin, the oldest revision first: for metrics and for limits in time. */
  pinList(): readonly PinInfo[];

  /**
   * Moves live versions, so that their wire bytes lie one behind another, in this order. Ids stay as they are; where the versions lay
   * before is free once no pin of before is left. undefined: a version is not live any more, there is too much for one slab, more
   * than `movedBytesMax` waits for pins, or another slab would be needed while much is free in those that there are.
   *
   *     slots       [key a][a@3]   [key b][b@5] .. [key c][c@9]
   *     a piece     [key a][key b][key c][a@3][b@5][c@9]
   */
  gather(ids: Int32Array, movedBytesMax: number): SharedPiece | undefined;
  /** In which a version lies; undefined: in a slot of its own. */
  pieceOf(id: VersionId): SharedPiece | undefined;

  modRevision(id: VersionId): ModRevision;
  createRevision(id: VersionId): ModRevision;
  /** Points `into` at the key bytes, the wire bytes (item header + message), or the message alone. */
  key(id: VersionId, into: ByteRange): ByteRange;
  /** Whether the key's bytes are the first `length` ones of these words. */
  hasKey(id: VersionId, words: Int32Array, length: number): boolean;
  wire(id: VersionId, into: ByteRange): ByteRange;
  object(id: VersionId, into: ByteRange): ByteRange;
  /** Bytes of item header + message: what a protobuf LIST sends for it. */
  wireSize(id: VersionId): number;

  readonly stats: VersionsStats;
  /** Checks the numbered invariants; throws InvariantError. For tests and debug builds. */
  verify(): void;
  /** Frees everything; asserts that no pin is left. */
  dispose(): void;
}

/** Memory of several versions. Held, it is not used again, whatever becomes of them. */
export interface SharedPiece extends Held {
  /** Versions that lie in it: never more than at first. */
  readonly count: number;
}

export interface Pin extends Disposable {
  readonly revision: ModRevision;
  readonly owner: string;
}

export interface PinInfo {
  readonly revision: ModRevision;
  readonly owner: string;
  readonly ageMs: number;
}

export interface VersionsStats {
  readonly live: number;
  readonly retired: number;
  readonly pins: number;
  /** Key and wire bytes of live versions. */
  readonly liveBytes: number;
  readonly retiredBytes: number;
  /** Bytes of slabs and columns reserved from the system. */
  readonly reservedBytes: number;
  /** The part of them that columns take. */
  readonly columnBytes: number;
  /** Bytes of slots in use, rounding included. */
  readonly slotBytes: number;
  /** The part of them that readers with pins may still read, though the versions lie elsewhere now. */
  readonly movedBytes: number;
  /** Pins that were lost without being disposed: always a bug of their holder. */
  readonly pinsLeaked: number;
}
