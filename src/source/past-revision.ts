import type { ModRevision } from '../api/revision.js';
import { prefixEnd } from '../lib/bytes.js';
import { type Source, SourceError, type WatchEnd } from './source.js';

/** The first revision of a store that nobody has written to. */
const FIRST: ModRevision = 1;

/**
 * The store's revision some revisions ago, or the oldest one that it has not compacted.
 *
 *     compacted ... 400 │ 401 ............ 900 present        100 ago: 800        1,000 ago: 400
 *
 * It was readable when it was looked for; compaction may have overtaken it since. `prefix` says which keys are looked at
 * for that. Rejects with SourceError.
 */
export async function pastRevision(
  source: Source,
  prefix: Uint8Array,
  revisions: number,
  signal?: AbortSignal,
): Promise<ModRevision> {
  const present = await source.currentRevision(signal);
  const wanted = Math.max(FIRST, present - revisions);
  try {
    const range = { from: prefix, to: prefixEnd(prefix), limit: 1, keysOnly: true, revision: wanted };
    await source.range(range, () => {}, signal);
    return wanted;
  } catch (error) {
    if (!(error instanceof SourceError) || error.kind !== 'compacted') throw error;
  }
  // A range only says that it is too old; a watch also says what would not be.
  const end = await firstEnd(source, prefix, wanted, signal);
  return end?.kind === 'compacted' ? Math.min(end.compactRevision, present) : present;
}

/** How a watch from `startRevision` ends, if it does so before it tells anything; undefined if not. */
function firstEnd(
  source: Source,
  prefix: Uint8Array,
  startRevision: ModRevision,
  signal: AbortSignal | undefined,
): Promise<WatchEnd | undefined> {
  return new Promise((resolve) => {
    let isDone = false;
    const done = (end?: WatchEnd) => {
      if (isDone) return;
      isDone = true;
      signal?.removeEventListener('abort', leave);
      resolve(end);
      handle?.close();
    };
    const leave = () => done();
    const handler = { change: () => {}, commit: () => done(), progress: () => done(), ended: done };
    // It may have ended while it began.
    let handle: ReturnType<Source['watch']> | undefined;
    handle = source.watch({ prefix, startRevision }, handler);
    if (isDone) handle.close();
    signal?.addEventListener('abort', leave, { once: true });
  });
}
