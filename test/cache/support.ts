import type {
  Cache,
  CacheSnapshot,
  CacheWatchRequest,
  Framer,
  ObjectFilter,
  WatchSink,
} from '../../src/cache/cache.js';
import { type CacheOptions, createCache, type LiveCache } from '../../src/cache/create-cache.js';
import type { Storage } from '../../src/cache/storage.js';
import type { KindCodec } from '../../src/codec/codec.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { kinds } from '../../src/codec/kinds.js';
import { createCowBtree } from '../../src/engine/cow-btree.js';
import { prefixEnd, rangeOf, utf8 } from '../../src/lib/bytes.js';
import { createFakeClock, type FakeClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import { type Random, seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore, type EmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import type { Source } from '../../src/source/source.js';
import { createVersions } from '../../src/versions/create-versions.js';

export const PREFIX = '/registry/leases/';
export const leaseKind = kinds.find(({ kind, version }) => kind === 'Lease' && version === 'v1')!;
export const leaseCodec: KindCodec = createKindCodec(leaseKind);

export function keyOf(name: string): Uint8Array {
  return utf8(PREFIX + name);
}

/** `name` is `namespace/name`. The holder is what tests tell contents by. */
export function leaseValue(name: string, holder: string, labels: Record<string, string> = {}): Uint8Array {
  const [namespace, own] = name.split('/');
  return leaseCodec.toStored({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: own, namespace, labels },
    spec: { holderIdentity: holder },
  });
}

export function testStorage(): Storage {
  const versions = createVersions({ poison: true, slabBytes: 2 ** 20 });
  return { versions, engine: createCowBtree(versions) };
}

export interface World {
  readonly clock: FakeClock;
  readonly random: Random;
  readonly store: EmbeddedStore;
  readonly source: Source;
  readonly cache: LiveCache;
  readonly limits: Limits;
  readonly log: string[];
  put(name: string, holder: string, labels?: Record<string, string>): Promise<number>;
  delete(...names: string[]): Promise<number>;
  /** Lets everything run that is due now; with `ms`, moves the time on in small steps. */
  settle(ms?: number): Promise<void>;
  close(): Promise<void>;
}

export async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A cache on an embedded store under a fake clock. `wrap` puts a network between them. */
export function createWorld(
  options: Partial<CacheOptions> & { wrap?: (source: Source, clock: FakeClock) => Source; seed?: number } = {},
): World {
  const clock = createFakeClock();
  const random = seededRandom(options.seed ?? 1);
  const store = createEmbeddedStore({ clock, random }, { historyMs: 0 });
  const source = options.wrap?.(store, clock) ?? store;
  const limits = options.limits ?? defaultLimits;
  const log: string[] = [];
  const cache = createCache({
    kind: leaseKind,
    codec: leaseCodec,
    createStorage: testStorage,
    prefix: utf8(PREFIX),
    random,
    log: (message) => void log.push(message),
    ...options,
    clock,
    limits,
    source,
  });
  return {
    clock,
    random,
    store,
    source,
    cache,
    limits,
    log,
    put: (name, holder, labels) =>
      store.write([{ type: 'put', key: keyOf(name), value: leaseValue(name, holder, labels) }]),
    delete: (...names) => store.write(names.map((name) => ({ type: 'delete', key: keyOf(name) }))),
    async settle(ms = 0) {
      for (let step = 0; step < 4; step++) {
        await turn();
        clock.advance(0);
      }
      for (let left = ms; left > 0; left -= 10) {
        clock.advance(Math.min(10, left));
        await turn();
      }
      await turn();
    },
    async close() {
      await cache.stop();
      await store.close();
    },
  };
}

/** What a version is in short: `ns/name=holder@resourceVersion`. */
export function describe(bytes: Uint8Array, start: number, end: number): string {
  const object = leaseCodec.read(bytes, start, end) as {
    metadata: { name: string; namespace: string; resourceVersion: string };
    spec?: { holderIdentity?: string };
  };
  const { name, namespace, resourceVersion } = object.metadata;
  return `${namespace}/${name}=${object.spec?.holderIdentity ?? ''}@${resourceVersion}`;
}

export function contents(cache: Cache, at?: number): string[] | undefined {
  using snapshot = cache.snapshot(at);
  return snapshot === undefined ? undefined : entriesOf(snapshot);
}

export function entriesOf(snapshot: CacheSnapshot, from = utf8(PREFIX), to = prefixEnd(utf8(PREFIX))): string[] {
  const entries: string[] = [];
  const range = rangeOf(new Uint8Array(0));
  snapshot.range(rangeOf(from), rangeOf(to), (id) => {
    const { bytes, start, end } = snapshot.versions.object(id, range);
    entries.push(describe(bytes, start, end));
    return true;
  });
  return entries;
}

/** One line for each event; the revision that the framer was told is checked against the object's own. */
export const lineFramer: Framer = {
  id: 'lines',
  firstDiffers: false,
  event(type, wire, revision, _first, into) {
    const text = describe(wire.bytes, wire.start, wire.end);
    if (!text.endsWith(`@${revision}`)) throw new Error(`${type} ${text} is said to be of revision ${revision}`);
    append(into, `${type} ${text}\n`);
  },
  bookmark(revision, initialEventsEnd, _first, into) {
    append(into, `${initialEventsEnd ? 'SYNCED' : 'BOOKMARK'} @${revision}\n`);
  },
};

/** As Tables do: the first event of a stream says more. */
export const headedFramer: Framer = {
  id: 'headed',
  firstDiffers: true,
  event(type, wire, revision, first, into) {
    if (first) append(into, 'COLUMNS ');
    lineFramer.event(type, wire, revision, first, into);
  },
  bookmark(revision, initialEventsEnd, first, into) {
    if (first) append(into, 'COLUMNS ');
    lineFramer.bookmark(revision, initialEventsEnd, first, into);
  },
};

function append(into: { bytes: Buffer; position: number; reserve(size: number): void }, text: string): void {
  into.reserve(Buffer.byteLength(text));
  into.position += into.bytes.write(text, into.position);
}

export function labelFilter(key: string, value: string): ObjectFilter {
  return {
    id: `${key}=${value}`,
    matches: (bytes, start, end) => leaseCodec.label(bytes, start, end, key) === value,
  };
}

export function request(over: Partial<CacheWatchRequest> = {}): CacheWatchRequest {
  return {
    from: utf8(PREFIX),
    to: prefixEnd(utf8(PREFIX)),
    filter: undefined,
    framer: lineFramer,
    afterRevision: 0,
    initialEvents: false,
    initialEventsEnd: false,
    bookmarks: false,
    timeoutMs: 3_600_000,
    ...over,
  };
}

/** Keeps what it is given, and that nobody changes it afterwards is checked by `lines`. */
export class TestSink implements WatchSink {
  readonly chunks: { readonly chunk: Uint8Array; readonly text: string }[] = [];
  ended = 0;
  failure: string | undefined;
  reason: string | undefined;
  /** How many more writes until `write` returns false. */
  room = Number.POSITIVE_INFINITY;
  onWrite: (() => void) | undefined;

  write(chunk: Uint8Array): boolean {
    if (this.ended > 0) throw new Error('written after the end');
    this.chunks.push({ chunk, text: Buffer.from(chunk).toString() });
    this.onWrite?.();
    return --this.room > 0;
  }

  end(): void {
    this.ended++;
  }

  fail(message: string, reason: string): void {
    this.failure = message;
    this.reason = reason;
    this.ended++;
  }

  get lines(): string[] {
    for (const { chunk, text } of this.chunks) {
      if (Buffer.from(chunk).toString() !== text)
        throw new Error(`a chunk was changed after it had been written: ${text}`);
    }
    return this.chunks.flatMap(({ text }) => text.split('\n').slice(0, -1));
  }
}
