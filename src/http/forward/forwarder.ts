import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Clock, Timer } from '../../lib/clock.js';
import type { Limits } from '../../lib/limits.js';
import type { Random } from '../../lib/random.js';
import { type Exchange, type ExchangeRequest, type Outcome, STREAMED } from '../exchange.js';
import type { Discovery } from '../discovery.js';
import { HeadResponse } from '../head-response.js';
import { refuseRest } from '../request-body.js';
import { problemAnswer } from '../respond.js';
import { ignoreError } from '../sinks.js';
import type { Problem } from '../to-status.js';
import type { ForwardMetrics } from './forward-metrics.js';
import { headersToClient, headersToTarget, IdentityError, IdentityHeaders } from './headers.js';
import { dialTimeout, reasonOf } from './reach.js';
import { isLongRunning } from './served.js';
import { type ClientPair, type ForwardTarget, TargetConnections, type TargetRequest } from './target.js';
import { TargetDiscovery } from './target-discovery.js';
import { TargetOpenApi } from './target-openapi.js';
import { joinSockets, switchingProtocols } from './upgraded.js';

export interface ForwarderContext {
  readonly target: ForwardTarget;
  /** Names of headers that must not come from clients, besides X-Remote-*. */
  readonly identityHeaders: IdentityHeaders | undefined;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: ForwardMetrics;
  readonly shuttingDown: () => boolean;
  /** Of what is served here. */
  readonly discovery: () => Discovery;
  readonly log: { warn(message: string): void; info(message: string): void } | undefined;
  /** The request on this connection may take as long as it likes to come, until what is returned is called. */
  readonly unhurry: (connection: Socket) => () => void;
}

/**
 * Passes requests on to the target, as a front proxy: with the identity that was found out here, streamed both ways. What
 * breaks off on one side is broken off on the other one: no part of an answer ever looks whole.
 */
export class Forwarder {
  readonly #context: ForwarderContext;
  readonly #target: TargetConnections;
  readonly #discovery: TargetDiscovery;
  readonly #openApi: TargetOpenApi;
  /** Of this process: what comes back with it has gone in a circle. */
  readonly #mark: string;

  constructor(context: ForwarderContext) {
    this.#context = context;
    const { target, discovery, clock, limits, log } = context;
    this.#target = new TargetConnections(target, limits);
    this.#mark = context.random.uuid();
    const changed = (problem: string | undefined) => {
      if (problem !== undefined) log?.warn(`discovery of --forward-to is missing: ${problem}`);
      else log?.info('discovery of --forward-to is there');
    };
    this.#discovery = new TargetDiscovery({ target: this.#target, own: discovery, clock, limits, changed });
    this.#openApi = new TargetOpenApi({ target: this.#target, clock, limits });
  }

  /** Resolves once the answer has begun, or is known to be none of the target's. `instead`: the answer when it cannot be reached, or has no such thing. */
  forward(exchange: Exchange, instead?: Instead): Promise<Outcome> {
    const { request, sink } = exchange;
    const { connection } = request;
    if (connection !== undefined && !request.isHttp2 && isLongRunning(request)) {
      sink.onClose(this.#context.unhurry(connection));
    }
    if (request.headers[MARK] === this.#mark) {
      return Promise.resolve(
        this.#refuse(exchange, { kind: 'internal', message: '--forward-to leads back to listwatch' }),
      );
    }
    const head = this.#headOf(exchange);
    if ('kind' in head) return Promise.resolve(this.#refuse(exchange, head));
    return this.#send(exchange, head, true, instead);
  }

  /** Of what is served here and of what the target has. */
  discovery(): Promise<Discovery> {
    return this.#discovery.current();
  }

  /** By key of version 3: where the target has its document. Never rejects. */
  openApiUrls(): Promise<ReadonlyMap<string, string>> {
    return this.#openApi.urls();
  }

  /**
   * Whoever writes reads in them what the target does with it, so its documents are the answers. `own`, which describe reads, stand
   * in for what only listwatch has, while the target is away, and where it has no such documents; the index is of both.
   */
  async openApi(exchange: Exchange, path: string, own: Instead): Promise<Outcome> {
    const { method } = exchange.request;
    const key = /^\/openapi\/v3\/(.+)$/.exec(path)?.[1];
    const isTheirs = key === undefined ? path === '/openapi/v2' : await this.#openApi.has(key);
    return isTheirs && (method === 'GET' || method === 'HEAD') ? this.forward(exchange, own) : own();
  }

  /** What is shown to the target from now on. */
  renew(pair: ClientPair): void {
    this.#target.renew(pair);
  }

  /** Ends connections that idle; the others end with what uses them. */
  close(): void {
    this.#target.close();
  }

  /** What is said to the target, or why it cannot be. */
  #headOf({ request, user, headers }: Exchange): TargetRequest | Problem {
    const { method, upgrade } = request;
    try {
      const passed = headersToTarget(request, user, headers['audit-id']!, this.#context.identityHeaders ?? NONE);
      passed[MARK] = [this.#mark];
      if (upgrade !== undefined) {
        passed['connection'] = ['Upgrade'];
        passed['upgrade'] = [upgrade.request.headers.upgrade!];
      }
      const length = passed['content-length'];
      if (!hasBody(request)) {
        delete passed['content-length'];
        if (method !== 'GET' && method !== 'HEAD') passed['content-length'] = ['0'];
      } else if (length === undefined) passed['transfer-encoding'] = ['chunked'];
      return { method, path: originForm(request.target), headers: { host: this.#target.host, ...passed } };
    } catch (error) {
      if (error instanceof IdentityError) return { kind: 'internal', message: error.message };
      throw error;
    }
  }

  #send(exchange: Exchange, head: TargetRequest, mayRepeat: boolean, instead?: Instead): Promise<Outcome> {
    const { request } = exchange;
    const { clock, metrics } = this.#context;
    const target = this.#target;
    if (exchange.isOver) return Promise.resolve(STREAMED);
    const sentMs = clock.monotonicMs();
    let outgoing: ClientRequest;
    try {
      outgoing = target.request(head, request.upgrade !== undefined);
    } catch (error) {
      // A character that HTTP/2 can say, and HTTP/1.1 cannot.
      return Promise.resolve(this.#refuse(exchange, { kind: 'badRequest', message: messageOf(error) }));
    }
    return new Promise((resolve) => {
      const abort = () => outgoing.destroy();
      exchange.signal.addEventListener('abort', abort, { once: true });
      const dialling = this.#limitDial(outgoing);
      let isAnswered = false;
      const begins = (incoming: IncomingMessage) => {
        isAnswered = true;
        dialling.cancel();
        metrics.answered(request.method, incoming.statusCode!, (clock.monotonicMs() - sentMs) / 1000);
      };
      const failed = (error: Error) => {
        if (isAnswered) return; // what is missing of the answer is seen by who reads it
        isAnswered = true;
        dialling.cancel();
        exchange.signal.removeEventListener('abort', abort);
        if (exchange.isOver) return resolve(STREAMED);
        if (mayRepeat && isRepeatable(request, outgoing, error))
          return resolve(this.#send(exchange, head, false, instead));
        metrics.answered(request.method, 'error', 0);
        if (instead !== undefined) return resolve(instead());
        resolve(this.#refuse(exchange, { kind: 'unreachable', message: reasonOf(error, target.host) }));
      };
      outgoing.on('error', failed);
      outgoing.on('close', () => failed(new Error('EOF')));
      outgoing.on('response', (incoming: IncomingMessage) => {
        begins(incoming);
        if (instead !== undefined && incoming.statusCode === 404) {
          incoming.resume();
          exchange.signal.removeEventListener('abort', abort);
          return resolve(instead());
        }
        this.#receive(exchange, outgoing, incoming);
        resolve(STREAMED);
      });
      if (request.upgrade !== undefined) {
        outgoing.on('upgrade', (incoming: IncomingMessage, socket: Socket, first: Buffer) => {
          begins(incoming);
          exchange.signal.removeEventListener('abort', abort);
          this.#join(exchange, incoming, socket, first);
          resolve(STREAMED);
        });
      }
      sendBody(request, outgoing);
    });
  }

  /** The system gives up a host that does not answer after minutes. */
  #limitDial(outgoing: ClientRequest): Timer {
    const { clock, limits } = this.#context;
    const timer = clock.setTimer(limits.forwardDialMs, () => outgoing.destroy(dialTimeout()));
    outgoing.on('socket', (socket: Socket) => {
      if (outgoing.reusedSocket) timer.cancel();
      else socket.once(this.#target.isSecure ? 'secureConnect' : 'connect', () => timer.cancel());
    });
    return timer;
  }

  /** The target's answer goes to the client as it comes. */
  #receive(exchange: Exchange, outgoing: ClientRequest, incoming: IncomingMessage): void {
    const { request, response } = exchange;
    incoming.on('error', ignoreError); // 'close' follows
    if (!exchange.claim()) {
      outgoing.destroy();
      return;
    }
    if (isLongRunning(request)) exchange.endWatch = () => exchange.cut();
    if (response instanceof HeadResponse) response.passThrough();
    const code = incoming.statusCode!;
    const isEmpty = request.method === 'HEAD' || code === 204 || code === 304;
    const hasTrailers = !isEmpty && incoming.headers.trailer !== undefined;
    const headers = headersToClient(incoming.headers);
    if (this.#context.shuttingDown() && !request.isHttp2) headers['connection'] = 'close';
    // Ours give way to the target's, but for what is said about the client's connection.
    exchange.writeHead(code, headers, hasTrailers);
    response.flushHead();
    let isWhole = false;
    incoming.on('data', (chunk: Buffer) => {
      exchange.bytes += chunk.length;
      if (!response.write(chunk)) incoming.pause();
    });
    response.onDrain(() => incoming.resume());
    incoming.on('end', () => {
      if (!incoming.complete) return;
      isWhole = true;
      stopUpload(request, outgoing);
      response.end(hasTrailers ? trailersOf(incoming) : undefined);
    });
    incoming.on('close', () => {
      if (!isWhole && !exchange.isOver) exchange.cut();
    });
  }

  /** From here on the two connections are one. */
  #join(exchange: Exchange, incoming: IncomingMessage, socket: Socket, first: Buffer): void {
    const { upgrade } = exchange.request;
    socket.on('error', ignoreError);
    if (upgrade === undefined || !exchange.claim()) {
      socket.destroy();
      return;
    }
    const client = upgrade.socket as Socket;
    upgrade.response.statusCode = incoming.statusCode!;
    upgrade.response.detachSocket(client);
    client.write(switchingProtocols(incoming));
    joinSockets(client, upgrade.head, socket, first);
    exchange.endWatch = () => exchange.cut();
  }

  #refuse({ request }: Exchange, problem: Problem): Outcome {
    if (request.body !== undefined) refuseRest(request.body);
    return problemAnswer(request, problem);
  }
}

type Instead = () => Outcome | Promise<Outcome>;

const NONE = new IdentityHeaders();
const MARK = 'x-listwatch-forwarded';

function sendBody(request: ExchangeRequest, outgoing: ClientRequest): void {
  const { body } = request;
  if (body === undefined || !hasBody(request)) {
    outgoing.end();
    return;
  }
  // Not with the first of the body, which may be late.
  outgoing.flushHeaders();
  body.on('error', ignoreError);
  body.on('close', () => {
    if (!body.readableEnded && !outgoing.writableEnded) outgoing.destroy();
  });
  body.pipe(outgoing);
}

/** An answer that is there before all of the body was sent does not want the rest. */
function stopUpload({ body }: ExchangeRequest, outgoing: ClientRequest): void {
  if (body === undefined || outgoing.writableEnded) return;
  body.unpipe(outgoing);
  outgoing.destroy();
  refuseRest(body);
}

/** Nothing of it has come from the client, unless it says so: with a length, in chunks, or as frames of HTTP/2. */
function hasBody({ body, headers, upgrade, method }: ExchangeRequest): boolean {
  if (body === undefined || upgrade !== undefined || method === 'HEAD') return false;
  const { stream } = body as Readable & { readonly stream?: { readonly endAfterHeaders: boolean } };
  if (stream !== undefined) return !stream.endAfterHeaders;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** The connection was idle, and the target closed it while the request was on its way. Writes are never sent twice. */
function isRepeatable({ method }: ExchangeRequest, outgoing: ClientRequest, error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  const isRead = method === 'GET' || method === 'HEAD'; // of which nobody sends a body
  return isRead && outgoing.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
}

/** Path and query as the client wrote them; proxies may have put scheme and host before. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target;
  const path = target.replace(/^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#]*/, '');
  return path.startsWith('/') ? path : `/${path}`;
}

function trailersOf({ trailers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(trailers).filter((trailer): trailer is [string, string] => trailer[1] !== undefined),
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
