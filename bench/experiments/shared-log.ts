/** Bytes that one thread appends and others follow; it does not wrap, so a trial must fit into it. */
export class SharedLog {
  /** To be given to other threads. */
  readonly memory: SharedArrayBuffer;
  readonly #written: BigInt64Array;
  readonly #bytes: Buffer;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#written = new BigInt64Array(memory, 0, 1);
    this.#bytes = Buffer.from(memory, 8);
  }

  /** How many bytes were ever appended. */
  get written(): number {
    return Number(Atomics.load(this.#written, 0));
  }

  /** Throws RangeError when the log is full. */
  append(chunk: Uint8Array): void {
    const at = this.written;
    this.#bytes.set(chunk, at);
    Atomics.store(this.#written, 0, BigInt(at + chunk.length));
  }

  /** A copy of what was appended behind the first `read` bytes. */
  behind(read: number): Buffer {
    return Buffer.from(this.#bytes.subarray(read, this.written));
  }
}
