import { join } from 'node:path';
import { groupResourceOf } from '../api/gvr.js';
import { backOffMs } from '../cache/reflector.js';
import type { FoundState, SavedState } from '../cache/restored-state.js';
import type { LiveCache } from '../cache/create-cache.js';
import type { Storage } from '../cache/storage.js';
import type { KindCodec } from '../codec/codec.js';
import type { Kind } from '../codec/kind.js';
import { type Clock, sleep, type Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import { type Source, SourceError, type StoreId } from '../source/source.js';
import type { CheckpointHeader } from './format.js';
import { matchIdentity, matchRevision, matchSamples, MismatchError } from './match-store.js';
import { CheckpointReader } from './read-checkpoint.js';
import { writeCheckpoint } from './write-checkpoint.js';

export interface CheckpointsOptions {
  /** Exists, and is ours alone. */
  readonly folder: string;
  /** One that can say who it is. */
  readonly source: Source;
  readonly etcdPrefix: string;
  /** Whatever changes the wire bytes that are made of a stored value: the release, and options of the codec. */
  readonly make: string;
  /** Kinds that are never written. */
  readonly isPrivate: (kind: Kind) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly log: (kind: Kind, level: 'info' | 'warn', message: string) => void;
}

/** Since the process began. */
export interface CheckpointStats {
  readonly writes: number;
  readonly writeFailures: number;
  readonly writtenBytes: number;
  readonly writeSeconds: number;
  /** Kinds that went on from their checkpoint. */
  readonly restored: number;
  /** Kinds whose checkpoint was there and could not be used. */
  readonly discarded: number;
  /** Unix time in seconds; 0: none yet. */
  readonly lastWriteSeconds: number;
}

/** What a kind's file holds. */
interface Written {
  readonly content: string;
  readonly revision: number;
  readonly atMs: number;
}

/**
 * The checkpoints of a process: written now and then, one kind after another, and once more at the end; read when a cache starts.
 * Nothing here can fail a cache: what cannot be written is said and counted, and what cannot be used is said and
 * ignored. How a checkpoint is matched with the store: match-store.ts. docs/adr/0015
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #counts = {
    writes: 0,
    writeFailures: 0,
    writtenBytes: 0,
    writeSeconds: 0,
    restored: 0,
    discarded: 0,
    lastWriteSeconds: 0,
  };
  readonly #written = new Map<Kind, Written>();
  readonly #failures = new Map<Kind, string>();
  readonly #abort = new AbortController();
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #stopping = false;

  constructor(options: CheckpointsOptions) {
    this.#options = options;
  }

  get stats(): CheckpointStats {
    return this.#counts;
  }

  /** Writes from time to time what has changed. */
  start(caches: () => readonly LiveCache[]): void {
    const { clock, limits } = this.#options;
    this.#timer = clock.setTimer(limits.checkpointEveryMs, () => {
      void this.write(caches()).finally(() => this.#stopping || this.start(caches));
    });
  }

  /** Writes what has changed, a last time. Gives up after a while: an older checkpoint is better than a shutdown that hangs. */
  async stop(caches: readonly LiveCache[]): Promise<void> {
    const { clock, limits } = this.#options;
    this.#stopping = true;
    this.#timer?.cancel();
    const tooLong = clock.setTimer(limits.checkpointShutdownMs, () => this.#abort.abort());
    await this.#writing;
    await this.write(caches);
    tooLong.cancel();
    this.#abort.abort();
  }

  /** Never rejects. One at a time: a second call waits for the first. */
  write(caches: readonly LiveCache[]): Promise<void> {
    this.#writing ??= this.#writeAll(caches).finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** The way in for a kind's cache; undefined for kinds that are never written. */
  savedFor(kind: Kind, codec: KindCodec): SavedState | undefined {
    if (this.#options.isPrivate(kind)) return undefined;
    return { restore: (createStorage, signal) => this.#restore(kind, codec, createStorage, signal) };
  }

  async #writeAll(caches: readonly LiveCache[]): Promise<void> {
    for (const cache of caches) {
      const { kind } = cache;
      if (this.#abort.signal.aborted) return;
      if (this.#options.isPrivate(kind) || cache.state !== 'ready' || !this.#isDue(cache)) continue;
      try {
        await this.#writeOne(cache);
        this.#failures.delete(kind);
      } catch (error) {
        this.#counts.writeFailures++;
        const message = `the checkpoint was not written: ${textOf(error)}`;
        if (this.#failures.get(kind) === message) continue; // Said already.
        this.#failures.set(kind, message);
        this.#options.log(kind, 'warn', message);
      }
    }
  }

  #isDue(cache: LiveCache): boolean {
    const written = this.#written.get(cache.kind);
    if (written === undefined || written.content !== contentOf(cache)) return true;
    if (written.revision === cache.revision) return false;
    // Nothing but the revision moved: soon enough before etcd compacts the old one away.
    const { clock, limits } = this.#options;
    return this.#stopping || clock.monotonicMs() - written.atMs >= limits.checkpointRefreshMs;
  }

  async #writeOne(cache: LiveCache): Promise<void> {
    const { clock, limits } = this.#options;
    const startMs = clock.monotonicMs();
    const { clusterId, raftTerm, generation } = await this.#identify(this.#abort.signal);
    const captured = cache.capture();
    if (captured === undefined) return;
    using state = captured.state;
    if (captured.generation !== generation) return; // The cache will notice that its store is gone.
    const content = contentOf(cache);
    const tooLong = new AbortController();
    const timer = clock.setTimer(limits.pinMs, () => tooLong.abort(new Error('it took too long')));
    try {
      const origin = { ...this.#originOf(cache.kind), clusterId, raftTerm };
      const signal = AbortSignal.any([this.#abort.signal, tooLong.signal]);
      const bytes = await writeCheckpoint(this.#pathOf(cache.kind), state, origin, {
        blockBytes: limits.checkpointBlockBytes,
        signal,
      });
      this.#written.set(cache.kind, { content, revision: state.revision, atMs: clock.monotonicMs() });
      this.#counts.writes++;
      this.#counts.writtenBytes += bytes;
      this.#counts.writeSeconds += (clock.monotonicMs() - startMs) / 1_000;
      this.#counts.lastWriteSeconds = clock.nowMs() / 1_000;
    } finally {
      timer.cancel();
    }
  }

  async #restore(
    kind: Kind,
    codec: KindCodec,
    createStorage: () => Storage,
    signal: AbortSignal,
  ): Promise<FoundState | undefined> {
    const { clock, limits, log, random } = this.#options;
    const startMs = clock.monotonicMs();
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const found = await this.#read(kind, codec, createStorage, signal);
        if (found === undefined) return undefined;
        this.#counts.restored++;
        const { revision, history, storage } = found.state;
        // The file holds it already: until a change comes, or a list, there is nothing to write.
        this.#written.set(kind, { content: contentText(0, 1), revision, atMs: clock.monotonicMs() });
        const counts = `${storage.engine.size} objects and ${history.count} changes at revision ${revision}`;
        log(kind, 'info', `goes on from its checkpoint: ${counts}, in ${Math.round(clock.monotonicMs() - startMs)} ms`);
        return found;
      } catch (error) {
        if (signal.aborted) return undefined;
        const message = textOf(error);
        if (error instanceof SourceError && error.kind === 'unavailable') {
          if (attempt === 0) log(kind, 'warn', `the checkpoint waits for etcd: ${message}`);
          await sleep(clock, backOffMs(attempt, limits.backoffMinMs, limits.backoffMaxMs, random.float()), signal);
          continue;
        }
        this.#counts.discarded++;
        log(kind, 'warn', `the checkpoint is not used: ${message}`);
        return undefined;
      }
    }
    return undefined;
  }

  /** undefined: there is none. Rejects when it cannot be used, or when etcd cannot be reached. */
  async #read(
    kind: Kind,
    codec: KindCodec,
    createStorage: () => Storage,
    signal: AbortSignal,
  ): Promise<FoundState | undefined> {
    const { source } = this.#options;
    let reader: CheckpointReader;
    try {
      reader = await CheckpointReader.open(this.#pathOf(kind));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    await using file = reader;
    const { header } = file;
    this.#matchOrigin(kind, header);
    const store = await this.#identify(signal);
    matchIdentity(header, store);
    await matchRevision(header, source, signal);
    const storage = createStorage();
    try {
      const found = { state: await file.load(storage, signal), generation: store.generation };
      await matchSamples(found, header, codec, source, signal);
      return found;
    } catch (error) {
      storage.versions.dispose();
      throw error;
    }
  }

  #matchOrigin(kind: Kind, header: CheckpointHeader): void {
    const own = this.#originOf(kind);
    if (header.codec !== own.codec) throw new MismatchError(`it was made by ${header.codec}, not by ${own.codec}`);
    if (header.prefix !== own.prefix) throw new MismatchError(`it is of ${header.prefix}, not of ${own.prefix}`);
  }

  #originOf(kind: Kind): { readonly codec: string; readonly prefix: string } {
    const { make, etcdPrefix } = this.#options;
    return { codec: `${make} ${kind.group}/${kind.version} ${kind.kind}`, prefix: `${etcdPrefix}/${kind.directory}/` };
  }

  #pathOf(kind: Kind): string {
    return join(this.#options.folder, `${groupResourceOf(kind.group, kind.resource)}.${kind.version}.checkpoint`);
  }

  async #identify(signal: AbortSignal): Promise<StoreId> {
    const store = await this.#options.source.identify?.(signal);
    if (store === undefined) throw new MismatchError('the store does not say which one it is');
    return store;
  }
}

/** Equal texts: equal objects and history. A list changes them without changes being received. */
function contentOf({ stats }: LiveCache): string {
  return contentText(stats.eventsReceived, stats.initializations);
}

function contentText(eventsReceived: number, initializations: number): string {
  return `${eventsReceived}/${initializations}`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
