import type { Server as PlainServer } from 'node:http';
import type { Http2SecureServer, ServerHttp2Session } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, sleep } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';

/** Streams that one HTTP/2 client may have open at once. */
export const HTTP2_STREAMS_MAX = 1_000;

/**
 * Node's defaults hurt here: with 10 MB of session memory, streams that do not read get others
 * refused, and 1,000 cancelled requests end the connection. client-go cancels a stream per watch
 * it gives up, in bursts when informers stop; a rapid-reset attacker opens and cancels hundreds of
 * thousands a second. The bucket below lets the first pass and ends the second. (Node 20 does not
 * know these two options: there the bucket stays at 1,000 and 33 a second, and clients reconnect.)
 */
export function http2Options(limits: Limits) {
  return {
    maxSessionMemory: Math.ceil(limits.http2SessionBytesMax / 2 ** 20),
    maxSessionRejectedStreams: 1_000,
    streamResetBurst: 20_000,
    streamResetRate: 1_000,
    settings: {
      maxConcurrentStreams: HTTP2_STREAMS_MAX,
      maxHeaderListSize: limits.headerBytesMax,
      initialWindowSize: 256 * 2 ** 10,
      maxFrameSize: 256 * 2 ** 10,
    },
  };
}

const TCP_KEEPALIVE_MS = 15_000;
/** From the first byte of a request's head to its end, as kube-apiserver has it. */
const HEAD_MS = 32_000;

/** Sockets and sessions of one listening server, so that closing can end what idles and cut what stays. */
export class Connections {
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();

  follow(server: PlainServer | Http2SecureServer, limits: Limits): void {
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.setKeepAlive(true, TCP_KEEPALIVE_MS); // a watch may be silent for long, and its client gone
      socket.setMaxListeners(0); // every pipelined response listens for the end of its connection
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('secureConnection', (socket: Socket) => socket.setMaxListeners(0));
    server.on('session', (session: ServerHttp2Session) => this.#followSession(session, limits));
    // The HTTP/2 server has these too, for its clients that speak HTTP/1.1.
    Object.assign(server, {
      keepAliveTimeout: limits.idleConnectionMs,
      headersTimeout: HEAD_MS,
      requestTimeout: 0,
      maxHeaderSize: limits.headerBytesMax,
    });
  }

  #followSession(session: ServerHttp2Session, limits: Limits): void {
    this.#sessions.add(session);
    let open = 0;
    const closed = () => {
      open--;
    };
    session.on('stream', (stream) => {
      open++;
      stream.on('close', closed);
    });
    // A connection whose watches are silent is in use; only one without streams is idle.
    session.setTimeout(limits.idleConnectionMs, () => {
      if (open === 0) session.close();
    });
    session.once('close', () => void this.#sessions.delete(session));
    session.on('error', () => {}); // 'close' follows
  }

  /** Asks clients to leave: what is in flight goes on. */
  goAway(): void {
    for (const session of this.#sessions) session.close();
  }

  /** Resolves when no HTTP/2 session is left: what they still had to say is said. */
  async saidGoodbye(clock: Clock, timeoutMs: number): Promise<void> {
    const enough = new AbortController();
    for (const session of this.#sessions) {
      session.once('close', () => {
        if (this.#sessions.size === 0) enough.abort();
      });
    }
    if (this.#sessions.size > 0) await sleep(clock, timeoutMs, enough.signal);
  }

  destroyAll(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  get open(): number {
    return this.#sockets.size;
  }
}

export function formatAddress({ address, port }: Pick<AddressInfo, 'address' | 'port'>): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
