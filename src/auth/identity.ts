/** Who asks: what an authenticator found out, or what a request is allowed to pretend. */
export interface Identity {
  readonly name: string;
  /** '' when there is none. */
  readonly uid: string;
  readonly groups: readonly string[];
  /** Keys are lower case. */
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export const AUTHENTICATED = 'system:authenticated';
export const UNAUTHENTICATED = 'system:unauthenticated';
export const MASTERS = 'system:masters';

export const anonymous: Identity = {
  name: 'system:anonymous',
  uid: '',
  groups: [UNAUTHENTICATED],
  extra: {},
};

/** Equal identities become one, so that what is decided about them can be kept. Bounded: the oldest go. */
export class Identities {
  readonly #known = new Map<string, Identity>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  intern(identity: Identity): Identity {
    const { name, uid, groups, extra } = identity;
    const key = JSON.stringify([name, uid, groups, extra]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= this.#max) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, identity);
    return identity;
  }
}

/** Everybody whom an authenticator knows is in `system:authenticated` (spec 8.1). */
export function authenticated(identity: Identity): Identity {
  const { name, groups } = identity;
  if (name === anonymous.name || groups.includes(AUTHENTICATED) || groups.includes(UNAUTHENTICATED)) return identity;
  return { ...identity, groups: [...groups, AUTHENTICATED] };
}
