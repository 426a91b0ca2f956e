import { Counter, Gauge, Registry } from 'prom-client';
import type { HealthEndpoint } from './health.js';

/** `/metrics/slis`: what checks of health said when an endpoint was asked (spec 7.7). */
export class HealthMetrics {
  readonly #registry = new Registry();
  readonly #state = new Gauge({
    name: 'kubernetes_healthcheck',
    help: 'Whether the check passed when it was run last: 1 or 0.',
    labelNames: ['name', 'type'],
    registers: [this.#registry],
  });
  readonly #total = new Counter({
    name: 'kubernetes_healthchecks_total',
    help: 'Runs of the check, by what came of them.',
    labelNames: ['name', 'status', 'type'],
    registers: [this.#registry],
  });

  observe(type: HealthEndpoint, name: string, hasPassed: boolean): void {
    this.#state.set({ name, type }, hasPassed ? 1 : 0);
    this.#total.inc({ name, status: hasPassed ? 'success' : 'error', type });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
