import { type FileHandle, open } from 'node:fs/promises';
import { RestoredState } from '../cache/restored-state.js';
import type { Storage } from '../cache/storage.js';
import { type ByteRange, rangeOf } from '../lib/bytes.js';
import {
  BLOCK_HEAD_BYTES,
  type BlockHead,
  type CheckpointHeader,
  checkBlock,
  DamagedError,
  DATA_ALIGNMENT,
  decodeHeader,
  decodeLead,
  END,
  ENTRIES,
  ENTRY_ROW_BYTES,
  LEAD_BYTES,
  OBJECTS,
  OLD_VERSIONS,
  readBlockHead,
  VERSION_ROW_BYTES,
} from './format.js';

/** Within what a version's columns can hold (versions/rows.ts). */
const KEY_LENGTH_MAX = 2 ** 24 - 1;
const OBJECT_OFFSET_MAX = 255;

/**
 * A checkpoint that is being read. `open` reads the header, so that the caller can decide whether the rest is worth it; `load`
 * reads block after block, the next one while the last one is put into the slabs. Both throw DamagedError for
 * whatever is not as it was written.
 */
export class CheckpointReader implements AsyncDisposable {
  readonly header: CheckpointHeader;
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #crc: number;
  #position: number;
  #blocks = 0;
  /** Two, in turn: one is taken while the next block is read into the other. Memory that is new costs more than what it holds. */
  readonly #buffers: [Buffer, Buffer] = [Buffer.allocUnsafeSlow(0), Buffer.allocUnsafeSlow(0)];

  private constructor(file: FileHandle, size: number, header: CheckpointHeader, crc: number, position: number) {
    this.#file = file;
    this.#size = size;
    this.header = header;
    this.#crc = crc;
    this.#position = position;
  }

  /** Rejects with the file system's error, e.g. ENOENT, too. */
  static async open(path: string): Promise<CheckpointReader> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const { length, crc } = decodeLead(await readAt(file, 0, LEAD_BYTES, size));
      const header = decodeHeader(await readAt(file, LEAD_BYTES, length, size), crc);
      // A row takes more than a byte: what is announced beyond the file's size is not there.
      const { objects, entries, idsMax } = header;
      if (objects > size || entries > size || idsMax > 2 ** 31) throw new DamagedError('the header counts too much');
      return new CheckpointReader(file, size, header, crc, LEAD_BYTES + length);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async load(storage: Storage, signal: AbortSignal): Promise<RestoredState> {
    const state = new RestoredState(storage, this.header);
    let next = this.#readBlock();
    for (;;) {
      const block = await next;
      signal.throwIfAborted();
      if (block.head.type === END) break;
      next = this.#readBlock();
      next.catch(() => {}); // It is awaited unless this block is damaged as well.
      this.#take(block, state);
    }
    if (this.#position !== this.#size) throw new DamagedError('something follows the end');
    state.finish();
    if (storage.engine.size !== this.header.objects) throw new DamagedError('objects are missing');
    return state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #readBlock(): Promise<Block> {
    const number = this.#blocks++;
    const lead = await readAt(this.#file, this.#position, BLOCK_HEAD_BYTES, this.#size);
    const head = readBlockHead(lead, number);
    const from = this.#position + BLOCK_HEAD_BYTES;
    const payload = await readAt(this.#file, from, head.length, this.#size, this.#bufferOf(number, head.length));
    this.#position = from + head.length;
    checkBlock(lead, payload, number, head.crc, this.#crc);
    return { head, payload };
  }

  /** Also of a length that is not true: the file's size bounds it. */
  #bufferOf(number: number, length: number): Buffer {
    const which = (number & 1) as 0 | 1;
    if (this.#buffers[which].length < length && length <= this.#size) {
      this.#buffers[which] = Buffer.allocUnsafeSlow(length);
    }
    return this.#buffers[which];
  }

  #take({ head, payload }: Block, state: RestoredState): void {
    if (head.type === OBJECTS || head.type === OLD_VERSIONS) takeVersions(head, payload, state);
    else if (head.type === ENTRIES) takeEntries(head, payload, state);
    else throw new DamagedError(`a block of type ${head.type}`);
  }
}

interface Block {
  readonly head: BlockHead;
  readonly payload: Buffer;
}

function takeVersions({ type, rows }: BlockHead, payload: Buffer, state: RestoredState): void {
  const key: ByteRange = rangeOf(payload);
  const wire: ByteRange = rangeOf(payload);
  let at = rows * VERSION_ROW_BYTES;
  if (at > payload.length) throw new DamagedError('rows leave their block');
  const { doubles, words } = columnsOf(payload, at);
  for (let row = 0; row < rows; row++) {
    const [double, word] = [row * 4, row * 8];
    const [keyLength, wireLength] = [words[word + 4]!, words[word + 5]!];
    const [objectOffset, id] = [words[word + 6]!, words[word + 7]!];
    const [modRevision, createRevision] = [doubles[double]!, doubles[double + 1]!];
    key.start = at;
    key.end = wire.start = at + keyLength;
    wire.end = wire.start + wireLength;
    const fits = keyLength <= KEY_LENGTH_MAX && objectOffset <= Math.min(OBJECT_OFFSET_MAX, wireLength);
    const ordered = createRevision > 0 && createRevision <= modRevision && modRevision <= Number.MAX_SAFE_INTEGER;
    if (!fits || !ordered || wire.end > payload.length) throw new DamagedError('a version is not one');
    state.version(id, type === OBJECTS, key, wire, objectOffset, createRevision, modRevision);
    at = (wire.end + DATA_ALIGNMENT - 1) & -DATA_ALIGNMENT;
  }
  if (at !== payload.length) throw new DamagedError('a block is longer than its versions');
  state.applyObjects();
}

function takeEntries({ rows }: BlockHead, payload: Buffer, state: RestoredState): void {
  if (rows * ENTRY_ROW_BYTES !== payload.length) throw new DamagedError('history entries leave their block');
  const { doubles, words } = columnsOf(payload, payload.length);
  for (let row = 0; row < rows; row++) {
    state.entry(doubles[row * 3]!, doubles[row * 3 + 1]!, words[row * 6 + 4]! | 0, words[row * 6 + 5]! | 0);
  }
}

/** The first bytes of a block as doubles and as words. Blocks are read to the beginning of a buffer of their own, so they are aligned. */
function columnsOf(payload: Buffer, length: number): { readonly doubles: Float64Array; readonly words: Uint32Array } {
  const { buffer, byteOffset } = payload;
  return {
    doubles: new Float64Array(buffer, byteOffset, length / 8),
    words: new Uint32Array(buffer, byteOffset, length / 4),
  };
}

/** Exactly these bytes; throws DamagedError where the file does not have them. */
async function readAt(
  file: FileHandle,
  position: number,
  length: number,
  size: number,
  into?: Buffer,
): Promise<Buffer> {
  if (position + length > size) throw new DamagedError('the file is cut short');
  const bytes = into === undefined ? Buffer.allocUnsafeSlow(length) : into.subarray(0, length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new DamagedError('the file is cut short');
    done += bytesRead;
  }
  return bytes;
}
