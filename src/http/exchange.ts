import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../lib/clock.js';
import type { RequestLabels } from './metrics.js';
import type { ParsedPath } from './paths.js';
import type { Query } from './query.js';
import { type ByteSink, type RawResponse, responseSink } from './sinks.js';

/** A response that is small enough to be made whole. */
export interface Answer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** The handler wrote the response itself, or there is nobody left to write to. */
export const STREAMED = Symbol('streamed');
export type Outcome = Answer | typeof STREAMED;

/** A connection whose client asked to switch to WebSocket. */
export interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
}

export interface ExchangeRequest {
  readonly method: string;
  readonly path: ParsedPath;
  /** Undecoded, for handlers that read repeated parameters. */
  readonly search: string;
  readonly query: Query;
  readonly headers: IncomingHttpHeaders;
  /** `host:port` of our end of the connection. */
  readonly localAddress: string;
  /** Whom a quota counts: the address of the other end, until users are known. */
  readonly client: string;
  readonly upgrade: Upgrade | undefined;
  readonly response: RawResponse;
}

/**
 * One request and its response, whatever the protocol. At most one side answers: whoever calls
 * `claim` first. So a passed deadline and a late handler never both write, and a response that
 * has begun when the deadline passes is cut off instead.
 */
export class Exchange {
  readonly request: ExchangeRequest;
  readonly sink: ByteSink;
  /** Of every response to this request: Audit-Id, Cache-Control, Warning. */
  readonly headers: Record<string, string> = {};
  readonly labels: RequestLabels;
  /** Of the body, before compression. */
  bytes = 0;
  /** We gave the request up. */
  terminated = false;
  /** Set once the response has begun as a watch: how shutdown ends it. */
  endWatch: (() => void) | undefined;
  /** Made when somebody asks for the signal: most answers are there before anybody could wait. */
  #abort: AbortController | undefined;
  #over = false;
  readonly #claimed: () => void;
  #owner: 'nobody' | 'handler' | 'deadline' = 'nobody';
  #deadline: Timer | undefined;

  /** `claimed` is called when the handler starts to write the response itself. */
  constructor(request: ExchangeRequest, claimed: () => void) {
    this.request = request;
    this.#claimed = claimed;
    this.sink = responseSink(request.response);
    this.sink.onClose(() => {
      this.#deadline?.cancel();
      this.#end();
    });
    this.labels = { verb: request.method, group: '', version: '', resource: '', subresource: '', scope: '' };
  }

  /** Aborted when the request is over, however that came about. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#over) this.#abort.abort(OVER);
    }
    return this.#abort.signal;
  }

  /** The deadline has passed before the response began: whatever the handler answers comes too late. */
  get isLate(): boolean {
    return this.#owner === 'deadline';
  }

  /** `late` is called if the deadline passes before the response has begun; if it has, the response is cut off. */
  deadline(clock: Clock, timeoutMs: number, late: () => void): void {
    this.#deadline = clock.setTimer(timeoutMs, () => {
      this.terminated = true;
      if (this.#owner === 'nobody') {
        this.#owner = 'deadline';
        late();
      } else {
        this.sink.destroy();
      }
      this.#end();
    });
  }

  /** The answer is made and needs nobody's help any more: from now on the deadline cuts it off. */
  answered(): void {
    if (this.#owner === 'nobody') this.#owner = 'handler';
  }

  /** The handler is about to write the head itself. False: too late, nothing may be written. */
  claim(): boolean {
    if (this.sink.closed || this.#owner !== 'nobody') return false;
    this.#owner = 'handler';
    this.#claimed();
    return true;
  }

  writeHead(code: number, headers: Readonly<Record<string, string>>): void {
    const { response } = this.request;
    response.writeHead(code, { ...this.headers, ...headers });
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
export function bareText(code: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { code, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

/** Plain text, as Go's http.Error writes it. */
export function plainText(code: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    code,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff', ...headers },
    body,
  };
}

export const NOT_FOUND = plainText(404, '404 page not found\n');
