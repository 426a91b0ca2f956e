import { type Clock, sleep } from '../lib/clock.js';
import { HealthMetrics } from './health-metrics.js';

/** Something that must work for the server to be of use. Registered by the app; the order is kept. */
export interface HealthCheck {
  readonly name: string;
  /** `readyz` only for what a restart would not heal. */
  readonly endpoints: readonly HealthEndpoint[];
  /** Rejects when it fails; the message is shown at `/<endpoint>/<name>` only. */
  check(signal: AbortSignal): Promise<void>;
}

export type HealthEndpoint = 'healthz' | 'livez' | 'readyz';
export const healthEndpoints: readonly HealthEndpoint[] = ['healthz', 'livez', 'readyz'];

export interface HealthAnswer {
  readonly code: number;
  readonly body: string;
  readonly nosniff: boolean;
}

/** A check that says nothing for this long has failed. */
const CHECK_MS = 5_000;

/** `/healthz`, `/livez` and `/readyz`, and one path for each check below them (spec 7.5). */
export class Health {
  /** Of endpoints as a whole; a check that is asked for alone is not counted. */
  readonly metrics = new HealthMetrics();
  readonly #checks: HealthCheck[];
  readonly #clock: Clock;
  #shuttingDown = false;

  constructor(checks: readonly HealthCheck[], clock: Clock) {
    const shutdown: HealthCheck = {
      name: 'shutdown',
      endpoints: ['readyz'],
      check: async () => {
        if (this.#shuttingDown) throw new Error('process is shutting down');
      },
    };
    this.#checks = [...checks, shutdown];
    this.#clock = clock;
  }

  /** From now on `/readyz` fails, so that load balancers look elsewhere. */
  beginShutdown(): void {
    this.#shuttingDown = true;
  }

  names(endpoint: HealthEndpoint): readonly string[] {
    return this.#at(endpoint).map(({ name }) => name);
  }

  /** `verbose`: the parameter is present, whatever its value. */
  async all(endpoint: HealthEndpoint, verbose: boolean, exclude: readonly string[]): Promise<HealthAnswer> {
    const checks = this.#at(endpoint);
    const excluded = new Set(exclude);
    const failures = await Promise.all(
      checks.map((check) => (excluded.has(check.name) ? undefined : this.#failureOf(check))),
    );
    for (const [index, { name }] of checks.entries()) {
      if (!excluded.has(name)) this.metrics.observe(endpoint, name, failures[index] === undefined);
    }
    const lines = checks.map(({ name }, index) => {
      if (excluded.has(name)) return `[+]${name} excluded: ok\n`;
      return failures[index] === undefined ? `[+]${name} ok\n` : `[-]${name} failed: reason withheld\n`;
    });
    const unknown = [...excluded].filter((name) => !checks.some((check) => check.name === name));
    if (unknown.length > 0) {
      const names = unknown.map((name) => JSON.stringify(name)).join(',');
      lines.push(`warn: some health checks cannot be excluded: no matches for ${names}\n`);
    }
    const failed = failures.some((failure) => failure !== undefined);
    if (failed) return { code: 500, body: `${lines.join('')}${endpoint} check failed\n`, nosniff: true };
    if (!verbose) return { code: 200, body: 'ok', nosniff: true };
    return { code: 200, body: `${lines.join('')}${endpoint} check passed\n`, nosniff: true };
  }

  /** One check alone; undefined when there is none of that name. */
  async one(endpoint: HealthEndpoint, name: string): Promise<HealthAnswer | undefined> {
    const check = this.#at(endpoint).find((candidate) => candidate.name === name);
    if (check === undefined) return undefined;
    const failure = await this.#failureOf(check);
    if (failure === undefined) return { code: 200, body: 'ok', nosniff: false };
    return { code: 500, body: `internal server error: ${failure}\n`, nosniff: true };
  }

  #at(endpoint: HealthEndpoint): readonly HealthCheck[] {
    return this.#checks.filter(({ endpoints }) => endpoints.includes(endpoint));
  }

  /** The message of the failure, or undefined. */
  async #failureOf(check: HealthCheck): Promise<string | undefined> {
    const answered = new AbortController();
    const late = sleep(this.#clock, CHECK_MS, answered.signal).then(() => 'timed out');
    try {
      return await Promise.race([check.check(answered.signal).then(() => undefined), late]);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      answered.abort();
    }
  }
}
