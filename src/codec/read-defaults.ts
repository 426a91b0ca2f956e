import { isObject, objectMember } from '../lib/is-object.js';
import { autoscalerDefaults } from './autoscaler-defaults.js';
import type { Kind } from './kind.js';
import { compilePath, hasPath, hit, LABELS, type Path } from './scan.js';

/**
 * Defaults that a server fills in when it reads an object that was written without the field, or before it existed
 * (spec 1.4: objects are not rewritten on upgrade). Only defaults that hold whatever the rest of the
 * object says; by kind, as `group/Kind`.
 */
const table: Readonly<Record<string, readonly (readonly [path: string, value: unknown])[]>> = {
  '/PersistentVolumeClaim': [
    // A claim is stored with an empty status until somebody looks for a volume.
    ['status.phase', 'Pending'],
  ],
  'apps/StatefulSet': [
    // Since 1.27.
    ['spec.persistentVolumeClaimRetentionPolicy', { whenDeleted: 'Retain', whenScaled: 'Retain' }],
  ],
  'batch/Job': [
    // Since 1.21 and 1.24.
    ['spec.suspend', false],
    ['spec.completionMode', 'NonIndexed'],
  ],
};

/** Without labels they show those of their template. A Job's template is given some only once the Job's own have been filled in, so many are stored without. */
const LABELED_AS_TEMPLATE: ReadonlySet<string> = new Set(['/ReplicationController', 'batch/Job']);

export interface ReadDefaults {
  /** True when nothing is to be changed: the usual case, and cheap to see. */
  complete(bytes: Uint8Array, start: number, end: number): boolean;
  /** Sets what is missing in a parsed object, and leaves out what is never shown. */
  apply(object: unknown): void;
}

export function readDefaultsOf(kind: Kind): ReadDefaults | undefined {
  if (kind.group === 'autoscaling' && kind.storedAs === undefined) return autoscalerDefaults(kind.message);
  const name = `${kind.group}/${kind.kind}`;
  const rows = table[name] ?? [];
  const labels = LABELED_AS_TEMPLATE.has(name) ? templateLabels(kind.message) : undefined;
  if (rows.length === 0 && labels === undefined) return undefined;
  const paths: Path[] = rows.map(([path]) => compilePath(kind.message, path));
  return {
    complete: (bytes, start, end) =>
      paths.every((path) => hasPath(bytes, start, end, path) && !isEmptyText(path)) &&
      labels?.complete(bytes, start, end) !== false,
    apply(object) {
      for (const [path, value] of rows) {
        const steps = path.split('.');
        let at = object as Record<string, unknown>;
        for (const step of steps.slice(0, -1)) at = (at[step] ??= {}) as Record<string, unknown>;
        at[steps[steps.length - 1]!] ??= structuredClone(value);
      }
      labels?.apply(object as Record<string, unknown>);
    },
  };
}

/** Of the path that was looked for last. */
const isEmptyText = (path: Path) => path.leaf.class === 'string' && hit.start === hit.end;

function templateLabels(message: string) {
  const labelsOf = (path: string): Path => {
    const { tags, leaf } = compilePath(message, path);
    return { tags: [...tags, LABELS], leaf };
  };
  const own = labelsOf('metadata');
  const template = labelsOf('spec.template.metadata');
  return {
    complete: (bytes: Uint8Array, start: number, end: number) =>
      hasPath(bytes, start, end, own) || !hasPath(bytes, start, end, template),
    apply(object: Record<string, unknown>): void {
      const { labels } = objectMember(objectMember(objectMember(object, 'spec'), 'template'), 'metadata');
      const metadata = objectMember(object, 'metadata');
      if (isObject(labels) && Object.keys(objectMember(metadata, 'labels')).length === 0) {
        object['metadata'] = { ...metadata, labels: { ...labels } };
      }
    },
  };
}
