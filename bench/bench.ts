import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import Benchmark from 'benchmark';
import { collectGarbage } from '../src/lib/v8-flags.js';

/**
 * Runs the cases of bench/cases and prints Go benchmark text (which benchstat reads), and JSON.
 *
 *     npm run bench -- engine/range       only names that contain the filter
 *     npm run bench -- --smoke            every case once, small: no case rots
 *     npm run bench -- --json             one JSON document instead of the text
 *     npm run bench -- --samples 10       ten lines a case, so that benchstat can judge the spread
 *
 * How to write a case: bench/README.md.
 */
export interface BenchCase {
  /** How many operations one call of `run` performs; figures are per operation. */
  readonly ops: number;
  /** Returns a checksum of what it did, so that the work can neither be optimized away nor silently change. */
  run(): number | Promise<number>;
  dispose?(): void;
}

/** A case, or a function that builds it when it is chosen: fixtures of cases that are filtered out are never built. */
export type BenchCases = Record<string, BenchCase | (() => BenchCase)>;
/** What every file in bench/cases exports as `setup`. */
export type BenchSetup = (smoke: boolean) => BenchCases | Promise<BenchCases>;

export interface BenchResult {
  readonly name: string;
  readonly iterations: number;
  readonly nsPerOp: number;
  readonly bytesPerOp: number;
  /** ns/op of each sample that benchmark.js took. */
  readonly samples: readonly number[];
  readonly relativeMarginOfError: number;
  readonly checksum: number;
}

const CASES_DIRECTORY = join(dirname(fileURLToPath(import.meta.url)), 'cases');
const HEAP_RUNS = 5;

export async function loadCases(smoke: boolean, filters: readonly string[]): Promise<[string, () => BenchCase][]> {
  const chosen: [string, () => BenchCase][] = [];
  for (const file of readdirSync(CASES_DIRECTORY).sort()) {
    if (!file.endsWith('.js')) continue;
    const module: { setup?: BenchSetup } = await import(pathToFileURL(join(CASES_DIRECTORY, file)).href);
    if (module.setup === undefined) throw new Error(`bench/cases/${file} does not export setup(smoke)`);
    for (const [name, entry] of Object.entries(await module.setup(smoke))) {
      if (filters.length > 0 && !filters.some((filter) => name.includes(filter))) continue;
      chosen.push([name, typeof entry === 'function' ? entry : () => entry]);
    }
  }
  return chosen;
}

/** Runs the case once and checks that it answers with a number and the same number again. */
export async function smokeCase(name: string, build: () => BenchCase): Promise<number> {
  const benchCase = build();
  try {
    const checksum = await benchCase.run();
    if (typeof checksum !== 'number' || Number.isNaN(checksum)) throw new Error(`${name}: run() returned no checksum`);
    if (!(benchCase.ops > 0)) throw new Error(`${name}: ops must be positive`);
    return checksum;
  } finally {
    benchCase.dispose?.();
  }
}

export async function measureCase(name: string, build: () => BenchCase): Promise<BenchResult> {
  const benchCase = build();
  try {
    const first = benchCase.run();
    const asynchronous = first instanceof Promise;
    const checksum = await first;
    const bytesPerOp = await allocatedBytes(benchCase);
    const benchmark = await new Promise<Benchmark>((resolve, reject) => {
      const fn = asynchronous
        ? (deferred: { resolve(): void }) =>
            void Promise.resolve(benchCase.run()).then(() => deferred.resolve(), reject)
        : () => benchCase.run();
      const running: Benchmark = new Benchmark(name, fn, {
        defer: asynchronous,
        async: true,
        minSamples: 10,
        maxTime: 3,
        onComplete: () => resolve(running),
        onError: () => reject(running.error),
      });
      running.run();
    });
    const toNs = 1e9 / benchCase.ops;
    return {
      name,
      iterations: benchmark.stats.sample.length * benchmark.count * benchCase.ops,
      nsPerOp: benchmark.stats.mean * toNs,
      bytesPerOp,
      samples: benchmark.stats.sample.map((seconds) => seconds * toNs),
      relativeMarginOfError: benchmark.stats.rme,
      checksum,
    };
  } finally {
    benchCase.dispose?.();
  }
}

/** `BenchmarkEngine/range/cow-btree-2  120  9876543 ns/op  12 B/op`: the format of `go test -bench`. */
export function goText(result: BenchResult, sampleCount: number): string[] {
  const name = `Benchmark${result.name[0]!.toUpperCase()}${result.name.slice(1)}-${availableParallelism()}`;
  const line = (nsPerOp: number) =>
    `${name}\t${Math.max(1, Math.round(result.iterations))}\t${formatNs(nsPerOp)} ns/op\t${Math.round(result.bytesPerOp)} B/op`;
  if (sampleCount <= 1) return [line(result.nsPerOp)];
  return result.samples.slice(-sampleCount).map(line);
}

function formatNs(nsPerOp: number): string {
  return nsPerOp >= 1000 ? nsPerOp.toFixed(0) : nsPerOp.toPrecision(4);
}

/**
 * Heap and external bytes that one operation allocates: the median growth over runs that no
 * collection disturbed (a disturbed run shrinks, and is left out).
 */
async function allocatedBytes(benchCase: BenchCase): Promise<number> {
  const grown: number[] = [];
  for (let index = 0; index < HEAP_RUNS; index++) {
    collectGarbage();
    const before = process.memoryUsage();
    await benchCase.run();
    const after = process.memoryUsage();
    const delta = after.heapUsed - before.heapUsed + (after.arrayBuffers - before.arrayBuffers);
    if (delta >= 0) grown.push(delta);
  }
  grown.sort((a, b) => a - b);
  return (grown[grown.length >> 1] ?? 0) / benchCase.ops;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      smoke: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      samples: { type: 'string', default: '1' },
      output: { type: 'string' },
    },
  });
  const cases = await loadCases(values.smoke, positionals);
  if (cases.length === 0) throw new Error(`no case matches ${positionals.join(' ') || '(no filter)'}`);
  if (values.smoke) {
    for (const [name, build] of cases) console.log(`ok ${name} checksum ${await smokeCase(name, build)}`);
    return;
  }
  const processor = cpus()[0]?.model ?? 'unknown';
  if (!values.json) {
    console.log(`goos: ${process.platform}\ngoarch: ${process.arch}\npkg: listwatch\ncpu: ${processor}`);
  }
  const results: BenchResult[] = [];
  for (const [name, build] of cases) {
    const result = await measureCase(name, build);
    results.push(result);
    if (!values.json) for (const line of goText(result, Number(values.samples))) console.log(line);
  }
  const document = JSON.stringify({ node: process.version, processor, results }, null, 2);
  if (values.json) console.log(document);
  if (values.output !== undefined) {
    mkdirSync(dirname(values.output), { recursive: true });
    writeFileSync(values.output, document);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
