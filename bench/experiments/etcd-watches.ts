import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { collectGarbage } from '../../src/lib/v8-flags.js';
import { sleep, systemClock } from '../../src/lib/clock.js';
import { prefixEnd, utf8 } from '../../src/lib/bytes.js';
import { encode, METHODS } from '../../src/source/etcd/rpc.js';
import { skimWatchResponse, WatchSkim } from '../../src/source/etcd/skim.js';

/** How watches are spread: over one stream, over a stream each in one connection, over a connection each. */
export const ARRANGEMENTS = ['one stream', 'a stream each', 'a connection each'] as const;
export type Arrangement = (typeof ARRANGEMENTS)[number];

export const WATCHED = '/registry/pods/';
/** Streams and connections that are opened at a time. */
const AT_ONCE = 50;
const TIMEOUT_MS = 30_000;
const SETTLE_MS = 300;

/** Bytes of memory that a process has resident. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) * 1_024;
}

/** A process with watches of an etcd open, all of them of the same prefix; `await using` ends it. */
export class EtcdWatches implements AsyncDisposable {
  /** What it had resident before the first watch. */
  readonly bytesBefore: number;
  readonly pid: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, bytesBefore: number) {
    this.#child = child;
    this.pid = child.pid!;
    this.bytesBefore = bytesBefore;
  }

  /** Ready to open watches, and warm. */
  static async start(endpoint: string): Promise<EtcdWatches> {
    const child = fork(fileURLToPath(import.meta.url), [endpoint]);
    return new EtcdWatches(child, await answer(child));
  }

  /** Resolves, with what is resident then, once etcd has confirmed each of them. */
  open(arrangement: Arrangement, count: number): Promise<number> {
    return this.#ask({ command: 'open', arrangement, count });
  }

  /** Resolves once so many events have come; rejects when they do not. */
  async events(count: number): Promise<void> {
    const seen = await this.#ask({ command: 'events', count });
    if (seen !== count) throw new Error(`${seen} of ${count} events came`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.kill('SIGKILL');
    await gone;
  }

  #ask(command: Command): Promise<number> {
    const answered = answer(this.#child);
    this.#child.send(command);
    return answered;
  }
}

type Command =
  | { readonly command: 'open'; readonly arrangement: Arrangement; readonly count: number }
  | { readonly command: 'events'; readonly count: number };

function answer(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error(`the process that watches has ended (${child.signalCode ?? child.exitCode})`));
    if (child.exitCode !== null || child.signalCode !== null) return ended();
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message as number);
    });
  });
}

const asTheyAre = (bytes: Buffer) => bytes;

/** The process that watches. */
async function watch(endpoint: string): Promise<void> {
  const skim = new WatchSkim();
  const seen = { created: 0, events: 0 };
  const prefix = utf8(WATCHED);
  const request = encode('WatchRequest', { create_request: { key: prefix, range_end: prefixEnd(prefix) } });
  const address = new URL(endpoint).host;
  const connect = () =>
    new Client(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
    });
  const open = (client: Client): ClientDuplexStream<Buffer, Buffer> => {
    const stream = client.makeBidiStreamRequest(METHODS.watch, asTheyAre, asTheyAre);
    stream.on('data', (bytes: Buffer) => {
      skimWatchResponse(bytes, skim);
      if (skim.created) seen.created++;
      seen.events += skim.eventCount;
    });
    stream.on('error', (error) => {
      process.stderr.write(`etcd watch: ${error.message}\n`);
      process.exit(1);
    });
    return stream;
  };
  const until = async (enough: () => boolean) => {
    for (let waitedMs = 0; !enough() && waitedMs < TIMEOUT_MS; waitedMs += 5) await sleep(systemClock, 5);
  };
  const settled = async () => {
    await sleep(systemClock, SETTLE_MS);
    collectGarbage();
    return residentBytes(process.pid);
  };
  const openAll = async (arrangement: Arrangement, count: number): Promise<number> => {
    const from = seen.created;
    const client = connect();
    const shared = arrangement === 'one stream' ? open(client) : undefined;
    for (let opened = 1; opened <= count; opened++) {
      (shared ?? open(arrangement === 'a stream each' ? client : connect())).write(request);
      if (opened % AT_ONCE === 0) await until(() => seen.created === from + opened);
    }
    await until(() => seen.created === from + count);
    if (seen.created !== from + count) throw new Error(`etcd confirmed ${seen.created - from} of ${count} watches`);
    return settled();
  };
  process.on('disconnect', () => process.exit(0));
  process.on('message', async (command: Command) => {
    if (command.command === 'open') {
      process.send!(await openAll(command.arrangement, command.count));
    } else {
      await until(() => seen.events >= command.count);
      process.send!(seen.events);
    }
  });
  process.send!(await settled());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await watch(process.argv[2]!);
