import type { ModRevision } from '../api/revision.js';
import type { ObjectFilter, WatchSink } from '../cache/cache.js';
import { CodecError, type WireObject, type WireWriter } from '../codec/codec.js';
import { createWriter } from '../codec/writer.js';
import { compareRanges, rangeOf } from '../lib/bytes.js';
import { sleep, type Timer } from '../lib/clock.js';
import { DELETE, PUT, type WatchEnd, type WatchHandle } from '../source/source.js';
import { type ReadContext, revisionNumber } from './context.js';
import { INCONSISTENT_CONTINUE } from './direct.js';
import type { Failure } from './failure.js';
import type { WatchPlan } from './read-plan.js';
import type { WatchFormat, WatchRun } from './reader.js';
import type { Scope } from './scope.js';
import { createSeenObjects } from './seen-objects.js';
import { isCompacted, sourceFailure, UnreadableValue } from './source-failure.js';

/**
 * A WATCH that has no cache behind it: one watch of the source per client.
 *
 *     source.watch ──changes──> queue ──> process: decode, previous value, selectors ──> frames ──> sink
 *
 * The source does not tell what a key held before. What this stream has seen lately is kept; for
 * anything else the source is asked for the state one revision earlier. Changes are processed one
 * after the other, so their order survives these questions.
 */
export function startDirectWatch(context: ReadContext, work: WatchWork, sink: WatchSink): WatchRun {
  const watch = new DirectWatch(context, work, sink);
  void watch.run();
  return watch;
}

export interface WatchWork {
  readonly plan: WatchPlan;
  readonly scope: Scope;
  readonly filter: ObjectFilter | undefined;
  readonly format: WatchFormat;
  readonly bookmarks: boolean;
  readonly timeoutMs: number;
}

interface Change {
  readonly deleted: boolean;
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: ModRevision;
  readonly modRevision: ModRevision;
}

const SEEN_BYTES_MAX = 2 ** 20; // per stream; what does not fit is read again

/** Ends the stream with an ERROR event. */
class StreamFailure extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.kind);
    this.failure = failure;
  }
}

class DirectWatch implements WatchRun {
  readonly #context: ReadContext;
  readonly #work: WatchWork;
  readonly #sink: WatchSink;
  readonly #over = new AbortController();
  readonly #timer: Timer;
  readonly #seen = createSeenObjects(SEEN_BYTES_MAX);
  readonly #wire: WireWriter = createWriter();
  #frames: WireWriter = createWriter();
  #first = true;
  #writable = true;
  #queue: (Change | WatchEnd)[] = [];
  #queueBytes = 0;
  #pending: Change[] = [];
  #handle: WatchHandle | undefined;
  /** Everything up to here is in the queue. */
  #received: ModRevision = 0;
  /** Which store the state came from. */
  #generation: number | undefined;
  #wake: (() => void) | undefined;

  constructor(context: ReadContext, work: WatchWork, sink: WatchSink) {
    this.#context = context;
    this.#work = work;
    this.#sink = sink;
    this.#timer = context.clock.setTimer(work.timeoutMs, () => this.#finish());
  }

  async run(): Promise<void> {
    try {
      await this.#begin();
      await this.#follow();
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#fail(error);
    }
    this.#finish();
  }

  drained(): void {
    this.#writable = true;
    this.#notify();
  }

  close(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#timer.cancel();
    this.#handle?.close();
    this.#queue = [];
    this.#pending = [];
    this.#seen.clear();
    this.#notify();
  }

  /** A clean end of the stream. */
  #finish(): void {
    if (this.#over.signal.aborted) return;
    this.close();
    this.#sink.end();
  }

  #fail(error: unknown): void {
    this.#work.format.error(this.#failureOf(error), this.#frames);
    this.#write();
  }

  #failureOf(error: unknown): Failure {
    if (error instanceof StreamFailure) return error.failure;
    try {
      return sourceFailure(error, this.#context, 'watch');
    } catch {
      // A bug: it ends this stream, and the client is told; nobody awaits a stream who could be told instead.
      return { kind: 'internal', message: String(error) };
    }
  }

  /** Finds the revision to start after; sends the state first if it is wanted. */
  async #begin(): Promise<void> {
    const { source, random } = this.#context;
    const { signal } = this.#over;
    const { start } = this.#work.plan;
    switch (start.at) {
      case 'after':
        this.#received = revisionNumber(start.revision);
        return;
      case 'afterMostRecent':
      case 'afterAny':
        this.#received = await source.currentRevision(signal);
        return;
      case 'stateNotOlderThan': {
        const current = await source.currentRevision(signal);
        if (start.revision > BigInt(current)) {
          const retryAfterSeconds = 1 + random.int(3);
          throw new StreamFailure({ kind: 'versionTooLarge', requested: start.revision, current, retryAfterSeconds });
        }
        return this.#sendState();
      }
      default:
        return this.#sendState();
    }
  }

  async #sendState(): Promise<void> {
    const { source, limits } = this.#context;
    const { scope, plan, format } = this.#work;
    let from = scope.from;
    let revision = 0;
    let generation: number | undefined;
    for (let more = true; more; ) {
      let lastKey = '';
      let unreadable: unknown;
      const result = await source
        .range(
          { from, to: scope.to, limit: limits.listPageCount, ...(revision > 0 ? { revision } : {}) },
          (bytes, keyStart, keyEnd, valueStart, valueEnd, _createRevision, modRevision) => {
            if (unreadable !== undefined) return;
            lastKey = textOf(bytes, keyStart, keyEnd);
            try {
              const object = this.#decode(lastKey, bytes, valueStart, valueEnd, modRevision);
              this.#seen.set(lastKey, object);
              if (this.#matches(object)) this.#event('ADDED', object, modRevision);
            } catch (error) {
              unreadable = error;
            }
          },
          this.#over.signal,
        )
        .catch((error: unknown) => {
          if (!isCompacted(error)) throw error;
          throw new StreamFailure({ kind: 'expired', message: INCONSISTENT_CONTINUE });
        });
      if (unreadable !== undefined) throw unreadable;
      if (revision === 0) ({ revision, generation } = result);
      more = result.more;
      from = Buffer.from(`${lastKey}\0`);
      await this.#flush();
      if (this.#over.signal.aborted) return;
    }
    this.#received = revision;
    this.#generation = generation;
    if (plan.initialEventsEnd) {
      format.bookmark(revision, true, this.#first, this.#frames);
      this.#first = false;
      await this.#flush();
    }
  }

  async #follow(): Promise<void> {
    const { clock, limits, random } = this.#context;
    this.#watchSource();
    let backoffMs = limits.backoffMinMs;
    while (!this.#over.signal.aborted) {
      const item = this.#queue.shift();
      if (item === undefined) {
        await this.#flush();
        if (this.#queue.length === 0) await this.#woken();
        continue;
      }
      if ('deleted' in item) {
        this.#queueBytes -= item.value.length;
        await this.#process(item);
        if (this.#frames.position >= limits.watchFlushBytes) await this.#flush();
        backoffMs = limits.backoffMinMs;
        continue;
      }
      await this.#flush();
      if (item.kind === 'compacted') {
        const message = 'The resourceVersion for the provided watch is too old.';
        throw new StreamFailure({ kind: 'expired', message });
      }
      if (item.kind !== 'cut') return;
      await sleep(clock, backoffMs * (1 + random.float()), this.#over.signal);
      backoffMs = Math.min(backoffMs * 2, limits.backoffMaxMs);
      if (!this.#over.signal.aborted) this.#watchSource();
    }
  }

  #watchSource(): void {
    const { source, limits } = this.#context;
    const { scope } = this.#work;
    const from = rangeOf(scope.from);
    const to = rangeOf(scope.to);
    let ended = false;
    this.#pending = [];
    const handle = source.watch(
      { prefix: scope.from, startRevision: this.#received + 1, ...this.#sameStore() },
      {
        change: (type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
          if (this.#over.signal.aborted) return;
          // The prefix of a single key also has the keys that go on after it.
          const key = { bytes, start: keyStart, end: keyEnd };
          if (compareRanges(key, from) < 0 || compareRanges(key, to) >= 0) return;
          this.#pending.push({
            deleted: type === DELETE,
            key: textOf(bytes, keyStart, keyEnd),
            value: type === PUT ? new Uint8Array(bytes.subarray(valueStart, valueEnd)) : EMPTY,
            createRevision,
            modRevision,
          });
        },
        commit: (modRevision) => {
          if (this.#over.signal.aborted) return;
          this.#received = modRevision;
          for (const change of this.#pending) this.#queueBytes += change.value.length;
          this.#queue.push(...this.#pending);
          this.#pending = [];
          // The client does not keep up: it is ended, and watches again from what it has seen.
          if (this.#queueBytes > limits.groupFrameBytesMax) return this.#finish();
          this.#notify();
        },
        progress: (revision) => {
          this.#received = Math.max(this.#received, revision);
        },
        ended: (end) => {
          ended = true;
          this.#handle = undefined;
          if (this.#over.signal.aborted) return;
          this.#queue.push(end);
          this.#notify();
        },
      },
    );
    if (!ended) this.#handle = handle;
    if (this.#over.signal.aborted) handle.close();
  }

  #sameStore(): { generation?: number } {
    return this.#generation === undefined ? {} : { generation: this.#generation };
  }

  /** Decides what a change is to this client (spec 3.4). */
  async #process({ deleted, key, value, createRevision, modRevision }: Change): Promise<void> {
    const created = !deleted && createRevision === modRevision;
    const next = deleted ? undefined : this.#decode(key, value, 0, value.length, modRevision);
    const needsPrevious = deleted || (this.#work.filter !== undefined && !created);
    const previous = needsPrevious ? await this.#previous(key, modRevision) : undefined;
    if (this.#over.signal.aborted) return;
    if (next === undefined) this.#seen.delete(key);
    else this.#seen.set(key, next);

    const before = previous !== undefined && this.#matches(previous);
    const after = next !== undefined && this.#matches(next);
    if (after) {
      const known = this.#work.filter === undefined ? !created : before;
      this.#event(known ? 'MODIFIED' : 'ADDED', next, modRevision);
    } else if (before) {
      this.#event('DELETED', this.#resplice(previous, modRevision), modRevision);
    }
  }

  async #previous(key: string, modRevision: ModRevision): Promise<WireObject | undefined> {
    const seen = this.#seen.get(key);
    if (seen !== undefined) return seen;
    let previous: WireObject | undefined;
    let unreadable: unknown;
    const from = Buffer.from(key);
    try {
      await this.#context.source.range(
        { from, to: Buffer.from(`${key}\0`), revision: modRevision - 1 },
        (bytes, _keyStart, _keyEnd, valueStart, valueEnd, _createRevision, earlier) => {
          try {
            previous = this.#decode(key, bytes, valueStart, valueEnd, earlier);
          } catch (error) {
            unreadable = error;
          }
        },
        this.#over.signal,
      );
    } catch (error) {
      if (!isCompacted(error)) throw error;
      const message = 'The resourceVersion for the provided watch is too old.';
      throw new StreamFailure({ kind: 'expired', message });
    }
    if (unreadable !== undefined) throw unreadable;
    return previous;
  }

  /** The object in wire form, in bytes of its own. */
  #decode(key: string, bytes: Uint8Array, start: number, end: number, modRevision: ModRevision): WireObject {
    const wire = this.#wire;
    wire.position = 0;
    try {
      this.#context.codec.toWire(bytes, start, end, modRevision, wire);
    } catch (error) {
      if (error instanceof CodecError) throw new UnreadableValue(key, error.message);
      throw error;
    }
    return copyOf(wire);
  }

  #resplice(object: WireObject, modRevision: ModRevision): WireObject {
    const wire = this.#wire;
    wire.position = 0;
    this.#context.codec.resplice(object, modRevision, wire);
    return copyOf(wire);
  }

  #matches(object: WireObject): boolean {
    const { filter } = this.#work;
    return filter === undefined || filter.matches(object.bytes, object.start, object.end);
  }

  #event(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: WireObject, modRevision: ModRevision): void {
    this.#work.format.event(type, object, modRevision, this.#first, this.#frames);
    this.#first = false;
  }

  /** Writes what is framed, and waits while the transport is full. */
  async #flush(): Promise<void> {
    this.#write();
    while (!this.#writable && !this.#over.signal.aborted) await this.#woken();
  }

  #write(): void {
    if (this.#frames.position === 0 || this.#over.signal.aborted) return;
    const chunk = this.#frames.bytes.subarray(0, this.#frames.position);
    this.#frames = createWriter(); // the transport keeps the chunk
    this.#writable = this.#sink.write(chunk);
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#over.signal.aborted) this.#notify();
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

const EMPTY = new Uint8Array(0);

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', start, end);
}

function copyOf(wire: WireWriter): WireObject {
  const { headerStart, start, position } = wire;
  const bytes = new Uint8Array(wire.bytes.subarray(headerStart, position));
  return { bytes, headerStart: 0, start: start - headerStart, end: bytes.length };
}
