import { type ClientHttp2Session, connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { status } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../lib/clock.js';
import type { RpcFailure } from './errors.js';
import { GrpcStream, type StreamListener, type StreamOwner } from './grpc-stream.js';
import type { ReadTicks } from './read-ticks.js';
import type { Redial } from './redial.js';

export interface ConnectionOptions {
  readonly host: string;
  readonly port: number;
  /** Present for TLS. */
  readonly secureContext: SecureContext | undefined;
  readonly dialTimeoutMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly messageBytesMax: number;
  /** What the server may have under way towards us, per stream and on the whole. */
  readonly windowBytes: number;
  readonly ticks: ReadTicks;
  /** Told how the dialing went. */
  readonly redial: Redial;
}

/** A server that takes nothing any more is not waited for. */
const CLOSE_MS = 1_000;

/**
 * One HTTP/2 connection that carries streams of gRPC and nothing else: etcd's watches. node:http2 speaks the
 * protocol; what is ours is when its socket is read (docs/adr/0018), and what its events mean.
 *
 *     dialing ──TCP, TLS, the server's SETTINGS──> open ──> closed      (`retired`: takes no new streams)
 *
 *   I1  it ends with its last stream, so that it never pings an etcd without one, which etcd punishes;
 *   I2  every stream hears why the connection ended.
 */
export class GrpcConnection implements StreamOwner {
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #session: ClientHttp2Session;
  readonly #streams = new Set<GrpcStream>();
  #state: 'dialing' | 'open' | 'closed' = 'dialing';
  #retired = false;
  #streamsMax = Number.POSITIVE_INFINITY;
  /** Why the connection ends, when the server has said so. */
  #reason: string | undefined;
  /** While dialing: until we give up. Then: until the next ping, or until its answer is late. */
  #timer: Timer;
  #heardMs: number;
  #pause: Timer | undefined;
  /** Streams somebody waits on. */
  #hurrying = 0;

  constructor(options: ConnectionOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#heardMs = clock.monotonicMs();
    this.#timer = clock.setTimer(options.dialTimeoutMs, () =>
      this.#fail(`no connection within ${options.dialTimeoutMs} ms`),
    );
    this.#socket = this.#dial();
    // Before the session's own listeners: these would end the streams without a reason.
    this.#socket.on('error', (error) => this.#broken(error));
    this.#socket.on('close', () => this.#fail(this.#reason ?? 'the server closed the connection'));
    this.#session = this.#converse();
  }

  /** Whether a further stream can be opened. */
  get isUsable(): boolean {
    return this.#state !== 'closed' && !this.#retired && this.#streams.size < this.#streamsMax;
  }

  open(path: string, metadata: OutgoingHttpHeaders, listener: StreamListener): GrpcStream {
    const http = this.#session.request(
      {
        ...metadata,
        ':method': 'POST',
        ':path': path,
        te: 'trailers',
        'content-type': 'application/grpc',
        'user-agent': 'listwatch',
      },
      { endStream: false },
    );
    const stream = new GrpcStream(http, listener, this, this.#options.messageBytesMax);
    this.#streams.add(stream);
    return stream;
  }

  /** Takes no new streams; those that there are go on. */
  retire(): void {
    this.#retired = true;
    if (this.#streams.size === 0) this.#close();
  }

  // For the streams.

  get isBroken(): boolean {
    return this.#session.destroyed;
  }

  received(bytes: number, messages: number): void {
    this.#heardMs = this.#clock.monotonicMs();
    const pauseMs = this.#options.ticks.received(this.#heardMs, bytes, messages);
    if (pauseMs <= 0 || this.#hurrying > 0) this.#readOn();
    else if (this.#pause === undefined) {
      this.#socket.pause();
      // A socket that is not read does not keep the process alive.
      this.#pause = this.#clock.setTimer(pauseMs, () => this.#readOn(), true);
    }
  }

  removed(stream: GrpcStream): void {
    if (this.#streams.delete(stream) && this.#streams.size === 0) this.#close();
  }

  hurry(on: boolean): void {
    this.#hurrying += on ? 1 : -1;
    if (on) this.#readOn();
  }

  // The connection itself.

  /**
   * With `onread`, `pause` leaves what comes in the kernel; without it, a socket would go on to read. The callback is
   * for bytes before the session has taken the socket over, which a server can hardly send: it would have to
   * speak before it has heard us.
   */
  #dial(): Socket {
    const { host, port, secureContext } = this.#options;
    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(1),
      callback: () => {
        this.#fail('the server spoke too early');
        return false;
      },
    };
    if (secureContext === undefined) return connectPlain({ host, port, onread, noDelay: true });
    const servername = isIP(host) === 0 ? { servername: host } : {};
    // tls.connect hands its options on to the socket, `onread` too; its types do not say so.
    const options = { host, port, secureContext, ALPNProtocols: ['h2'], ...servername, onread };
    const socket: TLSSocket = connectTls(options, () => {
      if (socket.alpnProtocol !== 'h2') this.#fail('the server does not offer HTTP/2');
    });
    socket.setNoDelay(true);
    return socket;
  }

  #converse(): ClientHttp2Session {
    const { host, port, secureContext, windowBytes } = this.#options;
    const authority = `${secureContext === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const session = connectHttp2(authority, {
      createConnection: () => this.#socket,
      settings: { enablePush: false, initialWindowSize: windowBytes },
      // In MB. A message is bounded by `messageBytesMax`, and what comes is passed on at once.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    });
    session.on('connect', () => {
      if (!session.destroyed) session.setLocalWindowSize(windowBytes);
    });
    session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      this.#streamsMax = maxConcurrentStreams ?? Number.POSITIVE_INFINITY;
      if (this.#state === 'dialing') this.#opened();
    });
    session.on('goaway', (code, _last, data: Buffer | undefined) => {
      const text = data === undefined || data.length === 0 ? '' : `, ${data.toString()}`;
      this.#reason = `the server closes the connection (code ${code}${text})`;
      this.retire();
      if (code !== 0) this.#fail(this.#reason);
    });
    session.on('error', (error) => this.#broken(error));
    session.on('close', () => this.#fail(this.#reason ?? 'the server closed the connection'));
    return session;
  }

  #opened(): void {
    this.#state = 'open';
    this.#options.redial.succeeded();
    this.#heardMs = this.#clock.monotonicMs();
    this.#armKeepalive(this.#options.keepaliveTimeMs);
  }

  #readOn(): void {
    if (this.#pause === undefined) return;
    this.#pause.cancel();
    this.#pause = undefined;
    this.#socket.resume();
  }

  #armKeepalive(delayMs: number): void {
    this.#timer.cancel();
    this.#timer = this.#clock.setTimer(delayMs, () => this.#keepAlive());
  }

  /** A server that says nothing for long is asked, and has to answer. */
  #keepAlive(): void {
    const { keepaliveTimeMs, keepaliveTimeoutMs } = this.#options;
    const silentMs = this.#clock.monotonicMs() - this.#heardMs;
    if (silentMs < keepaliveTimeMs) {
      this.#armKeepalive(keepaliveTimeMs - silentMs);
      return;
    }
    this.#timer = this.#clock.setTimer(keepaliveTimeoutMs, () => {
      // A process that was busy for long finds its timers due before it has read its sockets.
      setImmediate(() => setImmediate(() => !answered && this.#fail('Keepalive timeout')));
    });
    let answered = false;
    this.#session.ping((error: Error | null) => {
      if (error !== null || this.#state !== 'open') return;
      answered = true;
      this.#heardMs = this.#clock.monotonicMs();
      this.#armKeepalive(keepaliveTimeMs);
    });
  }

  #broken(error: NodeJS.ErrnoException): void {
    const isProtocol = error.code?.startsWith('ERR_HTTP2') === true;
    const what = this.#state === 'dialing' ? 'the server does not speak HTTP/2' : 'HTTP/2 with the server failed';
    this.#fail(this.#reason ?? (isProtocol ? `${what}: ${error.message}` : error.message));
  }

  #fail(why: string): void {
    if (this.#state === 'closed') return;
    const wasDialing = this.#state === 'dialing';
    // Whoever reads this takes the call for one that was never sent.
    const details = wasDialing ? `No connection established. Last error: ${why}` : why;
    const failure: RpcFailure = { code: status.UNAVAILABLE, details };
    this.#leave();
    if (wasDialing) this.#options.redial.failed(failure);
    for (const stream of [...this.#streams]) stream.ended(failure);
    // From the constructor's socket, nothing can fail before there is a session.
    this.#session.destroy();
    this.#socket.destroy();
  }

  /** What was written last, a stream's reset, may still go out. */
  #close(): void {
    if (this.#state === 'closed') return;
    this.#leave();
    this.#session.close();
    this.#clock.setTimer(CLOSE_MS, () => this.#session.destroy());
  }

  #leave(): void {
    this.#state = 'closed';
    this.#timer.cancel();
    this.#readOn();
  }
}
