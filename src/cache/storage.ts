import type { ModRevision } from '../api/revision.js';
import type { ByteRange } from '../lib/bytes.js';
import type { ChangeBatch, Engine } from '../engine/engine.js';
import type { KindIndex } from '../indexer/kind-index.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { DecodeErrors } from './decode-errors.js';
import { CHANGE, type History, UNREADABLE } from './history.js';
import type { Pending } from './pending.js';

/** What holds one kind's objects. A relist that trusts nothing starts with a new one. */
export interface Storage {
  readonly versions: Versions;
  readonly engine: Engine;
}
export type CreateStorage = () => Storage;

/** Reused by every apply: no allocation per change. */
export class Batch implements ChangeBatch {
  count = 0;
  previous = new Int32Array(64);
  next = new Int32Array(64);

  push(previous: VersionId, next: VersionId): void {
    if (this.count === this.previous.length) {
      const previousBefore = this.previous;
      const nextBefore = this.next;
      this.previous = new Int32Array(this.count * 2);
      this.next = new Int32Array(this.count * 2);
      this.previous.set(previousBefore);
      this.next.set(nextBefore);
    }
    this.previous[this.count] = previous;
    this.next[this.count] = next;
    this.count++;
  }
}

const BATCH_KEPT_MAX = 8192;

/**
 * The one gate to mutation: applies changes that are certain, whole revisions (or a whole list, or
 * a page of a first one) at a time, to versions, engine and history. Runs to completion.
 * Without a history nobody is told: a list is not a sequence of events.
 */
export class Applier {
  /** Follows the engine; undefined for a storage that nobody reads yet. */
  index: KindIndex | undefined;
  #batch = new Batch();
  readonly #key: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };
  readonly #wire: ByteRange = { bytes: new Uint8Array(0), start: 0, end: 0 };

  constructor(index?: KindIndex) {
    this.index = index;
  }

  /** Returns the bytes of what changed, for the watchers' flush. */
  apply(
    storage: Storage,
    pending: Pending,
    revision: ModRevision,
    errors: DecodeErrors,
    history: History | undefined,
    nowMs: number,
  ): number {
    const { versions, engine } = storage;
    const batch = this.#batch;
    batch.count = 0;
    let bytes = 0;
    for (let index = 0; index < pending.count; index++) {
      const row = pending.at(index);
      const key = pending.keyOf(row, this.#key);
      const previous = engine.get(key);
      let next: VersionId = NONE;
      if (row.type === 'put') {
        const wire = pending.wireOf(row, this.#wire);
        next = versions.add(key, wire, row.objectOffset, row.createRevision, row.modRevision);
        bytes += wire.end - wire.start;
      }
      if (row.type === 'unreadable') errors.record(keyText(key), row.message);
      else if (errors.size > 0) errors.recover(keyText(key));
      if (previous !== NONE || next !== NONE) batch.push(previous, next);
      if (history === undefined) continue;
      if (previous === NONE && next === NONE && row.type === 'delete') continue; // Of a key that never was readable.
      const retained = previous === NONE ? 0 : versions.wireSize(previous) + key.end - key.start;
      if (next === NONE) bytes += retained;
      if (row.type === 'unreadable') history.nameUnreadable(copyOf(key));
      history.append(revision, row.type === 'unreadable' ? UNREADABLE : CHANGE, next, previous, retained, nowMs);
    }
    engine.apply(batch, revision);
    this.index?.apply(batch);
    for (let index = 0; index < batch.count; index++) {
      if (batch.previous[index] !== NONE) versions.retire(batch.previous[index]!, revision);
    }
    if (batch.previous.length > BATCH_KEPT_MAX) this.#batch = new Batch();
    return bytes;
  }
}

/** Not `slice`: of a Buffer that would be a view. */
export function copyOf({ bytes, start, end }: ByteRange): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end));
}

/** Names of objects are ASCII; whatever else a key holds stays distinguishable. */
export function keyText(key: ByteRange): string {
  return Buffer.from(key.bytes.buffer, key.bytes.byteOffset + key.start, key.end - key.start).toString('utf8');
}
