import { Metadata } from '@grpc/grpc-js';
import { createCache } from '../src/cache/create-cache.js';
import { createKindCodec } from '../src/codec/kind-codec.js';
import { findKind } from '../src/codec/kinds.js';
import { engines, type EngineName } from '../src/engine/engines.js';
import { varintSize, writeVarint } from '../src/lib/bytes.js';
import { systemClock } from '../src/lib/clock.js';
import type { Endpoint } from '../src/source/etcd/endpoints.js';
import { EtcdWatch, type WatchContext } from '../src/source/etcd/etcd-watch.js';
import type { GrpcStream, StreamListener } from '../src/source/etcd/grpc-stream.js';
import { StoreIdentity } from '../src/source/etcd/identity.js';
import { toSettings } from '../src/source/etcd/options.js';
import { encode } from '../src/source/etcd/rpc.js';
import type { EntryVisitor, RangeRequest, RangeResult, Source } from '../src/source/source.js';
import { createVersions } from '../src/versions/create-versions.js';
import { type LeaseStream, leaseIndexOf } from './corpus.js';
import type { Representation } from './representations.js';

const PREFIX = Buffer.from('/registry/leases/');
/** Tags of a watch response's fields, and parts of it that never change; proto/etcd/rpc.proto. */
const HEADER = 0x0a;
const IDENTITY = Uint8Array.of(0x08, 77, 0x10, 1); // cluster_id, member_id
const REVISION = 0x18; // header.revision, and kv.mod_revision
const EVENT = 0x5a;
const KEY_VALUE = 0x12; // the type PUT is zero, and so is not written
const KEY = 0x0a;
const CREATE_REVISION = Uint8Array.of(0x10, 1);
const VERSION = Uint8Array.of(0x20, 1);
const VALUE = 0x2a;

/**
 * The real thing, all of it but the network. A renewal is one watch response with one event, and goes through
 *
 *     etcd watch (skim, store identity, whole revisions) -> follower -> codec (key, canonical check, splice)
 *     -> versions, engine, label index if asked for, history -> watchers (nobody watches), readers who wait
 *
 * evicted and reclaimed as it goes. Not in it: TCP, HTTP/2, gRPC framing, the kernel.
 */
export function pipeline(engineName: string, indexed: readonly string[]): Representation {
  if (!(engineName in engines)) throw new Error(`--engine is one of ${Object.keys(engines).join(', ')}`);
  const createEngine = engines[engineName as EngineName];
  const kind = findKind('coordination.k8s.io', 'v1', 'leases');
  if (kind === undefined) throw new Error('leases are not in the registry');
  const codec = createKindCodec(kind);
  let source: ReplaySource | undefined;
  const storages: { versions: ReturnType<typeof createVersions>; engine: ReturnType<typeof createEngine> }[] = [];
  let cache: ReturnType<typeof createCache> | undefined;
  return {
    async load(lease, objects) {
      source = new ReplaySource(lease, objects);
      cache = createCache({
        kind,
        codec,
        source,
        prefix: PREFIX,
        indexed,
        createStorage: () => {
          const versions = createVersions();
          const storage = { versions, engine: createEngine(versions) };
          storages.push(storage);
          return storage;
        },
      });
      cache.start();
      if (!(await cache.whenReady(600_000))) throw new Error(`the cache is not ready: ${cache.lastError}`);
    },
    update: (lease, modRevision) => source!.renew(lease, modRevision),
    get size() {
      return storages.at(-1)!.engine.size;
    },
    get revision() {
      return cache!.revision;
    },
    memory() {
      const { versions, engine } = storages.at(-1)!;
      const { stats } = versions;
      return {
        'live key and wire bytes': stats.liveBytes,
        'retired key and wire bytes': stats.retiredBytes,
        'slots, rounding included': stats.slotBytes,
        'slabs reserved': stats.reservedBytes - stats.columnBytes,
        columns: stats.columnBytes,
        engine: (engine as { reservedBytes?: number }).reservedBytes ?? 0,
        'index reserved': cache!.stats.index.bytes,
        'history events': cache!.stats.historyEvents,
        'slow decodes': codec.slowDecodes,
        'decode errors': cache!.stats.decodeErrors,
      };
    },
    verify: () => cache!.verify(),
    async stop() {
      await cache!.stop();
      await source!.close();
    },
  };
}

/** What an etcd watch uses of its stream and of its endpoint. */
type StreamParts = Pick<GrpcStream, 'write' | 'hurry' | 'cancel'>;
interface EndpointParts extends Pick<Endpoint, 'url'> {
  openWatch(...arguments_: Parameters<Endpoint['openWatch']>): StreamParts;
}

/** An etcd whose answers are made in this process. */
class ReplaySource implements Source {
  readonly name = 'replay';
  readonly #lease: LeaseStream;
  readonly #objects: number;
  #listener: StreamListener | undefined;
  #watch: EtcdWatch | undefined;

  constructor(lease: LeaseStream, objects: number) {
    this.#lease = lease;
    this.#objects = objects;
  }

  /** Lease i has revision i + 1. */
  async range({ from, limit = 0 }: RangeRequest, visit: EntryVisitor): Promise<RangeResult> {
    await new Promise((resolve) => setImmediate(resolve));
    const first = from.length > PREFIX.length ? leaseIndexOf(from) + 1 : 0;
    const end = limit === 0 ? this.#objects : Math.min(this.#objects, first + limit);
    let buffer = Buffer.alloc(4_096);
    for (let index = first; index < end; index++) {
      const { key, value } = this.#lease.set(index, 0);
      const size = key.length + value.length;
      if (size > buffer.length) buffer = Buffer.alloc(size * 2);
      buffer.set(key, 0);
      buffer.set(value, key.length);
      visit(buffer, 0, key.length, key.length, size, index + 1, index + 1);
    }
    return { revision: this.#objects, count: this.#objects - first, more: end < this.#objects };
  }

  watch(request: Parameters<Source['watch']>[0], handler: Parameters<Source['watch']>[1]) {
    const stream: StreamParts = { write: () => {}, hurry: () => {}, cancel: () => {} };
    const endpoint: EndpointParts = {
      url: 'http://replay',
      openWatch: (_metadata, listener) => {
        this.#listener = listener;
        return stream;
      },
    };
    // What an etcd watch asks of its connection, answered without one.
    const context = {
      calls: { metadata: () => Promise.resolve(new Metadata()) },
      endpoints: { order: () => [endpoint], succeeded: () => {}, failed: () => {} },
      identity: new StoreIdentity((message) => {
        throw new Error(message);
      }),
      settings: { ...toSettings({ endpoints: ['http://replay'] }), hangProbeMs: 3_600_000 },
      clock: systemClock,
      log: (message: string) => {
        throw new Error(message);
      },
      verify: () => Promise.resolve(),
      ended: () => {},
    } as unknown as WatchContext;
    const watch = new EtcdWatch(request, handler, context);
    this.#watch = watch;
    void watch.open().then(() => this.#listener!.message(createdResponse(this.#objects)));
    return watch;
  }

  /** One watch response with one event, in a buffer of its own, as gRPC hands them over. */
  renew({ key, value }: LeaseStream, modRevision: number): void {
    const revisionSize = 1 + varintSize(modRevision);
    const keyValueSize =
      fieldSize(key.length) + CREATE_REVISION.length + revisionSize + VERSION.length + fieldSize(value.length);
    const eventSize = fieldSize(keyValueSize);
    const headerSize = IDENTITY.length + revisionSize;
    const bytes = Buffer.allocUnsafe(fieldSize(headerSize) + fieldSize(eventSize));
    let at = openField(bytes, 0, HEADER, headerSize);
    at = append(bytes, at, IDENTITY);
    bytes[at] = REVISION;
    at = writeVarint(bytes, at + 1, modRevision);
    at = openField(bytes, at, EVENT, eventSize);
    at = openField(bytes, at, KEY_VALUE, keyValueSize);
    at = append(bytes, openField(bytes, at, KEY, key.length), key);
    at = append(bytes, at, CREATE_REVISION);
    bytes[at] = REVISION;
    at = writeVarint(bytes, at + 1, modRevision);
    at = append(bytes, at, VERSION);
    append(bytes, openField(bytes, at, VALUE, value.length), value);
    this.#listener!.message(bytes);
  }

  currentRevision(): Promise<number> {
    return Promise.resolve(this.#objects);
  }

  progressTrusted(): Promise<boolean> {
    return Promise.resolve(true);
  }

  probe(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#watch?.close();
    return Promise.resolve();
  }
}

function createdResponse(revision: number): Buffer {
  return encode('WatchResponse', { header: { cluster_id: 77, member_id: 1, revision }, created: true });
}

function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

function openField(bytes: Uint8Array, at: number, tag: number, length: number): number {
  bytes[at] = tag;
  return writeVarint(bytes, at + 1, length);
}

function append(bytes: Uint8Array, at: number, part: Uint8Array): number {
  bytes.set(part, at);
  return at + part.length;
}
