/** What precedes each message of gRPC: one byte of flags and the length. */
const PREFIX_BYTES = 5;

export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, PREFIX_BYTES);
  return frame;
}

/** Why a stream of messages cannot go on, as gRPC would say it. */
export type MessageRefusal = (code: number, details: string) => void;

/** gRPC's status codes that a receiver gives. */
const RESOURCE_EXHAUSTED = 8;
const INTERNAL = 13;

/**
 * Cuts the bytes of one stream into messages. They come in pieces of any size: a message that lies whole in one
 * piece is passed on where it lies, any other is put together first.
 */
export class MessageSplitter {
  readonly #bytesMax: number;
  readonly #message: (bytes: Buffer) => void;
  readonly #refuse: MessageRefusal;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixFilled = 0;
  #body: Buffer | undefined;
  #bodyFilled = 0;
  #stopped = false;

  constructor(bytesMax: number, message: (bytes: Buffer) => void, refuse: MessageRefusal) {
    this.#bytesMax = bytesMax;
    this.#message = message;
    this.#refuse = refuse;
  }

  /** True between two messages. */
  get isWhole(): boolean {
    return this.#prefixFilled === 0;
  }

  /** Nothing is passed on any more, not even of the piece that is being cut. */
  stop(): void {
    this.#stopped = true;
    this.#body = undefined;
  }

  /** How many messages ended in this piece. */
  add(chunk: Buffer): number {
    const to = chunk.length;
    let at = 0;
    let count = 0;
    for (;;) {
      if (this.#stopped) return count;
      if (this.#prefixFilled < PREFIX_BYTES) {
        if (at === to) return count;
        const taken = Math.min(PREFIX_BYTES - this.#prefixFilled, to - at);
        chunk.copy(this.#prefix, this.#prefixFilled, at, at + taken);
        this.#prefixFilled += taken;
        at += taken;
        if (this.#prefixFilled < PREFIX_BYTES) return count;
        if (!this.#accepts()) return count;
      }
      const length = this.#prefix.readUInt32BE(1);
      if (this.#body === undefined && to - at >= length) {
        this.#prefixFilled = 0;
        at += length;
        count++;
        this.#message(chunk.subarray(at - length, at));
        continue;
      }
      this.#body ??= Buffer.allocUnsafeSlow(length);
      const taken = Math.min(length - this.#bodyFilled, to - at);
      chunk.copy(this.#body, this.#bodyFilled, at, at + taken);
      this.#bodyFilled += taken;
      at += taken;
      if (this.#bodyFilled < length) return count;
      const message = this.#body;
      this.#body = undefined;
      this.#bodyFilled = 0;
      this.#prefixFilled = 0;
      count++;
      this.#message(message);
    }
  }

  #accepts(): boolean {
    const flags = this.#prefix[0]!;
    const length = this.#prefix.readUInt32BE(1);
    if (flags === 0 && length <= this.#bytesMax) return true;
    this.stop();
    if (flags !== 0) this.#refuse(INTERNAL, `a message is compressed (flags ${flags}), which was not offered`);
    else this.#refuse(RESOURCE_EXHAUSTED, `Received message larger than max (${length} vs ${this.#bytesMax})`);
    return false;
  }
}
