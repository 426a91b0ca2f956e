import type { CacheWatch, ObjectFilter, WatchSink } from '../../src/cache/cache.js';
import type { Watchers } from '../../src/cache/watchers.js';
import type { Random } from '../../src/lib/random.js';
import type { PodCache } from '../indexed-pods.js';
import { watchFromNow } from '../watched-pods.js';

/** How a stream comes to its end: the server ends it at its deadline, or the connection breaks at no special moment. */
export type Ending = 'deadline' | 'break';

/** A stream lasts this long: client-go asks for 5 to 10 minutes. */
const LIFE_MIN_MS = 300_000;
/** The client is back after this: the least that client-go waits. */
const AWAY_MS = 800;

export interface Reconnects {
  count: number;
  /** Changes of the kind after the revision that the client came back with: read again, or more than the history has. */
  replayed: number;
  /** The revision was older than the history: the client has to list. */
  tooOld: number;
}

/**
 * A client that remembers the last revision it was told, and comes back with it whenever its stream has ended.
 *
 *     list ──> watch ──> stream ends ──> away ──> watch from the last revision ──> ...
 *                                            └──> too old: list
 */
export class ReconnectingWatcher implements WatchSink {
  readonly reconnects: Reconnects = { count: 0, replayed: 0, tooOld: 0 };
  #revision: number;
  #watch: CacheWatch | undefined;
  #stopped = false;
  readonly #pods: PodCache;
  readonly #watchers: Watchers;
  readonly #filter: ObjectFilter;
  readonly #bookmarks: boolean;
  readonly #ending: Ending;
  readonly #random: Random;

  constructor(
    pods: PodCache,
    watchers: Watchers,
    filter: ObjectFilter,
    options: { readonly bookmarks: boolean; readonly ending: Ending; readonly random: Random },
  ) {
    this.#pods = pods;
    this.#watchers = watchers;
    this.#filter = filter;
    this.#bookmarks = options.bookmarks;
    this.#ending = options.ending;
    this.#random = options.random;
    this.#revision = pods.cache.revision;
    this.#connect();
  }

  write(chunk: Uint8Array): boolean {
    this.#revision = (chunk as Buffer).readDoubleLE(chunk.length - 8);
    return true;
  }

  end(): void {
    this.#watch = undefined;
    if (!this.#stopped) this.#pods.clock.setTimer(AWAY_MS, () => this.#comeBack());
  }

  stop(): void {
    this.#stopped = true;
    this.#watch?.close();
  }

  #comeBack(): void {
    if (this.#stopped) return;
    const { history, revision } = this.#pods.cache;
    // Every change has a revision of its own here, so that revisions count changes, those that are forgotten too.
    this.reconnects.count++;
    this.reconnects.replayed += revision - this.#revision;
    if (this.#revision < history.tail) {
      this.reconnects.tooOld++;
      this.#revision = revision;
    }
    this.#connect();
  }

  #connect(): void {
    const lifeMs = LIFE_MIN_MS * (1 + this.#random.float());
    this.#watch = this.#watchers.watch(
      {
        ...watchFromNow(this.#pods),
        filter: this.#filter,
        afterRevision: this.#revision,
        bookmarks: this.#bookmarks,
        ...(this.#ending === 'deadline' ? { timeoutMs: lifeMs } : {}),
      },
      this,
    );
    if (this.#ending === 'break') this.#pods.clock.setTimer(lifeMs, () => this.#break());
  }

  #break(): void {
    this.#watch?.close();
    this.end();
  }
}
