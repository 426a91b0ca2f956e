import { Agent as PlainAgent, type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, type AgentOptions, request as tlsRequest } from 'node:https';
import { quoteGo } from '../api/go-text.js';
import { type Clock, sleep } from '../lib/clock.js';
import { isObject, textMember } from '../lib/is-object.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';

/** Somebody whom we ask by posting a review: a webhook, or a kube-apiserver. */
export interface ReviewServer {
  /** Reviews are posted to exactly this. */
  readonly url: URL;
  readonly tls: Pick<AgentOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>;
  /** The header by which it knows us, read for each call; undefined: none is sent. */
  readonly authorization: () => string | undefined;
}

export interface ReviewClientOptions {
  readonly server: ReviewServer;
  /** For one answer. */
  readonly timeoutMs: number;
  /** For all tries together; absent: as long as somebody waits. */
  readonly totalMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Pick<Limits, 'reviewConnectionsMax' | 'reviewAnswerBytesMax'>;
  readonly userAgent: string;
  /** Of each try: the HTTP code, or `<error>`. */
  readonly posted?: (code: string, seconds: number) => void;
}

/** Nobody has answered, or with something that is no answer. The message holds nothing of what was posted. */
export class ReviewError extends Error {}

type Json = Readonly<Record<string, unknown>>;

type Posted =
  | { readonly ok: true; readonly text: string }
  | {
      readonly ok: false;
      readonly message: string;
      /** It may be otherwise the next time. */
      readonly isTransient: boolean;
      readonly retryAfterMs: number;
      /** The connection had been closed while nobody used it. */
      readonly isStale: boolean;
    };

/** How kube-apiserver goes on asking. */
const TRIES = 5;
const BACKOFF_MS = 500;
const BACKOFF_FACTOR = 1.5;
const BACKOFF_JITTER = 0.2;

/** How much of an answer in plain text is told. */
const SAID_MAX = 2_048;

/**
 * Posts reviews, one object each, and reads the status of what comes back. It tries again where kube-apiserver does: after 429 and 5xx,
 * unless it is a 503 without Retry-After, and after a connection that was reset. What cannot be reached at all fails at once.
 */
export class ReviewClient {
  readonly #options: ReviewClientOptions;
  readonly #isPlain: boolean;
  readonly #agent: PlainAgent;

  constructor(options: ReviewClientOptions) {
    const { server, limits } = options;
    this.#options = options;
    this.#isPlain = server.url.protocol === 'http:';
    const pool = { keepAlive: true, maxSockets: limits.reviewConnectionsMax };
    this.#agent = this.#isPlain ? new PlainAgent(pool) : new TlsAgent({ ...pool, ...server.tls });
  }

  /** The status of the review that is the answer. Rejects with ReviewError, also when the signal aborts. */
  async review(kind: string, apiVersion: string, body: string, signal: AbortSignal): Promise<Json> {
    const { clock, totalMs } = this.#options;
    const over = new AbortController();
    const leave = () => over.abort('context canceled');
    const timer =
      totalMs === undefined ? undefined : clock.setTimer(totalMs, () => over.abort('context deadline exceeded'));
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    try {
      return statusOf(await this.#insist(body, over.signal), kind, apiVersion);
    } finally {
      timer?.cancel();
      signal.removeEventListener('abort', leave);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #insist(body: string, signal: AbortSignal): Promise<string> {
    const { clock, random, timeoutMs } = this.#options;
    let backoffMs = BACKOFF_MS;
    for (let tries = 1; ; tries++) {
      let posted = await this.#post(body, signal, this.#agent);
      if (!posted.ok && posted.isStale) posted = await this.#post(body, signal, undefined);
      if (posted.ok) return posted.text;
      if (!posted.isTransient || tries === TRIES || signal.aborted) throw new ReviewError(posted.message);
      const leastMs = backoffMs * (1 + random.float() * BACKOFF_JITTER);
      // Whoever still waits would not wait for longer.
      await sleep(clock, Math.max(leastMs, Math.min(posted.retryAfterMs, timeoutMs)), signal);
      backoffMs *= BACKOFF_FACTOR;
    }
  }

  /** `agent`: undefined: by a connection of its own. */
  #post(body: string, signal: AbortSignal, agent: PlainAgent | undefined): Promise<Posted> {
    const { server, timeoutMs, clock, limits, userAgent } = this.#options;
    const where = `Post ${quoteGo(server.url.href)}`;
    return new Promise((resolve) => {
      const authorization = server.authorization();
      const options = {
        method: 'POST',
        agent: agent ?? false,
        headers: {
          accept: 'application/json, */*',
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'user-agent': userAgent,
          ...(authorization === undefined ? {} : { authorization }),
        },
      } as const;
      const sent: ClientRequest = this.#isPlain
        ? plainRequest(server.url, options)
        : tlsRequest(server.url, (agent === undefined ? { ...options, ...server.tls } : options) as object);
      const startMs = clock.monotonicMs();
      let isOver = false;
      const finish = (posted: Posted, code: string) => {
        if (isOver) return;
        isOver = true;
        timer.cancel();
        signal.removeEventListener('abort', gone);
        if (posted.ok || !posted.isStale) this.#options.posted?.(code, (clock.monotonicMs() - startMs) / 1_000);
        resolve(posted);
      };
      const fail = (message: string, isTransient = false, isStale = false) => {
        finish({ ok: false, message, isTransient, retryAfterMs: 0, isStale }, '<error>');
        sent.destroy();
      };
      const gone = () => fail(`${where}: ${String(signal.reason)}`);
      const timer = clock.setTimer(timeoutMs, () => fail(`${where}: no answer within ${timeoutMs / 1_000}s`));
      const lost = (error: NodeJS.ErrnoException) => {
        const isReset = error.code === 'ECONNRESET' || error.code === 'EPIPE';
        fail(`${where}: ${error.message}`, isReset, isReset && sent.reusedSocket);
      };
      sent.on('error', lost);
      signal.addEventListener('abort', gone, { once: true });
      if (signal.aborted) return gone();
      sent.on('response', (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('error', lost);
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          if ((size += chunk.length) > limits.reviewAnswerBytesMax) fail(`${where}: the answer is too large`);
        });
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          const { statusCode: code = 0 } = response;
          finish(code < 200 || code > 206 ? refusal(code, response, text) : { ok: true, text }, `${code}`);
        });
      });
      sent.end(body);
    });
  }
}

/** What client-go makes of an answer that is none. A Status in its body says more. */
function refusal(code: number, { headers }: IncomingMessage, text: string): Posted {
  const seconds = /^[0-9]{1,6}$/.exec(headers['retry-after'] ?? '');
  const retryAfterMs = seconds === null ? 0 : Number(seconds[0]) * 1_000;
  const said = /^(text\/|$)/.test(headers['content-type'] ?? '') ? text.slice(0, SAID_MAX).trim() : 'unknown';
  return {
    ok: false,
    message: statusMessage(text) ?? codeMessage(code, said),
    isTransient: code === 429 || (code >= 500 && (code !== 503 || retryAfterMs > 0)),
    retryAfterMs,
    isStale: false,
  };
}

function statusMessage(text: string): string | undefined {
  const object = parsed(text);
  if (!isObject(object) || object['kind'] !== 'Status' || object['status'] !== 'Failure') return undefined;
  return textMember(object, 'message').slice(0, SAID_MAX) || undefined;
}

function codeMessage(code: number, said: string): string {
  switch (code) {
    case 400:
      return 'the server rejected our request for an unknown reason';
    case 401:
      return 'the server has asked for the client to provide credentials';
    case 403:
    case 415:
      return said;
    case 404:
      return 'the server could not find the requested resource';
    case 405:
      return 'the server does not allow this method on the requested resource';
    case 429:
      return 'the server has received too many requests and has asked us to try again later';
    case 503:
      return 'the server is currently unable to handle the request';
    case 504:
      return 'the server was unable to return a response in the time allotted, but may still be processing the request';
    default:
      return code >= 500
        ? `an error on the server (${quoteGo(said)}) has prevented the request from succeeding`
        : `the server responded with the status code ${code} but did not return more information`;
  }
}

/** What is missing is empty, as Go has it; what is there must be what we asked for. */
function statusOf(text: string, kind: string, apiVersion: string): Json {
  if (text === '') throw new ReviewError('the answer is empty');
  const object = parsed(text);
  if (!isObject(object)) throw new ReviewError('the answer is not a JSON object');
  const { kind: isKind = kind, apiVersion: isVersion = apiVersion, status = {} } = object;
  if (isKind === 'Status') throw new ReviewError(statusMessage(text) ?? 'the answer is a Status');
  if (isKind !== kind || isVersion !== apiVersion)
    throw new ReviewError(`the answer is not a ${kind} of ${apiVersion}`);
  if (!isObject(status)) throw new ReviewError('the status of the answer is not an object');
  return status;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Members of a status, by the types that the API gives them. Each throws ReviewError that names the member. */
export const member = {
  boolean: (status: Json, name: string): boolean => typed(status, name, 'a boolean', isBoolean) ?? false,
  text: (status: Json, name: string): string => typed(status, name, 'a string', isText) ?? '',
  texts: (status: Json, name: string): readonly string[] => typed(status, name, 'a list of strings', isTexts) ?? [],
  object: (status: Json, name: string): Json => typed(status, name, 'an object', isObject) ?? {},
};

const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function typed<T>(status: Json, name: string, what: string, is: (value: unknown) => value is T): T | undefined {
  const value = Object.hasOwn(status, name) ? status[name] : undefined;
  if (value === undefined || value === null) return undefined;
  if (is(value)) return value;
  throw new ReviewError(`${name} of the answer is not ${what}`);
}
