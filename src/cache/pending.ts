import type { ModRevision } from '../api/revision.js';
import type { WireObject, WireWriter } from '../codec/codec.js';
import type { ByteRange } from '../lib/bytes.js';

const ARENA_BYTES = 256 * 2 ** 10;
/** Rows begin where slots do, at multiples of this: so a row moves into its slot by whole words (docs/adr/0017). */
const ROW_ALIGNMENT = 16;

/**
 * Changes that were read but do not count yet: those of a revision that is not complete, or of a
 * list that is not. Keys and wire bytes are copied, because the source's buffers are only lent;
 * nothing enters the versions before it is certain, so nothing has to be taken back.
 *
 * The codec writes into the arena itself, behind the key: `open` a row, write, then say what became of it.
 */
export class Pending {
  readonly #writer = new ArenaWriter();
  #rows: PendingRow[] = [];
  count = 0;

  /** Begins a row with this key. Its wire bytes may be written into what is returned, until one of the calls below. */
  open(key: ByteRange): WireWriter {
    this.#writer.openRow(key);
    return this.#writer;
  }

  put(createRevision: ModRevision, modRevision: ModRevision): void {
    const row = this.#close('put');
    row.createRevision = createRevision;
    row.modRevision = modRevision;
  }

  /** What the codec wrote before it gave up is forgotten. */
  unreadable(message: string): void {
    this.#writer.position = this.#writer.wireStart;
    this.#close('unreadable').message = message;
  }

  delete(key: ByteRange): void {
    this.open(key);
    this.#close('delete');
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
    // A few rows are kept for the next revision, unless they hold arenas that are not.
    if (this.count > ROWS_KEPT_MAX || this.#writer.arenas > 1) this.#rows = [];
    this.count = 0;
    this.#writer.clear();
  }

  #close(type: PendingRow['type']): PendingRow {
    const writer = this.#writer;
    const row = (this.#rows[this.count] ??= newRow());
    this.count++;
    row.type = type;
    row.arena = writer.bytes;
    row.keyStart = writer.rowStart;
    row.wireStart = writer.wireStart;
    row.wireEnd = writer.position;
    row.objectOffset = writer.start - writer.headerStart;
    return row;
  }
}

const ROWS_KEPT_MAX = 1024;

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
    arena: NO_BYTES,
    keyStart: 0,
    wireStart: 0,
    wireEnd: 0,
    objectOffset: 0,
    createRevision: 0,
    modRevision: 0,
    message: '',
  };
}

const NO_BYTES = new Uint8Array(0);

/** Rows one after another; one that does not fit moves to a new arena, as far as it is written. Rows do not move later. */
class ArenaWriter implements WireWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(ARENA_BYTES);
  position = 0;
  headerStart = 0;
  start = 0;
  /** Of the present row. */
  rowStart = 0;
  wireStart = 0;
  /** Used since the last `clear`; the rows hold them. */
  arenas = 1;

  openRow({ bytes, start, end }: ByteRange): void {
    this.rowStart = this.position = (this.position + ROW_ALIGNMENT - 1) & -ROW_ALIGNMENT;
    this.reserve(end - start);
    const into = this.bytes;
    let at = this.position;
    for (let from = start; from < end; from++) into[at++] = bytes[from]!;
    this.wireStart = this.headerStart = this.start = this.position = at;
  }

  reserve(size: number): void {
    if (this.position + size <= this.bytes.length) return;
    const written = this.position - this.rowStart;
    const arena = Buffer.allocUnsafeSlow(Math.max(ARENA_BYTES, written + size));
    if (written > 0) arena.set(this.bytes.subarray(this.rowStart, this.position));
    const moved = this.rowStart;
    this.bytes = arena;
    this.arenas++;
    this.rowStart = 0;
    this.position = written;
    this.wireStart -= moved;
    this.headerStart -= moved;
    this.start -= moved;
  }

  /** One ordinary arena is kept. */
  clear(): void {
    if (this.bytes.length !== ARENA_BYTES) this.bytes = Buffer.allocUnsafeSlow(ARENA_BYTES);
    this.arenas = 1;
    this.position = 0;
  }
}

export function newWireObject(): WireObject {
  return { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
}
