import type { CacheSnapshot, CacheWatch, CacheWatchRequest, WatchSink } from './cache.js';
import type { Group } from './groups.js';
import type { InitialEvents } from './initial-events.js';
import type { WheelEntry } from './timing-wheel.js';

/** What a watcher asks of those who keep it. */
export interface WatcherHome {
  /** It can be written to again. */
  enqueue(watcher: Watcher): void;
  /** Its client is gone. */
  release(watcher: Watcher): void;
}

/**
 *   initial   streams the objects of a pinned snapshot
 *   future    asked for a revision that the cache has not reached
 *   behind    `position` is a cursor into the history: being caught up, or waiting for its transport
 *   live      has been sent everything; it has no position of its own
 */
export type WatcherState = 'initial' | 'future' | 'behind' | 'live' | 'closed';

export class Watcher implements CacheWatch {
  state: WatcherState = 'behind';
  position = 0;
  /** The transport said no; it will call `drained`. */
  blocked = false;
  /** Nothing has been sent yet. */
  first = true;
  queued = false;
  snapshot: CacheSnapshot | undefined;
  /** What of the snapshot it is to get, and how far that has been sent. */
  initial: InitialEvents | undefined;
  deadline: WheelEntry | undefined;
  bookmark: WheelEntry | undefined;
  pinLimit: WheelEntry | undefined;
  readonly request: CacheWatchRequest;
  readonly sink: WatchSink;
  readonly group: Group<Watcher>;
  readonly deadlineMs: number;
  readonly #home: WatcherHome;

  constructor(
    home: WatcherHome,
    request: CacheWatchRequest,
    sink: WatchSink,
    group: Group<Watcher>,
    deadlineMs: number,
  ) {
    this.#home = home;
    this.request = request;
    this.sink = sink;
    this.group = group;
    this.deadlineMs = deadlineMs;
  }

  drained(): void {
    if (this.state === 'closed' || !this.blocked) return;
    this.blocked = false;
    this.#home.enqueue(this);
  }

  close(): void {
    this.#home.release(this);
  }
}
