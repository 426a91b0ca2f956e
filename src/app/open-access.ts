import { Authenticator, type TokenAuthenticator } from '../auth/authenticator.js';
import { allowPaths, alwaysAllow, alwaysDeny, type Authorizer, unionOf } from '../auth/authorizer.js';
import { BoundObjects } from '../auth/bound-objects.js';
import { Identities } from '../auth/identity.js';
import { Impersonator } from '../auth/impersonator.js';
import {
  CONFIGURATION_PATH,
  type IssuerDocuments,
  issuerDocuments,
  issuerProblem,
  KEYS_PATH,
} from '../auth/issuer-documents.js';
import { readVerificationKeys } from '../auth/jwt.js';
import { LiveNodeGraph, NODE_GRAPH_KINDS } from '../auth/live-node-graph.js';
import { LiveRbac, RBAC_GROUP } from '../auth/live-rbac.js';
import { nodeOf } from '../auth/node-authorizer.js';
import { Authorities } from '../auth/peer-certificate.js';
import { ReviewClient } from '../auth/review-client.js';
import { ServiceAccountTokens } from '../auth/service-account-tokens.js';
import { StaticTokens } from '../auth/token-file.js';
import { WebhookAuthorizer } from '../auth/webhook-authorizer.js';
import { WebhookTokens } from '../auth/webhook-tokens.js';
import { type Access, OpenWatches } from '../http/access.js';
import { IdentityHeaders } from '../http/forward/headers.js';
import type { ReviewKind } from '../http/review-metrics.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Random } from '../lib/random.js';
import type { Reader } from '../serve/reader.js';
import type { AccessConfig, AuthorizationMode } from './access-config.js';
import type { NamedAuthorities } from './authority-renewal.js';
import { readNamed } from './certificates.js';
import type { Log } from './log.js';
import { readKubeconfig } from './read-kubeconfig.js';
import { oneLine, UsageError } from './usage-error.js';
import type { WebhookConfig } from './webhook-config.js';

export interface OpenedAccess extends Access {
  /** Of all certificates that clients may show; empty: they are not asked for any. */
  readonly authorities: readonly NamedAuthorities[];
  /** Follows what permissions are made of. `readerFor`: undefined for what is not served. */
  start(readerFor: ReaderFor): void;
  stop(): void;
}

export interface OpenAccessParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Of the listwatch package. */
  readonly version: string;
  /** A review was posted. */
  readonly reviewed: (kind: ReviewKind, code: string, seconds: number) => void;
}

/** Whether permissions are read from this kind's objects. */
export function isFollowed({ modes }: AccessConfig, group: string, resource: string): boolean {
  if (group === RBAC_GROUP && modes.includes('RBAC')) return true;
  return modes.includes('Node') && NODE_GRAPH_KINDS.some((kind) => kind[0] === group && kind[1] === resource);
}

/** What a front proxy of ours says, no client may say to the target, which might listen to the same names. */
export function identityHeadersOf({ frontProxy }: AccessConfig): IdentityHeaders | undefined {
  if (frontProxy === undefined) return undefined;
  const { usernameHeaders, groupHeaders, uidHeaders, extraPrefixes } = frontProxy;
  return new IdentityHeaders([...usernameHeaders, ...groupHeaders, ...uidHeaders], extraPrefixes);
}

type ReaderFor = (group: string, resource: string) => Reader | undefined;

/** Reads what the flags name. Throws UsageError for what does not parse; no message holds a secret. */
export function openAccess(config: AccessConfig, limits: Limits, parts: OpenAccessParts): OpenedAccess {
  const { clock, log } = parts;
  const { clientCaFile, tokenAuthFile, frontProxy, serviceAccounts, tokenWebhook, accessWebhook } = config;
  const clientAuthorities = clientCaFile === undefined ? undefined : authorities('client-ca-file', clientCaFile);
  const proxyAuthorities =
    frontProxy === undefined ? undefined : authorities('requestheader-client-ca-file', frontProxy.clientCaFile);
  const tokens: TokenAuthenticator[] = [];
  if (tokenAuthFile !== undefined) {
    const read = parsed('token-auth-file', tokenAuthFile, (text) => new StaticTokens(text));
    if (read.skipped > 0) log.warn({ file: tokenAuthFile, rows: read.skipped }, 'rows without a token are passed over');
    tokens.push(read);
  }
  const objects = new BoundObjects();
  let issuer: IssuerDocuments | undefined;
  if (serviceAccounts !== undefined) {
    const { keyFiles, issuers, audiences, lookup, keysUrl } = serviceAccounts;
    const keys = keyFiles.flatMap((file) => parsed('service-account-key-file', file, readVerificationKeys));
    const refused = (reason: string) => log.warn({ reason }, 'unable to authenticate the request');
    tokens.push(new ServiceAccountTokens({ keys, issuers, audiences, lookup, objects, clock, limits, refused }));
    const [name] = issuers;
    const reason = issuerProblem(name);
    if (reason === undefined) issuer = issuerDocuments(name!, keysUrl, keys);
    else log.warn({ issuer: name, reason }, `nothing is served at ${CONFIGURATION_PATH} and ${KEYS_PATH}`);
  }
  const identities = new Identities(limits.identitiesMax);
  const clients: ReviewClient[] = [];
  const clientOf = (webhook: WebhookConfig, review: Reviewed): ReviewClient => {
    const client = openClient(webhook, review, limits, parts);
    clients.push(client);
    return client;
  };
  if (tokenWebhook !== undefined) {
    const client = clientOf(tokenWebhook, TOKEN_REVIEW);
    const failed = (reason: string) => log.error({ reason }, 'failed to make webhook authenticator request');
    tokens.push(new WebhookTokens({ ...tokenWebhook, client, identities, clock, limits, failed }));
  }
  const authenticator = new Authenticator({
    frontProxy:
      frontProxy === undefined || proxyAuthorities === undefined
        ? undefined
        : { ...frontProxy, authorities: proxyAuthorities },
    clientAuthorities,
    tokens,
    anonymous: config.anonymous,
    audiences: (serviceAccounts ?? tokenWebhook)?.audiences ?? [],
    identities,
    clock,
  });
  const live = config.modes.includes('RBAC') ? new LiveRbac(clock, limits) : undefined;
  const nodes = config.modes.includes('Node') ? new LiveNodeGraph(clock, limits) : undefined;
  const made: Readonly<Record<AuthorizationMode, () => readonly Authorizer[]>> = {
    AlwaysAllow: () => [alwaysAllow],
    Node: () => [nodes!.authorizer],
    RBAC: () => [live!.rbac],
    Webhook() {
      const client = clientOf(accessWebhook!, ACCESS_REVIEW);
      const failed = (reason: string) => log.error({ reason }, 'failed to make webhook authorizer request');
      const webhook = new WebhookAuthorizer({ ...accessWebhook!, client, clock, limits, failed });
      const { alwaysAllowPaths } = accessWebhook!;
      return alwaysAllowPaths.length === 0 ? [webhook] : [allowPaths(alwaysAllowPaths), webhook];
    },
    AlwaysDeny: () => [alwaysDeny],
  };
  const authorizers = config.modes.flatMap((mode) => made[mode]());
  const authorizer = authorizers.length === 0 ? undefined : unionOf(authorizers);
  const local = unionOf([
    ...(nodes === undefined ? [] : [nodes.authorizer]),
    ...(live === undefined ? [] : [live.rbac]),
  ]);
  const isLocal = accessWebhook === undefined;
  const watches = new OpenWatches();
  return {
    authenticator,
    authorizer,
    issuer,
    impersonator: new Impersonator({ authorizer: authorizer ?? alwaysAllow, identities, clock, limits }),
    watches,
    open: config.anonymous && (authorizer === undefined || config.modes.includes('AlwaysAllow')),
    authorities: [
      ...(clientAuthorities === undefined ? [] : [{ file: clientCaFile!, authorities: clientAuthorities }]),
      ...(proxyAuthorities === undefined ? [] : [{ file: frontProxy!.clientCaFile, authorities: proxyAuthorities }]),
    ],
    start(readerFor) {
      objects.start((resource) => readerFor('', resource)!);
      live?.start(
        (resource) => readerFor(RBAC_GROUP, resource)!,
        () => watches.check(authorizer!, isLocal ? authorizer : local),
      );
      nodes?.start(readerFor, () =>
        watches.check(authorizer!, isLocal ? authorizer : local, ({ user }) => nodeOf(user) !== undefined),
      );
    },
    stop() {
      live?.stop();
      nodes?.stop();
      for (const client of clients) client.close();
    },
  };
}

interface Reviewed {
  readonly kind: ReviewKind;
  /** Where a kube-apiserver has them. */
  readonly path: string;
  /** All tries together, of a webhook and of a kube-apiserver; absent: while somebody waits. */
  readonly totalMs?: readonly [webhook: number, apiserver: number];
}

const TOKEN_REVIEW: Reviewed = {
  kind: 'authn',
  path: '/apis/authentication.k8s.io/v1/tokenreviews',
  totalMs: [30_000, 10_000],
};
const ACCESS_REVIEW: Reviewed = { kind: 'authz', path: '/apis/authorization.k8s.io/v1/subjectaccessreviews' };

/** For one answer, as k8s.io/apiserver waits for webhooks, and for a kube-apiserver. */
const WEBHOOK_MS = 30_000;
const APISERVER_MS = 10_000;

function openClient(
  { flag, file, isApiserver }: WebhookConfig,
  { kind, path, totalMs }: Reviewed,
  limits: Limits,
  { clock, random, version, reviewed }: OpenAccessParts,
): ReviewClient {
  const server = readKubeconfig(flag, file, 'secure', clock);
  const url = new URL(server.url);
  if (isApiserver) url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`;
  const timeoutMs = isApiserver ? APISERVER_MS : WEBHOOK_MS;
  url.searchParams.set('timeout', `${timeoutMs / 1_000}s`); // as client-go, for whom it is a parameter of every request
  return new ReviewClient({
    server: { ...server, url },
    timeoutMs,
    ...(totalMs === undefined ? {} : { totalMs: totalMs[isApiserver ? 1 : 0] }),
    clock,
    random,
    limits,
    userAgent: `listwatch/v${version}`,
    posted: (code, seconds) => reviewed(kind, code, seconds),
  });
}

function authorities(flag: string, path: string): Authorities {
  return parsed(flag, path, (text) => new Authorities(text));
}

function parsed<T>(flag: string, path: string, parse: (text: string) => T): T {
  const text = readNamed(flag, path);
  try {
    return parse(text);
  } catch (error) {
    throw new UsageError(`--${flag} ${path}: ${oneLine(error)}`);
  }
}
