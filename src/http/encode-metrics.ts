import { Counter, Gauge, type Registry } from 'prom-client';
import type { EncodeStats } from '../serve/fragment-encoder.js';

const gauges = [
  ['workers', 'Threads that encode LISTs, now.', (stats) => stats.workers],
  [
    'ahead_bytes',
    'Stored bytes of leaves that are encoded, or wait for it, before they are written.',
    (stats) => stats.aheadBytes,
  ],
] as const satisfies readonly (readonly [string, string, (stats: EncodeStats) => number])[];

const counters = [
  ['workers_started_total', 'Encode workers that were started.', (stats) => stats.workersStarted],
  ['workers_crashed_total', 'Encode workers that ended by themselves or hung.', (stats) => stats.workersCrashed],
  [
    'tasks_refused_total',
    'Leaves not offered to workers, as too much was ahead already.',
    (stats) => stats.tasksRefused,
  ],
] as const satisfies readonly (readonly [string, string, (stats: EncodeStats) => number])[];

/** Read when somebody asks. */
export function registerEncodeMetrics(registry: Registry, stats: () => EncodeStats): void {
  const registers = [registry];
  for (const [what, help, of] of gauges) {
    new Gauge({
      name: `listwatch_encode_${what}`,
      help,
      registers,
      collect() {
        this.set(of(stats()));
      },
    });
  }
  for (const [what, help, of] of counters) {
    new Counter({
      name: `listwatch_encode_${what}`,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(of(stats()));
      },
    });
  }
  new Counter({
    name: 'listwatch_encode_tasks_total',
    help: 'Leaves that were encoded ahead of being written, by the thread that did it.',
    labelNames: ['by'],
    registers,
    collect() {
      this.reset();
      const { tasksByWorkers, tasksByOwner } = stats();
      this.inc({ by: 'worker' }, tasksByWorkers);
      this.inc({ by: 'owner' }, tasksByOwner);
    },
  });
}
