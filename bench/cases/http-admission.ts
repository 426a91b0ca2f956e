import type { Socket } from 'node:net';
import { Authenticator, type TokenAuthenticator } from '../../src/auth/authenticator.js';
import { type Authorizer, unionOf } from '../../src/auth/authorizer.js';
import { Identities } from '../../src/auth/identity.js';
import { Impersonator } from '../../src/auth/impersonator.js';
import { readBinding, readRole } from '../../src/auth/policy.js';
import { Rbac } from '../../src/auth/rbac.js';
import { StaticTokens } from '../../src/auth/token-file.js';
import { WebhookAuthorizer } from '../../src/auth/webhook-authorizer.js';
import { WebhookTokens } from '../../src/auth/webhook-tokens.js';
import { type Access, attributesOf, identify, OpenWatches, permit } from '../../src/http/access.js';
import { Exchange, ExchangeRequest } from '../../src/http/exchange.js';
import type { HttpResponse } from '../../src/http/sinks.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import type { BenchCase, BenchCases } from '../bench.js';

/**
 * What it costs to find out who asks and whether they may, where nothing has to be waited for. One operation is one GET of an
 * object, from its parsed head on.
 *
 *     token+rbac   a token of the file, and a verdict that RBAC keeps
 *     webhooks     answers of webhooks that are kept, for the token and for the request
 */
export async function setup(smoke: boolean): Promise<BenchCases> {
  const ops = smoke ? 100 : 10_000;
  const kept = await webhooks(ops);
  return {
    'http/admission/token+rbac': () => admission(ops, [new StaticTokens('t-jane,jane,u1,dev\n')], [rbac()]),
    'http/admission/webhooks': kept,
  };
}

const TARGET = '/api/v1/namespaces/default/pods/web';
const TOKEN = 't-jane';
const authorization = `Bearer ${TOKEN}`;
const socket = {} as Socket;
const incoming = {
  method: 'GET',
  target: TARGET,
  headers: { host: 'localhost', authorization },
  rawHeaders: ['host', 'localhost', 'authorization', authorization],
  connection: () => socket,
  isSecure: true,
};
const response = { closed: false, onClose: () => undefined } as unknown as HttpResponse;

function rbac(): Rbac {
  const made = new Rbac(100);
  made.ready = true;
  const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }];
  made.setRole(readRole({ metadata: { name: 'dev' }, rules }));
  const subjects = [{ kind: 'Group', name: 'dev' }];
  made.setBinding(readBinding({ metadata: { name: 'b' }, subjects, roleRef: { kind: 'ClusterRole', name: 'dev' } }));
  return made;
}

function admission(ops: number, tokens: TokenAuthenticator[], authorizers: Authorizer[]): BenchCase {
  const identities = new Identities(100);
  const authorizer = unionOf(authorizers);
  const access: Access = {
    authenticator: new Authenticator({
      frontProxy: undefined,
      clientAuthorities: undefined,
      tokens,
      anonymous: false,
      identities,
      clock: systemClock,
    }),
    authorizer,
    impersonator: new Impersonator({ authorizer, identities, clock: systemClock, limits: defaultLimits }),
    open: false,
    watches: new OpenWatches(),
  };
  const request = new ExchangeRequest(incoming);
  return {
    ops,
    run() {
      let admitted = 0;
      for (let op = 0; op < ops; op++) {
        const exchange = new Exchange(request, response, undefined, 0);
        if (identify(exchange, access, {}) === undefined && permit(exchange, access, {}) === undefined) admitted++;
      }
      if (admitted !== ops) throw new Error(`${admitted} of ${ops} were admitted at once`);
      return admitted;
    },
  };
}

async function webhooks(ops: number): Promise<BenchCase> {
  const common = { version: 'v1', clock: systemClock, limits: defaultLimits, failed: () => undefined } as const;
  const tokens = new WebhookTokens({
    ...common,
    client: { review: async () => ({ authenticated: true, user: { username: 'jane', groups: ['dev'] } }) },
    audiences: [],
    cacheTtlMs: 3_600_000,
    errorTtlMs: 0,
    identities: new Identities(100),
  });
  const access = new WebhookAuthorizer({
    ...common,
    client: { review: async () => ({ allowed: true }) },
    authorizedTtlMs: 3_600_000,
    unauthorizedTtlMs: 0,
  });
  const user = await tokens.find(TOKEN, { signal: new AbortController().signal });
  if (user === undefined || 'kind' in user) throw new Error('the token is known');
  await access.authorize(attributesOf(new ExchangeRequest(incoming), user, {}));
  return admission(ops, [tokens], [access]);
}
