import type { Attributes } from './attributes.js';
import { type Identity, MASTERS } from './identity.js';
import type { NonResourceRule, ResourceRule } from './policy.js';

export interface Decision {
  /** false: no opinion, or it is denied. */
  readonly allowed: boolean;
  /** Nobody who comes later is asked. */
  readonly denied?: true;
  /** '' when there is nothing to say. */
  readonly reason: string;
}

/** What a user may do in a namespace, as SelfSubjectRulesReview lists it. */
export interface Rules {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly NonResourceRule[];
  /** What could not be found out; '' when nothing. */
  readonly error: string;
  /** There may be more than is listed. */
  readonly incomplete?: true;
}

export interface Authorizer {
  /** At once, where nothing has to be waited for. */
  authorize(attributes: Attributes): Decision | Promise<Decision>;
  rulesFor(user: Identity, namespace: string): Rules;
  /** False while it cannot know yet what to say. */
  readonly ready: boolean;
}

const ALL = ['*'];

export const alwaysAllow: Authorizer = {
  ready: true,
  authorize: () => ({ allowed: true, reason: '' }),
  rulesFor: () => ({
    resourceRules: [{ verbs: ALL, apiGroups: ALL, resources: ALL, resourceNames: [] }],
    nonResourceRules: [{ verbs: ALL, nonResourceURLs: ALL }],
    error: '',
  }),
};

export const alwaysDeny: Authorizer = {
  ready: true,
  authorize: () => ({ allowed: false, reason: 'Everything is forbidden.' }),
  rulesFor: () => ({ resourceRules: [], nonResourceRules: [], error: '' }),
};

const SUPERUSER: Decision = { allowed: true, reason: '' };

/** `--authorization-mode`: the first of these that allows or denies wins; members of system:masters may do everything (spec 8.2). */
export function unionOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    get ready() {
      return authorizers.every(({ ready }) => ready);
    },
    authorize(attributes) {
      if (attributes.user.groups.includes(MASTERS)) return SUPERUSER;
      return decideFrom(authorizers, attributes, 0, []);
    },
    rulesFor(user, namespace) {
      const all = authorizers.map((authorizer) => authorizer.rulesFor(user, namespace));
      return {
        resourceRules: all.flatMap(({ resourceRules }) => resourceRules),
        nonResourceRules: all.flatMap(({ nonResourceRules }) => nonResourceRules),
        error: all
          .map(({ error }) => error)
          .filter((error) => error !== '')
          .join(', '),
        ...(all.some(({ incomplete }) => incomplete === true) ? { incomplete: true } : {}),
      };
    },
  };
}

/** What those from `index` on decide. `reasons`: of those before. */
function decideFrom(
  authorizers: readonly Authorizer[],
  attributes: Attributes,
  index: number,
  reasons: string[],
): Decision | Promise<Decision> {
  /** undefined: the next one is asked. */
  const judge = (decision: Decision): Decision | undefined => {
    if (decision.allowed) return decision;
    if (decision.reason !== '') reasons.push(decision.reason);
    return decision.denied === true ? { allowed: false, denied: true, reason: reasons.join('\n') } : undefined;
  };
  for (let at = index; at < authorizers.length; at++) {
    const decision = authorizers[at]!.authorize(attributes);
    if (decision instanceof Promise) {
      return decision.then((later) => judge(later) ?? decideFrom(authorizers, attributes, at + 1, reasons));
    }
    const judged = judge(decision);
    if (judged !== undefined) return judged;
  }
  return { allowed: false, reason: reasons.join('\n') };
}
