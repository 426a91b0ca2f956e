import type { Authorities } from '../auth/peer-certificate.js';
import type { Clock } from '../lib/clock.js';
import { FollowedFiles } from './followed-files.js';
import type { Log } from './log.js';
import { oneLine } from './usage-error.js';

/** What a `--*-ca-file` names, as it is in use. */
export interface NamedAuthorities {
  readonly file: string;
  readonly authorities: Authorities;
}

export interface AuthorityRenewalOptions extends NamedAuthorities {
  readonly everyMs: number;
  /** The authorities are others now. */
  readonly renewed: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Follows a file of authorities, as kube-apiserver does: whose certificates they signed is known from the next request on. A file in
 * which there is none is told of once, and those before stay.
 */
export function followAuthorities({ file, authorities, everyMs, renewed, clock, log }: AuthorityRenewalOptions) {
  const followed = new FollowedFiles({
    files: [file],
    inUse: [authorities.pem],
    everyMs,
    take([pem]) {
      authorities.renew(pem!);
      renewed();
      log.info({ file }, 'the authorities were renewed');
    },
    refused(error, again) {
      if (!again) log.warn({ file }, `the authorities stay as they were: ${oneLine(error)}`);
    },
    clock,
  });
  followed.start();
  return followed;
}
