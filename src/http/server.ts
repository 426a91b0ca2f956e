import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Http2SecureServer, Http2ServerRequest } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify';
import { quoteGo } from '../api/go-text.js';
import type { ListSyntax } from '../api/list-options.js';
import { decodeQuery } from '../api/query.js';
import type { Kind } from '../codec/kind.js';
import type { KindSet } from '../codec/kind-set.js';
import { InvariantError } from '../lib/assert.js';
import { type Clock, sleep } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import type { CheckpointStats } from '../checkpoint/checkpoints.js';
import type { FragmentStats } from '../serve/fragment-cache.js';
import type { EncodeStats } from '../serve/fragment-encoder.js';
import type { Reader } from '../serve/reader.js';
import { parseTimeoutMs } from '../api/duration.js';
import { liveDiscovery } from './discovery.js';
import { answerDocument, type DocumentContext } from './documents.js';
import {
  type Answer,
  bareText,
  Exchange,
  type ExchangeRequest,
  type Outcome,
  plainText,
  STREAMED,
  type Upgrade,
} from './exchange.js';
import { hostRefusal, isLoopbackHost, isLoopbackOrigin, originRefusal } from './gate.js';
import { Health, type HealthCheck } from './health.js';
import { InFlight, TOO_MANY_REQUESTS } from './in-flight.js';
import { Connections, formatAddress, http2Options } from './listeners.js';
import { type MeteredCache, Metrics } from './metrics.js';
import { compressed, createChunkPool } from './objects.js';
import { parseTarget } from './paths.js';
import { problemAnswer } from './respond.js';
import { answerResource, isWatch, labelResource, type ResourceContext } from './resources.js';
import { isHttp2, type RawResponse } from './sinks.js';
import type { TwinCounts } from './twin-metrics.js';
import type { BuildInfo } from './version.js';
import { WatchQuota } from './watch/quota.js';
import { SharedChunk } from './watch/shared-chunk.js';
import { handshakeRefusal, isWebSocket, refuseHandshake } from './watch/websocket.js';

export interface HttpServerDeps {
  /** Served kinds, which may change. */
  readonly kinds: KindSet;
  /** Whether all of them are known; so they are when absent. */
  readonly kindsKnown?: () => boolean;
  readonly readerFor: (kind: Kind) => Reader;
  /** For /metrics: the caches that exist. */
  readonly caches: () => Iterable<MeteredCache>;
  /** For /metrics: what LISTs keep encoded, unless they keep nothing. */
  readonly fragments?: () => FragmentStats | undefined;
  /** For /metrics: the threads that encode LISTs. */
  readonly encodeWorkers?: () => EncodeStats;
  readonly checkpoints?: () => CheckpointStats | undefined;
  /** What twin engines compared. */
  readonly twins?: () => TwinCounts | undefined;
  readonly healthChecks: readonly HealthCheck[];
  readonly build: BuildInfo;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: FastifyBaseLogger;
  /** Extensions of the query; none by default. */
  readonly listSyntax?: ListSyntax;
  /** Set once requests are authenticated; until then only loopback hosts and origins are answered. */
  readonly anyHost?: boolean;
}

export interface Listening {
  readonly address: string;
  readonly port: number;
}

export interface HttpServer {
  /** Port 0 takes a free one. Rejects with the system's error, e.g. EADDRINUSE. */
  listenInsecure(host: string, port: number): Promise<Listening>;
  /** HTTP/2 and HTTP/1.1 over TLS. */
  listenSecure(host: string, port: number, tls: { readonly cert: string; readonly key: string }): Promise<Listening>;
  /** `/readyz` fails from now on; everything is still answered. */
  beginShutdown(): void;
  /**
   * Stops listening, ends watches cleanly, lets other responses finish for at most
   * `limits.shutdownMs`, then cuts what is left. Idempotent.
   */
  close(): Promise<void>;
  /** Answers without a network: for tests and for tools in the same process. */
  inject: ReturnType<typeof fastify>['inject'];
  readonly metrics: Metrics;
  /** Requests being answered, watches included. */
  readonly open: number;
  /** Of responses: written, and not taken by the kernel yet. */
  readonly unsentBytes: number;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** For the last frames of HTTP/2 connections whose streams have all ended. */
const GOODBYE_MS = 500;

/** Each request reaches one route: the paths of the API are parsed by paths.ts. */
const ONE_ROUTE = '/';

export function createHttpServer(deps: HttpServerDeps): HttpServer {
  const { clock, limits, random, log } = deps;
  const health = new Health(deps.healthChecks, clock);
  const metrics = new Metrics(
    deps.caches,
    deps.build,
    deps.fragments,
    deps.encodeWorkers,
    deps.checkpoints,
    deps.twins,
  );
  const { kinds } = deps;
  const discovery = liveDiscovery(kinds);
  let closing: Promise<void> | undefined;
  const shuttingDown = () => closing !== undefined;
  const resources: ResourceContext = {
    clock,
    limits,
    chunks: createChunkPool(limits),
    metrics,
    watchQuota: new WatchQuota(limits.watchesPerClientMax),
    sharedChunk: new SharedChunk(),
    findKind: (group, version, resource) => kinds.find(group, version, resource),
    isBuiltInGroup: (group) => kinds.isBuiltInGroup(group),
    kindsKnown: deps.kindsKnown ?? (() => true),
    readerFor: deps.readerFor,
    shuttingDown,
    listSyntax: deps.listSyntax ?? {},
  };
  const documents: DocumentContext = { discovery, health, metrics, build: deps.build };
  const exchanges = new Set<Exchange>();
  const inFlight = new InFlight(limits.requestsInFlightMax);
  const connections = new Connections();
  const listeners: { close(): Promise<void> }[] = [];

  /** `late` is called instead, should the deadline pass first. */
  async function answer(exchange: Exchange, late: (problem: Answer) => void): Promise<Outcome> {
    const { request, labels } = exchange;
    if (deps.anyHost !== true) {
      const host = request.headers[':authority']?.toString() ?? request.headers.host;
      if (!isLoopbackHost(host)) return plainText(403, hostRefusal(host));
    }
    const { path } = request;
    if (path.type === 'bad') {
      // Go's server refuses it before any handler sees it.
      delete exchange.headers['cache-control'];
      delete exchange.headers['audit-id'];
      return bareText(400, '400 Bad Request', { connection: 'close' });
    }
    if (path.type === 'incomplete') {
      delete exchange.headers['cache-control'];
      const problem = `failed to create RequestInfo: unable to determine kind and namespace from url, ${path.target}`;
      const text = `Internal Server Error: ${quoteGo(path.target)}: ${problem}\n`;
      return plainText(
        500,
        text.replace(/[&<>]/g, (character) => HTML[character]!),
      );
    }
    const longRunning = path.type === 'resource' && isWatch(request.method, path, request.query);
    if (shuttingDown()) return problemAnswer(request, { kind: 'shuttingDown' });
    if (longRunning) {
      labels.verb = 'WATCH';
      return answerResource(exchange, resources, path);
    }
    if (request.method === 'GET' && !inFlight.admit(exchange.sink)) {
      if (path.type === 'resource') labelResource(exchange, resources, path);
      exchange.terminated = true;
      return TOO_MANY_REQUESTS;
    }
    const timeout = parseTimeoutMs(request.query.get('timeout'));
    if (!timeout.ok) return problemAnswer(request, { kind: 'badRequest', message: timeout.message });
    const asked = timeout.value ?? 0;
    const allowed = asked > 0 && asked < limits.requestTimeoutMs ? asked : limits.requestTimeoutMs;
    exchange.deadline(clock, allowed, () => late(problemAnswer(request, { kind: 'deadline' })));
    return path.type === 'resource'
      ? answerResource(exchange, resources, path)
      : answerDocument(exchange, documents, path.path);
  }

  /** What fastify routes: every method but GET, upgrades, and what tests inject. */
  async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const target = request.originalUrl ?? '';
    const hijack = () => {
      if (!reply.sent) void reply.hijack();
    };
    await exchangeAnswers(target, request.raw, reply.raw as RawResponse, hijack, (code, headers, body) => {
      reply.code(code).headers(headers);
      if (request.raw.method === 'HEAD') void reply.header('content-length', body.length).send();
      else void (code === 304 ? reply.send() : reply.send(body));
    });
    hijack(); // the response was streamed, or the client left before there was an answer
    return reply;
  }

  /** A GET needs nothing of a router, and is most of what there is: straight from Node to the answer. */
  function answerGet(request: IncomingMessage | Http2ServerRequest, response: RawResponse): void {
    exchangeAnswers(request.url ?? '', request, response, nothing, (code, headers, body) => {
      const raw = response as ServerResponse;
      if (code === 304) raw.writeHead(code, headers).end();
      else raw.writeHead(code, { ...headers, 'content-length': String(body.length) }).end(body);
    }).catch((error: unknown) => {
      log?.error({ err: error, uri: request.url }, 'request failed before it was understood');
      response.destroy();
    });
  }

  /** One exchange from its request to its end. `send` writes an answer that was made whole; `hijack` says that there is none. */
  async function exchangeAnswers(
    target: string,
    raw: IncomingMessage | Http2ServerRequest,
    response: RawResponse,
    hijack: () => void,
    send: (code: number, headers: Record<string, string>, body: Buffer) => void,
  ): Promise<void> {
    const startMs = clock.monotonicMs();
    const exchange = new Exchange(exchangeRequest(target, raw, response), hijack);
    const { sink, headers } = exchange;
    headers['audit-id'] = exchange.request.headers['audit-id']?.toString() || random.uuid();
    headers['cache-control'] = 'no-cache, private';
    const counted = metrics.begin(() => exchange.labels);
    exchanges.add(exchange);
    sink.onClose(() => {
      exchanges.delete(exchange);
      const seconds = (clock.monotonicMs() - startMs) / 1000;
      const watching = exchange.endWatch !== undefined;
      counted.end({
        code: response.statusCode,
        bytes: exchange.bytes,
        seconds,
        aborted: !watching && !response.writableFinished,
        terminated: exchange.terminated,
      });
      const { verb, resource } = exchange.labels;
      log?.debug({ verb, resource, uri: target, code: response.statusCode, seconds }, 'request');
    });
    const sendWhole = async (plain: Answer, isLate: boolean) => {
      const packed = compressed(exchange, plain);
      const { code, headers: own, body } = packed instanceof Promise ? await packed : packed;
      // While it was compressed, the client may have left, or the deadline may have passed.
      if (sink.closed || exchange.isLate !== isLate || response.headersSent) return;
      exchange.answered();
      const bytes =
        typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length);
      exchange.bytes = bytes.length;
      const all: Record<string, string> = { ...exchange.headers, ...own };
      if (isHttp2(response)) delete all['connection'];
      else if (shuttingDown()) all['connection'] = 'close';
      send(code, all, bytes);
    };
    const report = (error: unknown) => {
      log?.error({ err: error, uri: target, auditID: headers['audit-id'] }, 'request failed');
    };
    const cut = (error: unknown) => {
      report(error);
      exchange.cut();
    };
    let outcome: Outcome;
    try {
      outcome = await answer(exchange, (problem) => void sendWhole(problem, true).catch(cut));
    } catch (error) {
      if (exchange.isLate) return;
      if (response.headersSent) return cut(error);
      report(error);
      outcome = problemAnswer(exchange.request, { kind: 'internal', message: messageOf(error) });
    }
    if (outcome === STREAMED) {
      if (exchange.endWatch !== undefined) counted.watching();
      return;
    }
    await sendWhole(outcome, false).catch(cut);
  }

  function create(tls?: { readonly cert: string; readonly key: string }) {
    const common = {
      exposeHeadRoutes: false,
      logController: new LogController({ disableRequestLogging: true }),
      clientErrorHandler: answerUnparsed,
      return503OnClosing: false,
      // A logger of its own for each request costs as much as finding its object; lines name the Audit-Id instead.
      childLoggerFactory: (logger: FastifyBaseLogger) => logger,
      schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
      keepAliveTimeout: limits.idleConnectionMs,
      http: { maxHeaderSize: limits.headerBytesMax },
      // The router sees one path; the original one is read from the raw request.
      rewriteUrl: () => ONE_ROUTE,
      ...(log === undefined ? { logger: false } : { loggerInstance: log }),
    };
    const app = (
      tls === undefined
        ? fastify(common)
        : fastify({
            ...common,
            http2: true,
            http2SessionTimeout: 0,
            https: { ...http2Options(limits), ...tls, allowHTTP1: true, maxHeaderSize: limits.headerBytesMax },
          } as never)
    ) as ReturnType<typeof fastify>;
    // Bodies are never read: a read-only server has no use for one.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null));
    app.all(ONE_ROUTE, handle);
    app.setNotFoundHandler(handle);
    const [routed] = app.server.listeners('request') as ((...parts: unknown[]) => void)[];
    if (routed === undefined) throw new InvariantError('fastify does not listen to its server');
    app.server.removeAllListeners('request');
    app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (request.method === 'GET') answerGet(request, response);
      else routed(request, response);
    });
    app.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      upgrade(app, request, socket, head);
    });
    connections.follow(app.server as unknown as Http2SecureServer, limits);
    return app;
  }

  /**
   * Runs an upgrade request through the same handlers: a WATCH becomes a WebSocket, and everything
   * else (errors, other protocols such as h2c) is answered as if no upgrade had been asked for.
   */
  function upgrade(app: ReturnType<typeof create>, request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.setMaxListeners(0);
    socket.on('error', () => {});
    if (isWebSocket(request)) {
      const refusal = handshakeRefusal(request);
      const origin = request.headers.origin ?? '';
      if (refusal !== undefined) {
        refuseHandshake(socket, refusal);
        return;
      }
      if (deps.anyHost !== true && !isLoopbackOrigin(origin)) {
        refuseHandshake(socket, 403, originRefusal(origin));
        return;
      }
      upgrades.set(request, { socket, head });
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => {
      response.detachSocket(socket);
      socket.end();
    });
    app.routing(request, response);
  }

  async function listen(app: ReturnType<typeof create>, host: string, port: number): Promise<Listening> {
    await app.listen({ host, port });
    listeners.push(app);
    const address = app.server.address() as AddressInfo;
    return { address: formatAddress(address), port: address.port };
  }

  async function close(): Promise<void> {
    health.beginShutdown();
    for (const exchange of exchanges) exchange.endWatch?.();
    connections.goAway();
    const idle = Promise.all(listeners.map((app) => app.close()));
    const enough = new AbortController();
    const finished = new Promise<void>((resolve) => {
      const check = () => {
        if (exchanges.size === 0) resolve();
      };
      for (const exchange of exchanges) exchange.sink.onClose(check);
      check();
    });
    await Promise.race([finished, sleep(clock, limits.shutdownMs, enough.signal)]);
    enough.abort();
    for (const exchange of exchanges) exchange.cut();
    await connections.saidGoodbye(clock, GOODBYE_MS);
    connections.destroyAll();
    await idle;
    metrics.close();
  }

  let injected: ReturnType<typeof create> | undefined;
  const inject = ((...parameters: Parameters<ReturnType<typeof create>['inject']>) => {
    injected ??= create();
    return injected.inject(...parameters);
  }) as HttpServer['inject'];

  return {
    listenInsecure: (host, port) => listen(create(), host, port),
    listenSecure: (host, port, tls) => listen(create(tls), host, port),
    beginShutdown: () => health.beginShutdown(),
    close: () => (closing ??= Promise.resolve().then(close)),
    inject,
    metrics,
    get open() {
      return exchanges.size;
    },
    get unsentBytes() {
      let bytes = 0;
      for (const { request } of exchanges) bytes += request.response.writableLength;
      return bytes;
    },
  };
}

function nothing(): void {}

function exchangeRequest(
  target: string,
  raw: IncomingMessage | Http2ServerRequest,
  response: RawResponse,
): ExchangeRequest {
  const { path, search } = parseTarget(target);
  const { localAddress, localPort } = raw.socket;
  return {
    method: raw.method ?? '',
    path,
    search,
    query: decodeQuery(search),
    headers: raw.headers,
    client: raw.socket.remoteAddress ?? '',
    localAddress: formatAddress({ address: localAddress ?? '127.0.0.1', port: localPort ?? 0 }),
    upgrade: upgrades.get(raw as IncomingMessage),
    response,
  };
}

/** What does not parse as HTTP never becomes a request: answered as Go does, and the connection ends. */
function answerUnparsed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) return void socket.destroy();
  const line = CLIENT_ERRORS[error.code ?? ''] ?? '400 Bad Request';
  socket.end(`HTTP/1.1 ${line}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${line}`);
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

const CLIENT_ERRORS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Routes have no schemas. Unless it is told so, fastify loads and sets up two compilers for them: 140 ms of every start. */
function noSchemas(): never {
  throw new InvariantError('a route has a schema');
}
