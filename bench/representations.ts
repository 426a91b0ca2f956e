import { createKindCodec } from '../src/codec/kind-codec.js';
import { findKind } from '../src/codec/kinds.js';
import { createWriter } from '../src/codec/writer.js';
import type { LeaseStream } from './corpus.js';
import { pipeline } from './pipeline.js';

/** How a million leases are held: ours, and what one would write first. */
export interface Representation {
  /** The first list: leases 0 to `objects` - 1, lease i at revision i + 1. */
  load(lease: LeaseStream, objects: number): Promise<void>;
  /** One renewal is one revision, as from real kubelets. It may be applied later: see `revision`. */
  update(lease: LeaseStream, modRevision: number): void;
  readonly size: number;
  /** Everything up to here has been applied. */
  readonly revision: number;
  /** Where the bytes are, by name. */
  memory(): Record<string, number>;
  verify(): void;
  stop(): Promise<void>;
}

const TURN_COUNT = 500;

export function createRepresentation(name: string, engine: string, indexed: readonly string[]): Representation {
  switch (name) {
    case 'listwatch':
      return pipeline(engine, indexed);
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
  return inMap(objects, put);
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
  return inMap(objects, put);
}

function inMap(
  objects: ReadonlyMap<string, unknown>,
  put: (lease: LeaseStream, modRevision: number) => void,
): Representation {
  let revision = 0;
  return {
    async load(lease, count) {
      for (let index = 0; index < count; index++) {
        put(lease.set(index, 0), index + 1);
        if (index % TURN_COUNT === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      revision = count;
    },
    update(lease, modRevision) {
      put(lease, modRevision);
      revision = modRevision;
    },
    get size() {
      return objects.size;
    },
    get revision() {
      return revision;
    },
    memory: () => ({}),
    verify() {},
    stop: () => Promise.resolve(),
  };
}
