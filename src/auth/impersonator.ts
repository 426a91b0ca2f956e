import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Limits } from '../lib/limits.js';
import type { Attributes } from './attributes.js';
import type { Identity } from './identity.js';
import {
  type ImpersonationMode,
  type ImpersonationParts,
  impersonationModes,
  isIdentity,
  type Unallowed,
} from './impersonation-mode.js';
import type { Asker } from './shared-calls.js';

export interface ImpersonatorParts extends ImpersonationParts {
  readonly limits: ImpersonationParts['limits'] & Pick<Limits, 'impersonatorsMax'>;
}

/**
 * Decides who may act as whom. The first mode that allows it wins; which one that was is remembered of a user, and tried first the next time,
 * so that the older rules cost no more than they did. If none allows it, the first refusal is told, which therefore depends on what came before.
 */
export class Impersonator {
  readonly #modes: readonly ImpersonationMode[];
  readonly #identities: ImpersonationParts['identities'];
  readonly #lastModes: LRUCache<string, ImpersonationMode>;

  constructor(parts: ImpersonatorParts) {
    this.#modes = impersonationModes(parts);
    this.#identities = parts.identities;
    this.#lastModes = new LRUCache({ max: parts.limits.impersonatorsMax });
  }

  /** `attributes`: what is asked, by whom. */
  async impersonate(wanted: Identity, attributes: Attributes, asker: Asker): Promise<Identity | Unallowed> {
    const key = createHash('sha256').update(attributes.user.name).digest('base64');
    const last = this.#lastModes.get(key);
    let refused: Unallowed | undefined;
    for (const mode of last === undefined ? this.#modes : [last, ...this.#modes.filter((mode) => mode !== last)]) {
      const found = await mode.check(wanted, attributes, asker);
      if (isIdentity(found)) {
        if (mode !== last) this.#lastModes.set(key, mode);
        return this.#identities.intern(found);
      }
      refused ??= found;
    }
    return refused!; // the older rules are for everybody
  }
}
