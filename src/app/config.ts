import { availableParallelism } from 'node:os';
import { groupResourceOf } from '../api/gvr.js';
import { engines as engineFactories, type EngineName } from '../engine/engines.js';
import { defaultLimits, type Limits } from '../lib/limits.js';
import { type AccessConfig, accessFlags, resolveAccess } from './access-config.js';
import { type DeclaredFields, readDeclaredFields } from './declared-fields.js';
import { type EtcdOverrides, readEtcdOverrides } from './etcd-overrides.js';
import { type ForwardConfig, forwardFlags, resolveForward } from './forward-config.js';
import { defaultFeatureGates, type FeatureGates, readFeatureGates } from './feature-gates.js';
import type { ReplayConfig } from './replay.js';
import { type SampleOptions, readSample } from './sample/options.js';
import { defaultFragmentCacheBytes, memoryBudgetBytes } from './memory.js';
import type { EncryptionConfig } from './open-encryption.js';
import { resolveTlsProtocol, type TlsProtocol, tlsProtocolFlags } from './tls-protocol.js';
import { UsageError } from './usage-error.js';
import {
  bad,
  readBindAddress,
  readLoopbackAddress,
  readBoolean,
  readBytes,
  readDurationMs,
  readEndpoints,
  readGoAwayChance,
  readInteger,
  isCustomResource,
  readKinds,
  readList,
  readOneOf,
  readPort,
  readPrefix,
  readSpeed,
  readText,
  type ValueReader,
} from './values.js';

/** What `listwatch serve` was asked to do, checked and complete. Made from flags by `resolveConfig`. */
export interface Config {
  readonly store: StoreConfig;
  readonly etcdOverrides: EtcdOverrides;
  /** How encrypted values are read; undefined: they are not. */
  readonly encryption: EncryptionConfig | undefined;
  /** HTTPS with HTTP/2, what client-go uses; undefined: off. */
  readonly secure: (Listener & { readonly tls: TlsConfig; readonly protocol: TlsProtocol }) | undefined;
  /** Who may ask over HTTPS; undefined: everybody. */
  readonly access: AccessConfig | undefined;
  /** Who answers what is not answered here; undefined: that is refused. */
  readonly forward: ForwardConfig | undefined;
  /** Plain HTTP; undefined: off. */
  readonly insecure: Listener | undefined;
  readonly watchCache: boolean;
  /** Resource (`pods`, `deployments.apps`) -> size; 0 means that it is not cached. */
  readonly watchCacheSizes: ReadonlyMap<string, number>;
  /** Which caches start with the server, and are waited for by /readyz; the others start at their first read. */
  readonly eager: 'all' | ReadonlySet<string>;
  /** Resource -> name of its engine (engine/engines.ts). */
  readonly engines: ReadonlyMap<string, EngineName>;
  /** A second engine beside each kind's own, whose answers are compared with it; undefined: none. */
  readonly twin: EngineName | undefined;
  readonly featureGates: FeatureGates;
  /** Fields that may be selected by besides those that kube-apiserver knows. */
  readonly indexFields: DeclaredFields;
  /** Field selectors know `in`, `notin` and presence. */
  readonly extendedFieldSelectors: boolean;
  /** Bytes; 0: any amount; undefined: by the memory that there is. */
  readonly memoryBudget: number | undefined;
  /** Objects are held without `metadata.managedFields`. */
  readonly omitManagedFields: boolean;
  /** Where checkpoints are kept; undefined: nowhere. */
  readonly cacheDir: string | undefined;
  readonly limits: Limits;
  /** Threads that encode LISTs; 0: the one that does everything else. */
  readonly encodeWorkers: number;
  /** Of an HTTP/2 request: that its connection is asked to leave with the answer, 0 to 0.02. */
  readonly goAwayChance: number;
  readonly shutdownDelayMs: number;
  readonly verbosity: number;
  readonly logFormat: 'text' | 'json';
  readonly load: { readonly paths: readonly string[]; readonly ignoreErrors: boolean } | undefined;
  readonly sample: SampleOptions | undefined;
  readonly replay: ReplayConfig | undefined;
}

export type StoreConfig =
  | { readonly kind: 'embedded'; readonly prefix: string }
  | {
      readonly kind: 'etcd';
      readonly prefix: string;
      readonly endpoints: readonly string[];
      readonly caFile: string | undefined;
      readonly certFile: string | undefined;
      readonly keyFile: string | undefined;
      readonly user:
        | { readonly name: string; readonly password: { readonly file: string } | { readonly text: string } }
        | undefined;
    };

export interface Listener {
  readonly address: string;
  /** 0 means a free port here: a listener that is off is undefined. */
  readonly port: number;
  /** When the port is in use, take a free one and say so; only where nobody asked for this very port. */
  readonly elsewhere: boolean;
}

export type TlsConfig =
  | { readonly certFile: string; readonly keyFile: string }
  /** A self-signed certificate is made here at first start and reused while it is valid. */
  | { readonly certDirectory: string };

/** Every flag of `serve`: `[name, placeholder, help]`. Names are kube-apiserver's where the meaning is the same. */
export const serveFlags = [
  ['etcd-servers', '<urls>', 'comma-separated URLs of the etcd to serve; without it, the embedded store'],
  [
    'etcd-servers-overrides',
    '<list>',
    'group/resource#url;url,...: built-in resources that live in another etcd, e.g. /events#http://10.0.0.6:2379',
  ],
  ['etcd-prefix', '<prefix>', 'what the keys begin with (default /registry)'],
  [
    'encryption-provider-config',
    '<file>',
    'EncryptionConfiguration with the keys, or KMS v2 plugins, of values that are encrypted at rest',
  ],
  [
    'encryption-provider-config-automatic-reload',
    '[bool]',
    'look every minute whether that file has changed (default false)',
  ],
  ['etcd-cafile', '<file>', "certificate authority of etcd's certificates"],
  ['etcd-certfile', '<file>', 'client certificate for etcd'],
  ['etcd-keyfile', '<file>', 'key of the client certificate for etcd'],
  ['etcd-user', '<name>', 'user name for etcd (or ETCDCTL_USER, as name or name:password)'],
  ['etcd-password-file', '<file>', 'file with the password of --etcd-user (or ETCDCTL_PASSWORD)'],
  ['bind-address', '<ip>', 'address of the HTTPS listener; loopback only without authentication (default 127.0.0.1)'],
  ['secure-port', '<port>', 'port of the HTTPS listener, 0 for none (default 6443)'],
  ['insecure-bind-address', '<ip>', 'address of the plain HTTP listener; loopback only (default 127.0.0.1)'],
  ['insecure-port', '<port>', 'port of the plain HTTP listener, 0 for none (default 8080; 0 with --etcd-servers)'],
  ['tls-cert-file', '<file>', 'certificate of the HTTPS listener (default: self-signed, in --cert-dir)'],
  ['tls-private-key-file', '<file>', 'key of --tls-cert-file'],
  ...tlsProtocolFlags,
  ['cert-dir', '<folder>', 'where the self-signed certificate is kept (default ~/.local/state/listwatch)'],
  ['watch-cache', '[bool]', 'serve reads from memory; false reads everything from the store (default true)'],
  ['watch-cache-sizes', '<list>', 'resource[.group]#size,...: size 0 switches the cache of a resource off, others on'],
  [
    'watch-cache-initialization',
    '<when>',
    'lazy: at first read; eager: all at start; or a list of resources to start (default lazy)',
  ],
  ['storage-engine', '<list>', 'resource[.group]=engine,...: the engine that orders a resource (default cow-btree)'],
  [
    'twin',
    '<engine>',
    "run this engine beside each kind's own and compare every answer; differences are logged and counted (default none)",
  ],
  [
    'index-fields',
    '<list>',
    'resource[.group]=path,...: further fields to select by, e.g. pods=spec.priorityClassName; they are indexed',
  ],
  [
    'extended-field-selectors',
    '[bool]',
    'field selectors know in (...), notin (...), and a field alone, as label selectors do (default false)',
  ],
  ['feature-gates', '<list>', 'gate=bool,...: ShardedListAndWatch switches shardSelector on (default false)'],
  [
    'omit-managed-fields',
    '[bool]',
    'keep and serve objects without metadata.managedFields; X-Listwatch-Omit-Managed-Fields: 1 asks for one answer (default false)',
  ],
  ['encode-workers', '<count>', 'threads that encode JSON LISTs, 0 for none (default: one less than there are cores)'],
  [
    'memory-budget',
    '<size>',
    'what the process may use: caches are emptied and large LISTs refused rather than more; 0: any (default: 80% of what there is)',
  ],
  [
    'initial-history',
    '<revisions>',
    'begin this many revisions before the present one, if etcd has them, so that clients of other replicas resume here (default 0)',
  ],
  ['history-bytes', '<size>', 'events kept per resource for watches to resume from, in bytes or Ki, Mi, Gi'],
  [
    'fragment-cache-bytes',
    '<size>',
    'memory for encoded objects of later LISTs, of which an eighth is left for what is on its way, in bytes or Ki, Mi, Gi; 0 for none (default 512Mi, or a quarter of --memory-budget where that is less)',
  ],
  [
    'cache-dir',
    '<folder>',
    'keep checkpoints of the caches here, so that a restart goes on where it ended (default none)',
  ],
  ['checkpoint-interval', '<duration>', 'how often what has changed is written to --cache-dir (default 1m0s)'],
  ['min-request-timeout', '<seconds>', 'a WATCH without a timeout lasts this long up to twice as long (default 1800)'],
  ['max-watches-per-client', '<number>', 'open watches of one user or address; more get 429; 0 for any (default 0)'],
  ['request-timeout', '<duration>', 'deadline of GET and LIST (default 1m0s)'],
  ['max-requests-inflight', '<number>', 'answered at once, watches not counted; more get 429; 0 for any (default 400)'],
  [
    'max-mutating-requests-inflight',
    '<number>',
    'what is not read, answered or forwarded at once; more get 429; 0 for any (default 200)',
  ],
  ['max-connections', '<number>', 'open at once; more are closed as soon as they come; 0 for any (default 0)'],
  ['http2-max-streams-per-connection', '<number>', 'that an HTTP/2 client may have open at once (default 1000)'],
  [
    'goaway-chance',
    '<number>',
    'share of HTTP/2 requests whose connection is asked to leave (GOAWAY), so that clients spread over replicas; 0 to 0.02 (default 0)',
  ],
  ['shutdown-delay-duration', '<duration>', 'go on serving this long after SIGTERM, while /readyz fails (default 0s)'],
  [
    'shutdown-watch-termination-grace-period',
    '<duration>',
    'then end watches spread over this long, at least 200 a second, so that their clients do not come back all at once (default 0s)',
  ],
  ['load', '<path...>', 'fill the embedded store from manifests: YAML or JSON, files or folders'],
  ['load-ignore-errors', '[bool]', 'go on when --load rejects objects (default false)'],
  ['sample', '[spec]', 'fill the embedded store with a living sample cluster (default nodes=50,pods=1500,churn=20)'],
  ['sample-seed', '<number>', 'the same seed makes the same sample cluster (default 1)'],
  [
    'replay',
    '<file>',
    'fill the embedded store with the state of a recording (listwatch record) and replay its changes',
  ],
  ['replay-speed', '<factor>', 'how many times as fast as it was recorded, or max (default 1)'],
  ['event-ttl', '<duration>', 'how long events of the sample cluster are kept (default 1h0m0s)'],
  ...accessFlags,
  ...forwardFlags,
  ['v', '<level>', 'how much is logged to stderr, 0 to 10 (default 1)'],
  ['logging-format', '<format>', 'text or json (default text)'],
] as const satisfies readonly (readonly [name: string, placeholder: string, help: string])[];

export type FlagName = (typeof serveFlags)[number][0];
/** Flags as typed; a flag without its optional value is `true`. */
export type FlagValues = { readonly [name in FlagName]?: string | true | readonly string[] };
export type Environment = Readonly<Record<string, string | undefined>>;

const EMBEDDED_INSECURE_PORT = 8080;
const SECURE_PORT = 6443;

/** Throws UsageError for the first thing that cannot be. Reads no files: compose.ts does. */
export function resolveConfig(flags: FlagValues, environment: Environment): Config {
  const given = (flag: FlagName) => flags[flag] !== undefined;
  const value = <T>(flag: FlagName, read: ValueReader<T>): T | undefined => {
    const text = flags[flag];
    return typeof text === 'string' ? read(flag, text) : undefined;
  };
  const boolean = (flag: FlagName, absent: boolean) =>
    flags[flag] === true ? true : (value(flag, readBoolean) ?? absent);

  const store = resolveStore(flags, environment);
  const etcd = store.kind === 'etcd';
  const readAddress = { 'bind-address': readBindAddress, 'insecure-bind-address': readLoopbackAddress } as const;
  const listener = (address: keyof typeof readAddress, port: FlagName, absent: number): Listener | undefined => {
    const chosen = value(port, readPort);
    const listens = { address: value(address, readAddress[address]) ?? '127.0.0.1', port: chosen ?? absent };
    return listens.port === 0 ? undefined : { ...listens, elsewhere: chosen === undefined && !etcd };
  };
  const secure = listener('bind-address', 'secure-port', SECURE_PORT);
  const tls = resolveTls(flags, environment);
  const protocol = resolveTlsProtocol(value('tls-min-version', readText), value('tls-cipher-suites', readText));
  for (const flag of ['tls-min-version', 'tls-cipher-suites', 'goaway-chance'] as const) {
    if (given(flag) && secure === undefined) throw new UsageError(`--${flag} has no effect without the HTTPS listener`);
  }
  const insecure = listener('insecure-bind-address', 'insecure-port', etcd ? 0 : EMBEDDED_INSECURE_PORT);
  const access = resolveAccess(flags, secure);
  if (secure === undefined && insecure === undefined) {
    throw new UsageError(
      etcd
        ? '--secure-port 0 leaves no listener: with --etcd-servers the plain one is off unless --insecure-port is given'
        : '--secure-port 0 and --insecure-port 0 leave no listener: give one of them a port',
    );
  }

  const limits = { ...defaultLimits };
  const historyBytes = value('history-bytes', readBytes);
  if (historyBytes !== undefined) Object.assign(limits, { historyBytesMin: historyBytes, historyBytesFraction: 0 });
  const memoryBudget = value('memory-budget', readMemoryBudget);
  const fragmentCacheBytes =
    value('fragment-cache-bytes', readBytesOrNone) ?? defaultFragmentCacheBytes(memoryBudgetBytes({ memoryBudget }));
  Object.assign(limits, { fragmentCacheBytes });
  const watchSeconds = value('min-request-timeout', readInteger(1, 7 * 24 * 3_600));
  if (watchSeconds !== undefined) Object.assign(limits, { watchTimeoutMinMs: watchSeconds * 1_000 });
  const watchesPerClientMax = value('max-watches-per-client', readInteger(0, 1_000_000));
  if (watchesPerClientMax !== undefined) Object.assign(limits, { watchesPerClientMax });
  const requestTimeoutMs = value('request-timeout', readDurationMs);
  if (requestTimeoutMs === 0) throw bad('request-timeout', '0', 'expected a duration greater than zero');
  if (requestTimeoutMs !== undefined) Object.assign(limits, { requestTimeoutMs });

  const inFlightMax = value('max-requests-inflight', readInteger(0, 1_000_000));
  if (inFlightMax !== undefined) Object.assign(limits, { requestsInFlightMax: inFlightMax });

  const postsInFlightMax = value('max-mutating-requests-inflight', readInteger(0, 1_000_000));
  if (postsInFlightMax !== undefined) Object.assign(limits, { postsInFlightMax });

  const connectionsMax = value('max-connections', readInteger(0, 1_000_000));
  if (connectionsMax !== undefined) Object.assign(limits, { connectionsMax });
  // As upstream, 0 is the default, not any number.
  const http2StreamsMax = value('http2-max-streams-per-connection', readInteger(0, 2 ** 31 - 1));
  if (http2StreamsMax !== undefined && http2StreamsMax > 0) Object.assign(limits, { http2StreamsMax });

  const initialHistoryRevisions = value('initial-history', readInteger(0, 1_000_000));
  if (initialHistoryRevisions !== undefined) {
    if (!etcd) throw new UsageError('--initial-history has no effect without --etcd-servers');
    Object.assign(limits, { initialHistoryRevisions });
  }

  const watchTerminationGraceMs = value('shutdown-watch-termination-grace-period', readDurationMs);
  if (watchTerminationGraceMs !== undefined) Object.assign(limits, { watchTerminationGraceMs });

  const cacheDir = value('cache-dir', readText);
  if (cacheDir !== undefined && !etcd) {
    throw new UsageError('--cache-dir needs --etcd-servers: the embedded store does not outlive the process');
  }
  const checkpointEveryMs = value('checkpoint-interval', readDurationMs);
  if (checkpointEveryMs !== undefined) {
    if (cacheDir === undefined) throw new UsageError('--checkpoint-interval has no effect without --cache-dir');
    if (checkpointEveryMs < 1_000) {
      throw bad('checkpoint-interval', `${flags['checkpoint-interval']}`, 'expected at least 1s');
    }
    Object.assign(limits, { checkpointEveryMs });
  }

  const load = flags.load;
  const paths = Array.isArray(load) ? (load as readonly string[]) : [];
  if (paths.includes('')) throw bad('load', '', 'expected the path of a file or folder');
  if (given('load-ignore-errors') && paths.length === 0)
    throw new UsageError('--load-ignore-errors has no effect without --load');
  for (const flag of ['load', 'sample', 'replay'] as const) {
    if (etcd && given(flag))
      throw new UsageError(`--${flag} fills the embedded store: it cannot be used with --etcd-servers`);
  }
  for (const flag of ['sample-seed', 'event-ttl'] as const) {
    if (given(flag) && !given('sample')) throw new UsageError(`--${flag} has no effect without --sample`);
  }
  if (given('replay-speed') && !given('replay')) throw new UsageError('--replay-speed has no effect without --replay');
  if (given('replay') && given('sample')) throw new UsageError('--replay and --sample both write: give one of them');
  const replayPath = value('replay', readText);
  const eventTtlMs = value('event-ttl', readDurationMs) ?? 3_600_000;
  if (eventTtlMs < 1_000) throw bad('event-ttl', `${eventTtlMs}ms`, 'expected at least 1s');
  const seed = value('sample-seed', readInteger(0, 2 ** 32 - 1)) ?? 1;
  const sampleText = flags.sample === true ? '' : flags.sample;

  return {
    store,
    etcdOverrides: value('etcd-servers-overrides', readEtcdOverrides) ?? new Map(),
    encryption: resolveEncryption(flags, boolean('encryption-provider-config-automatic-reload', false)),
    secure: secure === undefined ? undefined : { ...secure, tls, protocol },
    access,
    forward: resolveForward(flags, store),
    insecure,
    watchCache: boolean('watch-cache', true),
    watchCacheSizes: value('watch-cache-sizes', readCacheSizes) ?? new Map(),
    eager: value('watch-cache-initialization', readInitialization) ?? new Set(),
    engines: value('storage-engine', readEngines) ?? new Map(),
    twin: value('twin', readOneOf(...(Object.keys(engineFactories) as EngineName[]))),
    indexFields: value('index-fields', readDeclaredFields) ?? new Map(),
    extendedFieldSelectors: boolean('extended-field-selectors', false),
    memoryBudget,
    omitManagedFields: boolean('omit-managed-fields', false),
    featureGates: value('feature-gates', readFeatureGates) ?? defaultFeatureGates,
    cacheDir,
    limits,
    encodeWorkers: value('encode-workers', readInteger(0, 64)) ?? Math.min(availableParallelism() - 1, 64),
    goAwayChance: value('goaway-chance', readGoAwayChance) ?? 0,
    shutdownDelayMs: value('shutdown-delay-duration', readDurationMs) ?? 0,
    verbosity: value('v', readInteger(0, 10)) ?? 1,
    logFormat: value('logging-format', readOneOf('text', 'json')) ?? 'text',
    replay: replayPath === undefined ? undefined : { path: replayPath, speed: value('replay-speed', readSpeed) ?? 1 },
    load: paths.length === 0 ? undefined : { paths, ignoreErrors: boolean('load-ignore-errors', false) },
    sample:
      typeof sampleText === 'string'
        ? { ...readSample('sample', sampleText), seed, eventTtlSeconds: Math.ceil(eventTtlMs / 1_000) }
        : undefined,
  };
}

const readBytesOrNone: ValueReader<number> = (flag, text) => (text === '0' ? 0 : readBytes(flag, text));

const MEMORY_BUDGET_MIN = 64 * 2 ** 20;

const readMemoryBudget: ValueReader<number> = (flag, text) => {
  if (text === '0') return 0;
  const bytes = readBytes(flag, text);
  if (bytes < MEMORY_BUDGET_MIN) throw bad(flag, text, 'expected at least 64Mi, or 0 for no budget');
  return bytes;
};

function resolveEncryption(flags: FlagValues, reload: boolean): EncryptionConfig | undefined {
  const file = flags['encryption-provider-config'];
  if (typeof file === 'string') return { file: readText('encryption-provider-config', file), reload };
  if (reload) {
    throw new UsageError('--encryption-provider-config-automatic-reload must be set with --encryption-provider-config');
  }
  return undefined;
}

function resolveStore(flags: FlagValues, environment: Environment): StoreConfig {
  const text = (flag: FlagName) => (typeof flags[flag] === 'string' ? readText(flag, flags[flag]) : undefined);
  const prefix = readPrefix('etcd-prefix', text('etcd-prefix') ?? '/registry');
  const servers = text('etcd-servers');
  if (servers === undefined) {
    for (const flag of [
      'etcd-servers-overrides',
      'encryption-provider-config',
      'etcd-cafile',
      'etcd-certfile',
      'etcd-keyfile',
      'etcd-user',
      'etcd-password-file',
    ] as const) {
      if (flags[flag] !== undefined) throw new UsageError(`--${flag} has no effect without --etcd-servers`);
    }
    return { kind: 'embedded', prefix };
  }
  const endpoints = readEndpoints('etcd-servers', servers);
  if (new Set(endpoints.map((endpoint) => endpoint.split(':')[0])).size > 1) {
    throw bad('etcd-servers', servers, 'expected either only http:// or only https:// URLs');
  }
  const caFile = text('etcd-cafile');
  const [certFile, keyFile] = pair('etcd-certfile', 'etcd-keyfile', text);
  if (endpoints[0]!.startsWith('http://') && (caFile !== undefined || certFile !== undefined)) {
    throw bad('etcd-servers', servers, 'expected https:// URLs, since --etcd-cafile or --etcd-certfile is given');
  }
  return { kind: 'etcd', prefix, endpoints, caFile, certFile, keyFile, user: resolveUser(text, environment) };
}

/** The names and rules are etcdctl's: ETCDCTL_USER may hold `name:password`. Flags win over the environment. */
function resolveUser(text: (flag: FlagName) => string | undefined, environment: Environment) {
  const name = text('etcd-user');
  const file = text('etcd-password-file');
  const passwordText = environment['ETCDCTL_PASSWORD'];
  if (name === undefined && file !== undefined) throw new UsageError('--etcd-password-file needs --etcd-user');
  const combined = name ?? environment['ETCDCTL_USER'];
  if (combined === undefined || combined === '') return undefined;
  if (file !== undefined) return { name: combined, password: { file } };
  if (passwordText !== undefined && passwordText !== '') return { name: combined, password: { text: passwordText } };
  const colon = combined.indexOf(':');
  if (name === undefined && colon > 0) {
    return { name: combined.slice(0, colon), password: { text: combined.slice(colon + 1) } };
  }
  throw new UsageError(
    name === undefined
      ? 'ETCDCTL_USER names a user without a password: expected name:password, or ETCDCTL_PASSWORD as well'
      : '--etcd-user needs a password: give --etcd-password-file, or ETCDCTL_PASSWORD in the environment',
  );
}

function resolveTls(flags: FlagValues, environment: Environment): TlsConfig {
  const text = (flag: FlagName) => (typeof flags[flag] === 'string' ? readText(flag, flags[flag]) : undefined);
  const [certFile, keyFile] = pair('tls-cert-file', 'tls-private-key-file', text);
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile };
  return { certDirectory: text('cert-dir') ?? defaultCertDirectory(environment) };
}

/** XDG's place for state that is kept between runs. */
export function defaultCertDirectory(environment: Environment): string {
  const home = environment['HOME'] ?? environment['USERPROFILE'] ?? '.';
  const state = environment['XDG_STATE_HOME'];
  return `${state === undefined || state === '' ? `${home}/.local/state` : state}/listwatch`;
}

function pair(
  cert: FlagName,
  key: FlagName,
  text: (flag: FlagName) => string | undefined,
): [string | undefined, string | undefined] {
  const values: [string | undefined, string | undefined] = [text(cert), text(key)];
  if (values[0] !== undefined && values[1] === undefined) throw new UsageError(`--${cert} needs --${key}`);
  if (values[0] === undefined && values[1] !== undefined) throw new UsageError(`--${key} needs --${cert}`);
  return values;
}

const readCacheSizes: ValueReader<ReadonlyMap<string, number>> = (flag, text) => {
  const sizes = new Map<string, number>();
  for (const item of readList(flag, text)) {
    const match = /^([^#]+)#([0-9]{1,9})$/.exec(item);
    if (match === null) throw bad(flag, item, 'expected resource[.group]#size, such as events#0');
    for (const name of resourceNames(flag, match[1]!)) sizes.set(name, Number(match[2]));
  }
  return sizes;
};

const readInitialization: ValueReader<'all' | ReadonlySet<string>> = (flag, text) => {
  if (text === 'lazy') return new Set();
  if (text === 'eager') return 'all';
  return new Set(readList(flag, text).flatMap((item) => resourceNames(flag, item)));
};

const readEngines: ValueReader<ReadonlyMap<string, EngineName>> = (flag, text) => {
  const engines = new Map<string, EngineName>();
  const names = Object.keys(engineFactories) as EngineName[];
  for (const item of readList(flag, text)) {
    const match = /^([^=]+)=([a-z0-9+-]+)$/.exec(item);
    if (match === null)
      throw bad(flag, item, 'expected resource[.group]=engine, such as leases.coordination.k8s.io=hash');
    const engine = names.find((name) => name === match[2]);
    if (engine === undefined) throw bad(flag, item, `no such engine; there are ${names.join(', ')}`);
    for (const name of resourceNames(flag, match[1]!)) engines.set(name, engine);
  }
  return engines;
};

function resourceNames(flag: string, text: string): string[] {
  if (isCustomResource(text)) return [text];
  return [...new Set(readKinds(flag, text).map((kind) => groupResourceOf(kind.group, kind.resource)))];
}
