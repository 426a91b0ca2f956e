import { type ByteRange, compareRanges, rangeOf } from '../lib/bytes.js';
import type { VersionId, Versions } from '../versions/versions.js';

/** As many as a double holds exactly. */
const PREFIX_BYTES = 6;

/**
 * Sorts ids by their keys. Most comparisons are of two doubles: the six bytes of each key that follow what
 * all of them share.
 */
export function sortByKey(ids: Int32Array, versions: Versions): void {
  if (ids.length < 2) return;
  const left = rangeOf(new Uint8Array(0));
  const right = rangeOf(new Uint8Array(0));
  const shared = sharedPrefix(ids, versions, left, right);
  const prefixes = new Float64Array(ids.length);
  const order = new Int32Array(ids.length);
  let ascending = true;
  for (let index = 0; index < ids.length; index++) {
    prefixes[index] = prefixOf(versions.key(ids[index]!, left), shared);
    order[index] = index;
    if (index > 0 && prefixes[index]! <= prefixes[index - 1]!) ascending = false;
  }
  if (ascending) return;
  const unsorted: ArrayLike<VersionId> = ids.slice();
  order.sort((a, b) => {
    const difference = prefixes[a]! - prefixes[b]!;
    if (difference !== 0) return difference;
    return compareRanges(versions.key(unsorted[a]!, left), versions.key(unsorted[b]!, right));
  });
  for (let index = 0; index < ids.length; index++) ids[index] = unsorted[order[index]!]!;
}

function sharedPrefix(ids: Int32Array, versions: Versions, first: ByteRange, other: ByteRange): number {
  versions.key(ids[0]!, first);
  let shared = first.end - first.start;
  for (let index = 1; index < ids.length; index++) {
    const { bytes, start, end } = versions.key(ids[index]!, other);
    const most = Math.min(shared, end - start);
    let equal = 0;
    while (equal < most && first.bytes[first.start + equal] === bytes[start + equal]) equal++;
    shared = equal;
  }
  return shared;
}

function prefixOf({ bytes, start, end }: ByteRange, shared: number): number {
  let prefix = 0;
  for (let offset = 0; offset < PREFIX_BYTES; offset++) {
    const at = start + shared + offset;
    prefix = prefix * 256 + (at < end ? bytes[at]! : 0);
  }
  return prefix;
}
