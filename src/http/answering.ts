import type { FastifyBaseLogger } from 'fastify';
import { parseTimeoutMs } from '../api/duration.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import { type Access, type Admission, answersAnyHost, identify, permit } from './access.js';
import { answerDocument, type DocumentContext } from './documents.js';
import {
  type Answer,
  bareText,
  Exchange,
  ExchangeRequest,
  type Incoming,
  internalServerError,
  type Outcome,
  plainText,
  type Router,
  STREAMED,
} from './exchange.js';
import type { Forwarder } from './forward/forwarder.js';
import { isAnsweredHere, isLongRunning } from './forward/served.js';
import { hostRefusal, isHostRepeated, isLoopbackHost, isLoopbackOrigin, originRefusal } from './gate.js';
import { InFlight, TOO_MANY_REQUESTS } from './in-flight.js';
import { compressed } from './objects.js';
import type { ParsedPath } from './paths.js';
import { RequestBodies } from './request-body.js';
import { problemAnswer } from './respond.js';
import { answerResource, isWatch, labelResource, type ResourceContext } from './resources.js';
import { answerReview, type Review, reviewOf } from './reviews.js';
import { type HttpResponse, ignoreError } from './sinks.js';
import type { Problem } from './to-status.js';

export interface AnsweringContext {
  readonly resources: ResourceContext;
  readonly documents: DocumentContext;
  readonly shuttingDown: () => boolean;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: FastifyBaseLogger | undefined;
  /** Who may ask over HTTPS; absent: everybody, but only requests that mean this machine are answered. */
  readonly access: Access | undefined;
  /** Answers what is not answered here; absent: that is refused. */
  readonly forwarder: Forwarder | undefined;
  /** Of an HTTP/2 request: that its connection is asked to leave with the answer, 0 to 1. */
  readonly goAwayChance: number;
}

/**
 * Answers requests, whatever brought them. What needs nothing but memory is answered before `serve` returns: most GETs
 * are, and a promise for each step on the way would cost as much as finding the object.
 */
export class Answering {
  /** Those whose response is not closed, watches included. */
  readonly exchanges = new Set<Exchange>();
  readonly #context: AnsweringContext;
  readonly #inFlight: InFlight;
  readonly #posted: InFlight;
  readonly #waiting: InFlight;
  readonly #bodies: RequestBodies;

  constructor(context: AnsweringContext) {
    this.#context = context;
    const { limits } = context;
    this.#inFlight = new InFlight(limits.requestsInFlightMax);
    this.#posted = new InFlight(limits.postsInFlightMax);
    this.#waiting = new InFlight(limits.admissionsWaitingMax);
    this.#bodies = new RequestBodies(limits);
  }

  /** From a request to the end of its response, or to where it is streamed. Neither throws nor rejects. */
  serve(incoming: Incoming, response: HttpResponse, router?: Router): Promise<void> | undefined {
    const lost = (error: unknown) => {
      this.#context.log?.error({ err: error, uri: shown(incoming.target) }, 'request failed before it was understood');
      response.destroy();
    };
    try {
      return this.#serve(new ExchangeRequest(incoming), response, router)?.catch(lost);
    } catch (error) {
      lost(error);
      return undefined;
    }
  }

  /** Whether the target of `--forward-to` answers it. */
  isForwarded(request: Pick<ExchangeRequest, 'method' | 'path' | 'target'>): boolean {
    const { forwarder, resources, documents } = this.#context;
    if (forwarder === undefined) return false;
    return !isAnsweredHere(request, { findKind: resources.findKind, discovery: documents.discovery });
  }

  #serve(request: ExchangeRequest, response: HttpResponse, router: Router | undefined): Promise<void> | undefined {
    const { clock, goAwayChance, random, resources } = this.#context;
    const exchange = new Exchange(request, response, router, clock.monotonicMs());
    exchange.isForwarded = this.isForwarded(request);
    const { headers } = exchange;
    headers['audit-id'] = request.headers['audit-id']?.toString() || random.uuid();
    headers['cache-control'] = 'no-cache, private';
    // The client's next request opens a connection, which a load balancer may give to another replica.
    if (goAwayChance > 0 && request.isHttp2 && random.chance(goAwayChance)) headers['connection'] = 'close';
    resources.metrics.begin();
    this.exchanges.add(exchange);
    response.onClose(() => this.#ended(exchange));
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = this.#answer(exchange);
    } catch (error) {
      return this.#failed(exchange, error);
    }
    if (!(outcome instanceof Promise)) return this.#answered(exchange, outcome);
    return outcome.then(
      (later) => this.#answered(exchange, later),
      (error: unknown) => this.#failed(exchange, error),
    );
  }

  #answer(exchange: Exchange): Outcome | Promise<Outcome> {
    const { request } = exchange;
    const { limits, access } = this.#context;
    // Beyond that Node passes headers over: those that a proxy has put last would be missing.
    if (request.rawHeaders.length >= 2 * limits.headersMax) {
      return unhandled(exchange, '431 Request Header Fields Too Large', 431);
    }
    if (isHostRepeated(request.rawHeaders)) return unhandled(exchange, '400 Bad Request: too many Host headers');
    if (!answersAnyHost(access, request.isSecure)) {
      const host = request.headers[':authority']?.toString() ?? request.headers.host;
      if (!isLoopbackHost(host)) return plainText(403, hostRefusal(host));
      // What is read a page of another origin does not see; what is written would be done.
      const { origin } = request.headers;
      if (exchange.isForwarded && origin !== undefined && !isLoopbackOrigin(origin)) {
        return plainText(403, originRefusal(origin));
      }
    }
    const { path } = request;
    if (path.type === 'bad') {
      return unhandled(exchange, '400 Bad Request');
    }
    if (path.type === 'incomplete') {
      delete exchange.headers['cache-control'];
      const problem = `failed to create RequestInfo: unable to determine kind and namespace from url, ${path.target}`;
      return internalServerError(path.target, problem);
    }
    if (this.#context.shuttingDown()) return problemAnswer(request, { kind: 'shuttingDown' });
    const isWatching = path.type === 'resource' && isWatch(request.method, path, request.query);
    if (isWatching) exchange.labels.verb = 'WATCH';
    const mayLast = isWatching || (exchange.isForwarded && isLongRunning(request));
    if (!mayLast) {
      const timeout = parseTimeoutMs(request.query.get('timeout'));
      if (!timeout.ok) return problemAnswer(request, { kind: 'badRequest', message: timeout.message });
      const asked = timeout.value ?? 0;
      if (asked > 0 && asked < limits.requestTimeoutMs) exchange.timeoutMs = asked;
    }
    if (access === undefined) return this.#count(exchange, path, mayLast, undefined);
    const refused = identify(exchange, access, this.#context.resources.listSyntax);
    if (!(refused instanceof Promise)) return this.#count(exchange, path, mayLast, refused);
    return this.#await(exchange, refused, (later) => this.#count(exchange, path, mayLast, later));
  }

  /** `refused`: why it is not answered, if so. Who asks is known, but not whether they may: as in kube-apiserver. */
  #count(exchange: Exchange, path: AnswerablePath, mayLast: boolean, refused: Admission): Outcome | Promise<Outcome> {
    if (refused !== undefined) return this.#refuse(exchange, path, refused);
    const { request } = exchange;
    const { resources, access } = this.#context;
    const review = exchange.isForwarded ? undefined : reviewOf(request.method, path);
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const isPosted = exchange.isForwarded || review !== undefined;
    const counted = isRead ? this.#inFlight : isPosted ? this.#posted : undefined;
    if (!mayLast && counted?.admit(exchange.sink) === false) {
      if (path.type === 'resource') labelResource(exchange, resources, path);
      exchange.terminated = true;
      return TOO_MANY_REQUESTS;
    }
    const denied = access === undefined ? undefined : permit(exchange, access, resources.listSyntax);
    if (!(denied instanceof Promise)) return this.#answerAdmitted(exchange, path, mayLast, review, denied);
    return this.#await(exchange, denied, (later) => this.#answerAdmitted(exchange, path, mayLast, review, later));
  }

  #answerAdmitted(
    exchange: Exchange,
    path: AnswerablePath,
    mayLast: boolean,
    review: Review | undefined,
    denied: Admission,
  ): Outcome | Promise<Outcome> {
    if (denied !== undefined) return this.#refuse(exchange, path, denied);
    const { resources, documents, access, clock, limits, forwarder } = this.#context;
    if (!mayLast) {
      const spentMs = exchange.hasWaited ? clock.monotonicMs() - exchange.startMs : 0;
      exchange.deadline(clock, (exchange.timeoutMs ?? limits.requestTimeoutMs) - spentMs, this.#late);
    }
    if (exchange.isForwarded && forwarder !== undefined) {
      if (path.type === 'resource') labelResource(exchange, resources, path);
      return forwarder.forward(exchange);
    }
    if (review !== undefined) return answerReview(exchange, review, access, this.#bodies, limits, clock);
    return path.type === 'resource'
      ? answerResource(exchange, resources, path)
      : answerDocument(exchange, documents, path.path);
  }

  #refuse(exchange: Exchange, path: AnswerablePath, refused: Problem | Answer): Answer {
    if (path.type === 'resource') labelResource(exchange, this.#context.resources, path);
    return 'kind' in refused ? problemAnswer(exchange.request, refused) : refused;
  }

  /** Somebody else is asked whether the request may go on. Meanwhile it has its deadline, and only so many may wait. */
  async #await(
    exchange: Exchange,
    asked: Promise<Admission>,
    goOn: (later: Admission) => Outcome | Promise<Outcome>,
  ): Promise<Outcome> {
    const { clock, limits } = this.#context;
    if (!this.#waiting.enter()) {
      exchange.terminated = true;
      asked.catch(ignoreError); // it is given up with the response
      return TOO_MANY_REQUESTS;
    }
    const spentMs = exchange.hasWaited ? clock.monotonicMs() - exchange.startMs : 0;
    exchange.hasWaited = true;
    exchange.deadline(clock, (exchange.timeoutMs ?? limits.requestTimeoutMs) - spentMs, this.#late);
    let later: Admission;
    try {
      later = await asked;
    } finally {
      this.#waiting.leave();
    }
    if (exchange.isOver) return STREAMED;
    exchange.endDeadline();
    return goOn(later);
  }

  /** The deadline has passed before there was an answer. */
  readonly #late = (exchange: Exchange): void => {
    void this.#send(exchange, problemAnswer(exchange.request, { kind: 'deadline' }), true);
  };

  #answered(exchange: Exchange, outcome: Outcome): Promise<void> | undefined {
    if (outcome !== STREAMED) return this.#send(exchange, outcome, false);
    if (exchange.endWatch !== undefined && !exchange.isOver) {
      exchange.watching = true;
      this.#context.resources.metrics.watching(exchange.labels);
    }
    return undefined;
  }

  #failed(exchange: Exchange, error: unknown): Promise<void> | undefined {
    if (exchange.isLate) return undefined;
    if (exchange.response.headersSent) {
      this.#cut(exchange, error);
      return undefined;
    }
    this.#report(exchange, error);
    const message = error instanceof Error ? error.message : String(error);
    return this.#send(exchange, problemAnswer(exchange.request, { kind: 'internal', message }), false);
  }

  /** Writes an answer that was made whole. */
  #send(exchange: Exchange, plain: Answer, isLate: boolean): Promise<void> | undefined {
    try {
      const packed = compressed(exchange, plain);
      if (packed instanceof Promise) {
        return packed
          .then((answer) => this.#write(exchange, answer, isLate))
          .catch((error: unknown) => this.#cut(exchange, error));
      }
      this.#write(exchange, packed, isLate);
    } catch (error) {
      this.#cut(exchange, error);
    }
    return undefined;
  }

  #write(exchange: Exchange, { code, headers, body }: Answer, isLate: boolean): void {
    const { response, router } = exchange;
    // While it was compressed, the client may have left, or the deadline may have passed.
    if (response.closed || exchange.isLate !== isLate || response.headersSent) return;
    exchange.answered();
    // What was refused early has none, and what is late has had its own: whoever does not read would hold it for as long as
    // the connection lasts.
    const { clock, limits } = this.#context;
    if (isLate || !exchange.hasDeadline) exchange.deadline(clock, limits.lingerMs, this.#late);
    const bytes = bufferOf(body);
    exchange.bytes = bytes.length;
    const all = { ...exchange.headers, ...headers };
    if (this.#context.shuttingDown()) all['connection'] = 'close';
    (router ?? response).send(code, all, bytes);
  }

  #ended(exchange: Exchange): void {
    this.exchanges.delete(exchange);
    exchange.ended();
    const { response, labels, bytes, terminated, watching } = exchange;
    const { clock, resources, log } = this.#context;
    const { code } = response;
    const seconds = (clock.monotonicMs() - exchange.startMs) / 1000;
    const aborted = exchange.endWatch === undefined && !response.isComplete;
    resources.metrics.end(labels, { code, bytes, seconds, aborted, terminated, watching });
    log?.debug(
      { verb: labels.verb, resource: labels.resource, uri: shown(exchange.request.target), code, seconds },
      'request',
    );
  }

  #report(exchange: Exchange, error: unknown): void {
    const { request, headers } = exchange;
    this.#context.log?.error(
      { err: error, uri: shown(request.target), auditID: headers['audit-id'] },
      'request failed',
    );
  }

  #cut(exchange: Exchange, error: unknown): void {
    this.#report(exchange, error);
    exchange.cut();
  }
}

/** Go's server refuses it before any handler sees it. Over HTTP/2 the other streams of the connection go on. */
function unhandled({ headers, request }: Exchange, text: string, code = 400): Answer {
  delete headers['cache-control'];
  delete headers['audit-id'];
  return bareText(code, text, request.isHttp2 ? {} : { connection: 'close' });
}

const SHOWN_MAX = 2_000;

/** For the log, which clients must not be able to fill. */
function shown(target: string): string {
  return target.length <= SHOWN_MAX ? target : `${target.slice(0, SHOWN_MAX)}... (${target.length} characters)`;
}

function bufferOf(body: string | Uint8Array): Buffer {
  if (typeof body === 'string') return Buffer.from(body);
  return Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.length);
}

/** One that names something. */
type AnswerablePath = Exclude<ParsedPath, { readonly type: 'bad' | 'incomplete' }>;
