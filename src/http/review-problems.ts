import type { StatusCause } from '../api/status.js';
import { quoteGo } from '../api/go-text.js';
import { isObject, textMember } from '../lib/is-object.js';

type Json = Readonly<Record<string, unknown>>;

export function invalid(field: string, value: string, message: string): StatusCause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${value}: ${message}`, field };
}

export function required(field: string, message: string): StatusCause {
  return { reason: 'FieldValueRequired', message: `Required value: ${message}`, field };
}

export function forbiddenValue(field: string, message: string): StatusCause {
  return { reason: 'FieldValueForbidden', message: `Forbidden: ${message}`, field };
}

/** What is wrong with an access review before its selectors are read. */
export function specProblems(spec: Json, isOfOthers: boolean): StatusCause[] {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  const problems: StatusCause[] = [];
  if (isObject(resource) && isObject(path)) {
    const message = 'cannot be specified in combination with resourceAttributes';
    problems.push(invalid('spec.nonResourceAttributes', pathText(path), message));
  }
  if (!isObject(resource) && !isObject(path)) {
    const message = 'exactly one of nonResourceAttributes or resourceAttributes must be specified';
    problems.push(invalid('spec.resourceAttributes', 'null', message));
  }
  const { groups } = spec;
  if (isOfOthers && textMember(spec, 'user') === '' && !(Array.isArray(groups) && groups.length > 0)) {
    problems.push(invalid('spec.user', '""', 'at least one of user or group must be specified'));
  }
  return problems;
}

/** Reviews have no name, and all else that objects have is of no use to them. */
export function metadataProblems(metadata: Json, isLocal: boolean): StatusCause[] {
  const { managedFields: _unread, namespace: _own, ...others } = metadata;
  if (Object.keys(others).length === 0) return [];
  return [invalid('metadata', JSON.stringify(metadata), `must be empty${isLocal ? ' except for namespace' : ''}`)];
}

/** Those of a review that is asked within a namespace. */
export function localProblems(spec: Json, namespace: string): StatusCause[] {
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec;
  const problems: StatusCause[] = [];
  if (isObject(resource) && textMember(resource, 'namespace') !== namespace) {
    const value = quoteGo(textMember(resource, 'namespace'));
    problems.push(invalid('spec.resourceAttributes.namespace', value, 'must match metadata.namespace'));
  }
  if (isObject(path)) {
    problems.push(invalid('spec.nonResourceAttributes', pathText(path), 'disallowed on this kind of request'));
  }
  return problems;
}

/** With the names that its members have in Go. */
function pathText(path: Json): string {
  return JSON.stringify({ Path: textMember(path, 'path'), Verb: textMember(path, 'verb') });
}
