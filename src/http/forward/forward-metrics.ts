import { Counter, Histogram, type Registry } from 'prom-client';

/** What was forwarded, and how long the target took. */
export class ForwardMetrics {
  readonly #total;
  readonly #duration;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#total = new Counter({
      name: 'listwatch_forwarded_requests_total',
      help: 'Requests passed on to the target of --forward-to, by method and the HTTP code it gave; code error: it could not be reached.',
      labelNames: ['method', 'code'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'listwatch_forwarded_request_duration_seconds',
      help: 'Time until the target of --forward-to has begun to answer.',
      labelNames: ['method'],
      buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
  }

  /** `code`: 'error' where there is none. */
  answered(method: string, code: number | 'error', seconds: number): void {
    const known = METHODS.has(method) ? method : 'other';
    this.#total.inc({ method: known, code: String(code) });
    if (code !== 'error') this.#duration.observe({ method: known }, seconds);
  }
}

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
