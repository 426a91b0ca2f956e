import type { ModRevision } from '../api/revision.js';
import type { ObjectFilter } from '../cache/cache.js';
import { CodecError, type WireObject, type WireWriter } from '../codec/codec.js';
import { createWriter } from '../codec/writer.js';
import { ABORTED, type ReadContext, revisionNumber, unlessAborted } from './context.js';
import { encodeContinueToken, renewContinueToken } from './continue-token.js';
import { type Failure, failed, type Result, success } from './failure.js';
import type { Reservation } from '../lib/memory-budget.js';
import { refused } from './list-cost.js';
import type { ListAnswer, ObjectAnswer } from './reader.js';
import type { StatePlan } from './read-plan.js';
import { type ListWork, pageStart } from './list-work.js';
import { isCompacted, isFuture, sourceFailure, UnreadableValue } from './source-failure.js';
import { SourceError } from '../source/source.js';

/**
 * The same answers as from a cache, straight from the source: for kinds that are not cached, for
 * caches that are not ready, for states that the history no longer covers. Stored values go through
 * the same codec into one buffer per answer, which is in the form that a LIST sends.
 */

/** kube-apiserver's bound on what it asks of etcd at once. */
const PAGE_COUNT_MAX = 10_000;

export async function listDirectly(context: ReadContext, work: ListWork): Promise<Result<ListAnswer>> {
  const { plan, scope, selected, shard, signal } = work;
  // How much it will be is not known before it is read.
  const reservation = context.admission.admit(0, 0);
  if (reservation === undefined) return refused(context.admission.retryAfterSeconds);
  let kept = false;
  try {
    // Without a limit the pages are only ours. When the state they are of is compacted midway, read all at once.
    const page =
      (await readPage(context, work, reservation, context.limits.listPageCount, plan.limit === 0)) ??
      (await readPage(context, work, reservation, 0, false));
    if (page === undefined) throw new SourceError('compacted', 'the state was compacted while it was read');
    if (page === ABORTED) return failed({ kind: 'deadline' });
    if (page === CROWDED) return refused(context.admission.retryAfterSeconds);
    context.cache?.saw(page.revision);
    const tooNew = notReached(plan, page.revision);
    if (tooNew !== undefined) return failed(tooNew);
    kept = true;
    return success(
      new DirectList(reservation, page.items, {
        resourceVersion: String(page.revision),
        continue: page.more ? encodeContinueToken(page.lastKey, scope.tokenPrefix, page.revision, false) : undefined,
        remainingItemCount: page.more && !selected ? page.count - plan.limit : undefined,
        shard,
        staleMs: 0,
      }),
    );
  } catch (error) {
    if (isCompacted(error)) return failed(expired(plan, scope.tokenPrefix));
    if (isFuture(error)) return failed(await tooLarge(context, plan, error as SourceError, signal));
    return failed(sourceFailure(error, context, 'list'));
  } finally {
    if (!kept) reservation[Symbol.dispose]();
  }
}

/** One object. `revision`: at that revision; absent: the most recent. */
export async function getDirectly(
  context: ReadContext,
  key: { readonly from: Uint8Array; readonly to: Uint8Array },
  plan: StatePlan,
  name: string,
  signal: AbortSignal,
): Promise<Result<ObjectAnswer>> {
  try {
    const items = new WireList(context);
    const result = await unlessAborted(
      context.source.range({ from: key.from, to: key.to, limit: 1 }, items.visitor(undefined, 0), signal),
      signal,
    );
    if (result === ABORTED) return failed({ kind: 'deadline' });
    context.cache?.saw(result.revision);
    const tooNew = notReached(plan, result.revision);
    if (tooNew !== undefined) return failed(tooNew);
    items.check();
    const { group, resource } = context.kind;
    if (items.count === 0) return failed({ kind: 'notFound', group, resource, name });
    const wire = items.at(0, { bytes: items.writer.bytes, headerStart: 0, start: 0, end: 0 });
    return success({ wire, revision: items.lastRevision, staleMs: 0, [Symbol.dispose]: () => undefined });
  } catch (error) {
    return failed(sourceFailure(error, context, 'get'));
  }
}

interface DirectPage {
  readonly items: WireList;
  readonly revision: ModRevision;
  readonly lastKey: string;
  /** Keys from the start of the page to the end of the range. */
  readonly count: number;
  readonly more: boolean;
}

/**
 * Reads until the limit is filled or the range ends. With selectors the source is asked for twice as
 * much each time, as kube-apiserver does. undefined: compacted midway, and `giveUpOnCompaction`.
 */
async function readPage(
  context: ReadContext,
  { plan, scope, filter, signal }: ListWork,
  reservation: Reservation,
  pageCount: number,
  giveUpOnCompaction: boolean,
): Promise<DirectPage | typeof ABORTED | typeof CROWDED | undefined> {
  const { source } = context;
  const items = new WireList(context);
  const { limit } = plan;
  const start = pageStart(plan, scope);
  let from: Uint8Array = start.bytes.subarray(start.start, start.end);
  let revision = plan.read === 'exact' ? revisionNumber(plan.revision) : 0;
  let asked = limit > 0 ? Math.min(limit, PAGE_COUNT_MAX) : pageCount;
  let count: number | undefined;
  let reservedBytes = 0;
  for (;;) {
    const pinned = revision > 0;
    let result: Awaited<ReturnType<typeof source.range>> | typeof ABORTED;
    try {
      result = await unlessAborted(
        source.range(
          { from, to: scope.to, ...(asked > 0 ? { limit: asked } : {}), ...(pinned ? { revision } : {}) },
          items.visitor(filter, limit),
          signal,
        ),
        signal,
      );
    } catch (error) {
      if (giveUpOnCompaction && count !== undefined && plan.read !== 'exact' && isCompacted(error)) return undefined;
      throw error;
    }
    if (result === ABORTED) return ABORTED;
    items.check();
    const heldBytes = items.writer.bytes.length;
    if (heldBytes > context.limits.cheapListBytes && heldBytes > reservedBytes) {
      if (!reservation.grow(heldBytes - reservedBytes)) return CROWDED;
      reservedBytes = heldBytes;
    }
    if (!pinned) revision = result.revision;
    count ??= result.count;
    const more = result.more || items.cut;
    const filled = limit > 0 && items.count >= limit;
    if (!more || filled) return { items, revision, lastKey: items.lastKey, count, more };
    from = Buffer.from(`${items.lastKey}\0`);
    if (limit > 0) asked = Math.min(asked * 2, PAGE_COUNT_MAX);
  }
}

/** There is no room for what is being read. */
const CROWDED = Symbol('crowded');

function notReached(plan: StatePlan, revision: ModRevision): Failure | undefined {
  if (plan.read !== 'notOlderThan' || BigInt(revision) >= plan.revision) return undefined;
  return { kind: 'versionTooLarge', requested: plan.revision, current: revision };
}

async function tooLarge(
  context: ReadContext,
  plan: StatePlan,
  error: SourceError,
  signal: AbortSignal,
): Promise<Failure> {
  const requested = plan.read === 'exact' ? plan.revision : 0n;
  if (error.revision !== undefined) return { kind: 'versionTooLarge', requested, current: error.revision };
  // etcd does not say where it is. Without an answer, 0 stands for it.
  const current = await unlessAborted(context.probe.latest(), signal).catch(() => 0);
  return { kind: 'versionTooLarge', requested, current: current === ABORTED ? 0 : current };
}

function expired({ token }: StatePlan, tokenPrefix: string): Failure {
  if (token === undefined) {
    return { kind: 'expired', message: 'The resourceVersion for the provided list is too old.' };
  }
  return { kind: 'expired', message: INCONSISTENT_CONTINUE, continue: renewContinueToken(token, tokenPrefix) };
}

export const INCONSISTENT_CONTINUE =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
  'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
  'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
  'deleted between the time the first chunk was returned and now may show up in the list.';

/** Objects in wire form, one behind the other, with their ends in a column. */
class WireList {
  readonly writer: WireWriter;
  count = 0;
  lastKey = '';
  lastRevision: ModRevision = 0;
  /** The limit was reached with entries of the response left. */
  cut = false;
  readonly #context: ReadContext;
  /** Pairs of (start, end): an item's header begins where the item before it ends. */
  #bounds = new Float64Array(64);
  #unreadable: UnreadableValue | undefined;

  constructor(context: ReadContext) {
    this.#context = context;
    this.writer = createWriter();
  }

  /** A visitor must not throw: what does not parse is kept for `check`. */
  visitor(filter: ObjectFilter | undefined, limit: number) {
    const { codec } = this.#context;
    return (
      bytes: Uint8Array,
      keyStart: number,
      keyEnd: number,
      valueStart: number,
      valueEnd: number,
      _createRevision: ModRevision,
      modRevision: ModRevision,
    ): void => {
      if (this.#unreadable !== undefined) return;
      if (limit > 0 && this.count >= limit) {
        this.cut = true;
        return;
      }
      const { writer } = this;
      const before = writer.position;
      this.lastKey = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', keyStart, keyEnd);
      try {
        codec.toWire(bytes, valueStart, valueEnd, modRevision, writer);
        if (filter !== undefined && !filter.matches(writer.bytes, writer.start, writer.position)) {
          writer.position = before;
          return;
        }
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
        this.#unreadable = new UnreadableValue(this.lastKey, error.message);
        return;
      }
      this.lastRevision = modRevision;
      this.#push(writer.start, writer.position);
    };
  }

  check(): void {
    if (this.#unreadable !== undefined) throw this.#unreadable;
  }

  get itemBytes(): number {
    return this.writer.position;
  }

  at(index: number, into: WireObject): WireObject {
    into.bytes = this.writer.bytes;
    into.headerStart = index === 0 ? 0 : this.#bounds[index * 2 - 1]!;
    into.start = this.#bounds[index * 2]!;
    into.end = this.#bounds[index * 2 + 1]!;
    return into;
  }

  #push(start: number, end: number): void {
    if (this.count * 2 === this.#bounds.length) {
      const larger = new Float64Array(this.#bounds.length * 2);
      larger.set(this.#bounds);
      this.#bounds = larger;
    }
    this.#bounds[this.count * 2] = start;
    this.#bounds[this.count * 2 + 1] = end;
    this.count++;
  }
}

class DirectList implements ListAnswer {
  readonly resourceVersion: string;
  readonly continue: string | undefined;
  readonly remainingItemCount: number | undefined;
  readonly shard: string | undefined;
  readonly staleMs: number;
  readonly plan = undefined;
  readonly runs = undefined;
  readonly count: number;
  readonly itemBytes: number;
  readonly #items: WireList;
  readonly #reservation: Reservation;

  constructor(
    reservation: Reservation,
    items: WireList,
    page: Omit<ListAnswer, 'count' | 'itemBytes' | 'plan' | 'runs' | 'at' | typeof Symbol.dispose>,
  ) {
    this.#reservation = reservation;
    this.#items = items;
    this.count = items.count;
    this.itemBytes = items.itemBytes;
    this.resourceVersion = page.resourceVersion;
    this.continue = page.continue;
    this.remainingItemCount = page.remainingItemCount;
    this.shard = page.shard;
    this.staleMs = page.staleMs;
  }

  at(index: number, into: WireObject): WireObject {
    return this.#items.at(index, into);
  }

  [Symbol.dispose](): void {
    this.#reservation[Symbol.dispose]();
  }
}
