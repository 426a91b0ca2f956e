import type { KindCodec } from '../codec/codec.js';
import { assert } from '../lib/assert.js';
import { ObjectChange } from '../indexer/interests.js';
import type { Clock, Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import type { CacheWatch, CacheWatchRequest, WatchFailureReason, WatchSink } from './cache.js';
import { type Chunk, EventFramer, type Framed, Group, groupId } from './groups.js';
import { UNREADABLE } from './history.js';
import { InitialEvents } from './initial-events.js';
import { RangeIndex } from './range-index.js';
import type { TimingWheel } from './timing-wheel.js';
import { createTurns, type Turns } from './turns.js';
import type { WatchCache } from './watch-cache.js';
import { Watcher, type WatcherHome } from './watcher.js';

/** A bookmark that could not be sent (the watcher lags) is tried again after this. */
const BOOKMARK_RETRY_MS = 1_000;
/** A laggard is caught up in writes of about this size. */
const CATCH_UP_BYTES = 64 * 2 ** 10;

export interface WatchersOptions {
  readonly cache: WatchCache;
  readonly codec: KindCodec;
  readonly prefix: Uint8Array;
  readonly wheel: TimingWheel;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
}

/**
 * Everybody who watches one kind. A watcher is a cursor and owns no queue; who is up to date does
 * not even need the cursor: `dispatched` is everybody's.
 *
 *     history   ……│ 41 42 │ 43 44 45 │ 46 47        │
 *                 └ a laggard's      └ dispatched   └ end: the next tick takes 46 47,
 *                   position           (the live)     frames them once per group
 *
 * A tick writes one chunk to each member of each group that its changes concern. It follows a
 * change at once if the last tick was long enough ago, and otherwise gathers what comes meanwhile.
 *
 * Invariants:
 *   I1  a live watcher has been offered every change of its range before `dispatched`, once, in order.
 *   I2  positions, and the ends of chunks, are never inside a revision.
 *   I3  a watcher that is not live is in `#behind`, `#future`, or has a snapshot.
 *   I4  nobody is behind the history: who would be has been ended.
 */
export class Watchers implements WatcherHome {
  eventsDispatched = 0;
  terminated = 0;
  readonly #options: WatchersOptions;
  readonly #framer: EventFramer;
  readonly #turns: Turns;
  readonly #groups = new Map<string, Group<Watcher>>();
  readonly #index: RangeIndex<Group<Watcher>>;
  readonly #all = new Set<Watcher>();
  readonly #behind = new Set<Watcher>();
  readonly #future = new Set<Watcher>();
  /** No watcher in #behind has a position before this. */
  #behindFrom = Number.POSITIVE_INFINITY;
  #dispatched = 0;
  #dispatching = false;
  #unsentBytes = 0;
  #flushedMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  /** Objects of initial states, to look at the clock now and then. */
  #framed = 0;
  readonly #change: ObjectChange;

  constructor(options: WatchersOptions) {
    this.#options = options;
    this.#framer = new EventFramer(options.cache, options.codec, options.limits.listChunkBytes);
    this.#turns = createTurns(options.clock, options.limits.listSliceMs);
    this.#index = new RangeIndex(options.prefix);
    this.#change = new ObjectChange(options.codec);
  }

  get count(): number {
    return this.#all.size;
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  get laggingCount(): number {
    return this.#behind.size;
  }

  /** Entries in the wheel: bounded by three for each watcher, and none without watchers. */
  get timerCount(): number {
    let count = this.#timer === undefined ? 0 : 1;
    for (const { deadline, bookmark, pinLimit } of this.#all) {
      count += (deadline === undefined ? 0 : 1) + (bookmark === undefined ? 0 : 1) + (pinLimit === undefined ? 0 : 1);
    }
    return count;
  }

  watch(request: CacheWatchRequest, sink: WatchSink): CacheWatch {
    const { cache, clock, wheel, limits } = this.#options;
    if (!this.#dispatching) this.flush();
    const group = this.#groupFor(request);
    const watcher = new Watcher(this, request, sink, group, clock.monotonicMs() + request.timeoutMs);
    group.memberCount++;
    this.#all.add(watcher);
    watcher.deadline = wheel.schedule(request.timeoutMs, () => {
      watcher.deadline = undefined;
      this.#end(watcher);
    });
    if (request.bookmarks) this.#scheduleBookmark(watcher);
    if (!cache.ready || (!request.initialEvents && request.afterRevision < cache.history.tail)) {
      // Whoever asks checks before; but between the check and here the history may have moved.
      watcher.position = -1;
      this.#fallBehind(watcher);
    } else if (request.initialEvents) {
      watcher.state = 'initial';
      watcher.snapshot = cache.snapshot(undefined, 'watch: initial events')!;
      // At once, while the indexes show the state of the snapshot.
      watcher.initial = new InitialEvents(watcher.snapshot, request);
      watcher.position = cache.history.end;
      watcher.pinLimit = wheel.schedule(limits.pinMs, () => {
        watcher.pinLimit = undefined;
        this.#end(watcher);
      });
    } else if (request.afterRevision > cache.revision && request.afterRevision <= cache.abandonedRevision) {
      watcher.state = 'future';
      this.#future.add(watcher);
      this.#turns.add(() => {
        const message = `too old resource version: ${request.afterRevision} (${cache.history.tail})`;
        this.#fail(watcher, message, 'expired');
        return false;
      });
      return watcher;
    } else if (request.afterRevision > cache.revision) {
      watcher.state = 'future';
      this.#future.add(watcher);
      return watcher;
    } else {
      watcher.position = cache.history.seek(request.afterRevision);
      if (watcher.position >= this.#dispatched && !this.#dispatching) {
        watcher.state = 'live';
        group.live.add(watcher);
        return watcher;
      }
      this.#fallBehind(watcher);
    }
    this.enqueue(watcher);
    return watcher;
  }

  /** Changes were committed. */
  changed(bytes: number): void {
    const { clock, limits } = this.#options;
    if (this.#groups.size === 0) {
      this.#dispatched = this.#options.cache.history.end;
      return;
    }
    this.#unsentBytes += bytes;
    const pauseMs = this.#flushedMs + limits.watchFlushMs - clock.monotonicMs();
    if (this.#unsentBytes >= limits.watchFlushBytes || (pauseMs <= 0 && this.#timer === undefined)) {
      this.flush();
      return;
    }
    if (this.#timer !== undefined) return;
    this.#timer = clock.setTimer(pauseMs, () => {
      this.#timer = undefined;
      this.flush();
    });
  }

  /** The revision moved on without a change. */
  progressed(): void {
    // First what was committed and waits for its tick: who is admitted is behind all that was dispatched.
    if (this.#future.size > 0) this.flush();
    if (this.#future.size > 0 && !this.#dispatching) this.#admitFuture();
  }

  /** Sends what has been committed and not sent: one tick. */
  flush(): void {
    if (this.#dispatching) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const { cache, clock } = this.#options;
    const from = this.#dispatched;
    const to = cache.history.end;
    if (from === to) return;
    this.#dispatching = true;
    this.#unsentBytes = 0;
    this.#dispatched = to;
    try {
      for (const group of this.#touch(from, to)) this.#tick(group, from, to);
    } finally {
      this.#dispatching = false;
    }
    if (this.#future.size > 0) this.#admitFuture();
    this.endPassed();
    this.#flushedMs = clock.monotonicMs();
  }

  /** Ends those whose position the history has left behind (I4). */
  endPassed(): void {
    const { first } = this.#options.cache.history;
    if (first <= this.#behindFrom) return;
    this.#behindFrom = Number.POSITIVE_INFINITY;
    for (const watcher of this.#behind) {
      if (watcher.position < first) this.#endPassed(watcher);
      else this.#behindFrom = Math.min(this.#behindFrom, watcher.position);
    }
  }

  /** Ends every stream cleanly: the client comes back and finds out what it can go on from. */
  endAll(): void {
    for (const watcher of this.#all) this.#end(watcher);
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#unsentBytes = 0;
  }

  /** The history was replaced. */
  restart(): void {
    assert(this.#all.size === 0, 'I4: a watcher outlives the history that it follows');
    this.#dispatched = this.#options.cache.history.end;
  }

  stop(): void {
    this.endAll();
    this.#turns.stop();
  }

  verify(): void {
    const { history } = this.#options.cache;
    assert(this.#dispatched <= history.end, 'I1: more was dispatched than happened');
    const members = new Map<Group<Watcher>, number>();
    for (const watcher of this.#all) {
      members.set(watcher.group, (members.get(watcher.group) ?? 0) + 1);
      const { state } = watcher;
      assert(state !== 'closed', 'I3: a closed watcher is kept');
      assert(watcher.group.live.has(watcher) === (state === 'live'), `I3: a ${state} watcher is in the wrong set`);
      assert(this.#behind.has(watcher) === (state === 'behind'), `I3: a ${state} watcher is in the wrong set`);
      assert(this.#future.has(watcher) === (state === 'future'), `I3: a ${state} watcher is in the wrong set`);
      assert((watcher.snapshot !== undefined) === (state === 'initial'), `I3: a ${state} watcher and its snapshot`);
      if (state !== 'behind' || watcher.position < history.first || watcher.position >= history.end) continue;
      const inside =
        watcher.position > history.first &&
        history.revision(watcher.position) === history.revision(watcher.position - 1);
      assert(!inside, 'I2: a position is inside a revision');
    }
    assert(members.size === this.#groups.size && this.#index.size <= this.#groups.size, 'I3: an empty group is kept');
    for (const [group, count] of members) assert(group.memberCount === count, `I3: group ${group.id} miscounts`);
  }

  enqueue(watcher: Watcher): void {
    if (watcher.queued || watcher.state === 'closed' || watcher.state === 'live' || watcher.state === 'future') return;
    watcher.queued = true;
    this.#turns.add(() => {
      const more = this.#advance(watcher);
      if (!more) watcher.queued = false;
      return more;
    });
  }

  /** Lets go of everything at once; the sink is not told. */
  release(watcher: Watcher): void {
    if (watcher.state === 'closed') return;
    const { group } = watcher;
    this.#leave(watcher);
    watcher.state = 'closed';
    watcher.deadline?.cancel();
    watcher.bookmark?.cancel();
    watcher.deadline = watcher.bookmark = undefined;
    this.#all.delete(watcher);
    group.memberCount--;
    if (group.memberCount === 0) {
      this.#groups.delete(group.id);
      this.#index.remove(group);
    }
  }

  /** Sorts the changes of a tick to the groups whose range holds them, and whose selectors they may concern. */
  #touch(from: number, to: number): Group<Watcher>[] {
    const touched: Group<Watcher>[] = [];
    if (this.#groups.size === 0) return touched;
    for (let sequence = from; sequence < to; sequence++) {
      const key = this.#framer.keyOf(sequence);
      this.#index.visit(key.bytes, key.start, key.end, this.#changeAt(sequence), (group) => {
        if (group.touched.length === 0) touched.push(group);
        group.touched.push(sequence);
      });
    }
    this.eventsDispatched += to - from;
    return touched;
  }

  /** undefined: nobody can tell whose object it was, or is. */
  #changeAt(sequence: number): ObjectChange | undefined {
    const { history, storage } = this.#options.cache;
    if (history.type(sequence) === UNREADABLE) return undefined;
    return this.#change.set(storage.versions, history.previous(sequence), history.next(sequence));
  }

  #tick(group: Group<Watcher>, from: number, to: number): void {
    const { limits } = this.#options;
    if (group.live.size === 0 && group.laggards === 0) {
      group.touched.length = 0;
      return;
    }
    const framed = this.#framer.touched(group, to, false);
    const { firstDiffers } = group.framer;
    let asFirst: Framed | undefined;
    if (framed.bytes !== undefined) {
      if (group.laggards > 0) {
        const chunk: Chunk = { from, to: framed.position, bytes: framed.bytes };
        group.keep(chunk, limits.groupFrameBytesMax);
      }
      for (const watcher of group.live) {
        if (watcher.first && firstDiffers) asFirst ??= this.#framer.touched(group, to, true);
        const bytes = watcher.first && firstDiffers ? asFirst!.bytes! : framed.bytes;
        if (!this.#write(watcher, bytes)) this.#blockedAt(watcher, framed.position);
      }
    }
    group.touched.length = 0;
    if (framed.unreadable === undefined) return;
    // Laggards meet the unreadable value in the history.
    if (group.laggards > 0) group.forget(to);
    for (const watcher of group.live) this.#fail(watcher, framed.unreadable, 'unreadable');
  }

  /** A live watcher's transport is full: from now on it has a position. */
  #blockedAt(watcher: Watcher, position: number): void {
    if (watcher.state !== 'live') return;
    watcher.group.live.delete(watcher);
    watcher.position = position;
    this.#fallBehind(watcher);
  }

  #fallBehind(watcher: Watcher): void {
    watcher.state = 'behind';
    watcher.group.laggardCame(this.#dispatched);
    this.#behind.add(watcher);
    this.#behindFrom = Math.min(this.#behindFrom, watcher.position);
  }

  /** A small piece of work for one watcher; true while there is more to do at once. */
  #advance(watcher: Watcher): boolean {
    if (watcher.blocked) return false;
    if (watcher.state === 'initial') this.#streamInitial(watcher);
    else if (watcher.state === 'behind') this.#catchUp(watcher);
    return !watcher.blocked && (watcher.state === 'initial' || watcher.state === 'behind');
  }

  #streamInitial(watcher: Watcher): void {
    const { clock, limits } = this.#options;
    const { group, request } = watcher;
    const snapshot = watcher.snapshot!;
    const untilMs = clock.monotonicMs() + limits.listSliceMs;
    const framer = this.#framer;
    framer.begin();
    const isTime = () => clock.monotonicMs() >= untilMs;
    const isEnough = () => framer.size >= limits.listChunkBytes || (++this.#framed % 128 === 0 && isTime());
    if (watcher.initial!.advance(framer, group, watcher.first, isEnough, isTime)) {
      const first = watcher.first && framer.size === 0;
      if (request.initialEventsEnd) framer.bookmark(group, snapshot.revision, true, first);
      this.#leave(watcher);
      this.#fallBehind(watcher);
    }
    this.#hand(watcher);
  }

  #catchUp(watcher: Watcher): void {
    const { cache, clock, limits } = this.#options;
    const { group } = watcher;
    if (watcher.position < cache.history.first) {
      this.#endPassed(watcher);
      return;
    }
    const shared = watcher.position >= group.recentFrom;
    const chunk = shared ? group.chunkAfter(watcher.position) : undefined;
    if (watcher.position >= this.#dispatched || (shared && chunk === undefined)) {
      this.#leave(watcher);
      watcher.state = 'live';
      group.live.add(watcher);
      return;
    }
    if (chunk !== undefined && chunk.from >= watcher.position && !(watcher.first && group.framer.firstDiffers)) {
      watcher.position = chunk.to;
      this.#write(watcher, chunk.bytes);
      return;
    }
    // Framed for this watcher alone, up to where shared chunks go on.
    const to =
      chunk !== undefined ? chunk.to : shared ? this.#dispatched : Math.min(group.recentFrom, this.#dispatched);
    const untilMs = clock.monotonicMs() + limits.listSliceMs / 2;
    const isTime = () => clock.monotonicMs() >= untilMs;
    this.#framer.begin();
    const framed = this.#framer.span(group, watcher.position, to, watcher.first, CATCH_UP_BYTES, isTime);
    watcher.position = framed.position;
    this.#hand(watcher);
    if (framed.unreadable !== undefined) this.#fail(watcher, framed.unreadable, 'unreadable');
  }

  /** The cache has reached what they asked for: they begin there. */
  #admitFuture(): void {
    const { cache } = this.#options;
    for (const watcher of this.#future) {
      if (watcher.request.afterRevision > cache.revision) continue;
      this.#leave(watcher);
      watcher.position = cache.history.seek(watcher.request.afterRevision);
      this.#fallBehind(watcher);
      this.enqueue(watcher);
    }
  }

  #scheduleBookmark(watcher: Watcher): void {
    const { clock, limits, random, wheel } = this.#options;
    const regularMs = limits.bookmarkEveryMs * (0.9 + 0.2 * random.float());
    const lastMs = watcher.deadlineMs - limits.bookmarkBeforeDeadlineMs - clock.monotonicMs();
    this.#bookmarkAfter(watcher, wheel, lastMs > 0 ? Math.min(regularMs, lastMs) : regularMs);
  }

  #bookmarkAfter(watcher: Watcher, wheel: TimingWheel, delayMs: number): void {
    watcher.bookmark = wheel.schedule(delayMs, () => {
      watcher.bookmark = undefined;
      if (this.#sendBookmark(watcher)) this.#scheduleBookmark(watcher);
      else if (watcher.state !== 'closed') this.#bookmarkAfter(watcher, wheel, BOOKMARK_RETRY_MS);
    });
  }

  /** Says that everything up to the cache's revision has been sent, which must be true. */
  #sendBookmark(watcher: Watcher): boolean {
    this.flush();
    if (watcher.state !== 'live') return false;
    const { group } = watcher;
    const { revision } = this.#options.cache;
    const frame = (first: boolean) => () => this.#framer.bookmarkAlone(group, revision, first);
    const own = watcher.first && group.framer.firstDiffers;
    const bytes = own ? frame(true)() : group.bookmark(revision, frame(false));
    if (!this.#write(watcher, bytes)) this.#blockedAt(watcher, this.#dispatched);
    return true;
  }

  /** Writes what was framed for this watcher alone. */
  #hand(watcher: Watcher): void {
    this.#framer.hand((bytes, done) => this.#write(watcher, bytes, done));
  }

  /** False when the transport is full, or gone. What it accepted it will send in any case. */
  #write(watcher: Watcher, bytes: Uint8Array, done?: () => void): boolean {
    watcher.first = false;
    watcher.blocked = true; // Until the transport says otherwise: it may drain before `write` returns.
    try {
      if (watcher.sink.write(bytes, done)) watcher.blocked = false;
    } catch {
      this.release(watcher); // A transport that fails is gone; the others must not notice.
    }
    return watcher.state !== 'closed' && !watcher.blocked;
  }

  #end(watcher: Watcher): void {
    if (watcher.state === 'closed') return;
    this.release(watcher);
    try {
      watcher.sink.end();
    } catch {
      // The transport is gone already.
    }
  }

  #endPassed(watcher: Watcher): void {
    this.terminated++;
    this.#end(watcher);
  }

  #fail(watcher: Watcher, message: string, reason: WatchFailureReason): void {
    if (watcher.state === 'closed') return;
    this.release(watcher);
    try {
      if (watcher.sink.fail !== undefined) watcher.sink.fail(message, reason);
      else watcher.sink.end();
    } catch {
      // The transport is gone already.
    }
  }

  /** Out of whatever its state put it into. */
  #leave(watcher: Watcher): void {
    const { group } = watcher;
    switch (watcher.state) {
      case 'live':
        group.live.delete(watcher);
        break;
      case 'behind':
        this.#behind.delete(watcher);
        group.laggardLeft();
        if (this.#behind.size === 0) this.#framer.rest();
        break;
      case 'future':
        this.#future.delete(watcher);
        break;
      default:
        watcher.snapshot?.[Symbol.dispose]();
        watcher.snapshot = undefined;
        watcher.initial = undefined;
        watcher.pinLimit?.cancel();
        watcher.pinLimit = undefined;
    }
  }

  #groupFor(request: CacheWatchRequest): Group<Watcher> {
    const id = groupId(request);
    const found = this.#groups.get(id);
    if (found !== undefined) return found;
    const group = new Group<Watcher>(id, request);
    this.#groups.set(id, group);
    this.#index.add(group);
    return group;
  }
}
