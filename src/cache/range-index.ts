import { Interests, type ObjectChange } from '../indexer/interests.js';
import type { Selector } from '../indexer/indexer.js';
import { prefixEnd } from '../lib/bytes.js';

const SLASH = 0x2f;

export interface KeyRange {
  /** Keys with from <= key < to. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** Who watches a range, and perhaps only some of the objects in it. */
export interface Interested extends KeyRange {
  readonly filter?: { readonly selector?: Selector | undefined } | undefined;
}

/**
 * Which watched ranges hold a key, and which of them want to know of a change. Nearly all watches are on a
 * whole kind, one namespace or one object; the last two are found by a look-up, and within each the terms of the
 * object find those who select by them. So watchers of other namespaces, objects and terms cost a change nothing.
 */
export class RangeIndex<T extends Interested> {
  readonly #prefix: Uint8Array;
  readonly #prefixEnd: Uint8Array;
  readonly #everything = new Interests<T>();
  /** By `<prefix><namespace>/`, as latin1. */
  readonly #namespaces = new Map<string, Interests<T>>();
  readonly #keys = new Map<string, Interests<T>>();
  readonly #others = new Set<T>();
  size = 0;

  constructor(prefix: Uint8Array) {
    this.#prefix = prefix;
    this.#prefixEnd = prefixEnd(prefix);
  }

  add(range: T): void {
    this.size++;
    const place = this.#placeOf(range);
    if (place.map === undefined) {
      if (place.interests === undefined) this.#others.add(range);
      else place.interests.add(range, range.filter?.selector);
      return;
    }
    let interests = place.map.get(place.name);
    if (interests === undefined) place.map.set(place.name, (interests = new Interests()));
    interests.add(range, range.filter?.selector);
  }

  remove(range: T): void {
    this.size--;
    const place = this.#placeOf(range);
    if (place.map === undefined) {
      if (place.interests === undefined) this.#others.delete(range);
      else place.interests.remove(range, range.filter?.selector);
      return;
    }
    const interests = place.map.get(place.name);
    interests?.remove(range, range.filter?.selector);
    if (interests?.size === 0) place.map.delete(place.name);
  }

  /** Without a change: everybody whose range holds the key. */
  visit(
    bytes: Uint8Array,
    start: number,
    end: number,
    change: ObjectChange | undefined,
    found: (range: T) => void,
  ): void {
    this.#everything.visit(change, found);
    if (this.#namespaces.size > 0) {
      const slash = bytes.indexOf(SLASH, start + this.#prefix.length);
      if (slash !== -1 && slash < end) this.#namespaces.get(latin1(bytes, start, slash + 1))?.visit(change, found);
    }
    if (this.#keys.size > 0) this.#keys.get(latin1(bytes, start, end))?.visit(change, found);
    for (const range of this.#others) if (holdsKey(range, bytes, start, end)) found(range);
  }

  /** A map and the name in it, or the interests themselves, or (odd ranges) neither. */
  #placeOf({
    from,
    to,
  }: KeyRange):
    | { readonly map: Map<string, Interests<T>>; readonly name: string }
    | { readonly map: undefined; readonly interests: Interests<T> | undefined } {
    if (Buffer.compare(from, this.#prefix) <= 0 && Buffer.compare(to, this.#prefixEnd) >= 0) {
      return { map: undefined, interests: this.#everything };
    }
    if (to.length === from.length + 1 && to[from.length] === 0 && Buffer.compare(to.subarray(0, -1), from) === 0) {
      return { map: this.#keys, name: latin1(from, 0, from.length) };
    }
    const firstSlash = from.indexOf(SLASH, this.#prefix.length);
    const belowPrefix = Buffer.compare(from.subarray(0, this.#prefix.length), this.#prefix) === 0;
    if (belowPrefix && firstSlash === from.length - 1 && Buffer.compare(to, prefixEnd(from)) === 0) {
      return { map: this.#namespaces, name: latin1(from, 0, from.length) };
    }
    return { map: undefined, interests: undefined };
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
