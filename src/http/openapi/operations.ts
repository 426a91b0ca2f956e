import type { Kind } from '../../codec/kind.js';
import type { PostedResource } from '../posted.js';
import { type Dialect, GVK_EXTENSION, type Gvk, type Schema } from './schema.js';

/** References to what the operations of a kind answer with. */
export interface Answers {
  readonly dialect: Dialect;
  readonly object: Schema;
  readonly list: Schema;
  readonly scale: Schema;
  readonly watchEvent: Schema;
}

interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path';
  readonly type: 'string' | 'integer' | 'boolean';
  readonly description: string;
}

const query = (name: string, type: Parameter['type'], description: string): Parameter => ({
  name,
  in: 'query',
  type,
  description,
});

const PRETTY = query('pretty', 'string', 'Any value but 0 and false indents the answer.');
/** The parameters of a read of one custom resource; upstream describes none for other kinds. */
const GET_PARAMETERS = [query('resourceVersion', 'string', 'How old the answer may be; 0 is any age.')];
/** Those of a LIST or WATCH. */
const LIST_PARAMETERS = [
  query('allowWatchBookmarks', 'boolean', 'A watch may send BOOKMARK events.'),
  query('continue', 'string', 'Token of the next page, from the metadata of the page before.'),
  query('fieldSelector', 'string', 'Only objects whose fields have these values.'),
  query('labelSelector', 'string', 'Only objects with these labels.'),
  query('limit', 'integer', 'At most so many objects in one answer; the rest is had with continue.'),
  query('resourceVersion', 'string', 'Which state is read, or where a watch begins.'),
  query('resourceVersionMatch', 'string', 'How resourceVersion is meant: Exact or NotOlderThan.'),
  query('sendInitialEvents', 'boolean', 'A watch begins with the state, and marks its end with a BOOKMARK.'),
  query('shardSelector', 'string', 'Only objects of this shard of the collection.'),
  query('timeoutSeconds', 'integer', 'After this time the answer ends.'),
  query('watch', 'boolean', 'Stream changes instead of the list.'),
];
const NAMESPACE: Parameter = { name: 'namespace', in: 'path', type: 'string', description: 'Namespace of the object.' };
const nameOf = (kind: Kind): Parameter => ({
  name: 'name',
  in: 'path',
  type: 'string',
  description: `Name of the ${kind.kind}.`,
});

const OBJECT_TYPES = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const CUSTOM_TYPES = ['application/json', 'application/yaml'];
const streams = (types: readonly string[]) =>
  types.filter((type) => !type.endsWith('yaml')).map((type) => `${type};stream=watch`);

interface Operation {
  readonly id: string;
  readonly tag: string;
  readonly action: 'get' | 'list' | 'post' | 'watch' | 'watchlist';
  readonly description: string;
  readonly gvk: Gvk;
  readonly types: readonly string[];
  readonly consumes: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly answer: Schema;
  /** What is posted, and answered with its status. */
  readonly posts?: boolean;
}

/** The paths of a kind, each with its GET: nothing else is served. */
export function pathsOf(kind: Kind, answers: Answers): [path: string, item: Schema][] {
  const { group, version, resource } = kind;
  const root = rootOf(group, version);
  const tag = tagOf(group, version);
  const title = capital(tag.replace('_', ' '));
  const own = { group, version, kind: kind.kind };
  const isCustom = kind.custom !== undefined;
  const types = isCustom ? CUSTOM_TYPES : OBJECT_TYPES;
  const listTypes = isCustom ? types : [...types, ...streams(types)];
  const scoped = kind.namespaced ? 'Namespaced' : '';
  const place = kind.namespaced ? `${root}/namespaces/{namespace}/${resource}` : `${root}/${resource}`;
  const watched = place.replace(root, `${root}/watch`);
  const inPath = kind.namespaced ? [NAMESPACE] : [];
  const common = { tag, gvk: own, types, consumes: isCustom ? types : ['*/*'] };
  const parameters = isCustom ? GET_PARAMETERS : [];
  const list = { ...common, types: listTypes, parameters: LIST_PARAMETERS };
  const watch = { ...list, answer: answers.watchEvent };
  const found: [string, Schema][] = [];
  const add = (path: string, parameters: readonly Parameter[], operation: Operation) => {
    found.push([path, pathItem(operation, [...parameters, PRETTY], answers.dialect)]);
  };
  const lists = `Lists objects of kind ${kind.kind}, or watches them`;
  const instead = 'use a list with the parameter watch';
  add(place, inPath, {
    ...list,
    id: `list${title}${scoped}${kind.kind}`,
    action: 'list',
    description: `${lists}.`,
    answer: answers.list,
  });
  add(`${place}/{name}`, [nameOf(kind), ...inPath], {
    ...common,
    parameters,
    id: `read${title}${scoped}${kind.kind}`,
    action: 'get',
    description: `Reads one ${kind.kind}.`,
    answer: answers.object,
  });
  for (const subresource of kind.subresources) {
    const isScale = subresource === 'scale';
    add(`${place}/{name}/${subresource}`, [nameOf(kind), ...inPath], {
      ...common,
      ...(isScale && !isCustom ? { gvk: { group: 'autoscaling', version: 'v1', kind: 'Scale' } } : {}),
      parameters,
      id: `read${title}${scoped}${kind.kind}${capital(subresource)}`,
      action: 'get',
      description: isScale ? `Reads the scale of one ${kind.kind}.` : `Reads one ${kind.kind}.`,
      answer: isScale ? answers.scale : answers.object,
    });
  }
  if (kind.namespaced) {
    add(`${root}/${resource}`, [], {
      ...list,
      id: `list${title}${kind.kind}ForAllNamespaces`,
      action: 'list',
      description: `${lists}, in all namespaces.`,
      answer: answers.list,
    });
  }
  // Of custom resources, upstream describes no paths of WATCH.
  if (isCustom) return found;
  if (kind.namespaced) {
    add(`${root}/watch/${resource}`, [], {
      ...watch,
      id: `watch${title}${kind.kind}ListForAllNamespaces`,
      action: 'watchlist',
      description: `Watches objects of kind ${kind.kind} in all namespaces; ${instead}.`,
    });
  }
  add(watched, inPath, {
    ...watch,
    id: `watch${title}${scoped}${kind.kind}List`,
    action: 'watchlist',
    description: `Watches objects of kind ${kind.kind}; ${instead}.`,
  });
  add(`${watched}/{name}`, [nameOf(kind), ...inPath], {
    ...watch,
    id: `watch${title}${scoped}${kind.kind}`,
    action: 'watch',
    description: `Watches one ${kind.kind}; ${instead}, and a fieldSelector.`,
  });
  return found;
}

/** The path of a review; `object`: a reference to it. */
export function postedPath(one: PostedResource, object: Schema, dialect: Dialect): [path: string, item: Schema] {
  const { group, version, kind, resource, namespaced } = one;
  const tag = tagOf(group, version);
  const operation: Operation = {
    ...{ tag, types: OBJECT_TYPES, consumes: ['*/*'], parameters: [], answer: object, posts: true },
    id: `create${capital(tag.replace('_', ' '))}${namespaced ? 'Namespaced' : ''}${kind}`,
    action: 'post',
    description: `Answers a ${kind}.`,
    gvk: { group, version, kind },
  };
  const root = rootOf(group, version);
  const path = namespaced ? `${root}/namespaces/{namespace}/${resource}` : `${root}/${resource}`;
  const parameters = parametersOf(namespaced ? [NAMESPACE, PRETTY] : [PRETTY], dialect);
  return [path, { post: operationOf(operation, dialect), parameters }];
}

/** A document of discovery. */
export interface DiscoveryPath {
  /** '' for the core group; absent: `/apis/`. */
  readonly group?: string;
  readonly version?: string;
  readonly tag?: string;
  /** How the id of the operation ends, as in getAppsAPIGroup. */
  readonly what: 'APIGroup' | 'APIResources' | 'APIVersions';
  /** What it answers with, in meta/v1. */
  readonly message: string;
}

export function discoveryItem(
  { group, version, what, ...of }: DiscoveryPath,
  answer: Schema,
  dialect: Dialect,
): Schema {
  const tag = of.tag ?? tagOf(group ?? '', version);
  const id = `get${group === undefined ? '' : capital(tag.replace('_', ' '))}${what}`;
  const description = 'Says what is served below this path.';
  return {
    get: operationOf(
      { id, tag, description, types: OBJECT_TYPES, consumes: OBJECT_TYPES, parameters: [], answer },
      dialect,
    ),
  };
}

export function rootOf(group: string, version: string): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

function pathItem(operation: Operation, parameters: readonly Parameter[], dialect: Dialect): Schema {
  return { get: operationOf(operation, dialect), parameters: parametersOf(parameters, dialect) };
}

function operationOf(
  operation: Omit<Operation, 'action' | 'gvk'> & Partial<Pick<Operation, 'action' | 'gvk'>>,
  dialect: Dialect,
): Schema {
  const { id, tag, action, description, gvk, types, consumes, parameters, answer, posts } = operation;
  const content = (all: readonly string[]) => Object.fromEntries(all.map((type) => [type, { schema: answer }]));
  const described = dialect === 2 ? { schema: answer } : { content: content(types) };
  const body: Schema = { name: 'body', in: 'body', required: true, schema: answer };
  const all = [...(posts === true && dialect === 2 ? [body] : []), ...parametersOf(parameters, dialect)];
  return {
    tags: [tag],
    description,
    operationId: id,
    ...(dialect === 2 ? { consumes, produces: types, schemes: ['https'] } : {}),
    ...(all.length === 0 ? {} : { parameters: all }),
    ...(posts === true && dialect === 3 ? { requestBody: { content: content(consumes), required: true } } : {}),
    responses: {
      ...(posts === true
        ? { '201': { description: 'Created', ...described } }
        : { '200': { description: 'OK', ...described } }),
      '401': { description: 'Unauthorized' },
    },
    ...(action === undefined ? {} : { 'x-kubernetes-action': action }),
    ...(gvk === undefined ? {} : { [GVK_EXTENSION]: gvk }),
  };
}

function parametersOf(parameters: readonly Parameter[], dialect: Dialect): Schema[] {
  return parameters.map(({ name, in: where, type, description }) => ({
    name,
    in: where,
    description,
    ...(where === 'path' ? { required: true } : {}),
    ...(dialect === 2 ? { type, uniqueItems: true } : { schema: { type, uniqueItems: true } }),
  }));
}

/** `core_v1`, `rbacAuthorization_v1`: how clients' modules are called. */
function tagOf(group: string, version: string | undefined): string {
  const name = camel(group === '' ? 'core' : group.replace(/\.k8s\.io$/, ''));
  return version === undefined ? name : `${name}_${version}`;
}

/** Letters and digits, in one word. */
function camel(text: string): string {
  return text
    .split(/[^A-Za-z0-9_]+/)
    .map((part, index) => (index === 0 ? part : capital(part)))
    .join('');
}

/** Every word with a capital, in one. */
function capital(text: string): string {
  return text
    .split(/[^A-Za-z0-9_]+/)
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join('');
}
