import { exactFieldValue, type FieldRequirement } from '../api/field-selector.js';
import { isDnsLabel, pathSegmentProblems } from '../api/label-syntax.js';
import type { Kind } from '../codec/kind.js';
import { prefixEnd, utf8 } from '../lib/bytes.js';

/** Keys with from <= key < to. */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** The etcd keys that a request can concern. */
export interface Scope {
  /** Keys with from <= key < to. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** The one key of a single object; undefined: a directory. */
  readonly key: string | undefined;
  readonly width: 'object' | 'namespace' | 'kind';
  /** The parts of the range that can hold what is selected, in order; undefined: any part. */
  readonly within: readonly KeyRange[] | undefined;
  /**
   * What continue tokens are relative to: the directory that the URL names. Ends in a slash. Upstream writes the
   * token of a first page relative to the namespace that a selector names, and reads it relative to the URL's
   * directory: it then repeats or loses items. Ours are what it would read rightly.
   */
  readonly tokenPrefix: string;
}

/** The directory of a kind, as etcd has it: `/registry/pods/`. */
export function directoryOf(etcdPrefix: string, kind: Kind): string {
  return `${etcdPrefix}/${kind.directory}/`;
}

export function keyOf(directory: string, namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === '' ? `${directory}${name}` : `${directory}${namespace}/${name}`;
}

/**
 * The URL names a directory, and a field selector may narrow it to one namespace or to one object,
 * so that neither reads more than it answers (spec 2.8). The filter still decides: a scope is only
 * ever too wide. A page after the first one has its own start instead of a single key.
 */
export function scopeOf(
  kind: Kind,
  directory: string,
  namespace: string | undefined,
  fields: readonly FieldRequirement[],
  continued: boolean,
): Scope {
  const tokenPrefix = kind.namespaced && namespace !== undefined ? `${directory}${namespace}/` : directory;
  let narrowed = kind.namespaced ? namespace : undefined;
  if (kind.namespaced && namespace === undefined) {
    const selected = exactFieldValue(fields, 'metadata.namespace');
    if (selected !== undefined && isDnsLabel(selected)) narrowed = selected;
  }
  const name = continued ? undefined : exactFieldValue(fields, 'metadata.name');
  const known = name !== undefined && name !== '' && pathSegmentProblems(name).length === 0;
  if (known && (!kind.namespaced || narrowed !== undefined)) {
    return { ...singleKeyRange(keyOf(directory, narrowed, name)), width: 'object', within: undefined, tokenPrefix };
  }
  const from = utf8(narrowed === undefined ? directory : `${directory}${narrowed}/`);
  const within = kind.namespaced && narrowed === undefined ? namespacesIn(directory, fields) : undefined;
  const width = narrowed === undefined ? 'kind' : 'namespace';
  return { from, to: prefixEnd(from), key: undefined, width, within, tokenPrefix };
}

/** `metadata.namespace in (a,b)`: only these namespaces are walked. */
function namespacesIn(directory: string, fields: readonly FieldRequirement[]): readonly KeyRange[] | undefined {
  const set = fields.find(({ field, operator }) => field === 'metadata.namespace' && operator === 'in')?.values;
  if (set === undefined) return undefined;
  const prefixes = set.filter(isDnsLabel).map((namespace) => utf8(`${directory}${namespace}/`));
  return prefixes.sort(Buffer.compare).map((from) => ({ from, to: prefixEnd(from) }));
}

/** The range that holds exactly this key. */
export function singleKeyRange(key: string): { from: Uint8Array; to: Uint8Array; key: string } {
  return { from: utf8(key), to: utf8(`${key}\0`), key };
}
