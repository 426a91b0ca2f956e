import type { ModRevision } from '../api/revision.js';
import type { WireObject, WireWriter } from '../codec/codec.js';
import type { ByteRange } from '../lib/bytes.js';

const ARENA_BYTES = 256 * 2 ** 10;

/**
 * Changes that were read but do not count yet: those of a revision that is not complete, or of a
 * list that is not. Keys and wire bytes are copied, because the source's buffers are only lent;
 * nothing enters the versions before it is certain, so nothing has to be taken back.
 */
export class Pending {
  #arenas: Uint8Array[] = [];
  #used = 0;
  #rows: PendingRow[] = [];
  count = 0;

  put(key: ByteRange, wire: WireWriter, createRevision: ModRevision, modRevision: ModRevision): void {
    const row = this.#add(key, wire.position - wire.headerStart);
    row.arena.set(wire.bytes.subarray(wire.headerStart, wire.position), row.wireStart);
    row.type = 'put';
    row.objectOffset = wire.start - wire.headerStart;
    row.createRevision = createRevision;
    row.modRevision = modRevision;
  }

  delete(key: ByteRange): void {
    this.#add(key, 0).type = 'delete';
  }

  unreadable(key: ByteRange, message: string): void {
    const row = this.#add(key, 0);
    row.type = 'unreadable';
    row.message = message;
  }

  at(index: number): PendingRow {
    return this.#rows[index]!;
  }

  keyOf(row: PendingRow, into: ByteRange): ByteRange {
    into.bytes = row.arena;
    into.start = row.keyStart;
    into.end = row.wireStart;
    return into;
  }

  wireOf(row: PendingRow, into: ByteRange): ByteRange {
    into.bytes = row.arena;
    into.start = row.wireStart;
    into.end = row.wireEnd;
    return into;
  }

  clear(): void {
    this.count = 0;
    this.#used = 0;
    // One ordinary arena and a few rows are kept for the next revision.
    const kept = this.#arenas[0];
    this.#arenas = kept !== undefined && kept.length === ARENA_BYTES ? [kept] : [];
    if (this.#rows.length > 1024) this.#rows = [];
  }

  #add(key: ByteRange, wireSize: number): PendingRow {
    const keySize = key.end - key.start;
    const size = keySize + wireSize;
    let arena = this.#arenas[this.#arenas.length - 1];
    if (arena === undefined || this.#used + size > arena.length) {
      arena = new Uint8Array(Math.max(ARENA_BYTES, size));
      this.#arenas.push(arena);
      this.#used = 0;
    }
    const row = (this.#rows[this.count] ??= newRow());
    this.count++;
    row.arena = arena;
    row.keyStart = this.#used;
    row.wireStart = this.#used + keySize;
    row.wireEnd = this.#used + size;
    arena.set(key.bytes.subarray(key.start, key.end), row.keyStart);
    this.#used += size;
    return row;
  }
}

export interface PendingRow {
  type: 'put' | 'delete' | 'unreadable';
  arena: Uint8Array;
  keyStart: number;
  wireStart: number;
  wireEnd: number;
  objectOffset: number;
  createRevision: ModRevision;
  modRevision: ModRevision;
  message: string;
}

function newRow(): PendingRow {
  return {
    type: 'delete',
    arena: new Uint8Array(0),
    keyStart: 0,
    wireStart: 0,
    wireEnd: 0,
    objectOffset: 0,
    createRevision: 0,
    modRevision: 0,
    message: '',
  };
}

export function newWireObject(): WireObject {
  return { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
}
