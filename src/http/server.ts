import type { IncomingMessage, ServerResponse } from 'node:http';
import type { EventEmitter } from 'node:events';
import type { Http2SecureServer, Http2ServerResponse, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify';
import type { ListSyntax } from '../api/list-options.js';
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
import { Answering } from './answering.js';
import { type Access, isGuarded } from './access.js';
import { liveDiscovery } from './discovery.js';
import type { DocumentContext } from './documents.js';
import { endWatches } from './end-watches.js';
import type { EncryptionStats } from './encryption-metrics.js';
import { Forwarder } from './forward/forwarder.js';
import type { IdentityHeaders } from './forward/headers.js';
import type { ForwardTarget } from './forward/target.js';
import { Health, type HealthCheck } from './health.js';
import { http1Response } from './http1-response.js';
import { HeadResponse } from './head-response.js';
import { Http2Response, sayGoodbye } from './http2-response.js';
import { Connections, formatAddress, http2Options } from './listeners.js';
import type { MeteredCache } from './cache-metrics.js';
import { Metrics } from './metrics.js';
import { createChunkPool } from './objects.js';
import type { ResourceContext } from './resources.js';
import type { TwinCounts } from './twin-metrics.js';
import type { OpenApiAnswers } from './openapi/answer.js';
import type { OpenApiOptions } from './openapi/documents.js';
import { reviewResources } from './reviews.js';
import { type BuildInfo, versionDocument } from './version.js';
import { refuseTunnel, Upgrades } from './upgrades.js';
import { WatchQuota } from './watch/quota.js';
import { SharedChunk } from './watch/shared-chunk.js';

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
  /** Absent: nothing is decrypted. */
  readonly encryption?: (() => EncryptionStats) | undefined;
  readonly healthChecks: readonly HealthCheck[];
  readonly build: BuildInfo;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: FastifyBaseLogger;
  /** Extensions of the query; none by default. */
  readonly listSyntax?: ListSyntax;
  /** Who may ask over HTTPS; absent: everybody, but only requests that mean this machine are answered. */
  readonly access?: Access | undefined;
  /** Of an HTTP/2 request: that its connection is asked to leave with the answer, 0 to 1; absent: 0. */
  readonly goAwayChance?: number;
  /** Who answers what is not answered here; absent: nobody. */
  readonly forwardTo?: ForwardTarget | undefined;
  /** Names of headers that only proxies may send, besides X-Remote-*; see `FrontProxy`. */
  readonly identityHeaders?: IdentityHeaders | undefined;
}

export interface Listening {
  readonly address: string;
  readonly port: number;
}

export interface TlsParts {
  readonly cert: string;
  readonly key: string;
  /** Authorities of clients' certificates, in PEM form; absent: clients are not asked for any. */
  readonly ca?: readonly string[];
  /** Absent: Node's own, TLS 1.2. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Names of OpenSSL, separated by colons; absent: Node's own. */
  readonly ciphers?: string;
}

export interface HttpServer {
  /** Port 0 takes a free one. Rejects with the system's error, e.g. EADDRINUSE. */
  listenInsecure(host: string, port: number): Promise<Listening>;
  /** HTTP/2 and HTTP/1.1 over TLS. */
  listenSecure(host: string, port: number, tls: TlsParts): Promise<Listening>;
  /** The pair that is shown to clients who connect from now on, or the authorities that their certificates are verified by. */
  renewTls(parts: Pick<TlsParts, 'cert' | 'key'> | Required<Pick<TlsParts, 'ca'>>): void;
  /** What is shown to the target of `--forward-to` from now on. */
  renewForwardCertificate(pair: Pick<TlsParts, 'cert' | 'key'>): void;
  /** `/readyz` fails from now on; everything is still answered. */
  beginShutdown(): void;
  /**
   * Stops listening, ends watches cleanly, lets other responses finish for at most
   * `limits.shutdownMs` after the last watch was ended, then cuts what is left. Idempotent.
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
    deps.encryption,
  );
  const { kinds } = deps;
  // With a target, reviews are its own.
  const posted = deps.forwardTo === undefined ? reviewResources : [];
  const discovery = liveDiscovery(kinds, posted);
  const isBuiltInGroup = (group: string) =>
    kinds.isBuiltInGroup(group) || reviewResources.some((one) => one.group === group);
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
    isBuiltInGroup,
    kindsKnown: deps.kindsKnown ?? (() => true),
    readerFor: deps.readerFor,
    shuttingDown,
    listSyntax: deps.listSyntax ?? {},
  };
  const connections = new Connections(clock, limits);
  metrics.reportConnections(connections);
  const forwarder =
    deps.forwardTo === undefined
      ? undefined
      : new Forwarder({
          target: deps.forwardTo,
          identityHeaders: deps.identityHeaders,
          limits,
          clock,
          random,
          metrics: metrics.forwarding(),
          shuttingDown,
          unhurry: (socket) => connections.unhurry(socket),
          discovery,
          log,
        });
  let openApi: Promise<OpenApiAnswers> | undefined;
  const others = forwarder === undefined ? undefined : () => forwarder.openApiUrls();
  const documents: DocumentContext = {
    discovery,
    health,
    metrics,
    build: deps.build,
    openApi: () => (openApi ??= openOpenApi({ kinds, posted, others, clock, sliceMs: limits.listSliceMs }, deps.build)),
    forwardOpenApi:
      forwarder === undefined ? undefined : (exchange, path, own) => forwarder.openApi(exchange, path, own),
    isBuiltInGroup,
    issuer: forwarder === undefined ? deps.access?.issuer : undefined,
    mergedDiscovery: forwarder === undefined ? undefined : () => forwarder.discovery(),
  };
  const answering = new Answering({
    resources,
    documents,
    shuttingDown,
    limits,
    clock,
    random,
    log,
    access: deps.access,
    goAwayChance: deps.goAwayChance ?? 0,
    forwarder,
  });
  const { exchanges } = answering;
  const upgrades = new Upgrades({
    access: deps.access,
    isForwarded: (request) => answering.isForwarded(request),
  });
  const listeners: { close(): Promise<void> }[] = [];
  const secured: { readonly server: Http2SecureServer; tls: TlsParts }[] = [];

  /** What fastify routes: every method but GET, upgrades, and what tests inject. */
  async function handle(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { raw } = request;
    const overHttp2 = 'stream' in reply.raw;
    const upgrade = upgrades.of(raw);
    const hijack = () => {
      if (!reply.sent) void reply.hijack();
    };
    const response = overHttp2 ? new Http2Response(streamOf(reply.raw)) : http1Response(reply.raw, true);
    await answering.serve(
      {
        method: raw.method ?? '',
        target: request.originalUrl ?? '',
        headers: raw.headers,
        rawHeaders: raw.rawHeaders,
        connection: () => raw.socket,
        isSecure: overHttp2 || isGuarded(raw.socket),
        body: raw,
        upgrade,
      },
      raw.method === 'HEAD' ? new HeadResponse(response) : response,
      {
        hijack,
        send(code, headers, body) {
          const leaves = overHttp2 && 'connection' in headers;
          if (leaves) delete headers['connection'];
          reply.code(code).headers(headers);
          if (raw.method === 'HEAD') void reply.header('content-length', body.length).send();
          else void (code === 304 ? reply.send() : reply.send(body));
          if (leaves) sayGoodbye(streamOf(reply.raw));
        },
      },
    );
    hijack(); // the response was streamed, or the client left before there was an answer
    return reply;
  }

  /** A GET needs nothing of a router, and is most of what there is: straight from Node to the answer. */
  function answerGet(raw: IncomingMessage, response: ServerResponse): void {
    const { url = '', headers, rawHeaders, socket } = raw;
    const isSecure = isGuarded(socket);
    void answering.serve(
      { method: 'GET', target: url, headers, rawHeaders, connection: () => socket, isSecure },
      http1Response(response, false),
    );
  }

  function answerStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
    const connection = () =>
      stream.session?.destroyed === false ? (stream.session.socket as unknown as Socket) : undefined;
    void answering.serve(
      { method: 'GET', target: headers[':path'] ?? '', headers, rawHeaders, connection, isSecure: true },
      new Http2Response(stream),
    );
  }

  function create(tls?: TlsParts) {
    const common = {
      exposeHeadRoutes: false,
      logController: new LogController({ disableRequestLogging: true }),
      clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => connections.refuse(error, socket),
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
            https: {
              ...http2Options(limits),
              ...tls,
              ...(tls.ca === undefined ? {} : ASK_FOR_CERTIFICATES),
              handshakeTimeout: limits.requestHeadMs,
              allowHTTP1: true,
              maxHeaderSize: limits.headerBytesMax,
            },
          } as never)
    ) as ReturnType<typeof fastify>;
    // Bodies are left where they are: only reviews.ts has a use for one.
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request: unknown, _payload: unknown, done: (error: null) => void) => done(null));
    app.all(ONE_ROUTE, handle);
    app.setNotFoundHandler(handle);
    const routed = soleListener(app.server, 'request');
    app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      if (request.method !== 'GET') routed(request, response);
      else if ('stream' in response) answerStream(streamOf(response), request.headers, request.rawHeaders);
      else answerGet(request, response);
    });
    if (tls !== undefined) {
      // What Node makes of a stream so that it looks like HTTP/1.1: fastify wants that, a GET does not.
      const compatible = soleListener(app.server, 'stream');
      app.server.on(
        'stream',
        (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: string[]) => {
          if (headers[':method'] === 'GET' && headers.expect === undefined) answerStream(stream, headers, raw);
          else compatible(stream, headers, flags, raw);
        },
      );
    }
    app.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      upgrades.begin(request, socket, head, app.routing);
    });
    app.server.on('connect', (_request: IncomingMessage, client: Socket | Http2ServerResponse) => refuseTunnel(client));
    connections.follow(app.server as unknown as Http2SecureServer);
    return app;
  }

  async function listen(app: ReturnType<typeof create>, host: string, port: number): Promise<Listening> {
    await app.listen({ host, port });
    listeners.push(app);
    const address = app.server.address() as AddressInfo;
    return { address: formatAddress(address), port: address.port };
  }

  async function close(): Promise<void> {
    health.beginShutdown();
    void endWatches(exchanges, limits.watchTerminationGraceMs, clock);
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
    await Promise.race([finished, sleep(clock, limits.shutdownMs + limits.watchTerminationGraceMs, enough.signal)]);
    enough.abort();
    for (const exchange of exchanges) exchange.cut();
    await connections.saidGoodbye(GOODBYE_MS);
    connections.destroyAll();
    forwarder?.close();
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
    listenSecure(host, port, tls) {
      const app = create(tls);
      secured.push({ server: app.server as unknown as Http2SecureServer, tls });
      return listen(app, host, port);
    },
    renewTls(parts) {
      for (const one of secured) {
        one.tls = { ...one.tls, ...parts };
        const { cert, key, ca, minVersion, ciphers } = one.tls;
        one.server.setSecureContext({
          cert,
          key,
          ...(ca === undefined ? {} : { ca: [...ca] }),
          ...(minVersion === undefined ? {} : { minVersion }),
          ...(ciphers === undefined ? {} : { ciphers }),
        });
      }
    },
    renewForwardCertificate: (pair) => forwarder?.renew(pair),
    beginShutdown: () => health.beginShutdown(),
    close: () => (closing ??= Promise.resolve().then(close)),
    inject,
    metrics,
    get open() {
      return exchanges.size;
    },
    get unsentBytes() {
      let bytes = 0;
      for (const { response } of exchanges) bytes += response.unsentBytes;
      return bytes;
    },
  };
}

/** Nobody needs these modules before somebody asks, and few ever do. */
async function openOpenApi(options: Omit<OpenApiOptions, 'version'>, build: BuildInfo): Promise<OpenApiAnswers> {
  const { createOpenApiAnswers } = await import('./openapi/answer.js');
  const { emulationMajor, emulationMinor } = versionDocument(build);
  const version = `${emulationMajor}.${emulationMinor}`;
  return createOpenApiAnswers({ ...options, version });
}

/** Who has none, or a wrong one, may say so over HTTP. */
const ASK_FOR_CERTIFICATES = { requestCert: true, rejectUnauthorized: false };

/** The stream below what Node's http2 shows to those who expect HTTP/1.1. */
function streamOf(response: ServerResponse): ServerHttp2Stream {
  return (response as unknown as Http2ServerResponse).stream;
}

/** Takes the one listener that there is off an event, for somebody who decides when it is called. */
function soleListener(server: EventEmitter, event: string): (...parts: unknown[]) => void {
  const [listener, ...others] = server.listeners(event) as ((...parts: unknown[]) => void)[];
  if (listener === undefined || others.length > 0) throw new InvariantError(`not one listener for '${event}'`);
  server.removeAllListeners(event);
  return listener.bind(server);
}

/** Routes have no schemas. Unless it is told so, fastify loads and sets up two compilers for them: 140 ms of every start. */
function noSchemas(): never {
  throw new InvariantError('a route has a schema');
}
