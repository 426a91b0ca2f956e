import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type AnyHeaders, Closing, type Done, type HttpResponse, ignoreError } from './sinks.js';

const WRITE_BYTES = 256 * 2 ** 10;

/** `leaves`: the response may lose its connection before it is closed: to a WebSocket, or where Node did not make it for a request. */
export function http1Response(raw: ServerResponse, leaves: boolean): Http1Response {
  return raw.req.socket instanceof TLSSocket ? new Http1Response(raw, leaves) : new PlainHttp1Response(raw, leaves);
}

/** A response over HTTP/1.1 and 1.0. */
export class Http1Response implements HttpResponse {
  readonly raw: ServerResponse;
  readonly writeBytesMax = WRITE_BYTES;
  readonly #connection: Socket;
  readonly #closing: Closing;

  constructor(raw: ServerResponse, leaves: boolean) {
    this.raw = raw;
    const connection = raw.req.socket;
    this.#connection = connection;
    const closing = new Closing(connection.destroyed);
    this.#closing = closing;
    raw.on('error', ignoreError);
    if (raw.socket === null || leaves) {
      // A response queued behind another one on its connection (pipelining) has no socket yet and is not told when the
      // connection closes, nor is one that has given it away: so the connection itself is watched too.
      const close = () => {
        connection.off('close', close);
        closing.close();
      };
      connection.on('close', close);
      raw.on('close', close);
    } else {
      raw.on('close', () => closing.close());
    }
  }

  get closed(): boolean {
    return this.#closing.closed;
  }

  get code(): number {
    return this.raw.statusCode;
  }

  get headersSent(): boolean {
    return this.raw.headersSent;
  }

  get isComplete(): boolean {
    return this.raw.writableFinished;
  }

  get unsentBytes(): number {
    return this.raw.writableLength;
  }

  writeHead(code: number, headers: AnyHeaders): void {
    this.raw.writeHead(code, headers);
  }

  flushHead(): void {
    this.raw.flushHeaders();
  }

  send(code: number, headers: Record<string, string>, body: Uint8Array): void {
    if (code !== 304) headers['content-length'] = String(body.length);
    this.raw.writeHead(code, headers).end(code === 304 ? undefined : body);
  }

  write(chunk: Uint8Array, done?: Done): boolean {
    if (this.closed) return false;
    return this.raw.write(chunk, done) || this.hasRoom;
  }

  protected get hasRoom(): boolean {
    return this.raw.writableLength < WRITE_BYTES;
  }

  onDrain(run: () => void): void {
    this.raw.on('drain', run);
  }

  onClose(run: () => void): void {
    this.#closing.on(run);
  }

  end(trailers?: Record<string, string>): void {
    if (this.closed) return;
    if (trailers !== undefined) this.raw.addTrailers(trailers);
    this.raw.end();
  }

  destroy(): void {
    if (this.closed) return;
    if (this.raw.socket === null) this.#connection.destroy();
    else this.raw.destroy();
  }
}

/** Without TLS, which encrypts one buffer at a time. */
class PlainHttp1Response extends Http1Response {
  writeAll(chunks: readonly Uint8Array[], done?: Done): boolean {
    if (this.closed) return false;
    const last = chunks.length - 1;
    // Not the response: that would write what it has gathered chunk by chunk.
    const { socket } = this.raw;
    socket?.cork();
    for (let index = 0; index < last; index++) this.raw.write(chunks[index]!);
    const room = this.raw.write(chunks[last]!, done);
    socket?.uncork();
    return room || this.hasRoom;
  }
}
