import type { ObjectFilter } from '../../src/cache/cache.js';
import { defaultLimits } from '../../src/lib/limits.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { labelFilter, opaque, PodCache, podVariants, relabelled } from '../indexed-pods.js';
import { CountingSink, watchersOf, watchFromNow } from '../watched-pods.js';

/**
 * What a change costs with N watchers, each with a selector of its own, of whom a share is concerned. One
 * operation is one change of a pod, from the cache's commit to the writes.
 *
 *     index     the change finds its watchers by its terms
 *     scan      the baseline: every watcher's selector reads the object, before and after
 *
 * Per-mille of ten watchers is none: the bare cost of a change.
 */
export function setup(smoke: boolean): BenchCases {
  const cases: BenchCases = {};
  for (const watchers of smoke ? [20] : [10, 100, 1_000, 10_000]) {
    for (const [share, teams] of [
      ['per-mille', 1_000],
      ['percent', 100],
      ['tenth', 10],
      ['half', 2],
    ] as const) {
      cases[`indexer/dispatch/${share}/index/watchers=${watchers}`] = () =>
        dispatch(watchers, teams, (filter) => filter);
      cases[`indexer/dispatch/${share}/scan/watchers=${watchers}`] = () => dispatch(watchers, teams, opaque);
    }
  }
  return cases;
}

function dispatch(count: number, teams: number, known: (filter: ObjectFilter) => ObjectFilter): BenchCase {
  const pods = new PodCache(100);
  const { clock } = pods;
  const watchers = watchersOf(pods);
  const sinks = Array.from({ length: count }, () => new CountingSink());
  for (const [index, sink] of sinks.entries()) {
    watchers.watch(
      {
        ...watchFromNow(pods),
        // The second requirement makes every selector another one, so that nobody shares a group.
        filter: known(labelFilter(`team=team-${(index + 1) % teams},own!=watcher-${index}`)),
      },
      sink,
    );
  }
  const value = relabelled(podVariants()[0]!, { team: 'team-0' });
  // Enough changes that one run takes a while, few enough that many watchers do not take forever.
  const changes = Math.max(2, Math.min(200, Math.round(20_000 / count)));
  return {
    ops: changes,
    run: () => {
      for (const sink of sinks) sink.events = 0;
      for (let change = 0; change < changes; change++) {
        watchers.changed(pods.update(change % 100, value));
        clock.advance(defaultLimits.watchFlushMs);
      }
      return sinks.reduce((sum, sink) => sum + sink.events, 0);
    },
    dispose: () => {
      watchers.stop();
      pods.close();
    },
  };
}
