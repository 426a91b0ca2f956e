import type { ModRevision } from '../api/revision.js';
import { InvariantError } from '../lib/assert.js';
import type { VersionId } from './versions.js';

const CHUNK_ENTRIES = 8_192;

interface Chunk {
  readonly ids: Int32Array;
  readonly revisions: Float64Array;
}

/** First in, first out, in the order of the revisions that superseded the entries. Grows and shrinks by chunks. */
export class RetireQueue {
  length = 0;
  readonly #chunks: Chunk[] = [];
  #spare: Chunk | undefined;
  #head = 0;
  #tail = CHUNK_ENTRIES;
  #lastRevision: ModRevision = 0;

  get reservedBytes(): number {
    return (this.#chunks.length + (this.#spare === undefined ? 0 : 1)) * CHUNK_ENTRIES * 12;
  }

  push(id: VersionId, supersededAt: ModRevision): void {
    if (supersededAt < this.#lastRevision) {
      throw new InvariantError(
        `versions are retired in the order of revisions: ${supersededAt} comes after ${this.#lastRevision}`,
      );
    }
    this.#lastRevision = supersededAt;
    if (this.#tail === CHUNK_ENTRIES) {
      this.#chunks.push(this.#spare ?? newChunk());
      this.#spare = undefined;
      this.#tail = 0;
    }
    const chunk = this.#chunks[this.#chunks.length - 1]!;
    chunk.ids[this.#tail] = id;
    chunk.revisions[this.#tail] = supersededAt;
    this.#tail++;
    this.length++;
  }

  /** The revision that superseded the first entry; only when there is one. */
  firstRevision(): ModRevision {
    return this.#chunks[0]!.revisions[this.#head]!;
  }

  shift(): VersionId {
    const id = this.#chunks[0]!.ids[this.#head]!;
    this.#head++;
    this.length--;
    if (this.length === 0) {
      this.#head = 0;
      this.#tail = 0;
    } else if (this.#head === CHUNK_ENTRIES) {
      this.#spare = this.#chunks.shift();
      this.#head = 0;
    }
    return id;
  }

  forEach(visit: (id: VersionId, supersededAt: ModRevision) => void): void {
    for (let index = 0; index < this.length; index++) {
      const at = this.#head + index;
      const chunk = this.#chunks[Math.floor(at / CHUNK_ENTRIES)]!;
      visit(chunk.ids[at % CHUNK_ENTRIES]!, chunk.revisions[at % CHUNK_ENTRIES]!);
    }
  }
}

function newChunk(): Chunk {
  return { ids: new Int32Array(CHUNK_ENTRIES), revisions: new Float64Array(CHUNK_ENTRIES) };
}
