import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';

/** Polls until `check` holds; a test that waits in vain fails with what it waited for. */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A TCP connection that sends what it is told and keeps what it gets, unless it stops reading. */
export interface RawConnection {
  readonly socket: Socket;
  /** All bytes so far, as latin1. */
  text(): string;
  readonly ended: boolean;
  until(pattern: RegExp): Promise<string>;
}

export async function openRaw(port: number, request: string): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  let ended = false;
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.on('close', () => {
    ended = true;
  });
  await once(socket, 'connect');
  socket.write(request);
  const text = () => Buffer.concat(chunks).toString('latin1');
  return {
    socket,
    text,
    get ended() {
      return ended;
    },
    async until(pattern) {
      await eventually(`${pattern} in ${JSON.stringify(text().slice(-300))}`, () => pattern.test(text()));
      return text();
    },
  };
}

export interface Http2Answer {
  readonly code: number;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
}

export async function openHttp2(port: number): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://localhost:${port}`, { rejectUnauthorized: false });
  session.on('error', () => {});
  await once(session, 'connect');
  return session;
}

export function request(
  session: ClientHttp2Session,
  path: string,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  return session.request({ ':path': path, ...headers });
}

/** Reads a response to its end, from the start on: Node drops what has come of a stream that closes while nobody reads it. */
export async function read(stream: ClientHttp2Stream): Promise<Http2Answer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = once(stream, 'end');
  const [[headers]] = (await Promise.all([once(stream, 'response'), ended])) as [[Record<string, unknown>], unknown];
  return { code: Number(headers[':status']), headers, body: Buffer.concat(chunks) };
}
