import type { Attributes } from './attributes.js';
import { type Identity, MASTERS } from './identity.js';
import type { NonResourceRule, ResourceRule } from './policy.js';

export interface Decision {
  /** false: no opinion. There are no denials. */
  readonly allowed: boolean;
  /** '' when there is nothing to say. */
  readonly reason: string;
}

/** What a user may do in a namespace, as SelfSubjectRulesReview lists it. */
export interface Rules {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly NonResourceRule[];
  /** What could not be found out; '' when nothing. */
  readonly error: string;
}

export interface Authorizer {
  authorize(attributes: Attributes): Decision;
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

/** `--authorization-mode`: the first of these that allows wins; members of system:masters may do everything (spec 8.2). */
export function unionOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    get ready() {
      return authorizers.every(({ ready }) => ready);
    },
    authorize(attributes) {
      if (attributes.user.groups.includes(MASTERS)) return SUPERUSER;
      const reasons: string[] = [];
      for (const authorizer of authorizers) {
        const decision = authorizer.authorize(attributes);
        if (decision.allowed) return decision;
        if (decision.reason !== '') reasons.push(decision.reason);
      }
      return { allowed: false, reason: reasons.join('\n') };
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
      };
    },
  };
}
