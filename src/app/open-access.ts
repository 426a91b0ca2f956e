import { Authenticator, type TokenAuthenticator } from '../auth/authenticator.js';
import { alwaysDeny, type Authorizer, unionOf } from '../auth/authorizer.js';
import { BoundObjects } from '../auth/bound-objects.js';
import { Identities } from '../auth/identity.js';
import { readVerificationKeys } from '../auth/jwt.js';
import { LiveNodeGraph } from '../auth/live-node-graph.js';
import { LiveRbac, RBAC_GROUP } from '../auth/live-rbac.js';
import { nodeOf } from '../auth/node-authorizer.js';
import { Authorities } from '../auth/peer-certificate.js';
import { ServiceAccountTokens } from '../auth/service-account-tokens.js';
import { StaticTokens } from '../auth/token-file.js';
import { type Access, OpenWatches } from '../http/access.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Reader } from '../serve/reader.js';
import type { AccessConfig, AuthorizationMode } from './access-config.js';
import { readNamed } from './certificates.js';
import type { Log } from './log.js';
import { oneLine, UsageError } from './usage-error.js';

export interface OpenedAccess extends Access {
  /** In PEM form, of all that clients may show; empty: they are not asked for certificates. */
  readonly ca: readonly string[];
  /** Follows what permissions are made of. `readerFor`: undefined for what is not served. */
  start(readerFor: ReaderFor): void;
  stop(): void;
}

type ReaderFor = (group: string, resource: string) => Reader | undefined;

/** Reads what the flags name. Throws UsageError for what does not parse; no message holds a secret. */
export function openAccess(
  config: AccessConfig,
  limits: Limits,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): OpenedAccess {
  const { clientCaFile, tokenAuthFile, frontProxy, serviceAccounts } = config;
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
  if (serviceAccounts !== undefined) {
    const { keyFiles, issuers, audiences, lookup } = serviceAccounts;
    const keys = keyFiles.flatMap((file) => parsed('service-account-key-file', file, readVerificationKeys));
    const refused = (reason: string) => log.warn({ reason }, 'unable to authenticate the request');
    tokens.push(new ServiceAccountTokens({ keys, issuers, audiences, lookup, objects, clock, limits, refused }));
  }
  const identities = new Identities(limits.identitiesMax);
  const authenticator = new Authenticator({
    frontProxy:
      frontProxy === undefined || proxyAuthorities === undefined
        ? undefined
        : { ...frontProxy, authorities: proxyAuthorities },
    clientAuthorities,
    tokens,
    anonymous: config.anonymous,
    identities,
    clock,
  });
  const live = config.modes.includes('RBAC') ? new LiveRbac(clock, limits) : undefined;
  const nodes = config.modes.includes('Node') ? new LiveNodeGraph(clock, limits) : undefined;
  const made: Readonly<Record<AuthorizationMode, () => Authorizer>> = {
    Node: () => nodes!.authorizer,
    RBAC: () => live!.rbac,
    AlwaysDeny: () => alwaysDeny,
  };
  const authorizers = config.modes.map((mode) => made[mode]());
  const authorizer = authorizers.length === 0 ? undefined : unionOf(authorizers);
  const watches = new OpenWatches();
  return {
    authenticator,
    identities,
    authorizer,
    watches,
    open: config.anonymous && authorizer === undefined,
    ca: [clientAuthorities, proxyAuthorities].flatMap((some) => (some === undefined ? [] : [some.pem])),
    start(readerFor) {
      objects.start((resource) => readerFor('', resource)!);
      live?.start(
        (resource) => readerFor(RBAC_GROUP, resource)!,
        () => watches.check(authorizer!),
      );
      nodes?.start(readerFor, () => watches.check(authorizer!, ({ user }) => nodeOf(user) !== undefined));
    },
    stop() {
      live?.stop();
      nodes?.stop();
    },
  };
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
