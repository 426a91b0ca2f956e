import { type FileHandle, open } from 'node:fs/promises';
import type { ModRevision } from '../api/revision.js';
import { type Clock, sleep } from '../lib/clock.js';
import { listPrefix } from '../source/list-prefix.js';
import { PUT, type Source, SourceError, type WatchEnd, type WatchHandler } from '../source/source.js';
import { encodeHeader, RecordingEncoder, type RecordingHeader } from './format.js';

export interface RecorderOptions {
  readonly source: Source;
  readonly header: RecordingHeader;
  readonly path: string;
  readonly clock: Clock;
  /** Ends the recording; what there is by then is written. A reason that is a text is written down. */
  readonly signal: AbortSignal;
  /** Ends after so many changes, with the revision that they are in; undefined: no bound. */
  readonly changesMax: number | undefined;
  readonly progress: (recorded: Recorded) => void;
}

export interface Recorded {
  readonly objects: number;
  readonly changes: number;
  readonly bytes: number;
  readonly reason: string;
}

const PAGE_COUNT = 5_000;
/** Nobody but the owner reads what a cluster holds. */
const MODE = 0o600;
/** A block that is not full is written after this long: what a killed recorder loses. */
const WRITE_EVERY_MS = 1_000;
const RETRY_MS = 500;

/**
 * Writes the state of one kind, then every change as it arrives, until it is told to end, has enough, or the store cannot
 * go on. A watch that is cut is taken up again where it was. Rejects with SourceError when the state cannot be read, and
 * with the system's error when the file cannot be written.
 */
export async function record(options: RecorderOptions): Promise<Recorded> {
  const file = await open(options.path, 'wx', MODE);
  try {
    return await new Recorder(file, options).run();
  } finally {
    await file.close();
  }
}

class Recorder {
  readonly #file: FileHandle;
  readonly #options: RecorderOptions;
  readonly #encoder = new RecordingEncoder();
  #objects = 0;
  #changes = 0;
  #bytes = 0;
  #revision: ModRevision = 0;
  #generation: number | undefined;
  #startMs = 0;
  /** As many changes as were wanted; later ones are not recorded. */
  #enough = false;

  constructor(file: FileHandle, options: RecorderOptions) {
    this.#file = file;
    this.#options = options;
  }

  async run(): Promise<Recorded> {
    const { header, clock, signal } = this.#options;
    await this.#write(encodeHeader(header));
    await this.#state();
    this.#startMs = clock.monotonicMs();
    let reason: string | undefined;
    while (!signal.aborted && !this.#enough) {
      const end = await this.#watch();
      if (signal.aborted || this.#enough) break;
      if (end.kind === 'compacted') {
        reason = `changes after revision ${this.#revision} were compacted before they were seen`;
        break;
      }
      if (end.kind === 'replaced') {
        reason = `the store was replaced: ${end.message}`;
        break;
      }
      await sleep(clock, RETRY_MS, signal);
    }
    reason ??= typeof signal.reason === 'string' ? signal.reason : 'ended by its user';
    if (this.#enough) reason = `${this.#changes} changes were recorded`;
    this.#encoder.end(reason);
    await this.#drain(true);
    return this.#recorded(reason);
  }

  async #state(): Promise<void> {
    const { source, header, signal } = this.#options;
    const pages: Buffer[] = [];
    const { revision, generation } = await listPrefix(
      source,
      Buffer.from(header.prefix),
      (bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
        const [key, value] = [bytes.subarray(keyStart, keyEnd), bytes.subarray(valueStart, valueEnd)];
        this.#encoder.object(key, value, createRevision, modRevision);
        this.#objects++;
        const block = this.#encoder.block();
        if (block !== undefined) pages.push(block);
      },
      { pageCount: PAGE_COUNT, signal },
    ).catch((error: unknown) => {
      if (signal.aborted) throw new SourceError('closed', 'interrupted while the state was read: nothing is recorded');
      throw error;
    });
    for (const block of pages) await this.#write(block);
    this.#encoder.state(revision);
    this.#revision = revision;
    this.#generation = generation;
    await this.#drain(true);
    this.#options.progress(this.#recorded(''));
  }

  /** Resolves when the watch has ended. */
  async #watch(): Promise<WatchEnd> {
    const { source, header, clock, signal } = this.#options;
    const encoder = this.#encoder;
    let ended: WatchEnd | undefined;
    let wake = () => {};
    const handler: WatchHandler = {
      change: (type, bytes, keyStart, keyEnd, valueStart, valueEnd, createRevision, modRevision) => {
        if (this.#enough) return;
        const key = bytes.subarray(keyStart, keyEnd);
        if (type === PUT) encoder.put(key, bytes.subarray(valueStart, valueEnd), createRevision, modRevision);
        else encoder.delete(key, modRevision);
        this.#changes++;
      },
      commit: (revision) => {
        if (this.#enough) return;
        encoder.commit(revision, (clock.monotonicMs() - this.#startMs) * 1_000);
        this.#revision = revision;
        this.#enough = this.#changes >= (this.#options.changesMax ?? Number.POSITIVE_INFINITY);
        if (this.#enough) wake();
      },
      progress: () => {},
      ended: (end) => {
        ended ??= end;
        wake();
      },
    };
    const generation = this.#generation === undefined ? {} : { generation: this.#generation };
    const request = { prefix: Buffer.from(header.prefix), startRevision: this.#revision + 1, ...generation };
    const handle = source.watch(request, handler);
    const stop = () => wake();
    signal.addEventListener('abort', stop);
    while (ended === undefined && !signal.aborted && !this.#enough) {
      const woken = new AbortController();
      wake = () => woken.abort();
      await sleep(clock, WRITE_EVERY_MS, woken.signal);
      await this.#drain(true);
      this.#options.progress(this.#recorded(''));
    }
    signal.removeEventListener('abort', stop);
    handle.close();
    return ended ?? { kind: 'closed' };
  }

  async #drain(all: boolean): Promise<void> {
    const block = this.#encoder.block(all);
    if (block !== undefined) await this.#write(block);
  }

  async #write(bytes: Buffer): Promise<void> {
    await this.#file.writeFile(bytes);
    this.#bytes += bytes.length;
  }

  #recorded(reason: string): Recorded {
    return { objects: this.#objects, changes: this.#changes, bytes: this.#bytes, reason };
  }
}
