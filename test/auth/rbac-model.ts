import type { Attributes } from '../../src/auth/attributes.js';
import type { Binding, Role } from '../../src/auth/policy.js';

/** RBAC as its documentation tells it, rule by rule, with nothing kept: what the compiled one is compared with. */
export function modelAllows(roles: readonly Role[], bindings: readonly Binding[], asked: Attributes): boolean {
  const inNamespace = asked.path === undefined ? asked.namespace : '';
  return bindings.some((binding) => {
    if (binding.namespace !== '' && binding.namespace !== inNamespace) return false;
    const isMeant = binding.subjects.some(({ kind, name, namespace }) => {
      if (kind === 'User') return asked.user.name === name;
      if (kind === 'Group') return asked.user.groups.some((group) => group === name);
      const of = namespace === '' ? binding.namespace : namespace;
      return kind === 'ServiceAccount' && of !== '' && asked.user.name === `system:serviceaccount:${of}:${name}`;
    });
    if (!isMeant) return false;
    const wanted = binding.roleRef.kind === 'Role' ? binding.namespace : '';
    const role = roles.find(({ namespace, name }) => namespace === wanted && name === binding.roleRef.name);
    return (role?.rules ?? []).some((rule) => {
      if (!rule.verbs.some((verb) => verb === '*' || verb === asked.verb)) return false;
      if (asked.path !== undefined) {
        const { path } = asked;
        return rule.nonResourceURLs.some((url) =>
          url.endsWith('*') ? path.startsWith(url.slice(0, -1)) : url === path,
        );
      }
      const { group, resource, subresource, name } = asked;
      const full = subresource === '' ? resource : `${resource}/${subresource}`;
      return (
        rule.apiGroups.some((of) => of === '*' || of === group) &&
        rule.resources.some((of) => of === '*' || of === full || (subresource !== '' && of === `*/${subresource}`)) &&
        (rule.resourceNames.length === 0 || rule.resourceNames.some((of) => of === name))
      );
    });
  });
}
