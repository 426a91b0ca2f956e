import type { Model, ModelEvent } from './model.js';

/** What a client experienced, in its own words: strings and numbers, no objects of the server. */
export interface ListRecord {
  readonly kind: 'list';
  readonly client: string;
  readonly query: string;
  readonly side: string | undefined;
  readonly model: Model;
  /** The store's revision when the request was made. */
  readonly askedAt: number;
  readonly consistent: boolean;
  readonly revision: number;
  readonly items: readonly string[];
}

export type Line =
  | (ModelEvent & { readonly kind: 'event'; readonly chunk: number; readonly storeRevision: number })
  | {
      readonly kind: 'bookmark';
      readonly revision: number;
      readonly initialEventsEnd: boolean;
      readonly chunk: number;
      readonly storeRevision: number;
    }
  | {
      readonly kind: 'error';
      readonly code: number;
      readonly message: string;
      readonly chunk: number;
      readonly storeRevision: number;
    };

export interface StreamRecord {
  readonly kind: 'stream';
  readonly client: string;
  readonly side: string | undefined;
  readonly model: Model;
  /** The revision that the stream continues from; undefined: it began with the state. */
  readonly after: number | undefined;
  /** The client got `after` from this model; another one than `model` if the store was replaced in between. */
  readonly afterModel: Model;
  /** The store that the present cache began with: a restarted server knows nothing of those before. */
  readonly firstEpoch: number;
  readonly consistent: boolean;
  readonly askedAt: number;
  /** When the server let the stream begin: the oldest revision it could resume from, and its own. */
  readonly oldestWatchable: number;
  readonly cacheRevision: number;
  readonly lines: Line[];
  ended: 'open' | 'clean' | 'abandoned';
}

export type ClientRecord = ListRecord | StreamRecord;

/** Bookmarks and ERROR events are no events of objects. */
export function eventsOf(stream: StreamRecord): (ModelEvent & { readonly kind: 'event'; readonly chunk: number })[] {
  return stream.lines.filter((line) => line.kind === 'event');
}

/** A stream that began with the state: up to its initial-events-end bookmark, objects are in key order with their own revisions. */
export function splitInitial(stream: StreamRecord): { initial: Line[]; live: Line[]; start: number | undefined } {
  if (stream.after !== undefined) return { initial: [], live: stream.lines, start: stream.after };
  const end = stream.lines.findIndex((line) => line.kind === 'bookmark' && line.initialEventsEnd);
  if (end === -1) return { initial: stream.lines, live: [], start: undefined };
  const bookmark = stream.lines[end]!;
  return {
    initial: stream.lines.slice(0, end),
    live: stream.lines.slice(end + 1),
    start: bookmark.kind === 'bookmark' ? bookmark.revision : undefined,
  };
}
