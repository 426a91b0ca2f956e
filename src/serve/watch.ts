import type { Cache, WatchSink } from '../cache/cache.js';
import { createWriter } from '../codec/writer.js';
import { describeDispatch } from '../indexer/interests.js';
import {
  ABORTED,
  becomesReady,
  conditionOf,
  initializing,
  type ReadContext,
  revisionNumber,
  unlessAborted,
} from './context.js';
import { startDirectWatch, type WatchWork } from './direct-watch.js';
import { type Failure, failed, type Result, success } from './failure.js';
import { checkFieldSelector, compileFilter, shardOf } from './filter.js';
import { waitUntil } from './list.js';
import { planRead, type WatchPlan } from './read-plan.js';
import type { KindFragments } from './fragments.js';
import { fromFragments } from './watch-fragments.js';
import type { WatchFormat, WatchRequest, WatchRun, WatchSession } from './reader.js';
import { scopeOf } from './scope.js';
import { sourceFailure } from './source-failure.js';

/** Longer timeouts are not told apart: a century is forever. */
const TIMEOUT_SECONDS_MAX = 3_155_760_000n;

/**
 * WATCH (spec 3). What is wrong with the request is answered before the stream starts. What the
 * state of the store makes impossible (too old, not reached) is one ERROR event in a stream that
 * started well, because that is where clients look for it.
 */
export async function openWatch(context: ReadContext, request: WatchRequest): Promise<Result<WatchSession>> {
  const { options, legacyPath, signal, format } = request;
  const { kind, codec, cache } = context;
  const fields = checkFieldSelector(kind, options.fieldSelector);
  const shard = shardOf(context.shardedListAndWatch, options.shardSelector);
  const refused = !fields.ok ? fields.failure : shard.ok ? undefined : shard.failure;
  const toPlan = {
    verb: 'watch',
    options,
    legacyPath,
    ...(refused === undefined ? {} : { unsupportedField: refused }),
  } as const;
  // Only a stream that must say when its state is complete depends on the source's progress.
  const fromBeginning = options.resourceVersion === '' || options.resourceVersion === '0';
  const progressMatters =
    request.ofServer !== true && options.allowWatchBookmarks && (options.sendInitialEvents ?? fromBeginning);
  let plan = planRead(toPlan, await conditionOf(context, progressMatters, signal));
  if (plan.read === 'refusedUntilReady' && cache !== undefined) {
    if (!(await becomesReady(context, cache, signal))) return failed(initializing(cache));
    plan = planRead(toPlan, await conditionOf(context, progressMatters, signal));
  }
  if (signal.aborted) return failed({ kind: 'deadline' });
  if (plan.read === 'rejected') return failed(plan.failure);
  if (plan.read === 'refusedUntilReady') return failed(initializing(cache!));
  if (plan.read !== 'watch') throw new Error('a WATCH has no such plan');

  if (plan.start.at === 'error')
    return success(errorSession(format, { kind: 'internal', message: plan.start.message }));
  const timeoutMs = timeoutOf(context, options.timeoutSeconds);
  if (timeoutMs < 0) {
    const failure = { kind: 'internal', message: 'context deadline exceeded' } as const;
    // A watch of etcd itself just ends when its time is over.
    return success(plan.from === 'cache' ? errorSession(format, failure) : { ...SOURCE_SESSION, start: endAtOnce });
  }
  const selected = options.labelSelector.length + options.fieldSelector.length > 0;
  // Upstream's watch of etcd looks at the other selectors first, and delivers everything when there are none (spec 6.3).
  const part = shard.ok && (plan.from === 'cache' || selected) ? shard.value : undefined;
  const work: WatchWork = {
    plan,
    scope: scopeOf(kind, context.directory, request.namespace, options.fieldSelector, false),
    filter: compileFilter(codec, options.labelSelector, options.fieldSelector, part),
    format,
    bookmarks: options.allowWatchBookmarks,
    timeoutMs,
  };
  if (plan.from === 'source' || cache === undefined) {
    return success({ ...SOURCE_SESSION, start: (sink) => startDirectWatch(context, work, sink) });
  }
  const start = await startOf(context, cache, plan, signal);
  if (start.ok) return success(cachedSession(cache, work, start.value, context.fragments));
  return start.failure.kind === 'deadline' ? start : success(errorSession(format, start.failure));
}

/** A watch of the source itself, which is asked about every change of its keys. */
const SOURCE_SESSION = { plan: 'source', cancel: () => undefined };

/** Synthetic events for the state at the start of the stream, or only what comes after a revision. */
type CachedStart = { readonly state: true } | { readonly state: false; readonly after: bigint | 'now' };

/** Waits until the cache can start the stream where the plan says. */
async function startOf(
  context: ReadContext,
  cache: Cache,
  plan: WatchPlan,
  signal: AbortSignal,
): Promise<Result<CachedStart>> {
  const { start } = plan;
  switch (start.at) {
    case 'stateAny':
      return success({ state: true });
    case 'afterAny':
      return success({ state: false, after: 'now' });
    case 'after':
      return success({ state: false, after: start.revision });
    case 'stateNotOlderThan': {
      const reached = await waitUntil(context, cache, start.revision, signal);
      return reached.ok ? success({ state: true }) : reached;
    }
    case 'error':
      throw new Error('answered before');
    case 'stateMostRecent':
    case 'afterMostRecent':
  }
  try {
    const latest = await unlessAborted(context.probe.latest(), signal);
    if (latest === ABORTED) return failed({ kind: 'deadline' });
    if (start.at === 'afterMostRecent') return success({ state: false, after: BigInt(latest) });
    const reached = await waitUntil(context, cache, BigInt(latest), signal);
    return reached.ok ? success({ state: true }) : reached;
  } catch (error) {
    return failed(sourceFailure(error, context, 'watch'));
  }
}

function cachedSession(
  cache: Cache,
  work: WatchWork,
  start: CachedStart,
  fragments: KindFragments | undefined,
): WatchSession {
  const { plan, scope, filter, format, bookmarks, timeoutMs } = work;
  return {
    plan: `${describeDispatch(filter?.selector)}; range=${scope.width}`,
    cancel: () => undefined,
    start(sink) {
      // The cache lost its state in between: clients watch again, as when it happens later.
      if (cache.state !== 'ready') return endAtOnce(sink);
      const after = start.state || start.after === 'now' ? BigInt(cache.revision) : start.after;
      const oldest = cache.oldestWatchable;
      if (!start.state && after < BigInt(oldest)) {
        return writeError(format, { kind: 'expired', message: `too old resource version: ${after} (${oldest})` }, sink);
      }
      return cache.watch(
        {
          from: scope.from,
          to: scope.to,
          filter,
          framer: start.state ? fromFragments(format, fragments) : format,
          afterRevision: revisionNumber(after),
          initialEvents: start.state,
          initialEventsEnd: plan.initialEventsEnd,
          bookmarks,
          timeoutMs,
        },
        failing(sink, format),
      );
    },
  };
}

/** Absent or 0: random, so that the watches of many clients do not end together (spec 3.6). Negative: already over. */
function timeoutOf({ limits, random }: ReadContext, timeoutSeconds: bigint | undefined): number {
  if (timeoutSeconds === undefined || timeoutSeconds === 0n) return limits.watchTimeoutMinMs * (1 + random.float());
  if (timeoutSeconds < 0n) return -1;
  return Number(timeoutSeconds > TIMEOUT_SECONDS_MAX ? TIMEOUT_SECONDS_MAX : timeoutSeconds) * 1_000;
}

function errorSession(format: WatchFormat, failure: Failure): WatchSession {
  return { plan: 'none', start: (sink) => writeError(format, failure, sink), cancel: () => undefined };
}

/** One ERROR event, and the end of the stream. */
function writeError(format: WatchFormat, failure: Failure, sink: WatchSink): WatchRun {
  const writer = createWriter(512);
  format.error(failure, writer);
  sink.write(writer.bytes.subarray(0, writer.position));
  return endAtOnce(sink);
}

/** A value that does not parse ends the stream with what is wrong with it. */
function failing(sink: WatchSink, format: WatchFormat): WatchSink {
  return {
    write: (chunk, done) => sink.write(chunk, done),
    end: () => sink.end(),
    fail: (message, reason) =>
      void writeError(format, { kind: reason === 'expired' ? 'expired' : 'internal', message }, sink),
  };
}

function endAtOnce(sink: WatchSink): WatchRun {
  sink.end();
  return { drained: () => undefined, close: () => undefined };
}
