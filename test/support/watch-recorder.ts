import assert from 'node:assert/strict';
import type { ModRevision } from '../../src/api/revision.js';
import { type ChangeType, DELETE, type Source, type WatchEnd, type WatchHandle } from '../../src/source/source.js';

export interface RecordedChange {
  readonly type: 'PUT' | 'DELETE';
  /** Bytes as characters (latin1). */
  readonly key: string;
  readonly value: string;
  readonly createRevision: ModRevision;
}

export interface RecordedRevision {
  readonly revision: ModRevision;
  readonly changes: RecordedChange[];
}

/**
 * Follows a watch, checks WatchHandler's promises at every call, and keeps what it saw:
 *   every change lies between commits of its own revision; revisions grow strictly; progress never goes back and,
 *   unless `progressMayOvertake`, never precedes a revision that comes later; nothing comes after `ended`.
 */
export class WatchRecorder {
  readonly revisions: RecordedRevision[] = [];
  readonly progress: ModRevision[] = [];
  handle: WatchHandle | undefined;
  end: WatchEnd | undefined;
  changeCount = 0;
  /** Broken promises; `until` and `verify` throw the first. */
  readonly #violations: string[] = [];
  #open: RecordedRevision | undefined;
  #committed = 0;
  #wake: (() => void)[] = [];
  readonly #keepsValues: boolean;
  readonly #progressMayOvertake: boolean;

  constructor(keepsValues = true, progressMayOvertake = false) {
    this.#keepsValues = keepsValues;
    this.#progressMayOvertake = progressMayOvertake;
  }

  change(
    type: ChangeType,
    bytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    valueStart: number,
    valueEnd: number,
    createRevision: ModRevision,
    modRevision: ModRevision,
  ): void {
    this.#check(this.end === undefined, 'a change after the end');
    if (this.#open === undefined) {
      this.#check(modRevision > this.#committed, `revision ${modRevision} after ${this.#committed}`);
      this.#check(
        this.#progressMayOvertake || modRevision > (this.progress.at(-1) ?? 0),
        `revision ${modRevision} after progress ${this.progress.at(-1)}`,
      );
      this.#open = { revision: modRevision, changes: [] };
    }
    this.#check(this.#open.revision === modRevision, `a change of ${modRevision} within ${this.#open.revision}`);
    if (type === DELETE) this.#check(valueStart === valueEnd && createRevision === 0, 'a DELETE with content');
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#open.changes.push({
      type: type === DELETE ? 'DELETE' : 'PUT',
      key: view.toString('latin1', keyStart, keyEnd),
      value: this.#keepsValues ? view.toString('latin1', valueStart, valueEnd) : String(valueEnd - valueStart),
      createRevision,
    });
    this.changeCount++;
  }

  commit(modRevision: ModRevision): void {
    this.#check(this.end === undefined, 'a commit after the end');
    this.#check(this.#open?.revision === modRevision, `a commit of ${modRevision} without its changes`);
    if (this.#open !== undefined) this.revisions.push(this.#open);
    this.#committed = modRevision;
    this.#open = undefined;
    this.#woken();
  }

  ended(end: WatchEnd): void {
    this.#check(this.end === undefined, 'a second end');
    this.#check(this.#open === undefined, 'an end within a revision');
    this.end = end;
    this.#woken();
  }

  /** Resolves when the condition holds; looked at after every commit, progress and end. */
  async until(what: string, holds: () => boolean, timeoutMs = 20_000): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs;
    while (!holds()) {
      this.verify();
      const remainingMs = deadlineMs - Date.now();
      if (remainingMs <= 0) {
        const seen = `${this.revisions.length} revisions up to ${this.#committed}, progress ${this.progress.at(-1)}`;
        throw new Error(`${what}: not within ${timeoutMs} ms; saw ${seen}, end ${JSON.stringify(this.end)}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, remainingMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    this.verify();
  }

  untilRevision(revision: ModRevision, timeoutMs?: number): Promise<void> {
    return this.until(`revision ${revision}`, () => this.#committed >= revision || this.end !== undefined, timeoutMs);
  }

  async untilEnd(timeoutMs?: number): Promise<WatchEnd> {
    await this.until('the end of the watch', () => this.end !== undefined, timeoutMs);
    return this.end!;
  }

  verify(): void {
    assert.deepEqual(this.#violations, []);
  }

  get committed(): ModRevision {
    return this.#committed;
  }

  /** For WatchHandler. */
  get handler() {
    return {
      change: this.change.bind(this),
      commit: this.commit.bind(this),
      ended: this.ended.bind(this),
      progress: (revision: ModRevision) => {
        this.#check(this.end === undefined, 'progress after the end');
        this.#check(this.#open === undefined, 'progress within a revision');
        this.#check(revision >= (this.progress.at(-1) ?? 0), `progress ${revision} after ${this.progress.at(-1)}`);
        this.progress.push(revision);
        this.#woken();
      },
    };
  }

  #check(holds: boolean, otherwise: string): void {
    if (!holds) this.#violations.push(otherwise);
  }

  #woken(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const run of wake) run();
  }
}

/** Starts a watch and records it. */
export function recordWatch(
  source: Source,
  prefix: string,
  startRevision: ModRevision,
  options: { keepsValues?: boolean; generation?: number | undefined; progressMayOvertake?: boolean } = {},
): WatchRecorder {
  const recorder = new WatchRecorder(options.keepsValues, options.progressMayOvertake);
  const request = {
    prefix: Buffer.from(prefix, 'latin1'),
    startRevision,
    ...(options.generation === undefined ? {} : { generation: options.generation }),
  };
  recorder.handle = source.watch(request, recorder.handler);
  return recorder;
}
