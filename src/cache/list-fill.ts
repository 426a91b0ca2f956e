import type { ModRevision } from '../api/revision.js';
import type { KindCodec } from '../codec/codec.js';
import { InvariantError } from '../lib/assert.js';
import { type ByteRange, prefixEnd, rangeOf } from '../lib/bytes.js';
import { SourceError } from '../source/source.js';
import type { KindIndex } from '../indexer/kind-index.js';
import { NONE, type VersionId } from '../versions/versions.js';
import { DecodeErrors } from './decode-errors.js';
import type { KeyLayout } from './layout.js';
import { Pending } from './pending.js';
import type { ListMode } from './reflector.js';
import { Applier, type Storage } from './storage.js';

/** Of a first list, pending: less than one arena of Pending. */
const PENDING_BYTES = 192 * 2 ** 10;
/** A row takes more than its key and value, at most this for values of the usual kind. */
const ROW_EXTRA_BYTES = 64;
/** A list leaves no history, so nothing has a time. */
const NO_TIME_MS = 0;
const NO_BYTES = new Uint8Array(0);

/** Reads stored values into wire form; what does not parse is noted, never thrown. */
export class ValueReader {
  /** Keys that are no object's (spec 1.1). */
  ignoredKeys = 0;
  readonly #codec: KindCodec;
  readonly layout: KeyLayout;
  readonly #key: ByteRange = rangeOf(NO_BYTES);

  constructor(codec: KindCodec, layout: KeyLayout) {
    this.#codec = codec;
    this.layout = layout;
  }

  /** False when the key is none of the kind's. */
  accepts(bytes: Uint8Array, keyStart: number, keyEnd: number): boolean {
    if (this.layout.isObjectKey(bytes, keyStart, keyEnd)) return true;
    this.ignoredKeys++;
    return false;
  }

  put(
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
    into: Pending,
  ): void {
    const wire = into.open(this.#point(bytes, keyStart, keyEnd));
    try {
      this.#codec.toWire(bytes, valueStart, valueEnd, modRevision, wire);
    } catch (error) {
      // Whatever a value makes the codec throw is that value's fault, unless it is an invariant of ours.
      if (error instanceof InvariantError || !(error instanceof Error)) throw error;
      into.unreadable(error.message);
      return;
    }
    into.put(createRevision, modRevision);
  }

  delete(bytes: Uint8Array, keyStart: number, keyEnd: number, into: Pending): void {
    into.delete(this.#point(bytes, keyStart, keyEnd));
  }

  /** Lets go of the buffer that it read last: a page of a list is large. */
  forget(): void {
    this.#point(NO_BYTES, 0, 0);
  }

  #point(bytes: Uint8Array, start: number, end: number): ByteRange {
    this.#key.bytes = bytes;
    this.#key.start = start;
    this.#key.end = end;
    return this.#key;
  }
}

/**
 * Takes in a list from the source, entry by entry.
 *
 *   fresh        into new storage, applied some at a time; nobody reads it yet
 *   difference   compared with what is held: only what differs is read, and is applied at the end as
 *                one change, deletions included; unchanged objects keep their versions
 */
export class ListFill {
  readonly mode: ListMode;
  readonly storage: Storage;
  readonly errors = new DecodeErrors();
  readonly #reader: ValueReader;
  readonly #pending = new Pending();
  readonly #applier: Applier;
  readonly #key: ByteRange = rangeOf(NO_BYTES);
  #pendingBytes = 0;
  #newest: ModRevision = 0;
  /** By version id, in difference mode: the list has the key. */
  #listed = new Uint8Array(1024);

  /** `index`: of a storage that is read meanwhile. */
  constructor(mode: ListMode, storage: Storage, reader: ValueReader, index?: KindIndex) {
    this.mode = mode;
    this.storage = storage;
    this.#reader = reader;
    this.#applier = new Applier(index);
  }

  entry(
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): void {
    if (!this.#reader.accepts(bytes, keyStart, keyEnd)) return;
    if (modRevision > this.#newest) this.#newest = modRevision;
    if (this.mode === 'difference' && this.#isHeld(bytes, keyStart, keyEnd, createRevision, modRevision)) return;
    this.#reader.put(bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision, this.#pending);
    if (this.mode === 'difference') return;
    // Nobody reads the storage yet. What is pending stays within one arena, which is used again and again: memory
    // that is touched for the first time costs more than the copy (docs/adr/0015).
    this.#pendingBytes += keyEnd - keyStart + valueEnd - valueStart + ROW_EXTRA_BYTES;
    if (this.#pendingBytes >= PENDING_BYTES) this.#apply(this.#newest);
  }

  /** After this, `storage` is the state at `revision`. */
  finish(revision: ModRevision): void {
    if (this.mode === 'difference') this.#deleteUnlisted();
    this.#apply(revision);
    this.#reader.forget();
  }

  #apply(revision: ModRevision): void {
    this.#applier.apply(this.storage, this.#pending, revision, this.errors, undefined, NO_TIME_MS);
    this.#pending.clear();
    this.#pendingBytes = 0;
  }

  #isHeld(
    bytes: Uint8Array,
    start: number,
    end: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): boolean {
    const { engine, versions } = this.storage;
    this.#key.bytes = bytes;
    this.#key.start = start;
    this.#key.end = end;
    const held = engine.get(this.#key);
    if (held === NONE) return false;
    if (modRevision < versions.modRevision(held)) {
      throw new SourceError('replaced', `the source holds an older revision of a key than was seen: ${modRevision}`);
    }
    this.#markListed(held);
    return versions.modRevision(held) === modRevision && versions.createRevision(held) === createRevision;
  }

  #markListed(id: VersionId): void {
    if (id >= this.#listed.length) {
      const larger = new Uint8Array(Math.max(id + 1, this.#listed.length * 2));
      larger.set(this.#listed);
      this.#listed = larger;
    }
    this.#listed[id] = 1;
  }

  #deleteUnlisted(): void {
    const { engine, versions } = this.storage;
    using snapshot = engine.snapshot();
    const { prefix } = this.#reader.layout;
    snapshot.range(rangeOf(prefix), rangeOf(prefixEnd(prefix)), (id) => {
      if (this.#listed[id] !== 1) this.#pending.delete(versions.key(id, this.#key));
      return true;
    });
  }
}
