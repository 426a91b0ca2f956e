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

/** What a response says before its body. Names are in lower case. */
export type Headers = Readonly<Record<string, string>>;

/** Of what somebody else has said, which may have said one of them several times. */
export type AnyHeaders = Record<string, string | string[]>;

/** The response to one request: its body is a sink, or is sent whole. Headers belong to it once they are written. */
export interface HttpResponse extends ByteSink {
  /** 200 while there is no head. */
  readonly code: number;
  readonly headersSent: boolean;
  /** Everything was handed to the connection, its end included. */
  readonly isComplete: boolean;
  /** Written, and not taken by the kernel yet. */
  readonly unsentBytes: number;
  /** The head of a body that follows in pieces, and may wait for the first of them. `hasTrailers`: `end` will be given some. */
  writeHead(code: number, headers: AnyHeaders, hasTrailers?: boolean): void;
  /** Clients of a watch wait for its head: it goes out before there is an event. */
  flushHead(): void;
  end(trailers?: Record<string, string>): void;
  /** Head, body and end. `Content-Length` is added. */
  send(code: number, headers: Record<string, string>, body: Uint8Array): void;
}

/** Those who want to know that a response is closed: `onClose` of a sink. */
export class Closing {
  closed: boolean;
  #waiting: (() => void)[] = [];

  constructor(closed: boolean) {
    this.closed = closed;
  }

  on(run: () => void): void {
    if (this.closed) run();
    else this.#waiting.push(run);
  }

  /** Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }
}

/** A client that vanishes is no error of ours: 'close' follows. */
export function ignoreError(): void {}
