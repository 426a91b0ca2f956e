import { LocalSource } from '../source/local-source.js';
import { DELETE, type EntryVisitor, PUT, type RangeRequest, type RangeResult, SourceError } from '../source/source.js';
import type { RecordingEntry } from './format.js';
import { readRevisions, readState, type RecordedRevision, type RecordingFile } from './read-recording.js';

/** A recording as a store that can be listed once, and whose changes come when `deliver` is called. */
export class RecordedSource extends LocalSource {
  readonly name = 'recording';
  readonly #entries: AsyncGenerator<RecordingEntry>;
  #listed = false;
  /** Rejects when the state cannot be read: to list again would not help. */
  readonly failed: Promise<never>;
  #fail: (error: unknown) => void = () => {};

  constructor(file: RecordingFile) {
    super();
    this.#entries = file.entries();
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
  }

  /** The whole state, whatever the limit: it is read once, from front to back. */
  range(_request: RangeRequest, visit: EntryVisitor): Promise<RangeResult> {
    return this.#state(visit).catch((error: unknown) => {
      this.#fail(error);
      throw error;
    });
  }

  /** What comes after the state; see `readRevisions`. */
  revisions(ended: (reason: string) => void): AsyncGenerator<RecordedRevision> {
    return readRevisions(this.#entries, ended);
  }

  deliver({ changes, revision }: RecordedRevision): void {
    const { handler } = this;
    for (const change of changes) {
      const { key, modRevision } = change;
      if (change.type === 'delete') handler.change(DELETE, key, 0, key.length, 0, 0, 0, modRevision);
      else {
        const bytes = joined(key, change.value);
        handler.change(PUT, bytes, 0, key.length, key.length, bytes.length, change.createRevision, modRevision);
      }
    }
    this.revision = revision;
    handler.commit(revision);
  }

  async #state(visit: EntryVisitor): Promise<RangeResult> {
    if (this.#listed) throw new SourceError('compacted', 'a recording is listed once');
    this.#listed = true;
    let count = 0;
    const revision = await readState(this.#entries, ({ key, value, createRevision, modRevision }) => {
      const bytes = joined(key, value);
      visit(bytes, 0, key.length, key.length, bytes.length, createRevision, modRevision);
      count++;
    });
    this.revision = revision;
    return { revision, count, more: false };
  }
}

function joined(key: Uint8Array, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(key.length + value.length);
  bytes.set(key);
  bytes.set(value, key.length);
  return bytes;
}
