import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCache, type LiveCache } from '../../src/cache/create-cache.js';
import { Checkpoints } from '../../src/checkpoint/checkpoints.js';
import { utf8 } from '../../src/lib/bytes.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore, type EmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import type { Source, StoreId } from '../../src/source/source.js';
import { keyOf, leaseCodec, leaseKind, leaseValue, PREFIX, testStorage, turn } from '../cache/support.js';

/** A store that outlives processes, and the folder that they share. */
export class Site implements AsyncDisposable {
  readonly clock: FakeClock = createFakeClock();
  readonly folder = mkdtempSync(join(tmpdir(), 'listwatch-checkpoint-'));
  /** What the store says of itself. */
  clusterId = '000000000000abcd';
  raftTerm = 2;
  store: EmbeddedStore = createEmbeddedStore({ clock: this.clock, random: seededRandom(1) }, { historyMs: 0 });
  readonly #processes: Process[] = [];

  get path(): string {
    return join(this.folder, 'leases.coordination.k8s.io.v1.checkpoint');
  }

  put(name: string, holder: string): Promise<number> {
    return this.store.write([{ type: 'put', key: keyOf(name), value: leaseValue(name, holder) }]);
  }

  delete(...names: string[]): Promise<number> {
    return this.store.write(names.map((name) => ({ type: 'delete', key: keyOf(name) })));
  }

  /** A wiped store at the same address, under the same flags. */
  async wipe(): Promise<void> {
    await this.store.close();
    this.store = createEmbeddedStore({ clock: this.clock, random: seededRandom(2) }, { historyMs: 0 });
  }

  /** A process with one cache, started; `ready` waits for it. */
  start(options: ProcessOptions = {}): Process {
    const process = new Process(this, options);
    this.#processes.push(process);
    process.cache.start();
    return process;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#processes) await process.cache.stop();
    await this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface ProcessOptions {
  readonly make?: string;
  readonly folder?: string;
  readonly blockBytes?: number;
  readonly isPrivate?: boolean;
  /** Says who the store is; by default what the site says. */
  readonly identify?: () => Promise<StoreId>;
}

export class Process {
  readonly cache: LiveCache;
  readonly checkpoints: Checkpoints;
  readonly log: string[] = [];
  readonly #site: Site;

  constructor(site: Site, options: ProcessOptions) {
    this.#site = site;
    const { clock, store } = site;
    const random = seededRandom(3);
    const identify = async () => ({
      clusterId: site.clusterId,
      raftTerm: site.raftTerm,
      revision: await store.currentRevision(),
      generation: 0,
    });
    const source: Source = {
      name: store.name,
      range: async (request, visit, signal) => ({ ...(await store.range(request, visit, signal)), generation: 0 }),
      currentRevision: () => store.currentRevision(),
      watch: (request, handler) => store.watch(request, handler),
      progressTrusted: () => store.progressTrusted(),
      probe: () => store.probe(),
      close: async () => {},
      identify: options.identify ?? identify,
    };
    this.checkpoints = new Checkpoints({
      folder: options.folder ?? site.folder,
      source,
      etcdPrefix: '/registry',
      make: options.make ?? 'test',
      isPrivate: () => options.isPrivate === true,
      clock,
      random,
      limits: { ...defaultLimits, checkpointBlockBytes: options.blockBytes ?? 512 },
      log: (_kind, _level, message) => void this.log.push(message),
    });
    this.cache = createCache({
      kind: leaseKind,
      codec: leaseCodec,
      source,
      createStorage: testStorage,
      prefix: utf8(PREFIX),
      clock,
      random,
      saved: this.checkpoints.savedFor(leaseKind, leaseCodec),
      log: (message) => void this.log.push(message),
    });
  }

  /** Restored or listed. Files are read in real time, all else happens on the fake clock. */
  async ready(): Promise<this> {
    for (let turns = 0; this.cache.state !== 'ready'; turns++) {
      if (turns > 100_000) throw new Error(`not ready: ${this.log.join('; ')}`);
      await turn();
    }
    return this;
  }

  /** Has everything of the store. */
  async caughtUp(): Promise<void> {
    const revision = await this.#site.store.currentRevision();
    for (let turns = 0; this.cache.revision < revision; turns++) {
      if (turns > 10_000) throw new Error(`at revision ${this.cache.revision}, not ${revision}`);
      await turn();
      this.#site.clock.advance(1);
    }
  }

  write(): Promise<void> {
    return this.checkpoints.write([this.cache]);
  }

  get restored(): boolean {
    return this.checkpoints.stats.restored === 1;
  }
}
