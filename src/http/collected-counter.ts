import { Counter, type Registry } from 'prom-client';

/** A counter that somebody else keeps: read when it is asked for. Without `counts` there is nothing to report. */
export function collectedCounter<T>(
  registry: Registry,
  name: string,
  help: string,
  counts: () => T | undefined,
  of: (counts: T) => number,
): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      const now = counts();
      if (now !== undefined) this.inc(of(now));
    },
  });
}
