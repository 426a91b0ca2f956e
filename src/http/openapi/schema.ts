/** A JSON Schema in one of the two forms that OpenAPI has for it. */
export type Schema = Readonly<Record<string, unknown>>;

/** 2: `/openapi/v2`, one document for all. 3: `/openapi/v3`, a document for each group version. */
export type Dialect = 2 | 3;

export function refTo(name: string, dialect: Dialect): Schema {
  return { $ref: `${dialect === 2 ? '#/definitions/' : '#/components/schemas/'}${name}` };
}

/** What stands beside a `$ref` is ignored by readers of OpenAPI 3, so there the reference goes into an `allOf`. */
export function refBeside(ref: Schema, members: Schema, dialect: Dialect): Schema {
  if (dialect === 2) return { ...ref, ...members };
  return Object.keys(members).length === 0 ? ref : { allOf: [ref], ...members };
}

/** What every object says of itself; the texts are ours. */
export const DESCRIPTIONS = {
  apiVersion: 'Group and version of this form of the object, such as apps/v1.',
  kind: 'Type of the object, in CamelCase.',
  metadata: 'Name, labels and bookkeeping of the object.',
  listMetadata: 'Bookkeeping of the list.',
  spec: 'What is wanted.',
  status: 'What was last observed.',
} as const;

export const OBJECT_META = 'k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta';
export const LIST_META = 'k8s.io.apimachinery.pkg.apis.meta.v1.ListMeta';

export interface Gvk {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export const GVK_EXTENSION = 'x-kubernetes-group-version-kind';

/** `io.k8s.api.core.v1.Pod` for `k8s.io.api.core.v1.Pod`: the name by which generators know the type. */
export function modelName(messageName: string): string {
  return messageName.replace(/^k8s\.io\./, 'io.k8s.').replaceAll('_', '-');
}
