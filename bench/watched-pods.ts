import type { CacheWatchRequest, Framer, WatchSink } from '../src/cache/cache.js';
import { createTimingWheel } from '../src/cache/timing-wheel.js';
import { Watchers } from '../src/cache/watchers.js';
import { defaultLimits } from '../src/lib/limits.js';
import { seededRandom } from '../src/lib/random.js';
import { ALL_PODS, type PodCache, POD_PREFIX, podCodec } from './indexed-pods.js';

/** Watchers of a cache of pods, on its clock. */
export function watchersOf({ cache, clock }: PodCache, seed = 1): Watchers {
  const watchers = new Watchers({
    cache,
    codec: podCodec,
    prefix: POD_PREFIX,
    wheel: createTimingWheel(clock),
    clock,
    random: seededRandom(seed),
    limits: defaultLimits,
  });
  watchers.restart();
  return watchers;
}

/** Every event is its revision, a bookmark too, in eight bytes. */
export const revisionFramer: Framer = {
  id: 'revision',
  firstDiffers: false,
  event(_type, _wire, revision, _first, into) {
    into.reserve(8);
    into.position = into.bytes.writeDoubleLE(revision, into.position);
  },
  bookmark(revision, _initialEventsEnd, _first, into) {
    into.reserve(8);
    into.position = into.bytes.writeDoubleLE(revision, into.position);
  },
};

/** A watch of all pods from now on, for ever. */
export function watchFromNow({ cache }: PodCache): Omit<CacheWatchRequest, 'filter'> {
  return {
    from: ALL_PODS.from.bytes,
    to: ALL_PODS.to.bytes,
    framer: revisionFramer,
    afterRevision: cache.revision,
    initialEvents: false,
    initialEventsEnd: false,
    bookmarks: false,
    timeoutMs: 1e9,
  };
}

/** Counts the events that revisionFramer has framed. */
export class CountingSink implements WatchSink {
  events = 0;
  write(chunk: Uint8Array): boolean {
    this.events += chunk.length / 8;
    return true;
  }
  end(): void {}
}
