import type { ModRevision } from '../api/revision.js';
import type { KindSet } from '../codec/kind-set.js';
import type { Kind } from '../codec/kind.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { type Following, follow } from '../serve/follow.js';
import type { Reader } from '../serve/reader.js';

export interface CustomKindsOptions {
  readonly kinds: KindSet;
  /** Of CustomResourceDefinitions. */
  readonly reader: Reader;
  readonly clock: Clock;
  readonly limits: Limits;
  /** A kind is not served any more, since a revision of the store of CRDs: new requests do not find it. */
  readonly removed: (kind: Kind, revision: ModRevision) => void;
  /** A kind is served, or is another one than before. */
  readonly appeared?: (kind: Kind) => void;
  /** Called once: the CRDs that the store had are known. */
  readonly known?: () => void;
  readonly log: (message: string) => void;
}

/** Keeps the set of kinds as the CustomResourceDefinitions in the store have it. */
export class CustomKinds {
  readonly #options: CustomKindsOptions;
  #following: Following | undefined;
  #synced = false;
  readonly #seen = new WeakSet<Kind>();

  constructor(options: CustomKindsOptions) {
    this.#options = options;
  }

  /** The kinds of all CRDs are known. */
  get synced(): boolean {
    return this.#synced;
  }

  start(): void {
    const { reader, clock, limits, log } = this.#options;
    const follower = {
      put: (crd: unknown, { name }: { readonly name: string }, revision: ModRevision) =>
        this.#define(name, crd, revision),
      remove: ({ name }: { readonly name: string }, revision: ModRevision) => this.#define(name, undefined, revision),
      synced: () => {
        if (this.#synced) return;
        this.#synced = true;
        this.#options.known?.();
      },
      failed: log,
    };
    this.#following = follow(reader, follower, clock, limits);
  }

  stop(): void {
    this.#following?.stop();
  }

  #define(name: string, crd: unknown, revision: ModRevision): void {
    const { kinds, removed, appeared } = this.#options;
    for (const kind of kinds.define(name, crd)) removed(kind, revision);
    // Not what `define` has changed: the kinds of CRDs that were loaded are there already, and new to us.
    for (const kind of kinds.definedBy(name)) {
      if (this.#seen.has(kind)) continue;
      this.#seen.add(kind);
      appeared?.(kind);
    }
  }
}
