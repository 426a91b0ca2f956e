import { Gauge, type Registry } from 'prom-client';
import type { CheckpointStats } from '../checkpoint/checkpoints.js';
import { collectedCounter } from './collected-counter.js';

const counters = [
  ['writes_total', 'Checkpoints of a kind written.', (stats) => stats.writes],
  ['write_failures_total', 'Checkpoints that could not be written; the log says why.', (stats) => stats.writeFailures],
  ['written_bytes_total', 'Bytes of checkpoints written.', (stats) => stats.writtenBytes],
  ['write_seconds_total', 'Time that writing took, most of it in the background.', (stats) => stats.writeSeconds],
  ['restored_total', 'Kinds that went on from their checkpoint.', (stats) => stats.restored],
  ['discarded_total', 'Kinds whose checkpoint could not be used; the log says why.', (stats) => stats.discarded],
] as const satisfies readonly (readonly [string, string, (stats: CheckpointStats) => number])[];

/** Read when somebody asks. Nothing is reported without --cache-dir. */
export function registerCheckpointMetrics(registry: Registry, stats: () => CheckpointStats | undefined): void {
  const registers = [registry];
  for (const [what, help, of] of counters) collectedCounter(registry, `listwatch_checkpoint_${what}`, help, stats, of);
  new Gauge({
    name: 'listwatch_checkpoint_last_write_timestamp_seconds',
    help: 'When a checkpoint was written last, as Unix time.',
    registers,
    collect() {
      const now = stats();
      if (now !== undefined) this.set(now.lastWriteSeconds);
    },
  });
}
