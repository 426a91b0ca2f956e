import { type KubeObject, time } from '../app/sample/objects.js';
import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import { createKindCodec } from '../codec/kind-codec.js';
import { kindByObject } from '../codec/kinds.js';
import { utf8 } from '../lib/bytes.js';
import type { Clock } from '../lib/clock.js';
import type { Random } from '../lib/random.js';
import type { WritableStore, WriteOperation } from '../source/source.js';
import type { ReadObject } from './answers.js';
import type { Meters } from './meters.js';
import { type Ref, WriteFailed, WriteRefused, type Writer } from './writer.js';
import { isObject } from '../lib/is-object.js';

/** Objects are in the store without it; read from the API they have it. */
type Stored = KubeObject;

/**
 * Writes what kube-apiserver would have written. It keeps every object as last written, so that a patch needs no read:
 * nobody else writes into the hollow cluster's store.
 */
export class StoreWriter implements Writer {
  readonly #store: Pick<WritableStore, 'write'>;
  readonly #prefix: string;
  readonly #codecs = new Map<Kind, KindCodec>();
  readonly #meters: Meters;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #kept = new Map<string, Stored>();
  /** The last write under way per key: a store may finish writes in another order than they were sent. */
  readonly #last = new Map<string, Promise<unknown>>();

  /** `prefix`: of the keys, such as /registry. */
  constructor(
    store: Pick<WritableStore, 'write'>,
    prefix: string,
    parts: { readonly meters: Meters; readonly clock: Clock; readonly random: Random },
  ) {
    this.#store = store;
    this.#prefix = prefix;
    this.#meters = parts.meters;
    this.#clock = parts.clock;
    this.#random = parts.random;
  }

  async create(object: KubeObject): Promise<ReadObject> {
    const ref = refOf(object);
    if (this.#kept.has(keyOf(ref))) throw new WriteRefused(`${keyOf(ref)} already exists`);
    const created = {
      uid: this.#random.uuid(),
      creationTimestamp: time(this.#clock.nowMs()),
      ...(object['spec'] === undefined || ref.kind.resource === 'leases' ? {} : { generation: 1 }),
    };
    return this.#put(ref, { ...object, metadata: { ...object.metadata, ...created } });
  }

  async update(object: ReadObject): Promise<ReadObject> {
    const { resourceVersion: _, ...metadata } = object.metadata;
    const ref = refOf(object as unknown as KubeObject);
    this.#require(ref);
    return this.#put(ref, { ...object, metadata } as unknown as Stored);
  }

  async patch(ref: Ref, patch: object): Promise<ReadObject> {
    return this.#put(ref, merged(this.#require(ref), patch) as Stored);
  }

  async bind(ref: Ref, node: string): Promise<void> {
    const pod = this.#require(ref) as Stored & { spec: { nodeName?: string } };
    if (pod.spec.nodeName !== undefined) throw new WriteRefused(`${keyOf(ref)} is bound already`);
    const condition = {
      type: 'PodScheduled',
      status: 'True',
      lastProbeTime: null,
      lastTransitionTime: time(this.#clock.nowMs()),
    };
    await this.patch(ref, { spec: { nodeName: node }, status: { conditions: [condition] } });
  }

  async delete(ref: Ref, graceSeconds: number): Promise<void> {
    const object = this.#require(ref) as Stored & { spec?: { nodeName?: string } };
    if (graceSeconds > 0 && object.spec?.nodeName !== undefined) {
      if (object.metadata['deletionTimestamp'] !== undefined) return;
      const deletionTimestamp = time(this.#clock.nowMs() + graceSeconds * 1_000);
      await this.patch(ref, { metadata: { deletionTimestamp, deletionGracePeriodSeconds: graceSeconds } });
      return;
    }
    this.#kept.delete(keyOf(ref));
    await this.#write(ref, (key) => ({ type: 'delete', key }));
  }

  #require(ref: Ref): Stored {
    const object = this.#kept.get(keyOf(ref));
    if (object === undefined) throw new WriteRefused(`${keyOf(ref)} not found`);
    return object;
  }

  async #put(ref: Ref, object: Stored): Promise<ReadObject> {
    this.#kept.set(keyOf(ref), object);
    const resourceVersion = await this.#write(ref, (key) => ({
      type: 'put',
      key,
      value: this.#codec(ref.kind).toStored(object),
    }));
    return { ...object, metadata: { ...object.metadata, resourceVersion } };
  }

  #codec(kind: Kind): KindCodec {
    let codec = this.#codecs.get(kind);
    if (codec === undefined) this.#codecs.set(kind, (codec = createKindCodec(kind)));
    return codec;
  }

  async #write(ref: Ref, operation: (key: Uint8Array) => WriteOperation): Promise<string> {
    const key = keyOf(ref);
    const before = this.#last.get(key) ?? Promise.resolve();
    const writing = before
      .catch(() => {}) // its own caller hears of it
      .then(async () => {
        const { kind, namespace, name } = ref;
        const place = namespace === undefined ? name : `${namespace}/${name}`;
        const one = operation(utf8(`${this.#prefix}/${kind.directory}/${place}`));
        const startMs = this.#clock.monotonicMs();
        const resourceVersion = String(await this.#store.write([one]));
        this.#meters.writes.add(this.#clock.monotonicMs() - startMs);
        this.#meters.lags.wrote(resourceVersion, ref.kind.resource, startMs);
        return resourceVersion;
      });
    this.#last.set(key, writing);
    try {
      return await writing;
    } catch (error) {
      throw new WriteFailed(`${key}: ${(error as Error).message}`);
    } finally {
      if (this.#last.get(key) === writing) this.#last.delete(key);
    }
  }
}

function keyOf({ kind, namespace, name }: Ref): string {
  return namespace === undefined ? `${kind.resource}/${name}` : `${kind.resource}/${namespace}/${name}`;
}

function refOf({ apiVersion, kind, metadata: { namespace, name } }: KubeObject): Ref {
  return { kind: kindByObject(apiVersion, kind)!, namespace, name };
}

/** RFC 7386, without changing either. */
export function merged(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}
