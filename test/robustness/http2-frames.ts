import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

// HTTP/2 by the frame (RFC 9113): what no client library would send.

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

const INITIAL_WINDOW_SIZE = 4;
const HEAD_BYTES = 9;

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** HPACK without compression: a name and a value, not to be remembered, or (`indexed`) to be. */
export function header(name: string, value: string, indexed = false): Buffer {
  return Buffer.concat([Buffer.of(indexed ? 0x40 : 0), text(name), text(value)]);
}

/** The head of a request. */
export function head(path: string, method = 'GET', authority = 'localhost'): Buffer {
  return Buffer.concat([
    header(':method', method),
    header(':scheme', 'https'),
    header(':authority', authority),
    header(':path', path),
  ]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([integer(bytes.length, 7), bytes]);
}

function integer(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.of(value);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

export interface Frames {
  readonly socket: TLSSocket;
  /** Of what the server sent: how many of each type. */
  readonly received: ReadonlyMap<number, number>;
  /** Streams that it has reset, and why. */
  readonly resets: ReadonlyMap<number, number>;
  /** The code of its first GOAWAY. */
  readonly goAway: number | undefined;
  readonly closed: boolean;
  /** Resolves once the kernel has taken it, or nobody will. */
  write(...frames: readonly Uint8Array[]): Promise<void>;
}

/** A connection whose settings are exchanged. Destroy its socket. */
export async function openFrames(url: string, initialWindowSize = 65_535): Promise<Frames> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  const received = new Map<number, number>();
  const resets = new Map<number, number>();
  const waiting = new Set<() => void>();
  let goAway: number | undefined;
  let closed = false;
  let rest: Buffer = Buffer.alloc(0);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + rest.readUIntBE(0, 3);
      if (rest.length < end) return;
      const type = rest[3]!;
      received.set(type, (received.get(type) ?? 0) + 1);
      if (type === RST_STREAM) resets.set(rest.readUInt32BE(5), rest.readUInt32BE(HEAD_BYTES));
      if (type === GOAWAY) {
        goAway ??= rest.readUInt32BE(HEAD_BYTES + 4);
        for (const run of waiting) run(); // it reads no more
      }
      rest = rest.subarray(end);
    }
  });
  await once(socket, 'secureConnect');
  const frames: Frames = {
    socket,
    received,
    resets,
    get goAway() {
      return goAway;
    },
    get closed() {
      return closed;
    },
    write: (...parts) =>
      new Promise((resolve) => {
        if (closed || socket.destroyed) return resolve();
        const done = () => {
          waiting.delete(done);
          socket.off('close', done);
          resolve();
        };
        waiting.add(done);
        socket.once('close', done);
        socket.write(Buffer.concat(parts), done);
      }),
  };
  const window = Buffer.concat([Buffer.of(0, INITIAL_WINDOW_SIZE), uint32(initialWindowSize)]);
  await frames.write(
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(SETTINGS, 0, 0, window),
    frame(SETTINGS, ACK, 0),
  );
  return frames;
}
