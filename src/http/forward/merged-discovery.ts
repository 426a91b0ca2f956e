import { apiVersionOf } from '../../api/gvr.js';
import { aggregatedDocument, type AggregatedDocument, type Discovery, metaType } from '../discovery.js';
import {
  type GroupDiscovery,
  groupsToJson,
  readGroups,
  type ResourceDiscovery,
  unionOfGroups,
} from './group-discovery.js';

/** What the target says it has. */
export interface TargetGroups {
  readonly core: readonly GroupDiscovery[];
  readonly others: readonly GroupDiscovery[];
}

/**
 * What listwatch and the target can do together: the verbs that change something, subresources and groups are the target's. Only
 * documents of groups that are served here are made; those of others are asked of the target.
 */
export function mergeDiscovery(own: Discovery, target: TargetGroups): Discovery {
  const merge = (isCore: boolean) =>
    unionOfGroups(isCore ? target.core : target.others, readGroups(own.aggregated(isCore).json));
  const [core, others] = [merge(true), merge(false)];
  const made = new Map<boolean, AggregatedDocument>();
  const aggregated = (isCore: boolean) => {
    let document = made.get(isCore);
    if (document === undefined) {
      document = aggregatedDocument(groupsToJson(isCore ? core : others));
      made.set(isCore, document);
    }
    return document;
  };
  const groupJson = ({ name, versions }: GroupDiscovery) => {
    const entries = versions.map(({ version }) => ({ groupVersion: apiVersionOf(name, version), version }));
    return { name, versions: entries, preferredVersion: entries[0] };
  };
  return {
    apiVersions: own.apiVersions,
    groupList: {
      json: { kind: 'APIGroupList', apiVersion: 'v1', groups: others.map(groupJson) },
      ...metaType('APIGroupList'),
    },
    group(name) {
      const group = own.group(name) === undefined ? undefined : others.find((one) => one.name === name);
      if (group === undefined) return undefined;
      return { json: { kind: 'APIGroup', apiVersion: 'v1', ...groupJson(group) }, ...metaType('APIGroup') };
    },
    resources(group, version) {
      const ours = own.resources(group, version);
      const merged = (group === '' ? core : others)
        .find(({ name }) => name === group)
        ?.versions.find((one) => one.version === version);
      if (ours === undefined || merged === undefined) return ours;
      const known = new Map((ours.json['resources'] as readonly ApiResource[]).map((one) => [one.name, one]));
      const resources = merged.resources.flatMap((resource) => apiResourcesOf(resource, known));
      return { ...ours, json: { ...ours.json, resources } };
    },
    aggregated,
    paths: own.paths,
  };
}

/** metav1.APIResource */
interface ApiResource {
  readonly name: string;
  readonly [member: string]: unknown;
}

/** A resource and its subresources in the classic form; `known`: what listwatch says of them. */
function apiResourcesOf(resource: ResourceDiscovery, known: ReadonlyMap<string, ApiResource>): ApiResource[] {
  const namespaced = resource.scope === 'Namespaced';
  const { responseKind, singularResource, verbs, shortNames, categories, subresources } = resource;
  const own: ApiResource = known.get(resource.resource) ?? {
    name: resource.resource,
    singularName: singularResource,
    namespaced,
    ...kindMembers(responseKind),
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
  };
  return [
    { ...own, verbs },
    ...subresources.map((one) => {
      const name = `${resource.resource}/${one.subresource}`;
      const made = { name, singularName: '', namespaced, ...kindMembers(one.responseKind), verbs: one.verbs };
      return { ...(known.get(name) ?? made), verbs: one.verbs };
    }),
  ];
}

function kindMembers(kind: ResourceDiscovery['responseKind']): Readonly<Record<string, string>> {
  if (kind === undefined) return { kind: '' };
  const { group, version } = kind;
  return { ...(group === '' ? {} : { group }), ...(version === '' ? {} : { version }), kind: kind.kind };
}
