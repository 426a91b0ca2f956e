import { Counter, Gauge, type Registry } from 'prom-client';
import { rungs } from '../lib/memory-budget.js';

/** What /metrics says of the memory of the process. */
export interface MemoryReport {
  readonly bytesMax: number;
  readonly rung: (typeof rungs)[number];
  readonly reservedBytes: number;
  readonly refused: number;
  readonly shedBytes: number;
  readonly historyShare: number;
  readonly idleCollections: number;
  /** By name: what is held, and for what. Resident memory holds them all. */
  readonly parts: Readonly<Record<string, number>>;
}

/** Read when somebody asks. */
export function registerMemoryMetrics(registry: Registry, report: () => MemoryReport): void {
  const registers = [registry];
  new Gauge({
    name: 'listwatch_memory_bytes',
    help: 'Memory by what it is for. part="resident" is all of it, as the budget counts.',
    labelNames: ['part'],
    registers,
    collect() {
      for (const [part, bytes] of Object.entries(report().parts)) this.set({ part }, bytes);
    },
  });
  new Gauge({
    name: 'listwatch_memory_rung',
    help: '1 for the rung of the memory ladder that is stood on, 0 for the others.',
    labelNames: ['rung'],
    registers,
    collect() {
      for (const rung of rungs) this.set({ rung }, rung === report().rung ? 1 : 0);
    },
  });
  const gauges = [
    ['listwatch_memory_budget_bytes', 'The memory budget; 0: none.', (now: MemoryReport) => now.bytesMax],
    [
      'listwatch_memory_reserved_bytes',
      'Bytes reserved for LISTs that are being answered.',
      (now: MemoryReport) => now.reservedBytes,
    ],
    [
      'listwatch_memory_history_share',
      'Share of its usual bytes that a history keeps: less than 1 while memory is short.',
      (now: MemoryReport) => now.historyShare,
    ],
  ] as const;
  for (const [name, help, of] of gauges) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(of(report()));
      },
    });
  }
  const counters = [
    [
      'listwatch_memory_refused_lists_total',
      'LISTs that were refused because memory was short.',
      (now: MemoryReport) => now.refused,
    ],
    [
      'listwatch_memory_idle_collections_total',
      'Garbage collections after something was done, once nothing was done any more.',
      (now: MemoryReport) => now.idleCollections,
    ],
    [
      'listwatch_memory_shed_bytes_total',
      'Bytes of caches that were let go because memory was short.',
      (now: MemoryReport) => now.shedBytes,
    ],
  ] as const;
  for (const [name, help, of] of counters) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(of(report()));
      },
    });
  }
}
