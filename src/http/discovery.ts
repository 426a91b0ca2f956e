import { createHash } from 'node:crypto';
import { apiVersionOf } from '../api/gvr.js';
import { compareVersions } from '../api/versions.js';
import type { KindSet } from '../codec/kind-set.js';
import type { Kind } from '../codec/kind.js';
import type { PostedResource } from './posted.js';

/**
 * Discovery, computed from the kinds that are served and the reviews that are answered, anew when these change (spec 7.1 and 7.2). Only the verbs that
 * are really served are advertised, so that clients do not try to write.
 */
export interface Discovery {
  /** `/api`. */
  apiVersions(serverAddress: string): DiscoveryDocument;
  /** `/apis`. */
  readonly groupList: DiscoveryDocument;
  /** `/apis/<group>`. */
  group(name: string): DiscoveryDocument | undefined;
  /** `/api/v1` and `/apis/<group>/<version>`. */
  resources(group: string, version: string): DiscoveryDocument | undefined;
  /** The aggregated form of `/api` (the core group alone) and of `/apis` (all the others). */
  aggregated(core: boolean): AggregatedDocument;
  /** Every path that `/` lists. */
  readonly paths: readonly string[];
}

export interface DiscoveryDocument {
  /** In the order of the wire. */
  readonly json: Readonly<Record<string, unknown>>;
  /** Of the protobuf envelope: some JSON forms leave the apiVersion out for old clients. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly messageName: string;
}

export interface AggregatedDocument extends DiscoveryDocument {
  /** Quoted; over the JSON form, the same for every encoding. */
  readonly etag: string;
}

const VERBS = ['get', 'list', 'watch'];
const META = 'k8s.io.apimachinery.pkg.apis.meta.v1';

/** A resource as both forms of the documents show it. */
interface Resource
  extends Pick<Kind, 'resource' | 'singular' | 'namespaced' | 'kind' | 'shortNames' | 'categories' | 'subresources'> {
  readonly verbs: readonly string[];
  /** '' for what is built in: of the document. */
  readonly group: string;
  readonly version: string;
  readonly hash?: string;
}

/** The versions of a group, each with its resources. */
type Versions = ReadonlyMap<string, readonly Resource[]>;

/** Groups of reviews come after these, and before all others. */
const FIRST_GROUPS: ReadonlySet<string> = new Set(['', 'apiregistration.k8s.io', 'apps', 'events.k8s.io']);

/** `kinds` in discovery order: group priority, preferred versions first (codec/kinds.ts). */
export function createDiscovery(kinds: readonly Kind[], posted: readonly PostedResource[] = []): Discovery {
  const found = new Map<string, Map<string, Resource[]>>();
  const add = (group: string, version: string, resource: Resource) => {
    const versions = getOrMake(found, group, () => new Map<string, Resource[]>());
    getOrMake(versions, version, () => []).push(resource);
  };
  const isFirst = ({ group }: Kind) => FIRST_GROUPS.has(group);
  for (const kind of kinds.filter(isFirst)) add(kind.group, kind.version, resourceOfKind(kind));
  for (const one of [...posted].sort(byGroup)) add(one.group, one.version, resourceOfPosted(one));
  for (const kind of kinds.filter((one) => !isFirst(one))) add(kind.group, kind.version, resourceOfKind(kind));
  const groups = new Map<string, Versions>();
  for (const [name, versions] of found) groups.set(name, new Map([...versions].sort(byVersion)));
  const named = [...groups].filter(([name]) => name !== '');

  const groupDocuments = new Map(named.map(([name, versions]) => [name, groupOf(name, [...versions.keys()])]));
  const resourceLists = new Map<string, DiscoveryDocument>();
  for (const [group, versions] of groups) {
    for (const [version, list] of versions) {
      const groupVersion = apiVersionOf(group, version);
      const resources = [...list].sort(byResource).flatMap(resourcesOf);
      resourceLists.set(groupVersion, {
        json: {
          kind: 'APIResourceList',
          ...(group === '' ? {} : { apiVersion: 'v1' }),
          groupVersion,
          resources,
        },
        ...metaType('APIResourceList'),
      });
    }
  }
  const core = aggregate([...groups].filter(([name]) => name === ''));
  const others = aggregate(named);

  return {
    apiVersions: (serverAddress) => ({
      json: {
        kind: 'APIVersions',
        versions: [...(groups.get('')?.keys() ?? [])],
        serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
      },
      ...metaType('APIVersions'),
    }),
    groupList: {
      json: {
        kind: 'APIGroupList',
        apiVersion: 'v1',
        groups: classicOrder(named).map(([name]) => groupDocuments.get(name)),
      },
      ...metaType('APIGroupList'),
    },
    group(name) {
      const json = groupDocuments.get(name);
      return json === undefined
        ? undefined
        : { json: { kind: 'APIGroup', apiVersion: 'v1', ...json }, ...metaType('APIGroup') };
    },
    resources: (group, version) => resourceLists.get(apiVersionOf(group, version)),
    aggregated: (isCore) => (isCore ? core : others),
    paths: [
      '/api',
      ...[...(groups.get('')?.keys() ?? [])].map((version) => `/api/${version}`),
      '/apis',
      ...named.flatMap(([name, versions]) => [
        `/apis/${name}`,
        ...[...versions.keys()].map((version) => `/apis/${name}/${version}`),
      ]),
    ],
  };
}

/** The documents of the kinds as they are: made anew when they have changed and somebody asks. */
export function liveDiscovery(kinds: KindSet, posted: readonly PostedResource[]): () => Discovery {
  let made = createDiscovery(kinds.all, posted);
  let generation = kinds.generation;
  return () => {
    if (generation !== kinds.generation) {
      made = createDiscovery(kinds.all, posted);
      generation = kinds.generation;
    }
    return made;
  };
}

/** Standard base64 of the first 8 bytes of SHA-256 over `<group>/<version>/<kind>` of the storage version. */
export function storageVersionHash(kind: Kind): string {
  const { group, version } = kind.storedAs ?? { group: kind.group, version: kind.storageVersion ?? kind.version };
  const text = `${group}/${version}/${kind.kind}`;
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64');
}

/**
 * The list of groups has those of CRDs in the order of the first names of their APIServices, `<version>.<group>`: so upstream's
 * aggregator sorts what has the same priority.
 */
function classicOrder(groups: readonly (readonly [string, Versions])[]): typeof groups {
  const isCustom = ([, versions]: (typeof groups)[number]) =>
    [...versions.values()].every((resources) => resources.every(({ group }) => group !== ''));
  const names = new Map(groups.map(([group, versions]) => [group, `${[...versions.keys()].sort()[0]!}.${group}`]));
  const custom = groups.filter(isCustom).sort(([a], [b]) => (names.get(a)! < names.get(b)! ? -1 : 1));
  return [...groups.filter((one) => !isCustom(one)), ...custom];
}

function groupOf(name: string, versions: readonly string[]) {
  const entries = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: entries, preferredVersion: entries[0] };
}

function resourceOfKind(kind: Kind): Resource {
  const { resource, singular, namespaced, shortNames, categories } = kind;
  const { group, version } = kind.custom === undefined ? { group: '', version: '' } : kind;
  return {
    ...{ resource, singular, namespaced, shortNames, categories, group, version, kind: kind.kind },
    verbs: VERBS,
    // Those of custom resources come in an order of their own.
    subresources: kind.custom === undefined ? servedSubresources(kind) : [...servedSubresources(kind)].sort().reverse(),
    ...(kind.custom?.storageServed === false ? {} : { hash: storageVersionHash(kind) }),
  };
}

function resourceOfPosted({ resource, singular, namespaced, kind }: PostedResource): Resource {
  const none: readonly string[] = [];
  return {
    ...{ resource, singular, namespaced, kind, group: '', version: '' },
    verbs: ['create'],
    ...{ shortNames: none, categories: none, subresources: none },
  };
}

function resourcesOf(one: Resource): Record<string, unknown>[] {
  const { resource, singular, namespaced, kind, verbs, shortNames, categories, subresources, hash } = one;
  return [
    {
      name: resource,
      singularName: singular,
      namespaced,
      kind,
      verbs,
      ...(shortNames.length === 0 ? {} : { shortNames }),
      ...(categories.length === 0 ? {} : { categories }),
      ...(hash === undefined ? {} : { storageVersionHash: hash }),
    },
    ...subresources.map((subresource) => ({
      name: `${resource}/${subresource}`,
      singularName: '',
      namespaced,
      ...(subresource === 'scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : { kind }),
      verbs: ['get'],
    })),
  ];
}

/** Those that are answered; the others would only raise hopes. */
export function servedSubresources(kind: Kind): readonly string[] {
  return kind.subresources;
}

function aggregate(groups: readonly (readonly [string, Versions])[]): AggregatedDocument {
  const items = groups.map(([name, versions]) => ({
    metadata: name === '' ? {} : { name },
    versions: [...versions].map(([version, resources]) => ({
      version,
      resources: [...resources].sort(byResource).map(aggregatedResource),
      freshness: 'Current',
    })),
  }));
  return aggregatedDocument(items);
}

/** apidiscovery.k8s.io/v2 */
export function aggregatedDocument(items: readonly unknown[]): AggregatedDocument {
  const json = {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items,
  };
  return {
    json,
    apiVersion: 'apidiscovery.k8s.io/v2',
    kind: 'APIGroupDiscoveryList',
    messageName: 'k8s.io.api.apidiscovery.v2.APIGroupDiscoveryList',
    etag: `"${createHash('sha512').update(JSON.stringify(json)).digest('hex').toUpperCase()}"`,
  };
}

function aggregatedResource(one: Resource): Record<string, unknown> {
  const { group, version, kind, verbs, shortNames, categories } = one;
  const own = { group, version, kind };
  const subresources = one.subresources.map((subresource) => ({
    subresource,
    responseKind: subresource === 'scale' ? { group: 'autoscaling', version: 'v1', kind: 'Scale' } : own,
    verbs: ['get'],
  }));
  return {
    resource: one.resource,
    responseKind: own,
    scope: one.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: one.singular,
    verbs,
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}

export function metaType(kind: string) {
  return { apiVersion: 'v1', kind, messageName: `${META}.${kind}` };
}

function byGroup(a: PostedResource, b: PostedResource): number {
  return a.group < b.group ? -1 : a.group > b.group ? 1 : 0;
}

function byResource(a: Resource, b: Resource): number {
  return a.resource < b.resource ? -1 : a.resource > b.resource ? 1 : 0;
}

function byVersion(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return compareVersions(a[0], b[0]);
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
