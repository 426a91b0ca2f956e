import { isExact } from '../api/field-selector.js';
import type { Cache, CacheSnapshot, ObjectFilter } from '../cache/cache.js';
import { describePlan } from '../indexer/planner.js';
import type { Plan, Selection, SelectionRequest } from '../indexer/indexer.js';
import { rangeOf } from '../lib/bytes.js';
import type { VersionId } from '../versions/versions.js';
import { AnswerRevoked, CachedList } from './cached-list.js';
import { ABORTED, initializing, type ReadContext, revisionNumber, unlessAborted } from './context.js';
import { encodeContinueToken } from './continue-token.js';
import { nextTurn } from '../lib/line.js';
import type { Reservation } from '../lib/memory-budget.js';
import { unreadableIn } from './decode-failures.js';
import { listDirectly } from './direct.js';
import { admitList } from './list-cost.js';
import { type ListWork, pageStart } from './list-work.js';
import { compileFilter } from './filter.js';
import { failed, type Result, success } from './failure.js';
import type { ListAnswer } from './reader.js';
import { collectLeaves, type Run } from './runs.js';
import { sourceFailure } from './source-failure.js';

/** Answers a LIST from the cache, once that is fresh enough; from the source where the cache cannot (spec 2.4, 2.6). */
export async function listFromCache(context: ReadContext, cache: Cache, work: ListWork): Promise<Result<ListAnswer>> {
  const { plan, signal } = work;
  switch (plan.read) {
    case 'any':
      break;
    case 'mostRecent': {
      const caughtUp = await catchUp(context, cache, signal, 'list');
      if (!caughtUp.ok) return counted(cache, caughtUp, false);
      // The source has moved on, and its changes do not reach us in time: it has to answer itself.
      if (!caughtUp.value) return counted(cache, await listDirectly(context, work), true);
      break;
    }
    default: {
      // Without progress that can be trusted the cache of a quiet kind never gets to the revision of a page that the
      // source answered, so the source answers the next one, too.
      if (plan.read === 'exact' && cache.revision < revisionNumber(plan.revision)) {
        if (!(await context.progress.trusted(signal))) return listDirectly(context, work);
      }
      const reached = await waitUntil(context, cache, plan.revision, signal);
      if (!reached.ok) return reached;
    }
  }
  if (cache.state !== 'ready') return failed(initializing(cache));
  if (plan.read !== 'exact') {
    const answer = await pageOf(context, cache, cache.snapshot(), undefined, work);
    return plan.read === 'mostRecent' ? counted(cache, answer, false) : answer;
  }
  const revision = revisionNumber(plan.revision);
  const snapshot = cache.snapshot(revision);
  if (snapshot === undefined) return listDirectly(context, work);
  return pageOf(context, cache, snapshot, revision, work);
}

/** A consistent read, as kube-apiserver counts it: LISTs only. */
function counted<T>(cache: Cache, answer: Result<T>, fallback: boolean): Result<T> {
  cache.lists.consistentRead(answer.ok, fallback);
  return answer;
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
    cache.saw(latest);
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
  { plan, scope, filter, selected, shard, signal }: ListWork,
): Promise<Result<ListAnswer>> {
  if (snapshot === undefined) return failed(initializing(cache));
  let kept = false;
  let reservation: Reservation | undefined;
  try {
    const unreadable = unreadableIn(cache, scope);
    if (unreadable !== undefined) return failed(unreadable);
    const to = rangeOf(scope.to);
    const from = pageStart(plan, scope);
    const staleMs = cache.staleMs;
    const within = scope.within?.map((part) => ({ from: rangeOf(part.from), to: rangeOf(part.to) }));
    const request = { from, to, within, filter, limit: plan.limit };
    const selection = snapshot.select(request);
    const admitted = admitList(context, snapshot, request, selection);
    if (!admitted.ok) return admitted;
    reservation = admitted.value;
    const page =
      leafwise(context, snapshot, request, selection) ?? (await collect(context, snapshot, request, selection, signal));
    const more = page === undefined ? undefined : await isMore(context, snapshot, request, page, plan.read, signal);
    if (page === undefined || more === undefined) return failed({ kind: 'deadline' });
    const revision = exactRevision ?? snapshot.revision;
    const { plan: found, fetched } = page;
    cache.lists.count(found, fetched, page.ids.length);
    const answer = new CachedList(context, snapshot, reservation, page.ids, page.runs, {
      resourceVersion: String(revision),
      continue: more
        ? encodeContinueToken(keyText(snapshot, page.ids.at(-1)!), scope.tokenPrefix, revision, true)
        : undefined,
      remainingItemCount: more && !selected ? countOf(snapshot, request, found) - plan.limit : undefined,
      shard,
      itemBytes: page.itemBytes,
      staleMs,
      plan: `${describePlan(found)}; fetched=${fetched}; returned=${page.ids.length}`,
    });
    kept = true;
    return success(answer);
  } catch (error) {
    if (error instanceof AnswerRevoked) return failed({ kind: 'deadline' });
    throw error;
  } finally {
    if (!kept) {
      snapshot[Symbol.dispose]();
      reservation?.[Symbol.dispose]();
    }
  }
}

interface Page {
  readonly ids: Int32Array;
  readonly itemBytes: number;
  readonly plan: Plan;
  /** Objects looked at. */
  readonly fetched: number;
  readonly runs: readonly Run[] | undefined;
}

/** Where the keys alone decide and the engine keeps neighbours together; undefined elsewhere. */
function leafwise(
  { fragments }: ReadContext,
  snapshot: CacheSnapshot,
  request: SelectionRequest,
  { plan }: Selection,
): Page | undefined {
  const { from, to, within, filter, limit } = request;
  if (fragments === undefined || snapshot.leaves === undefined || filter !== undefined || within !== undefined) {
    return undefined;
  }
  const page = collectLeaves(snapshot.leaves, snapshot.versions, from, to, limit, plan.estimated);
  return { ...page, plan, fetched: page.ids.length };
}

/** Takes what is selected in slices, so that ingest and watches never wait for a large LIST; undefined: aborted. */
async function collect(
  context: ReadContext,
  snapshot: CacheSnapshot,
  { filter, limit }: SelectionRequest,
  selection: Selection,
  signal: AbortSignal,
): Promise<Page | undefined> {
  const { clock, limits } = context;
  const { versions } = snapshot;
  const deadlineMs = clock.monotonicMs() + limits.pinMs;
  const expected = filter === undefined ? selection.plan.estimated : 64;
  let ids = new Int32Array(expected);
  let count = 0;
  let itemBytes = 0;
  let sliceEndsMs = 0;

  const take = (id: VersionId): boolean => {
    if (count === ids.length) ids = grown(ids);
    ids[count++] = id;
    itemBytes += versions.wireSize(id);
    return count !== limit;
  };
  const isTime = () => clock.monotonicMs() >= sliceEndsMs;

  for (;;) {
    if (signal.aborted) return undefined;
    sliceEndsMs = clock.monotonicMs() + limits.listSliceMs;
    if (selection.advance(take, isTime) !== 'paused') break;
    if (clock.monotonicMs() > deadlineMs) throw new AnswerRevoked(limits.pinMs);
    await nextTurn();
  }
  const { plan, fetched } = selection;
  return { ids: ids.subarray(0, count), itemBytes, plan, fetched, runs: undefined };
}

/**
 * The limit was reached with candidates left, whether they would match or not (spec 2.7). What a candidate is
 * must not depend on our indexes: clients see by it where a list ends. undefined: aborted.
 */
async function isMore(
  context: ReadContext,
  snapshot: CacheSnapshot,
  { to, within, filter, limit }: SelectionRequest,
  { ids, plan }: Page,
  read: ListWork['plan']['read'],
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const last = ids.at(-1);
  if (limit === 0 || ids.length < limit || last === undefined) return false;
  if (filter === undefined && within === undefined) return plan.inRange > ids.length;
  const from = snapshot.versions.key(last, rangeOf(EMPTY)); // pinned by the snapshot
  const candidates = read === 'exact' ? undefined : upstreamIndexed(context, filter);
  const request = { from, to, filter: candidates, limit: 2 };
  const behind = await collect(context, snapshot, request, snapshot.select(request), signal);
  return behind === undefined ? undefined : behind.ids.some((id) => id !== last);
}

/** Objects in the range; the plan has counted those of its parts. */
function countOf(snapshot: CacheSnapshot, { from, to, within }: SelectionRequest, { inRange }: Plan): number {
  return within === undefined ? inRange : snapshot.count(from, to);
}

/** kube-apiserver has one index: of pods, by node. Reads of its latest state take their candidates from there. */
function upstreamIndexed({ kind, codec }: ReadContext, filter: SelectionRequest['filter']): ObjectFilter | undefined {
  if (kind.group !== '' || kind.resource !== 'pods') return undefined;
  const fields = filter?.selector?.fields ?? [];
  const onNode = fields.find((term) => (term.field === 'spec.nodeName' || term.field === 'spec.host') && isExact(term));
  return onNode === undefined ? undefined : compileFilter(codec, [], [onNode]);
}

const EMPTY = new Uint8Array(0);

function grown(ids: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(64, ids.length * 2));
  larger.set(ids);
  return larger;
}

function keyText(snapshot: CacheSnapshot, id: VersionId): string {
  const { bytes, start, end } = snapshot.versions.key(id, rangeOf(EMPTY));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', start, end);
}
