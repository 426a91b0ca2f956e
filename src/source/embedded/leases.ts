import type { Clock, Timer } from '../../lib/clock.js';
import type { Random } from '../../lib/random.js';
import { SourceError } from '../source.js';
import type { KeyEntry } from './key-order.js';

interface Lease {
  readonly id: bigint;
  readonly ttlMs: number;
  readonly entries: Set<KeyEntry>;
  timer: Timer;
}

/** Leases and the keys attached to them. What an ended lease means for its keys is the store's business. */
export class Leases {
  readonly #leases = new Map<bigint, Lease>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #expired: (entries: readonly KeyEntry[]) => void;

  /** `expired` gets the keys of an expired lease, in key order. */
  constructor(clock: Clock, random: Random, expired: (entries: readonly KeyEntry[]) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#expired = expired;
  }

  grant(ttlSeconds: number): bigint {
    if (!(ttlSeconds > 0)) throw new SourceError('invalid', `embedded store: a lease cannot last ${ttlSeconds} s`);
    let id: bigint;
    do id = BigInt(`0x${this.#random.hex(15)}`);
    while (id === 0n || this.#leases.has(id));
    const ttlMs = ttlSeconds * 1_000;
    this.#leases.set(id, { id, ttlMs, entries: new Set(), timer: this.#timer(id, ttlMs) });
    return id;
  }

  keepAlive(id: bigint): void {
    const lease = this.#get(id);
    lease.timer.cancel();
    lease.timer = this.#timer(id, lease.ttlMs);
  }

  /** Ends the lease and returns its keys in key order. */
  revoke(id: bigint): KeyEntry[] {
    const lease = this.#get(id);
    lease.timer.cancel();
    this.#leases.delete(id);
    return [...lease.entries].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Throws SourceError `invalid` when there is no such lease. */
  require(id: bigint): void {
    this.#get(id);
  }

  attach(id: bigint, entry: KeyEntry): void {
    this.#get(id).entries.add(entry);
  }

  /** A key leaves its lease when it is deleted or written again; the lease may be gone by then. */
  detach(id: bigint, entry: KeyEntry): void {
    this.#leases.get(id)?.entries.delete(entry);
  }

  close(): void {
    for (const { timer } of this.#leases.values()) timer.cancel();
    this.#leases.clear();
  }

  #get(id: bigint): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) throw new SourceError('invalid', 'etcdserver: requested lease not found');
    return lease;
  }

  #timer(id: bigint, ttlMs: number): Timer {
    return this.#clock.setTimer(ttlMs, () => this.#expired(this.revoke(id)));
  }
}
