import type { ModRevision } from '../../api/revision.js';
import type { Clock, Timer } from '../../lib/clock.js';
import { PUT, type WatchEnd, type WatchHandle, type WatchHandler, type WatchRequest } from '../source.js';
import type { VersionLog } from './version-log.js';

/** Calls `run` soon, and never within the call. */
export type Defer = (run: () => void) => void;

/** A turn delivers to one watcher for about this long, then lets others and the event loop go on. */
const TURN_MS_MAX = 4;
/** Reading the clock costs as much as a small change, so not after every one. */
const CHECKED_MASK = 7;

/**
 * The watchers of an embedded store: each is a position in the log and a prefix.
 *
 * A write only appends to the log and asks for a turn; the turn delivers. So a handler may write, watch or
 * close from within its calls, and nothing reenters it.
 */
export class Watchers {
  readonly #log: VersionLog;
  readonly #revision: () => ModRevision;
  readonly #defer: Defer;
  readonly #clock: Clock;
  readonly #progressEveryMs: number;
  readonly #watchers = new Set<Watcher>();
  #turnPlanned = false;
  #afterTurn: (() => void)[] = [];
  #progressTimer: Timer | undefined;

  constructor(log: VersionLog, revision: () => ModRevision, defer: Defer, clock: Clock, progressEveryMs: number) {
    this.#log = log;
    this.#revision = revision;
    this.#defer = defer;
    this.#clock = clock;
    this.#progressEveryMs = progressEveryMs;
  }

  /** `refusal`: why the watch cannot start; it then ends in the next turn. */
  add(request: WatchRequest, handler: WatchHandler, refusal: WatchEnd | undefined): WatchHandle {
    const startRevision = request.startRevision === 0 ? this.#revision() + 1 : request.startRevision;
    const watcher: Watcher = {
      prefix: Buffer.from(request.prefix).toString('latin1'),
      handler,
      startRevision,
      position: this.#log.positionOf(startRevision),
      refusal,
      wantsProgress: false,
      ended: false,
    };
    this.#watchers.add(watcher);
    this.wake();
    if (refusal === undefined) this.#armProgressTimer();
    return {
      requestProgress: () => {
        watcher.wantsProgress = true;
        this.wake();
      },
      close: () => this.#end(watcher, { kind: 'closed' }),
    };
  }

  /** There may be something to deliver. */
  wake(): void {
    if (this.#turnPlanned || this.#watchers.size === 0) return;
    this.#turnPlanned = true;
    this.#defer(() => this.#turn());
  }

  /** The position before which no watcher needs the log. */
  get slowest(): number {
    let slowest = this.#log.end;
    for (const { position } of this.#watchers) if (position < slowest) slowest = position;
    return slowest;
  }

  /** Resolves after the next turn; at once if none is planned. Writers that run ahead wait for it. */
  nextTurn(): Promise<void> {
    if (!this.#turnPlanned) return Promise.resolve();
    return new Promise((resolve) => this.#afterTurn.push(resolve));
  }

  close(): void {
    this.#progressTimer?.cancel();
    for (const watcher of [...this.#watchers]) this.#end(watcher, { kind: 'closed' });
  }

  #turn(): void {
    this.#turnPlanned = false;
    const waiting = this.#afterTurn;
    this.#afterTurn = [];
    for (const watcher of [...this.#watchers]) this.#serve(watcher);
    for (const resume of waiting) resume();
  }

  #serve(watcher: Watcher): void {
    if (watcher.ended) return;
    if (watcher.refusal !== undefined) {
      this.#end(watcher, watcher.refusal);
      return;
    }
    // What a handler writes meanwhile is for the next turn, so that watchers who write cannot keep a turn going.
    const end = this.#log.end;
    this.#deliver(watcher, end);
    if (watcher.ended) return;
    if (watcher.position < this.#log.end) this.wake();
    else if (watcher.wantsProgress) {
      watcher.wantsProgress = false;
      watcher.handler.progress(this.#revision());
    }
  }

  #deliver(watcher: Watcher, end: number): void {
    const { prefix, handler } = watcher;
    const stopMs = this.#clock.monotonicMs() + TURN_MS_MAX;
    let commits = 0;
    let open: ModRevision = 0;
    let position = watcher.position;
    while (position < end) {
      const version = this.#log.at(position);
      const { modRevision } = version;
      if (open !== 0 && modRevision !== open) {
        watcher.position = position; // before the call, for what the handler may do in it
        handler.commit(open);
        if (watcher.ended) return;
        open = 0;
        if ((++commits & CHECKED_MASK) === 0 && this.#clock.monotonicMs() >= stopMs) return;
      }
      position++;
      if (modRevision < watcher.startRevision || !version.entry.key.startsWith(prefix)) continue;
      const { type, bytes, createRevision } = version;
      const keyLength = version.entry.key.length;
      open = modRevision;
      handler.change(
        type,
        bytes,
        0,
        keyLength,
        keyLength,
        bytes.length,
        type === PUT ? createRevision : 0,
        modRevision,
      );
      if (watcher.ended) return;
    }
    watcher.position = position;
    if (open !== 0) handler.commit(open);
  }

  #end(watcher: Watcher, end: WatchEnd): void {
    if (watcher.ended) return;
    watcher.ended = true;
    this.#watchers.delete(watcher);
    watcher.handler.ended(end);
  }

  /** As etcd's progress notifications: idle watches learn that time has passed. */
  #armProgressTimer(): void {
    if (this.#progressTimer !== undefined) return;
    this.#progressTimer = this.#clock.setTimer(this.#progressEveryMs, () => {
      this.#progressTimer = undefined;
      if (this.#watchers.size === 0) return;
      for (const watcher of this.#watchers) watcher.wantsProgress = true;
      this.wake();
      this.#armProgressTimer();
    });
  }
}

interface Watcher {
  readonly prefix: string;
  readonly handler: WatchHandler;
  readonly startRevision: ModRevision;
  /** The next position in the log to look at. */
  position: number;
  readonly refusal: WatchEnd | undefined;
  wantsProgress: boolean;
  ended: boolean;
}
