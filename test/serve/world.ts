import assert from 'node:assert/strict';
import { type ListOptions, parseListOptions } from '../../src/api/list-options.js';
import type { Cache, WatchSink } from '../../src/cache/cache.js';
import type { KindCodec, WireObject } from '../../src/codec/codec.js';
import type { Kind } from '../../src/codec/kind.js';
import { createCaches } from '../../src/cache/caches.js';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { findKind } from '../../src/codec/kinds.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import type { Admission } from '../../src/lib/memory-budget.js';
import { type Random, seededRandom } from '../../src/lib/random.js';
import type { Failure, Result } from '../../src/serve/failure.js';
import type { ListAnswer, ObjectAnswer, Reader, WatchFormat, WatchRun, WatchRequest } from '../../src/serve/reader.js';
import { FragmentCache } from '../../src/serve/fragment-cache.js';
import { createService, type Service } from '../../src/serve/service.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import { createCowBtree } from '../../src/engine/cow-btree.js';
import { createVersions } from '../../src/versions/create-versions.js';
import type { Source, WritableStore } from '../../src/source/source.js';

/**
 * The embedded store with a real cache and codec per kind, and a service over them: what tests of
 * reads need. `cached` and `direct` answer the same questions by two ways.
 */
export interface World extends AsyncDisposable {
  readonly store: Source & WritableStore;
  readonly cached: Service;
  readonly direct: Service;
  cacheOf(kind: Kind): Cache;
  codecOf(kind: Kind): KindCodec;
  put(kind: Kind, object: TestObject): Promise<number>;
  remove(kind: Kind, namespace: string | undefined, name: string): Promise<number>;
}

export interface TestObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export const pods = kindOf('', 'v1', 'pods');
export const configMaps = kindOf('', 'v1', 'configmaps');
export const leases = kindOf('coordination.k8s.io', 'v1', 'leases');
export const nodes = kindOf('', 'v1', 'nodes');
export const events = kindOf('', 'v1', 'events');

function kindOf(group: string, version: string, resource: string): Kind {
  const kind = findKind(group, version, resource);
  assert.ok(kind);
  return kind;
}

export interface WorldOptions {
  readonly limits?: Partial<Limits>;
  readonly random?: Random;
  /** Instead of the embedded one. */
  readonly store?: Source & WritableStore;
  /** What the readers see of the store: a source that fails, for example. */
  readonly source?: (store: Source) => Source;
  readonly shardedListAndWatch?: boolean;
  readonly admission?: Admission;
}

export function createWorld(options: WorldOptions = {}): World {
  const clock = systemClock;
  const random = options.random ?? seededRandom(1);
  const limits = { ...defaultLimits, ...options.limits };
  const store = options.store ?? createEmbeddedStore({ clock, random });
  const source = options.source?.(store) ?? store;
  const codecs = new Map<Kind, KindCodec>();
  const codecOf = (kind: Kind) => {
    let codec = codecs.get(kind);
    if (codec === undefined) codecs.set(kind, (codec = createKindCodec(kind)));
    return codec;
  };
  const held = setInterval(() => {}, 1_000); // timers of the code do not hold the process; a server's socket would
  const caches = createCaches({
    sourceFor: () => source,
    codecFor: codecOf,
    storageFor: () => {
      const versions = createVersions({ poison: true });
      return { versions, engine: createCowBtree(versions) };
    },
    etcdPrefix: '/registry',
    clock,
    random,
    limits,
  });
  const fragments = new FragmentCache(limits, clock);
  const common = {
    etcdPrefix: '/registry',
    source: () => source,
    codec: codecOf,
    cache: caches.get,
    fragments: () => fragments,
    shardedListAndWatch: options.shardedListAndWatch === true,
    ...(options.admission === undefined ? {} : { admission: options.admission }),
    limits,
    clock,
    random,
  };
  return {
    store,
    cacheOf: caches.get,
    codecOf,
    cached: createService({ ...common, watchCache: true, watchCacheSizes: new Map() }),
    direct: createService({ ...common, watchCache: false, watchCacheSizes: new Map() }),
    put(kind, object) {
      const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
      const value = codecOf(kind).toStored({ apiVersion, kind: kind.kind, ...object });
      return store.write([{ type: 'put', key: Buffer.from(keyOf(kind, object.metadata)), value }]);
    },
    remove: (kind, namespace, name) =>
      store.write([
        { type: 'delete', key: Buffer.from(keyOf(kind, { name, ...(namespace === undefined ? {} : { namespace }) })) },
      ]),
    async [Symbol.asyncDispose]() {
      clearInterval(held);
      fragments.stop();
      await caches.stopAll();
      await store.close();
    },
  };
}

export function keyOf(kind: Kind, { namespace, name }: { namespace?: string; name: string }): string {
  return `/registry/${kind.directory}/${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

export function optionsOf(query: string): ListOptions {
  const options = parseListOptions(query);
  assert.ok(options.ok, options.ok ? '' : options.message);
  return options.value;
}

/** The signal of a client that stays. */
export const staying = () => new AbortController().signal;

/** What a client gets to see of a LIST. */
export interface Listed {
  readonly resourceVersion: string;
  readonly names: readonly string[];
  readonly continue: string | undefined;
  readonly remainingItemCount: number | undefined;
  readonly shard: string | undefined;
  readonly bytes: string;
}

export async function list(
  reader: Reader,
  query = '',
  namespace?: string,
  signal = staying(),
): Promise<Result<Listed>> {
  const result = await reader.list({ namespace, options: optionsOf(query), signal });
  if (!result.ok) return result;
  using answer = result.value;
  return { ok: true, value: listed(reader, answer) };
}

export function listed(reader: Reader, answer: ListAnswer): Listed {
  const wire: WireObject = { bytes: new Uint8Array(0), headerStart: 0, start: 0, end: 0 };
  const names: string[] = [];
  const bytes: Buffer[] = [];
  for (let index = 0; index < answer.count; index++) {
    answer.at(index, wire);
    names.push(`${nameOf(reader.codec, wire)}@${versionOf(reader.codec, wire)}`);
    bytes.push(Buffer.from(wire.bytes.subarray(wire.headerStart, wire.end)));
  }
  const all = Buffer.concat(bytes);
  assert.equal(all.length, answer.itemBytes);
  return {
    resourceVersion: answer.resourceVersion,
    names,
    continue: answer.continue,
    remainingItemCount: answer.remainingItemCount,
    shard: answer.shard,
    bytes: all.toString('base64'),
  };
}

export async function get(reader: Reader, name: string, namespace?: string, resourceVersion = '') {
  const result: Result<ObjectAnswer> = await reader.get({ namespace, name, resourceVersion, signal: staying() });
  if (!result.ok) return result;
  using answer = result.value;
  const { wire } = answer;
  assert.equal(String(answer.revision), versionOf(reader.codec, wire));
  return { ok: true as const, value: `${nameOf(reader.codec, wire)}@${answer.revision}` };
}

export function failureOf(result: Result<unknown>): Failure {
  assert.ok(!result.ok);
  return result.failure;
}

export function okOf<T>(result: Result<T>): T {
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.failure, (_, v) => (typeof v === 'bigint' ? `${v}` : v)));
  return result.value;
}

interface Meta {
  readonly metadata: { name: string; namespace?: string; resourceVersion?: string; labels?: Record<string, string> };
}

function metaOf(codec: KindCodec, { bytes, start, end }: WireObject): Meta['metadata'] {
  return (codec.read(bytes, start, end) as Meta).metadata;
}

export function nameOf(codec: KindCodec, wire: WireObject): string {
  const { namespace, name } = metaOf(codec, wire);
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function versionOf(codec: KindCodec, wire: WireObject): string | undefined {
  return metaOf(codec, wire).resourceVersion;
}

/** A WATCH whose events are texts: `ADDED default/a@5 {"app":"x"}`, `BOOKMARK 7 end`, `ERROR ...`. */
export class TestWatch implements WatchSink {
  readonly events: string[] = [];
  ended = false;
  /** What `write` answers: false stops the stream until `drain`. */
  writable = true;
  #run: WatchRun | undefined;
  #changed: (() => void)[] = [];

  static async open(
    reader: Reader,
    query: string,
    namespace?: string,
    legacyPath = false,
    more: Pick<WatchRequest, 'ofServer'> = {},
  ): Promise<TestWatch> {
    const result = await reader.watch({
      ...more,
      namespace,
      options: optionsOf(query),
      legacyPath,
      format: testFormat(reader.codec),
      signal: staying(),
    });
    const watch = new TestWatch();
    watch.#run = okOf(result).start(watch);
    return watch;
  }

  write(chunk: Uint8Array): boolean {
    assert.ok(!this.ended, 'nothing is written after the end');
    this.events.push(...Buffer.from(chunk).toString().split('\n').slice(0, -1));
    this.#notify();
    return this.writable;
  }

  end(): void {
    assert.ok(!this.ended, 'a stream ends once');
    this.ended = true;
    this.#notify();
  }

  drain(): void {
    this.writable = true;
    this.#run?.drained();
  }

  close(): void {
    this.#run?.close();
  }

  /** Resolves when the condition holds; fails the test after a while. */
  async until(condition: (events: readonly string[]) => boolean, timeoutMs = 5_000): Promise<readonly string[]> {
    const deadline = systemClock.monotonicMs() + timeoutMs;
    while (!condition(this.events) && systemClock.monotonicMs() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - systemClock.monotonicMs()); // holds the process, as a server would
        this.#changed.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    assert.ok(condition(this.events), `the stream was:\n${this.events.join('\n')}${this.ended ? '\n(ended)' : ''}`);
    return this.events;
  }

  count(wanted: number): Promise<readonly string[]> {
    return this.until((seen) => seen.length >= wanted);
  }

  finished(): Promise<readonly string[]> {
    return this.until(() => this.ended);
  }

  #notify(): void {
    for (const changed of this.#changed.splice(0)) changed();
  }
}

function testFormat(codec: KindCodec): WatchFormat {
  const append = (into: { bytes: Buffer; position: number; reserve(size: number): void }, line: string) => {
    const bytes = Buffer.from(`${line}\n`);
    into.reserve(bytes.length);
    into.bytes.set(bytes, into.position);
    into.position += bytes.length;
  };
  return {
    id: `test ${codec.kind.resource}`,
    firstDiffers: false,
    event(type, wire, revision, _first, into) {
      const { labels, resourceVersion } = metaOf(codec, wire);
      assert.equal(resourceVersion, String(revision));
      const labelText = labels === undefined ? '' : ` ${JSON.stringify(labels)}`;
      append(into, `${type} ${nameOf(codec, wire)}@${revision}${labelText}`);
    },
    bookmark: (revision, end, _first, into) => append(into, `BOOKMARK ${revision}${end ? ' end' : ''}`),
    error(failure, into) {
      append(into, `ERROR ${JSON.stringify(failure, (_, value) => (typeof value === 'bigint' ? `${value}` : value))}`);
    },
  };
}
