import { type FileHandle, open } from 'node:fs/promises';
import type { ModRevision } from '../api/revision.js';
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
   * Entries from the beginning, each time. Throws RecordingError where the file is damaged;
   * a cut-off end is only noted.
   */
  async *entries(): AsyncGenerator<RecordingEntry> {
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
      yield* decoder.entries(head, packed, at);
      at += BLOCK_HEAD_BYTES + packed.length;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

export type RecordedObject = Extract<RecordingEntry, { readonly type: 'object' | 'put' }>;

/** Reads the state from the beginning of `entries`; resolves with its revision. Rejects with RecordingError when it is not whole. */
export async function readState(
  entries: AsyncGenerator<RecordingEntry>,
  visit: (object: RecordedObject) => void | Promise<void>,
): Promise<ModRevision> {
  for (;;) {
    const { value: entry, done } = await entries.next();
    if (done === true) throw new RecordingError('the recording ends before its state is complete');
    if (entry.type === 'state') return entry.revision;
    if (entry.type !== 'object') throw new RecordingError(`a ${entry.type} stands within the state`);
    const visited = visit(entry);
    if (visited !== undefined) await visited;
  }
}

/** A revision that changed something, `atUs` microseconds after the state was read. */
export interface RecordedRevision {
  readonly revision: ModRevision;
  readonly atUs: number;
  readonly changes: readonly RecordedChange[];
}
export type RecordedChange = Extract<RecordingEntry, { readonly type: 'object' | 'put' | 'delete' }>;

/** What comes after the state; `ended` is told why the recording ends. Changes of a revision that was cut off are left out. */
export async function* readRevisions(
  entries: AsyncGenerator<RecordingEntry>,
  ended: (reason: string) => void,
): AsyncGenerator<RecordedRevision> {
  let changes: RecordedChange[] = [];
  for await (const entry of entries) {
    if (entry.type === 'put' || entry.type === 'delete') changes.push(entry);
    else if (entry.type === 'end') ended(entry.reason);
    else if (entry.type === 'commit') {
      yield { revision: entry.revision, atUs: entry.atUs, changes };
      changes = [];
    } else throw new RecordingError(`a ${entry.type} stands among the changes`);
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
