import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { systemClock } from '../../src/lib/clock.js';

/** What the bench asks of the process that watches. */
export type ClientCommand =
  | {
      readonly command: 'open';
      readonly transport: Transport;
      readonly port: number;
      readonly accept: string;
      readonly paths: readonly string[];
      /** HTTP/2: streams per connection. */
      readonly streamsMax: number;
    }
  | { readonly command: 'counts' }
  /** Answered once `events` have been counted in all, or nothing has come for `quietMs`. */
  | { readonly command: 'until'; readonly events: number; readonly quietMs: number }
  /** Answered once so many streams have told of the end of their initial events. */
  | { readonly command: 'untilInitial'; readonly streams: number; readonly quietMs: number }
  | { readonly command: 'close' };

export type Transport = 'h1' | 'h2';

export interface Counts {
  readonly events: number;
  readonly bytes: number;
  readonly open: number;
  /** Streams that ended without being asked to. */
  readonly ended: number;
  /** Streams that have had the bookmark at the end of their initial events. */
  readonly initial: number;
  /** When the last counted event came, on the clock of all processes of the machine. */
  readonly atMs: number;
}

const INITIAL_END = Buffer.from('k8s.io/initial-events-end');
const STREAM_WINDOW = 4 * 2 ** 20;
const SESSION_WINDOW = 2 ** 30;
const POLL_MS = 2;

/** Opens watches, counts what comes and throws it away: as cheap as a client can be. */
export function watchAsTold(): void {
  const streams = new Set<Stream>();
  const endings: (() => void)[] = [];
  const total = { events: 0, bytes: 0, ended: 0, initial: 0, atMs: 0 };
  const counts = (): Counts => ({ ...total, open: streams.size });
  const reply = () => void process.send!(counts());

  const opened = (stream: Stream) => {
    streams.add(stream);
    return {
      data(chunk: Buffer) {
        const events = stream.count(chunk);
        total.bytes += chunk.length;
        if (events > 0) {
          total.events += events;
          total.atMs = systemClock.nowMs();
        }
        if (!stream.initial && chunk.indexOf(INITIAL_END) !== -1) {
          stream.initial = true;
          total.initial++;
          total.atMs = systemClock.nowMs();
        }
      },
      end() {
        if (streams.delete(stream)) total.ended++;
      },
    };
  };

  const open = async (command: ClientCommand & { command: 'open' }) => {
    const { transport, paths, accept, port, streamsMax } = command;
    const counter = accept.includes('protobuf') ? countFrames : countLines;
    if (transport === 'h1') {
      for (let at = 0; at < paths.length; at += 100) {
        await Promise.all(
          paths.slice(at, at + 100).map((path) => openHttp1(port, path, accept, opened(new Stream(counter)), endings)),
        );
      }
      return;
    }
    for (let at = 0; at < paths.length; at += streamsMax) {
      const session = connectHttp2(`https://127.0.0.1:${port}`, {
        rejectUnauthorized: false,
        settings: { initialWindowSize: STREAM_WINDOW },
      });
      session.on('error', () => {});
      await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
      session.setLocalWindowSize(SESSION_WINDOW);
      endings.push(() => session.destroy());
      await Promise.all(
        paths.slice(at, at + streamsMax).map((path) => openHttp2(session, path, accept, opened(new Stream(counter)))),
      );
    }
  };

  const until = async (enough: () => boolean, quietMs: number) => {
    let seen = -1;
    let quiet = 0;
    while (!enough() && quiet < quietMs) {
      if (total.bytes !== seen) quiet = 0;
      seen = total.bytes;
      quiet += POLL_MS;
      await new Promise<void>((resolve) => systemClock.setTimer(POLL_MS, resolve));
    }
  };

  process.on('disconnect', () => process.exit(0));
  process.on('message', async (command: ClientCommand) => {
    switch (command.command) {
      case 'open':
        await open(command);
        break;
      case 'until':
        await until(() => total.events >= command.events, command.quietMs);
        break;
      case 'untilInitial':
        await until(() => total.initial >= command.streams, command.quietMs);
        break;
      case 'close':
        streams.clear();
        for (const end of endings.splice(0)) end();
        Object.assign(total, { events: 0, bytes: 0, ended: 0, initial: 0, atMs: 0 });
        break;
      case 'counts':
    }
    reply();
  });
}

type Counter = (stream: Stream, chunk: Buffer) => number;

/** One stream, and how much of it has been seen. */
export class Stream {
  initial = false;
  /** Of a protobuf frame: bytes still to come, and how much of its length has been read. */
  missing = 0;
  lengthBytes = 0;
  length = 0;
  readonly #counter: Counter;

  constructor(counter: Counter) {
    this.#counter = counter;
  }

  count(chunk: Buffer): number {
    return this.#counter(this, chunk);
  }
}

interface StreamEvents {
  data(chunk: Buffer): void;
  end(): void;
}

export function countLines(_stream: Stream, chunk: Buffer): number {
  let count = 0;
  for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) count++;
  return count;
}

export function countFrames(stream: Stream, chunk: Buffer): number {
  let count = 0;
  for (let at = 0; at < chunk.length; ) {
    if (stream.missing === 0) {
      stream.length = stream.length * 256 + chunk[at++]!;
      if (++stream.lengthBytes < 4) continue;
      stream.missing = stream.length;
      stream.length = stream.lengthBytes = 0;
    }
    const taken = Math.min(stream.missing, chunk.length - at);
    stream.missing -= taken;
    at += taken;
    if (stream.missing === 0) count++;
  }
  return count;
}

/** Resolves with the response's head. A bare socket: Node's HTTP client would cost more than the server. */
export function openHttp1(port: number, path: string, accept: string, to: StreamEvents, endings: (() => void)[]) {
  return new Promise<void>((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const unchunk = createUnchunker((data) => to.data(data));
    let head = '';
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: ${accept}\r\n\r\n`);
    socket.on('data', (chunk: Buffer) => {
      if (head === 'read') return unchunk(chunk);
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      if (!head.startsWith('HTTP/1.1 200')) return reject(new Error(head));
      const rest = Buffer.from(head.slice(end + 4), 'latin1');
      head = 'read';
      resolve();
      if (rest.length > 0) unchunk(rest);
    });
    socket.on('error', () => {});
    socket.on('close', to.end);
    endings.push(() => socket.destroy());
  });
}

/** Takes the chunked encoding off: `<hex size>\r\n<data>\r\n`, cut anywhere. */
function createUnchunker(data: (part: Buffer) => void): (chunk: Buffer) => void {
  let missing = 0;
  let line = '';
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (missing > 0) {
        const end = Math.min(chunk.length, at + missing);
        data(chunk.subarray(at, end));
        missing -= end - at;
        at = end;
        continue;
      }
      const character = chunk[at++]!;
      if (character === 13) continue;
      if (character !== 10) {
        line += String.fromCharCode(character);
      } else if (line !== '') {
        missing = Number.parseInt(line, 16);
        line = '';
      }
    }
  };
}

function openHttp2(session: ClientHttp2Session, path: string, accept: string, to: StreamEvents) {
  return new Promise<void>((resolve, reject) => {
    const stream = session.request({ ':path': path, accept });
    stream.on('response', (headers) => {
      if (headers[':status'] === 200) resolve();
      else reject(new Error(`${headers[':status']}`));
    });
    stream.on('data', to.data);
    stream.on('error', () => {});
    stream.on('close', to.end);
  });
}
