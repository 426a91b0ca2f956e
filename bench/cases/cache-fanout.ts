import type { Framer, WatchSink } from '../../src/cache/cache.js';
import { createKeyLayout } from '../../src/cache/layout.js';
import { createTimingWheel } from '../../src/cache/timing-wheel.js';
import { WatchCache } from '../../src/cache/watch-cache.js';
import { Watchers } from '../../src/cache/watchers.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { protobufType } from '../../src/codec/proto-text.js';
import { createCowBtree } from '../../src/engine/cow-btree.js';
import { prefixEnd, utf8 } from '../../src/lib/bytes.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { PUT } from '../../src/source/source.js';
import { createVersions } from '../../src/versions/create-versions.js';
import type { BenchCase, BenchCases } from '../bench.js';
import { LeaseStream } from '../corpus.js';

const PREFIX = utf8('/registry/leases/');
const kind = findKind('coordination.k8s.io', 'v1', 'leases')!;
const codec = createKindCodec(kind);

/**
 * From a change at the source to the writes at N watchers, and from a change to the cache without
 * any. The source hands over prepared bytes, so what is measured is codec, versions, engine,
 * history and dispatch; sockets are not part of it. One operation is one delivery (change x watcher).
 *
 *     grouped    all watchers in one group: a change is framed once
 *     baseline   each watcher has a selector of its own: a change is framed for each, as a server without groups does
 *     namespaces each watcher watches another namespace: nobody is concerned, and it must cost nothing
 */
export function setup(smoke: boolean): BenchCases {
  const events = smoke ? 20 : 500;
  const cases: BenchCases = {};
  for (const watchers of smoke ? [1, 10] : [1, 100, 1_000]) {
    cases[`cache/fanout/grouped/watchers=${watchers}`] = () => fanout(events, watchers, 'grouped', 1);
    cases[`cache/fanout/grouped-burst/watchers=${watchers}`] = () => fanout(events, watchers, 'grouped', 20);
    cases[`cache/fanout/baseline/watchers=${watchers}`] = () => fanout(smoke ? 20 : 50, watchers, 'baseline', 1);
    cases[`cache/fanout/namespaces/watchers=${watchers}`] = () => fanout(events, watchers, 'namespaces', 1);
  }
  for (const objects of smoke ? [100] : [10_000, 100_000]) {
    cases[`cache/ingest/objects=${objects}`] = () => ingest(smoke ? 100 : 20_000, objects);
    cases[`cache/ingest/decoded-map/objects=${objects}`] = () => ingestDecoded(smoke ? 100 : 20_000, objects);
  }
  return cases;
}

/** The frame is the message with a length in front: the cost of a format is the format's own case. */
const framer: Framer = {
  id: 'bytes',
  firstDiffers: false,
  event(_type, wire, _revision, _first, into) {
    const size = wire.end - wire.start;
    into.reserve(size + 4);
    into.bytes.writeUInt32BE(size, into.position);
    into.bytes.set(wire.bytes.subarray(wire.start, wire.end), into.position + 4);
    into.position += size + 4;
  },
  bookmark() {},
};

class CountingSink implements WatchSink {
  events = 0;
  write(chunk: Uint8Array): boolean {
    const view = chunk as Buffer;
    for (let at = 0; at < view.length; at += 4 + view.readUInt32BE(at)) this.events++;
    return true;
  }
  end(): void {}
}

function fanout(events: number, count: number, mode: 'grouped' | 'baseline' | 'namespaces', burst: number): BenchCase {
  const world = new Feed(100);
  const sinks = Array.from({ length: count }, () => new CountingSink());
  for (const [index, sink] of sinks.entries()) {
    const from = mode === 'namespaces' ? utf8(`/registry/leases/other-${index}/`) : PREFIX;
    world.watchers.watch(
      {
        from,
        to: prefixEnd(from),
        filter: mode === 'baseline' ? { id: `own-${index}`, matches: () => true } : undefined,
        framer,
        afterRevision: world.cache.revision,
        initialEvents: false,
        initialEventsEnd: false,
        bookmarks: false,
        timeoutMs: 1e9,
      },
      sink,
    );
  }
  return {
    ops: events * count,
    run: () => {
      for (const sink of sinks) sink.events = 0;
      for (let event = 0; event < events; event++) {
        world.change();
        if (event % burst === burst - 1) world.clock.advance(defaultLimits.watchFlushMs);
      }
      world.clock.advance(defaultLimits.watchFlushMs);
      return sinks.reduce((sum, sink) => sum + sink.events, 0);
    },
    dispose: () => world.close(),
  };
}

function ingest(events: number, objects: number): BenchCase {
  const world = new Feed(objects);
  return {
    ops: events,
    run: () => {
      for (let event = 0; event < events; event++) world.change();
      world.clock.advance(1_000);
      return world.cache.storage.engine.size;
    },
    dispose: () => world.close(),
  };
}

/** What one would write first: every change decoded with protobufjs into a Map by key, and no history. */
function ingestDecoded(events: number, objects: number): BenchCase {
  const unknownType = protobufType('k8s.io.apimachinery.pkg.runtime.Unknown');
  const leaseType = protobufType('k8s.io.api.coordination.v1.Lease');
  const leases = new LeaseStream();
  const cache = new Map<string, unknown>();
  let revision = 1;
  const change = () => {
    const { key, value } = leases.set(++revision % objects, revision);
    const { raw } = unknownType.decode(value.subarray(4)) as unknown as { raw: Uint8Array };
    const lease = leaseType.decode(raw) as unknown as { metadata: { resourceVersion: string } };
    lease.metadata.resourceVersion = String(revision);
    cache.set(key.toString('latin1'), lease);
  };
  for (let index = 0; index < objects; index++) change();
  return {
    ops: events,
    run: () => {
      for (let event = 0; event < events; event++) change();
      return cache.size;
    },
  };
}

/** A filled cache that is handed lease renewals as fast as they are asked for. */
class Feed {
  readonly clock: FakeClock = createFakeClock();
  readonly cache: WatchCache;
  readonly watchers: Watchers;
  readonly #leases = new LeaseStream();
  readonly #objects: number;
  readonly #buffer = Buffer.alloc(4_096);
  #revision = 1;

  constructor(objects: number) {
    this.#objects = objects;
    const { clock } = this;
    const limits = defaultLimits;
    const layout = createKeyLayout(PREFIX, kind.namespaced);
    const createStorage = () => {
      const versions = createVersions();
      return { versions, engine: createCowBtree(versions) };
    };
    const cache = new WatchCache({ codec, layout, createStorage, clock, limits, historyBytes: 8 * 2 ** 20 });
    const wheel = createTimingWheel(clock);
    this.cache = cache;
    this.watchers = new Watchers({ cache, codec, prefix: PREFIX, wheel, clock, random: seededRandom(1), limits });
    cache.install(cache.startFill('fresh'), this.#revision);
    this.watchers.restart();
    for (let index = 0; index < objects; index++) this.change();
  }

  change(): void {
    const revision = ++this.#revision;
    const { key, value } = this.#leases.set(revision % this.#objects, revision);
    this.#buffer.set(key, 0);
    this.#buffer.set(value, key.length);
    this.cache.change(PUT, this.#buffer, 0, key.length, key.length, key.length + value.length, 2, revision);
    this.watchers.changed(this.cache.commit(revision).bytes);
  }

  close(): void {
    this.watchers.stop();
    this.cache.dispose();
  }
}
