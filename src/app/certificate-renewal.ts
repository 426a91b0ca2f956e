import type { Clock } from '../lib/clock.js';
import { checkPair, type KeyPair } from './certificates.js';
import { FollowedFiles } from './followed-files.js';
import type { Log } from './log.js';
import { oneLine } from './usage-error.js';

export interface RenewalOptions {
  /** The flag that names the certificate. */
  readonly what: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** What is in use. */
  readonly pair: KeyPair;
  readonly everyMs: number;
  /** Is given a pair that was checked. */
  readonly renewed: (pair: KeyPair) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Follows the files of a certificate: whoever is connected to after they have changed is shown what is in them. Files
 * that do not fit each other, as between the writing of one and of the other, are told of once and left until they do.
 */
export function followCertificate(options: RenewalOptions): FollowedFiles {
  const { what, certFile, keyFile, pair, everyMs, renewed, clock, log } = options;
  const followed = new FollowedFiles({
    files: [certFile, keyFile],
    inUse: [pair.cert, pair.key],
    everyMs,
    take([cert, key]) {
      checkPair(what, certFile, cert!, keyFile, key!);
      renewed({ cert: cert!, key: key! });
      log.info({ file: certFile }, 'the certificate was renewed');
    },
    refused(error, again) {
      if (!again) log.warn({ file: certFile }, `the certificate stays as it was: ${oneLine(error)}`);
    },
    clock,
  });
  followed.start();
  return followed;
}
