import type { ResourceAttributes } from './attributes.js';

/** The objects of rbac.authorization.k8s.io/v1, as far as decisions need them (spec 8.4). */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

export type ResourceRule = Omit<PolicyRule, 'nonResourceURLs'>;
export type NonResourceRule = Pick<PolicyRule, 'verbs' | 'nonResourceURLs'>;

export interface Role {
  /** '' of a ClusterRole. */
  readonly namespace: string;
  readonly name: string;
  readonly rules: readonly PolicyRule[];
}

export interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

export interface Binding {
  /** '' of a ClusterRoleBinding. */
  readonly namespace: string;
  readonly name: string;
  readonly subjects: readonly Subject[];
  readonly roleRef: { readonly kind: string; readonly name: string };
}

/** The rule but for resourceNames: whether it is about such requests at all. */
export function ruleConcerns(rule: ResourceRule, request: Omit<ResourceAttributes, 'user' | 'name'>): boolean {
  const { resource, subresource } = request;
  return (
    hasOr(rule.verbs, request.verb) &&
    hasOr(rule.apiGroups, request.group) &&
    (hasOr(rule.resources, subresource === '' ? resource : `${resource}/${subresource}`) ||
      (subresource !== '' && rule.resources.includes(`*/${subresource}`)))
  );
}

/** `*`, the path itself, or what comes before a star at the end. */
export function ruleAllowsPath(rule: NonResourceRule, verb: string, path: string): boolean {
  if (!hasOr(rule.verbs, verb)) return false;
  return rule.nonResourceURLs.some(
    (url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.replace(/\*+$/, ''))),
  );
}

function hasOr(values: readonly string[], value: string): boolean {
  return values.includes('*') || values.includes(value);
}

interface StoredObject {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly rules?: readonly Partial<PolicyRule>[] | null;
  readonly subjects?: readonly Partial<Subject>[] | null;
  readonly roleRef?: { readonly kind?: string; readonly name?: string };
}

/** A Role or ClusterRole as JSON has it. */
export function readRole(object: unknown): Role {
  const { metadata, rules } = object as StoredObject;
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    rules: (rules ?? []).map((rule) => ({
      verbs: rule.verbs ?? [],
      apiGroups: rule.apiGroups ?? [],
      resources: rule.resources ?? [],
      resourceNames: rule.resourceNames ?? [],
      nonResourceURLs: rule.nonResourceURLs ?? [],
    })),
  };
}

/** A RoleBinding or ClusterRoleBinding as JSON has it. */
export function readBinding(object: unknown): Binding {
  const { metadata, subjects, roleRef } = object as StoredObject;
  return {
    namespace: metadata?.namespace ?? '',
    name: metadata?.name ?? '',
    subjects: (subjects ?? []).map(({ kind = '', name = '', namespace = '' }) => ({ kind, name, namespace })),
    roleRef: { kind: roleRef?.kind ?? '', name: roleRef?.name ?? '' },
  };
}
