import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type EventLoopUtilization, monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import { stayAwake } from '../src/lib/awake.js';
import { sleep, systemClock } from '../src/lib/clock.js';
import { seededRandom } from '../src/lib/random.js';
import { collectGarbage } from '../src/lib/v8-flags.js';
import { Ages } from '../src/pressure/ages.js';
import { LeaseStream } from './corpus.js';
import { DEFAULT_ENGINE } from '../src/engine/engines.js';
import { createRepresentation, type Representation } from './representations.js';

/**
 * A million leases, resident: what they take, and how they take renewals.
 *
 *     node --expose-gc dist/bench/resident.js --objects 1000000 --seconds 20
 *
 * Loads them as an initial list, renews random ones as fast as it goes, which is the ceiling, then at 80% of that
 * (or at --rate). pipeline.ts says what a renewal goes through. The making of values and responses (two copies
 * and thirty bytes) is part of the loop, and so is the garbage collector. An event's age runs from the moment when
 * it was due to the end of the turn in which it was applied: what waits because this process is late counts.
 */
const { values } = parseArgs({
  options: {
    objects: { type: 'string', default: '1000000' },
    rate: { type: 'string' },
    /** Repeatable: `l` for labels, `f:` and a field. */
    index: { type: 'string', multiple: true, default: [] },
    seconds: { type: 'string', default: '20' },
    representation: { type: 'string', default: 'listwatch' },
    engine: { type: 'string', default: DEFAULT_ENGINE },
    verify: { type: 'boolean', default: false },
    output: { type: 'string' },
  },
});

const UNTHROTTLED = Number.POSITIVE_INFINITY;
/** Renewals in one turn of the event loop: as many as one read from a socket brings (64 KiB). */
const SLICE_COUNT_MAX = 110;
const CEILING_SHARE = 0.8;

interface Phase {
  readonly eventsPerSecond: number;
  readonly cpuCores: number;
  readonly gcPauseMaxMs: number;
  readonly gcTotalMs: number;
  readonly gcCount: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  readonly loopUtilization: number;
  readonly ageP50Ms: number;
  readonly ageP99Ms: number;
  readonly ageMaxMs: number;
  readonly rssMaxBytes: number;
}

/** Longest pauses of the collector since the last `reset`. */
class GcWatch {
  #durations: number[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) this.#durations.push(duration);
  });

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  async take(): Promise<{ maxMs: number; totalMs: number; count: number }> {
    await sleep(systemClock, 50); // entries arrive after the fact
    const durations = this.#durations;
    this.#durations = [];
    const totalMs = durations.reduce((sum, duration) => sum + duration, 0);
    return { maxMs: durations.reduce((max, duration) => Math.max(max, duration), 0), totalMs, count: durations.length };
  }

  stop(): void {
    this.#observer.disconnect();
  }
}

async function main(): Promise<void> {
  const objects = Number(values.objects);
  const seconds = Number(values.seconds);
  const rest = stayAwake();
  const gc = new GcWatch();
  const lease = new LeaseStream();
  const representation = createRepresentation(values.representation, values.engine, values.index);
  collectGarbage();
  const rssBefore = process.memoryUsage().rss;

  const loadStartMs = systemClock.monotonicMs();
  await representation.load(lease, objects);
  const loadMs = systemClock.monotonicMs() - loadStartMs;
  const loadGc = await gc.take();
  if (representation.size !== objects) throw new Error(`${representation.size} of ${objects} leases were loaded`);
  const loaded = memoryNow(rssBefore);

  const renewer = new Renewer(representation, lease, objects);
  await renewer.run(UNTHROTTLED, seconds / 4, gc); // until the history is full and the code is compiled
  const unthrottled = await renewer.run(UNTHROTTLED, seconds, gc);
  const afterUnthrottled = memoryNow(rssBefore);
  const rate = values.rate === undefined ? unthrottled.eventsPerSecond * CEILING_SHARE : Number(values.rate);
  const throttled = await renewer.run(rate, seconds, gc);
  const afterThrottled = memoryNow(rssBefore);
  if (values.verify) representation.verify();

  const report = {
    representation: values.representation,
    engine: values.representation === 'listwatch' ? values.engine : undefined,
    node: process.version,
    objects,
    storedBytesPerObject: storedBytesOf(lease),
    load: { perSecond: (objects / loadMs) * 1000, gcPauseMaxMs: loadGc.maxMs },
    memory: { loaded, afterUnthrottled, afterThrottled },
    inside: representation.memory(),
    targetPerSecond: rate,
    throttled,
    unthrottled,
  };
  console.log(table(report));
  console.log(JSON.stringify(report));
  if (values.output !== undefined) {
    mkdirSync(dirname(values.output), { recursive: true });
    writeFileSync(values.output, JSON.stringify(report, null, 2));
  }
  await representation.stop();
  gc.stop();
  rest();
}

class Renewer {
  readonly #representation: Representation;
  readonly #lease: LeaseStream;
  readonly #objects: number;
  readonly #random = seededRandom(42);
  #revision: number;

  constructor(representation: Representation, lease: LeaseStream, objects: number) {
    this.#representation = representation;
    this.#lease = lease;
    this.#objects = objects;
    this.#revision = objects;
  }

  async run(rate: number, seconds: number, gc: GcWatch): Promise<Phase> {
    await gc.take(); // what was collected before, by force, does not count
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const utilization: EventLoopUtilization = performance.eventLoopUtilization();
    const cpuBefore = process.cpuUsage();
    const startMs = systemClock.monotonicMs();
    delay.enable();
    const ages = new Ages();
    let rssMaxBytes = 0;
    let done = 0;
    let elapsedMs = 0;
    const first = this.#revision + 1;
    let applied = this.#revision;
    for (let turns = 0; elapsedMs < seconds * 1000; turns++) {
      const wanted = rate === UNTHROTTLED ? SLICE_COUNT_MAX : Math.floor((rate * elapsedMs) / 1000) - done;
      const due = Math.min(SLICE_COUNT_MAX, wanted);
      for (let count = 0; count < due; count++) this.#renewOne();
      done += Math.max(0, due);
      if (due < SLICE_COUNT_MAX) await sleep(systemClock, 1);
      else await turn();
      elapsedMs = systemClock.monotonicMs() - startMs;
      for (const revision = this.#representation.revision; rate !== UNTHROTTLED && applied < revision; ) {
        applied++;
        ages.add(elapsedMs - ((applied - first + 1) * 1000) / rate);
      }
      if (turns % RSS_EVERY_TURNS === 0) rssMaxBytes = Math.max(rssMaxBytes, process.memoryUsage.rss());
    }
    delay.disable();
    if (this.#representation.revision !== this.#revision) await turn();
    if (this.#representation.revision !== this.#revision) {
      throw new Error(`revision ${this.#revision} was sent, ${this.#representation.revision} is reached`);
    }
    const { user, system } = process.cpuUsage(cpuBefore);
    const pauses = await gc.take();
    return {
      eventsPerSecond: (done / elapsedMs) * 1000,
      cpuCores: (user + system) / 1000 / elapsedMs,
      gcPauseMaxMs: pauses.maxMs,
      gcTotalMs: pauses.totalMs,
      gcCount: pauses.count,
      loopDelayP99Ms: delay.percentile(99) / 1e6,
      loopDelayMaxMs: delay.max / 1e6,
      loopUtilization: performance.eventLoopUtilization(utilization).utilization,
      ageP50Ms: ages.percentile(0.5),
      ageP99Ms: ages.percentile(0.99),
      ageMaxMs: ages.maxMs,
      rssMaxBytes,
    };
  }

  #renewOne(): void {
    const revision = ++this.#revision;
    this.#representation.update(this.#lease.set(this.#random.int(this.#objects), revision), revision);
  }
}

const RSS_EVERY_TURNS = 256;

function storedBytesOf(lease: LeaseStream): number {
  let bytes = 0;
  for (let index = 0; index < SAMPLE_COUNT; index++) {
    lease.set(index, 0);
    bytes += lease.key.length + lease.value.length;
  }
  return bytes / SAMPLE_COUNT;
}

const SAMPLE_COUNT = 6_400;

/** Lets the event loop do everything else that waits. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Memory {
  readonly rssBytes: number;
  readonly heapBytes: number;
  readonly arrayBufferBytes: number;
}

/** After a collection, so that the heap shows what is held; resident memory less what the empty process had. */
function memoryNow(rssBefore: number): Memory {
  collectGarbage();
  const { rss, arrayBuffers } = process.memoryUsage();
  return { rssBytes: rss - rssBefore, heapBytes: getHeapStatistics().used_heap_size, arrayBufferBytes: arrayBuffers };
}

function table(report: {
  representation: string;
  objects: number;
  storedBytesPerObject: number;
  load: { perSecond: number; gcPauseMaxMs: number };
  memory: Record<string, Memory>;
  inside: Record<string, number>;
  targetPerSecond: number;
  throttled: Phase;
  unthrottled: Phase;
}): string {
  const perObject = (bytes: number) => (bytes / report.objects).toFixed(0);
  const lines = [
    `${report.representation}: ${report.objects} leases, ${report.storedBytesPerObject.toFixed(0)} stored bytes each (key and value)`,
    `loaded at ${(report.load.perSecond / 1000).toFixed(0)} k/s, longest collector pause ${report.load.gcPauseMaxMs.toFixed(1)} ms`,
    '',
    'bytes an object          resident   of stored       heap',
  ];
  for (const [name, { rssBytes, heapBytes }] of Object.entries(report.memory)) {
    const ratio = rssBytes / report.objects / report.storedBytesPerObject;
    lines.push(
      `  ${name.padEnd(20)}${perObject(rssBytes).padStart(11)}${ratio.toFixed(2).padStart(11)}x${perObject(heapBytes).padStart(11)}`,
    );
  }
  lines.push('');
  for (const [name, amount] of Object.entries(report.inside)) {
    lines.push(`  ${name.padEnd(28)}${amount.toFixed(0).padStart(13)}${perObject(amount).padStart(8)} an object`);
  }
  lines.push(
    '',
    'renewals                   k/s   cores   k/CPU s   GC max   GC sum   loop p99   loop max   age p50   age p99   max (ms)   RSS max (MB)',
  );
  for (const [name, phase] of [
    ['unthrottled', report.unthrottled],
    [`at ${(report.targetPerSecond / 1000).toFixed(0)} k/s`, report.throttled],
  ] as const) {
    lines.push(
      `  ${name.padEnd(20)}${(phase.eventsPerSecond / 1000).toFixed(1).padStart(8)}${phase.cpuCores.toFixed(2).padStart(8)}` +
        `${(phase.eventsPerSecond / phase.cpuCores / 1000).toFixed(0).padStart(10)}` +
        `${phase.gcPauseMaxMs.toFixed(1).padStart(9)}${phase.gcTotalMs.toFixed(0).padStart(9)}` +
        `${phase.loopDelayP99Ms.toFixed(1).padStart(11)}${phase.loopDelayMaxMs.toFixed(1).padStart(11)}` +
        `${phase.ageP50Ms.toFixed(1).padStart(10)}${phase.ageP99Ms.toFixed(1).padStart(10)}` +
        `${phase.ageMaxMs.toFixed(1).padStart(11)}${(phase.rssMaxBytes / 1e6).toFixed(0).padStart(15)}`,
    );
  }
  return lines.join('\n');
}

await main();
