import { Counter, Gauge, type Registry } from 'prom-client';
import type { Cache } from '../cache/cache.js';

export type MeteredCache = Pick<Cache, 'kind' | 'lists' | 'stats' | 'revision' | 'staleMs' | 'versions'>;

/** How metrics name a resource. */
export const RESOURCE = ['group', 'resource'] as const;
/** Only the last digits of a revision fit a float exactly. */
const REVISION_DIGITS = 1e15;

interface CacheMetric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly of: (cache: MeteredCache) => number;
}

const cacheMetrics: readonly CacheMetric[] = [
  {
    name: 'apiserver_watch_cache_events_received_total',
    help: 'Changes that watch caches received from the source.',
    type: 'counter',
    of: ({ stats }) => stats.eventsReceived,
  },
  {
    name: 'apiserver_watch_cache_events_dispatched_total',
    help: 'Changes that watch caches handed to watchers.',
    type: 'counter',
    of: ({ stats }) => stats.eventsDispatched,
  },
  {
    name: 'apiserver_watch_cache_initializations_total',
    help: 'Times that a watch cache was filled from the start.',
    type: 'counter',
    of: ({ stats }) => stats.initializations,
  },
  {
    name: 'apiserver_watch_cache_resource_version',
    help: 'The revision that a watch cache has applied, truncated to its last 15 digits.',
    type: 'gauge',
    of: ({ revision }) => revision % REVISION_DIGITS,
  },
  {
    name: 'apiserver_terminated_watchers_total',
    help: 'Watchers that were ended because the history had moved past them.',
    type: 'counter',
    of: ({ stats }) => stats.watchersTerminated,
  },
  {
    name: 'apiserver_resource_objects',
    help: 'Objects stored.',
    type: 'gauge',
    of: ({ stats }) => stats.objects,
  },
  {
    name: 'listwatch_unreadable_keys',
    help: 'Keys whose stored value does not parse, now.',
    type: 'gauge',
    of: ({ stats }) => stats.decodeErrors,
  },
  {
    name: 'listwatch_watchers',
    help: 'Open watches of a kind.',
    type: 'gauge',
    of: ({ stats }) => stats.watchers,
  },
  {
    name: 'listwatch_watch_groups',
    help: 'Groups of watches that share their frames.',
    type: 'gauge',
    of: ({ stats }) => stats.watchGroups,
  },
  {
    name: 'listwatch_watch_cache_history_events',
    help: 'Changes kept to resume watches from.',
    type: 'gauge',
    of: ({ stats }) => stats.historyEvents,
  },
  {
    name: 'listwatch_watch_cache_history_bytes',
    help: 'Bytes of the changes kept.',
    type: 'gauge',
    of: ({ stats }) => stats.historyBytes,
  },
  {
    name: 'listwatch_watch_cache_history_seconds',
    help: 'Time that the changes kept reach back.',
    type: 'gauge',
    of: ({ stats }) => stats.historySeconds,
  },
  {
    name: 'listwatch_watch_cache_relists_total',
    help: 'Times that a watch cache had to be filled again because changes were missed.',
    type: 'counter',
    of: ({ stats }) => stats.relists,
  },
  {
    name: 'listwatch_pins',
    help: 'Reads that hold versions in memory, now.',
    type: 'gauge',
    of: ({ versions }) => versions.stats.pins,
  },
  {
    name: 'listwatch_slab_bytes',
    help: 'Bytes of slabs and columns reserved from the system.',
    type: 'gauge',
    of: ({ versions }) => versions.stats.reservedBytes,
  },
  {
    name: 'listwatch_moved_bytes',
    help: 'Bytes of the slabs where objects lay before LISTs moved them side by side, and readers may still read.',
    type: 'gauge',
    of: ({ versions }) => versions.stats.movedBytes,
  },
  {
    name: 'listwatch_live_bytes',
    help: 'Key and wire bytes of the objects stored.',
    type: 'gauge',
    of: ({ versions }) => versions.stats.liveBytes,
  },
  {
    name: 'listwatch_index_bytes',
    help: 'Bytes that label and field indexes reserve.',
    type: 'gauge',
    of: ({ stats }) => stats.index.bytes,
  },
  {
    name: 'listwatch_index_excluded_label_keys',
    help: 'Label keys left out of the index, because their values took too much.',
    type: 'gauge',
    of: ({ stats }) => stats.index.excludedKeys,
  },
  {
    name: 'listwatch_index_dropped_total',
    help: 'Indexes and label keys given up because the indexes of the kind took too much.',
    type: 'counter',
    of: ({ stats }) => stats.index.dropped,
  },
  {
    name: 'listwatch_index_built_total',
    help: 'Indexes that came up because a selector could have used them.',
    type: 'counter',
    of: ({ stats }) => stats.index.built,
  },
  {
    name: 'listwatch_index_hits_total',
    help: 'LISTs with selectors whose objects an index found.',
    type: 'counter',
    of: ({ stats }) => stats.index.hits,
  },
  {
    name: 'listwatch_index_misses_total',
    help: 'LISTs with selectors that read every object in their range.',
    type: 'counter',
    of: ({ stats }) => stats.index.misses,
  },
  {
    name: 'listwatch_index_sampled_changes_total',
    help: 'Changes whose indexing was timed: one revision in 64.',
    type: 'counter',
    of: ({ stats }) => stats.index.sampledChanges,
  },
  {
    name: 'listwatch_index_sampled_seconds_total',
    help: 'Time that the indexing of these changes took.',
    type: 'counter',
    of: ({ stats }) => stats.index.sampledMs / 1000,
  },
  {
    name: 'listwatch_index_term_changes_total',
    help: 'Changes that altered terms of an object; all others cost a look.',
    type: 'counter',
    of: ({ stats }) => stats.index.termChanges,
  },
  {
    name: 'apiserver_cache_list_returned_objects_total',
    help: 'Objects that LISTs from watch caches returned.',
    type: 'counter',
    of: ({ stats }) => stats.index.objectsReturned,
  },
  {
    name: 'listwatch_watch_cache_stale_seconds',
    help: 'Age of the data while the source is out of reach; 0 when current.',
    type: 'gauge',
    of: ({ staleMs }) => staleMs / 1000,
  },
];

/** Read from the caches when somebody asks, so that the hot paths count into plain fields. */
export function registerCacheMetrics(registry: Registry, caches: () => Iterable<MeteredCache>): void {
  const registers = [registry];
  const labelNames = [...RESOURCE];
  const labelsOf = ({ kind }: MeteredCache) => ({ group: kind.group, resource: kind.resource });
  for (const { name, help, type, of } of cacheMetrics) {
    if (type === 'gauge') {
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          for (const cache of caches()) this.set(labelsOf(cache), of(cache));
        },
      });
    } else {
      new Counter({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset();
          for (const cache of caches()) this.inc(labelsOf(cache), of(cache));
        },
      });
    }
  }
  const counted = { lists: 'LISTs served from watch caches.', fetched: 'Objects that these looked at.' } as const;
  const names = { lists: 'apiserver_cache_list_total', fetched: 'apiserver_cache_list_fetched_objects_total' } as const;
  for (const what of ['lists', 'fetched'] as const) {
    new Counter({
      name: names[what],
      help: `${counted[what]} index: what found them, e.g. f:spec.nodeName.`,
      labelNames: [...RESOURCE, 'index'],
      registers,
      collect() {
        this.reset();
        for (const cache of caches()) {
          for (const [index, count] of cache.stats.index.lists) this.inc({ ...labelsOf(cache), index }, count[what]);
        }
      },
    });
  }
  new Counter({
    name: 'apiserver_watch_cache_consistent_read_total',
    help: 'LISTs of the most recent state that went to a watch cache. fallback: etcd answered, as the cache was late.',
    labelNames: [...RESOURCE, 'success', 'fallback'],
    registers,
    collect() {
      this.reset();
      for (const cache of caches()) {
        for (const { success, fallback, count } of cache.lists.consistentReads) {
          this.inc({ ...labelsOf(cache), success: String(success), fallback: String(fallback) }, count);
        }
      }
    },
  });
  new Gauge({
    name: 'listwatch_index_terms',
    help: 'Distinct terms of each index: label sets, or texts of a field.',
    labelNames: [...RESOURCE, 'index'],
    registers,
    collect() {
      this.reset();
      for (const cache of caches()) {
        for (const { name, terms } of cache.stats.index.indexes) this.set({ ...labelsOf(cache), index: name }, terms);
      }
    },
  });
  new Counter({
    name: 'apiserver_storage_consistency_checks_total',
    help: 'Comparisons of a watch cache with the source.',
    labelNames: [...RESOURCE, 'status'],
    registers,
    collect() {
      this.reset();
      for (const cache of caches()) {
        for (const status of ['success', 'failure', 'error'] as const) {
          this.inc({ ...labelsOf(cache), status }, cache.stats.consistencyChecks[status]);
        }
      }
    },
  });
}
