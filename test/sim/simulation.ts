import { createCache, type LiveCache } from '../../src/cache/create-cache.js';
import { utf8 } from '../../src/lib/bytes.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import { type Random, seededRandom } from '../../src/lib/random.js';
import { createService, type Service } from '../../src/serve/service.js';
import { createEmbeddedStore, type EmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import type { Source, WriteOperation } from '../../src/source/source.js';
import { keyOf, leaseCodec, leaseKind, leaseValue, PREFIX, testStorage, turn } from '../cache/support.js';
import { Client, type Surroundings } from './client.js';
import { FlakySource } from './flaky-source.js';
import { type Change, type Item, Model } from './model.js';
import type { ClientRecord } from './records.js';

/** Small and quick, so that every bound is met within a few simulated seconds. */
const limits: Limits = {
  ...defaultLimits,
  listPageCount: 3,
  historyMs: 4_000,
  historyBytesMin: 12_000,
  historyBytesFraction: 0,
  freshWaitMs: 800,
  bookmarkEveryMs: 900,
  bookmarkBeforeDeadlineMs: 300,
  groupFrameBytesMax: 600,
  watchFlushBytes: 1_000,
  listChunkBytes: 250,
  pinMs: 3_000,
  backoffMinMs: 20,
  backoffMaxMs: 400,
  consistencyCheckEveryMs: 2_500,
};

const NAMES = ['a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'c/1', 'c/2', 'c/3'];
/** Of every other cache: how many revisions before the present one it begins. */
const LOOKS_BACK = 15;
const CLIENT_COUNT = 4;
const STEPS = 90;
const OTHER_KEY = utf8('/registry/pods/a/other');

export interface Outcome {
  readonly records: ClientRecord[];
  /** What the end of the run found, beyond the clients' histories. */
  readonly problems: string[];
  readonly happened: Readonly<Record<Fault, number>>;
}

/** What goes wrong in a run, on purpose. */
export const faults = ['cut', 'outage', 'lose', 'compact', 'replace', 'restart', 'stall', 'vanish'] as const;
export type Fault = (typeof faults)[number];

/**
 * One run: the real cache and the real serve code, between an embedded store behind a flaky network
 * and clients with moods, under a clock that only the simulation moves. Everything follows from the seed.
 */
export async function simulate(seed: number): Promise<Outcome> {
  const world = new Simulation(seed);
  try {
    return await world.run();
  } finally {
    await world.dispose();
  }
}

class Simulation implements Surroundings {
  readonly random: Random;
  model = new Model(0);
  over = false;
  firstEpoch = 0;
  readonly #clock: FakeClock = createFakeClock();
  readonly #network: FlakySource;
  readonly #happened: Record<Fault, number> = Object.fromEntries(faults.map((fault) => [fault, 0])) as never;
  readonly #stores: EmbeddedStore[] = [];
  /** While a cache is being replaced by a new one, as a restarted server. */
  #cache: LiveCache;
  #looksBack = false;
  #service: Service;
  #written = 0;
  readonly #complaints: string[] = [];

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.#network = new FlakySource(this.#newStore(), this.#clock, this.random);
    this.#cache = this.#newCache();
    this.#service = this.#newService();
  }

  get reader() {
    return this.#service.reader(leaseKind);
  }

  get oldestWatchable(): number {
    return this.#cache.oldestWatchable;
  }

  get cacheRevision(): number {
    return this.#cache.revision;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimer(ms, resolve));
  }

  complain(problem: string): void {
    this.#complaints.push(problem);
  }

  async run(): Promise<Outcome> {
    const clients = Array.from({ length: CLIENT_COUNT }, (_, index) => new Client(`client ${index}`, this));
    for (const name of NAMES) if (this.random.chance(0.5)) await this.#write([name]);
    this.#cache.start();
    const running = clients.map((client) => client.run());
    for (let step = 0; step < STEPS; step++) {
      await this.#act();
      await this.#pass(this.random.int(120));
    }
    const problems = await this.#heal();
    this.over = true;
    await this.#pass(3_000);
    let left = CLIENT_COUNT;
    for (const client of running) void client.then(() => left--);
    for (let waited = 0; left > 0 && waited < 60; waited++) await this.#pass(500);
    if (left > 0) problems.push(`${left} clients hang`);
    await this.#end(problems);
    return { records: clients.flatMap(({ records }) => records), problems, happened: this.#faults() };
  }

  async dispose(): Promise<void> {
    await this.#cache.stop();
    for (const store of this.#stores) await store.close();
  }

  async #act(): Promise<void> {
    const dice = this.random.float();
    if (dice < 0.55) return this.#writeSomething();
    if (dice < 0.62) {
      this.note('cut');
      return this.#network.cut();
    }
    if (dice < 0.66) return this.#outage();
    if (dice < 0.72) return this.#compact();
    if (dice < 0.74) return this.#replace();
    if (dice < 0.76) return this.#restart();
    if (dice < 0.85) return this.#changeWeather();
  }

  async #writeSomething(): Promise<void> {
    for (let count = 1 + this.random.int(6); count > 0; count--) {
      if (this.random.chance(0.15)) {
        const revision = await this.#store.write([
          { type: 'put', key: OTHER_KEY, value: utf8(String(this.#written++)) },
        ]);
        this.model.commit(revision, []);
        continue;
      }
      const names = new Set<string>();
      for (let left = this.random.chance(0.2) ? 1 + this.random.int(5) : 1; left > 0; left--)
        names.add(this.random.pick(NAMES));
      await this.#write([...names]);
    }
  }

  /** Puts or deletes each name, all at one revision. */
  async #write(names: readonly string[]): Promise<void> {
    const before = this.model.at(this.model.revision);
    const revision = this.model.revision + 1;
    const operations: WriteOperation[] = [];
    const changes: Change[] = [];
    for (const name of names) {
      if (this.random.chance(0.25)) {
        operations.push({ type: 'delete', key: keyOf(name) });
        if (before.has(name)) changes.push({ name, next: undefined });
        continue;
      }
      const next: Item = { holder: `w${this.#written++}`, side: this.random.pick(['in', 'out']), revision };
      operations.push({ type: 'put', key: keyOf(name), value: leaseValue(name, next.holder, { side: next.side }) });
      changes.push({ name, next });
    }
    if (changes.length === 0) return;
    // The write takes effect at once, the promise only says so: no client sees it before the model does.
    const written = this.#store.write(operations);
    this.model.commit(revision, changes);
    if ((await written) !== revision) throw new Error('the model and the store have come apart');
  }

  async #outage(): Promise<void> {
    this.note('outage');
    this.#network.down();
    const downMs = this.random.int(3_000);
    for (let left = downMs; left > 0; left -= 200) {
      if (this.random.chance(0.3)) await this.#writeSomething();
      await this.#pass(200);
    }
    if (this.random.chance(0.4)) await this.#compact();
    this.#network.up = true;
  }

  async #compact(): Promise<void> {
    const oldest = this.#store.compactRevision;
    const revision = this.random.chance(0.5) ? this.model.revision : this.model.revision - this.random.int(15);
    if (revision <= oldest + 1) return;
    this.note('compact');
    await this.#store.compact(revision);
  }

  /** Only while the cache's watch is open: it then knows at once, and every answer can be told by its store. */
  async #replace(): Promise<void> {
    const { state, staleMs } = this.#cache;
    if (!this.#network.up || this.#network.openWatches === 0 || state !== 'ready' || staleMs > 0) return;
    this.note('replace');
    const store = this.#newStore();
    this.model = new Model(this.model.epoch + 1);
    this.#network.replace(store);
    for (let count = this.random.int(4); count > 0; count--) await this.#write([this.random.pick(NAMES)]);
  }

  async #restart(): Promise<void> {
    this.note('restart');
    const old = this.#cache;
    this.#looksBack = !this.#looksBack;
    this.#cache = this.#newCache();
    this.#service = this.#newService();
    this.firstEpoch = this.model.epoch;
    await old.stop();
    this.#cache.start();
  }

  #changeWeather(): void {
    const { random } = this;
    this.#network.weather = {
      delayMaxMs: random.pick([0, 0, 5, 40, 200]),
      lossChance: random.pick([0, 0, 0.05, 0.3]),
    };
  }

  /** When all is well again, everybody catches up. */
  async #heal(): Promise<string[]> {
    this.#network.up = true;
    this.#network.weather = { delayMaxMs: 0, lossChance: 0 };
    await this.#pass(4_000);
    await this.#write([NAMES[0]!, NAMES[5]!]);
    await this.#pass(1_000);
    const problems = this.#complaints;
    const { revision, state } = this.#cache;
    if (state !== 'ready') problems.push(`the cache is ${state} after everything healed: ${this.#cache.lastError}`);
    else if (revision < this.model.revision)
      problems.push(`the cache is at ${revision}, the store at ${this.model.revision}`);
    if (this.#cache.staleMs > 0) problems.push(`the cache calls itself stale: ${this.#cache.staleMs} ms`);
    const { failure } = this.#cache.stats.consistencyChecks;
    if (failure > 0) problems.push(`${failure} consistency checks failed`);
    this.#cache.verify();
    return problems;
  }

  async #end(problems: string[]): Promise<void> {
    await this.#pass(limits.pinMs);
    const { watchers, watchGroups, watchTimers, laggingWatchers } = this.#cache.stats;
    if (watchers + watchGroups + watchTimers + laggingWatchers > 0) problems.push(`${watchers} watchers are left`);
    if (this.#cache.versions.stats.pins > 0) {
      const pins = this.#cache.versions.pinList().map(({ owner, revision }) => `${owner} @${revision}`);
      problems.push(`pins are left: ${pins.join(', ')}`);
    }
    this.#cache.verify();
  }

  get #store(): EmbeddedStore {
    return this.#stores.at(-1)!;
  }

  #newStore(): EmbeddedStore {
    const defer = (run: () => void) => void this.#clock.setTimer(0, run);
    const store = createEmbeddedStore({ clock: this.#clock, random: this.random }, { historyMs: 0, defer });
    this.#stores.push(store);
    return store;
  }

  #newCache(): LiveCache {
    return createCache({
      kind: leaseKind,
      codec: leaseCodec,
      source: this.#network,
      createStorage: testStorage,
      prefix: utf8(PREFIX),
      clock: this.#clock,
      random: this.random,
      limits: this.#looksBack ? { ...limits, initialHistoryRevisions: LOOKS_BACK } : limits,
    });
  }

  #newService(): Service {
    const source: Source = this.#network;
    return createService({
      etcdPrefix: '/registry',
      source: () => source,
      codec: () => leaseCodec,
      cache: () => this.#cache,
      watchCache: true,
      watchCacheSizes: new Map(),
      limits,
      clock: this.#clock,
      random: this.random,
    });
  }

  /** Moves time on, in steps that leave promises room to run. */
  async #pass(ms: number): Promise<void> {
    for (let left = ms; left >= 0; left -= 20) {
      this.#clock.advance(Math.min(20, left));
      await turn();
    }
  }

  note(fault: Fault): void {
    this.#happened[fault]++;
  }

  #faults(): Record<Fault, number> {
    return { ...this.#happened, lose: this.#network.lost };
  }
}
