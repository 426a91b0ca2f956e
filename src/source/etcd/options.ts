import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { defaultLimits, type Limits } from '../../lib/limits.js';
import { SourceError } from '../source.js';
import type { ReadTickOptions } from './read-ticks.js';
import { REDIAL_MAX_MS, REDIAL_MIN_MS } from './redial.js';

export interface EtcdOptions {
  /** `http://host:port`, `https://host:port` or `host:port` (TLS then follows from the presence of TLS files). */
  readonly endpoints: readonly string[];
  /** Each a path, or the PEM text itself. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly user?: string;
  readonly password?: string;
  /** Connections per endpoint in use: one carries reads and writes, watches are spread over the others. */
  readonly connections?: number;
  /** kube-apiserver's values: a ping every 30 s, an answer within 10 s, a connection within 20 s. */
  readonly keepaliveTimeMs?: number;
  readonly keepaliveTimeoutMs?: number;
  readonly dialTimeoutMs?: number;
  readonly requestTimeoutMs?: number;
  /** A call unanswered for this long makes us ask the endpoint for its status ... */
  readonly hangProbeMs?: number;
  /** ... and one that does not answer that within this long is taken for hung: the call goes elsewhere. */
  readonly hangTimeoutMs?: number;
  /** etcd's --experimental-watch-progress-notify-interval. A watch silent for twice as long is replaced. */
  readonly progressIntervalMs?: number;
  /** The same while a progress request waits for its answer. */
  readonly progressAnswerMs?: number;
  /** Read by `probe` and `currentRevision`; the user needs permission for it. It need not exist. */
  readonly healthKey?: string;
  readonly limits?: EtcdLimits;
}

/** The bounds that concern etcd; those that are absent have their defaults. */
export type EtcdLimits = Partial<
  Pick<
    Limits,
    | 'watchResponseBytesMax'
    | 'requestTimeoutMs'
    | 'progressRequestEveryMs'
    | 'watchReadTickMs'
    | 'watchReadTickBytes'
    | 'watchReadTickRate'
  >
>;

export interface Settings {
  readonly targets: readonly Target[];
  readonly credentials: Credentials;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly readTicks: ReadTickOptions;
  readonly channelOptions: ChannelOptions;
  readonly login: { readonly name: string; readonly password: string } | undefined;
  readonly connections: number;
  readonly dialTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly hangProbeMs: number;
  readonly hangTimeoutMs: number;
  readonly silenceMs: number;
  readonly progressAnswerMs: number;
  readonly progressRepeatMs: number;
  readonly healthKey: Uint8Array;
  readonly heldBytesMax: number;
}

/** TLS for grpc-js, and for the connections of watches, which go without it. */
export interface Credentials {
  readonly plain: ChannelCredentials;
  readonly secure: ChannelCredentials;
  readonly secureContext: SecureContext | undefined;
}

export interface Target {
  /** As it appears in messages. */
  readonly url: string;
  /** As grpc-js takes it. */
  readonly address: string;
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** Large enough that a list page or a re-synced watch never waits for a window update. */
export const FLOW_CONTROL_WINDOW_BYTES = 16 * 2 ** 20;
const DEFAULT_PORT = 2379;

/** Throws SourceError `invalid` for options that cannot work. */
export function toSettings(options: EtcdOptions): Settings {
  const limits = { ...defaultLimits, ...options.limits };
  const keepaliveTimeMs = options.keepaliveTimeMs ?? 30_000;
  const keepaliveTimeoutMs = options.keepaliveTimeoutMs ?? 10_000;
  if (options.endpoints.length === 0) throw new SourceError('invalid', 'etcd: no endpoint is given');
  if ((options.certFile === undefined) !== (options.keyFile === undefined)) {
    throw new SourceError('invalid', 'etcd: a client certificate and its key must be given together');
  }
  const hasTls = options.caFile !== undefined || options.certFile !== undefined;
  const targets = options.endpoints.map((endpoint) => parseEndpoint(endpoint, hasTls));
  return {
    targets,
    credentials: credentialsFor(targets, options),
    keepaliveTimeMs,
    keepaliveTimeoutMs,
    readTicks: {
      tickMs: limits.watchReadTickMs,
      tickBytes: limits.watchReadTickBytes,
      ratePerSecond: limits.watchReadTickRate,
    },
    channelOptions: {
      'grpc.keepalive_time_ms': keepaliveTimeMs,
      'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
      // etcd ends connections that ping without an open stream.
      'grpc.keepalive_permit_without_calls': 0,
      'grpc.max_receive_message_length': limits.watchResponseBytesMax,
      'grpc.max_send_message_length': -1,
      'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
      'grpc.initial_reconnect_backoff_ms': REDIAL_MIN_MS,
      'grpc.max_reconnect_backoff_ms': REDIAL_MAX_MS,
      'grpc.dns_min_time_between_resolutions_ms': REDIAL_MAX_MS,
      // Each client is a connection of its own; retries and endpoints are ours.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_http_proxy': 0,
    },
    login: options.user === undefined ? undefined : { name: options.user, password: options.password ?? '' },
    connections: Math.max(1, options.connections ?? 4),
    dialTimeoutMs: options.dialTimeoutMs ?? 20_000,
    requestTimeoutMs: options.requestTimeoutMs ?? limits.requestTimeoutMs,
    hangProbeMs: options.hangProbeMs ?? 2_000,
    hangTimeoutMs: options.hangTimeoutMs ?? 5_000,
    silenceMs: 2 * (options.progressIntervalMs ?? 600_000),
    progressAnswerMs: options.progressAnswerMs ?? 10_000,
    progressRepeatMs: limits.progressRequestEveryMs,
    healthKey: Buffer.from(options.healthKey ?? '/registry/health', 'utf8'),
    heldBytesMax: limits.watchResponseBytesMax,
  };
}

export function parseEndpoint(text: string, secureByDefault: boolean): Target {
  const url = text.includes('://') ? text : `${secureByDefault ? 'https' : 'http'}://${text}`;
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new SourceError(
      'invalid',
      `etcd: ${JSON.stringify(text)} is not an endpoint, which is http(s)://host:port or host:port`,
    );
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new SourceError(
      'invalid',
      `etcd: the endpoint ${text} must be http or https, not ${parsed.protocol.slice(0, -1)}`,
    );
  }
  if (parsed.username !== '' || (parsed.pathname !== '/' && parsed.pathname !== '') || parsed.search !== '') {
    throw new SourceError('invalid', `etcd: the endpoint ${text} must name a host and a port only`);
  }
  const secure = parsed.protocol === 'https:';
  // URL hides the scheme's default port, which an endpoint may well name.
  const port = parsed.port !== '' ? parsed.port : (/:(80|443)\/?$/.exec(url)?.[1] ?? String(DEFAULT_PORT));
  return {
    url: `${parsed.protocol}//${parsed.hostname}:${port}`,
    address: `${parsed.hostname}:${port}`,
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: Number(port),
    secure,
  };
}

function credentialsFor(targets: readonly Target[], options: EtcdOptions): Credentials {
  const plain = ChannelCredentials.createInsecure();
  if (!targets.some((target) => target.secure)) return { plain, secure: plain, secureContext: undefined };
  const ca = options.caFile === undefined ? null : pem('CA certificate', options.caFile);
  const key = options.keyFile === undefined ? null : pem('client key', options.keyFile);
  const cert = options.certFile === undefined ? null : pem('client certificate', options.certFile);
  try {
    return {
      plain,
      secure: credentials.createSsl(ca, key, cert),
      secureContext: createSecureContext({
        ...(ca === null ? {} : { ca }),
        ...(key === null || cert === null ? {} : { key, cert }),
      }),
    };
  } catch (error) {
    throw new SourceError('invalid', `etcd: cannot use the TLS files: ${(error as Error).message}`);
  }
}

function pem(what: string, pathOrText: string): Buffer {
  if (pathOrText.includes('-----BEGIN')) return Buffer.from(pathOrText);
  try {
    return readFileSync(pathOrText);
  } catch (error) {
    throw new SourceError('invalid', `etcd: cannot read the ${what}: ${(error as Error).message}`);
  }
}
