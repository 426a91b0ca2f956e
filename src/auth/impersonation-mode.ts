import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { isDnsLabel, isSubdomain } from '../api/label-syntax.js';
import type { Clock } from '../lib/clock.js';
import type { Limits } from '../lib/limits.js';
import type { Attributes, ResourceAttributes } from './attributes.js';
import type { Authorizer } from './authorizer.js';
import { extraProblem } from './extra-problem.js';
import { anonymous, AUTHENTICATED, type Identities, type Identity, MASTERS, UNAUTHENTICATED } from './identity.js';
import type { Asker } from './shared-calls.js';
import { onlyNamed } from './wanted-user.js';

/** Somebody may not act as the one whom he names. */
export interface Unallowed {
  /** What he would have to be allowed. */
  readonly attributes: Attributes;
  readonly reason: string;
}

/** undefined: the mode is not for such users. */
export type Impersonated = Identity | Unallowed | undefined;

/** One set of rules by which a user may act as another one: https://kep.k8s.io/5284, and what there was before it. */
export interface ImpersonationMode {
  /** `attributes`: the request itself, of the one who asks. */
  check(wanted: Identity, attributes: Attributes, asker: Asker): Promise<Impersonated>;
}

export interface ImpersonationParts {
  readonly authorizer: Authorizer;
  readonly identities: Identities;
  readonly clock: Clock;
  readonly limits: Pick<Limits, 'impersonationsMax' | 'impersonationKeptMs'>;
}

const NODE_PREFIX = 'system:node:';
const ACCOUNT_PREFIX = 'system:serviceaccount:';
const NODES = 'system:nodes';
const NODE_NAME = 'authentication.kubernetes.io/node-name';
const AUTHENTICATION = 'authentication.k8s.io';
/** From so many on it is first asked whether all may be impersonated. */
const MANY = 4;

/** In the order in which kube-apiserver tries them. */
export function impersonationModes(parts: ImpersonationParts): readonly ImpersonationMode[] {
  const legacy = new Rules(parts, undefined);
  return [
    new AssociatedNode(parts),
    new Constrained(parts, 'arbitrary-node', (wanted) => onlyNamed(wanted) && nodeOf(wanted.name) !== undefined),
    new Constrained(parts, 'serviceaccount', (wanted) => onlyNamed(wanted) && accountOf(wanted.name) !== undefined),
    new Constrained(
      parts,
      'user-info',
      ({ name }) => nodeOf(name) === undefined && accountOf(name) === undefined, // these have modes of their own
    ),
    { check: (wanted, { user }, asker) => legacy.check(wanted, user, asker) },
  ];
}

/** The request must be allowed by `impersonate-on:<mode>:<verb>`, and whom it names by `impersonate:<mode>`. */
class Constrained implements ImpersonationMode {
  readonly #parts: ImpersonationParts;
  readonly #mode: string;
  readonly #isFor: (wanted: Identity, user: Identity) => boolean;
  readonly #rules: Rules;
  readonly #kept: Kept;

  constructor(parts: ImpersonationParts, mode: string, isFor: (wanted: Identity, user: Identity) => boolean) {
    this.#parts = parts;
    this.#mode = mode;
    this.#isFor = isFor;
    this.#rules = new Rules(parts, `impersonate:${mode}`);
    this.#kept = new Kept(parts);
  }

  async check(wanted: Identity, attributes: Attributes, asker: Asker, keyed = wanted): Promise<Impersonated> {
    const { user, ...request } = attributes;
    if (!this.#isFor(wanted, user)) return undefined;
    const key = keyOf(keyed, user, request);
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    const verb = `impersonate-on:${this.#mode}:${attributes.verb}`;
    const refused = await refusal(this.#parts.authorizer, { ...attributes, verb }, asker);
    if (refused !== undefined) return refused;
    const found = await this.#rules.check(wanted, user, asker, keyed);
    if (isIdentity(found)) this.#kept.set(key, found);
    return found;
  }
}

/**
 * A service account whose token is of a pod acts as the node that the pod is on. Who may that may it on every node: the node is `*`, and of
 * the account's extra only the keys are told, so that what is known of an account holds for all of its pods.
 */
class AssociatedNode implements ImpersonationMode {
  readonly #identities: Identities;
  readonly #mode: Constrained;

  constructor(parts: ImpersonationParts) {
    this.#identities = parts.identities;
    this.#mode = new Constrained(parts, 'associated-node', () => true);
  }

  async check(wanted: Identity, attributes: Attributes, asker: Asker): Promise<Impersonated> {
    const { user } = attributes;
    if (!onlyNamed(wanted) || !isAssociated(user, wanted.name)) return undefined;
    const extra = { 'authentication.kubernetes.io/associated-node-keys': Object.keys(user.extra).sort() };
    const anyPod = this.#identities.intern({ ...user, extra });
    const found = await this.#mode.check(wanted, { ...attributes, user: anyPod }, asker, ANY_NODE);
    return isIdentity(found) ? { ...found, name: wanted.name } : found;
  }
}

const ANY_NODE: Identity = { name: `${NODE_PREFIX}*`, uid: '', groups: [], extra: {} };

/** What must be allowed of whom a request names: each part of it. `mode`: undefined: the older rules, of which nothing is kept. */
class Rules {
  readonly #authorizer: Authorizer;
  readonly #mode: string | undefined;
  readonly #kept: Kept | undefined;

  constructor(parts: ImpersonationParts, mode: string | undefined) {
    this.#authorizer = parts.authorizer;
    this.#mode = mode;
    this.#kept = mode === undefined ? undefined : new Kept(parts);
  }

  async check(wanted: Identity, user: Identity, asker: Asker, keyed = wanted): Promise<Identity | Unallowed> {
    const key = this.#kept === undefined ? '' : keyOf(keyed, user, undefined);
    const known = this.#kept?.get(key);
    if (known !== undefined) return known;
    const found =
      (await this.#refusalOfName(wanted, user, asker)) ??
      (await this.#refusalOfUid(wanted, user, asker)) ??
      (await this.#refusalOfGroups(wanted, user, asker)) ??
      (await this.#refusalOfExtra(wanted, user, asker)) ??
      this.#complete(wanted);
    if (isIdentity(found)) this.#kept?.set(key, found);
    return found;
  }

  #refusalOfName({ name }: Identity, user: Identity, asker: Asker): Promise<Unallowed | undefined> {
    const node = this.#mode === undefined ? undefined : nodeOf(name);
    const isAnyNode = this.#mode === 'impersonate:associated-node';
    const account = accountOf(name);
    const attributes = this.#ofUser(user, {
      resource: account !== undefined ? 'serviceaccounts' : node !== undefined ? 'nodes' : 'users',
      namespace: account?.namespace ?? '',
      name: isAnyNode ? '*' : (account?.name ?? node ?? name),
    });
    return refusal(this.#authorizer, attributes, asker);
  }

  async #refusalOfUid({ uid }: Identity, user: Identity, asker: Asker): Promise<Unallowed | undefined> {
    if (uid === '') return undefined;
    return refusal(this.#authorizer, this.#ofAuthentication(user, { resource: 'uids', name: uid }), asker);
  }

  async #refusalOfGroups({ groups }: Identity, user: Identity, asker: Asker): Promise<Unallowed | undefined> {
    const named = (name: string) => this.#ofUser(user, { resource: 'groups', name });
    if (this.#mode !== undefined) {
      const never = (name: string, what: string) => ({
        attributes: named(name),
        reason: `impersonating the ${what} is not allowed`,
      });
      if (groups.includes('')) return never('', 'empty string group');
      if (groups.includes(MASTERS)) return never(MASTERS, `${MASTERS} group`);
      if (groups.length >= MANY && (await this.#mayAll(named('*'), asker))) return undefined;
    }
    for (const group of groups) {
      const refused = await refusal(this.#authorizer, named(group), asker);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  async #refusalOfExtra({ extra }: Identity, user: Identity, asker: Asker): Promise<Unallowed | undefined> {
    const named = (subresource: string, name: string) =>
      this.#ofAuthentication(user, { resource: 'userextras', subresource, name });
    const values = Object.entries(extra).flatMap(([key, texts]) => texts.map((text) => [key, text] as const));
    if (this.#mode !== undefined) {
      const problem = extraProblem(extra);
      if (problem !== undefined) return { attributes: named('', ''), reason: problem };
      if (values.length >= MANY && (await this.#mayAll(named('*', '*'), asker))) return undefined;
    }
    for (const [key, value] of values) {
      const refused = await refusal(this.#authorizer, named(key, value), asker);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  async #mayAll(attributes: Attributes, asker: Asker): Promise<boolean> {
    return (await refusal(this.#authorizer, attributes, asker)) === undefined;
  }

  /** The groups that are nobody's to name. */
  #complete(wanted: Identity): Identity {
    const { name } = wanted;
    const account = accountOf(name);
    let { groups } = wanted;
    if (this.#mode !== undefined && nodeOf(name) !== undefined) groups = [NODES];
    if (account !== undefined && groups.length === 0) {
      groups = ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`];
    }
    if (name === anonymous.name) groups = withGroup(groups, UNAUTHENTICATED);
    else if (!groups.includes(UNAUTHENTICATED)) groups = withGroup(groups, AUTHENTICATED);
    return { ...wanted, groups };
  }

  /** Users and groups were of the core group, and in no version. */
  #ofUser(user: Identity, what: Partial<ResourceAttributes>): ResourceAttributes {
    if (this.#mode !== undefined) return this.#ofAuthentication(user, what);
    return { ...this.#ofAuthentication(user, what), group: '', version: 'v1' };
  }

  #ofAuthentication(user: Identity, what: Partial<ResourceAttributes>): ResourceAttributes {
    const verb = this.#mode ?? 'impersonate';
    return {
      ...{ user, verb, group: AUTHENTICATION, version: 'v1', resource: '', subresource: '', namespace: '', name: '' },
      ...what,
    };
  }
}

/** What was allowed, for a few seconds. */
class Kept {
  readonly #clock: Clock;
  readonly #keptMs: number;
  readonly #users: LRUCache<string, { readonly user: Identity; readonly untilMs: number }>;

  constructor({ clock, limits }: ImpersonationParts) {
    this.#clock = clock;
    this.#keptMs = limits.impersonationKeptMs;
    this.#users = new LRUCache({ max: limits.impersonationsMax });
  }

  get(key: string): Identity | undefined {
    const found = this.#users.get(key);
    return found !== undefined && this.#clock.monotonicMs() < found.untilMs ? found.user : undefined;
  }

  set(key: string, user: Identity): void {
    this.#users.set(key, { user, untilMs: this.#clock.monotonicMs() + this.#keptMs });
  }
}

/** Of whom is wanted, by whom, and for what. Texts of clients may be long; what they are kept by is not. */
function keyOf(wanted: Identity, user: Identity, request: object | undefined): string {
  const of = ({ name, uid, groups, extra }: Identity) => [name, uid, groups, Object.entries(extra).sort()];
  return createHash('sha256')
    .update(JSON.stringify([of(wanted), of(user), request]))
    .digest('base64');
}

/** undefined: it is allowed. Who does not answer does not allow it. */
async function refusal(authorizer: Authorizer, attributes: Attributes, asker: Asker): Promise<Unallowed | undefined> {
  const { allowed, reason, error } = await authorizer.authorize(attributes, asker);
  if (allowed) return undefined;
  return { attributes, reason: error === undefined ? reason : reason === '' ? error : `${error}: ${reason}` };
}

export function isIdentity(found: Impersonated): found is Identity {
  return found !== undefined && 'groups' in found;
}

function withGroup(groups: readonly string[], group: string): readonly string[] {
  return groups.includes(group) ? groups : [...groups, group];
}

/** undefined: it is no node's name. */
function nodeOf(username: string): string | undefined {
  const name = username.slice(NODE_PREFIX.length);
  return username.startsWith(NODE_PREFIX) && isSubdomain(name) ? name : undefined;
}

function accountOf(username: string): { readonly namespace: string; readonly name: string } | undefined {
  if (!username.startsWith(ACCOUNT_PREFIX)) return undefined;
  const [namespace = '', name = '', ...more] = username.slice(ACCOUNT_PREFIX.length).split(':');
  return more.length === 0 && isDnsLabel(namespace) && isSubdomain(name) ? { namespace, name } : undefined;
}

function isAssociated({ name, extra }: Identity, wanted: string): boolean {
  const node = nodeOf(wanted);
  const names = extra[NODE_NAME] ?? [];
  return node !== undefined && accountOf(name) !== undefined && names.length === 1 && names[0] === node;
}
