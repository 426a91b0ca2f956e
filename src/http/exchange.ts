import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex, Readable } from 'node:stream';
import { quoteGo } from '../api/go-text.js';
import { decodeQuery } from '../api/query.js';
import type { Identity } from '../auth/identity.js';
import type { Clock, Timer } from '../lib/clock.js';
import { formatAddress } from './listeners.js';
import type { RequestLabels } from './metrics.js';
import { type ParsedPath, parseTarget } from './paths.js';
import type { Query } from './query.js';
import type { AnyHeaders, ByteSink, Headers, HttpResponse } from './sinks.js';

/** A response that is small enough to be made whole. */
export interface Answer {
  readonly code: number;
  readonly headers: Headers;
  readonly body: string | Uint8Array;
}

/** The handler wrote the response itself, or there is nobody left to write to. */
export const STREAMED = Symbol('streamed');
export type Outcome = Answer | typeof STREAMED;

/** A connection whose client asked to switch to another protocol: WebSocket, or what a forwarded request wants. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** Who routed the request, and has a response of its own. */
export interface Router {
  /** The response is written past it, or not at all. */
  hijack(): void;
  send(code: number, headers: Record<string, string>, body: Buffer): void;
}

/** A request as its protocol has it. */
export interface Incoming {
  readonly method: string;
  /** The request's target, as the client wrote it. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  /** Its connection, while that exists. */
  readonly connection: () => Socket | undefined;
  /** It came by the HTTPS listener. */
  readonly isSecure: boolean;
  /** Absent: nobody reads it. */
  readonly body?: Readable;
  readonly upgrade?: Upgrade | undefined;
}

/** A request that has been understood. */
export class ExchangeRequest {
  readonly method: string;
  readonly target: string;
  readonly path: ParsedPath;
  /** Undecoded, for handlers that read repeated parameters. */
  readonly search: string;
  readonly query: Query;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly isSecure: boolean;
  readonly body: Readable | undefined;
  readonly upgrade: Upgrade | undefined;
  readonly #connection: Incoming['connection'];

  constructor({ method, target, headers, rawHeaders, connection, isSecure, body, upgrade }: Incoming) {
    const { path, search } = parseTarget(target);
    this.method = method;
    this.target = target;
    this.path = path;
    this.search = search;
    this.query = decodeQuery(search);
    this.headers = headers;
    this.rawHeaders = rawHeaders;
    this.isSecure = isSecure;
    this.body = body;
    this.upgrade = upgrade;
    this.#connection = connection;
  }

  get connection(): Socket | undefined {
    return this.#connection();
  }

  get isHttp2(): boolean {
    return ':path' in this.headers;
  }

  /** `host:port` of our end of the connection. */
  get localAddress(): string {
    const { localAddress: address = '127.0.0.1', localPort: port = 0 } = this.#connection() ?? {};
    return formatAddress({ address, port });
  }

  /** Whom a quota counts: the address of the other end, until users are known. */
  get client(): string {
    return this.#connection()?.remoteAddress ?? '';
  }
}

/**
 * One request and its response, whatever the protocol. At most one side answers: whoever calls
 * `claim` first. So a passed deadline and a late handler never both write, and a response that
 * has begun when the deadline passes is cut off instead.
 */
export class Exchange {
  readonly request: ExchangeRequest;
  readonly response: HttpResponse;
  readonly router: Router | undefined;
  readonly startMs: number;
  /** Of every response to this request: Audit-Id, Cache-Control, Warning. */
  readonly headers: Record<string, string> = {};
  readonly labels: RequestLabels;
  /** Who asks; undefined where nobody has to say. */
  user: Identity | undefined;
  /** Of the body, before compression. */
  bytes = 0;
  /** We gave the request up. */
  terminated = false;
  /** Set once the response has begun as a watch: how shutdown ends it. */
  endWatch: (() => void) | undefined;
  /** Somebody else answers it, and says who may ask: the target of `--forward-to`. */
  isForwarded = false;
  /** It is counted as a watch. */
  watching = false;
  /** What the client asked for, where that is less than there would be. */
  timeoutMs: number | undefined;
  /** Somebody else was asked whether it may go on. */
  hasWaited = false;
  /** Made when somebody asks for the signal: most answers are there before anybody could wait. */
  #abort: AbortController | undefined;
  #over = false;
  #owner: 'nobody' | 'handler' | 'deadline' = 'nobody';
  #deadline: Timer | undefined;

  constructor(request: ExchangeRequest, response: HttpResponse, router: Router | undefined, startMs: number) {
    this.request = request;
    this.response = response;
    this.router = router;
    this.startMs = startMs;
    this.labels = { verb: request.method, group: '', version: '', resource: '', subresource: '', scope: '' };
  }

  /** Where the body goes. */
  get sink(): ByteSink {
    return this.response;
  }

  /** The response is closed, whether it was complete or not. */
  ended(): void {
    this.#deadline?.cancel();
    this.#end();
  }

  /** Aborted when the request is over, however that came about. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#over) this.#abort.abort(OVER);
    }
    return this.#abort.signal;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The deadline has passed before the response began: whatever the handler answers comes too late. */
  get isLate(): boolean {
    return this.#owner === 'deadline';
  }

  get hasDeadline(): boolean {
    return this.#deadline !== undefined;
  }

  /** `late` is called if the deadline passes before the response has begun; if it has, the response is cut off. */
  deadline(clock: Clock, timeoutMs: number, late: (exchange: Exchange) => void): void {
    if (this.#over) return;
    this.#deadline = clock.setTimer(timeoutMs, () => {
      this.terminated = true;
      if (this.#owner === 'nobody') {
        this.#owner = 'deadline';
        late(this);
      } else {
        this.sink.destroy();
      }
      this.#end();
    });
  }

  /** It was for what has been waited for until now. */
  endDeadline(): void {
    this.#deadline?.cancel();
    this.#deadline = undefined;
  }

  /** The answer is made and needs nobody's help any more: from now on the deadline cuts it off. */
  answered(): void {
    if (this.#owner === 'nobody') this.#owner = 'handler';
  }

  /** The handler is about to write the head itself. False: too late, nothing may be written. */
  claim(): boolean {
    if (this.sink.closed || this.#owner !== 'nobody') return false;
    this.#owner = 'handler';
    this.router?.hijack();
    return true;
  }

  writeHead(code: number, headers: AnyHeaders, hasTrailers = false): void {
    this.response.writeHead(code, { ...this.headers, ...headers }, hasTrailers);
  }

  /** Ends a response that cannot be completed. */
  cut(): void {
    this.terminated = true;
    this.sink.destroy();
    this.#end();
  }

  #end(): void {
    this.#over = true;
    this.#abort?.abort(OVER);
  }
}

/** The reason of every abort: without one, each request's end would make an error with its stack. */
const OVER = new Error('the request is over');

export function json(body: string, code = 200): Answer {
  return { code, headers: { 'content-type': 'application/json' }, body };
}

/** Text whose type Go's server guessed. */
export function bareText(code: number, body: string, headers: Headers = {}): Answer {
  return { code, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

/** Plain text, as Go's http.Error writes it. */
export function plainText(code: number, body: string, headers: Headers = {}): Answer {
  return {
    code,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff', ...headers },
    body,
  };
}

/** As kube-apiserver's filters say that they cannot go on; `problem`: what markup it has is defused. */
export function internalServerError(target: string, problem: string): Answer {
  const text = `Internal Server Error: ${quoteGo(target)}: ${problem}\n`;
  return plainText(
    500,
    text.replace(/[&<>]/g, (character) => HTML[character]!),
  );
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

export const NOT_FOUND = plainText(404, '404 page not found\n');
