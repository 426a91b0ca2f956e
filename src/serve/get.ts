import { pathSegmentProblems } from '../api/label-syntax.js';
import { quoteGo } from '../api/go-text.js';
import type { Cache } from '../cache/cache.js';
import { copyBytes, rangeOf } from '../lib/bytes.js';
import { NONE, type VersionId } from '../versions/versions.js';
import { conditionNow, conditionOf, type ReadContext, revisionNumber } from './context.js';
import { getDirectly } from './direct.js';
import { failed, type Result, success } from './failure.js';
import { catchUp, waitUntil } from './list.js';
import { type CacheCondition, planRead, type StatePlan } from './read-plan.js';
import type { GetRequest, ObjectAnswer } from './reader.js';
import { keyOf, singleKeyRange } from './scope.js';
import { UnreadableValue } from './source-failure.js';

/**
 * GET of one object (spec 2.3). Without a resourceVersion kube-apiserver always asks etcd for the
 * object; here one question for etcd's revision serves all GETs that wait for it, and the object
 * comes from the cache once that is as new. The answer is the same.
 */
export function getObject(
  context: ReadContext,
  request: GetRequest,
): Result<ObjectAnswer> | Promise<Result<ObjectAnswer>> {
  const { name, resourceVersion } = request;
  const problems = pathSegmentProblems(name);
  if (problems.length > 0) {
    return failed({ kind: 'badRequest', message: `Name parameter invalid: ${quoteGo(name)}: ${problems.join(';')}` });
  }
  const condition = conditionNow(context, resourceVersion === '');
  return condition === undefined ? getLater(context, request) : getPlanned(context, request, condition);
}

/** Once it is known whether the source's progress can be trusted. */
async function getLater(context: ReadContext, request: GetRequest): Promise<Result<ObjectAnswer>> {
  const condition = await conditionOf(context, true, request.signal);
  return request.signal.aborted ? failed({ kind: 'deadline' }) : getPlanned(context, request, condition);
}

function getPlanned(
  context: ReadContext,
  request: GetRequest,
  condition: CacheCondition,
): Result<ObjectAnswer> | Promise<Result<ObjectAnswer>> {
  const { name, namespace, resourceVersion } = request;
  const plan = planRead({ verb: 'get', resourceVersion }, condition);
  if (plan.read === 'rejected') return failed(plan.failure);
  if (plan.read === 'refusedUntilReady' || plan.read === 'watch') throw new Error('a GET has no such plan');
  const range = singleKeyRange(keyOf(context.directory, context.kind.namespaced ? namespace : undefined, name));
  const { cache } = context;
  if (cache === undefined || plan.from === 'source') return getDirectly(context, range, plan, name, request.signal);
  const isNewEnough =
    plan.read !== 'mostRecent' && (plan.read !== 'notOlderThan' || cache.revision >= revisionNumber(plan.revision));
  return isNewEnough ? getCached(context, cache, request, range, plan) : getFresh(context, cache, request, range, plan);
}

/** Waits until the cache is as new as the plan asks for. */
async function getFresh(
  context: ReadContext,
  cache: Cache,
  request: GetRequest,
  range: ReturnType<typeof singleKeyRange>,
  plan: StatePlan,
): Promise<Result<ObjectAnswer>> {
  const { name, signal } = request;
  if (plan.read === 'mostRecent') {
    const caughtUp = await catchUp(context, cache, signal, 'get');
    if (!caughtUp.ok) return caughtUp;
    if (!caughtUp.value) return getDirectly(context, range, plan, name, signal);
  } else if (plan.read === 'notOlderThan') {
    const reached = await waitUntil(context, cache, plan.revision, signal);
    if (!reached.ok) return reached;
  }
  return getCached(context, cache, request, range, plan);
}

function getCached(
  context: ReadContext,
  cache: Cache,
  { name, signal }: GetRequest,
  range: ReturnType<typeof singleKeyRange>,
  plan: StatePlan,
): Result<ObjectAnswer> | Promise<Result<ObjectAnswer>> {
  // The cache may have lost its state while we waited.
  if (cache.state !== 'ready') return getDirectly(context, range, plan, name, signal);
  const id = cache.get(rangeOf(range.from));
  if (id !== NONE) return success(copyOf(cache, id, range.from));
  const unreadable = cache.decodeErrors.get(range.key);
  if (unreadable !== undefined) {
    return failed({ kind: 'internal', message: new UnreadableValue(range.key, unreadable).message });
  }
  // More values than the cache can name do not parse: this may be one of them.
  if (cache.decodeErrors.has('')) return getDirectly(context, range, plan, name, signal);
  const { group, resource } = context.kind;
  return failed({ kind: 'notFound', group, resource, name });
}

/** The bytes are copied: one object is small, and a pin would have to be watched. */
function copyOf(cache: Cache, id: VersionId, scratch: Uint8Array): ObjectAnswer {
  const range = cache.versions.wire(id, rangeOf(scratch));
  const headerStart = range.start;
  // Not `new Uint8Array`: small ones share memory, which the collector is spared.
  const bytes = Buffer.allocUnsafe(range.end - range.start);
  copyBytes(bytes, 0, range.bytes, range.start, range.end);
  const start = cache.versions.object(id, range).start - headerStart;
  return {
    wire: { bytes, headerStart: 0, start, end: bytes.length },
    revision: cache.versions.modRevision(id),
    staleMs: cache.staleMs,
    [Symbol.dispose]: () => undefined,
  };
}
