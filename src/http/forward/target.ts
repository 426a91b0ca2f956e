import { Agent as HttpAgent, type ClientRequest, type OutgoingHttpHeaders, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Limits } from '../../lib/limits.js';

/** The kube-apiserver that everything goes to which listwatch does not answer (`--forward-to`). */
export interface ForwardTarget {
  /** Origin alone: `https://10.0.0.5:6443`. */
  readonly url: string;
  /** Authorities of its certificate, in PEM form; undefined: those of the system. */
  readonly ca: string | undefined;
  /** What we show to it: a certificate of its `--requestheader-client-ca-file`. */
  readonly pair: ClientPair | undefined;
}

/** In PEM form. */
export interface ClientPair {
  readonly cert: string;
  readonly key: string;
}

export interface TargetRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: OutgoingHttpHeaders;
}

/** No idle connection is used that the target may be about to close: kube-apiserver does so after 90 seconds. */
const IDLE_SOCKETS_MAX = 256;

/**
 * Connections to the target. Over HTTP/1.1, so that a request has its connection to itself: what it sends waits for nobody, and
 * an answer that breaks off is seen to be broken (docs/adr/0041).
 */
export class TargetConnections {
  readonly #target: ForwardTarget;
  readonly #isSecure: boolean;
  readonly #limits: Limits;
  #agent: HttpAgent;
  #pair: ClientPair | undefined;

  constructor(target: ForwardTarget, limits: Limits) {
    this.#target = target;
    this.#isSecure = target.url.startsWith('https:');
    this.#limits = limits;
    this.#pair = target.pair;
    this.#agent = this.#createAgent(true);
  }

  /** `10.0.0.5:6443` */
  get host(): string {
    return new URL(this.#target.url).host;
  }

  get isSecure(): boolean {
    return this.#isSecure;
  }

  /** Throws for what HTTP cannot say: characters in a path or in a header. `alone`: the connection is not used again. */
  request({ method, path, headers }: TargetRequest, alone = false): ClientRequest {
    const { hostname, port } = new URL(this.#target.url);
    const options = {
      method,
      path,
      headers,
      maxHeaderSize: this.#limits.headerBytesMax,
      // Brackets of an IPv6 address are no part of it.
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? (this.#isSecure ? 443 : 80) : Number(port),
      agent: alone ? this.#createAgent(false) : this.#agent,
    };
    return this.#isSecure ? httpsRequest(options) : httpRequest(options);
  }

  /** For connections from now on. */
  renew(pair: ClientPair): void {
    this.#pair = pair;
    const before = this.#agent;
    this.#agent = this.#createAgent(true);
    closeIdle(before);
  }

  /** Those that are in use end with what uses them. */
  close(): void {
    closeIdle(this.#agent);
  }

  #createAgent(keepAlive: boolean): HttpAgent {
    const common = keepAlive
      ? {
          keepAlive,
          maxFreeSockets: IDLE_SOCKETS_MAX,
          scheduling: 'lifo' as const,
          timeout: this.#limits.forwardIdleMs,
        }
      : { keepAlive };
    if (!this.#isSecure) return new HttpAgent(common);
    const { ca } = this.#target;
    return new HttpsAgent({
      ...common,
      ALPNProtocols: ['http/1.1'],
      ...(ca === undefined ? {} : { ca }),
      ...this.#pair,
    });
  }
}

function closeIdle(agent: HttpAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}
