import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/lib/clock.js';
import { limitsOf } from '../limit-flags.js';
import { median } from '../peer/measures.js';
import { type ClientCommand, type Counts, type Transport, watchAsTold } from './client.js';
import { type Measured, serve, type ServerCommand, type Started } from './server.js';

/**
 * Watches over real sockets: a server process, whose CPU and memory are measured, and a client process that counts.
 *
 *     node dist/bench/watching/main.js                           every mode (minutes)
 *     node dist/bench/watching/main.js --mode fanout,idle        some
 *     node dist/bench/watching/main.js --smoke                   every mode, small; fails when an event is missing
 *     node dist/bench/watching/main.js --limit watchFlushMs=5    with another bound
 *     node dist/bench/watching/main.js --mode fanout --profile   leaves a CPU profile of the server for each row (.cpuprofile)
 *
 *     initial    WatchList of all pods: CPU, time to the end of the initial events, ten at once: peak memory
 *     fanout     watchers of all pods at a slow and at fast rates: CPU for each delivered event
 *     idle       memory of silent watches over HTTP/2
 *     selectors  watchers by node name and by label: CPU for each change
 *     replay     one watcher that resumes from an old revision, --passes times: events a second, cold and steady
 *     follow     one watcher of the fastest writer: it must not be cut off
 */
const { values } = parseArgs({
  options: {
    role: { type: 'string', default: 'main' },
    mode: { type: 'string', default: 'initial,fanout,idle,selectors,replay,follow' },
    pods: { type: 'string' },
    watchers: { type: 'string' },
    seconds: { type: 'string' },
    passes: { type: 'string' },
    rates: { type: 'string' },
    transports: { type: 'string', default: 'h1,h2' },
    formats: { type: 'string', default: 'json,protobuf' },
    smoke: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    output: { type: 'string' },
    limit: { type: 'string', multiple: true, default: [] },
  },
});

const { smoke } = values;
const LIMITS = limitsOf(values.limit);
const ACCEPT = { json: 'application/json', protobuf: 'application/vnd.kubernetes.protobuf;stream=watch' } as const;
type Format = keyof typeof ACCEPT;
const FORMATS = values.formats.split(',') as Format[];
const TRANSPORTS = values.transports.split(',') as Transport[];
const PODS = '/api/v1/pods';
const LEASES = '/apis/coordination.k8s.io/v1/leases';
const QUIET_MS = 3_000;
/** Changes that a replay delivers: what a history holds, and enough to take a good part of a second. */
const REPLAYED = { pods: 15_000, leases: 60_000 } as const;
/** What one HTTP/2 connection takes (http/listeners.ts): client-go opens the next one then. */
const STREAMS_MAX = 1_000;

const number = (text: string | undefined, small: number, full: number) =>
  text === undefined ? (smoke ? small : full) : Number(text);

type Row = Record<string, string | number>;
const tables: { readonly title: string; readonly rows: Row[] }[] = [];

/** The two processes of a measurement. */
class Bench {
  readonly #server: ChildProcess;
  readonly #client: ChildProcess;
  readonly started: Started;

  private constructor(server: ChildProcess, client: ChildProcess, started: Started) {
    this.#server = server;
    this.#client = client;
    this.started = started;
  }

  static async start(podCount: number): Promise<Bench> {
    const file = fileURLToPath(import.meta.url);
    const limits = values.limit.flatMap((limit) => ['--limit', limit]);
    const server = fork(file, ['--role', 'server', '--pods', String(podCount), ...limits]);
    const client = fork(file, ['--role', 'client'], { execArgv: [] });
    const [started] = (await answer<[Started]>(server)) as [Started];
    return new Bench(server, client, started);
  }

  async server(command: ServerCommand): Promise<Measured> {
    this.#server.send(command);
    return (await answer<[Measured]>(this.#server))[0];
  }

  async client(command: ClientCommand): Promise<Counts> {
    this.#client.send(command);
    return (await answer<[Counts]>(this.#client))[0];
  }

  open(transport: Transport, format: Format, paths: readonly string[]): Promise<Counts> {
    const port = transport === 'h1' ? this.started.port : this.started.securePort;
    return this.client({ command: 'open', transport, port, accept: ACCEPT[format], paths, streamsMax: STREAMS_MAX });
  }

  /** Ends all watches, and waits until the server knows. */
  async closeAll(): Promise<void> {
    await this.client({ command: 'close' });
    while ((await this.server({ command: 'measure', collect: false })).watchers > 0) await pause(20);
  }

  async stop(): Promise<void> {
    const gone = Promise.all([exited(this.#server), exited(this.#client)]);
    this.#server.send({ command: 'stop' } satisfies ServerCommand);
    this.#client.disconnect();
    await gone;
  }
}

function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const failed = (code: number | null) => reject(new Error(`a process of the bench has ended (${code})`));
    child.once('exit', failed);
    child.once('message', (message) => {
      child.off('exit', failed);
      resolve([message] as T);
    });
  });
}

const exited = (child: ChildProcess) => new Promise<void>((resolve) => child.once('exit', () => resolve()));
const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

const measure = (bench: Bench, collect = false) => bench.server({ command: 'measure', collect });

/** The start of what a row is about. */
async function begin(bench: Bench, collect: boolean): Promise<Measured> {
  const before = await measure(bench, collect);
  if (values.profile) await bench.server({ command: 'profile', file: '' });
  return before;
}

/** Its end; `name` is that of its profile. */
async function finish(bench: Bench, name: string): Promise<Measured> {
  const after = await measure(bench);
  if (values.profile) await bench.server({ command: 'profile', file: `${name.replaceAll(' ', '-')}.cpuprofile` });
  return after;
}

/** Pods from now on: without a resourceVersion a watch begins with the state. */
async function podsFromNow(bench: Bench, query = ''): Promise<string> {
  return `${PODS}?watch=1&resourceVersion=${(await measure(bench)).revision}${query}`;
}

async function initial(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  const path = `${PODS}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`;
  const pods = number(values.pods, 200, 10_000);
  for (const transport of TRANSPORTS) {
    for (const format of FORMATS) {
      // The last ones find what a LIST has encoded, which only JSON has a use for.
      const rounds = [
        [1, ''],
        [1, ''],
        [10, ''],
        ...(format === 'json'
          ? ([
              [1, ' after a LIST'],
              [10, ' after a LIST'],
            ] as const)
          : []),
      ] as const;
      for (const [streams, after] of rounds) {
        if (after !== '') await list(bench.started.port);
        await bench.server({ command: 'resetPeak' });
        const before = await begin(bench, false);
        const startMs = systemClock.nowMs();
        await bench.open(transport, format, Array<string>(streams).fill(path));
        const counts = await bench.client({ command: 'untilInitial', streams, quietMs: QUIET_MS });
        const end = await finish(bench, `initial ${transport} ${format} x${streams}${after}`);
        expectCount('initial events', counts.events, streams * (pods + 1));
        await bench.closeAll();
        const stored = bench.started.storedBytes;
        rows.push({
          stream: `${transport} ${format} x${streams}${after}`,
          'CPU ms/stream': (end.cpuMs - before.cpuMs) / streams,
          'CPU us/object': ((end.cpuMs - before.cpuMs) * 1_000) / streams / pods,
          'ms to the end': counts.atMs - startMs,
          'MB/stream': counts.bytes / streams / 1e6,
          'peak RSS, % of stored': (100 * (end.peakRssBytes - before.rssBytes)) / stored,
        });
      }
    }
  }
  return rows;
}

/** Read to its end, as JSON and not compressed. */
async function list(port: number): Promise<void> {
  const headers = { 'accept-encoding': 'identity' };
  const { body } = await fetch(`http://127.0.0.1:${port}${PODS}`, { headers });
  for (const reader = body!.getReader(); !(await reader.read()).done; );
}

async function fanout(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  const watchers = number(values.watchers, 20, 1_000);
  const seconds = number(values.seconds, 1, 3);
  const rates = values.rates?.split(',').map(Number) ?? (smoke ? [20] : [20, 200]);
  for (const transport of TRANSPORTS) {
    for (const format of FORMATS) {
      for (const perSecond of rates) {
        await bench.open(transport, format, Array<string>(watchers).fill(await podsFromNow(bench)));
        const count = perSecond * seconds;
        const before = await begin(bench, true);
        const startMs = systemClock.nowMs();
        await bench.server({ command: 'write', resource: 'pods', perSecond, count, spread: 500 });
        const counts = await bench.client({ command: 'until', events: count * watchers, quietMs: QUIET_MS });
        const after = await finish(bench, `fanout ${watchers} ${transport} ${format} ${perSecond}`);
        expectCount('events', counts.events, count * watchers);
        await bench.closeAll();
        rows.push({
          watchers: `${watchers} ${transport} ${format}`,
          'writes/s': perSecond,
          'events/s': (counts.events * 1_000) / (counts.atMs - startMs),
          'CPU us/event': ((after.cpuMs - before.cpuMs) * 1_000) / counts.events,
          'MB/s': counts.bytes / 1_000 / (counts.atMs - startMs),
          ended: counts.ended,
        });
      }
    }
  }
  return rows;
}

async function idle(bench: Bench): Promise<Row[]> {
  const watchers = number(values.watchers, 50, 10_000);
  const before = await measure(bench, true);
  const path = await podsFromNow(bench, '&allowWatchBookmarks=true');
  await bench.open('h2', 'protobuf', Array<string>(watchers).fill(path));
  const open = await measure(bench, true);
  expectCount('watchers', open.watchers, watchers);
  const startMs = systemClock.nowMs();
  await bench.server({ command: 'write', resource: 'pods', perSecond: 1, count: 1, spread: 1 });
  const counts = await bench.client({ command: 'until', events: watchers, quietMs: QUIET_MS });
  expectCount('events', counts.events, watchers);
  await bench.closeAll();
  return [
    {
      watchers: `${watchers} h2 idle`,
      'KB/watcher': (open.rssBytes - before.rssBytes) / watchers / 1_000,
      'heap KB/watcher': (open.heapBytes - before.heapBytes) / watchers / 1_000,
      'CPU us to open': ((open.cpuMs - before.cpuMs) * 1_000) / watchers,
      'ms until all had one event': counts.atMs - startMs,
    },
  ];
}

async function selectors(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  const seconds = number(values.seconds, 1, 5);
  const spread = smoke ? 10 : 500;
  const perSecond = smoke ? 50 : 1_000;
  const sizes = smoke ? [0, 10, 50] : [0, 500, 5_000];
  const queries = {
    'spec.nodeName': (index: number) => `fieldSelector=spec.nodeName%3Dnode-${index}`,
    label: (index: number) => `labelSelector=app%3Dsvc-${index}`,
  };
  for (const [name, query] of Object.entries(queries)) {
    for (const watchers of sizes) {
      const path = await podsFromNow(bench);
      const paths = Array.from({ length: watchers }, (_, index) => `${path}&${query(index)}`);
      await bench.open('h2', 'protobuf', paths);
      const count = perSecond * seconds;
      const before = await begin(bench, true);
      await bench.server({ command: 'write', resource: 'pods', perSecond, count, spread });
      const expected = watchers === 0 ? 0 : count; // the node and the app of each pod that is written are watched once
      const counts = await bench.client({ command: 'until', events: expected, quietMs: QUIET_MS });
      const after = await finish(bench, `selectors ${watchers} ${name}`);
      expectCount('events', counts.events, expected);
      await bench.closeAll();
      rows.push({ watchers: `${watchers} ${name}`, 'CPU us/change': ((after.cpuMs - before.cpuMs) * 1_000) / count });
    }
  }
  return rows;
}

/** The stream of one watcher, several times: the first finds nothing compiled, the median of the others is the steady rate. */
async function replay(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  const passes = number(values.passes, 2, 7);
  if (passes < 2) throw new Error(`--passes ${passes}: the first is cold, so that it takes two at least`);
  for (const resource of ['pods', 'leases'] as const) {
    const path = resource === 'pods' ? PODS : LEASES;
    const changes = smoke ? 500 : REPLAYED[resource];
    const { revision } = await measure(bench);
    await bench.server({ command: 'write', resource, perSecond: 0, count: changes, spread: smoke ? 10 : 500 });
    await pause(100);
    const from = `${path}?watch=1&resourceVersion=${revision}`;
    for (const format of FORMATS) {
      const seen: { perSecond: number; cpuUs: number }[] = [];
      for (let pass = 1; pass <= passes; pass++) {
        const before = await begin(bench, true);
        const startMs = systemClock.nowMs();
        await bench.open('h1', format, [from]);
        const counts = await bench.client({ command: 'until', events: changes, quietMs: QUIET_MS });
        const after = await finish(bench, `replay ${resource} ${format} ${pass}`);
        expectCount('replayed events', counts.events, changes);
        await bench.closeAll();
        const tookMs = Math.max(1, counts.atMs - startMs);
        seen.push({ perSecond: (changes * 1_000) / tookMs, cpuUs: ((after.cpuMs - before.cpuMs) * 1_000) / changes });
      }
      const [cold, ...steady] = seen;
      rows.push({
        stream: `${resource} ${format}`,
        events: changes,
        'events/s, cold': cold!.perSecond,
        'events/s, steady': median(steady.map(({ perSecond }) => perSecond)),
        'CPU us/event, cold': cold!.cpuUs,
        'CPU us/event, steady': median(steady.map(({ cpuUs }) => cpuUs)),
      });
    }
  }
  return rows;
}

/** One watcher of each kind and format, while its writer is faster than any etcd. */
async function follow(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  const perSecond = smoke ? 200 : 8_000;
  const count = perSecond * number(values.seconds, 1, 5);
  for (const resource of ['pods', 'leases'] as const) {
    for (const format of FORMATS) {
      const { revision } = await measure(bench);
      const path = resource === 'pods' ? PODS : LEASES;
      await bench.open('h1', format, [`${path}?watch=1&resourceVersion=${revision}`]);
      const before = await begin(bench, true);
      await bench.server({ command: 'write', resource, perSecond, count, spread: 500 });
      const followed = await bench.client({ command: 'until', events: count, quietMs: QUIET_MS });
      const after = await finish(bench, `follow ${resource} ${format}`);
      expectCount('followed events', followed.events, count);
      await bench.closeAll();
      rows.push({
        stream: `${resource} ${format}`,
        'writes/s': perSecond,
        'CPU us/write': ((after.cpuMs - before.cpuMs) * 1_000) / count,
        ended: followed.ended,
      });
    }
  }
  return rows;
}

function expectCount(what: string, seen: number, wanted: number): void {
  if (seen !== wanted) throw new Error(`${seen} ${what} were counted instead of ${wanted}`);
}

function table(title: string, rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const cell = (value: string | number) =>
    typeof value === 'string' ? value : value.toFixed(value !== 0 && Math.abs(value) < 100 ? 2 : 0);
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => cell(row[column]!).length)));
  const line = (cells: readonly string[]) => cells.map((text, at) => text.padStart(widths[at]!)).join('  ');
  const lines = rows.map((row) => line(columns.map((column) => cell(row[column]!))));
  return [title, line(columns), ...lines, ''].join('\n');
}

async function main(): Promise<void> {
  const modes = { initial, fanout, idle, selectors, replay, follow };
  for (const mode of values.mode.split(',') as (keyof typeof modes)[]) {
    const podCount = number(values.pods, 200, 10_000);
    const bench = await Bench.start(podCount);
    const rows = await modes[mode](bench);
    await bench.stop();
    tables.push({ title: mode, rows });
    console.log(table(`${mode}, ${podCount} pods, ${(bench.started.storedBytes / 1e6).toFixed(1)} MB`, rows));
  }
  if (values.output !== undefined) {
    mkdirSync(dirname(values.output), { recursive: true });
    writeFileSync(values.output, JSON.stringify({ node: process.version, tables }, null, 2));
  }
}

if (values.role === 'server') await serve(Number(values.pods), LIMITS);
else if (values.role === 'client') watchAsTold();
else await main();
