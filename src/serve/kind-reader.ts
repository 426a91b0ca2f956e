import { formatShardSelector } from '../api/shard-selector.js';
import { becomesReady, conditionOf, initializing, type ReadContext } from './context.js';
import { listDirectly } from './direct.js';
import { failed, type Result } from './failure.js';
import { checkFieldSelector, compileFilter, shardOf } from './filter.js';
import { getObject } from './get.js';
import { listFromCache } from './list.js';
import { planRead } from './read-plan.js';
import type { ListAnswer, ListRequest, Reader } from './reader.js';
import { scopeOf } from './scope.js';
import { openWatch } from './watch.js';

/** Joins the plan (what is read) with the two places where it can be read: the cache and the source. */
export function createReader(context: ReadContext): Reader {
  return {
    kind: context.kind,
    codec: context.codec,
    get: (request) => getObject(context, request),
    list: (request) => list(context, request),
    watch: (request) => openWatch(context, request),
  };
}

async function list(context: ReadContext, { namespace, options, signal }: ListRequest): Promise<Result<ListAnswer>> {
  const { kind, codec, cache } = context;
  const fields = checkFieldSelector(kind, options.fieldSelector);
  const shard = shardOf(context.shardedListAndWatch, options.shardSelector);
  const refused = !fields.ok ? fields.failure : shard.ok ? undefined : shard.failure;
  const selected = options.labelSelector.length + options.fieldSelector.length > 0;
  const scope = scopeOf(kind, context.directory, namespace, options.fieldSelector, options.continue !== '');
  const toPlan = {
    verb: 'list',
    options,
    tokenPrefix: scope.tokenPrefix,
    singleKey: scope.key !== undefined,
    filtered: selected,
    ...(refused === undefined ? {} : { unsupportedField: refused }),
  } as const;
  // Whether the source's progress can be trusted matters to reads of the most recent state alone.
  const progressMatters = options.resourceVersion === '' || options.continue !== '';
  let plan = planRead(toPlan, await conditionOf(context, progressMatters, signal));
  if (plan.read === 'refusedUntilReady' && cache !== undefined) {
    if (!(await becomesReady(context, cache, signal))) return failed(initializing(cache));
    plan = planRead(toPlan, await conditionOf(context, progressMatters, signal));
  }
  if (signal.aborted) return failed({ kind: 'deadline' });
  if (plan.read === 'rejected') return failed(plan.failure);
  if (plan.read === 'refusedUntilReady') return failed(initializing(cache!));
  if (plan.read === 'watch') throw new Error('a LIST has no such plan');

  const part = shard.ok ? shard.value : undefined;
  const work = {
    plan,
    scope,
    filter: compileFilter(codec, options.labelSelector, options.fieldSelector, part),
    selected,
    shard: part === undefined ? undefined : formatShardSelector(part),
    signal,
  };
  if (plan.from === 'source' || cache === undefined) return listDirectly(context, work);
  return listFromCache(context, cache, work);
}
