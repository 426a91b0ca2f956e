import type { Attributes } from './attributes.js';
import { type Identity, MASTERS } from './identity.js';
import type { NonResourceRule, ResourceRule } from './policy.js';
import type { Asker } from './shared-calls.js';

export interface Decision {
  /** false: no opinion, or it is denied. */
  readonly allowed: boolean;
  /** Nobody who comes later is asked. */
  readonly denied?: true;
  /** '' when there is nothing to say. */
  readonly reason: string;
  /** What went wrong while it was decided; absent: nothing. */
  readonly error?: string;
  /** Somebody else has decided, who tells us of no change of his mind. */
  readonly remote?: true;
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
  /** At once, where nothing has to be waited for. `asker`: absent: it is waited for however long it takes. */
  authorize(attributes: Attributes, asker?: Asker): Decision | Promise<Decision>;
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

/** Allows everybody these paths; a star at the end stands for whatever follows. */
export function allowPaths(paths: readonly string[]): Authorizer {
  const whole = new Set(paths.filter((path) => !path.endsWith('*')));
  const beginnings = paths.filter((path) => path.endsWith('*')).map((path) => path.slice(0, -1));
  return {
    ready: true,
    authorize({ path }) {
      if (path === undefined) return NO_OPINION;
      return whole.has(path) || beginnings.some((start) => path.startsWith(start)) ? SUPERUSER : NO_OPINION;
    },
    rulesFor: () => ({
      resourceRules: [],
      nonResourceRules: [{ verbs: ALL, nonResourceURLs: paths }],
      error: '',
    }),
  };
}

const NO_OPINION: Decision = { allowed: false, reason: '' };
const SUPERUSER: Decision = { allowed: true, reason: '' };

/** `--authorization-mode`: the first of these that allows or denies wins; members of system:masters may do everything (spec 8.2). */
export function unionOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    get ready() {
      return authorizers.every(({ ready }) => ready);
    },
    authorize(attributes, asker) {
      if (attributes.user.groups.includes(MASTERS)) return SUPERUSER;
      return decideFrom(authorizers, attributes, asker, 0, []);
    },
    rulesFor(user, namespace) {
      const all = authorizers.map((authorizer) => authorizer.rulesFor(user, namespace));
      return {
        resourceRules: all.flatMap(({ resourceRules }) => resourceRules),
        nonResourceRules: all.flatMap(({ nonResourceRules }) => nonResourceRules),
        error: aggregated(all.map(({ error }) => error).filter((error) => error !== '')),
        ...(all.some(({ incomplete }) => incomplete === true) ? { incomplete: true } : {}),
      };
    },
  };
}

/** What those from `index` on decide. `passed`: what those before have said, who had no opinion. */
function decideFrom(
  authorizers: readonly Authorizer[],
  attributes: Attributes,
  asker: Asker | undefined,
  index: number,
  passed: Decision[],
): Decision | Promise<Decision> {
  for (let at = index; at < authorizers.length; at++) {
    const decision = authorizers[at]!.authorize(attributes, asker);
    if (decision instanceof Promise) {
      return decision.then((later) => {
        if (isFinal(later)) return later;
        passed.push(later);
        return decideFrom(authorizers, attributes, asker, at + 1, passed);
      });
    }
    if (isFinal(decision)) return decision;
    passed.push(decision);
  }
  const reasons = passed.map(({ reason }) => reason).filter((reason) => reason !== '');
  const errors = passed.flatMap(({ error }) => error ?? []);
  return {
    allowed: false,
    reason: reasons.join('\n'),
    ...(errors.length === 0 ? {} : { error: aggregated(errors) }),
  };
}

function isFinal({ allowed, denied }: Decision): boolean {
  return allowed || denied === true;
}

/** As Go's aggregate of errors prints them: each once. */
export function aggregated(errors: readonly string[]): string {
  const all = [...new Set(errors)];
  return all.length > 1 ? `[${all.join(', ')}]` : (all[0] ?? '');
}
