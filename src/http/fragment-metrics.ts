import { Counter, Gauge, type Registry } from 'prom-client';
import { type FragmentStats, fragmentFormats } from '../serve/fragment-cache.js';

const metrics = [
  ['bytes', 'gauge', 'Bytes of encoded objects kept for later LISTs.', (stats) => stats.bytes],
  ['bytes_max', 'gauge', 'Bytes that may be kept: seven eighths of --fragment-cache-bytes.', (stats) => stats.bytesMax],
  ['fragments', 'gauge', 'Leaves whose objects are kept encoded, once for each format.', (stats) => stats.fragments],
  ['compressions_total', 'counter', 'Leaves that LISTs had compressed.', (stats) => stats.compressions],
  ['evictions_total', 'counter', 'Fragments dropped to make room, or unused for long.', (stats) => stats.evictions],
  ['refusals_total', 'counter', 'Fragments not kept, as all that is kept was in use.', (stats) => stats.refusals],
] as const satisfies readonly (readonly [string, 'gauge' | 'counter', string, (stats: FragmentStats) => number])[];

/** Read when somebody asks. Nothing is reported while nothing is kept. */
export function registerFragmentMetrics(registry: Registry, stats: () => FragmentStats | undefined): void {
  const registers = [registry];
  for (const [what, type, help, of] of metrics) {
    const name = `listwatch_fragment_cache_${what}`;
    if (type === 'gauge') {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          const now = stats();
          if (now !== undefined) this.set(of(now));
        },
      });
    } else {
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          const now = stats();
          if (now !== undefined) this.inc(of(now));
        },
      });
    }
  }
  new Gauge({
    name: 'listwatch_fragment_cache_format_bytes',
    help: 'The part of the bytes kept that each format takes.',
    labelNames: ['format'],
    registers,
    collect() {
      const now = stats();
      if (now === undefined) return;
      for (const format of fragmentFormats) this.set({ format }, now.bytesByFormat[format]);
    },
  });
  for (const what of ['hits', 'misses'] as const) {
    new Counter({
      name: `listwatch_fragment_cache_${what}_total`,
      help: `Leaves that LISTs ${what === 'hits' ? 'found' : 'did not find'} encoded, by format.`,
      labelNames: ['format'],
      registers,
      collect() {
        this.reset();
        const now = stats();
        if (now === undefined) return;
        for (const format of fragmentFormats) this.inc({ format }, now[what][format]);
      },
    });
  }
}
