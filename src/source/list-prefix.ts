import type { ModRevision } from '../api/revision.js';
import { prefixEnd } from '../lib/bytes.js';
import type { PageGate } from './page-gate.js';
import { type EntryVisitor, type FetchedRange, type RangeRequest, type Source, SourceError } from './source.js';

export interface ListPrefixOptions {
  /** Keys per page, at most. */
  readonly pageCount: number;
  /** Pages after the first have so many keys that they take about this. Absent: as many as `pageCount` says. */
  readonly pageBytes?: number;
  /** Bounds the pages of this list and of others. */
  readonly gate?: PageGate;
  readonly keysOnly?: boolean;
  /** List this revision; absent: the most recent one when the first page is read. */
  readonly revision?: ModRevision;
  /** How many times this list already failed with `compacted`; see below. */
  readonly attempt?: number;
  readonly signal?: AbortSignal;
}

export interface ListPrefixResult {
  /** The revision that every entry was read at: a watch continues from the next one. */
  readonly revision: ModRevision;
  /** What the store had reached when the first page was read; more than `revision` if an older one was asked for. */
  readonly present: ModRevision;
  readonly count: number;
  /** To be passed on to that watch. */
  readonly generation?: number;
}

/** A list that was compacted away between its pages this often is read in one piece. */
export const PAGED_ATTEMPTS_MAX = 3;

/** Of a page, visited in one go: then whatever else is due has its turn. About 5 ms. */
const VISIT_BYTES = 2 ** 20;
/** The first page of a list whose pages are measured in bytes: objects of a kind are of much the same size. */
const FIRST_PAGE_COUNT = 500;

/**
 * Lists a prefix at one revision, in pages, in key order. While a page is visited, the next one is under way.
 *
 *     page 1 (most recent) ──> revision 57      page 2.. pinned @57      resolves with 57
 *
 * If compaction overtakes the pinned revision between two pages, it rejects with SourceError `compacted`;
 * the entries visited so far are then worthless, and the caller starts over with `attempt` one higher. After
 * PAGED_ATTEMPTS_MAX attempts the whole prefix is read in one range, which cannot be overtaken.
 */
export async function listPrefix(
  source: Source,
  prefix: Uint8Array,
  visit: EntryVisitor,
  options: ListPrefixOptions,
): Promise<ListPrefixResult> {
  const { pageCount, pageBytes, keysOnly = false, attempt = 0, signal } = options;
  const whole = attempt >= PAGED_ATTEMPTS_MAX;
  const to = prefixEnd(prefix);
  const ask = (from: Uint8Array, limit: number, revision: ModRevision | undefined) =>
    openPage(source, { from, to, limit, keysOnly, ...(revision === undefined ? {} : { revision }) }, options);
  let limit = whole ? 0 : pageBytes === undefined ? pageCount : Math.min(pageCount, FIRST_PAGE_COUNT);
  let current = await ask(prefix, limit, options.revision);
  const { revision: present, generation } = current.fetched;
  const revision = options.revision ?? present;
  let count = 0;
  for (;;) {
    const { fetched, leave } = current;
    if (fetched.generation !== generation) {
      leave();
      throw new SourceError('replaced', `${source.name}: the store was replaced between two pages of a list`);
    }
    const { entries, bytes, lastKey } = fetched;
    if (pageBytes !== undefined && entries > 0) {
      limit = Math.max(1, Math.min(pageCount, Math.floor(pageBytes / (bytes / entries))));
    }
    const next = fetched.more && lastKey !== undefined ? ask(keyAfter(lastKey), limit, revision) : undefined;
    // It is awaited below, unless the visitor throws: then it only gives back its room.
    next?.catch(() => {});
    try {
      // Before the first turn is taken up by a visit, the request goes out.
      if (next !== undefined && source.fetch !== undefined) await nextTurn();
      let at = fetched.visit(visit, 0, VISIT_BYTES);
      while (at !== undefined) {
        await nextTurn();
        if (signal?.aborted) throw gaveUp(source);
        at = fetched.visit(visit, at, VISIT_BYTES);
      }
    } catch (error) {
      void next?.then((page) => page.leave()).catch(() => {});
      throw error;
    } finally {
      leave();
    }
    count += entries;
    if (next === undefined) return { revision, present, count, ...(generation === undefined ? {} : { generation }) };
    current = await next;
    if (signal?.aborted) {
      current.leave();
      throw gaveUp(source);
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function gaveUp(source: Source): SourceError {
  return new SourceError('closed', `${source.name}: the caller gave up`);
}

interface Page {
  readonly fetched: FetchedRange;
  /** The page is not needed any more. */
  leave(): void;
}

async function openPage(source: Source, request: RangeRequest, { gate, signal }: ListPrefixOptions): Promise<Page> {
  const makeRoom = (await gate?.enter()) ?? (() => {});
  try {
    if (signal?.aborted) throw gaveUp(source);
    const fetched = await (source.fetch?.(request, signal) ?? fetchByRange(source, request, signal));
    const leave = () => {
      fetched.release?.();
      makeRoom();
    };
    return { fetched, leave };
  } catch (error) {
    makeRoom();
    throw error;
  }
}

/** For sources that hand out entries only while they read: the page is copied. */
export async function fetchByRange(source: Source, request: RangeRequest, signal?: AbortSignal): Promise<FetchedRange> {
  const rows: { readonly bytes: Uint8Array; readonly keyLength: number; readonly revisions: readonly number[] }[] = [];
  let size = 0;
  const result = await source.range(
    request,
    (bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
      const row = new Uint8Array(keyEnd - keyStart + valueEnd - valueStart);
      row.set(bytes.subarray(keyStart, keyEnd));
      row.set(bytes.subarray(valueStart, valueEnd), keyEnd - keyStart);
      rows.push({ bytes: row, keyLength: keyEnd - keyStart, revisions: [createRevision, modRevision] });
      size += row.length;
    },
    signal,
  );
  const last = rows.at(-1);
  return {
    ...result,
    entries: rows.length,
    bytes: size,
    lastKey: last?.bytes.subarray(0, last.keyLength),
    visit(visit, from, size) {
      let visited = 0;
      for (let index = from; index < rows.length; index++) {
        if (visited >= size) return index;
        const { bytes, keyLength, revisions } = rows[index]!;
        visit(bytes, 0, keyLength, keyLength, bytes.length, revisions[0]!, revisions[1]!);
        visited += bytes.length;
      }
      return undefined;
    },
  };
}

/** The smallest key greater than this one. */
function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1);
  after.set(key);
  return after;
}
