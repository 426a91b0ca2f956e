import type { VersionId } from '../versions/versions.js';

const CHUNK_SHIFT = 14;
const CHUNK_MASK = 2 ** CHUNK_SHIFT - 1;

/** Two 32-bit values per version id, side by side (one cache line for both); grows by chunks, which never move. */
export class IdColumns {
  readonly #chunks: Int32Array[] = [];

  get reservedBytes(): number {
    return this.#chunks.length * 2 ** CHUNK_SHIFT * 8;
  }

  first(id: VersionId): number {
    return this.#chunks[id >>> CHUNK_SHIFT]![(id & CHUNK_MASK) << 1]!;
  }

  second(id: VersionId): number {
    return this.#chunks[id >>> CHUNK_SHIFT]![((id & CHUNK_MASK) << 1) + 1]!;
  }

  /** Whether the id was ever set, so that it can be read. */
  has(id: VersionId): boolean {
    return id >= 0 && id >>> CHUNK_SHIFT < this.#chunks.length;
  }

  setFirst(id: VersionId, value: number): void {
    this.#chunkOf(id)[(id & CHUNK_MASK) << 1] = value;
  }

  setSecond(id: VersionId, value: number): void {
    this.#chunkOf(id)[((id & CHUNK_MASK) << 1) + 1] = value;
  }

  #chunkOf(id: VersionId): Int32Array {
    const index = id >>> CHUNK_SHIFT;
    while (this.#chunks.length <= index) this.#chunks.push(new Int32Array(2 ** (CHUNK_SHIFT + 1)));
    return this.#chunks[index]!;
  }
}
