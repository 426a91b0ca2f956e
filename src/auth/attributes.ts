import type { FieldRequirement } from '../api/field-selector.js';
import { quoteGo } from '../api/go-text.js';
import type { Identity } from './identity.js';

/** What somebody wants to do: what authorizers decide about (spec 8.2). Absent texts are ''. */
export type Attributes = ResourceAttributes | PathAttributes;

export interface ResourceAttributes {
  readonly user: Identity;
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** What a collection is selected by; absent: nothing. */
  readonly fields?: readonly FieldRequirement[];
  /** The same by labels, as it was written: few ask for more. */
  readonly labelSelector?: string;
  readonly path?: undefined;
}

/** Discovery, health, metrics: everything that is no resource. */
export interface PathAttributes {
  readonly user: Identity;
  /** The method in lower case. */
  readonly verb: string;
  readonly path: string;
}

/** kube-apiserver's sentence about what is refused; the markup that it defuses is defused. */
export function forbiddenText(attributes: Attributes): string {
  const { user, verb } = attributes;
  const cannot = `User ${quoteGo(user.name)} cannot ${verb}`;
  if (attributes.path !== undefined) return defused(`${cannot} path ${quoteGo(attributes.path)}`);
  const { group, resource, subresource, namespace } = attributes;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${quoteGo(namespace)}`;
  return defused(`${cannot} resource ${quoteGo(what)} in API group ${quoteGo(group)} ${where}`);
}

const MARKUP: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

function defused(text: string): string {
  return text.replace(/[&<>]/g, (character) => MARKUP[character]!);
}
