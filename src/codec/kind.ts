import { groupResourceOf } from '../api/gvr.js';

/**
 * What the API knows about one kind. Rows of built-in kinds live in kinds.ts, kept by hand because nothing in
 * the Go types says them; those of custom resources are made from their CRD (custom-kind.ts).
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
  /**
   * Objects are stored as another type, of the same kind's name, which is a kind of its own. They are converted when they
   * come in (conversions.ts), and flags about storage name that one.
   */
  readonly storedAs?: { readonly group: string; readonly version: string };
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
  /** Present when a CRD defines the kind. */
  readonly custom?: CustomKind;
}

/** What a CRD says about one of its versions. Plain data: it is sent to workers, and compared. */
export interface CustomKind {
  /** Name of the CRD, e.g. `foos.ex.io`. */
  readonly definition: string;
  /** `openAPIV3Schema` by version, of all versions: objects may be stored in any. */
  readonly schemas: Readonly<Record<string, unknown>>;
  /** How objects of other versions become this one. */
  readonly converts: 'none' | 'webhook';
  readonly preservesUnknownFields: boolean;
  /** Discovery states the storageVersionHash only then. */
  readonly storageServed: boolean;
  /** `additionalPrinterColumns` of this version. */
  readonly columns: readonly CustomColumn[];
  /** Paths such as `.spec.replicas`; '' when the CRD has none. */
  readonly scale?: { readonly specReplicas: string; readonly statusReplicas: string; readonly labelSelector: string };
}

export interface CustomColumn {
  readonly name: string;
  readonly type: string;
  readonly format: string;
  readonly description: string;
  readonly priority: number;
  /** JSONPath without braces, e.g. `.status.conditions[?(@.type=="Ready")].status`. */
  readonly path: string;
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
  /** Of custom resources: the field of the wire form that is the text (custom-resource.ts). */
  readonly tag?: number;
}

/** `events`, `deployments.apps`: how flags name what is stored and cached, also for a kind that is stored as another. */
export function storageResourceOf({ group, resource, storedAs }: Kind): string {
  return groupResourceOf(storedAs?.group ?? group, resource);
}

/** A version of a resource that another version is stored for: what is shown of objects, but not they, is that version's. */
export function isConvertedVersion({ group, storedAs }: Kind): boolean {
  return storedAs?.group === group;
}

/** Whose bytes do not outlive the object in our memory. */
export function isSecret({ group, resource }: Kind): boolean {
  return group === '' && resource === 'secrets';
}
