import type { ByteWriter, WireWriter } from '../../codec/codec.js';
import { copyBytes } from '../../lib/bytes.js';

/** A ByteWriter that grows by doubling and can hand its bytes away. */
export class BufferWriter implements WireWriter {
  bytes: Buffer;
  position = 0;
  headerStart = 0;
  start = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  reserve(size: number): void {
    const needed = this.position + size;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.position);
    this.bytes = grown;
  }

  /** What has been written, as a view: valid until the next write. */
  written(): Buffer {
    return this.bytes.subarray(0, this.position);
  }

  /** Hands the bytes to the caller for good and starts over in fresh memory: a socket may still be reading them. */
  take(nextSize: number): Buffer {
    const taken = this.bytes.subarray(0, this.position);
    this.bytes = Buffer.allocUnsafeSlow(nextSize);
    this.position = 0;
    return taken;
  }
}

export function writeText(into: ByteWriter, text: string): void {
  into.reserve(text.length * 3); // a UTF-16 unit is at most three bytes of UTF-8
  into.position += into.bytes.write(text, into.position, 'utf8');
}

export function writeBytes(into: ByteWriter, source: Uint8Array, start = 0, end = source.length): void {
  into.reserve(end - start);
  copyBytes(into.bytes, into.position, source, start, end);
  into.position += end - start;
}
