import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findKind } from '../../src/codec/kinds.js';
import { sleep, systemClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { manifests, type PressureKind } from '../../src/pressure/manifests.js';
import { ObjectStream } from '../../src/pressure/object-stream.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import { serveStore } from '../serve-store.js';

export interface Served {
  readonly objects: Readonly<Partial<Record<PressureKind, number>>>;
  readonly limits?: Partial<Limits>;
}

/** Of the process that serves. */
export interface ServerState {
  readonly port: number;
  readonly cpuMs: number;
  readonly revision: number;
}

/** When each write was done, on the clock of all processes of the machine. */
export interface Written {
  readonly atMs: readonly number[];
}

type Command =
  | { readonly command: 'state' }
  /** So many writes of objects of a kind, the next one in turn, in slices of as many as are due. */
  | { readonly command: 'write'; readonly kind: PressureKind; readonly count: number; readonly perSecond: number };

/** A slice of writes ends here, so that the server can deliver. */
const SLICE_COUNT = 64;

/** A listwatch over the embedded store in a process of its own, with objects of some kinds; `await using` ends it. */
export class ServedObjects implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(served: Served): Promise<ServedObjects> {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(served)], { serialization: 'advanced' });
    const { port } = await answer<ServerState>(child);
    return new ServedObjects(child, port);
  }

  state(): Promise<ServerState> {
    return this.#ask({ command: 'state' });
  }

  write(kind: PressureKind, count: number, perSecond: number): Promise<Written> {
    return this.#ask({ command: 'write', kind, count, perSecond });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.kill('SIGKILL');
    await gone;
  }

  #ask<T>(command: Command): Promise<T> {
    const answered = answer<T>(this.#child);
    this.#child.send(command);
    return answered;
  }
}

function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = () => reject(new Error(`the server has ended (${child.signalCode ?? child.exitCode})`));
    if (child.exitCode !== null || child.signalCode !== null) return ended();
    child.once('exit', ended);
    child.once('message', (message) => {
      child.off('exit', ended);
      resolve(message as T);
    });
  });
}

/** Milliseconds since the epoch, finer than a millisecond. */
export function sharedClockMs(): number {
  return performance.timeOrigin + performance.now();
}

async function serve({ objects, limits }: Served): Promise<void> {
  const store = createEmbeddedStore({ clock: systemClock, random: seededRandom(1) });
  const streams = new Map<PressureKind, { stream: ObjectStream; count: number; next: number }>();
  const put = ({ key, value }: ObjectStream) =>
    store.write([{ type: 'put', key: new Uint8Array(key), value: new Uint8Array(value) }]);
  for (const [name, count] of Object.entries(objects) as [PressureKind, number][]) {
    const stream = new ObjectStream(name, undefined, 1);
    for (let index = 0; index < count; index++) await put(stream.set(index, 0));
    streams.set(name, { stream, count, next: 0 });
  }
  const kinds = [...streams.keys()].map((name) => findKind(manifests[name].group, 'v1', manifests[name].resource)!);
  const { http, caches } = serveStore(store, kinds, { ...defaultLimits, ...limits });
  caches.startAll(kinds);
  for (const cache of caches.all())
    if (!(await cache.whenReady(60_000))) throw new Error(`not ready: ${cache.lastError}`);
  const { port } = await http.listenInsecure('127.0.0.1', 0);

  const write = async ({ kind, count, perSecond }: Command & { command: 'write' }): Promise<Written> => {
    const writer = streams.get(kind)!;
    const atMs: number[] = [];
    const startMs = sharedClockMs();
    while (atMs.length < count) {
      const elapsedMs = sharedClockMs() - startMs;
      const due = Math.min(count, Math.floor((elapsedMs * perSecond) / 1_000));
      for (let slice = 0; slice < SLICE_COUNT && atMs.length < due; slice++) {
        const turn = writer.next++;
        await put(writer.stream.set(turn % writer.count, 1 + Math.floor(turn / writer.count)));
        atMs.push(sharedClockMs());
      }
      if (atMs.length < due) await new Promise<void>((resolve) => setImmediate(resolve));
      else if (atMs.length < count) await sleep(systemClock, 1);
    }
    return { atMs };
  };
  const state = async (): Promise<ServerState> => {
    const { user, system } = process.cpuUsage();
    return { port, cpuMs: (user + system) / 1_000, revision: await store.currentRevision() };
  };
  process.on('message', async (command: Command) => {
    process.send!(command.command === 'write' ? await write(command) : await state());
  });
  process.on('disconnect', () => process.exit(0));
  process.send!(await state());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(JSON.parse(process.argv[2]!) as Served);
