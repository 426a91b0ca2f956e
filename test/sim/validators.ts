import type { ModelEvent } from './model.js';
import { type ClientRecord, type Line, splitInitial, type StreamRecord } from './records.js';

/**
 * The guarantees that clients build on, each judged from what clients saw and what was written.
 * A validator returns what is wrong; nothing, if all is well.
 */
export type Validator = (records: readonly ClientRecord[]) => string[];

/** Revisions never fall in a stream, bookmarks included; and nothing comes that the client already had. */
export const Ordered: Validator = eachStream((stream, say) => {
  const { live, start } = splitInitial(stream);
  let last = start ?? 0;
  for (const [index, line] of live.entries()) {
    if (line.kind === 'error') continue;
    const first = index === 0 || live[index - 1]!.kind === 'bookmark';
    if (line.revision < last || (first && line.kind === 'event' && line.revision === last)) {
      say(`${describe(line)} comes after revision ${last}`);
    }
    last = line.revision;
  }
});

/** A stream delivers each change of an object once. */
export const Unique: Validator = eachStream((stream, say) => {
  const seen = new Set<string>();
  const { initial, live } = splitInitial(stream);
  for (const part of [initial, live]) {
    seen.clear();
    for (const line of part) {
      if (line.kind !== 'event') continue;
      const change = part === initial ? line.name : `${line.name}@${line.revision}`;
      if (seen.has(change)) say(`${change} is delivered twice`);
      seen.add(change);
    }
  }
});

/** A revision is never split: a LIST shows whole ones, and a stream writes each in one piece. */
export const Atomic: Validator = (records) => {
  const problems: string[] = [];
  for (const record of records) {
    if (record.kind === 'list') {
      const want = record.model.listing(record.revision, record.side);
      if (want.join() !== record.items.join()) {
        problems.push(
          `${record.client}: LIST ${record.query} @${record.revision} holds [${record.items}] instead of [${want}]`,
        );
      }
      continue;
    }
    const chunkOf = new Map<number, number>();
    for (const line of splitInitial(record).live) {
      if (line.kind !== 'event') continue;
      if ((chunkOf.get(line.revision) ?? line.chunk) !== line.chunk)
        problems.push(`${record.client}: revision ${line.revision} is split`);
      chunkOf.set(line.revision, line.chunk);
    }
  }
  return problems;
};

/** Between where a stream starts and what it last delivered, no change is missing and none is invented. */
export const Reliable: Validator = eachStream((stream, say) => {
  const { initial, live, start } = splitInitial(stream);
  if (stream.after === undefined) {
    const got = initial
      .filter((line) => line.kind === 'event')
      .map((line) => `${line.name}=${line.holder}@${line.revision}`);
    // Without its end the state is a part of one, in key order: of which, cannot be said.
    if (start !== undefined) {
      const want = stream.model.listing(start, stream.side);
      if (want.join() !== got.join()) say(`the initial state @${start} is [${got}] instead of [${want}]`);
    }
  }
  if (start === undefined) return;
  const last = live.findLast((line) => line.kind !== 'error');
  const upTo = last === undefined ? start : last.revision;
  if (upTo > stream.model.revision) return say(`revision ${upTo} was never written`);
  const want = stream.model.events(start, upTo, stream.side).map(text);
  const got = live.filter((line) => line.kind === 'event').map(text);
  const index = want.findIndex((event, at) => event !== got[at]);
  if (index !== -1) say(`after ${start}, event ${index} is ${got[index]} instead of ${want[index]}`);
  else if (got.length > want.length) say(`after ${start}, ${got[want.length]} never happened`);
});

/** A client may go on from where it was, as long as the server says so; it is refused only if it could not be served. */
export const Resumable: Validator = eachStream((stream, say) => {
  for (const line of stream.lines) {
    if (line.kind !== 'error' || stream.after === undefined) continue;
    const isRefusal = line.message.startsWith('too old resource version: ');
    if (!isRefusal) say(`resuming from ${stream.after} fails with ${line.code} ${line.message}`);
    // What the cache has not reached after a replacement may be the old store's: to refuse it is safe.
    const doubtful = stream.after > stream.cacheRevision && stream.model.epoch > stream.firstEpoch;
    if (
      stream.model === stream.afterModel &&
      !doubtful &&
      stream.after >= stream.oldestWatchable &&
      stream.after <= stream.model.revision
    ) {
      say(`resuming from ${stream.after} is refused, though everything after ${stream.oldestWatchable} is kept`);
    }
  }
  // Across a replacement a revision that the new store has not even reached cannot be its own.
  const known = stream.afterModel.epoch >= stream.firstEpoch;
  if (known && stream.after !== undefined && stream.model !== stream.afterModel && stream.after > stream.askedAt) {
    if (stream.lines.some((line) => line.kind === 'event'))
      say(`revision ${stream.after} of a replaced store was resumed`);
  }
}, true);

/** Who has a bookmark has everything up to it: the state replayed from the stream is the state at that revision. */
export const Bookmarkable: Validator = eachStream((stream, say) => {
  const { live, start } = splitInitial(stream);
  if (start === undefined) return;
  const ends = stream.lines.filter((line) => line.kind === 'bookmark' && line.initialEventsEnd).length;
  if (ends !== (stream.after === undefined ? 1 : 0)) say(`${ends} bookmarks end the initial events`);
  const state = new Map(stream.model.listing(start, stream.side).map((entry) => [entry.split('=')[0]!, entry]));
  for (const line of live) {
    if (line.kind === 'event') {
      if (line.type === 'DELETED') state.delete(line.name);
      else state.set(line.name, `${line.name}=${line.holder}@${line.revision}`);
    }
    if (line.kind !== 'bookmark') continue;
    if (line.revision > line.storeRevision)
      say(`the bookmark @${line.revision} is ahead of the store @${line.storeRevision}`);
    const got = [...state.values()].sort().join();
    const want = stream.model.listing(line.revision, stream.side).sort().join();
    if (got !== want) say(`at the bookmark @${line.revision} the client holds [${got}] instead of [${want}]`);
  }
});

/** What promises the most recent state holds every write that had finished before the request. */
export const Fresh: Validator = (records) => {
  const problems: string[] = [];
  for (const record of records) {
    if (!record.consistent) continue;
    const revision = record.kind === 'list' ? record.revision : splitInitial(record).start;
    if (revision !== undefined && revision < record.askedAt) {
      problems.push(`${record.client}: asked at ${record.askedAt}, the most recent state is of revision ${revision}`);
    }
  }
  return problems;
};

export const validators: Readonly<Record<string, Validator>> = {
  Ordered,
  Unique,
  Atomic,
  Reliable,
  Resumable,
  Bookmarkable,
  Fresh,
};

function eachStream(
  judge: (stream: StreamRecord, say: (problem: string) => void) => void,
  acrossStores = false,
): Validator {
  return (records) => {
    const problems: string[] = [];
    for (const record of records) {
      // Revisions of two stores do not compare: only Resumable has something to say about such a stream.
      const mixed = record.kind === 'stream' && record.after !== undefined && record.model !== record.afterModel;
      if (record.kind !== 'stream' || (mixed && !acrossStores)) continue;
      judge(record, (problem) => problems.push(`${record.client}: ${problem}`));
    }
    return problems;
  };
}

function text({ type, name, holder, revision }: ModelEvent): string {
  return `${type} ${name}=${holder}@${revision}`;
}

function describe(line: Line): string {
  if (line.kind === 'error') return line.message;
  return line.kind === 'event' ? text(line) : `bookmark @${line.revision}`;
}
