import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheSnapshot } from '../../src/cache/cache.js';
import { createCache } from '../../src/cache/create-cache.js';
import { createCowBtree } from '../../src/engine/cow-btree.js';
import { utf8 } from '../../src/lib/bytes.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { DELETE, PUT, type Source, type WatchHandler } from '../../src/source/source.js';
import { createVersions } from '../../src/versions/create-versions.js';
import { keyOf, labelFilter, leaseCodec, leaseKind, PREFIX, request, turn } from './support.js';

// An hour of changes over a fixed set of keys, as fast as they can be applied: what is held at its end is what was held
// after its first minutes.

const SECONDS = 3_600;
const WARM_UP_SECONDS = 1_200;
const WRITES_PER_SECOND = Number(process.env['CHURN_WRITES_PER_SECOND'] ?? 60);
const KEYS = 2_000;
const MEASURE_EVERY_SECONDS = 300;

const SLAB_GROWTH_MAX = 1.1;
const HEAP_GROWTH_MAX = 4 * 2 ** 20;
const RESIDENT_GROWTH_MAX = 1.1;
/** Compiled code and the young generation, which the first minutes bring: of Node 24 nearly twice as much as of 20. */
const RUNTIME_BYTES = 144 * 2 ** 20;
/**
 * V8 takes pages of the young generation and gives them back. All
 * that is written in the hour is ten times as much. Seen: up to 63 MiB on Node 24.
 */
const RESIDENT_NOISE_BYTES = 64 * 2 ** 20;

interface Holdings {
  readonly second: number;
  readonly resident: number;
  readonly slabs: number;
  readonly heap: number;
  readonly history: number;
  readonly index: number;
}

/** A store that holds nothing but its revision: values are made when they are asked for. */
class Churn {
  revision = KEYS;
  handler: WatchHandler | undefined;
  readonly random = seededRandom(7);
  readonly #keys = Array.from({ length: KEYS }, (_, index) => keyOf(`n${index % 20}/l${index}`));
  readonly #present = new Uint8Array(KEYS).fill(1);
  /** Of 300 to 4,000 bytes, so that a slot is seldom filled by what follows it. */
  readonly #values = Array.from({ length: 256 }, (_, index) =>
    leaseCodec.toStored({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: 'l',
        namespace: 'n',
        labels: { app: `a${index % 8}` },
        annotations: { filler: 'x'.repeat(Math.floor(200 * 1.0115 ** index)) },
      },
      spec: { holderIdentity: 'h' },
    }),
  );

  readonly source: Source = {
    name: 'churn',
    range: (_request, visit) => {
      const order = this.#keys.map((key, index) => ({ key, index })).sort((a, b) => Buffer.compare(a.key, b.key));
      for (const { key, index } of order)
        this.#visit(key, (bytes, keyEnd) => visit(bytes, 0, keyEnd, keyEnd, bytes.length, 1, index + 1));
      return Promise.resolve({ revision: this.revision, count: KEYS, more: false });
    },
    currentRevision: () => Promise.resolve(this.revision),
    watch: (_request, handler) => {
      this.handler = handler;
      return { requestProgress: () => handler.progress(this.revision), close: () => handler.ended({ kind: 'closed' }) };
    },
    progressTrusted: () => Promise.resolve(true),
    probe: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };

  write(): void {
    const index = this.random.int(KEYS);
    const revision = ++this.revision;
    const key = this.#keys[index]!;
    const handler = this.handler!;
    if (this.#present[index] === 1 && this.random.chance(0.05)) {
      this.#present[index] = 0;
      handler.change(DELETE, key, 0, key.length, 0, 0, 0, revision);
    } else {
      this.#present[index] = 1;
      this.#visit(key, (bytes, keyEnd) =>
        handler.change(PUT, bytes, 0, keyEnd, keyEnd, bytes.length, revision, revision),
      );
    }
    handler.commit(revision);
  }

  #visit(key: Uint8Array, visit: (bytes: Uint8Array, keyEnd: number) => void): void {
    visit(Buffer.concat([key, this.random.pick(this.#values)]), key.length);
  }
}

test(`memory is flat over an hour of ${WRITES_PER_SECOND} writes a second`, { timeout: 300_000 }, async (context) => {
  const churn = new Churn();
  const clock = createFakeClock();
  const cache = createCache({
    kind: leaseKind,
    codec: leaseCodec,
    source: churn.source,
    createStorage: () => {
      const versions = createVersions({ slabBytes: 2 ** 20 });
      return { versions, engine: createCowBtree(versions) };
    },
    prefix: utf8(PREFIX),
    clock,
    random: seededRandom(3),
    // The store keeps no past to compare with.
    limits: { ...defaultLimits, consistencyCheckEveryMs: 10 ** 9 },
  });
  cache.start();
  for (let turns = 0; turns < 10; turns++) await turn();
  assert.equal(cache.state, 'ready');

  const measured: Holdings[] = [];
  const measure = (second: number): Holdings => {
    globalThis.gc!();
    globalThis.gc!();
    const { rss, heapUsed } = process.memoryUsage();
    const { historyBytes, index } = cache.stats;
    const slabs = cache.versions.stats.reservedBytes;
    return { second, resident: rss, slabs, heap: heapUsed, history: historyBytes, index: index.bytes };
  };
  const rest = measure(0);

  // Reads on the way: lists that are held for a while, of now and of before, and watches that come, stay and stall.
  const held: { readonly snapshot: CacheSnapshot; readonly untilSecond: number }[] = [];
  let received = 0;
  const sink = (room: () => boolean) => ({
    write: (chunk: Uint8Array) => {
      received += chunk.length;
      return room();
    },
    end: () => undefined,
  });
  const watch = (room: () => boolean, filter?: ReturnType<typeof labelFilter>) =>
    cache.watch(request({ filter, afterRevision: cache.revision, bookmarks: true, timeoutMs: 10 ** 9 }), sink(room));
  watch(() => true);
  watch(() => true, labelFilter('app', 'a3'));
  let stalled = watch(() => false);
  let pastReads = 0;
  for (let second = 1; second <= SECONDS; second++) {
    for (let write = 0; write < WRITES_PER_SECOND; write++) {
      churn.write();
      if (write % 20 === 19) clock.advance(4);
    }
    clock.advance(1_000 - 4 * Math.floor(WRITES_PER_SECOND / 20));
    if (second % 10 === 0) await turn();
    if (second % 20 === 0) {
      const at = second % 40 === 0 ? undefined : Math.max(cache.oldestWatchable, cache.revision - 2_000);
      const snapshot = cache.snapshot(at);
      assert.ok(snapshot !== undefined);
      if (at !== undefined) pastReads++;
      held.push({ snapshot, untilSecond: second + 30 });
    }
    while (held.length > 0 && held[0]!.untilSecond <= second) held.shift()!.snapshot[Symbol.dispose]();
    if (second % 60 === 0) {
      stalled.close();
      stalled = watch(() => false);
    }
    if (second >= WARM_UP_SECONDS && second % MEASURE_EVERY_SECONDS === 0) measured.push(measure(second));
  }
  for (const { snapshot } of held) snapshot[Symbol.dispose]();
  cache.verify();

  for (const row of [rest, ...measured]) context.diagnostic(JSON.stringify(row));
  const [first, ...later] = measured;
  const counts = `${later.length} rows, ${pastReads} reads of the past, ${received} bytes to watchers`;
  assert.ok(later.length > 5 && pastReads > 50 && received > SECONDS * WRITES_PER_SECOND * 20, counts);
  const warm = (rest.resident + first!.history) * RESIDENT_GROWTH_MAX + RUNTIME_BYTES;
  assert.ok(first!.resident <= warm, `resident after the first minutes: ${first!.resident}, allowed ${warm}`);
  const liveBytes = cache.versions.stats.liveBytes;
  for (const row of later) {
    assert.ok(row.slabs <= first!.slabs * SLAB_GROWTH_MAX, `slabs at ${row.second} s: ${row.slabs} of ${first!.slabs}`);
    assert.ok(row.heap - first!.heap <= HEAP_GROWTH_MAX, `heap at ${row.second} s: ${row.heap} of ${first!.heap}`);
    const grown = Math.max(0, row.history - first!.history);
    const allowed = (first!.resident + grown) * RESIDENT_GROWTH_MAX + RESIDENT_NOISE_BYTES;
    assert.ok(row.resident <= allowed, `resident at ${row.second} s: ${row.resident}, allowed ${allowed}`);
    // What is alive, what the history keeps, what slow readers keep; and a third for places that wait to be filled.
    const reserved = (liveBytes + row.history * 1.5) * 1.4 + 4 * 2 ** 20;
    assert.ok(row.slabs <= reserved, `slabs at ${row.second} s: ${row.slabs}, allowed ${reserved}`);
  }
  await cache.stop();
});
