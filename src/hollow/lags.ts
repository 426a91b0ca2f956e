import { Latencies } from './latencies.js';

interface Write {
  readonly resource: string;
  readonly startMs: number;
}

/**
 * From the moment a write is sent to the moment a watcher has read its event, by revision. An event may be there before
 * the answer to the write is: it waits for it. Both sides keep a bounded number of revisions and forget the oldest, which
 * no watcher that is alive still needs, or which others wrote.
 */
export class Lags {
  readonly byResource = new Map<string, Latencies>();
  readonly #writes = new Map<string, Write>();
  readonly #early = new Map<string, number[]>();
  readonly #kept: number;
  readonly #observe: (ms: number) => void;

  constructor(kept: number, observe: (ms: number) => void) {
    this.#kept = kept;
    this.#observe = observe;
  }

  /** Milliseconds of one monotonic clock. */
  wrote(resourceVersion: string, resource: string, startMs: number): void {
    const write = { resource, startMs };
    this.#writes.set(resourceVersion, write);
    forgetOldest(this.#writes, this.#kept);
    for (const atMs of this.#early.get(resourceVersion) ?? []) this.#add(write, atMs);
    this.#early.delete(resourceVersion);
  }

  observed(resourceVersion: string, atMs: number): void {
    const write = this.#writes.get(resourceVersion);
    if (write !== undefined) return this.#add(write, atMs);
    const waiting = this.#early.get(resourceVersion);
    if (waiting !== undefined) waiting.push(atMs);
    else this.#early.set(resourceVersion, [atMs]);
    forgetOldest(this.#early, this.#kept);
  }

  #add({ resource, startMs }: Write, atMs: number): void {
    let latencies = this.byResource.get(resource);
    if (latencies === undefined) this.byResource.set(resource, (latencies = new Latencies()));
    latencies.add(atMs - startMs);
    this.#observe(atMs - startMs);
  }
}

function forgetOldest<T>(map: Map<string, T>, kept: number): void {
  while (map.size > kept) map.delete(map.keys().next().value as string);
}
