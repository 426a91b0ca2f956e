import type { Cache, CacheWatch, Framer, WatchSink } from '../cache/cache.js';
import { createCache, type LiveCache } from '../cache/create-cache.js';
import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import { type EngineName, engines } from '../engine/engines.js';
import { protobufFormat } from '../http/watch/protobuf-format.js';
import { prefixEnd, rangeOf } from '../lib/bytes.js';
import type { Clock } from '../lib/clock.js';
import type { Source } from '../source/source.js';
import type { VersionId } from '../versions/versions.js';
import type { Cell } from './cell.js';
import { ObjectStream } from './object-stream.js';
import { PacedSource } from './paced-source.js';
import { type RepresentationName, representations } from './representations.js';

const READY_MS = 3_600_000;
const WATCH_MS = 3_600_000;
/** A LIST lets others have their turn after so long, as the server's do. */
const LIST_SLICE_MS = 5;
const CHUNK_BYTES = 256 * 2 ** 10;

/** The watch cache of the server over one of the representations and engines. */
export function createSubjectCache(
  { kind, codec, prefix }: { readonly kind: Kind; readonly codec: KindCodec; readonly prefix: Uint8Array },
  source: Source,
  { representation, engine }: { readonly representation: RepresentationName; readonly engine: EngineName },
  clock: Clock,
): LiveCache {
  const createStorage = () => {
    const versions = representations[representation](codec, clock);
    return { versions, engine: engines[engine](versions) };
  };
  return createCache({ kind, codec, source, prefix, clock, createStorage });
}

/** The watch cache of the server, with the engine and the representation of the cell, and those who read from it. */
export class Subject {
  readonly stream: ObjectStream;
  readonly cache: LiveCache;
  readonly source: PacedSource;
  lists = 0;
  /** What watchers and readers were given: what comes out must have been made. */
  watchBytes = 0;
  listBytes = 0;
  readonly #cell: Cell;
  readonly #clock: Clock;
  readonly #watches: CacheWatch[] = [];
  readonly #chunk = Buffer.alloc(CHUNK_BYTES);
  #ids = new Int32Array(1_024);

  constructor(cell: Cell, clock: Clock) {
    this.#cell = cell;
    this.#clock = clock;
    this.stream = new ObjectStream(cell.kind, cell.objectBytes, cell.seed);
    this.source = new PacedSource(this.stream, cell.objects);
    this.cache = createSubjectCache(this.stream, this.source, cell, clock);
  }

  /** The first list. Throws when the cache does not hold what the source has. */
  async load(): Promise<void> {
    this.cache.start();
    if (!(await this.cache.whenReady(READY_MS))) throw new Error(`the cache is not ready: ${this.cache.lastError}`);
    const { objects, decodeErrors } = this.cache.stats;
    if (objects !== this.#cell.objects || decodeErrors > 0) {
      throw new Error(`${objects} of ${this.#cell.objects} objects were loaded, ${decodeErrors} do not parse`);
    }
  }

  startWatchers(): void {
    const framer: Framer = protobufFormat(this.stream.codec);
    const sink: WatchSink = {
      write: (chunk, done) => {
        this.watchBytes += chunk.length;
        done?.();
        return true;
      },
      end: () => {
        throw new Error('a watcher was ended');
      },
    };
    const { prefix } = this.stream;
    for (let index = 0; index < this.#cell.watchers; index++) {
      this.#watches.push(
        this.cache.watch(
          {
            from: prefix,
            to: prefixEnd(prefix),
            filter: undefined,
            framer,
            afterRevision: this.cache.revision,
            initialEvents: false,
            initialEventsEnd: false,
            bookmarks: false,
            timeoutMs: WATCH_MS,
          },
          sink,
        ),
      );
    }
  }

  /** A LIST of everything: its wire bytes, through a chunk of memory, as a response would be written. */
  async list(): Promise<void> {
    using snapshot = (this.cache as Cache).snapshot();
    if (snapshot === undefined) throw new Error('the cache has no present state');
    const { prefix } = this.stream;
    let count = 0;
    snapshot.range(rangeOf(prefix), rangeOf(prefixEnd(prefix)), (id) => {
      if (count === this.#ids.length) this.#ids = grown(this.#ids);
      this.#ids[count++] = id;
      return true;
    });
    const ids = this.#ids.slice(0, count);
    const wire = rangeOf(new Uint8Array(0));
    let used = 0;
    let sliceMs = this.#clock.monotonicMs();
    for (let index = 0; index < count; index++) {
      const { bytes, start, end } = snapshot.versions.wire(ids[index]! as VersionId, wire);
      const size = end - start;
      if (used + size > CHUNK_BYTES) used = 0;
      if (size <= CHUNK_BYTES) this.#chunk.set(bytes.subarray(start, end), used);
      used += size;
      this.listBytes += size;
      if ((index & 63) !== 0 || this.#clock.monotonicMs() - sliceMs < LIST_SLICE_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      sliceMs = this.#clock.monotonicMs();
    }
    this.lists++;
  }

  async stop(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    await this.cache.stop();
    await this.source.close();
  }
}

function grown(ids: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(ids.length * 2);
  larger.set(ids);
  return larger;
}
