import type { CacheSnapshot } from '../cache/cache.js';
import type { Selection, SelectionRequest } from '../indexer/indexer.js';
import type { Reservation } from '../lib/memory-budget.js';
import type { ReadContext } from './context.js';
import { failed, type Result, success } from './failure.js';

/** Of the response to a LIST, what is being encoded, compressed, and in the transport, at most and about. */
const RESPONSE_BYTES = 2 ** 20;
const ID_BYTES = 4;

/**
 * Bytes that a LIST is going to read, from the totals that the engine keeps: known before the first object is looked
 * at. Requirements that no index decides are taken to hold, since only the objects could tell.
 */
export function costOf(
  snapshot: CacheSnapshot,
  { from, to, within, limit }: SelectionRequest,
  { plan }: Selection,
): { readonly objects: number; readonly bytes: number } {
  let inRange = within === undefined ? plan.inRange : 0; // which the plan has counted
  let bytes = within === undefined ? snapshot.byteSize(from, to) : 0;
  for (const part of within ?? []) {
    inRange += snapshot.count(part.from, part.to);
    bytes += snapshot.byteSize(part.from, part.to);
  }
  const found = plan.considered.reduce((least, { estimate }) => Math.min(least, estimate), plan.estimated);
  const objects = Math.min(found, inRange, limit > 0 ? limit : Number.POSITIVE_INFINITY);
  return { objects, bytes: inRange === 0 ? 0 : bytes * (objects / inRange) };
}

/** Room for a LIST from the cache, or 429. The objects are there anyway: it holds ids, and what is on its way out. */
export function admitList(
  { admission }: ReadContext,
  snapshot: CacheSnapshot,
  request: SelectionRequest,
  selection: Selection,
): Result<Reservation> {
  const { objects, bytes } = costOf(snapshot, request, selection);
  const reservation = admission.admit(bytes, objects * ID_BYTES + Math.min(bytes, RESPONSE_BYTES));
  return reservation === undefined ? refused(admission.retryAfterSeconds) : success(reservation);
}

export function refused(retryAfterSeconds: number) {
  const message = 'Too many requests, please try again later. Memory is short: lists with a limit are answered.';
  return failed({ kind: 'tooManyRequests', message, retryAfterSeconds });
}
