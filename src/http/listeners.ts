import type { Server as PlainServer, ServerResponse } from 'node:http';
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, sleep, type Timer } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import { isLeaving } from './http2-response.js';

/**
 * Node's defaults hurt here: with 10 MB of session memory, streams that do not read get others
 * refused, and 1,000 cancelled requests end the connection. client-go cancels a stream per watch
 * it gives up, in bursts when informers stop; a rapid-reset attacker opens and cancels hundreds of
 * thousands a second. The bucket below lets the first pass and ends the second. (Node 20 does not
 * know these two options: there the bucket stays at 1,000 and 33 a second, and clients reconnect.)
 * More than 128 headers, for which Node resets a stream, are no attack: an impersonated user may have many groups.
 */
export function http2Options(limits: Limits) {
  return {
    maxSessionMemory: Math.ceil(limits.http2SessionBytesMax / 2 ** 20),
    maxSessionRejectedStreams: 1_000,
    maxHeaderListPairs: limits.headersMax,
    streamResetBurst: 20_000,
    streamResetRate: 1_000,
    settings: {
      maxConcurrentStreams: limits.http2StreamsMax,
      maxHeaderListSize: limits.headerBytesMax,
      initialWindowSize: 256 * 2 ** 10,
      maxFrameSize: 256 * 2 ** 10,
    },
  };
}

const TCP_KEEPALIVE_MS = 15_000;
/** How often it is looked who has been slow, or idle, for too long. */
const SWEEP_MS = 1_000;

/** What a session is used for. */
interface Use {
  streams: number;
  /** Since when there are none, or since we asked the client to leave. */
  sinceMs: number;
  /** When we looked last, it had been asked to leave. */
  isLeaving: boolean;
}

/**
 * Sockets and sessions of all listening servers. Closing ends what idles and cuts what stays; meanwhile nobody keeps a
 * connection for nothing:
 *
 *   no head within `requestHeadMs`, no whole request within `requestTimeoutMs`     408, and the end (HTTP/1.1, by Node)
 *   no request for `idleConnectionMs`                                              the end; over HTTP/2 GOAWAY, PINGs do not count
 *   our end is said, and the client does not say its own for `lingerMs`            destroyed
 */
export class Connections {
  readonly #clock: Clock;
  readonly #limits: Limits;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Map<ServerHttp2Session, Use>();
  /** On which we have said all that we will: since when. */
  readonly #ended = new Map<Socket, number>();
  /** Whose request may take longer to come than `requestTimeoutMs`. */
  readonly #unhurried = new WeakSet<Socket>();
  #sweeping: Timer | undefined;
  #refused = 0;

  constructor(clock: Clock, limits: Limits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  follow(server: PlainServer | Http2SecureServer): void {
    const { connectionsMax, headerBytesMax, headersMax, idleConnectionMs, requestHeadMs, requestTimeoutMs } =
      this.#limits;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, TCP_KEEPALIVE_MS); // a watch may be silent for long, and its client gone
      socket.setMaxListeners(0); // every pipelined response listens for the end of its connection
      socket.once('close', () => this.#sockets.delete(socket));
      this.#expectEnd(socket);
    });
    server.on('secureConnection', (socket: Socket) => {
      socket.setMaxListeners(0);
      this.#expectEnd(socket);
    });
    server.on('session', (session: ServerHttp2Session) => this.#followSession(session));
    server.on('drop', () => {
      this.#refused++;
    });
    // The HTTP/2 server has these too, for its clients that speak HTTP/1.1.
    Object.assign(server, {
      keepAliveTimeout: idleConnectionMs,
      headersTimeout: requestHeadMs,
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: SWEEP_MS,
      maxHeaderSize: headerBytesMax,
      maxHeadersCount: headersMax,
      ...(connectionsMax === 0 ? {} : { maxConnections: Math.max(connectionsMax, 1) }),
    });
    this.#sweepLater();
  }

  /** What does not parse as HTTP never becomes a request: it is answered as Go does, and the connection ends. */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && this.#unhurried.has(socket)) return; // said once for each request
    const response = responseOn(socket);
    // What is wrong below HTTP, a handshake that does not end among it, leaves nobody to be told.
    if (!/^(HPE|ERR_HTTP)_/.test(error.code ?? '') || response?.headersSent === true) return void socket.destroy();
    if (socket.writableEnded || !socket.writable) return; // refused before, and more of it comes
    const line = CLIENT_ERRORS[error.code ?? ''] ?? '400 Bad Request';
    socket.end(`HTTP/1.1 ${line}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${line}`);
    if (response !== undefined) socket.destroySoon(); // nobody may write behind that
  }

  /** The body of the request on this connection may take any time, until what is returned is called. */
  unhurry(socket: Socket): () => void {
    this.#unhurried.add(socket);
    return () => void this.#unhurried.delete(socket);
  }

  #expectEnd(socket: Socket): void {
    socket.once('finish', () => {
      if (!socket.destroyed) this.#ended.set(socket, this.#clock.monotonicMs());
    });
    socket.once('close', () => this.#ended.delete(socket));
  }

  #followSession(session: ServerHttp2Session): void {
    const use: Use = { streams: 0, sinceMs: this.#clock.monotonicMs(), isLeaving: false };
    this.#sessions.set(session, use);
    const closed = () => {
      if (--use.streams === 0) use.sinceMs = this.#clock.monotonicMs();
    };
    session.on('stream', (stream) => {
      use.streams++;
      stream.on('close', closed);
    });
    session.once('close', () => void this.#sessions.delete(session));
    session.on('error', () => {}); // 'close' follows
  }

  #sweepLater(): void {
    const { idleConnectionMs, lingerMs } = this.#limits;
    this.#sweeping ??= this.#clock.setTimer(Math.min(SWEEP_MS, idleConnectionMs / 2, lingerMs / 2), () => {
      this.#sweeping = undefined;
      this.#sweep();
      this.#sweepLater();
    });
  }

  #sweep(): void {
    const { idleConnectionMs, lingerMs } = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    // A connection whose watches are silent is in use; only one without streams is idle.
    for (const [session, use] of this.#sessions) {
      if (use.isLeaving) session.close(); // whether or not it has answered
      use.isLeaving = isLeaving(session);
      if (use.streams > 0) continue;
      const idleMs = nowMs - use.sinceMs;
      if (session.closed && idleMs >= lingerMs) session.destroy();
      else if (!session.closed && idleMs >= idleConnectionMs) {
        use.sinceMs = nowMs;
        session.close();
      }
    }
    for (const [socket, sinceMs] of this.#ended) if (nowMs - sinceMs >= lingerMs) socket.destroy();
  }

  /** Asks clients to leave: what is in flight goes on. */
  goAway(): void {
    for (const session of this.#sessions.keys()) session.close();
  }

  /** Resolves when no HTTP/2 session is left: what they still had to say is said. */
  async saidGoodbye(timeoutMs: number): Promise<void> {
    const enough = new AbortController();
    for (const session of this.#sessions.keys()) {
      session.once('close', () => {
        if (this.#sessions.size === 0) enough.abort();
      });
    }
    if (this.#sessions.size > 0) await sleep(this.#clock, timeoutMs, enough.signal);
  }

  destroyAll(): void {
    this.#sweeping?.cancel();
    for (const session of this.#sessions.keys()) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  get open(): number {
    return this.#sockets.size;
  }

  /** Closed as soon as they were there: there were `connectionsMax`. */
  get refused(): number {
    return this.#refused;
  }
}

const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Node's own, not in its types: what is being answered on a connection. */
function responseOn(socket: Socket): ServerResponse | undefined {
  return (socket as Socket & { readonly _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
}

export function formatAddress({ address, port }: Pick<AddressInfo, 'address' | 'port'>): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
