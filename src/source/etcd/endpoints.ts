import { Client, connectivityState, Metadata } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../lib/clock.js';
import type { Random } from '../../lib/random.js';
import { GrpcConnection } from './grpc-connection.js';
import type { GrpcStream, StreamListener } from './grpc-stream.js';
import { FLOW_CONTROL_WINDOW_BYTES, type Settings, type Target } from './options.js';
import { type PageCall, PageConnection, type PageListener } from './page-connection.js';
import { ReadTicks } from './read-ticks.js';
import { Redial } from './redial.js';
import { encode, METHODS } from './rpc.js';

/** An endpoint that failed is tried after all others for about this long. */
const SUSPECT_MS = 10_000;
/** The next page of a list is asked for before this one is read, and lists are rare after a start: soon enough for the collector, which waits for a rest. */
const PAGES_IDLE_MS = 500;
/** An endpoint to which no connection for pages could be made is asked in the ordinary way for so long. */
const PAGES_AGAIN_MS = 10_000;

/** One etcd member, and our connections to it. Connections are made on first use. */
export class Endpoint {
  readonly url: string;
  suspectUntilMs = 0;
  readonly #settings: Settings;
  readonly #target: Target;
  readonly #clock: Clock;
  #client: Client | undefined;
  readonly #watchConnections: (GrpcConnection | undefined)[] = [];
  #nextWatchConnection = 0;
  readonly #redial: Redial;
  #pages: PageConnection | undefined;
  #pagesAgainMs = Number.NEGATIVE_INFINITY;
  #probe: Promise<boolean> | undefined;

  constructor(target: Target, settings: Settings, clock: Clock) {
    this.url = target.url;
    this.#target = target;
    this.#settings = settings;
    this.#clock = clock;
    this.#redial = new Redial(clock);
  }

  /** The connection for reads and writes. */
  get client(): Client {
    const { plain, secure } = this.#settings.credentials;
    this.#client ??= new Client(
      this.#target.address,
      this.#target.secure ? secure : plain,
      this.#settings.channelOptions,
    );
    return this.#client;
  }

  /**
   * Watches take the other connections in turn, so that a large read does not delay them. Undefined when the
   * listener has heard already that the endpoint cannot be dialed: after failures it is tried now and then only.
   */
  openWatch(metadata: Metadata, listener: StreamListener): GrpcStream | undefined {
    const index = this.#nextWatchConnection++ % Math.max(this.#settings.connections - 1, 1);
    let connection = this.#watchConnections[index];
    if (connection?.isUsable !== true) {
      const refusal = this.#redial.refusal();
      if (refusal !== undefined) {
        listener.ended(refusal);
        return undefined;
      }
      connection = this.#dial();
      this.#watchConnections[index] = connection;
    }
    return connection.open(METHODS.watch, metadata.toHttp2Headers(), listener);
  }

  /**
   * Undefined when such a call cannot be made now: then the answer is to be got from `client`, which also knows what to say
   * when the endpoint cannot be reached.
   */
  openPage(path: string, metadata: Metadata, request: Uint8Array, listener: PageListener): PageCall | undefined {
    if (this.#pages?.isUsable !== true) {
      const nowMs = this.#clock.monotonicMs();
      if (this.#pages?.wasOpen === false) this.#pagesAgainMs = nowMs + PAGES_AGAIN_MS;
      this.#pages = undefined;
      if (nowMs < this.#pagesAgainMs) return undefined;
      this.#pages = new PageConnection({ ...this.#connectionOptions(), idleMs: PAGES_IDLE_MS }, this.#clock);
    }
    return this.#pages.open(path, metadata.toHttp2Headers(), request, listener);
  }

  /**
   * Whether the member answers at all. Any answer counts, an error from the server too: what we look for is a
   * process that hangs or a network that swallows packets, where calls would wait for minutes.
   */
  answers(): Promise<boolean> {
    this.#probe ??= this.#ask().finally(() => {
      this.#probe = undefined;
    });
    return this.#probe;
  }

  /** Drops the connections, so that the next use dials anew. Streams that still work go on. */
  recycle(): void {
    this.#client?.close();
    this.#client = undefined;
    for (const connection of this.#watchConnections.splice(0)) connection?.retire();
    this.#pages?.retire();
    this.#pages = undefined;
  }

  #dial(): GrpcConnection {
    const ticks = new ReadTicks(this.#settings.readTicks);
    return new GrpcConnection({ ...this.#connectionOptions(), ticks, redial: this.#redial }, this.#clock);
  }

  #connectionOptions() {
    const { credentials, dialTimeoutMs, keepaliveTimeMs, keepaliveTimeoutMs, heldBytesMax } = this.#settings;
    const { host, port, secure } = this.#target;
    return {
      host,
      port,
      secureContext: secure ? credentials.secureContext : undefined,
      dialTimeoutMs,
      keepaliveTimeMs,
      keepaliveTimeoutMs,
      messageBytesMax: heldBytesMax,
      windowBytes: FLOW_CONTROL_WINDOW_BYTES,
    };
  }

  #ask(): Promise<boolean> {
    const { client } = this;
    const state = client.getChannel().getConnectivityState(true);
    const isDialing = state !== connectivityState.READY && this.#settings.targets.length === 1;
    return new Promise((resolve) => {
      const call = client.makeUnaryRequest(
        METHODS.status,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        encode('StatusRequest', {}),
        new Metadata(),
        () => {
          timer.cancel();
          resolve(true);
        },
      );
      const timer = this.#clock.setTimer(
        isDialing ? this.#settings.dialTimeoutMs : this.#settings.hangTimeoutMs,
        () => {
          // A process that was busy for long finds its timers due before it has read its sockets.
          setImmediate(() =>
            setImmediate(() => {
              resolve(false);
              call.cancel();
            }),
          );
        },
      );
    });
  }
}

/**
 * Chooses endpoints: one is preferred until it fails, so that reads and watches see the same member;
 * which one is random, so that many clients spread over the members.
 */
export class Endpoints {
  readonly all: readonly Endpoint[];
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(settings: Settings, clock: Clock, random: Random) {
    const first = random.int(settings.targets.length);
    const targets = [...settings.targets.slice(first), ...settings.targets.slice(0, first)];
    this.all = targets.map((target) => new Endpoint(target, settings, clock));
    this.#clock = clock;
    this.#random = random;
  }

  /** Every endpoint, best first. */
  order(): Endpoint[] {
    const nowMs = this.#clock.monotonicMs();
    const rank = (endpoint: Endpoint) => Math.max(0, endpoint.suspectUntilMs - nowMs);
    return [...this.all].sort((a, b) => rank(a) - rank(b));
  }

  failed(endpoint: Endpoint): void {
    endpoint.suspectUntilMs = this.#clock.monotonicMs() + SUSPECT_MS * (0.75 + this.#random.float() / 2);
  }

  succeeded(endpoint: Endpoint): void {
    endpoint.suspectUntilMs = 0;
  }

  close(): void {
    for (const endpoint of this.all) endpoint.recycle();
  }
}

/**
 * Watches over one call: after `hangProbeMs` without an answer, and again after each further one, asks the
 * endpoint whether it is there, and calls `hung` when it is not. Cancel it when the answer has come.
 */
export function watchForHang(endpoint: Endpoint, settings: Settings, clock: Clock, hung: () => void): Timer {
  let canceled = false;
  let timer = clock.setTimer(settings.hangProbeMs, check);
  function check(): void {
    void endpoint.answers().then((answers) => {
      if (canceled) return;
      if (answers) timer = clock.setTimer(settings.hangProbeMs, check);
      else hung();
    });
  }
  return {
    cancel: () => {
      canceled = true;
      timer.cancel();
    },
  };
}
