import type { ModRevision } from '../api/revision.js';
import type { KindCodec, WireObject, WireWriter } from '../codec/codec.js';
import { createWriter } from '../codec/writer.js';
import type { Leaf } from '../engine/engine.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import { NONE, type VersionId, type Versions } from '../versions/versions.js';
import type { CacheWatchRequest, Framer, ObjectFilter } from './cache.js';
import { UNREADABLE } from './history.js';
import { newWireObject } from './pending.js';
import { holdsKey, type KeyRange, latin1 } from './range-index.js';
import { keyText } from './storage.js';
import type { WatchCache } from './watch-cache.js';

/** What a group sent for the changes from..to (sequence numbers of the history), which are whole revisions. */
export interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array;
  /** The same as the first chunk of a stream, where that differs; made when somebody needs it. */
  asFirst?: Uint8Array | undefined;
}

/**
 * Watchers that get the same bytes: same range, same selectors, same format. A change is judged
 * and framed once for all of them. While somebody lags behind, the chunks sent meanwhile are kept,
 * up to a bound, so that laggards share them, too.
 *
 *     recentFrom                 dispatched
 *        │ chunk │ (nothing) │ chunk │
 *        └ from here on, `recent` is complete
 */
export class Group<Member> implements KeyRange {
  readonly id: string;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly filter: ObjectFilter | undefined;
  readonly framer: Framer;
  /** Members that have been sent everything. */
  readonly live = new Set<Member>();
  memberCount = 0;
  /** Changes of the present tick that lie in the range. */
  readonly touched: number[] = [];
  recentFrom = 0;
  #recent: Chunk[] = [];
  #recentBytes = 0;
  #laggards = 0;
  #bookmark: { readonly revision: ModRevision; readonly bytes: Uint8Array } | undefined;

  constructor(id: string, request: CacheWatchRequest) {
    this.id = id;
    this.from = request.from;
    this.to = request.to;
    this.filter = request.filter;
    this.framer = request.framer;
  }

  get laggards(): number {
    return this.#laggards;
  }

  get recentBytes(): number {
    return this.#recentBytes;
  }

  laggardCame(dispatched: number): void {
    if (this.#laggards === 0) this.forget(dispatched);
    this.#laggards++;
  }

  laggardLeft(): void {
    this.#laggards--;
    if (this.#laggards === 0) this.forget(this.recentFrom);
  }

  /** Nothing before `sequence` is kept. */
  forget(sequence: number): void {
    this.#recent = [];
    this.#recentBytes = 0;
    this.recentFrom = sequence;
  }

  keep(chunk: Chunk, bytesMax: number): void {
    this.#recent.push(chunk);
    this.#recentBytes += chunk.bytes.length;
    while (this.#recentBytes > bytesMax) {
      const dropped = this.#recent.shift()!;
      this.#recentBytes -= dropped.bytes.length;
      this.recentFrom = dropped.to;
    }
  }

  /** The oldest kept chunk that has something after `position`; only when position >= recentFrom. */
  chunkAfter(position: number): Chunk | undefined {
    let low = 0;
    let high = this.#recent.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#recent[middle]!.to > position) high = middle;
      else low = middle + 1;
    }
    return this.#recent[low];
  }

  /** Everybody who is up to date gets the same bookmark. */
  bookmark(revision: ModRevision, frame: () => Uint8Array): Uint8Array {
    if (this.#bookmark?.revision !== revision) this.#bookmark = { revision, bytes: frame() };
    return this.#bookmark.bytes;
  }
}

export function groupId({ from, to, filter, framer }: CacheWatchRequest): string {
  const range = `${latin1(from, 0, from.length)}\n${latin1(to, 0, to.length)}`;
  return `${range}\n${filter === undefined ? '-' : `+${filter.id}`}\n${framer.id}`;
}

/** What comes last in a chunk, an event or a part of a leaf, may reach beyond it by this much before the buffer has to grow. */
const CHUNK_SLACK_BYTES = 128 * 2 ** 10;
/** While chunks are being handed out, the memory of so many waits for the next ones. */
const SPARE_CHUNKS_MAX = 16;

/** Where framing stopped, and why. */
export interface Framed {
  /** Whole revisions up to here are in the bytes. */
  position: number;
  /** Undefined when nothing matched, and where they are to be handed to one transport. */
  bytes: Uint8Array | undefined;
  events: number;
  /** The key at `position` has no readable value: the stream cannot go on. */
  unreadable: string | undefined;
}

/**
 * Turns changes into events, as the table of spec 3.4 has it: presence and the filter, on the bytes
 * before and after, decide. What many get is a copy and is never changed afterwards; what one gets is handed to its
 * transport as it was framed.
 */
export class EventFramer {
  readonly #cache: WatchCache;
  readonly #codec: KindCodec;
  readonly #into: WireWriter;
  readonly #chunkBytes: number;
  /** Buffers of chunks that their transports have taken; those that had to grow are as good. */
  readonly #spare: Buffer[] = [];
  #spareBytes = 0;
  #resting = true;
  readonly #respliced = createWriter();
  readonly #wire: WireObject = newWireObject();
  readonly #range: ByteRange = rangeOf(new Uint8Array(0));

  /** Chunks of about `chunkBytes` do without growing. */
  constructor(cache: WatchCache, codec: KindCodec, chunkBytes: number) {
    this.#cache = cache;
    this.#codec = codec;
    this.#chunkBytes = chunkBytes + CHUNK_SLACK_BYTES;
    this.#into = createWriter(this.#chunkBytes);
  }

  /** The changes that the tick found in the group's range. */
  touched(group: Group<unknown>, to: number, first: boolean): Framed {
    const framed = this.#frame(group, group.touched, to, first);
    framed.bytes = this.#take();
    return framed;
  }

  /** Appends to what was begun: every change from `from` to `to`, stopping at a revision's end once there are `bytesMax` bytes, or it is `isTime`. */
  span(
    group: Group<unknown>,
    from: number,
    to: number,
    first: boolean,
    bytesMax: number,
    isTime: () => boolean,
  ): Framed {
    const { history, storage } = this.#cache;
    const within: number[] = [];
    let end = from;
    let retained = 0;
    for (; end < to; end++) {
      const boundary = end === from || history.revision(end) !== history.revision(end - 1);
      if (boundary && (retained >= bytesMax || ((end - from) % 64 === 0 && end > from && isTime()))) break;
      const key = this.keyOf(end);
      if (!holdsKey(group, key.bytes, key.start, key.end)) continue;
      within.push(end);
      const id = history.next(end) === NONE ? history.previous(end) : history.next(end);
      if (id !== NONE) retained += storage.versions.wireSize(id);
    }
    return this.#frame(group, within, end, first);
  }

  /** The key that an entry of the history is about. */
  keyOf(sequence: number): ByteRange {
    const { history, storage } = this.#cache;
    const id = history.next(sequence) === NONE ? history.previous(sequence) : history.next(sequence);
    if (id !== NONE) return storage.versions.key(id, this.#range);
    return rangeOf(history.unreadableKey(sequence)!);
  }

  /** One object of the initial state, which passes the group's filter; appends to `begin`ned bytes. */
  initial(group: Group<unknown>, versions: Versions, id: VersionId, first: boolean): void {
    this.#locate(versions, id);
    group.framer.event('ADDED', this.#wire, versions.modRevision(id), first, this.#into);
  }

  /** Neighbours of the initial state, for formats that frame them together; likewise. */
  leaf(framer: Framer, versions: Versions, leaf: Leaf, start: number, end: number): void {
    framer.leaf!(versions, leaf, start, end, this.#into);
  }

  /** Appends the bookmark. */
  bookmark(group: Group<unknown>, revision: ModRevision, initialEventsEnd: boolean, first: boolean): void {
    group.framer.bookmark(revision, initialEventsEnd, first, this.#into);
  }

  /** The bookmark alone, for as many as want it. */
  bookmarkAlone(group: Group<unknown>, revision: ModRevision, first: boolean): Uint8Array {
    this.begin();
    this.bookmark(group, revision, false, first);
    return this.#take()!;
  }

  begin(): void {
    this.#into.position = 0;
  }

  get size(): number {
    return this.#into.position;
  }

  /** A copy of what was framed, for as many as want it. */
  #take(): Uint8Array | undefined {
    return this.#into.position === 0 ? undefined : Buffer.from(this.#into.bytes.subarray(0, this.#into.position));
  }

  /** Hands what was framed, if anything, to `write` as it lies, for one transport that says when it has done with it. */
  hand(write: (bytes: Uint8Array, done: () => void) => void): void {
    const into = this.#into;
    if (into.position === 0) return;
    const buffer = into.bytes;
    const bytes = buffer.subarray(0, into.position);
    const spare = this.#spare.pop();
    this.#spareBytes -= spare?.length ?? 0;
    into.bytes = spare ?? Buffer.allocUnsafeSlow(this.#chunkBytes);
    into.position = 0;
    this.#resting = false;
    write(bytes, () => {
      const fits = this.#spareBytes + buffer.length <= SPARE_CHUNKS_MAX * this.#chunkBytes;
      if (!fits || this.#resting) return;
      this.#spare.push(buffer);
      this.#spareBytes += buffer.length;
    });
  }

  /** Nobody is behind: no buffer is kept before the next chunk is handed out. */
  rest(): void {
    this.#resting = true;
    this.#spare.length = 0;
    this.#spareBytes = 0;
  }

  #frame(group: Group<unknown>, sequences: readonly number[], to: number, first: boolean): Framed {
    const { history } = this.#cache;
    const framed: Framed = { position: to, bytes: undefined, events: 0, unreadable: undefined };
    this.begin();
    let revision = -1;
    let revisionStart = 0; // Of the bytes: a revision is sent whole or not at all.
    let revisionEvents = 0;
    for (const sequence of sequences) {
      if (history.revision(sequence) !== revision) {
        revision = history.revision(sequence);
        revisionStart = this.#into.position;
        revisionEvents = framed.events;
      }
      if (history.type(sequence) === UNREADABLE) {
        this.#into.position = revisionStart;
        framed.events = revisionEvents;
        framed.position = history.seek(revision - 1);
        framed.unreadable = this.#describe(sequence);
        break;
      }
      if (this.#event(group, sequence, first && framed.events === 0)) framed.events++;
    }
    return framed;
  }

  #event(group: Group<unknown>, sequence: number, first: boolean): boolean {
    const { history, storage } = this.#cache;
    const { versions } = storage;
    const next = history.next(sequence);
    const previous = history.previous(sequence);
    const matched = previous !== NONE && this.#matches(group, versions, previous);
    const revision = history.revision(sequence);
    if (next !== NONE && this.#matches(group, versions, next)) {
      this.#locate(versions, next);
      group.framer.event(matched ? 'MODIFIED' : 'ADDED', this.#wire, revision, first, this.#into);
      return true;
    }
    if (!matched) return false;
    // The last content that matched, under the revision at which it left.
    this.#locate(versions, previous);
    const respliced = this.#respliced;
    respliced.position = 0;
    this.#codec.resplice(this.#wire, revision, respliced);
    this.#wire.bytes = respliced.bytes;
    this.#wire.headerStart = respliced.headerStart;
    this.#wire.start = respliced.start;
    this.#wire.end = respliced.position;
    group.framer.event('DELETED', this.#wire, revision, first, this.#into);
    return true;
  }

  #matches(group: Group<unknown>, versions: Versions, id: VersionId): boolean {
    if (group.filter === undefined) return true;
    const object = versions.object(id, this.#range);
    return group.filter.matches(object.bytes, object.start, object.end);
  }

  #locate(versions: Versions, id: VersionId): void {
    const wire = versions.wire(id, this.#range);
    this.#wire.bytes = wire.bytes;
    this.#wire.headerStart = wire.start;
    this.#wire.end = wire.end;
    this.#wire.start = versions.object(id, this.#range).start;
  }

  #describe(sequence: number): string {
    const text = keyText(this.keyOf(sequence));
    return `${text}: ${this.#cache.decodeErrors.messages.get(text) ?? 'the stored value does not parse'}`;
  }
}
