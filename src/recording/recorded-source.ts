import type { ModRevision } from '../api/revision.js';
import { LocalSource } from '../source/local-source.js';
import { DELETE, type EntryVisitor, PUT, type RangeRequest, type RangeResult, SourceError } from '../source/source.js';
import type { RecordingEntry } from './format.js';
import type { RecordingFile } from './read-recording.js';

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

  /** What comes after the state. */
  changes(): AsyncGenerator<RecordingEntry> {
    return this.#entries;
  }

  /** Changes of one revision, which become one. */
  deliver(changes: readonly RecordingEntry[], revision: ModRevision): void {
    const { handler } = this;
    for (const change of changes) {
      if (change.type === 'put') {
        const { key, value, createRevision, modRevision } = change;
        const bytes = new Uint8Array(key.length + value.length);
        bytes.set(key);
        bytes.set(value, key.length);
        handler.change(PUT, bytes, 0, key.length, key.length, bytes.length, createRevision, modRevision);
      } else if (change.type === 'delete') {
        const { key, modRevision } = change;
        handler.change(DELETE, key, 0, key.length, 0, 0, 0, modRevision);
      }
    }
    this.revision = revision;
    handler.commit(revision);
  }

  async #state(visit: EntryVisitor): Promise<RangeResult> {
    if (this.#listed) throw new SourceError('compacted', 'a recording is listed once');
    this.#listed = true;
    let count = 0;
    for (;;) {
      const { value: entry, done } = await this.#entries.next();
      if (done === true) throw new SourceError('corrupt', 'the recording ends before its state is complete');
      if (entry.type === 'state') {
        this.revision = entry.revision;
        return { revision: entry.revision, count, more: false };
      }
      if (entry.type !== 'object') throw new SourceError('corrupt', `a ${entry.type} stands within the state`);
      const { key, value, createRevision, modRevision } = entry;
      const bytes = new Uint8Array(key.length + value.length);
      bytes.set(key);
      bytes.set(value, key.length);
      visit(bytes, 0, key.length, key.length, bytes.length, createRevision, modRevision);
      count++;
    }
  }
}
