import { isObject } from '../../lib/is-object.js';

/** Of apidiscovery.k8s.io/v2: a group with its versions, and what they have. */
export interface GroupDiscovery {
  /** '': the core group. */
  readonly name: string;
  readonly versions: readonly VersionDiscovery[];
}

export interface VersionDiscovery {
  readonly version: string;
  readonly resources: readonly ResourceDiscovery[];
  /** Stale: the server behind an APIService does not answer. */
  readonly freshness: string;
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface SubresourceDiscovery {
  readonly subresource: string;
  readonly responseKind: GroupVersionKind | undefined;
  readonly verbs: readonly string[];
}

export interface ResourceDiscovery {
  readonly resource: string;
  readonly responseKind: GroupVersionKind | undefined;
  readonly scope: string;
  readonly singularResource: string;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly SubresourceDiscovery[];
}

/** Reads an APIGroupDiscoveryList. Throws Error for anything else. */
export function readGroups(json: unknown): GroupDiscovery[] {
  if (!isObject(json) || json['kind'] !== 'APIGroupDiscoveryList') throw new Error('not an APIGroupDiscoveryList');
  return listOf(json, 'items').map((item) => ({
    name: isObject(item['metadata']) ? textOf(item['metadata'], 'name') : '',
    versions: listOf(item, 'versions').map((version) => ({
      version: textOf(version, 'version'),
      freshness: textOf(version, 'freshness'),
      resources: listOf(version, 'resources').map(readResource),
    })),
  }));
}

function readResource(json: Json): ResourceDiscovery {
  return {
    resource: textOf(json, 'resource'),
    responseKind: readKind(json['responseKind']),
    scope: textOf(json, 'scope'),
    singularResource: textOf(json, 'singularResource'),
    verbs: textsOf(json, 'verbs'),
    shortNames: textsOf(json, 'shortNames'),
    categories: textsOf(json, 'categories'),
    subresources: listOf(json, 'subresources').map((subresource) => ({
      subresource: textOf(subresource, 'subresource'),
      responseKind: readKind(subresource['responseKind']),
      verbs: textsOf(subresource, 'verbs'),
    })),
  };
}

function readKind(json: unknown): GroupVersionKind | undefined {
  if (!isObject(json)) return undefined;
  return { group: textOf(json, 'group'), version: textOf(json, 'version'), kind: textOf(json, 'kind') };
}

/**
 * What both have together. The order, and what is said of a resource, are the first one's; the second adds what the first
 * lacks: groups, versions, resources, verbs, subresources.
 */
export function unionOfGroups(first: readonly GroupDiscovery[], second: readonly GroupDiscovery[]): GroupDiscovery[] {
  return union(first, second, 'name', (one, other) => ({
    ...one,
    versions: union(one.versions, other.versions, 'version', (a, b) => ({
      ...a,
      resources: union(a.resources, b.resources, 'resource', unionOfResources).sort(byResource),
      // What is read here needs no other server.
      freshness: b.resources.length > 0 ? b.freshness : a.freshness,
    })),
  }));
}

function unionOfResources(one: ResourceDiscovery, other: ResourceDiscovery): ResourceDiscovery {
  return {
    ...one,
    verbs: [...new Set([...one.verbs, ...other.verbs])],
    subresources: union(one.subresources, other.subresources, 'subresource', (a, b) => ({
      ...a,
      verbs: [...new Set([...a.verbs, ...b.verbs])],
    })),
  };
}

function union<K extends string, T extends { readonly [key in K]: string }>(
  first: readonly T[],
  second: readonly T[],
  key: K,
  both: (one: T, other: T) => T,
): T[] {
  const others = new Map(second.map((other) => [other[key], other]));
  const merged = first.map((one) => {
    const other = others.get(one[key]);
    others.delete(one[key]);
    return other === undefined ? one : both(one, other);
  });
  return [...merged, ...others.values()];
}

function byResource(a: ResourceDiscovery, b: ResourceDiscovery): number {
  return a.resource < b.resource ? -1 : a.resource > b.resource ? 1 : 0;
}

/** As it is written, member by member in the order of the wire. */
export function groupsToJson(groups: readonly GroupDiscovery[]): readonly Json[] {
  return groups.map(({ name, versions }) => ({
    metadata: name === '' ? {} : { name },
    versions: versions.map(({ version, resources, freshness }) => ({
      version,
      ...(resources.length === 0 ? {} : { resources: resources.map(resourceToJson) }),
      ...(freshness === '' ? {} : { freshness }),
    })),
  }));
}

function resourceToJson(resource: ResourceDiscovery): Json {
  const { responseKind, scope, singularResource, verbs, shortNames, categories, subresources } = resource;
  return {
    resource: resource.resource,
    ...(responseKind === undefined ? {} : { responseKind }),
    scope,
    singularResource,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(subresources.length === 0
      ? {}
      : {
          subresources: subresources.map(({ subresource, responseKind: kind, verbs: can }) => ({
            subresource,
            ...(kind === undefined ? {} : { responseKind: kind }),
            verbs: can,
          })),
        }),
  };
}

type Json = Readonly<Record<string, unknown>>;

function textOf(json: Json, name: string): string {
  const value = json[name];
  return typeof value === 'string' ? value : '';
}

function textsOf(json: Json, name: string): string[] {
  const value = json[name];
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}

function listOf(json: Json, name: string): Json[] {
  const value = json[name];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
