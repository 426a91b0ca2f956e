import { parseListOptions } from '../api/list-options.js';
import type { Kind } from '../codec/kind.js';
import type { KindSet } from '../codec/kind-set.js';
import type { KindCodec, WireObject } from '../codec/codec.js';
import { objectName } from '../codec/scan.js';
import type { Clock, Timer } from '../lib/clock.js';
import type { Failure } from '../serve/failure.js';
import type { Reader, WatchFormat, WatchRun } from '../serve/reader.js';
import type { ModRevision } from '../api/revision.js';

/** When the watch of CRDs ends, or does not begin. */
const AGAIN_AFTER_MS = 1_000;

export interface CustomKindsOptions {
  readonly kinds: KindSet;
  /** Of CustomResourceDefinitions. */
  readonly reader: Reader;
  readonly clock: Clock;
  /** A kind is not served any more, since a revision of the store of CRDs: new requests do not find it. */
  readonly removed: (kind: Kind, revision: ModRevision) => void;
  readonly log: (message: string) => void;
}

/**
 * Keeps the set of kinds as the CustomResourceDefinitions in the store have it: a watch like those of clients, from the
 * state on. When it ends it begins anew, and what the new state does not have any more is gone.
 */
export class CustomKinds {
  readonly #options: CustomKindsOptions;
  readonly #stopped = new AbortController();
  #run: WatchRun | undefined;
  #again: Timer | undefined;
  #synced = false;

  constructor(options: CustomKindsOptions) {
    this.#options = options;
  }

  /** The kinds of all CRDs are known. */
  get synced(): boolean {
    return this.#synced;
  }

  start(): void {
    void this.#watch().catch((error: unknown) => this.#retry(String(error)));
  }

  stop(): void {
    this.#stopped.abort();
    this.#run?.close();
    this.#again?.cancel();
  }

  async #watch(): Promise<void> {
    const { reader, kinds } = this.#options;
    /** Not seen again since the watch began; undefined once the state is complete. */
    let missing: Set<string> | undefined = new Set(kinds.definitions);
    const format: WatchFormat = {
      id: 'custom-kinds',
      firstDiffers: false,
      event: (type, wire, revision) => {
        const name = objectName(wire.bytes, wire.start, wire.end);
        missing?.delete(name);
        this.#define(name, type === 'DELETED' ? undefined : read(reader.codec, wire), revision);
      },
      bookmark: (revision, initialEventsEnd) => {
        if (!initialEventsEnd || missing === undefined) return;
        for (const name of missing) this.#define(name, undefined, revision);
        missing = undefined;
        this.#synced = true;
      },
      error: (failure) => this.#options.log(describe(failure)),
    };
    const options = parseListOptions(
      'watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&resourceVersion=0',
    );
    if (!options.ok) throw new Error(options.message);
    const { signal } = this.#stopped;
    const request = {
      namespace: undefined,
      options: options.value,
      signal,
      legacyPath: false,
      format,
      ofServer: true,
    } as const;
    const session = await reader.watch(request);
    if (signal.aborted) return;
    if (!session.ok) return this.#retry(describe(session.failure));
    this.#run = session.value.start({
      write: () => true,
      end: () => this.#retry(undefined),
      fail: (message) => this.#retry(message),
    });
  }

  #define(name: string, crd: unknown, revision: ModRevision): void {
    for (const kind of this.#options.kinds.define(name, crd)) this.#options.removed(kind, revision);
  }

  #retry(message: string | undefined): void {
    if (this.#stopped.signal.aborted) return;
    if (message !== undefined) this.#options.log(message);
    this.#run = undefined;
    this.#again?.cancel();
    this.#again = this.#options.clock.setTimer(AGAIN_AFTER_MS, () => this.start());
  }
}

function read(codec: KindCodec, { bytes, start, end }: WireObject): unknown {
  return codec.read(bytes, start, end);
}

function describe(failure: Failure): string {
  return 'message' in failure ? failure.message : failure.kind;
}
