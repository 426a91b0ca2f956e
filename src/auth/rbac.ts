import { quoteGo } from '../api/go-text.js';
import type { Attributes, ResourceAttributes } from './attributes.js';
import { aggregated, type Authorizer, type Decision, type Rules } from './authorizer.js';
import type { Identity } from './identity.js';
import { type Binding, type PolicyRule, type Role, ruleAllowsPath, ruleConcerns, type Subject } from './policy.js';

/** What is known of a kind of request by one user: allowed, whatever the name, or for these names, or not. */
interface Verdict {
  readonly always: Decision | undefined;
  readonly byName: ReadonlyMap<string, Decision>;
  readonly otherwise: Decision;
}

/** Of one user, while the policy stays as it is. */
interface Known {
  readonly generation: number;
  readonly verdicts: Map<string, Verdict>;
}

const NO_NAMES: ReadonlyMap<string, Decision> = new Map();

/**
 * RBAC as kube-apiserver evaluates it (spec 8.4), compiled as its objects change:
 *
 *     scope ('' or a namespace) -> subject (user or group) -> bindings -> role -> rules
 *
 * A change touches the entries of one object. What was decided for a user is kept until the next change, so that a request
 * costs a look-up: verb, group, resource and namespace name a verdict, which says for which names it holds.
 */
export class Rbac implements Authorizer {
  ready = false;
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  readonly #bindings = new Map<string, Binding>();
  readonly #scopes = new Map<string, Map<string, Binding[]>>();
  readonly #known = new WeakMap<Identity, Known>();
  readonly #verdictsMax: number;
  #generation = 0;

  /** `verdictsMax`: kept for one user. */
  constructor(verdictsMax: number) {
    this.#verdictsMax = verdictsMax;
  }

  setRole(role: Role): void {
    this.#roles.set(roleKey(role.namespace, role.name), role.rules);
    this.#generation++;
  }

  deleteRole({ namespace, name }: Pick<Role, 'namespace' | 'name'>): void {
    this.#roles.delete(roleKey(namespace, name));
    this.#generation++;
  }

  setBinding(binding: Binding): void {
    this.deleteBinding(binding);
    this.#bindings.set(roleKey(binding.namespace, binding.name), binding);
    for (const subject of binding.subjects) {
      const key = subjectKey(subject, binding.namespace);
      if (key === undefined) continue;
      let scope = this.#scopes.get(binding.namespace);
      if (scope === undefined) this.#scopes.set(binding.namespace, (scope = new Map()));
      const bindings = scope.get(key);
      if (bindings === undefined) scope.set(key, [binding]);
      else bindings.push(binding);
    }
  }

  deleteBinding({ namespace, name }: Pick<Binding, 'namespace' | 'name'>): void {
    this.#generation++;
    const key = roleKey(namespace, name);
    const old = this.#bindings.get(key);
    if (old === undefined) return;
    this.#bindings.delete(key);
    const scope = this.#scopes.get(namespace);
    if (scope === undefined) return; // nobody is bound there
    for (const subject of old.subjects) {
      const of = subjectKey(subject, namespace);
      const rest = of === undefined ? undefined : scope.get(of)?.filter((binding) => binding !== old);
      if (rest === undefined) continue;
      if (rest.length > 0) scope.set(of!, rest);
      else scope.delete(of!);
    }
    if (scope.size === 0) this.#scopes.delete(namespace);
  }

  authorize(attributes: Attributes): Decision {
    const { user } = attributes;
    let known = this.#known.get(user);
    if (known?.generation !== this.#generation) {
      known = { generation: this.#generation, verdicts: new Map() };
      this.#known.set(user, known);
    }
    const { verdicts } = known;
    const key = verdictKey(attributes);
    let verdict = verdicts.get(key);
    if (verdict === undefined) {
      verdict = attributes.path === undefined ? this.#judge(attributes) : this.#judgePath(user, attributes);
      if (verdicts.size >= this.#verdictsMax) verdicts.clear();
      verdicts.set(key, verdict);
    }
    if (verdict.always !== undefined) return verdict.always;
    return (attributes.path === undefined ? verdict.byName.get(attributes.name) : undefined) ?? verdict.otherwise;
  }

  rulesFor(user: Identity, namespace: string): Rules {
    const errors = new Set<string>();
    const rules = [...this.#bindingsOf(user, namespace)].flatMap((binding) => this.#rulesOf(binding, errors));
    return {
      resourceRules: rules
        .filter(({ resources }) => resources.length > 0)
        .map(({ verbs, apiGroups, resources, resourceNames }) => ({ verbs, apiGroups, resources, resourceNames })),
      nonResourceRules: rules
        .filter(({ nonResourceURLs }) => nonResourceURLs.length > 0)
        .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
      error: aggregated([...errors]),
    };
  }

  #judge(request: ResourceAttributes): Verdict {
    const errors = new Set<string>();
    const byName = new Map<string, Decision>();
    for (const binding of this.#bindingsOf(request.user, request.namespace)) {
      for (const rule of this.#rulesOf(binding, errors)) {
        if (!ruleConcerns(rule, request)) continue;
        const decision: Decision = { allowed: true, reason: allowedBy(binding, request.user) };
        if (rule.resourceNames.length === 0) return { always: decision, byName: NO_NAMES, otherwise: decision };
        for (const name of rule.resourceNames) if (!byName.has(name)) byName.set(name, decision);
      }
    }
    return { always: undefined, byName, otherwise: refusal(errors) };
  }

  #judgePath(user: Identity, { verb, path }: { readonly verb: string; readonly path: string }): Verdict {
    const errors = new Set<string>();
    for (const binding of this.#bindingsOf(user, '')) {
      for (const rule of this.#rulesOf(binding, errors)) {
        if (!ruleAllowsPath(rule, verb, path)) continue;
        const decision: Decision = { allowed: true, reason: allowedBy(binding, user) };
        return { always: decision, byName: NO_NAMES, otherwise: decision };
      }
    }
    return { always: undefined, byName: NO_NAMES, otherwise: refusal(errors) };
  }

  /** Each once: first those of the cluster, then those of the namespace, if there is one. */
  #bindingsOf({ name, groups }: Identity, namespace: string): Iterable<Binding> {
    const found = new Set<Binding>();
    for (const scopeName of namespace === '' ? [''] : ['', namespace]) {
      const scope = this.#scopes.get(scopeName);
      if (scope === undefined) continue;
      for (const key of [`u:${name}`, ...groups.map((group) => `g:${group}`)]) {
        for (const binding of scope.get(key) ?? []) found.add(binding);
      }
    }
    return found;
  }

  /** A role that is not there gives nothing, and is named. */
  #rulesOf({ namespace, roleRef }: Binding, errors: Set<string>): readonly PolicyRule[] {
    const { kind, name } = roleRef;
    if (kind !== 'ClusterRole' && kind !== 'Role') {
      errors.add(`unsupported role reference kind: ${quoteGo(kind)}`);
      return [];
    }
    const rules = this.#roles.get(roleKey(kind === 'Role' ? namespace : '', name));
    if (rules === undefined) errors.add(`${kind.toLowerCase()}.rbac.authorization.k8s.io ${quoteGo(name)} not found`);
    return rules ?? [];
  }
}

/** Whom a subject means; undefined: nobody. Service accounts are users. */
function subjectKey({ kind, name, namespace }: Subject, ofBinding: string): string | undefined {
  switch (kind) {
    case 'User':
      return `u:${name}`;
    case 'Group':
      return `g:${name}`;
    case 'ServiceAccount': {
      const of = namespace === '' ? ofBinding : namespace;
      return of === '' ? undefined : `u:system:serviceaccount:${of}:${name}`;
    }
    default:
      return undefined;
  }
}

/** A slash is in no name of either. */
function roleKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/**
 * Different for different requests, whatever their parts are: who asks what he may do writes any text he likes into them. So the
 * lengths come first, and those of paths are fewer.
 */
function verdictKey(attributes: Attributes): string {
  if (attributes.path !== undefined) return `${attributes.verb.length} ${attributes.verb}${attributes.path}`;
  const { verb, group, resource, subresource, namespace } = attributes;
  const lengths = `${verb.length},${group.length},${resource.length},${subresource.length} `;
  return `${lengths}${verb}${group}${resource}${subresource}${namespace}`;
}

/** Of the subjects that mean the user, a binding's first is named. */
function allowedBy(binding: Binding, { name, groups }: Identity): string {
  const keys = new Set([`u:${name}`, ...groups.map((group) => `g:${group}`)]);
  const subject = binding.subjects.find((one) => keys.has(subjectKey(one, binding.namespace) ?? ''))!;
  const of = binding.namespace === '' ? '' : `/${binding.namespace}`;
  const kind = binding.namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding';
  const { roleRef } = binding;
  const account = subject.kind === 'ServiceAccount' ? `/${subject.namespace || binding.namespace}` : '';
  return (
    `RBAC: allowed by ${kind} ${quoteGo(`${binding.name}${of}`)} of ${roleRef.kind} ${quoteGo(roleRef.name)} ` +
    `to ${subject.kind} ${quoteGo(`${subject.name}${account}`)}`
  );
}

function refusal(errors: ReadonlySet<string>): Decision {
  return { allowed: false, reason: errors.size === 0 ? '' : `RBAC: ${aggregated([...errors])}` };
}
