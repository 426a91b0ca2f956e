import type { FrameScanner } from './frames.js';

const CRLF = Buffer.from('\r\n', 'latin1');

/**
 * What the transports derive from a chunk. A group's members get the same chunk one after the other, so the last
 * one is remembered: it is counted and encoded once for all of them.
 */
export class SharedChunk {
  #counted: Uint8Array | undefined;
  #events = 0;
  #encoded: Uint8Array | undefined;
  #http1: Buffer = CRLF;

  /** Events in a chunk, which holds whole ones only. */
  events(chunk: Uint8Array, scanner: FrameScanner): number {
    if (this.#counted !== chunk) {
      this.#events = scanner.push(chunk);
      this.#counted = chunk;
    }
    return this.#events;
  }

  /** The chunk as a part of a chunked body: its size in hexadecimal, a line's end, the bytes, a line's end (RFC 9112, 7.1). */
  http1(chunk: Uint8Array): Buffer {
    if (this.#encoded !== chunk) {
      this.#http1 = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1'), chunk, CRLF]);
      this.#encoded = chunk;
    }
    return this.#http1;
  }
}
