import type { Cache } from '../cache/cache.js';
import { compareRanges, rangeOf, utf8 } from '../lib/bytes.js';
import type { Failure } from './failure.js';
import type { Scope } from './scope.js';
import { UnreadableValue } from './source-failure.js';

/** The failure of a LIST over a range in which a stored value does not parse; undefined: all parse. */
export function unreadableIn(cache: Cache, scope: Pick<Scope, 'from' | 'to'>): Failure | undefined {
  const from = rangeOf(scope.from);
  const to = rangeOf(scope.to);
  for (const [key, message] of cache.decodeErrors) {
    const range = rangeOf(utf8(key));
    // '' stands for further keys, which are not known.
    if (key === '') return { kind: 'internal', message };
    if (compareRanges(range, from) >= 0 && compareRanges(range, to) < 0) {
      return { kind: 'internal', message: new UnreadableValue(key, message).message };
    }
  }
  return undefined;
}
