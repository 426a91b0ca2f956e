import { type ClientDuplexStream, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../lib/clock.js';
import { SourceError } from '../source.js';
import { type Endpoint, type Endpoints, watchForHang } from './endpoints.js';
import { isAuthNotEnabled, isTokenInvalid, type RpcFailure, toSourceError, wasNeverSent } from './errors.js';
import type { Settings } from './options.js';
import type { LentBytes } from './page-buffers.js';
import { decode, encode, METHODS } from './rpc.js';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** False for writes: they go to another endpoint only if they were surely not sent. */
  readonly idempotent?: boolean;
}

/** A failed attempt keeps what gRPC said next to what we make of it. */
class AttemptError extends Error {
  readonly failure: RpcFailure;
  readonly error: SourceError;
  constructor(failure: RpcFailure, error: SourceError) {
    super(error.message);
    this.failure = failure;
    this.error = error;
  }
}

const identity = (bytes: Buffer) => bytes;
const HUNG: RpcFailure = { code: 14, details: 'the endpoint accepts connections but does not answer' };

/**
 * Calls etcd: bytes in, bytes out. Tries each endpoint once, best first, and gives up on one that hangs.
 * There is no back-off in here: every call fails in bounded time, and the caller knows when to try again.
 */
export class Calls {
  readonly #endpoints: Endpoints;
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #pending = new Set<() => void>();
  #login: Promise<string | undefined> | undefined;
  #closed = false;

  constructor(endpoints: Endpoints, settings: Settings, clock: Clock) {
    this.#endpoints = endpoints;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Rejects with SourceError. */
  async unary(method: string, request: Buffer, options: CallOptions = {}): Promise<Buffer> {
    return (await this.#call(method, request, options, false)).bytes;
  }

  /** The same for answers of many megabytes: into memory that is used again once it is released. */
  page(method: string, request: Buffer, options: CallOptions = {}): Promise<LentBytes> {
    return this.#call(method, request, options, true);
  }

  async #call(method: string, request: Buffer, options: CallOptions, large: boolean): Promise<LentBytes> {
    for (let refreshed = false; ; refreshed = true) {
      const metadata = await this.metadata(options.signal);
      try {
        return await this.#overEndpoints(method, request, metadata, options, large);
      } catch (error) {
        if (!(error instanceof AttemptError)) throw error;
        const mayRefresh = this.#settings.login !== undefined && !refreshed && isTokenInvalid(error.failure);
        if (!mayRefresh) throw error.error;
        this.forgetToken();
      }
    }
  }

  /** One request, one response, over a method that streams both. Not retried. */
  async exchange(method: string, request: Buffer): Promise<Buffer> {
    const metadata = await this.metadata();
    const [endpoint] = this.#endpoints.order();
    return new Promise((resolve, reject) => {
      const stream: ClientDuplexStream<Buffer, Buffer> = endpoint!.client.makeBidiStreamRequest(
        method,
        identity,
        identity,
        metadata,
      );
      const finish = (settle: () => void) => {
        timer.cancel();
        this.#pending.delete(abort);
        stream.cancel();
        settle();
      };
      const fail = (failure: RpcFailure) => finish(() => reject(toSourceError(failure, endpoint!.url)));
      const abort = () => finish(() => reject(closedError()));
      this.#pending.add(abort);
      const timer = this.#clock.setTimer(this.#settings.requestTimeoutMs, () =>
        fail(timedOut(this.#settings.requestTimeoutMs)),
      );
      stream.on('data', (bytes: Buffer) => finish(() => resolve(bytes)));
      stream.on('error', (error: ServiceError) => fail(error));
      stream.on('end', () => fail({ code: 14, details: 'the stream ended without an answer' }));
      stream.write(request);
    });
  }

  /** Asks one endpoint only, without a token: for its status. */
  async ask(
    endpoint: Endpoint,
    method: string,
    request: Buffer,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    try {
      return (await this.#attempt(endpoint, method, request, new Metadata(), timeoutMs, signal, false)).bytes;
    } catch (error) {
      throw error instanceof AttemptError ? error.error : error;
    }
  }

  /** Metadata with the current token; logs in first when a user is given and there is none. */
  async metadata(signal?: AbortSignal): Promise<Metadata> {
    const metadata = new Metadata();
    if (this.#settings.login === undefined) return metadata;
    this.#login ??= this.#logIn(signal).catch((error: unknown) => {
      this.#login = undefined;
      throw error;
    });
    const token = await this.#login;
    if (token !== undefined) metadata.set('token', token);
    return metadata;
  }

  forgetToken(): void {
    this.#login = undefined;
  }

  close(): void {
    this.#closed = true;
    for (const abort of [...this.#pending]) abort();
  }

  async #logIn(signal?: AbortSignal): Promise<string | undefined> {
    const { name, password } = this.#settings.login!;
    try {
      const request = encode('AuthenticateRequest', { name, password });
      const { bytes } = await this.#overEndpoints(METHODS.authenticate, request, new Metadata(), { signal }, false);
      return decode<{ token: string }>('AuthenticateResponse', bytes).token;
    } catch (error) {
      if (!(error instanceof AttemptError)) throw error;
      // Like etcd's own client: credentials for a store that asks for none are not an error.
      if (isAuthNotEnabled(error.failure)) return undefined;
      throw error.error;
    }
  }

  async #overEndpoints(
    method: string,
    request: Buffer,
    metadata: Metadata,
    options: CallOptions,
    large: boolean,
  ): Promise<LentBytes> {
    const deadlineMs = this.#clock.monotonicMs() + (options.timeoutMs ?? this.#settings.requestTimeoutMs);
    let last: AttemptError | undefined;
    for (const endpoint of this.#endpoints.order()) {
      const remainingMs = deadlineMs - this.#clock.monotonicMs();
      if (remainingMs <= 0) break;
      try {
        const answer = await this.#attempt(endpoint, method, request, metadata, remainingMs, options.signal, large);
        this.#endpoints.succeeded(endpoint);
        return answer;
      } catch (error) {
        if (!(error instanceof AttemptError)) throw error;
        if (error.error.kind !== 'unavailable') throw error;
        this.#endpoints.failed(endpoint);
        last = error;
        if (options.idempotent === false && !wasNeverSent(error.failure)) throw error;
      }
    }
    throw last!;
  }

  #attempt(
    endpoint: Endpoint,
    method: string,
    request: Buffer,
    metadata: Metadata,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    large: boolean,
  ): Promise<LentBytes> {
    if (this.#closed) return Promise.reject(closedError());
    if (signal?.aborted) return Promise.reject(abortedError());
    return new Promise((resolve, reject) => {
      const timers: Timer[] = [];
      let settled = false;
      const settle = (finish: () => void) => {
        if (settled) return;
        settled = true;
        for (const timer of timers) timer.cancel();
        signal?.removeEventListener('abort', onAbort);
        this.#pending.delete(onClose);
        finish();
      };
      const give = (reason: Error) => {
        settle(() => reject(reason));
        call?.cancel();
      };
      const fail = (failure: RpcFailure) => give(new AttemptError(failure, toSourceError(failure, endpoint.url)));
      const onAbort = () => give(abortedError());
      const onClose = () => give(closedError());
      let call: { cancel(): void } | undefined;
      const ask = () => {
        call = endpoint.client.makeUnaryRequest(method, identity, identity, request, metadata, (error, bytes) => {
          if (error === null) settle(() => resolve(ownBytes(bytes!)));
          else settle(() => reject(new AttemptError(error, toSourceError(error, endpoint.url))));
        });
      };
      if (large) {
        call = endpoint.openPage(method, metadata, request, {
          answered: (page) => settle(() => resolve(page)),
          refused: ask,
        });
      }
      if (call === undefined) ask();
      timers.push(
        this.#clock.setTimer(timeoutMs, () => fail(timedOut(timeoutMs))),
        watchForHang(endpoint, this.#settings, this.#clock, () => {
          endpoint.recycle();
          fail(HUNG);
        }),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.add(onClose);
    });
  }
}

/** Memory that nobody else waits for. */
function ownBytes(bytes: Buffer): LentBytes {
  return { bytes, release: () => {} };
}

function timedOut(timeoutMs: number): RpcFailure {
  return { code: 14, details: `no answer within ${Math.round(timeoutMs)} ms` };
}

export function closedError(): SourceError {
  return new SourceError('closed', 'etcd: the source is closed');
}

function abortedError(): SourceError {
  return new SourceError('closed', 'etcd: the caller gave up');
}
