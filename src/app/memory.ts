import { totalmem } from 'node:os';
import { getHeapStatistics } from 'node:v8';
import type { Caches } from '../cache/caches.js';
import type { MemoryReport } from '../http/memory-metrics.js';
import type { Clock } from '../lib/clock.js';
import { defaultLimits, type Limits } from '../lib/limits.js';
import { MemoryBudget, type Sheddable } from '../lib/memory-budget.js';
import type { Config } from './config.js';
import type { Log } from './log.js';

/** Of the memory that there is; the rest is for the kernel's side of our sockets, and for what a sample has not seen. */
const SHARE = 0.8;

/**
 * `--memory-budget`: as given; without it, four fifths of what the container (cgroup) or the machine lets the process
 * have. docs/adr/0014-memory-budget.md says why.
 */
export function memoryBudgetBytes({ memoryBudget }: Pick<Config, 'memoryBudget'>): number {
  if (memoryBudget !== undefined) return memoryBudget;
  const constrained = process.constrainedMemory();
  const available = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return Math.floor(available * SHARE);
}

/** `--fragment-cache-bytes` where it is not given: never more than a quarter of the budget. docs/adr/0009 */
export function defaultFragmentCacheBytes(budgetBytes: number): number {
  const { fragmentCacheBytes } = defaultLimits;
  return budgetBytes === 0 ? fragmentCacheBytes : Math.min(fragmentCacheBytes, Math.floor(budgetBytes / 4));
}

/** What the kernel's out-of-memory killer would count: pages that are in memory. */
export function createMemoryBudget(
  config: Config,
  caches: Caches,
  sheddables: readonly Sheddable[],
  pressed: () => void,
  { clock, log, limits }: { readonly clock: Clock; readonly log: Log; readonly limits: Limits },
): MemoryBudget {
  const bytesMax = memoryBudgetBytes(config);
  return new MemoryBudget({
    bytesMax,
    measure: residentBytes,
    sheddables: () => sheddables,
    shortenables: () => caches.all(),
    limits,
    clock,
    pressed,
    changed: (rung, usedBytes) => {
      const level = rung === 'calm' || rung === 'shed' ? 'info' : 'warn';
      log[level]({ rung, usedBytes, budgetBytes: bytesMax }, 'memory');
    },
  });
}

let lastResidentBytes = 0;

/** As far as is known: while there is no file descriptor left, what was seen last. */
function residentBytes(): number {
  try {
    lastResidentBytes = process.memoryUsage.rss();
  } catch (error) {
    if (!/^E[MN]FILE/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  return lastResidentBytes;
}

/** `more`: parts that others know of. A history's versions lie in slabs, so it is counted there, too. */
export function memoryReport(
  budget: MemoryBudget,
  caches: Caches,
  idleCollections: number,
  more: Readonly<Record<string, number>>,
): MemoryReport {
  const heapTotal = getHeapStatistics().total_heap_size;
  let [slabs, indexes, history] = [0, 0, 0];
  for (const { versions, stats } of caches.all()) {
    slabs += versions.stats.reservedBytes;
    indexes += stats.index.bytes;
    history += stats.historyBytes;
  }
  const { bytesMax, rung, reservedBytes, refused, shedBytes, historyShare } = budget;
  const parts = { resident: residentBytes(), heap: heapTotal, slabs, indexes, history, ...more };
  return { bytesMax, rung, reservedBytes, refused, shedBytes, historyShare, idleCollections, parts };
}
