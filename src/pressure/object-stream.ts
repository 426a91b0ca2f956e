import { assert } from '../lib/assert.js';
import { seededRandom } from '../lib/random.js';
import type { KindCodec } from '../codec/codec.js';
import { createKindCodec } from '../codec/kind-codec.js';
import type { Kind } from '../codec/kind.js';
import { findKind } from '../codec/kinds.js';
import { type Manifest, manifests, NAME, NAMESPACE, type PressureKind, TICK } from './manifests.js';

/** Values that a stream tells apart: more would only be more memory of the generator's own. */
const VARIANTS = 64;
/** As many objects as names have room for. */
export const OBJECTS_MAX = 10 ** NAME.length;

/** The size that was asked for is less than such an object takes. */
export class ObjectTooSmall extends Error {
  override readonly name = 'ObjectTooSmall';
  readonly least: number;
  constructor(kind: PressureKind, least: number) {
    super(`one of the ${kind} takes ${least} bytes at least`);
    this.least = least;
  }
}

/**
 * Stored values of one kind at the speed of a memcpy: one of a few templates, with the name of object `index` and a
 * number that changes with each write put in. What `set` returns is used again by the next call.
 */
export class ObjectStream {
  readonly kind: Kind;
  readonly codec: KindCodec;
  /** The kind's directory in etcd, with its slash. */
  readonly prefix: Buffer;
  readonly key: Buffer;
  value: Buffer = Buffer.alloc(0);
  readonly #templates: readonly Template[];

  /** `objectBytes`: of a stored value; undefined: what such objects take by nature. Throws ObjectTooSmall. */
  constructor(name: PressureKind, objectBytes: number | undefined, seed: number) {
    const manifest: Manifest = manifests[name];
    const kind = findKind(manifest.group, 'v1', manifest.resource);
    assert(kind !== undefined, `${name} are not in the registry`);
    this.kind = kind;
    this.codec = createKindCodec(kind);
    const directory = `/registry/${kind.directory}/`;
    this.prefix = Buffer.from(directory);
    this.key = Buffer.from(`${directory}${kind.namespaced ? `${NAMESPACE}/` : ''}${NAME}`);
    const random = seededRandom(seed);
    this.#templates = Array.from({ length: VARIANTS }, () => {
      const variant = random.int(2 ** 31);
      const build = (padding: number) => {
        const stored = this.codec.toStored(manifest.build(seededRandom(variant), padding));
        return Buffer.from(stored.buffer, stored.byteOffset, stored.length);
      };
      return template(objectBytes === undefined ? build(0) : padded(name, build, objectBytes));
    });
  }

  /** Object `index` as of its write number `tick`. */
  set(index: number, tick: number): this {
    const { value, names, ticks } = this.#templates[(index + tick) % VARIANTS]!;
    this.value = value;
    writeDigits(this.key, this.key.length - NAME.length, NAME.length, index);
    for (let at = 0; at < names.length; at++) writeDigits(value, names[at]!, NAME.length, index);
    for (let at = 0; at < ticks.length; at++) writeDigits(value, ticks[at]!, TICK.length, tick);
    return this;
  }

  /** The index of the object with this key, or with the key just before it. */
  indexOf(key: Uint8Array): number {
    return Number(Buffer.from(key.subarray(this.key.length - NAME.length, this.key.length)).toString('latin1'));
  }

  /** Of key and value, over the templates. */
  get storedBytes(): number {
    return this.key.length + this.#templates.reduce((sum, { value }) => sum + value.length, 0) / VARIANTS;
  }
}

interface Template {
  readonly value: Buffer;
  readonly names: readonly number[];
  readonly ticks: readonly number[];
}

function template(value: Buffer): Template {
  const [names, ticks] = [positions(value, NAME), positions(value, TICK)];
  assert(names.length > 0 && ticks.length > 0, 'the template of an object has no room for its name or its tick');
  return { value, names, ticks };
}

function padded(name: PressureKind, build: (padding: number) => Buffer, objectBytes: number): Buffer {
  const bare = build(0).length;
  if (bare === objectBytes) return build(0);
  const least = build(1).length;
  if (least > objectBytes) throw new ObjectTooSmall(name, least);
  // Lengths are varints, so that a byte more of padding can be two more of the value.
  let padding = objectBytes - least + 1;
  while (padding > 1 && build(padding).length > objectBytes) padding--;
  return build(padding);
}

function positions(value: Buffer, text: string): number[] {
  const found: number[] = [];
  for (let at = value.indexOf(text); at !== -1; at = value.indexOf(text, at + text.length)) found.push(at);
  return found;
}

function writeDigits(into: Buffer, at: number, digits: number, number: number): void {
  let rest = number;
  for (let digit = digits - 1; digit >= 0; digit--) {
    into[at + digit] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}
