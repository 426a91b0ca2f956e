import { prefixEnd } from '../lib/bytes.js';

const SLASH = 0x2f;

export interface KeyRange {
  /** Keys with from <= key < to. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/**
 * Which watched ranges hold a key. Nearly all watches are on a whole kind, one namespace or one
 * object; the last two are found by a look-up, so watchers of other namespaces and objects cost
 * a change nothing.
 */
export class RangeIndex<T extends KeyRange> {
  readonly #prefix: Uint8Array;
  readonly #prefixEnd: Uint8Array;
  readonly #everything = new Set<T>();
  /** By `<prefix><namespace>/`, as latin1. */
  readonly #namespaces = new Map<string, Set<T>>();
  readonly #keys = new Map<string, Set<T>>();
  readonly #others = new Set<T>();

  constructor(prefix: Uint8Array) {
    this.#prefix = prefix;
    this.#prefixEnd = prefixEnd(prefix);
  }

  get size(): number {
    return this.#everything.size + this.#namespaces.size + this.#keys.size + this.#others.size;
  }

  add(range: T): void {
    const { map, name, set } = this.#placeOf(range);
    if (map === undefined) {
      set.add(range);
      return;
    }
    const found = map.get(name);
    if (found === undefined) map.set(name, new Set([range]));
    else found.add(range);
  }

  remove(range: T): void {
    const { map, name, set } = this.#placeOf(range);
    if (map === undefined) {
      set.delete(range);
      return;
    }
    const found = map.get(name);
    found?.delete(range);
    if (found?.size === 0) map.delete(name);
  }

  visit(bytes: Uint8Array, start: number, end: number, found: (range: T) => void): void {
    for (const range of this.#everything) found(range);
    if (this.#namespaces.size > 0) {
      const slash = bytes.indexOf(SLASH, start + this.#prefix.length);
      if (slash !== -1 && slash < end) {
        const ranges = this.#namespaces.get(latin1(bytes, start, slash + 1));
        if (ranges !== undefined) for (const range of ranges) found(range);
      }
    }
    if (this.#keys.size > 0) {
      const ranges = this.#keys.get(latin1(bytes, start, end));
      if (ranges !== undefined) for (const range of ranges) found(range);
    }
    for (const range of this.#others) if (holdsKey(range, bytes, start, end)) found(range);
  }

  #placeOf({ from, to }: KeyRange): { map: Map<string, Set<T>> | undefined; name: string; set: Set<T> } {
    const none = { map: undefined, name: '' };
    if (Buffer.compare(from, this.#prefix) <= 0 && Buffer.compare(to, this.#prefixEnd) >= 0) {
      return { ...none, set: this.#everything };
    }
    if (to.length === from.length + 1 && to[from.length] === 0 && Buffer.compare(to.subarray(0, -1), from) === 0) {
      return { map: this.#keys, name: latin1(from, 0, from.length), set: this.#others };
    }
    const firstSlash = from.indexOf(SLASH, this.#prefix.length);
    const belowPrefix = Buffer.compare(from.subarray(0, this.#prefix.length), this.#prefix) === 0;
    if (belowPrefix && firstSlash === from.length - 1 && Buffer.compare(to, prefixEnd(from)) === 0) {
      return { map: this.#namespaces, name: latin1(from, 0, from.length), set: this.#others };
    }
    return { ...none, set: this.#others };
  }
}

export function holdsKey({ from, to }: KeyRange, bytes: Uint8Array, start: number, end: number): boolean {
  const key = asBuffer(bytes);
  return key.compare(from, 0, from.length, start, end) >= 0 && key.compare(to, 0, to.length, start, end) < 0;
}

export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
