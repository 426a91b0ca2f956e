import type { Kind } from '../../codec/kind.js';

export function isDefinition({ group, kind }: Kind): boolean {
  return group === 'apiextensions.k8s.io' && kind === 'CustomResourceDefinition';
}

/**
 * A CRD with the status that kube-apiserver's controllers would give it: manifests have none, and without it nothing is
 * served. A status that is there, as in a dump of a cluster, stays.
 */
export function established(crd: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const status = isRecord(crd['status']) ? crd['status'] : {};
  const spec = isRecord(crd['spec']) ? crd['spec'] : {};
  const conditions = status['conditions'];
  if (Array.isArray(conditions) && conditions.length > 0) return crd;
  const now = (crd['metadata'] as { readonly creationTimestamp?: unknown }).creationTimestamp;
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime: now,
    reason,
    message,
  });
  const versions = Array.isArray(spec['versions']) ? (spec['versions'] as unknown[]) : [];
  return {
    ...crd,
    status: {
      ...status,
      acceptedNames: isRecord(status['acceptedNames']) ? status['acceptedNames'] : spec['names'],
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      storedVersions: versions.filter(isRecord).flatMap(({ name, storage }) => (storage === true ? [name] : [])),
    },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
