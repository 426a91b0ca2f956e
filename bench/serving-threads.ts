import { fork } from 'node:child_process';
import { Agent, createServer, get, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createKindCodec } from '../src/codec/kind-codec.js';
import { findKind } from '../src/codec/kinds.js';
import { createWriter } from '../src/codec/writer.js';
import { rangeOf } from '../src/lib/bytes.js';
import { sleep, systemClock } from '../src/lib/clock.js';
import { createVersions } from '../src/versions/create-versions.js';
import { pods } from './corpus.js';

/**
 * A prototype for docs/adr/0012: one cache, whose bytes lie in shared slabs, served by one thread or by several.
 *
 *     node dist/bench/serving-threads.js --pods 20000 --seconds 5 --threads 1,2
 *
 * The owner holds the versions and makes changes; serving threads read the slabs by a shared table of places and follow
 * a shared log of framed changes, as watches of one group do. With `--threads 1` the owner serves; with more it serves, too, and the
 * others run beside it. Each thread has a port of its own, and the client, another process, spreads its connections over
 * them: Node gives threads no common listener. There is no reclamation, no index and no read plan: what is
 * measured is the most that threads could gain.
 */
const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '3' },
    client: { type: 'boolean', default: false },
  },
});

const CHUNK_BYTES = 256 * 2 ** 10;
const LOG_BYTES = 16 * 2 ** 20;
const FLUSH_MS = 2;
const WATCHERS = 400;
const CHANGES_PER_SECOND = 400;

/** What threads share: three numbers an object (slab, start, end), the slabs, and the log with the bytes ever written to it. */
interface Shared {
  readonly places: Int32Array;
  readonly slabs: readonly SharedArrayBuffer[];
  readonly log: SharedArrayBuffer;
  readonly written: BigInt64Array;
}

/** Serves LIST, GET and WATCH from the shared memory; resolves to its port. */
async function serve({ places, slabs, log, written }: Shared): Promise<number> {
  const buffers = slabs.map((slab) => Buffer.from(slab));
  const ring = Buffer.from(log);
  const watchers = new Set<ServerResponse>();
  const count = places.length / 3;
  const bytesOf = (index: number) =>
    buffers[places[index * 3]!]!.subarray(places[index * 3 + 1]!, places[index * 3 + 2]!);
  let total = 0;
  for (let index = 0; index < count; index++) total += places[index * 3 + 2]! - places[index * 3 + 1]!;

  async function list(response: ServerResponse): Promise<void> {
    response.writeHead(200, { 'content-length': total });
    let chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    let used = 0;
    let wake = () => {};
    response.on('drain', () => wake()).on('close', () => wake());
    const send = async () => {
      const room = response.write(chunk.subarray(0, used));
      chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      used = 0;
      if (!room && !response.destroyed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    };
    for (let index = 0; index < count && !response.destroyed; index++) {
      const bytes = bytesOf(index);
      if (used + bytes.length > CHUNK_BYTES) await send();
      used += bytes.copy(chunk, used);
    }
    await send();
    response.end();
  }

  let read = 0n;
  const follow = () => {
    const end = Atomics.load(written, 0);
    if (end > read) {
      const from = Number(read % BigInt(LOG_BYTES));
      const size = Number(end - read);
      const chunk = Buffer.allocUnsafeSlow(size);
      const first = Math.min(size, LOG_BYTES - from);
      ring.copy(chunk, 0, from, from + first);
      ring.copy(chunk, first, 0, size - first);
      read = end;
      for (const response of watchers) response.write(chunk);
    }
    systemClock.setTimer(FLUSH_MS, follow);
  };
  follow();

  const server = createServer((request, response) => {
    const url = request.url ?? '';
    if (url === '/list') void list(response);
    else if (url === '/watch') {
      response.flushHeaders();
      watchers.add(response);
      response.on('close', () => watchers.delete(response));
    } else response.end(bytesOf(Number(url.slice(1)) % count));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** The owner's versions, and places in the order of keys. */
function fill(count: number): Pick<Shared, 'places' | 'slabs'> {
  const codec = createKindCodec(findKind('', 'v1', 'pods')!);
  const versions = createVersions();
  const into = createWriter();
  const slabs: SharedArrayBuffer[] = [];
  const stored = pods(count).sort((a, b) => Buffer.compare(a.key, b.key));
  const places = new Int32Array(new SharedArrayBuffer(count * 12));
  for (const [index, { key, value }] of stored.entries()) {
    into.position = 0;
    codec.toWire(value, 0, value.length, index + 1, into);
    const wire = { bytes: into.bytes, start: into.headerStart, end: into.position };
    const id = versions.add(rangeOf(key), wire, into.start - into.headerStart, index + 1, index + 1);
    const { bytes, start, end } = versions.wire(id, rangeOf(new Uint8Array(0)));
    const slab = bytes.buffer as SharedArrayBuffer;
    if (!slabs.includes(slab)) slabs.push(slab);
    places.set([slabs.indexOf(slab), start, end], index * 3);
  }
  return { places, slabs };
}

interface Ask {
  readonly what: 'list' | 'get' | 'watch';
  readonly ports: readonly number[];
  readonly milliseconds: number;
}

/** In a process of its own: bytes and answers that it got within the time. */
async function drive({ what, ports, milliseconds }: Ask): Promise<{ answers: number; bytes: number }> {
  const connections = { list: 4, get: 32, watch: WATCHERS }[what];
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  let answers = 0;
  let bytes = 0;
  let running = true;
  const one = (port: number, path: string) =>
    new Promise<void>((resolve) => {
      const request = get({ host: '127.0.0.1', port, path, agent }, (response) => {
        response.on('data', (chunk: Buffer) => {
          if (running) bytes += chunk.length;
        });
        response.on('end', () => {
          if (running) answers++;
        });
        response.on('close', resolve);
        if (what === 'watch') systemClock.setTimer(milliseconds, () => response.destroy());
      });
      request.on('error', () => resolve());
    });
  const path = (turn: number) => (what === 'get' ? `/${turn * 7919}` : `/${what}`);
  const end = sleep(systemClock, milliseconds).then(() => {
    running = false;
  });
  await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      for (let turn = index; running; turn += connections) await one(ports[index % ports.length]!, path(turn));
    }),
  );
  await end;
  agent.destroy();
  return { answers, bytes };
}

async function measure(shared: Shared, threads: number, seconds: number, changeBytes: number): Promise<void> {
  const workers: Worker[] = [];
  const ports = [await serve(shared)];
  while (ports.length < threads) {
    const worker = new Worker(new URL(import.meta.url), { workerData: shared });
    workers.push(worker);
    ports.push(await new Promise<number>((resolve) => worker.once('message', resolve)));
  }
  for (const what of ['list', 'get', 'watch'] as const) {
    let changes = 0;
    const startMs = systemClock.monotonicMs();
    const change = () => {
      for (const due = ((systemClock.monotonicMs() - startMs) / 1000) * CHANGES_PER_SECOND; changes < due; changes++) {
        const at = Number(Atomics.load(shared.written, 0) % BigInt(LOG_BYTES - changeBytes));
        Buffer.from(shared.log).fill(changes & 0xff, at, at + changeBytes);
        Atomics.add(shared.written, 0, BigInt(changeBytes));
      }
    };
    const changing = what === 'watch' ? setIntervalOf(change) : undefined;
    const before = process.cpuUsage();
    const got = await askClient({ what, ports, milliseconds: seconds * 1000 });
    const { user, system } = process.cpuUsage(before);
    changing?.();
    const operations = what === 'watch' ? got.bytes / changeBytes : got.answers;
    const perSecond = operations / seconds;
    const cpuUs = (user + system) / Math.max(1, operations);
    console.log(
      `${what.padEnd(6)} threads=${threads} ${perSecond.toFixed(1).padStart(10)}/s ${cpuUs.toFixed(1).padStart(10)} us of server CPU each`,
    );
  }
  for (const worker of workers) await worker.terminate();
}

function setIntervalOf(run: () => void): () => void {
  let timer = systemClock.setTimer(5, function again() {
    run();
    timer = systemClock.setTimer(5, again);
  });
  return () => timer.cancel();
}

function askClient(ask: Ask): Promise<{ answers: number; bytes: number }> {
  const child = fork(fileURLToPath(import.meta.url), ['--client']);
  child.send(ask);
  return new Promise((resolve) =>
    child.once('message', (got) => {
      child.disconnect();
      resolve(got as { answers: number; bytes: number });
    }),
  );
}

if (!isMainThread) {
  parentPort!.postMessage(await serve(workerData as Shared));
} else if (values.client) {
  process.once('message', async (ask) => process.send!(await drive(ask as Ask)));
} else {
  const shared: Shared = {
    ...fill(Number(values.pods)),
    log: new SharedArrayBuffer(LOG_BYTES),
    written: new BigInt64Array(new SharedArrayBuffer(8)),
  };
  const changeBytes = 3_000;
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const threads of values.threads.split(',')) {
      await measure(shared, Number(threads), Number(values.seconds), changeBytes);
    }
  }
  process.exit(0);
}
