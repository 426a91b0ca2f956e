import type { Plan } from './indexer.js';
import type { IndexCounts } from './kind-index.js';

/** What the indexes of a kind take and give, for metrics. */
export interface IndexStats extends IndexCounts {
  readonly indexes: readonly IndexState[];
  /** Of all indexers, and of the rows that they share. */
  readonly bytes: number;
  /** Label keys that are not indexed. */
  readonly excludedKeys: number;
  /** By indexer's term (`l:app`, `f:spec.nodeName`); '' without an index. */
  readonly lists: ReadonlyMap<string, ListCount>;
  readonly objectsReturned: number;
  /** LISTs with selectors: found by an index, and by reading objects. */
  readonly hits: number;
  readonly misses: number;
}

export interface IndexState {
  readonly name: string;
  readonly bytes: number;
  readonly terms: number;
  /** False: being built. */
  readonly ready: boolean;
}

export interface ListCount {
  readonly lists: number;
  readonly fetched: number;
}

export interface ConsistentReads {
  readonly success: boolean;
  readonly fallback: boolean;
  count: number;
}

/** Clients choose label keys, and a metric's labels are kept for good: beyond these they share one. */
const NAMES_MAX = 64;
const OTHER = 'other';

/** Counts LISTs by what found their objects, as kube-apiserver's apiserver_cache_list_* metrics do. */
export class ListCounts {
  readonly byIndex = new Map<string, { lists: number; fetched: number }>();
  /** LISTs of the most recent state, in the order in which their labels were first seen. */
  readonly consistentReads: ConsistentReads[] = [];
  returned = 0;
  hits = 0;
  misses = 0;

  /** `fallback`: the cache did not get there in time, and the source answered. */
  consistentRead(success: boolean, fallback: boolean): void {
    const known = this.consistentReads.find((one) => one.success === success && one.fallback === fallback);
    if (known !== undefined) known.count++;
    else this.consistentReads.push({ success, fallback, count: 1 });
  }

  count({ by, index }: Plan, fetched: number, returned: number): void {
    const name = this.byIndex.has(index) || this.byIndex.size < NAMES_MAX ? index : OTHER;
    const count = this.byIndex.get(name) ?? { lists: 0, fetched: 0 };
    count.lists++;
    count.fetched += fetched;
    this.byIndex.set(name, count);
    this.returned += returned;
    if (by === 'scan') this.misses++;
    else if (by !== 'range') this.hits++;
  }
}
