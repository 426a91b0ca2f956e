import { groupResourceOf } from '../api/gvr.js';
import { CodecError } from '../codec/codec.js';
import type { Kind, SelectableField } from '../codec/kind.js';
import { customField } from '../codec/custom-kind.js';
import { compileField } from '../codec/scan.js';
import { bad, isCustomResource, readKinds, readList, type ValueReader } from './values.js';

/** Resource (`pods`, `deployments.apps`) -> paths of further fields that selectors may name, and that are indexed. */
export type DeclaredFields = ReadonlyMap<string, readonly string[]>;

/** `pods=spec.priorityClassName,deployments.apps=spec.paused`: each path is checked against the types. */
export const readDeclaredFields: ValueReader<DeclaredFields> = (flag, text) => {
  const fields = new Map<string, string[]>();
  const add = (resource: string, path: string) =>
    fields.set(resource, [...new Set([...(fields.get(resource) ?? []), path])]);
  for (const item of readList(flag, text)) {
    const match = /^([^=]+)=([A-Za-z0-9.[\]_-]+)$/.exec(item);
    if (match === null) throw bad(flag, item, 'expected resource[.group]=path, such as pods=spec.priorityClassName');
    const path = match[2]!;
    if (isCustomResource(match[1]!)) {
      if (!/^[\w-]+(\.[\w-]+)*$/.test(path)) throw bad(flag, item, 'expected names joined by dots, such as spec.color');
      add(match[1]!, path);
      continue;
    }
    const versions = readKinds(flag, match[1]!);
    const [{ group, resource, kind, version }] = versions as [Kind];
    // Not every version of a resource has every field.
    if (!versions.some((one) => hasField(one, path))) {
      throw bad(flag, item, `${kind} ${version} has no text, bool or integer there`);
    }
    add(groupResourceOf(group, resource), path);
  }
  return fields;
};

/** The kind with its declared fields, as selectable as its own: kube-apiserver would refuse them. */
export function withDeclaredFields(kind: Kind, fields: DeclaredFields): Kind {
  const known = new Set(['metadata.name', ...kind.selectableFields.map(({ label }) => label)]);
  const paths = declaredOf(kind, fields).filter((path) => !known.has(path));
  if (paths.length === 0) return kind;
  const { custom, selectableFields } = kind;
  const more = paths.map((path, index) =>
    custom === undefined ? declared(path) : customField(path, selectableFields.length + index),
  );
  return { ...kind, selectableFields: [...selectableFields, ...more] };
}

export function declaredOf(kind: Kind, fields: DeclaredFields): readonly string[] {
  const paths = fields.get(groupResourceOf(kind.group, kind.resource)) ?? [];
  return kind.custom === undefined ? paths.filter((path) => hasField(kind, path)) : paths;
}

function hasField(kind: Kind, path: string): boolean {
  try {
    compileField(kind.message, declared(path));
    return true;
  } catch (error) {
    if (error instanceof CodecError) return false;
    throw error;
  }
}

function declared(path: string): SelectableField {
  return { label: path, path, absent: '' };
}
