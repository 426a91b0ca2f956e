import type { WireObject } from '../codec/codec.js';

/** The objects that one stream saw last, bounded in bytes: the longest untouched are forgotten first. */
export class SeenObjects {
  readonly #objects = new Map<string, WireObject>();
  readonly #bytesMax: number;
  #size = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(key: string): WireObject | undefined {
    return this.#objects.get(key);
  }

  set(key: string, object: WireObject): void {
    this.delete(key);
    this.#objects.set(key, object);
    this.#size += object.bytes.length;
    for (const oldest of this.#objects.keys()) {
      if (this.#size <= this.#bytesMax) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#objects.delete(key);
    this.#size -= object.bytes.length;
  }

  clear(): void {
    this.#objects.clear();
    this.#size = 0;
  }
}
