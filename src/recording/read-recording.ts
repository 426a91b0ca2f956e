import { type FileHandle, open } from 'node:fs/promises';
import {
  BLOCK_HEAD_BYTES,
  MAGIC,
  packedLength,
  RecordingDecoder,
  type RecordingEntry,
  RecordingError,
  type RecordingHeader,
} from './format.js';

const HEADER_BYTES_MAX = 64 * 2 ** 10;

/** A recording on disk. Dispose with `close`. */
export class RecordingFile {
  readonly header: RecordingHeader;
  /** Set once the entries were read to the end: the file stops in the middle of a block, as when its writer was killed. */
  cutOff = false;
  readonly #file: FileHandle;
  readonly #start: number;

  private constructor(file: FileHandle, header: RecordingHeader, start: number) {
    this.#file = file;
    this.header = header;
    this.#start = start;
  }

  /** Rejects with RecordingError when the file is not a recording, and with the system's error when it cannot be read. */
  static async open(path: string): Promise<RecordingFile> {
    const file = await open(path, 'r');
    try {
      const lead = Buffer.alloc(HEADER_BYTES_MAX);
      const { bytesRead } = await file.read(lead, 0, lead.length, 0);
      const text = lead.toString('utf8', 0, bytesRead);
      if (!text.startsWith(MAGIC)) {
        const other = /^listwatch recording (\d+)\n/.exec(text);
        if (other === null) throw new RecordingError('not a recording of listwatch');
        throw new RecordingError(`a recording of version ${other[1]}; this listwatch reads version 1`);
      }
      const end = text.indexOf('\n', MAGIC.length);
      if (end === -1) throw new RecordingError('the header has no end');
      const header = parseHeader(text.slice(MAGIC.length, end));
      return new RecordingFile(file, header, Buffer.byteLength(text.slice(0, end + 1)));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Entries from the beginning, each time; those of one block together. Throws RecordingError where the file is damaged;
   * a cut-off end is only noted.
   */
  async *batches(): AsyncGenerator<Iterable<RecordingEntry>> {
    const decoder = new RecordingDecoder();
    const head = Buffer.alloc(BLOCK_HEAD_BYTES);
    this.cutOff = false;
    for (let at = this.#start; ; ) {
      const { bytesRead } = await this.#file.read(head, 0, BLOCK_HEAD_BYTES, at);
      if (bytesRead < BLOCK_HEAD_BYTES) {
        this.cutOff = bytesRead > 0;
        return;
      }
      const packed = Buffer.allocUnsafe(packedLength(head, at));
      const { bytesRead: there } = await this.#file.read(packed, 0, packed.length, at + BLOCK_HEAD_BYTES);
      if (there < packed.length) {
        this.cutOff = true;
        return;
      }
      yield decoder.entries(head, packed, at);
      at += BLOCK_HEAD_BYTES + packed.length;
    }
  }

  async *entries(): AsyncGenerator<RecordingEntry> {
    for await (const batch of this.batches()) yield* batch;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function parseHeader(json: string): RecordingHeader {
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch {
    throw new RecordingError('the header is not JSON');
  }
  const texts = ['group', 'version', 'resource', 'prefix', 'startedAt', 'source'];
  const missing = texts.find((name) => typeof (header as Record<string, unknown> | null)?.[name] !== 'string');
  if (missing !== undefined) throw new RecordingError(`the header has no ${missing}`);
  return header as RecordingHeader;
}
