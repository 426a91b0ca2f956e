import { type ChildProcess, fork } from 'node:child_process';
import { Agent, createServer as createHttpServerOfNode, get, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createSocketServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generate } from 'selfsigned';
import { findKind } from '../src/codec/kinds.js';
import { sleep, systemClock } from '../src/lib/clock.js';
import { defaultLimits } from '../src/lib/limits.js';
import { seededRandom } from '../src/lib/random.js';
import { createEmbeddedStore } from '../src/source/embedded/embedded-store.js';
import { pods, podValue } from './corpus.js';
import { limitsOf } from './limit-flags.js';
import { serveStore } from './serve-store.js';

/**
 * LIST of all pods over a real socket, read by another process: CPU of the server and time of the client, at rest and
 * under writes that are spread over all pods; next to it the same bytes written by Node's own servers. At rest also LISTs that
 * are small: all pods in pages of 500, and one namespace, one app and one node, whose figures are those of one request.
 *
 *     node dist/bench/list.js --pods 50000 --writes 0,20,1000 --rounds 5
 *
 * Every LIST is of the newest state. `--fragments 0` keeps nothing encoded; `--limit listChunkBytes=65536` sets any bound. Under writes the CPU of the writes (of the
 * embedded store, ingest and all) is measured without LISTs first, and taken off.
 */
const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '10000' },
    writes: { type: 'string', default: '0,20,1000' },
    rounds: { type: 'string', default: '5' },
    fragments: { type: 'string', default: '1073741824' },
    only: { type: 'string', default: '' },
    limit: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    client: { type: 'boolean', default: false },
  },
});

interface Ask {
  readonly port: number;
  readonly tls: boolean;
  readonly headers: Readonly<Record<string, string>>;
  readonly path: string;
  /** Read instead, one after another, over one connection that stays open. */
  readonly paths?: readonly string[];
  /** The figure is that of one of them. */
  readonly each?: boolean;
}

interface Read {
  readonly bytes: number;
  readonly ms: number;
}

interface Figure {
  readonly name: string;
  readonly writes: number;
  readonly bytes: number;
  readonly cpuMs: number;
  readonly wallMs: number;
}

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const JSON_TYPE = 'application/json';
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const CHUNK_BYTES = defaultLimits.listChunkBytes;

/** Reads a response to its end, as fast as it comes, and throws the bytes away. */
function read({ port, tls, headers, path }: Ask): Promise<Read> {
  return new Promise((resolve, reject) => {
    const begin = systemClock.monotonicMs();
    let bytes = 0;
    const lines = Object.entries({ host: 'localhost', connection: 'close', ...headers });
    const head = `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
    const onread = {
      buffer: Buffer.allocUnsafeSlow(1 << 20),
      callback(count: number) {
        bytes += count;
        return true;
      },
    };
    const socket: Socket = tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => socket.write(head))
      : connect({ port, host: '127.0.0.1', onread }, () => socket.write(head));
    if (tls) socket.on('data', (chunk) => (bytes += chunk.length));
    socket.on('error', reject);
    socket.on('close', () => resolve({ bytes, ms: systemClock.monotonicMs() - begin }));
    if (!tls) socket.resume();
  });
}

async function readAll({ port, headers, paths }: Ask): Promise<Read> {
  const begin = systemClock.monotonicMs();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let bytes = 0;
  for (const path of paths!) {
    await new Promise<void>((resolve, reject) => {
      const request = get({ port, host: '127.0.0.1', path, headers, agent }, (response) => {
        response.on('data', (chunk: Buffer) => (bytes += chunk.length));
        response.on('end', resolve);
        if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`));
      });
      request.on('error', reject);
    });
  }
  agent.destroy();
  return { bytes, ms: systemClock.monotonicMs() - begin };
}

/** The other process: a reader that does not take CPU time from what is measured. */
class Client {
  readonly #child: ChildProcess = fork(fileURLToPath(import.meta.url), ['--client']);

  read(ask: Ask): Promise<Read> {
    return new Promise((resolve) => {
      this.#child.once('message', (message) => resolve(message as Read));
      this.#child.send(ask);
    });
  }

  stop(): void {
    this.#child.disconnect();
  }
}

if (values.client) {
  process.on('message', (ask: Ask) => {
    void (ask.paths === undefined ? read(ask) : readAll(ask)).then((done) => process.send!(done));
  });
} else {
  await run();
}

async function run(): Promise<void> {
  const count = Number(values.pods);
  const rounds = Number(values.rounds);
  const clock = systemClock;
  const random = seededRandom(1);
  const limits = { ...limitsOf(values.limit), fragmentCacheBytes: Number(values.fragments) };
  const kind = findKind('', 'v1', 'pods')!;
  const store = createEmbeddedStore({ clock, random });
  const stored = pods(count);
  for (let at = 0; at < stored.length; at += 100) {
    await store.write(stored.slice(at, at + 100).map(({ key, value }) => ({ type: 'put', key, value })));
  }
  const { http: server, fragments, close } = serveStore(store, [kind], limits);
  const pair = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' });
  const plain = await server.listenInsecure('127.0.0.1', 0);
  const secure = await server.listenSecure('127.0.0.1', 0, { cert: pair.cert, key: pair.private });
  const client = new Client();
  const figures: Figure[] = [];
  let due = 0;
  let written = 0;
  let writing = true;

  /** Writes at the rate asked for, one pod a revision. */
  async function churn(): Promise<void> {
    let before = clock.monotonicMs();
    let owed = 0;
    while (writing) {
      const now = clock.monotonicMs();
      owed = Math.min(owed + ((now - before) * due) / 1_000, 1_000);
      before = now;
      for (; owed >= 1; owed--) {
        const index = random.int(count);
        await store.write([{ type: 'put', key: stored[index]!.key, value: podValue(index, random) }]);
        written++;
      }
      await sleep(clock, 2);
    }
  }
  const churning = churn();

  async function measure(name: string, writes: number, ask: Ask, churnCpu: number): Promise<void> {
    if (values.only !== '' && !values.only.split(';').includes(name)) return;
    await client.read(ask); // what is kept is made now
    const reads: { cpuMs: number; wallMs: number; bytes: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      await sleep(clock, writes > 0 ? 300 : 20);
      const before = process.cpuUsage();
      const { bytes, ms } = await client.read(ask);
      const { user, system } = process.cpuUsage(before);
      const cpuMs = (user + system) / 1_000 - churnCpu * ms;
      const requests = ask.each === true ? ask.paths!.length : 1;
      reads.push({ cpuMs: cpuMs / requests, wallMs: ms / requests, bytes: bytes / requests });
    }
    const median = (of: (one: (typeof reads)[number]) => number) => {
      const sorted = reads.map(of).sort((a, b) => a - b);
      return sorted[Math.floor(sorted.length / 2)]!;
    };
    const figure = {
      name,
      writes,
      bytes: reads.at(-1)!.bytes,
      cpuMs: median(({ cpuMs }) => cpuMs),
      wallMs: median(({ wallMs }) => wallMs),
    };
    figures.push(figure);
    if (!values.json) print(figure);
  }

  async function measureSmall(): Promise<void> {
    const pages = await pagePaths(plain.port);
    const ten = (of: (index: number) => string) => Array.from({ length: 10 }, (_, index) => of(index));
    for (const [name, accept, gzip, paths, each] of [
      ['pages, protobuf', PROTOBUF, false, pages, false],
      ['pages, table, gzip', TABLE, true, pages, false],
      ['namespace, protobuf', PROTOBUF, false, ten((index) => `namespaces/ns-${index}/pods?resourceVersion=0`), true],
      [
        'app, protobuf',
        PROTOBUF,
        false,
        ten((index) => `pods?resourceVersion=0&labelSelector=app%3Dsvc-${index}`),
        true,
      ],
      [
        'node, protobuf',
        PROTOBUF,
        false,
        ten((index) => `pods?resourceVersion=0&fieldSelector=spec.nodeName%3Dnode-${index}`),
        true,
      ],
    ] as const) {
      await measure(name, 0, { ...ask(accept, gzip, false), paths: paths.map((one) => `/api/v1/${one}`), each }, 0);
    }
    // As many answers of the same bytes, by nothing but Node.
    const bytes = figures.find(({ name }) => name === 'pages, protobuf')?.bytes;
    if (bytes === undefined) return;
    const page = Buffer.alloc(Math.round(bytes / pages.length), 1);
    const bare = createHttpServerOfNode((_, response) => pour(response, page));
    await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve));
    const { port } = bare.address() as AddressInfo;
    const name = 'node:http, the same pages';
    await measure(name, 0, { port, tls: false, path: '/', headers: {}, paths: pages.map(() => '/') }, 0);
    bare.close();
  }

  const path = '/api/v1/pods?resourceVersion=0';
  const ask = (accept: string, gzip: boolean, tls: boolean): Ask => ({
    port: tls ? secure.port : plain.port,
    tls,
    path,
    headers: gzip ? { accept, 'accept-encoding': 'gzip' } : { accept },
  });
  for (const writes of values.writes.split(',').map(Number)) {
    due = writes;
    const churnCpu = writes === 0 ? 0 : await cpuOf(() => sleep(clock, 3_000));
    // Plain JSON first: it fills the cache, and what is worth more a byte has to get in all the same.
    for (const [name, accept] of [
      ['json', JSON_TYPE],
      ['protobuf', PROTOBUF],
      ['table', TABLE],
    ] as const) {
      if (writes === 0 && ['', 'json, cold'].includes(values.only) && name === 'json') {
        fragments?.shrinkTo(0);
        const before = process.cpuUsage();
        const cold = await client.read(ask(accept, false, false));
        const { user, system } = process.cpuUsage(before);
        const figure = {
          name: 'json, cold',
          writes,
          bytes: cold.bytes,
          cpuMs: (user + system) / 1_000,
          wallMs: cold.ms,
        };
        figures.push(figure);
        if (!values.json) print(figure);
      }
      await measure(name, writes, ask(accept, false, false), churnCpu);
      await measure(`${name}, gzip`, writes, ask(accept, true, false), churnCpu);
      if (writes === 0) await measure(`${name}, TLS`, writes, ask(accept, false, true), churnCpu);
    }
    if (writes === 0) await measureSmall();
  }
  writing = false;
  await churning;

  // The same bytes, by nothing but Node.
  const body = Buffer.alloc(figures.find(({ name }) => name === 'protobuf')?.bytes ?? 0, 1);
  const socketServer = createSocketServer((socket) => socket.once('data', () => pour(socket, body)));
  const httpServer = createHttpServerOfNode((_, response) => pour(response, body));
  const httpsServer = createHttpsServer({ cert: pair.cert, key: pair.private }, (_, response) => pour(response, body));
  for (const [name, bare, tls] of [
    ['bare socket', socketServer, false],
    ['node:http', httpServer, false],
    ['node:https', httpsServer, true],
  ] as const) {
    await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve));
    const { port } = bare.address() as AddressInfo;
    await measure(`${name}, the same bytes`, 0, { port, tls, path: '/', headers: {} }, 0);
    bare.close();
  }
  if (values.json) console.log(JSON.stringify({ pods: count, rounds, written, figures, fragments: fragments?.stats }));
  client.stop();
  await close();
  await store.close();
}

/** What a client asks for, one after the other, to read all pods in pages of 500. */
async function pagePaths(port: number): Promise<string[]> {
  const accept = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
  const paths = ['pods?limit=500'];
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${paths.at(-1)!}`, { headers: { accept } });
    const { metadata } = (await response.json()) as { metadata: { continue?: string } };
    if (metadata.continue === undefined) return paths;
    paths.push(`pods?limit=500&continue=${encodeURIComponent(metadata.continue)}`);
  }
}

async function cpuOf(run: () => Promise<void>): Promise<number> {
  const begin = systemClock.monotonicMs();
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / (systemClock.monotonicMs() - begin);
}

function pour(into: Socket | ServerResponse, body: Buffer): void {
  let at = 0;
  if ('setHeader' in into) into.setHeader('content-length', body.length);
  const more = () => {
    while (at < body.length) {
      const room = into.write(body.subarray(at, (at += CHUNK_BYTES)));
      if (!room) return void into.once('drain', more);
    }
    into.end();
  };
  more();
}

function print({ name, writes, bytes, cpuMs, wallMs }: Figure): void {
  const columns = [
    name.padEnd(28),
    `${writes}/s`.padStart(7),
    `${(bytes / 1e6).toFixed(1)} MB`.padStart(10),
    `${cpuMs.toFixed(1)} ms CPU`.padStart(14),
    `${wallMs.toFixed(1)} ms`.padStart(12),
    `${(bytes / 1e3 / wallMs).toFixed(0)} MB/s`.padStart(11),
  ];
  console.log(columns.join(' '));
}
