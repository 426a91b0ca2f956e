import { WatchCache } from '../src/cache/watch-cache.js';
import { createKeyLayout } from '../src/cache/layout.js';
import { createKindCodec } from '../src/codec/kind-codec.js';
import { findKind } from '../src/codec/kinds.js';
import { createWriter } from '../src/codec/writer.js';
import { DEFAULT_ENGINE, engines, type EngineName } from '../src/engine/engines.js';
import { systemClock } from '../src/lib/clock.js';
import { defaultLimits } from '../src/lib/limits.js';
import { PUT } from '../src/source/source.js';
import { createVersions } from '../src/versions/create-versions.js';
import type { LeaseStream } from './corpus.js';

/** How a million leases are held: ours, and what one would write first. */
export interface Representation {
  load(lease: LeaseStream, modRevision: number): void;
  loaded(revision: number): void;
  /** One renewal is one revision, as from real kubelets. */
  update(lease: LeaseStream, modRevision: number): void;
  readonly size: number;
  /** Where the bytes are, by name. */
  memory(): Record<string, number>;
  verify(): void;
}

const PAGE_COUNT = defaultLimits.listPageCount;

export function createRepresentation(name: string, engine: string): Representation {
  switch (name) {
    case 'listwatch':
      return watchCache(engine);
    case 'map-buffer':
      return mapOfBuffers();
    case 'json':
      return decodedObjects();
    default:
      throw new Error(`--representation is one of listwatch, map-buffer, json, not ${name}`);
  }
}

function leaseCodec() {
  const kind = findKind('coordination.k8s.io', 'v1', 'leases');
  if (kind === undefined) throw new Error('leases are not in the registry');
  return createKindCodec(kind);
}

/** The real thing, without network: stored value -> codec -> versions, engine and history, evicted and reclaimed. */
function watchCache(engineName: string): Representation {
  if (!(engineName in engines)) throw new Error(`--engine is one of ${Object.keys(engines).join(', ')}`);
  const createEngine = engines[engineName as EngineName];
  const codec = leaseCodec();
  const cache = new WatchCache({
    codec,
    layout: createKeyLayout(Buffer.from('/registry/leases/'), true),
    createStorage: () => {
      const versions = createVersions();
      return { versions, engine: createEngine(versions) };
    },
    clock: systemClock,
    limits: defaultLimits,
    historyBytes: undefined,
  });
  const fill = cache.startFill('fresh');
  let buffer = Buffer.alloc(4_096);
  let inPage = 0;
  /** As a source passes it: key and value in one buffer. */
  const place = ({ key, value }: LeaseStream): number => {
    const end = key.length + value.length;
    if (end > buffer.length) buffer = Buffer.alloc(end * 2);
    buffer.set(key, 0);
    buffer.set(value, key.length);
    return end;
  };
  return {
    load(lease, modRevision) {
      const end = place(lease);
      fill.entry(buffer, 0, lease.key.length, lease.key.length, end, modRevision, modRevision);
      if (++inPage === PAGE_COUNT) fill.pageDone(systemClock.monotonicMs());
      inPage %= PAGE_COUNT;
    },
    loaded: (revision) => cache.install(fill, revision),
    update(lease, modRevision) {
      const end = place(lease);
      cache.change(PUT, buffer, 0, lease.key.length, lease.key.length, end, 1, modRevision);
      const { result } = cache.commit(modRevision);
      if (result !== 'applied') throw new Error(`revision ${modRevision} was ${result}`);
    },
    get size() {
      return cache.storage.engine.size;
    },
    memory() {
      const { versions, engine } = cache.storage;
      const { stats } = versions;
      return {
        'live key and wire bytes': stats.liveBytes,
        'retired key and wire bytes': stats.retiredBytes,
        'slots, rounding included': stats.slotBytes,
        'slabs reserved': stats.reservedBytes - stats.columnBytes,
        columns: stats.columnBytes,
        engine: (engine as { reservedBytes?: number }).reservedBytes ?? 0,
        'history events': cache.history.count,
        'slow decodes': codec.slowDecodes,
        'decode errors': cache.decodeErrors.size,
      };
    },
    verify: () => cache.verify(),
  };
}

/** One string and one Buffer an object. */
function mapOfBuffers(): Representation {
  const codec = leaseCodec();
  const writer = createWriter();
  const objects = new Map<string, { revision: number; wire: Buffer }>();
  const put = ({ key, value }: LeaseStream, modRevision: number) => {
    writer.position = 0;
    codec.toWire(value, 0, value.length, modRevision, writer);
    const wire = Buffer.from(writer.bytes.subarray(writer.headerStart, writer.position));
    objects.set(key.toString('latin1'), { revision: modRevision, wire });
  };
  return {
    load: put,
    loaded() {},
    update: put,
    get size() {
      return objects.size;
    },
    memory: () => ({}),
    verify() {},
  };
}

/** Decoded once, held as objects: what a typed informer cache does. */
function decodedObjects(): Representation {
  const codec = leaseCodec();
  const writer = createWriter();
  const objects = new Map<string, unknown>();
  const put = ({ key, value }: LeaseStream, modRevision: number) => {
    writer.position = 0;
    codec.toWire(value, 0, value.length, modRevision, writer);
    objects.set(key.toString('latin1'), codec.read(writer.bytes, writer.start, writer.position));
  };
  return {
    load: put,
    loaded() {},
    update: put,
    get size() {
      return objects.size;
    },
    memory: () => ({}),
    verify() {},
  };
}

export { DEFAULT_ENGINE };
