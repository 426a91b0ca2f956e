import type { ReviewVersion } from '../auth/webhook-tokens.js';
import type { FlagName, FlagValues } from './config.js';
import { UsageError } from './usage-error.js';
import { bad, readDurationMs, readList, readOneOf, readText, type ValueReader } from './values.js';

/** Somebody who is asked by reviews. */
export interface WebhookConfig {
  /** The flag that names the file. */
  readonly flag: FlagName;
  /** A kubeconfig. */
  readonly file: string;
  readonly version: ReviewVersion;
  /** It is a kube-apiserver, and reviews are posted where its API has them; else to the server's very URL. */
  readonly isApiserver: boolean;
}

export interface TokenWebhookConfig extends WebhookConfig {
  readonly cacheTtlMs: number;
  readonly errorTtlMs: number;
  /** `--api-audiences`. */
  readonly audiences: readonly string[];
}

export interface AccessWebhookConfig extends WebhookConfig {
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  /** Paths about which it is not asked: anybody may read them. */
  readonly alwaysAllowPaths: readonly string[];
}

export const webhookFlags = [
  [
    'authentication-token-webhook-config-file',
    '<file>',
    'kubeconfig of a webhook that is asked, by a TokenReview, whose a bearer token is',
  ],
  ['authentication-token-webhook-version', '<version>', 'of these TokenReviews: v1beta1 or v1 (default v1beta1)'],
  [
    'authentication-token-webhook-cache-ttl',
    '<duration>',
    'how long the answer is kept (default 2m0s; with --authentication-kubeconfig 10s)',
  ],
  ['authentication-kubeconfig', '<file>', 'kubeconfig of a kube-apiserver that is asked instead of a webhook'],
  [
    'authorization-webhook-config-file',
    '<file>',
    'kubeconfig of the webhook of --authorization-mode=Webhook, which is asked by SubjectAccessReviews',
  ],
  ['authorization-webhook-version', '<version>', 'of these SubjectAccessReviews: v1beta1 or v1 (default v1beta1)'],
  [
    'authorization-webhook-cache-authorized-ttl',
    '<duration>',
    'how long it is kept that somebody may (default 5m0s; with --authorization-kubeconfig 10s)',
  ],
  [
    'authorization-webhook-cache-unauthorized-ttl',
    '<duration>',
    'how long it is kept that somebody may not (default 30s; with --authorization-kubeconfig 10s)',
  ],
  [
    'authorization-kubeconfig',
    '<file>',
    'kubeconfig of a kube-apiserver that is asked instead of a webhook; sets --authorization-mode to Webhook',
  ],
  [
    'authorization-always-allow-paths',
    '<list>',
    'paths that --authorization-kubeconfig is not asked about (default /healthz,/readyz,/livez)',
  ],
] as const;

/** As long as kube-apiserver remembers that there was no answer about a token. */
const ERROR_TTL_MS = 10_000;
/** What servers that delegate to a kube-apiserver keep: k8s.io/apiserver's own. */
const DELEGATED_TTL = '10s';

/** undefined: nobody is asked. */
export function resolveTokenWebhook(flags: FlagValues, audiences: readonly string[]): TokenWebhookConfig | undefined {
  const webhook = resolveWebhook(flags, {
    file: 'authentication-token-webhook-config-file',
    kubeconfig: 'authentication-kubeconfig',
    version: 'authentication-token-webhook-version',
    others: ['authentication-token-webhook-cache-ttl'],
  });
  if (webhook === undefined) return undefined;
  const { isApiserver } = webhook;
  const cacheTtlMs = duration(flags, 'authentication-token-webhook-cache-ttl', isApiserver ? DELEGATED_TTL : '2m');
  return { ...webhook, cacheTtlMs, errorTtlMs: isApiserver ? 0 : Math.min(ERROR_TTL_MS, cacheTtlMs), audiences };
}

/** undefined: nobody is asked. */
export function resolveAccessWebhook(flags: FlagValues): AccessWebhookConfig | undefined {
  const webhook = resolveWebhook(flags, {
    file: 'authorization-webhook-config-file',
    kubeconfig: 'authorization-kubeconfig',
    version: 'authorization-webhook-version',
    others: ['authorization-webhook-cache-authorized-ttl', 'authorization-webhook-cache-unauthorized-ttl'],
  });
  const paths = flags['authorization-always-allow-paths'];
  if (webhook?.isApiserver !== true && paths !== undefined) {
    throw new UsageError('--authorization-always-allow-paths has no effect without --authorization-kubeconfig');
  }
  if (webhook === undefined) return undefined;
  const ttl = (flag: FlagName, absent: string) => duration(flags, flag, webhook.isApiserver ? DELEGATED_TTL : absent);
  return {
    ...webhook,
    authorizedTtlMs: ttl('authorization-webhook-cache-authorized-ttl', '5m'),
    unauthorizedTtlMs: ttl('authorization-webhook-cache-unauthorized-ttl', '30s'),
    alwaysAllowPaths: webhook.isApiserver ? readPaths(paths) : [],
  };
}

interface Names {
  readonly file: FlagName;
  readonly kubeconfig: FlagName;
  readonly version: FlagName;
  readonly others: readonly FlagName[];
}

function resolveWebhook(flags: FlagValues, names: Names): WebhookConfig | undefined {
  const text = <T extends string>(flag: FlagName, read: ValueReader<T>) =>
    typeof flags[flag] === 'string' ? read(flag, flags[flag]) : undefined;
  const file = text(names.file, readText);
  const kubeconfig = text(names.kubeconfig, readText);
  const version = text(names.version, readOneOf('v1', 'v1beta1'));
  if (file !== undefined && kubeconfig !== undefined) {
    throw new UsageError(`--${names.file} and --${names.kubeconfig} name two who would be asked: give one of them`);
  }
  if (kubeconfig !== undefined) {
    if (version !== undefined) {
      throw new UsageError(
        `--${names.version} has no effect with --${names.kubeconfig}: a kube-apiserver is asked by v1`,
      );
    }
    return { flag: names.kubeconfig, file: kubeconfig, version: 'v1', isApiserver: true };
  }
  if (file !== undefined) return { flag: names.file, file, version: version ?? 'v1beta1', isApiserver: false };
  for (const flag of [names.version, ...names.others]) {
    if (flags[flag] !== undefined) {
      throw new UsageError(`--${flag} has no effect without --${names.file} or --${names.kubeconfig}`);
    }
  }
  return undefined;
}

function duration(flags: FlagValues, flag: FlagName, absent: string): number {
  const text = flags[flag];
  return readDurationMs(flag, typeof text === 'string' ? text : absent);
}

function readPaths(text: FlagValues[FlagName]): readonly string[] {
  const flag = 'authorization-always-allow-paths';
  if (text === '') return [];
  return readList(flag, typeof text === 'string' ? text : '/healthz,/readyz,/livez').map((path) => {
    if (path.slice(0, -1).includes('*')) throw bad(flag, path, 'expected a star at the end only');
    return path.startsWith('/') || path === '*' ? path : `/${path}`;
  });
}
