import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { provideCertificate } from '../../src/app/certificates.js';
import type { Caches } from '../../src/cache/caches.js';
import { findKind } from '../../src/codec/kinds.js';
import type { HttpServer } from '../../src/http/server.js';
import { sleep, systemClock } from '../../src/lib/clock.js';
import type { Limits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore, type EmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import { collectGarbage } from '../../src/lib/v8-flags.js';
import { LeaseStream, pods, type StoredObject } from '../corpus.js';
import { relabelled } from '../indexed-pods.js';
import { serveStore } from '../serve-store.js';

/** What the bench asks of the process that it measures. Each is answered by one Measured. */
export type ServerCommand =
  | { readonly command: 'measure'; readonly collect: boolean }
  /** `perSecond` 0: as fast as the store takes them. Keys go round the first `spread` objects. */
  | {
      readonly command: 'write';
      readonly resource: 'pods' | 'leases';
      readonly perSecond: number;
      readonly count: number;
      readonly spread: number;
    }
  | { readonly command: 'resetPeak' }
  /** Samples the CPU from one of these to the next, which writes what was seen to `file`. */
  | { readonly command: 'profile'; readonly file: string }
  | { readonly command: 'stop' };

/** Of the server process. */
export interface Measured {
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** Since the last resetPeak. */
  readonly peakRssBytes: number;
  readonly heapBytes: number;
  readonly revision: number;
  readonly watchers: number;
}

export interface Started {
  readonly port: number;
  readonly securePort: number;
  readonly storedBytes: number;
}

/** Distinct second versions of pods: writes alternate between an object's two values. */
const SECOND_VALUES_MAX = 2_000;
const WRITE_SLICE_COUNT = 64;

/** A listwatch over the embedded store, filled with `podCount` pods and as many leases as there are writes to make. */
export async function serve(podCount: number, limits: Limits): Promise<void> {
  const clock = systemClock;
  const random = seededRandom(7);
  const store = createEmbeddedStore({ clock, random }, { historyBytesMax: 16 * 2 ** 20 });
  const first = complete(podCount, 1);
  let storedBytes = 0;
  for (const { key, value } of first) {
    storedBytes += value.length;
    await store.write([{ type: 'put', key, value: new Uint8Array(value) }]);
  }
  const kinds = [findKind('', 'v1', 'pods')!, findKind('coordination.k8s.io', 'v1', 'leases')!];
  const { http, caches } = serveStore(store, kinds, limits);
  caches.startAll(kinds);
  for (const cache of caches.all()) await cache.whenReady(60_000);
  const directory = mkdtempSync(join(tmpdir(), 'listwatch-bench-'));
  const pair = await provideCertificate({ certDirectory: directory }, '127.0.0.1', clock.nowMs());
  rmSync(directory, { recursive: true });
  const { port } = await http.listenInsecure('127.0.0.1', 0);
  const { port: securePort } = await http.listenSecure('127.0.0.1', 0, pair);
  const seconds = complete(Math.min(podCount, SECOND_VALUES_MAX), 2);
  const values = [first.slice(0, seconds.length), seconds] as const;
  process.on('message', (command: ServerCommand) => void obey(command, { store, caches, http, values }));
  process.on('disconnect', () => process.exit(0));
  process.send!({ port, securePort, storedBytes } satisfies Started);
}

/** Pods with the defaults that an apiserver writes: the codec takes them as they are, as it takes those of a cluster. */
function complete(count: number, seed: number): StoredObject[] {
  return pods(count, seed).map(({ key, value }) => ({ key, value: relabelled(value, {}) }));
}

interface World {
  readonly store: EmbeddedStore;
  readonly caches: Caches;
  readonly http: HttpServer;
  readonly values: readonly [readonly StoredObject[], readonly StoredObject[]];
}

async function obey(command: ServerCommand, world: World): Promise<void> {
  switch (command.command) {
    case 'measure':
      if (command.collect) collectGarbage();
      break;
    case 'resetPeak':
      collectGarbage();
      writeFileSync('/proc/self/clear_refs', '5');
      break;
    case 'write':
      await write(command, world);
      break;
    case 'profile':
      await profile(command.file);
      break;
    case 'stop':
      await world.http.close();
      await world.caches.stopAll();
      await world.store.close();
      process.disconnect();
      return;
  }
  process.send!(await measured(world));
}

let profiling: Session | undefined;

async function profile(file: string): Promise<void> {
  if (profiling !== undefined) {
    const { profile: seen } = await profiling.post('Profiler.stop');
    writeFileSync(file, JSON.stringify(seen));
    profiling.disconnect();
    profiling = undefined;
    return;
  }
  profiling = new Session();
  profiling.connect();
  await profiling.post('Profiler.enable');
  await profiling.post('Profiler.start');
}

async function write({ resource, perSecond, count, spread }: ServerCommand & { command: 'write' }, world: World) {
  const { store, values } = world;
  const lease = new LeaseStream();
  const startMs = systemClock.monotonicMs();
  for (let done = 0; done < count; ) {
    const elapsedMs = systemClock.monotonicMs() - startMs;
    const due = perSecond === 0 ? count : Math.min(count, Math.floor((elapsedMs * perSecond) / 1_000));
    const until = Math.min(due, done + WRITE_SLICE_COUNT);
    for (; done < until; done++) {
      const index = done % Math.min(spread, values[0].length);
      const round = Math.floor(done / spread) + 1;
      const from = resource === 'pods' ? values[round % 2]![index]! : lease.set(done % spread, round);
      const { key, value } = from;
      await store.write([{ type: 'put', key: new Uint8Array(key), value: new Uint8Array(value) }]);
    }
    if (done < due) await new Promise<void>((resolve) => setImmediate(resolve));
    else if (done < count) await sleep(systemClock, ((done + 1) * 1_000) / perSecond - elapsedMs);
  }
}

async function measured({ store, caches }: World): Promise<Measured> {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const peak = /VmHWM:\s+([0-9]+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return {
    cpuMs: (user + system) / 1_000,
    rssBytes: rss,
    peakRssBytes: Number(peak) * 1_024,
    heapBytes: heapUsed,
    revision: await store.currentRevision(),
    watchers: caches.all().reduce((sum, cache) => sum + cache.stats.watchers, 0),
  };
}
