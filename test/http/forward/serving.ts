import { Authenticator } from '../../../src/auth/authenticator.js';
import type { Authorizer } from '../../../src/auth/authorizer.js';
import { Identities } from '../../../src/auth/identity.js';
import { StaticTokens } from '../../../src/auth/token-file.js';
import { systemClock } from '../../../src/lib/clock.js';
import { certificate, type Serving, type ServingOptions, startServing } from '../serving.js';
import { openedAccess } from '../../auth/opened-access.js';
import { startTarget, type Target } from './target.js';

/** Of users by `Authorization: Bearer t-NAME`. */
export const TOKENS = 't-jane,jane,u1,"dev,ops"\nt-root,root,u2,"system:masters"\n';

export const asJane = { authorization: 'Bearer t-jane' };

/** listwatch in front of a target. */
export interface Forwarding {
  readonly serving: Serving;
  readonly target: Target;
  /** Of the HTTPS listener. */
  readonly port: number;
  /** Of the plain one. */
  readonly plainPort: number;
  readonly close: () => Promise<void>;
}

export async function startForwarding(
  options: ServingOptions & { readonly authorizer?: Authorizer; readonly isPlainTarget?: boolean } = {},
): Promise<Forwarding> {
  const target = await startTarget({ isPlain: options.isPlainTarget ?? false });
  const identities = new Identities(10);
  const authenticator = new Authenticator({
    frontProxy: undefined,
    clientAuthorities: undefined,
    tokens: [new StaticTokens(TOKENS)],
    anonymous: true,
    identities,
    clock: systemClock,
  });
  const { authorizer } = options;
  const serving = startServing({
    access: openedAccess({ authenticator, authorizer, open: authorizer === undefined }),
    forwardTo: target.forwardTo,
    ...options,
  });
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const { port: plainPort } = await serving.server.listenInsecure('127.0.0.1', 0);
  return {
    serving,
    target,
    port,
    plainPort,
    async close() {
      await serving.close();
      await target.close();
    },
  };
}
