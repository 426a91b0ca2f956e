/**
 * Buffers of one size that bodies are put together in, to be filled again: fresh memory costs as much as filling it, and
 * V8 collects garbage by what is outside of its heap, so that a chunk for each answer is a collection every few of them.
 *
 *     take ──> filled ──> in the transport ──> give      only when the transport is done with it, so nobody reads it
 *                              └──> the connection broke: not given back, the collector has it
 */
export class ChunkPool {
  readonly chunkBytes: number;
  readonly #spareMax: number;
  readonly #spare: Buffer[] = [];

  /** Keeps at most `spareBytesMax`; any number may be in use. */
  constructor(chunkBytes: number, spareBytesMax: number) {
    this.chunkBytes = chunkBytes;
    this.#spareMax = Math.floor(spareBytesMax / chunkBytes);
  }

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.chunkBytes);
  }

  /** Takes a buffer that nobody reads or holds any more; of another size, it is left to the collector. */
  give(buffer: Buffer): void {
    if (buffer.length === this.chunkBytes && this.#spare.length < this.#spareMax) this.#spare.push(buffer);
  }
}
