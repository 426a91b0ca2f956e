import type { Transform } from 'node:stream';
import { createGzip, constants as zlib } from 'node:zlib';
import type { Clock } from '../../lib/clock.js';
import { type Held, heldBy } from '../../lib/held.js';
import { nextTurn, ownTick, ownTurn } from '../../lib/line.js';
import { createZstd } from '../../lib/zstd.js';
import type { ContentCoding } from '../negotiate.js';
import type { ByteSink, Done } from '../sinks.js';
import type { ChunkPool } from './chunk-pool.js';
import { BufferWriter, writeBytes } from './writer.js';

/** Bodies larger than this are compressed when the client offers it (spec 4.6). */
export const COMPRESS_ABOVE_BYTES = 128 * 2 ** 10;
/** Smaller pieces are copied, so that several make one write. */
const APART_BYTES_MIN = 16 * 2 ** 10;
/** Chunks that one gathering write may hold (docs/adr/0020-protobuf-leaves-in-one-piece.md). */
const GATHERED = 4;
/** A chunk is full with the item that fills it: room for the rest of that. */
const SLACK_BYTES = 32 * 2 ** 10;
/** A body that is known to be smaller has memory of its own. */
const POOLED_BYTES_MIN = 16 * 2 ** 10;
const NO_BYTES = Buffer.alloc(0);

/** Size of the buffers in `BodyOptions.chunks`. */
export function pooledChunkBytes(chunkBytes: number): number {
  return chunkBytes + SLACK_BYTES;
}

export interface BodyOptions {
  readonly sink: ByteSink;
  readonly clock: Clock;
  readonly chunkBytes: number;
  /** Buffers of `pooledChunkBytes(chunkBytes)`. */
  readonly chunks: ChunkPool;
  readonly sliceMs: number;
  /** How it is compressed if it is large. */
  readonly coding: ContentCoding | undefined;
  /** What is written is compressed already. */
  readonly compressed?: boolean;
  /** Of the whole body, when it is known before the first byte. */
  readonly contentLength: number | undefined;
  /** Sends the head of the response: called once, before the first chunk, when the size class is known. */
  readonly start: (body: {
    readonly coding: ContentCoding | undefined;
    readonly contentLength: number | undefined;
  }) => void;
}

/**
 * The body of a LIST while it is written: a buffer that encoders append to, handed to the
 * transport in chunks.
 *
 *     while there is more:  append an item;  if (body.due()) await body.flush()
 *
 * At most one chunk (of what is gathered: `GATHERED`) is being filled and one is in the transport, however long the list. `flush`
 * waits for a slow client, and gives way to ingest and watches when the time slice is used up.
 * It resolves to false once the client is gone: the encoder then stops.
 */
export class Body extends BufferWriter {
  readonly #options: BodyOptions;
  #compressor: Transform | undefined;
  #started = false;
  #sliceStartMs: number;
  #checks = 0;
  #drained: (() => void) | undefined;
  #closed: (() => void) | undefined;
  /** Appended and not yet sent, in order: parts of the buffer, up to `#cutAt`, and what lies elsewhere. */
  #pieces: Uint8Array[] = [];
  /** Buffers before the present one that pieces are parts of. */
  #filled: Buffer[] = [];
  /** What pieces lie in, of memory that is used again. */
  #held: Held[] = [];
  #cutBytes = 0;
  #cutAt = 0;
  /** Bytes handed to the transport, or to the compressor. */
  bytesOut = 0;

  constructor(options: BodyOptions) {
    super(0); // a buffer is taken for the first byte
    this.#options = options;
    this.#sliceStartMs = options.clock.monotonicMs();
    const wake = () => {
      const run = this.#drained;
      this.#drained = undefined;
      run?.();
    };
    options.sink.onDrain(() => {
      this.#compressor?.resume();
      wake();
    });
    options.sink.onClose(() => {
      this.#compressor?.destroy();
      this.#closed?.();
      wake();
    });
  }

  /** True when a chunk is full or the time slice is used up; cheap enough to ask after every item. */
  due(): boolean {
    if (this.#full()) return true;
    // Reading the clock costs as much as copying a small item, so not every time.
    if ((++this.#checks & 31) !== 0) return false;
    return this.#options.clock.monotonicMs() - this.#sliceStartMs >= this.#options.sliceMs;
  }

  /** Appends bytes that nobody changes while the transport holds them, or `memory` is held: large ones go there as they are. */
  append(bytes: Uint8Array, memory?: Held): void {
    if (bytes.length < APART_BYTES_MIN) {
      this.copy(bytes, 0, bytes.length);
      return;
    }
    this.#cut();
    this.#pieces.push(bytes);
    this.#cutBytes += bytes.length;
    if (memory === undefined) return;
    memory.hold();
    this.#held.push(memory);
  }

  /** What is copied goes on in another chunk when this one is full; what is encoded in place (`reserve`) never does. */
  copy(bytes: Uint8Array, start: number, end: number): void {
    if (this.position > 0 && end - start > this.bytes.length - this.position) {
      this.#cut();
      this.#filled.push(this.bytes);
      this.#leaveBuffer();
    }
    writeBytes(this, bytes, start, end);
  }

  override reserve(size: number): void {
    if (this.position + size <= this.bytes.length) return;
    if (this.bytes.length === 0) this.bytes = this.#newBuffer();
    const before = this.bytes;
    super.reserve(size);
    if (before === this.bytes) return;
    // It grew: pieces may be parts of what it was.
    if (this.#cutAt > 0) this.#filled.push(before);
    else this.#options.chunks.give(before);
  }

  async flush(): Promise<boolean> {
    const { sink, sliceMs, clock } = this.#options;
    if (this.#full() && !(await this.#send())) return false;
    if (clock.monotonicMs() - this.#sliceStartMs >= sliceMs) {
      await nextTurn();
      this.#sliceStartMs = clock.monotonicMs();
    }
    return !sink.closed;
  }

  /** Sends the rest and ends the response. */
  async end(): Promise<boolean> {
    const { sink } = this.#options;
    if (!(await this.#send())) return false;
    if (this.#compressor === undefined) sink.end();
    else this.#compressor.end();
    return true;
  }

  /** Bytes that were appended and not yet sent. */
  get #pending(): number {
    return this.#cutBytes + this.position - this.#cutAt;
  }

  /**
   * Enough for one write. What lies elsewhere is gathered, and one chunk's room is left for the piece that fills it;
   * what is copied is never more than a chunk.
   */
  #full(): boolean {
    const { sink, chunkBytes } = this.#options;
    if (this.#pending < chunkBytes) return false;
    return sink.writeAll === undefined || this.position >= chunkBytes || this.#pending >= chunkBytes * (GATHERED - 1);
  }

  /** What was appended to the buffer is a piece of its own. */
  #cut(): void {
    if (this.position === this.#cutAt) return;
    this.#pieces.push(this.bytes.subarray(this.#cutAt, this.position));
    this.#cutBytes += this.position - this.#cutAt;
    this.#cutAt = this.position;
  }

  async #send(): Promise<boolean> {
    const { sink, chunkBytes } = this.#options;
    if (sink.closed) return false;
    // The first chunk is sent when it is full or the body complete: either way its class is known.
    const size = this.#pending;
    if (!this.#started) this.#start(size, size < chunkBytes ? size : undefined);
    if (size === 0) return true;
    this.#cut();
    const pieces = this.#pieces;
    const filled = this.#filled;
    const held = this.#held;
    this.#pieces = [];
    this.#filled = [];
    this.#held = [];
    this.#cutBytes = 0;
    if (this.position > 0) {
      filled.push(this.bytes);
      this.#leaveBuffer();
    }
    if (filled.length === 0) return this.#write(pieces, held);
    const { chunks } = this.#options;
    const written = await this.#write(pieces, held, () => {
      for (const buffer of filled) chunks.give(buffer);
    });
    // Node says in a tick of its own that the kernel has taken everything: without it, a fast client's LIST would take new chunks for a whole slice.
    await ownTick();
    return written;
  }

  #leaveBuffer(): void {
    this.bytes = NO_BYTES;
    this.position = 0;
    this.#cutAt = 0;
  }

  #newBuffer(): Buffer {
    const { contentLength, chunks } = this.#options;
    if (contentLength !== undefined && contentLength < POOLED_BYTES_MIN) return Buffer.allocUnsafeSlow(contentLength);
    return chunks.take();
  }

  /** `atLeast`: bytes that the body has in any case; `whole`: all that it has, if it is complete. */
  #start(atLeast: number, whole: number | undefined): void {
    const { coding, compressed, contentLength } = this.#options;
    this.#started = true;
    const large = Math.max(atLeast, contentLength ?? 0) > COMPRESS_ABOVE_BYTES;
    const encoded = compressed === true || (coding !== undefined && large);
    this.#options.start({
      coding: encoded ? coding : undefined,
      contentLength: encoded ? undefined : (contentLength ?? whole),
    });
    if (encoded && compressed !== true) this.#compressor = this.#createCompressor(coding!);
  }

  /** `written` is called, if ever, when nobody reads the pieces any more. `held` is what they lie in. */
  async #write(pieces: readonly Uint8Array[], held: readonly Held[], written?: () => void): Promise<boolean> {
    const { sink } = this.#options;
    for (const { length } of pieces) this.bytesOut += length;
    const bytesMax = sink.writeAll === undefined ? sink.writeBytesMax : sink.writeBytesMax * GATHERED;
    const chunks = this.#compressor === undefined ? pieces.flatMap((piece) => split(piece, bytesMax)) : pieces;
    const release = held.length === 0 ? undefined : heldBy(chunks, held);
    const done: Done = (error) => {
      if (error) return; // it is not known whether anybody reads them
      release?.();
      written?.();
    };
    if (this.#compressor !== undefined) {
      for (const piece of chunks) if (!(await this.#compress(this.#compressor, piece))) return false;
      done();
      return true;
    }
    for (let at = 0; at < chunks.length; ) {
      if (sink.closed) return false;
      const end = sink.writeAll === undefined ? at + 1 : groupEnd(chunks, at, bytesMax);
      const last = end === chunks.length ? done : undefined;
      const room =
        sink.writeAll === undefined ? sink.write(chunks[at]!, last) : sink.writeAll(chunks.slice(at, end), last);
      at = end;
      if (!room && !(await this.#room())) return false;
    }
    return !sink.closed;
  }

  /** Resolves when the transport can take more; to false when it is gone. */
  async #room(): Promise<boolean> {
    const { sink } = this.#options;
    if (!sink.closed) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    await ownTurn();
    // The time spent waiting was given to others.
    this.#sliceStartMs = this.#options.clock.monotonicMs();
    return !sink.closed;
  }

  #createCompressor(coding: ContentCoding): Transform {
    const { sink } = this.#options;
    const chunkSize = Math.min(sink.writeBytesMax, 64 * 2 ** 10);
    const compressor = coding === 'zstd' ? createZstd(chunkSize) : createGzip({ level: zlib.Z_BEST_SPEED, chunkSize });
    compressor.on('data', (chunk: Buffer) => {
      if (!sink.write(chunk)) compressor.pause();
    });
    compressor.on('end', () => sink.end());
    compressor.on('error', () => sink.destroy());
    return compressor;
  }

  /** Resolves when the compressor has taken the chunk in, which waits for the client when its output is full. */
  async #compress(compressor: Transform, chunk: Uint8Array): Promise<boolean> {
    await new Promise<void>((resolve) => {
      this.#closed = resolve; // a destroyed compressor need not call back
      compressor.write(chunk, () => resolve());
    });
    await ownTurn();
    this.#sliceStartMs = this.#options.clock.monotonicMs();
    return !this.#options.sink.closed;
  }
}

function split(piece: Uint8Array, bytesMax: number): Uint8Array[] {
  if (piece.length <= bytesMax) return [piece];
  const parts: Uint8Array[] = [];
  for (let at = 0; at < piece.length; at += bytesMax) parts.push(piece.subarray(at, at + bytesMax));
  return parts;
}

/** Chunks from `start` on that make one write of at most `bytesMax`. */
function groupEnd(chunks: readonly Uint8Array[], start: number, bytesMax: number): number {
  let end = start + 1;
  for (let size = chunks[start]!.length; end < chunks.length; end++) {
    size += chunks[end]!.length;
    if (size > bytesMax) break;
  }
  return end;
}
