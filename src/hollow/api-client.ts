import { Agent, type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http';
import { Agent as SecureAgent, request as secureRequest } from 'node:https';
import { apiVersionOf } from '../api/gvr.js';
import type { Kind } from '../codec/kind.js';
import type { Clock } from '../lib/clock.js';
import { readError, readJson, readList, readObject, type ReadObject } from './answers.js';
import { createFrameReader, type Encoding, type WatchedEvent } from './frames.js';
import type { Call, Meters, Verb } from './meters.js';

/** Where the API is, and how one gets in. */
export interface ApiServer {
  /** Without a path. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly rejectUnauthorized?: boolean;
    readonly servername?: string;
  };
}

export interface ListQuery {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** '0': any state will do. */
  readonly resourceVersion?: string;
  readonly limit?: number;
  readonly continue?: string;
}

export interface Listed {
  readonly resourceVersion: string;
  readonly continue: string;
  readonly items: readonly ReadObject[];
}

/** An answer that is not the one asked for; 0: there was none. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What a client learns in the normal course of things: its objects were changed or removed by others. */
const EXPECTED: ReadonlySet<number> = new Set([404, 409, 410]);
const ACCEPT: Readonly<Record<Encoding, string>> = {
  json: 'application/json',
  protobuf: 'application/vnd.kubernetes.protobuf',
};

/** One component's client: its own connections, and every call of it measured. */
export class ApiClient {
  readonly #server: ApiServer;
  readonly #agent: Agent;
  readonly #encoding: Encoding;
  readonly #meters: Meters;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #userAgent: string;
  #closed = false;

  constructor(server: ApiServer, parts: ClientParts, name: string) {
    this.#server = server;
    this.#agent = isSecure(server)
      ? new SecureAgent({ keepAlive: true, ...server.tls })
      : new Agent({ keepAlive: true });
    this.#encoding = parts.encoding;
    this.#meters = parts.meters;
    this.#clock = parts.clock;
    this.#timeoutMs = parts.requestTimeoutMs;
    this.#userAgent = `listwatch-hollow/${name}`;
  }

  /** undefined: there is none. Rejects with ApiError. */
  async get(kind: Kind, namespace: string | undefined, name: string, members: string, query = '') {
    const call: Call = { verb: 'GET', resource: kind.resource, scope: 'resource' };
    try {
      const body = await this.#call(call, `${pathOf(kind, namespace)}/${name}${query}`);
      return readObject(this.#encoding, kind, body, members);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** One page. Rejects with ApiError. */
  async list(kind: Kind, query: ListQuery, members: string): Promise<Listed> {
    const call: Call = { verb: 'LIST', resource: kind.resource, scope: scopeOf(query) };
    const body = await this.#call(call, `${pathOf(kind, query.namespace)}${queryText(query)}`);
    return readList(this.#encoding, kind, body, members);
  }

  /** Resolves when the server ends the watch, or the signal does; rejects with ApiError when it was not to be had. */
  async watch(
    kind: Kind,
    query: ListQuery & { readonly timeoutSeconds: number },
    members: string,
    handle: (event: WatchedEvent) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const call: Call = { verb: 'WATCH', resource: kind.resource, scope: scopeOf(query) };
    const { timeoutSeconds, ...selected } = query;
    const extra = { watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: String(timeoutSeconds) };
    const path = `${pathOf(kind, query.namespace)}${queryText(selected, extra)}`;
    const response = await this.#open(call, path, signal);
    const read = createFrameReader(this.#encoding, kind, members);
    const { counts } = this.#meters;
    counts.watchesOpened++;
    counts.watchesOpen++;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        counts.bytes += chunk.length;
        for (const event of read(chunk)) handle(event);
      }
    } catch (error) {
      if (!signal.aborted) throw error instanceof ApiError ? error : new ApiError(0, (error as Error).message);
    } finally {
      counts.watchesOpen--;
      response.destroy();
    }
  }

  /** A write; the object that the server answers with. Rejects with ApiError. */
  async write(
    verb: Exclude<Verb, 'GET' | 'LIST' | 'WATCH'>,
    kind: Kind,
    place: { readonly namespace?: string | undefined; readonly name?: string; readonly subresource?: string },
    body: object,
    contentType = 'application/json',
  ): Promise<ReadObject> {
    const { namespace, name, subresource } = place;
    const call: Call = {
      verb,
      resource: kind.resource,
      scope: 'resource',
      ...(subresource === undefined ? {} : { subresource }),
    };
    const path = [pathOf(kind, namespace), name, subresource].filter((part) => part !== undefined).join('/');
    const sent = { text: JSON.stringify(body), contentType };
    return readJson(await this.#call(call, path, sent));
  }

  /** Connections that are left end. */
  close(): void {
    this.#closed = true;
    this.#agent.destroy();
  }

  /** The whole body; measured from the request to its last byte. */
  #call(call: Call, path: string, sent?: Sent): Promise<Buffer> {
    const startMs = this.#clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const fail = (error: ApiError) => {
        timer.cancel();
        reject(error);
        if (this.#closed) return; // nobody waits for it
        this.#meters.called(call, EXPECTED.has(error.status) ? this.#clock.monotonicMs() - startMs : undefined);
        if (!EXPECTED.has(error.status)) this.#meters.problem(`${call.verb} ${path}: ${error.message}`);
      };
      const outgoing = this.#request(call.verb, path, sent === undefined ? this.#encoding : 'json', sent);
      const timer = this.#clock.setTimer(this.#timeoutMs, () =>
        outgoing.destroy(new Error(`no answer within ${this.#timeoutMs} ms`)),
      );
      outgoing.once('error', (error) => fail(new ApiError(0, error.message)));
      outgoing.once('response', (response: IncomingMessage) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', (error) => fail(new ApiError(0, error.message)));
        response.once('end', () => {
          const body = Buffer.concat(chunks);
          const status = response.statusCode ?? 0;
          if (status < 200 || status > 299) return fail(new ApiError(status, readError(body, status)));
          timer.cancel();
          this.#meters.counts.bytes += body.length;
          this.#meters.called(call, this.#clock.monotonicMs() - startMs);
          resolve(body);
        });
      });
      outgoing.end(sent?.text);
    });
  }

  #open(call: Call, path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const startMs = this.#clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const outgoing = this.#request(call.verb, path, this.#encoding, undefined, signal);
      const fail = (error: ApiError) => {
        if (!signal.aborted) this.#meters.called(call, EXPECTED.has(error.status) ? 0 : undefined);
        reject(error);
      };
      outgoing.on('error', (error) => fail(new ApiError(0, error.message)));
      outgoing.once('response', (response: IncomingMessage) => {
        const status = response.statusCode ?? 0;
        if (status === 200) {
          this.#meters.called(call, this.#clock.monotonicMs() - startMs);
          return resolve(response);
        }
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', (error) => fail(new ApiError(0, error.message)));
        response.once('end', () => fail(new ApiError(status, readError(Buffer.concat(chunks), status))));
      });
      outgoing.end();
    });
  }

  #request(verb: Verb, path: string, encoding: Encoding, sent: Sent | undefined, signal?: AbortSignal) {
    const { url, headers } = this.#server;
    const { hostname, port, protocol } = new URL(url);
    const options: RequestOptions = {
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port,
      method: verb === 'LIST' || verb === 'WATCH' ? 'GET' : verb,
      path,
      agent: this.#agent,
      headers: {
        accept: verb === 'WATCH' && encoding === 'protobuf' ? `${ACCEPT.protobuf};stream=watch` : ACCEPT[encoding],
        'user-agent': this.#userAgent,
        ...headers,
        ...(sent === undefined
          ? {}
          : { 'content-type': sent.contentType, 'content-length': Buffer.byteLength(sent.text) }),
      },
      ...(signal === undefined ? {} : { signal }),
    };
    return protocol === 'https:' ? secureRequest(options) : plainRequest(options);
  }
}

export interface ClientParts {
  readonly encoding: Encoding;
  readonly meters: Meters;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
}

interface Sent {
  readonly text: string;
  readonly contentType: string;
}

function isSecure({ url }: ApiServer): boolean {
  return url.startsWith('https:');
}

/** By the rules of the service level: a selection of one object by name is about that object. */
function scopeOf({ namespace, fieldSelector = '' }: ListQuery): Call['scope'] {
  if (/(^|,)metadata\.name=/.test(fieldSelector)) return 'resource';
  return namespace === undefined ? 'cluster' : 'namespace';
}

export function pathOf({ group, version, resource, namespaced }: Kind, namespace: string | undefined): string {
  const root = group === '' ? `/api/${version}` : `/apis/${apiVersionOf(group, version)}`;
  return namespaced && namespace !== undefined ? `${root}/namespaces/${namespace}/${resource}` : `${root}/${resource}`;
}

function queryText({ namespace: _, ...query }: ListQuery, extra: Readonly<Record<string, string>> = {}): string {
  const parameters = new URLSearchParams(extra);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}
