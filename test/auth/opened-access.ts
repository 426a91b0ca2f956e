import { alwaysAllow } from '../../src/auth/authorizer.js';
import { Identities } from '../../src/auth/identity.js';
import { Impersonator } from '../../src/auth/impersonator.js';
import { type Access, OpenWatches } from '../../src/http/access.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';

/** Decides as a server does that is given these. */
export function openedAccess(
  parts: Pick<Access, 'authenticator'> & Partial<Pick<Access, 'authorizer' | 'open' | 'watches'>>,
): Access {
  const { authorizer } = parts;
  const identities = new Identities(100);
  const impersonator = new Impersonator({
    authorizer: authorizer ?? alwaysAllow,
    identities,
    clock: systemClock,
    limits: defaultLimits,
  });
  return { authorizer, impersonator, open: false, watches: new OpenWatches(), ...parts };
}
