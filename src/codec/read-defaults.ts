import { autoscalerDefaults } from './autoscaler-defaults.js';
import type { Kind } from './kind.js';
import { compilePath, hasPath, type Path } from './scan.js';

/**
 * Defaults that a server fills in when it reads an object that was written before the field existed
 * (spec 1.4: objects are not rewritten on upgrade). Only defaults that hold whatever the rest of the
 * object says; by kind, as `group/Kind`.
 */
const table: Readonly<Record<string, readonly (readonly [path: string, value: unknown])[]>> = {
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

export interface ReadDefaults {
  /** True when nothing is to be changed: the usual case, and cheap to see. */
  complete(bytes: Uint8Array, start: number, end: number): boolean;
  /** Sets what is missing in a parsed object, and leaves out what is never shown. */
  apply(object: unknown): void;
}

export function readDefaultsOf(kind: Kind): ReadDefaults | undefined {
  if (kind.group === 'autoscaling' && kind.storedAs === undefined) return autoscalerDefaults(kind.message);
  const rows = table[`${kind.group}/${kind.kind}`];
  if (rows === undefined) return undefined;
  const paths: Path[] = rows.map(([path]) => compilePath(kind.message, path));
  return {
    complete: (bytes, start, end) => paths.every((path) => hasPath(bytes, start, end, path)),
    apply(object) {
      for (const [path, value] of rows) {
        const steps = path.split('.');
        let at = object as Record<string, unknown>;
        for (const step of steps.slice(0, -1)) at = (at[step] ??= {}) as Record<string, unknown>;
        at[steps[steps.length - 1]!] ??= structuredClone(value);
      }
    },
  };
}
