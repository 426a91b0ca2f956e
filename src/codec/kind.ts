/**
 * What the API knows about one built-in kind. Rows live in kinds.ts (the registry), kept by hand
 * because nothing in the Go types says them.
 */
export interface Kind {
  /** '' for the core group. */
  readonly group: string;
  /** The served version that the stored message is written as, e.g. `v1`. */
  readonly version: string;
  /**
   * The version in the apiVersion of values that a 1.36 server writes, when it is not `version`
   * (downgrade safety, spec 1.2). Discovery hashes this one for storageVersionHash.
   */
  readonly storageVersion?: string;
  /** True when a kube-apiserver serves it without --runtime-config. */
  readonly servedByDefault: boolean;
  /** Lower-case plural, the URL segment. */
  readonly resource: string;
  readonly kind: string;
  readonly listKind: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Directory below the etcd prefix, without slashes at the ends, e.g. `minions`, `services/specs`. */
  readonly directory: string;
  /** Full protobuf message name, e.g. `k8s.io.api.core.v1.Pod`. */
  readonly message: string;
  readonly listMessage: string;
  /** The fields a fieldSelector may name besides metadata.name (and metadata.namespace, see below). */
  readonly selectableFields: readonly SelectableField[];
  /** Whether `metadata.namespace` is an accepted field label (true for default-converted cluster kinds too). */
  readonly namespaceSelectable: boolean;
  /** How the "field label not supported" message reads for this kind (spec 6.2). */
  readonly fieldLabelError: 'custom' | 'default' | 'job' | 'resourceslice';
  /** Subresources that answer GET with the parent object or a Scale. */
  readonly subresources: readonly string[];
  /** False for events: kube-apiserver does not watch-cache them by default. */
  readonly cachedByDefault: boolean;
  /** Text of the Warning header on reads of a deprecated kind. */
  readonly deprecation?: string;
}

export interface SelectableField {
  /** As clients write it, e.g. `spec.nodeName`. */
  readonly label: string;
  /** JSON path in the object whose value is compared, e.g. `spec.nodeName`, `status.podIPs[0].ip`. */
  readonly path: string;
  /** bool and integers compare as their decimal text; absent ones as this default. */
  readonly absent: string;
  /** Another path to read when the first is empty (e.g. Event source). */
  readonly fallbackPath?: string;
}

/** Whose bytes do not outlive the object in our memory. */
export function isSecret({ group, resource }: Kind): boolean {
  return group === '' && resource === 'secrets';
}
