import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import { type AnyHeaders, Closing, type Done, type HttpResponse, ignoreError } from './sinks.js';

/** Stalled HTTP/2 streams share their connection's memory (docs/ARCHITECTURE.md), so each holds one small write. */
const WRITE_BYTES = 64 * 2 ** 10;

/**
 * A response over HTTP/2: the stream itself, without the objects that Node puts around it to look like HTTP/1.1
 * (docs/adr/0028-http2-without-its-compatibility-layer.md).
 */
export class Http2Response implements HttpResponse {
  readonly writeBytesMax = WRITE_BYTES;
  readonly #stream: ServerHttp2Stream;
  readonly #closing: Closing;
  /** Sent behind the body, if there are to be any. */
  #trailers: Record<string, string> = {};

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    const closing = new Closing(stream.destroyed);
    this.#closing = closing;
    stream.on('close', () => closing.close());
    stream.on('error', ignoreError);
    // Reset with NO_ERROR, a stream with unsent bytes would wait for them for ever.
    if (stream.aborted) stream.destroy();
    else stream.on('aborted', destroyStream);
  }

  get closed(): boolean {
    return this.#closing.closed;
  }

  get code(): number {
    return Number(this.#stream.sentHeaders?.[':status'] ?? 200);
  }

  get headersSent(): boolean {
    return this.#stream.headersSent;
  }

  get isComplete(): boolean {
    return this.#stream.writableFinished;
  }

  get unsentBytes(): number {
    return this.#stream.writableLength;
  }

  writeHead(code: number, headers: AnyHeaders, hasTrailers = false): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const leaves = takeConnection(headers);
    headers[':status'] = String(code);
    if (hasTrailers) {
      stream.removeAllListeners('wantTrailers'); // Node's own would send none
      stream.on('wantTrailers', () => stream.sendTrailers(this.#trailers));
      stream.respond(headers, { waitForTrailers: true });
    } else stream.respond(headers);
    if (leaves) sayGoodbye(stream);
  }

  /** It is with the connection already. */
  flushHead(): void {}

  send(code: number, headers: Record<string, string>, body: Uint8Array): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const leaves = takeConnection(headers);
    if (code !== 304) headers['content-length'] = String(body.length);
    headers[':status'] = String(code);
    stream.respond(headers);
    if (code !== 304) stream.end(body); // 304 has ended it
    if (leaves) sayGoodbye(stream);
  }

  write(chunk: Uint8Array, done?: Done): boolean {
    if (this.closed) return false;
    return this.#stream.write(chunk, done) || this.#stream.writableLength < WRITE_BYTES;
  }

  onDrain(run: () => void): void {
    this.#stream.on('drain', run);
  }

  onClose(run: () => void): void {
    this.#closing.on(run);
  }

  end(trailers: Record<string, string> = {}): void {
    this.#trailers = trailers;
    if (!this.closed) this.#stream.end();
  }

  /** The client gets RST_STREAM. After `close(code)` it would get a whole body, of what was written, or no word at all if nothing was. */
  destroy(): void {
    if (this.closed) return;
    if (this.#stream.closed) this.#stream.destroy();
    else this.#stream.destroy(new Error('the response was cut')); // sent as INTERNAL_ERROR
  }
}

/** HTTP/2 has no such header, and refuses it. */
function takeConnection(headers: AnyHeaders): boolean {
  if (!('connection' in headers)) return false;
  delete headers['connection'];
  return true;
}

/** Of a notice that a connection will end: it refuses no stream. */
const LAST_STREAM_ID = 2 ** 31 - 1;

const leaving = new WeakSet<Http2Session>();

/**
 * What `Connection: close` means over HTTP/2, as in Go: GOAWAY. Streams that are open go on, and the connection ends with them.
 * First a notice, then, once the client has had the time to see it (a PING is back), which stream was the last: so nothing is
 * lost that was on its way (RFC 9113, 6.8).
 */
export function sayGoodbye({ session }: ServerHttp2Stream): void {
  if (session === undefined || session.closed || session.destroyed || leaving.has(session)) return;
  leaving.add(session);
  const close = () => {
    if (!session.closed && !session.destroyed) session.close();
  };
  session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID);
  session.ping(close);
}

/** It was asked to leave, and may not have answered yet. */
export function isLeaving(session: Http2Session): boolean {
  return leaving.has(session);
}

function destroyStream(this: ServerHttp2Stream): void {
  this.destroy();
}
