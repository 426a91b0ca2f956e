import type { ModRevision } from '../api/revision.js';
import type { Snapshot } from '../engine/engine.js';
import type { ByteRange } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { HistoryCopy } from './history.js';
import { Batch, type Storage } from './storage.js';

/** One kind at one moment: the objects, the history, and through `versions` every version that either names. */
export interface StateCapture extends Disposable {
  readonly revision: ModRevision;
  /** Changes received so far: equal counts mean equal states, but for the revision. */
  readonly changes: number;
  readonly versions: Versions;
  /** Of the engine: the objects, in key order. */
  readonly snapshot: Snapshot;
  readonly history: HistoryCopy;
}

/** Where a cache may find the state of an earlier process. */
export interface SavedState {
  /**
   * The state, checked against the store that the cache is going to follow; undefined when there is none that may be used,
   * or when the signal aborts. Never rejects.
   */
  restore(createStorage: () => Storage, signal: AbortSignal): Promise<FoundState | undefined>;
}

export interface FoundState {
  readonly state: RestoredState;
  /** Of the store that it was checked against. */
  readonly generation: number;
}

export interface RestoredShape {
  readonly revision: ModRevision;
  readonly historyTail: ModRevision;
  readonly tailAgeMs: number;
  readonly entries: number;
  /** Ids at capture are below this. */
  readonly idsMax: number;
}

/**
 * A capture put together again in new storage: first every version, then every history entry. What does not fit
 * together throws, so that a state that is taken over keeps the invariants of versions, engine and history:
 *
 *   I1  an id is defined once, and an entry names only ids that are defined
 *   I2  entries ascend, and lie between the history's tail and the state's revision
 *   I3  each version that is not live is the previous one of exactly one entry, and is older than that
 */
export class RestoredState {
  readonly storage: Storage;
  readonly revision: ModRevision;
  readonly history: HistoryCopy & { count: number };
  readonly #batch = new Batch();
  /** By id at capture: the id here. */
  readonly #ids: Int32Array;
  /** By id here: what is not live and was not the previous version of an entry yet. */
  readonly #loose: Uint8Array;
  #looseCount = 0;
  #newest: VersionId = NONE;
  #live = 0;

  constructor(storage: Storage, shape: RestoredShape) {
    const { entries, idsMax } = shape;
    this.storage = storage;
    this.revision = shape.revision;
    this.#ids = new Int32Array(idsMax).fill(NONE);
    this.#loose = new Uint8Array(idsMax);
    this.history = {
      tail: shape.historyTail,
      tailAgeMs: shape.tailAgeMs,
      count: 0,
      revisions: new Float64Array(entries),
      agesMs: new Float64Array(entries),
      next: new Int32Array(entries),
      previous: new Int32Array(entries),
    };
  }

  /** `live`: one of the objects, which come in key order and before all others. */
  version(
    idAtCapture: VersionId,
    live: boolean,
    key: ByteRange,
    wire: ByteRange,
    objectOffset: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): void {
    const { versions } = this.storage;
    demand(idAtCapture < this.#ids.length && this.#ids[idAtCapture] === NONE, 'an id is defined twice'); // I1
    demand(modRevision <= this.revision, 'a version is newer than the state');
    const id = versions.add(key, wire, objectOffset, createRevision, modRevision);
    this.#ids[idAtCapture] = id;
    if (!live) {
      this.#loose[id] = 1;
      this.#looseCount++;
      return;
    }
    this.#live++;
    this.#batch.push(NONE, id);
    if (this.#newest === NONE || modRevision > versions.modRevision(this.#newest)) this.#newest = id;
  }

  /** After some objects, so that little is pending. */
  applyObjects(): void {
    if (this.#batch.count > 0) this.storage.engine.apply(this.#batch, this.revision);
    this.#batch.count = 0;
  }

  /** `next` and `previous` are ids at capture, or NONE. */
  entry(revision: ModRevision, ageMs: number, next: VersionId, previous: VersionId): void {
    const { history } = this;
    const at = history.count;
    demand(at < history.revisions.length, 'there are more history entries than announced');
    demand(revision > history.tail && revision <= this.revision, 'a history entry is out of range'); // I2
    demand(at === 0 || revision >= history.revisions[at - 1]!, 'history entries do not ascend');
    history.revisions[at] = revision;
    history.agesMs[at] = ageMs;
    history.next[at] = this.#idOf(next);
    history.previous[at] = this.#idOf(previous);
    demand(next !== NONE || previous !== NONE, 'a history entry names no version');
    if (previous !== NONE) {
      const id = history.previous[at]!;
      demand(this.#loose[id] === 1, 'a version is superseded twice'); // I3
      this.#loose[id] = 0;
      this.#looseCount--;
      demand(this.storage.versions.modRevision(id) < revision, 'a version is superseded before it was written');
    }
    history.count++;
  }

  finish(): void {
    this.applyObjects();
    demand(this.history.count === this.history.revisions.length, 'history entries are missing');
    demand(this.#looseCount === 0, 'the history does not name every old version');
    demand(this.storage.engine.size === this.#live, 'a key is there twice');
  }

  /** Objects to compare with the store: the newest, and some spread over the keys. */
  samples(): readonly VersionId[] {
    if (this.#live === 0) return [];
    // Objects were added first, to empty versions: their ids are the numbers below #live.
    return [...new Set([this.#newest, 0, this.#live >> 1, this.#live - 1])];
  }

  #idOf(idAtCapture: VersionId): VersionId {
    if (idAtCapture === NONE) return NONE;
    const id = idAtCapture < this.#ids.length ? this.#ids[idAtCapture]! : NONE;
    demand(id !== NONE, 'a history entry names a version that is not there');
    return id;
  }
}

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
