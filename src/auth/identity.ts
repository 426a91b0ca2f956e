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

/** Everybody whom an authenticator knows is in `system:authenticated` (spec 8.1). */
export function authenticated(identity: Identity): Identity {
  const { name, groups } = identity;
  if (name === anonymous.name || groups.includes(AUTHENTICATED) || groups.includes(UNAUTHENTICATED)) return identity;
  return { ...identity, groups: [...groups, AUTHENTICATED] };
}
