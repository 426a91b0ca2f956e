import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { eventually } from '../support/command.js';
import { ADMIN } from '../support/control-plane.js';

/** One WATCH, as its client sees it. */
export interface Watching {
  status(): number | undefined;
  contentType(): string | undefined;
  /** Events in the order of their arrival: lines of JSON, or protobuf messages without their length. */
  frames(): readonly Buffer[];
  /** All that came. */
  body(): Buffer;
  hasEnded(): boolean;
  end(): void;
}

/** Opens many WATCHes over one connection, as client-go does. */
export interface Watcher {
  open(path: string, accept: string): Watching;
  close(): void;
}

/** How long events may take: far longer than they do. */
const EVENTS_TIMEOUT_MS = 60_000;

export function watcherOf(url: string): Watcher {
  const session: ClientHttp2Session = connect(url, { rejectUnauthorized: false });
  session.on('error', () => {}); // told by the streams
  return {
    open: (path, accept) => watching(session.request({ ':path': path, ...ADMIN, accept })),
    close: () => session.destroy(),
  };
}

function watching(stream: ClientHttp2Stream): Watching {
  const chunks: Buffer[] = [];
  let headers: Readonly<Record<string, unknown>> = {};
  let hasEnded = false;
  stream.on('response', (received) => {
    headers = received;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => {}); // seen as an end
  stream.on('close', () => {
    hasEnded = true;
  });
  const body = () => Buffer.concat(chunks);
  return {
    status: () => headers[':status'] as number | undefined,
    contentType: () => headers['content-type'] as string | undefined,
    frames: () => (String(headers['content-type']).includes('protobuf') ? messages(body()) : lines(body())),
    body,
    hasEnded: () => hasEnded,
    end: () => stream.close(),
  };
}

function lines(body: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let start = 0;
  for (let end = body.indexOf(10); end !== -1; end = body.indexOf(10, start)) {
    found.push(body.subarray(start, end + 1));
    start = end + 1;
  }
  return found;
}

const LENGTH_BYTES = 4;

function messages(body: Buffer): Buffer[] {
  const found: Buffer[] = [];
  let at = 0;
  while (at + LENGTH_BYTES <= body.length) {
    const end = at + LENGTH_BYTES + body.readUInt32BE(at);
    if (end > body.length) break;
    found.push(body.subarray(at + LENGTH_BYTES, end));
    at = end;
  }
  return found;
}

/** Waits until both have answered and brought so many events, or ended. */
export async function untilFrames(pair: readonly [Watching, Watching], count: number, what: string): Promise<void> {
  await eventually(
    `${count} events: ${what}`,
    () => pair.every((one) => one.status() !== undefined && (one.hasEnded() || one.frames().length >= count)),
    EVENTS_TIMEOUT_MS,
    20,
  );
}
