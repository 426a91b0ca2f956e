import { type ChildProcess, fork } from 'node:child_process';
import { request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Framer, WatchSink } from '../src/cache/cache.js';
import { findKind } from '../src/codec/kinds.js';
import { prefixEnd, utf8 } from '../src/lib/bytes.js';
import { sleep, systemClock, type Timer } from '../src/lib/clock.js';
import { seededRandom } from '../src/lib/random.js';
import { createEmbeddedStore } from '../src/source/embedded/embedded-store.js';
import { pods } from './corpus.js';
import { limitsOf } from './limit-flags.js';
import { serveStore } from './serve-store.js';

/**
 * Does a LIST of everything, again and again, make watchers wait?
 *
 *     node --expose-gc dist/bench/fairness.js --pods 150000 --rate 1000 --seconds 20
 *
 * `--limit listSliceMs=20` sets any bound, `--only JSON` measures under one kind of LIST, `--json` prints one object a line.
 *
 * One process serves: an embedded store takes changes at the given rate, a watcher of all pods gets them, and another
 * process reads whole LISTs over HTTP. An event's age runs from the moment when its change was due to the write of its
 * bytes: what comes late because this process was busy counts, as it does with an etcd of its own. A turn is the time
 * between two ticks of a 1 ms timer; `turn CPU` is the CPU time of the process in it, so that waiting for a core that
 * others use does not count as ours. The store is part of the process, and so are its collections and its share of turns.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pods: { type: 'string', default: '50000' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '10' },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    limit: { type: 'string', multiple: true, default: [] },
  },
});

const FORMATS = {
  'no LIST': undefined,
  protobuf: { accept: 'application/vnd.kubernetes.protobuf', path: '' },
  JSON: { accept: 'application/json', path: '' },
  'label, 1%': { accept: 'application/vnd.kubernetes.protobuf', path: '?labelSelector=app%3Dsvc-1' },
} as const;

async function serve(): Promise<void> {
  const podCount = Number(values.pods);
  const rate = Number(values.rate);
  const seconds = Number(values.seconds);
  const clock = systemClock;
  const random = seededRandom(7);
  const store = createEmbeddedStore({ clock, random }, { historyBytesMax: 16 * 2 ** 20 });
  const objects = pods(podCount);
  for (const { key, value } of objects) await store.write([{ type: 'put', key, value }]);
  const kind = findKind('', 'v1', 'pods')!;
  const served = serveStore(store, [kind], limitsOf(values.limit));
  const { port } = await served.http.listenInsecure('127.0.0.1', 0);
  const cache = served.caches.get(kind);
  cache.start();
  if (!(await cache.whenReady(600_000))) throw new Error(`the cache is not ready: ${cache.lastError}`);

  if (!values.json) {
    console.log(`${podCount} pods, ${rate} changes/s, ${seconds} s each`);
    console.log(HEAD);
  }
  for (const [name, list] of Object.entries(FORMATS)) {
    if (values.only.length > 0 && !values.only.includes(name)) continue;
    const client = list === undefined ? undefined : await startClient(port, list);
    const watcher = new Watcher();
    const watch = cache.watch(
      {
        from: utf8('/registry/pods/'),
        to: prefixEnd(utf8('/registry/pods/')),
        filter: undefined,
        framer: watcher,
        afterRevision: cache.revision,
        initialEvents: false,
        initialEventsEnd: false,
        bookmarks: false,
        timeoutMs: 3_600_000,
      },
      watcher,
    );
    const turns = new Turns();
    const startMs = clock.monotonicMs();
    let sent = 0;
    for (let elapsedMs = 0; elapsedMs < seconds * 1_000; elapsedMs = clock.monotonicMs() - startMs) {
      // A writer that is late catches up by small steps: it shall not make the long turns that are looked for.
      for (let step = 0; step < WRITES_PER_TURN && sent < (elapsedMs * rate) / 1_000; step++) {
        const { key, value } = objects[random.int(podCount)]!;
        const dueMs = startMs + (sent++ * 1_000) / rate;
        watcher.expect(await store.write([{ type: 'put', key, value }]), dueMs);
      }
      await sleep(clock, 1);
    }
    const endMs = clock.monotonicMs();
    while (watcher.ages.length < sent && clock.monotonicMs() - endMs < DELIVERY_TIMEOUT_MS) await sleep(clock, 10);
    const { wallMs, cpuMs } = turns.stop();
    watch.close();
    const lists = client === undefined ? 0 : await stopClient(client);
    if (watcher.ages.length !== sent) throw new Error(`${sent} changes, ${watcher.ages.length} of them delivered`);
    const ages = Float64Array.from(watcher.ages).sort();
    const at = (share: number) => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))]!;
    const changes = sent / seconds;
    const figures = {
      lists,
      changes,
      p50: at(0.5),
      p99: at(0.99),
      p999: at(0.999),
      max: at(1),
      turnMs: wallMs,
      turnCpuMs: cpuMs,
    };
    if (values.json) console.log(JSON.stringify({ name, ...figures }));
    else {
      const { p50, p99, p999, max } = figures;
      console.log(
        `${name.padEnd(16)}${String(lists).padStart(7)}${changes.toFixed(0).padStart(12)}${p50.toFixed(1).padStart(10)}` +
          `${p99.toFixed(1).padStart(6)}${p999.toFixed(1).padStart(8)}${max.toFixed(1).padStart(11)}` +
          `${wallMs.toFixed(1).padStart(15)}${cpuMs.toFixed(1).padStart(16)}`,
      );
    }
  }
  await served.close();
  await store.close();
}

const WRITES_PER_TURN = 16;
/** What has not been delivered by then, after the last write, is lost. */
const DELIVERY_TIMEOUT_MS = 10_000;
const HEAD = 'LIST              LISTs   changes/s   age p50   p99   p99.9   max (ms)   longest turn   turn CPU (ms)';

/** Frames and sink of one watcher: a frame is the number of its event. */
class Watcher implements Framer, WatchSink {
  readonly id = 'fairness';
  readonly firstDiffers = false;
  readonly ages: number[] = [];
  readonly #dueMs = new Map<number, number>();
  #framed: number[] = [];

  /** A change may be framed before its write has told its revision: no write runs meanwhile, only this turn's rest. */
  expect(revision: number, dueMs: number): void {
    this.#dueMs.set(revision, dueMs);
  }

  event(_type: string, _wire: unknown, revision: number, _first: boolean, into: Parameters<Framer['event']>[4]): void {
    into.reserve(1);
    into.bytes[into.position++] = 1;
    this.#framed.push(revision);
  }

  bookmark(): void {}

  write(): boolean {
    const nowMs = systemClock.monotonicMs();
    const waiting: number[] = [];
    for (const revision of this.#framed) {
      const dueMs = this.#dueMs.get(revision);
      if (dueMs === undefined) waiting.push(revision);
      else this.ages.push(nowMs - dueMs);
      this.#dueMs.delete(revision);
    }
    if (waiting.length > 0) throw new Error(`revision ${waiting[0]} was delivered before it was written`);
    this.#framed = [];
    return true;
  }

  end(): void {}
}

/** The longest stretch between two ticks of a timer, and the most CPU time in one. */
class Turns {
  #wallMs = 0;
  #cpuMs = 0;
  #lastMs = systemClock.monotonicMs();
  #lastCpu = process.cpuUsage();
  #timer: Timer = systemClock.setTimer(1, () => this.#tick());

  stop(): { wallMs: number; cpuMs: number } {
    this.#timer.cancel();
    return { wallMs: this.#wallMs, cpuMs: this.#cpuMs };
  }

  #tick(): void {
    const nowMs = systemClock.monotonicMs();
    const cpu = process.cpuUsage();
    this.#wallMs = Math.max(this.#wallMs, nowMs - this.#lastMs);
    this.#cpuMs = Math.max(this.#cpuMs, (cpu.user + cpu.system - this.#lastCpu.user - this.#lastCpu.system) / 1_000);
    this.#lastMs = nowMs;
    this.#lastCpu = cpu;
    this.#timer = systemClock.setTimer(1, () => this.#tick());
  }
}

function startClient(port: number, { accept, path }: { accept: string; path: string }): Promise<ChildProcess> {
  const child = fork(fileURLToPath(import.meta.url), ['client', String(port), accept, path]);
  return new Promise((resolve) => child.once('message', () => resolve(child)));
}

function stopClient(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('message', (count) => resolve(count as number));
    child.send('stop');
  });
}

/** Reads whole LISTs one after the other until told to stop, then says how many. */
async function listInLoop(port: number, accept: string, path: string): Promise<void> {
  let stopped = false;
  process.on('message', () => (stopped = true));
  let count = 0;
  for (; !stopped; count++) {
    await readList(port, accept, path);
    if (count === 0) process.send!('warm');
  }
  process.send!(count);
  process.disconnect();
}

function readList(port: number, accept: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path: `/api/v1/pods${path}`, headers: { accept } };
    request(options, (response) => {
      if (response.statusCode !== 200) reject(new Error(`LIST was answered with ${response.statusCode}`));
      response.resume();
      response.on('end', resolve);
      response.on('error', reject);
    })
      .on('error', reject)
      .end();
  });
}

if (positionals[0] === 'client') await listInLoop(Number(positionals[1]), positionals[2]!, positionals[3] ?? '');
else await serve();
