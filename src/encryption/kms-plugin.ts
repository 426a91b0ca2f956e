import { Client, credentials, connectivityState, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { Clock } from '../lib/clock.js';
import { decodeMessage, encodeMessage, type KmsMessages } from './kms-messages.js';

/** How a configuration names a plugin. */
export interface KmsSettings {
  readonly name: string;
  /** As written: `unix:///...`. */
  readonly endpoint: string;
  /** The path of the socket; a leading `@`: an abstract one. */
  readonly path: string;
  /** Of each call. */
  readonly timeoutMs: number;
}

/** A call that failed, in the words of Go's clients: `rpc error: code = Unavailable desc = ...`. */
export class KmsCallError extends Error {
  override readonly name = 'KmsCallError';
  /** The plugin has not answered at all. */
  readonly unreached: boolean;

  constructor(code: number, details: string) {
    super(`rpc error: code = ${codeName(code)} desc = ${details.slice(0, DETAILS_LENGTH_MAX)}`);
    this.unreached = code === status.DEADLINE_EXCEEDED || code === status.UNAVAILABLE;
  }
}

/** Is told of each call: its full method, Go's name of the gRPC code, how long it took. */
export type ReportCall = (method: string, code: string, seconds: number) => void;

const SERVICE = '/v2.KeyManagementService/';
const REDIAL_MIN_MS = 100;
const REDIAL_MAX_MS = 2_000;
/** What a plugin says is shown, but not a page of it. */
const DETAILS_LENGTH_MAX = 512;

/** The gRPC client of one KMS v2 plugin on a unix socket. It connects at the first call, and again when it must. */
export class KmsPlugin {
  readonly #settings: KmsSettings;
  readonly #clock: Clock;
  readonly #report: ReportCall;
  #client: Client | undefined;

  constructor(settings: KmsSettings, clock: Clock, report: ReportCall) {
    this.#settings = settings;
    this.#clock = clock;
    this.#report = report;
  }

  /** Rejects with KmsCallError, as `decrypt` does. */
  status(): Promise<KmsMessages['StatusResponse']> {
    return this.#call('Status', 'StatusRequest', {}, 'StatusResponse');
  }

  async decrypt(request: KmsMessages['DecryptRequest']): Promise<Uint8Array> {
    const { plaintext } = await this.#call('Decrypt', 'DecryptRequest', request, 'DecryptResponse');
    return plaintext;
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  #call<Q extends keyof KmsMessages, A extends keyof KmsMessages>(
    method: string,
    requestName: Q,
    request: KmsMessages[Q],
    answerName: A,
  ): Promise<KmsMessages[A]> {
    const { endpoint, timeoutMs } = this.#settings;
    const client = (this.#client ??= this.#connect());
    const startMs = this.#clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const finish = (code: number, details: string, answer?: Buffer) => {
        timer.cancel();
        this.#report(`${SERVICE}${method}`, codeName(code), (this.#clock.monotonicMs() - startMs) / 1_000);
        if (answer === undefined) return reject(new KmsCallError(code, details));
        try {
          resolve(decodeMessage(answerName, answer));
        } catch (error) {
          reject(new KmsCallError(status.INTERNAL, `the answer is no ${answerName}: ${(error as Error).message}`));
        }
      };
      // While the plugin is away the call waits for it, as kube-apiserver's does.
      const metadata = new Metadata({ waitForReady: true });
      let isLate = false;
      const call = client.makeUnaryRequest(
        `${SERVICE}${method}`,
        asBuffer,
        asBuffer,
        encodeMessage(requestName, request),
        metadata,
        (error: ServiceError | null, answer?: Buffer) => {
          if (isLate) return;
          if (error === null) finish(status.OK, '', answer ?? Buffer.alloc(0));
          else finish(error.code, error.details);
        },
      );
      const timer = this.#clock.setTimer(timeoutMs, () => {
        isLate = true;
        const connected = client.getChannel().getConnectivityState(false) === connectivityState.READY;
        call.cancel();
        const missing = connected ? '' : `: the plugin at ${endpoint} cannot be reached`;
        finish(status.DEADLINE_EXCEEDED, `context deadline exceeded${missing}`);
      });
    });
  }

  #connect(): Client {
    const { path } = this.#settings;
    const address = path.startsWith('@') ? `unix:\0${path.slice(1)}` : `unix:${path}`;
    return new Client(address, credentials.createInsecure(), {
      'grpc.default_authority': 'localhost',
      'grpc.initial_reconnect_backoff_ms': REDIAL_MIN_MS,
      'grpc.max_reconnect_backoff_ms': REDIAL_MAX_MS,
      'grpc.use_local_subchannel_pool': 1,
      // Not switched off: retries. A call that a dying connection refused goes to the next one.
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
    });
  }
}

function asBuffer(bytes: Buffer): Buffer {
  return bytes;
}

/** `DeadlineExceeded` for DEADLINE_EXCEEDED. */
function codeName(code: number): string {
  if (code === status.OK) return 'OK';
  if (code === status.CANCELLED) return 'Canceled';
  const words = (status[code] ?? 'UNKNOWN').split('_');
  return words.map((word) => word.charAt(0) + word.slice(1).toLowerCase()).join('');
}
