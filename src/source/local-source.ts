import type { ModRevision } from '../api/revision.js';
import {
  type EntryVisitor,
  type RangeRequest,
  type RangeResult,
  type Source,
  SourceError,
  type WatchHandle,
  type WatchHandler,
  type WatchRequest,
} from './source.js';

/** A store in this process with one watch, whose events come when its owner says: recordings, and streams that are made up. */
export abstract class LocalSource implements Source {
  abstract readonly name: string;
  /** Of the last revision that was delivered, or of the state. */
  revision: ModRevision = 0;
  #handler: WatchHandler | undefined;

  abstract range(request: RangeRequest, visit: EntryVisitor): Promise<RangeResult>;

  watch(_request: WatchRequest, handler: WatchHandler): WatchHandle {
    this.#handler = handler;
    return {
      requestProgress: () => setImmediate(() => this.#handler?.progress(this.revision)),
      close: () => {
        if (this.#handler === undefined) return;
        this.#handler = undefined;
        handler.ended({ kind: 'closed' });
      },
    };
  }

  /** Whom events go to. Throws SourceError when nobody watches. */
  protected get handler(): WatchHandler {
    if (this.#handler === undefined) throw new SourceError('closed', `${this.name}: nobody watches`);
    return this.#handler;
  }

  currentRevision(): Promise<ModRevision> {
    return Promise.resolve(this.revision);
  }

  progressTrusted(): Promise<boolean> {
    return Promise.resolve(true);
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#handler = undefined;
    return Promise.resolve();
  }
}
