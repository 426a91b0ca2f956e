import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StateCapture } from '../cache/restored-state.js';
import { type ByteRange, prefixEnd, rangeOf, utf8 } from '../lib/bytes.js';
import { NONE, type VersionId } from '../versions/versions.js';
import {
  BLOCK_HEAD_BYTES,
  type BlockType,
  type CheckpointHeader,
  DATA_ALIGNMENT,
  encodeHeader,
  END,
  ENTRIES,
  ENTRY_ROW_BYTES,
  OBJECTS,
  OLD_VERSIONS,
  VERSION_ROW_BYTES,
  writeBlockHead,
} from './format.js';

export interface WriteOptions {
  /** Payload of a block, about: what is copied in one go before ingest and watches get their turn. */
  readonly blockBytes: number;
  readonly signal: AbortSignal;
}

export type HeaderOfCapture = Pick<CheckpointHeader, 'codec' | 'prefix' | 'clusterId' | 'raftTerm'>;

/** Ids taken from the snapshot at a time. */
const IDS_AT_ONCE = 8_192;
const ROWS_PER_BLOCK = 8_192;

/**
 * Writes the capture to a file of its own, makes it durable and only then gives it its name: whatever happens, the name
 * stands for a whole checkpoint or the one before. Only a block is copied at a time, so nobody waits. Returns the bytes written.
 * Rejects with what the file system says, or when the signal aborts; nothing is left then.
 */
export async function writeCheckpoint(
  path: string,
  capture: StateCapture,
  origin: HeaderOfCapture,
  options: WriteOptions,
): Promise<number> {
  const temporary = `${path}.${process.pid}.tmp`;
  const file = await open(temporary, 'w', 0o600);
  try {
    let written: number;
    try {
      written = await new CheckpointWriter(file, capture, origin, options).write();
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
    return written;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

class CheckpointWriter {
  readonly #file: FileHandle;
  readonly #capture: StateCapture;
  readonly #origin: HeaderOfCapture;
  readonly #options: WriteOptions;
  readonly #head = Buffer.alloc(BLOCK_HEAD_BYTES);
  /** One memory, seen as doubles, words and bytes. */
  readonly #doubles = new Float64Array((ROWS_PER_BLOCK * VERSION_ROW_BYTES) / 8);
  readonly #words = new Int32Array(this.#doubles.buffer);
  readonly #rowBytes = new Uint8Array(this.#doubles.buffer);
  #data: Uint8Array;
  #rows = 0;
  #used = 0;
  #blocks = 0;
  #crc = 0;
  #written = 0;
  readonly #key: ByteRange = rangeOf(new Uint8Array(0));
  readonly #wire: ByteRange = rangeOf(new Uint8Array(0));

  constructor(file: FileHandle, capture: StateCapture, origin: HeaderOfCapture, options: WriteOptions) {
    this.#file = file;
    this.#capture = capture;
    this.#origin = origin;
    this.#options = options;
    this.#data = new Uint8Array(options.blockBytes);
  }

  async write(): Promise<number> {
    const { history, revision, snapshot } = this.#capture;
    const ids = await this.#objectIds();
    let idsMax = 0;
    for (const id of ids) idsMax = Math.max(idsMax, id + 1);
    for (const id of history.previous) idsMax = Math.max(idsMax, id + 1);
    const { bytes, crc } = encodeHeader({
      ...this.#origin,
      revision,
      historyTail: history.tail,
      tailAgeMs: history.tailAgeMs,
      objects: snapshot.size,
      entries: history.count,
      idsMax,
    });
    this.#crc = crc;
    await this.#put([bytes]);
    await this.#versions(OBJECTS, ids);
    await this.#versions(OLD_VERSIONS, history.previous);
    await this.#entries();
    await this.#block(END, []);
    return this.#written;
  }

  /** In key order; some at a time. */
  async #objectIds(): Promise<Int32Array> {
    const { snapshot, versions } = this.#capture;
    const ids = new Int32Array(snapshot.size);
    const prefix = utf8(this.#origin.prefix);
    const to = rangeOf(prefixEnd(prefix));
    let from: Uint8Array | undefined = prefix;
    let count = 0;
    while (from !== undefined) {
      const until: number = count + IDS_AT_ONCE;
      let next: VersionId = NONE;
      snapshot.range(rangeOf(from), to, (id) => {
        if (count === until) next = id;
        else ids[count++] = id;
        return next === NONE;
      });
      from = next === NONE ? undefined : this.#copyOfKey(versions.key(next, this.#key));
      await yieldTurn(this.#options.signal);
    }
    return ids.subarray(0, count);
  }

  #copyOfKey({ bytes, start, end }: ByteRange): Uint8Array {
    return new Uint8Array(bytes.subarray(start, end));
  }

  async #versions(type: BlockType, ids: Int32Array): Promise<void> {
    for (const id of ids) {
      if (id === NONE) continue; // An entry that created its key.
      const { versions } = this.#capture;
      const key = versions.key(id, this.#key);
      const keyLength = key.end - key.start;
      const wireLength = versions.wireSize(id);
      const size = (keyLength + wireLength + DATA_ALIGNMENT - 1) & -DATA_ALIGNMENT;
      if (this.#rows === ROWS_PER_BLOCK || (this.#rows > 0 && this.#used + size > this.#data.length)) {
        await this.#versionBlock(type);
        versions.key(id, this.#key);
      }
      if (size > this.#data.length) this.#data = new Uint8Array(size);
      // Key and wire bytes lie together, but only the interface's word counts.
      this.#data.set(key.bytes.subarray(key.start, key.end), this.#used);
      const wire = versions.wire(id, this.#wire);
      this.#data.set(wire.bytes.subarray(wire.start, wire.end), this.#used + keyLength);
      const object = versions.object(id, this.#key);
      const row = (this.#rows * VERSION_ROW_BYTES) / 8;
      this.#doubles[row] = versions.modRevision(id);
      this.#doubles[row + 1] = versions.createRevision(id);
      this.#words[row * 2 + 4] = keyLength;
      this.#words[row * 2 + 5] = wireLength;
      this.#words[row * 2 + 6] = object.start - wire.start;
      this.#words[row * 2 + 7] = id;
      this.#rows++;
      this.#used += size;
    }
    if (this.#rows > 0) await this.#versionBlock(type);
  }

  async #versionBlock(type: BlockType): Promise<void> {
    await this.#block(type, [
      this.#rowBytes.subarray(0, this.#rows * VERSION_ROW_BYTES),
      this.#data.subarray(0, this.#used),
    ]);
    this.#used = 0;
  }

  async #entries(): Promise<void> {
    const { history } = this.#capture;
    const flush = () => this.#block(ENTRIES, [this.#rowBytes.subarray(0, this.#rows * ENTRY_ROW_BYTES)]);
    for (let entry = 0; entry < history.count; entry++) {
      const row = (this.#rows * ENTRY_ROW_BYTES) / 8;
      this.#doubles[row] = history.revisions[entry]!;
      this.#doubles[row + 1] = history.agesMs[entry]!;
      this.#words[row * 2 + 4] = history.next[entry]!;
      this.#words[row * 2 + 5] = history.previous[entry]!;
      this.#rows++;
      if (this.#rows === ROWS_PER_BLOCK) await flush();
    }
    if (this.#rows > 0) await flush();
  }

  async #block(type: BlockType, payload: readonly Uint8Array[]): Promise<void> {
    this.#options.signal.throwIfAborted();
    writeBlockHead(this.#head, type, this.#blocks, this.#rows, payload, this.#crc);
    this.#blocks++;
    this.#rows = 0;
    await this.#put([this.#head, ...payload]);
  }

  async #put(parts: readonly Uint8Array[]): Promise<void> {
    let size = 0;
    for (const part of parts) size += part.length;
    const { bytesWritten } = await this.#file.writev(parts);
    // Node does not go on after a short write, as of a disk that has just become full.
    if (bytesWritten !== size)
      throw new Error(`only ${bytesWritten} of ${size} bytes were written: the disk may be full`);
    this.#written += size;
  }
}

async function yieldTurn(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

/** The new name is durable too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
