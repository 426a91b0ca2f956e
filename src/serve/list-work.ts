import type { ObjectFilter } from '../cache/cache.js';
import { type ByteRange, compareRanges, rangeOf, utf8 } from '../lib/bytes.js';
import type { StatePlan } from './read-plan.js';
import type { Scope } from './scope.js';

/** A LIST whose plan is made. */
export interface ListWork {
  readonly plan: StatePlan;
  readonly scope: Scope;
  readonly filter: ObjectFilter | undefined;
  /** A label or field selector is given: what remains is then not counted. A shard does not change that (spec 6.3). */
  readonly selected: boolean;
  /** Canonical text of the shard selector. */
  readonly shard: string | undefined;
  readonly signal: AbortSignal;
}

/** A token never leads out of the scope: it may be an older one, of a request that was not narrowed. */
export function pageStart({ token }: StatePlan, scope: Scope): ByteRange {
  const first = rangeOf(scope.from);
  if (token === undefined) return first;
  const start = rangeOf(utf8(token.startKey));
  return compareRanges(start, first) > 0 ? start : first;
}
