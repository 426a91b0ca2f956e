import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { parseCsv } from './csv.js';
import { authenticated, type Identity } from './identity.js';

interface Entry {
  readonly digest: Buffer;
  readonly identity: Identity;
}

/**
 * `--token-auth-file`: rows of `token,user,uid[,"group1,group2"]` (spec 8.1). A later row with the same token wins.
 *
 * Tokens are kept and looked up by their HMAC under a key that nobody outside knows: how long a look-up takes says nothing
 * about how much of a guess was right. The tokens themselves are not kept.
 */
export class StaticTokens {
  readonly #key = randomBytes(32);
  readonly #entries = new Map<string, Entry>();
  /** Rows without a token, which are passed over. */
  readonly skipped: number;

  /** Throws SyntaxError that names a line or row, and no token. */
  constructor(text: string) {
    let skipped = 0;
    parseCsv(text).forEach((row, index) => {
      const [token, name, uid, groups] = row;
      if (token === undefined || name === undefined || uid === undefined) {
        throw new SyntaxError(`row ${index + 1}: expected at least 3 columns (token, user name, user uid)`);
      }
      if (token === '') {
        skipped++;
        return;
      }
      const digest = this.#digest(token);
      const identity = authenticated({
        name,
        uid,
        groups: groups === undefined || groups === '' ? [] : groups.split(','),
        extra: {},
      });
      this.#entries.set(digest.toString('latin1'), { digest, identity });
    });
    this.skipped = skipped;
  }

  find(token: string): Identity | undefined {
    const digest = this.#digest(token);
    const entry = this.#entries.get(digest.toString('latin1'));
    return entry !== undefined && timingSafeEqual(entry.digest, digest) ? entry.identity : undefined;
  }

  #digest(token: string): Buffer {
    return createHmac('sha256', this.#key).update(token).digest();
  }
}
