import { Gauge, type Registry } from 'prom-client';
import { collectedCounter } from './collected-counter.js';

/** Of all listeners. */
export interface ConnectionCounts {
  readonly open: number;
  /** Closed at once, because there were `--max-connections`. */
  readonly refused: number;
}

/** Read when somebody asks. */
export function registerConnectionMetrics(registry: Registry, counts: ConnectionCounts): void {
  new Gauge({
    name: 'listwatch_connections',
    help: 'Connections of clients that are open.',
    registers: [registry],
    collect() {
      this.set(counts.open);
    },
  });
  collectedCounter(
    registry,
    'listwatch_connections_refused_total',
    'Connections closed at once because there were as many as --max-connections allows.',
    () => counts,
    ({ refused }) => refused,
  );
}
