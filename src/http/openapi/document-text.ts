import { apiVersionOf } from '../../api/gvr.js';
import type { Kind } from '../../codec/kind.js';
import { type MessageFacts, readOpenApiFacts } from '../../codec/openapi-facts.js';
import { schemaKinds } from '../../codec/schema.js';
import type { PostedResource } from '../posted.js';
import { goJson } from '../encode/go-json.js';
import { builtInDefinition } from './built-in.js';
import { customDefinition, customListDefinition, customModelName } from './custom.js';
import { type DiscoveryPath, discoveryItem, pathsOf, postedPath, rootOf } from './operations.js';
import { type Dialect, type Gvk, LIST_META, modelName, OBJECT_META, refTo, type Schema } from './schema.js';

const META = 'k8s.io.apimachinery.pkg.apis.meta.v1';
const WATCH_EVENT = `${META}.WatchEvent`;
const SCALE = 'k8s.io.api.autoscaling.v1.Scale';

/** How requests say who they are; certificates of clients are no matter of documents. */
const SECURITY = {
  BearerToken: { type: 'apiKey', description: 'A bearer token.', name: 'authorization', in: 'header' },
};

/** What all documents are made from, read once for as many as are made together. */
export interface DocumentSource {
  readonly facts: ReadonlyMap<string, MessageFacts>;
  readonly gvks: ReadonlyMap<string, readonly Gvk[]>;
}

export function readDocumentSource(): DocumentSource {
  const gvks = new Map<string, Gvk[]>();
  for (const [name, message] of schemaKinds()) {
    const parts = name.split('/');
    const kind = parts.pop()!;
    const version = parts.pop()!;
    const group = parts.pop() ?? '';
    const known = gvks.get(message);
    if (known === undefined) gvks.set(message, [{ group, version, kind }]);
    else known.push({ group, version, kind });
  }
  for (const list of gvks.values())
    list.sort((a, b) => (apiVersionOf(a.group, a.version) < apiVersionOf(b.group, b.version) ? -1 : 1));
  return { facts: readOpenApiFacts(), gvks };
}

/** What one document is about. */
export interface DocumentTopic {
  readonly kinds: readonly Kind[];
  readonly posted: readonly PostedResource[];
  /** Documents of discovery that it describes: `/api/`, `/apis/apps/`, `/apis/apps/v1/`. */
  readonly discovery: readonly string[];
}

/**
 * The JSON text of a document, piece by piece: one definition or path after the other, so that the caller can let
 * others run in between. Paths and definitions are in the order of their names, as Go writes maps.
 */
export function* documentText(
  topic: DocumentTopic,
  source: DocumentSource,
  dialect: Dialect,
  serverVersion: string,
): Generator<string> {
  const definitions = new Definitions(source, dialect, watchEventsOf(topic, source, dialect));
  const paths = new Map<string, Schema>();
  for (const path of topic.discovery) {
    const described = discoveryOf(path);
    const answer = definitions.refTo(`${META}.${described.message}`);
    paths.set(path, discoveryItem(described, answer, dialect));
  }
  for (const kind of topic.kinds) {
    for (const [path, item] of pathsOf(kind, definitions.answersOf(kind))) paths.set(path, item);
    yield '';
  }
  for (const one of topic.posted) {
    const [path, item] = postedPath(one, definitions.refTo(one.message), dialect);
    paths.set(path, item);
  }
  yield* definitions.make();
  const info = goJson({ title: 'Kubernetes', version: serverVersion });
  yield dialect === 2 ? `{"swagger":"2.0","info":${info},"paths":{` : `{"openapi":"3.0.0","info":${info},"paths":{`;
  yield* members(paths);
  yield dialect === 2 ? '},"definitions":{' : '},"components":{"schemas":{';
  yield* members(definitions.made);
  const schemes = goJson(SECURITY);
  yield dialect === 2
    ? `},"securityDefinitions":${schemes},"security":[{"BearerToken":[]}]}`
    : `},"securitySchemes":${schemes}}}`;
}

/** What `/api/`, `/api/v1/`, `/apis/`, `/apis/apps/` or `/apis/apps/v1/` answers with. */
function discoveryOf(path: string): DiscoveryPath {
  const [root, ...rest] = path.split('/').filter((part) => part !== '');
  const [group, version] = root === 'api' ? ['', rest[0]] : rest;
  if (group === undefined) return { tag: 'apis', what: 'APIVersions', message: 'APIGroupList' };
  if (version !== undefined) return { group, version, what: 'APIResources', message: 'APIResourceList' };
  return group === ''
    ? { group, what: 'APIVersions', message: 'APIVersions' }
    : { group, what: 'APIGroup', message: 'APIGroup' };
}

/** Groups of types that nobody watches: upstream has not registered the type of events in them. */
const UNWATCHED: ReadonlySet<string> = new Set(['apidiscovery.k8s.io', 'meta.k8s.io']);

/** Upstream registers the type in every group version: version 2 names all, a document of version 3 the core's and its own. */
function watchEventsOf({ kinds }: DocumentTopic, { gvks }: DocumentSource, dialect: Dialect): readonly Gvk[] {
  const all = () => [...gvks.values()].flat().filter(({ group }) => !UNWATCHED.has(group));
  const of = dialect === 2 ? all() : kinds.filter(({ custom }) => custom === undefined);
  const named = of.map(({ group, version }): [string, Gvk] => [
    apiVersionOf(group, version),
    { group, version, kind: 'WatchEvent' },
  ]);
  const core: [string, Gvk] = ['v1', { group: '', version: 'v1', kind: 'WatchEvent' }];
  return [...new Map([core, ...named]).values()].sort(byGroupVersion);
}

function byGroupVersion(a: Gvk, b: Gvk): number {
  const [one, other] = [`${a.group}/${a.version}`, `${b.group}/${b.version}`];
  return one < other ? -1 : one > other ? 1 : 0;
}

function* members(of: ReadonlyMap<string, Schema>): Generator<string> {
  let separator = '';
  for (const name of [...of.keys()].sort()) {
    yield `${separator}${goJson(name)}:${goJson(of.get(name))}`;
    separator = ',';
  }
}

/** Those of one document: what is referred to is defined, and what is defined is referred to. */
class Definitions {
  readonly made = new Map<string, Schema>();
  readonly #source: DocumentSource;
  readonly #dialect: Dialect;
  readonly #watchEvents: readonly Gvk[];
  readonly #wanted = new Set<string>();

  constructor(source: DocumentSource, dialect: Dialect, watchEvents: readonly Gvk[]) {
    this.#source = source;
    this.#dialect = dialect;
    this.#watchEvents = watchEvents;
  }

  refTo(messageName: string): Schema {
    this.#wanted.add(messageName);
    return refTo(modelName(messageName), this.#dialect);
  }

  answersOf(kind: Kind) {
    const dialect = this.#dialect;
    const scale = kind.subresources.includes('scale') ? this.refTo(SCALE) : {};
    if (kind.custom === undefined) {
      const watchEvent = this.refTo(WATCH_EVENT);
      return { dialect, scale, watchEvent, object: this.refTo(kind.message), list: this.refTo(kind.listMessage) };
    }
    const context = { dialect, objectMeta: this.refTo(OBJECT_META), listMeta: this.refTo(LIST_META) };
    const object = customModelName(kind, kind.kind);
    const list = customModelName(kind, kind.listKind);
    this.made.set(object, customDefinition(kind, context));
    this.made.set(list, customListDefinition(kind, context));
    return { dialect, scale, watchEvent: {}, object: refTo(object, dialect), list: refTo(list, dialect) };
  }

  /** Yields nothing but turns, for each definition one. */
  *make(): Generator<string> {
    const { facts, gvks } = this.#source;
    const context = {
      dialect: this.#dialect,
      facts,
      gvksOf: (messageName: string) =>
        messageName === WATCH_EVENT ? this.#watchEvents : (gvks.get(messageName) ?? []),
      refTo: (messageName: string) => this.refTo(messageName),
    };
    // A set is walked in the order of insertion, what is added on the way included.
    for (const messageName of this.#wanted) {
      this.made.set(modelName(messageName), builtInDefinition(messageName, context));
      yield '';
    }
  }
}

/**
 * The topics of version 3 by key: `api/v1`, `apis/apps`, `apis/apps/v1`. Documents of discovery are not described for groups that
 * CustomResourceDefinitions make, as upstream.
 */
export function topicsOf(
  kinds: readonly Kind[],
  posted: readonly PostedResource[],
): ReadonlyMap<string, DocumentTopic> {
  const topics = new Map<string, { kinds: Kind[]; posted: PostedResource[]; discovery: string[] }>();
  const topic = (path: string) => {
    const key = path.slice(1);
    let known = topics.get(key);
    if (known === undefined) topics.set(key, (known = { kinds: [], posted: [], discovery: [] }));
    return known;
  };
  const described = (path: string) => {
    const known = topic(path);
    if (known.discovery.length === 0) known.discovery.push(`${path}/`);
  };
  described('/api');
  described('/apis');
  for (const kind of kinds) {
    const root = rootOf(kind.group, kind.version);
    topic(root).kinds.push(kind);
    if (kind.custom !== undefined) continue;
    described(root);
    if (kind.group !== '') described(`/apis/${kind.group}`);
  }
  for (const one of posted) {
    const root = rootOf(one.group, one.version);
    topic(root).posted.push(one);
    described(root);
    described(`/apis/${one.group}`);
  }
  return topics;
}

/** The one topic of version 2. */
export function wholeTopic(kinds: readonly Kind[], posted: readonly PostedResource[]): DocumentTopic {
  const discovery = [...topicsOf(kinds, posted).values()].flatMap((topic) => topic.discovery);
  return { kinds, posted, discovery };
}
