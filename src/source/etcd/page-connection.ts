import { isIP, connect as connectPlain, type OnReadOpts, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../../lib/clock.js';
import type { ConnectionOptions } from './grpc-connection.js';
import { framed } from './grpc-messages.js';
import {
  ACK,
  CANCEL,
  DATA,
  ENABLE_PUSH,
  END_HEADERS,
  END_STREAM,
  FRAME_BYTES_MAX,
  FrameReader,
  frameOf,
  GOAWAY,
  HEADERS,
  headerBlock,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  numberFrame,
  PADDED,
  PING,
  PREFACE,
  PUSH_PROMISE,
  readSettings,
  RST_STREAM,
  SETTINGS,
  settingsFrame,
  WINDOW_BYTES_DEFAULT,
  WINDOW_UPDATE,
} from './http2-frames.js';
import { type LentBytes, PageBuffers } from './page-buffers.js';

export interface PageConnectionOptions extends Omit<ConnectionOptions, 'ticks' | 'redial'> {
  /** Without a call for so long, it ends, and gives back its buffers. */
  readonly idleMs: number;
}

export interface PageListener {
  /** The answer, whole. */
  answered(page: LentBytes): void;
  /** There is no whole answer, whatever the reason: ask in another way, which knows what to make of it. */
  refused(): void;
}

export interface PageCall {
  /** Nothing is told any more. */
  cancel(): void;
}

/** What the socket is read into, again and again. */
const READ_BYTES = 128 * 2 ** 10;
const PREFIX_BYTES = 5;

/**
 * A connection for the pages of lists, which are many megabytes. Other HTTP/2 clients make a new buffer for whatever a socket gives, and a
 * message of those; here the socket is read into one buffer, and messages are put together in buffers that pages before them were in
 * (docs/adr/0045-pages-of-etcd.md).
 *
 *     dialing ──TCP, TLS, the server's SETTINGS──> open ──> closed      (`retired`: takes no new calls)
 *
 *   P1  an answer is one whole message and the end of its stream: gRPC servers send a message or an error, never both;
 *   P2  whatever else happens is not understood here, but refused, once: headers and trailers are not even read;
 *   P3  it never pings without a call, which etcd punishes.
 */
export class PageConnection {
  readonly #options: PageConnectionOptions;
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #buffers = new PageBuffers();
  readonly #calls = new Map<number, Call>();
  /** Until the server's SETTINGS are there. */
  readonly #waiting: Call[] = [];
  #state: 'dialing' | 'open' | 'closed' = 'dialing';
  #retired = false;
  #nextStream = 1;
  #streamsMax = Number.POSITIVE_INFINITY;
  /** What the server takes of our requests. */
  #sendWindow = WINDOW_BYTES_DEFAULT;
  #streamSendWindow = WINDOW_BYTES_DEFAULT;
  /** Received, and the server not told yet that there is room again. */
  #owed = 0;
  #heardMs: number;
  #pinged = false;
  /** While dialing: until we give up. With calls: until the next look at the silence. Without: until it ends. */
  #timer: Timer;

  constructor(options: PageConnectionOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#heardMs = clock.monotonicMs();
    this.#frames = new FrameReader({
      data: (stream, bytes, from, to) => this.#data(stream, bytes, from, to),
      frame: (type, flags, stream, payload) => this.#frame(type, flags, stream, payload),
      broken: () => this.#close(),
    });
    this.#timer = clock.setTimer(options.dialTimeoutMs, () => this.#close());
    this.#socket = this.#dial();
    this.#socket.on('error', () => this.#close());
    this.#socket.on('close', () => this.#close());
    this.#socket.on('end', () => this.#close());
    const { windowBytes } = options;
    this.#socket.write(
      Buffer.concat([
        PREFACE,
        settingsFrame([
          [ENABLE_PUSH, 0],
          [INITIAL_WINDOW_SIZE, windowBytes],
        ]),
        numberFrame(WINDOW_UPDATE, 0, windowBytes - WINDOW_BYTES_DEFAULT),
      ]),
    );
  }

  get isUsable(): boolean {
    return this.#state !== 'closed' && !this.#retired;
  }

  /** False once it ended before it was open: somebody else may say why. */
  get wasOpen(): boolean {
    return this.#nextStream > 1 || this.#state === 'open';
  }

  /** Undefined: this connection cannot carry it now. */
  open(
    path: string,
    metadata: Readonly<Record<string, unknown>>,
    request: Uint8Array,
    listener: PageListener,
  ): PageCall | undefined {
    const { host, port, secureContext } = this.#options;
    const message = framed(request);
    const block = headerBlock([
      [':method', 'POST'],
      [':scheme', secureContext === undefined ? 'http' : 'https'],
      [':path', path],
      [':authority', `${host.includes(':') ? `[${host}]` : host}:${port}`],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
      ['user-agent', 'listwatch'],
      ...Object.entries(metadata).map(([name, value]) => [name, String(value)] as const),
    ]);
    const call = new Call(listener, block, message);
    const fits = block.length <= FRAME_BYTES_MAX && message.length <= FRAME_BYTES_MAX;
    if (!this.isUsable || !fits) return undefined;
    if (this.#state === 'dialing') this.#waiting.push(call);
    else if (!this.#send(call)) return undefined;
    return { cancel: () => this.#cancel(call) };
  }

  /** Takes no new calls; those that there are go on. */
  retire(): void {
    this.#retired = true;
    if (this.#calls.size + this.#waiting.length === 0) this.#close();
  }

  #dial(): Socket {
    const { host, port, secureContext } = this.#options;
    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length, bytes) => {
        this.#heardMs = this.#clock.monotonicMs();
        this.#pinged = false;
        this.#frames.add(bytes as Buffer, length);
        return true;
      },
    };
    if (secureContext === undefined) return connectPlain({ host, port, onread, noDelay: true });
    const servername = isIP(host) === 0 ? { servername: host } : {};
    // tls.connect hands its options on to the socket, `onread` too; its types do not say so.
    const options = { host, port, secureContext, ALPNProtocols: ['h2'], ...servername, onread };
    const socket: TLSSocket = connectTls(options, () => {
      if (socket.alpnProtocol !== 'h2') this.#close();
    });
    socket.setNoDelay(true);
    return socket;
  }

  #send(call: Call): boolean {
    const { block, message } = call;
    if (this.#calls.size >= this.#streamsMax || message.length > Math.min(this.#sendWindow, this.#streamSendWindow)) {
      return false;
    }
    const stream = this.#nextStream;
    this.#nextStream += 2;
    call.stream = stream;
    this.#sendWindow -= message.length;
    if (this.#calls.size === 0) {
      this.#socket.ref();
      this.#await();
    }
    this.#calls.set(stream, call);
    const request = [frameOf(HEADERS, END_HEADERS, stream, block), frameOf(DATA, END_STREAM, stream, message)];
    this.#socket.write(Buffer.concat(request));
    return true;
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case DATA:
      case HEADERS:
        if (type === DATA && (flags & PADDED) !== 0) this.#refuse(stream, true);
        else if ((flags & END_STREAM) !== 0) this.#ended(stream);
        return;
      case RST_STREAM:
        this.#refuse(stream, false);
        return;
      case SETTINGS:
        if ((flags & ACK) === 0) this.#settings(payload);
        return;
      case PING:
        if ((flags & ACK) === 0) this.#socket.write(frameOf(PING, ACK, 0, payload));
        return;
      case GOAWAY: {
        const last = payload.length < 8 ? 0 : payload.readUInt32BE(0) & 0x7fff_ffff;
        for (const open of [...this.#calls.keys()]) if (open > last) this.#refuse(open, false);
        this.retire();
        return;
      }
      case WINDOW_UPDATE:
        if (stream === 0 && payload.length === 4) this.#sendWindow += payload.readUInt32BE(0) & 0x7fff_ffff;
        return;
      case PUSH_PROMISE:
        this.#close();
        return;
    }
  }

  #settings(payload: Buffer): void {
    const settings = readSettings(payload);
    this.#streamsMax = settings.get(MAX_CONCURRENT_STREAMS) ?? this.#streamsMax;
    this.#streamSendWindow = settings.get(INITIAL_WINDOW_SIZE) ?? this.#streamSendWindow;
    this.#socket.write(frameOf(SETTINGS, ACK, 0));
    if (this.#state !== 'dialing') return;
    this.#state = 'open';
    this.#rest();
    for (const call of this.#waiting.splice(0)) if (!this.#send(call)) call.refuse();
  }

  #data(stream: number, bytes: Buffer, from: number, to: number): void {
    const { windowBytes } = this.#options;
    const size = to - from;
    this.#owed += size;
    // A quarter of the window is given back at once: seldom, and long before the server has to wait.
    if (this.#owed >= windowBytes / 4) {
      this.#socket.write(numberFrame(WINDOW_UPDATE, 0, this.#owed));
      this.#owed = 0;
    }
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    call.owed += size;
    if (call.owed >= windowBytes / 4) {
      this.#socket.write(numberFrame(WINDOW_UPDATE, stream, call.owed));
      call.owed = 0;
    }
    if (!call.add(bytes, from, to, this.#buffers, this.#options.messageBytesMax)) this.#refuse(stream, true);
  }

  #ended(stream: number): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    if (!call.isWhole) {
      this.#refuse(stream, false);
      return;
    }
    this.#remove(stream);
    call.answer();
  }

  /** `open`: the server has not ended the stream itself. */
  #refuse(stream: number, open: boolean): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    this.#remove(stream);
    if (open) this.#socket.write(numberFrame(RST_STREAM, stream, CANCEL));
    call.refuse();
  }

  #cancel(call: Call): void {
    call.drop();
    const waiting = this.#waiting.indexOf(call);
    if (waiting >= 0) this.#waiting.splice(waiting, 1);
    if (!this.#calls.has(call.stream)) return;
    this.#remove(call.stream);
    this.#socket.write(numberFrame(RST_STREAM, call.stream, CANCEL));
  }

  #remove(stream: number): void {
    this.#calls.delete(stream);
    if (this.#calls.size > 0 || this.#state === 'closed') return;
    if (this.#retired) this.#close();
    else this.#rest();
  }

  #rest(): void {
    this.#timer.cancel();
    this.#timer = this.#clock.setTimer(this.#options.idleMs, () => this.#close());
    this.#socket.unref();
  }

  /** A server that says nothing for long is asked, and has to answer. */
  #await(): void {
    const { keepaliveTimeMs, keepaliveTimeoutMs } = this.#options;
    this.#timer.cancel();
    this.#heardMs = this.#clock.monotonicMs();
    this.#pinged = false;
    const look = () => {
      const silentMs = this.#clock.monotonicMs() - this.#heardMs;
      if (this.#pinged) {
        // A process that was busy for long finds its timers due before it has read its sockets.
        setImmediate(() => setImmediate(() => this.#pinged && this.#close()));
      } else if (silentMs < keepaliveTimeMs) {
        this.#timer = this.#clock.setTimer(keepaliveTimeMs - silentMs, look);
      } else {
        this.#pinged = true;
        this.#socket.write(frameOf(PING, 0, 0, Buffer.alloc(8)));
        this.#timer = this.#clock.setTimer(keepaliveTimeoutMs, look);
      }
    };
    this.#timer = this.#clock.setTimer(keepaliveTimeMs, look);
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#timer.cancel();
    this.#frames.stop();
    this.#buffers.clear();
    this.#socket.destroy();
    const calls = [...this.#calls.values(), ...this.#waiting.splice(0)];
    this.#calls.clear();
    for (const call of calls) call.refuse();
  }
}

/** One request, and what has come of its answer. */
class Call {
  readonly block: Buffer;
  readonly message: Buffer;
  stream = 0;
  owed = 0;
  #listener: PageListener | undefined;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixFilled = 0;
  #page: LentBytes | undefined;
  #filled = 0;

  constructor(listener: PageListener, block: Buffer, message: Buffer) {
    this.#listener = listener;
    this.block = block;
    this.message = message;
  }

  get isWhole(): boolean {
    return this.#page !== undefined && this.#filled === this.#page.bytes.length;
  }

  /** False: that is no message that we would take. */
  add(bytes: Buffer, from: number, to: number, buffers: PageBuffers, bytesMax: number): boolean {
    let at = from;
    while (this.#prefixFilled < PREFIX_BYTES && at < to) this.#prefix[this.#prefixFilled++] = bytes[at++]!;
    if (this.#prefixFilled < PREFIX_BYTES) return true;
    if (this.#page === undefined) {
      const length = this.#prefix.readUInt32BE(1);
      if (this.#prefix[0] !== 0 || length > bytesMax) return false;
      this.#page = buffers.take(length);
    }
    if (this.#filled + to - at > this.#page.bytes.length) return false;
    bytes.copy(this.#page.bytes, this.#filled, at, to);
    this.#filled += to - at;
    return true;
  }

  answer(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.answered(this.#page!);
  }

  refuse(): void {
    const listener = this.#listener;
    this.drop();
    listener?.refused();
  }

  drop(): void {
    this.#listener = undefined;
    this.#page?.release();
    this.#page = undefined;
  }
}
