/**
 * HTTP/2 as far as reading pages needs it (RFC 9113): frames are cut out of what a socket gives, where they lie, and the
 * few that a client sends are made. Headers are written as literals (RFC 7541) and never read.
 */
export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;

/** Of DATA and HEADERS. */
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
/** Of SETTINGS and PING. */
export const ACK = 1;

export const ENABLE_PUSH = 2;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;
export const CANCEL = 8;

/** What a peer may send, and we may, before anything else is agreed on. */
export const FRAME_BYTES_MAX = 16_384;
export const WINDOW_BYTES_DEFAULT = 65_535;
const HEAD_BYTES = 9;

export interface FrameListener {
  /** A piece of a DATA frame; its bytes are lent for the call. */
  data(stream: number, bytes: Buffer, from: number, to: number): void;
  /** The end of a frame, with the payload of all but DATA. */
  frame(type: number, flags: number, stream: number, payload: Buffer): void;
  /** What comes is not HTTP/2 as agreed; nothing is passed on any more. */
  broken(why: string): void;
}

/** Frames come in pieces of any size. */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headFilled = 0;
  /** Of the present frame, once its head is complete. */
  #type = 0;
  #flags = 0;
  #stream = 0;
  #remaining = 0;
  /** Of all frames but DATA, which are small and rare. */
  #payload: Buffer = NO_BYTES;
  #stopped = false;

  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  stop(): void {
    this.#stopped = true;
  }

  add(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length && !this.#stopped) {
      if (this.#headFilled < HEAD_BYTES) {
        this.#head[this.#headFilled++] = bytes[at++]!;
        if (this.#headFilled === HEAD_BYTES) this.#begin();
        continue;
      }
      const to = at + Math.min(this.#remaining, length - at);
      if (this.#type === DATA) this.#listener.data(this.#stream, bytes, at, to);
      else bytes.copy(this.#payload, this.#payload.length - this.#remaining, at, to);
      this.#remaining -= to - at;
      at = to;
      if (this.#remaining === 0) this.#end();
    }
  }

  #begin(): void {
    const head = this.#head;
    this.#remaining = head.readUIntBE(0, 3);
    this.#type = head[3]!;
    this.#flags = head[4]!;
    this.#stream = head.readUInt32BE(5) & 0x7fff_ffff;
    if (this.#remaining > FRAME_BYTES_MAX) {
      this.#stopped = true;
      this.#listener.broken(`a frame of ${this.#remaining} bytes`);
      return;
    }
    this.#payload = this.#type === DATA ? NO_BYTES : Buffer.alloc(this.#remaining);
    if (this.#remaining === 0) this.#end();
  }

  #end(): void {
    this.#headFilled = 0;
    this.#listener.frame(this.#type, this.#flags, this.#stream, this.#payload);
  }
}

const NO_BYTES = Buffer.alloc(0);

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export function frameOf(type: number, flags: number, stream: number, payload: Uint8Array = NO_BYTES): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + payload.length);
  frame.writeUIntBE(payload.length, 0, 3);
  frame[3] = type;
  frame[4] = flags;
  frame.writeUInt32BE(stream, 5);
  frame.set(payload, HEAD_BYTES);
  return frame;
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frameOf(SETTINGS, 0, 0, payload);
}

export function readSettings(payload: Buffer): Map<number, number> {
  const settings = new Map<number, number>();
  for (let at = 0; at + 6 <= payload.length; at += 6)
    settings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  return settings;
}

/** Of WINDOW_UPDATE, RST_STREAM. */
export function numberFrame(type: number, stream: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value, 0);
  return frameOf(type, 0, stream, payload);
}

/** Literals without indexing and without Huffman's code: the other side keeps nothing for us. */
export function headerBlock(headers: Iterable<readonly [name: string, value: string]>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of headers) parts.push(Buffer.of(0), textOf(name), textOf(value));
  return Buffer.concat(parts);
}

function textOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([lengthOf(bytes.length), bytes]);
}

/** An integer with a prefix of seven bits. */
function lengthOf(length: number): Buffer {
  if (length < 127) return Buffer.of(length);
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}
