import type { ServerResponse } from 'node:http';
import { constants, type Http2ServerResponse } from 'node:http2';
import { TLSSocket } from 'node:tls';

/** Called once the transport is done with what it was given, or with what went wrong. */
export type Done = (error?: Error | null) => void;

/**
 * A ByteSink is the body of one response, whatever carries it: HTTP/1.1, HTTP/2, and, for
 * watches, a WebSocket (watch/websocket.ts).
 *
 * `write` returns false when the transport holds as much as it should; then `onDrain` fires once
 * there is room. `onClose` fires once, when the transport is gone, whether the response was
 * complete or not. Chunks belong to the sink after `write`: nobody may change them before `done` is called, without an
 * error, which it may never be.
 */
export interface ByteSink {
  readonly closed: boolean;
  /** Not more than this in one write, so that a stalled stream holds little. */
  readonly writeBytesMax: number;
  write(chunk: Uint8Array, done?: Done): boolean;
  /** Several chunks by one system call; absent where they would be copied into one buffer for that. */
  readonly writeAll?: (chunks: readonly Uint8Array[], done?: Done) => boolean;
  onDrain(run: () => void): void;
  onClose(run: () => void): void;
  /** A clean end of the body. */
  end(): void;
  /** Ends the response so that the client knows that it is incomplete: a reset stream, a cut connection. */
  destroy(): void;
}

export type RawResponse = ServerResponse | Http2ServerResponse;

const HTTP1_WRITE_BYTES = 256 * 2 ** 10;
/** Stalled HTTP/2 streams share their connection's memory (docs/ARCHITECTURE.md), so each holds one small write. */
const HTTP2_WRITE_BYTES = 64 * 2 ** 10;

export function isHttp2(response: RawResponse): response is Http2ServerResponse {
  return 'stream' in response;
}

export function responseSink(response: RawResponse): ByteSink {
  const http2 = isHttp2(response);
  const writeBytesMax = http2 ? HTTP2_WRITE_BYTES : HTTP1_WRITE_BYTES;
  // A response queued behind another one on its connection (pipelining) has no socket yet and is
  // not told when the connection closes, so the connection itself is watched too.
  const connection = http2 ? undefined : response.req.socket;
  let closed = isHttp2(response) ? response.stream.destroyed : response.req.socket.destroyed;
  const closing: (() => void)[] = [];
  const close = () => {
    if (closed) return;
    closed = true;
    connection?.off('close', close);
    for (const run of closing.splice(0)) run();
  };
  response.once('close', close);
  connection?.once('close', close);
  // Reset with NO_ERROR, a stream with unsent bytes would wait for them for ever.
  if (isHttp2(response)) response.stream.once('aborted', () => response.stream.destroy());
  // A client that vanishes is no error of ours: 'close' follows.
  response.on('error', () => {});
  const write = (chunk: Uint8Array, done?: Done) => {
    if (closed) return false;
    const room = http2 ? response.write(chunk, done) : response.write(chunk, done);
    return room || response.writableLength < writeBytesMax;
  };
  const writeAll = (chunks: readonly Uint8Array[], done?: Done) => {
    if (closed || http2) return false;
    const last = chunks.length - 1;
    // Not the response: that would write what it has gathered chunk by chunk.
    const { socket } = response;
    socket?.cork();
    for (let index = 0; index < last; index++) response.write(chunks[index]!);
    const room = response.write(chunks[last]!, done);
    socket?.uncork();
    return room || response.writableLength < writeBytesMax;
  };
  return {
    get closed() {
      return closed;
    },
    writeBytesMax,
    write,
    // TLS encrypts one buffer at a time.
    ...(connection === undefined || connection instanceof TLSSocket ? {} : { writeAll }),
    onDrain(run) {
      response.on('drain', run);
    },
    onClose(run) {
      if (closed) run();
      else closing.push(run);
    },
    end() {
      if (!closed) response.end();
    },
    destroy() {
      if (closed) return;
      if (http2 && response.stream.closed) response.stream.destroy();
      else if (http2) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      else if (response.socket === null) connection?.destroy();
      else response.destroy();
    },
  };
}
