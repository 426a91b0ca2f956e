import type { Cache, CacheSnapshot, ObjectFilter } from '../cache/cache.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import { NONE, type VersionId } from '../versions/versions.js';
import { AnswerRevoked, CachedList } from './cached-list.js';
import { ABORTED, initializing, nextTurn, type ReadContext, revisionNumber, unlessAborted } from './context.js';
import { encodeContinueToken } from './continue-token.js';
import { unreadableIn } from './decode-failures.js';
import { listDirectly } from './direct.js';
import { type ListWork, pageStart } from './list-work.js';
import { failed, type Result, success } from './failure.js';
import type { ListAnswer } from './reader.js';
import { sourceFailure } from './source-failure.js';

/** Answers a LIST from the cache, once that is fresh enough; from the source where the cache cannot (spec 2.4, 2.6). */
export async function listFromCache(context: ReadContext, cache: Cache, work: ListWork): Promise<Result<ListAnswer>> {
  const { plan, signal } = work;
  switch (plan.read) {
    case 'any':
      break;
    case 'mostRecent': {
      const caughtUp = await catchUp(context, cache, signal, 'list');
      if (!caughtUp.ok) return caughtUp;
      // The source has moved on, and its changes do not reach us in time: it has to answer itself.
      if (!caughtUp.value) return listDirectly(context, work);
      break;
    }
    default: {
      const reached = await waitUntil(context, cache, plan.revision, signal);
      if (!reached.ok) return reached;
    }
  }
  if (cache.state !== 'ready') return failed(initializing(cache));
  if (plan.read !== 'exact') return pageOf(context, cache, cache.snapshot(), undefined, work);
  const revision = revisionNumber(plan.revision);
  const snapshot = cache.snapshot(revision);
  if (snapshot === undefined) return listDirectly(context, work);
  return pageOf(context, cache, snapshot, revision, work);
}

/** True once the cache holds everything that the source held when this was called; false if that takes too long. */
export async function catchUp(
  context: ReadContext,
  cache: Cache,
  signal: AbortSignal,
  operation: 'get' | 'list' | 'watch',
): Promise<Result<boolean>> {
  try {
    const latest = await unlessAborted(context.probe.latest(), signal);
    if (latest === ABORTED) return failed({ kind: 'deadline' });
    if (cache.revision >= latest) return success(true);
    const reached = await cache.waitFor(latest, context.limits.freshWaitMs, signal);
    return signal.aborted ? failed({ kind: 'deadline' }) : success(reached);
  } catch (error) {
    return failed(sourceFailure(error, context, operation));
  }
}

/** Waits for a revision that the client named; it may lie in the future. */
export async function waitUntil(
  context: ReadContext,
  cache: Cache,
  requested: bigint,
  signal: AbortSignal,
): Promise<Result<undefined>> {
  const revision = revisionNumber(requested);
  if (cache.revision >= revision) return success(undefined);
  if (await cache.waitFor(revision, context.limits.freshWaitMs, signal)) return success(undefined);
  if (signal.aborted) return failed({ kind: 'deadline' });
  return failed({ kind: 'versionTooLarge', requested, current: cache.revision, retryAfterSeconds: 1 });
}

async function pageOf(
  context: ReadContext,
  cache: Cache,
  snapshot: CacheSnapshot | undefined,
  exactRevision: number | undefined,
  { plan, scope, filter, signal }: ListWork,
): Promise<Result<ListAnswer>> {
  if (snapshot === undefined) return failed(initializing(cache));
  let kept = false;
  try {
    const unreadable = unreadableIn(cache, scope);
    if (unreadable !== undefined) return failed(unreadable);
    const to = rangeOf(scope.to);
    const from = pageStart(plan, scope);
    const staleMs = cache.staleMs;
    const page = await collect(context, snapshot, from, to, filter, plan.limit, signal);
    if (page === undefined) return failed({ kind: 'deadline' });
    const revision = exactRevision ?? snapshot.revision;
    const more = page.more && page.ids.length > 0;
    const answer = new CachedList(context, snapshot, page.ids, {
      resourceVersion: String(revision),
      continue: more
        ? encodeContinueToken(keyText(snapshot, page.ids.at(-1)!), scope.tokenPrefix, revision, true)
        : undefined,
      remainingItemCount: more && filter === undefined ? snapshot.count(from, to) - plan.limit : undefined,
      itemBytes: page.itemBytes,
      staleMs,
    });
    kept = true;
    return success(answer);
  } catch (error) {
    if (error instanceof AnswerRevoked) return failed({ kind: 'deadline' });
    throw error;
  } finally {
    if (!kept) snapshot[Symbol.dispose]();
  }
}

interface Page {
  readonly ids: Int32Array;
  readonly itemBytes: number;
  /** The limit was reached with entries left, whether they would match or not. */
  readonly more: boolean;
}

const CLOCK_EVERY = 256; // visits between two looks at the clock

/** Walks the range in slices, so that ingest and watches never wait for a large LIST; undefined: aborted. */
async function collect(
  context: ReadContext,
  snapshot: CacheSnapshot,
  from: ByteRange,
  to: ByteRange,
  filter: ObjectFilter | undefined,
  limit: number,
  signal: AbortSignal,
): Promise<Page | undefined> {
  const { clock, limits } = context;
  const { versions } = snapshot;
  const object: ByteRange = rangeOf(EMPTY);
  const deadlineMs = clock.monotonicMs() + limits.pinMs;
  let ids = new Int32Array(filter === undefined ? Math.min(snapshot.count(from, to), limit || Infinity) : 64);
  let count = 0;
  let itemBytes = 0;
  let more = false;
  let visits = 0;
  let paused: VersionId = NONE;
  let sliceEndsMs = 0;

  const visit = (id: VersionId): boolean => {
    if (limit > 0 && count === limit) {
      more = true;
      return false;
    }
    if (++visits % CLOCK_EVERY === 0 && clock.monotonicMs() >= sliceEndsMs) {
      paused = id;
      return false;
    }
    if (filter !== undefined) {
      versions.object(id, object);
      if (!filter.matches(object.bytes, object.start, object.end)) return true;
      if (count === ids.length) ids = grown(ids);
    }
    ids[count++] = id;
    itemBytes += versions.wireSize(id);
    return true;
  };

  for (let start = from; ; ) {
    if (signal.aborted) return undefined;
    paused = NONE;
    sliceEndsMs = clock.monotonicMs() + limits.listSliceMs;
    snapshot.range(start, to, visit);
    if (paused === NONE) break;
    if (clock.monotonicMs() > deadlineMs) throw new AnswerRevoked(limits.pinMs);
    start = versions.key(paused, rangeOf(EMPTY)); // pinned by the snapshot
    await nextTurn();
  }
  return { ids: ids.subarray(0, count), itemBytes, more };
}

const EMPTY = new Uint8Array(0);

function grown(ids: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(ids.length * 2);
  larger.set(ids);
  return larger;
}

function keyText(snapshot: CacheSnapshot, id: VersionId): string {
  const { bytes, start, end } = snapshot.versions.key(id, rangeOf(EMPTY));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', start, end);
}
