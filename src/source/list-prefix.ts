import type { ModRevision } from '../api/revision.js';
import { prefixEnd } from '../lib/bytes.js';
import { type EntryVisitor, type RangeRequest, type Source, SourceError } from './source.js';

export interface ListPrefixOptions {
  /** Keys per page. */
  readonly pageCount: number;
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
  readonly count: number;
  /** To be passed on to that watch. */
  readonly generation?: number;
}

/** A list that was compacted away between its pages this often is read in one piece. */
export const PAGED_ATTEMPTS_MAX = 3;

/**
 * Lists a prefix at one revision, in pages, in key order.
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
  const { pageCount, keysOnly = false, attempt = 0, signal } = options;
  const limit = attempt >= PAGED_ATTEMPTS_MAX ? 0 : pageCount;
  const to = prefixEnd(prefix);
  let from: Uint8Array = prefix;
  let revision = options.revision;
  let generation: number | undefined;
  let count = 0;
  for (;;) {
    let pageEntries = 0;
    let next: Uint8Array | undefined;
    const request: RangeRequest = { from, to, limit, keysOnly, ...(revision === undefined ? {} : { revision }) };
    const page = await source.range(
      request,
      (bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
        pageEntries++;
        if (pageEntries === limit) next = keyAfter(bytes, keyStart, keyEnd);
        visit(bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision);
      },
      signal,
    );
    count += pageEntries;
    revision ??= page.revision;
    generation ??= page.generation;
    if (page.generation !== generation) {
      throw new SourceError('replaced', `${source.name}: the store was replaced between two pages of a list`);
    }
    if (!page.more || next === undefined)
      return { revision, count, ...(generation === undefined ? {} : { generation }) };
    from = next;
  }
}

/** The smallest key greater than this one. */
function keyAfter(bytes: Uint8Array, keyStart: number, keyEnd: number): Uint8Array {
  const key = new Uint8Array(keyEnd - keyStart + 1);
  key.set(bytes.subarray(keyStart, keyEnd));
  return key;
}
