import type { ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from 'node:http2';
import { constants } from 'node:http2';
import { status } from '@grpc/grpc-js';
import type { RpcFailure } from './errors.js';
import { framed, MessageSplitter } from './grpc-messages.js';

export interface StreamListener {
  /** One message; its bytes stay as they are, but share their memory with others: who keeps them for long copies them. */
  message(bytes: Buffer): void;
  /** Once, and nothing after it; not after `cancel`. Code 0: the server ended the stream in good order. */
  ended(failure: RpcFailure): void;
}

/** What a stream tells its connection. */
export interface StreamOwner {
  /** True when the connection is gone: it ends its streams itself, with the reason. */
  readonly isBroken: boolean;
  /** So many bytes came, and so many messages ended in them. */
  received(bytes: number, messages: number): void;
  /** The stream has ended, here or there. */
  removed(stream: GrpcStream): void;
  hurry(on: boolean): void;
}

/** What gRPC makes of a stream that was reset with one of HTTP/2's error codes; others are INTERNAL. */
const RESET_STATUS = new Map<number, status>([
  [constants.NGHTTP2_REFUSED_STREAM, status.UNAVAILABLE],
  [constants.NGHTTP2_CANCEL, status.CANCELLED],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, status.RESOURCE_EXHAUSTED],
  [constants.NGHTTP2_INADEQUATE_SECURITY, status.PERMISSION_DENIED],
]);

/** What gRPC makes of an HTTP status where gRPC's own is missing; others are UNKNOWN. */
const HTTP_STATUS = new Map<number, status>([
  [400, status.INTERNAL],
  [401, status.UNAUTHENTICATED],
  [403, status.PERMISSION_DENIED],
  [404, status.UNIMPLEMENTED],
  [429, status.UNAVAILABLE],
  [502, status.UNAVAILABLE],
  [503, status.UNAVAILABLE],
  [504, status.UNAVAILABLE],
]);

/**
 * One call that streams both ways (gRPC over HTTP/2: github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md).
 * Whatever came before the server's status is passed on before it.
 */
export class GrpcStream {
  readonly #http: ClientHttp2Stream;
  readonly #listener: StreamListener;
  readonly #owner: StreamOwner;
  readonly #splitter: MessageSplitter;
  #trailers: IncomingHttpHeaders | undefined;
  #ended = false;
  #hurried = false;

  constructor(http: ClientHttp2Stream, listener: StreamListener, owner: StreamOwner, messageBytesMax: number) {
    this.#http = http;
    this.#listener = listener;
    this.#owner = owner;
    this.#splitter = new MessageSplitter(
      messageBytesMax,
      (bytes) => listener.message(bytes),
      (code, details) => this.#giveUp({ code, details }),
    );
    http.on('response', (headers, flags) => this.#receivedHeaders(headers, flags));
    http.on('data', (bytes: Buffer) => this.#receivedData(bytes));
    http.on('trailers', (trailers) => {
      this.#trailers = trailers;
    });
    http.on('error', () => {}); // 'close' follows
    http.on('end', () => this.#over()); // the server's half of the stream; ours would stay open
    http.on('close', () => this.#over());
  }

  write(message: Uint8Array): void {
    if (!this.#ended) this.#http.write(framed(message));
  }

  cancel(): void {
    if (this.#stop()) this.#reset();
  }

  /** While on, what comes is read at once: somebody waits for it. */
  hurry(on: boolean): void {
    if (this.#hurried === on || (on && this.#ended)) return;
    this.#hurried = on;
    this.#owner.hurry(on);
  }

  /** For the connection, when it ends. */
  ended(failure: RpcFailure): void {
    if (!this.#stop()) return;
    this.#owner.removed(this);
    this.#listener.ended(failure);
  }

  #receivedHeaders(headers: IncomingHttpHeaders & IncomingHttpStatusHeader, flags: number): void {
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#trailers = headers;
    const code = headers[':status'] ?? 200;
    if (code === 200 || this.#trailers?.['grpc-status'] !== undefined) return;
    this.#giveUp({ code: HTTP_STATUS.get(code) ?? status.UNKNOWN, details: `Received HTTP status code ${code}` });
  }

  #receivedData(bytes: Buffer): void {
    if (this.#ended) return;
    const messages = this.#splitter.add(bytes);
    if (!this.#ended) this.#owner.received(bytes.length, messages);
  }

  #over(): void {
    if (this.#ended || (this.#trailers === undefined && this.#owner.isBroken)) return; // the connection says why
    this.#http.close(constants.NGHTTP2_NO_ERROR);
    this.ended(this.#closedWith());
  }

  #closedWith(): RpcFailure {
    const grpcStatus = this.#trailers?.['grpc-status'];
    if (grpcStatus === undefined) {
      const code = this.#http.rstCode;
      if (code === constants.NGHTTP2_NO_ERROR) {
        return { code: status.UNKNOWN, details: 'the stream ended without a status' };
      }
      return { code: RESET_STATUS.get(code) ?? status.INTERNAL, details: `Received RST_STREAM with code ${code}` };
    }
    const code = Number(grpcStatus);
    if (code === status.OK && !this.#splitter.isWhole) {
      return { code: status.INTERNAL, details: 'the stream ended within a message' };
    }
    const details = decodeText(String(this.#trailers?.['grpc-message'] ?? ''));
    return { code: Number.isInteger(code) ? code : status.UNKNOWN, details };
  }

  #giveUp(failure: RpcFailure): void {
    if (!this.#stop()) return;
    this.#reset();
    this.#listener.ended(failure);
  }

  #reset(): void {
    this.#http.close(constants.NGHTTP2_CANCEL);
    this.#owner.removed(this);
  }

  #stop(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#splitter.stop();
    this.hurry(false);
    return true;
  }
}

/** Of grpc-message: UTF-8, percent-encoded; what cannot be decoded is shown as it is. */
function decodeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
