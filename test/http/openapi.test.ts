import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { established } from '../../src/app/load/definition.js';
import { readOpenApiFacts } from '../../src/codec/openapi-facts.js';
import { messageType } from '../../src/codec/schema.js';
import { modelName } from '../../src/http/openapi/schema.js';
import { type Serving, servedKinds, startServing } from './serving.js';

// The documents of /openapi: whole, true to what is served, alive, and cached as upstream's are (spec 7.4).

// biome-ignore lint/suspicious/noExplicitAny: documents that a test reads as it goes
type Json = Record<string, any>;

let serving: Serving;
before(() => {
  serving = startServing();
});
after(() => serving.close());

function get(url: string, headers: Record<string, string> = {}) {
  return serving.server.inject({ url, headers: { host: 'localhost', ...headers } });
}

async function document(path: string): Promise<Json> {
  const { statusCode, body } = await get(path);
  assert.equal(statusCode, 200, path);
  return JSON.parse(body) as Json;
}

async function urlsOfVersion3(): Promise<[key: string, url: string][]> {
  const { paths } = await document('/openapi/v3');
  return Object.entries(paths as Json).map(([key, { serverRelativeURL }]) => [key, serverRelativeURL as string]);
}

/** Every document there is, with what it defines. */
async function all(): Promise<[name: string, document: Json, definitions: Json][]> {
  const v2 = await document('/openapi/v2');
  const documents: [string, Json, Json][] = [['v2', v2, v2['definitions'] as Json]];
  for (const [key, url] of await urlsOfVersion3()) {
    const v3 = await document(url);
    documents.push([key, v3, v3['components'].schemas as Json]);
  }
  return documents;
}

function eachObject(value: unknown, visit: (object: Json) => void): void {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) visit(value as Json);
  for (const of of Object.values(value)) eachObject(of, visit);
}

test('every reference is to a definition, every definition is referred to, and ids are used once', async () => {
  for (const [name, whole, definitions] of await all()) {
    const prefix = name === 'v2' ? '#/definitions/' : '#/components/schemas/';
    const referred = new Set<string>();
    eachObject(whole, ({ $ref }) => {
      if (typeof $ref !== 'string') return;
      assert.ok($ref.startsWith(prefix), `${name}: ${$ref}`);
      referred.add($ref.slice(prefix.length));
    });
    assert.deepEqual([...referred].sort(), Object.keys(definitions).sort(), name);
    const ids = Object.values(whole['paths'] as Json).map(
      (item) => (item['get'] ?? item['post']).operationId as string,
    );
    assert.equal(new Set(ids).size, ids.length, name);
  }
});

test('beside a reference version 3 has nothing, and version 2 has no defaults', async () => {
  for (const [name, whole] of await all()) {
    eachObject(whole, (object) => {
      if (name !== 'v2' && typeof object['$ref'] === 'string') assert.deepEqual(Object.keys(object), ['$ref'], name);
      if (name === 'v2' && typeof object['type'] === 'string')
        assert.ok(!('default' in object), JSON.stringify(object));
    });
  }
});

test('every kind that is served is defined in both versions, with its list', async () => {
  const documents = await all();
  const defined = (name: string) => {
    const [, , definitions] = documents.find(([key]) => key === name)!;
    return Object.values(definitions).flatMap((of) => (of['x-kubernetes-group-version-kind'] ?? []) as Json[]);
  };
  for (const { group, version, kind, listKind } of servedKinds) {
    for (const name of ['v2', group === '' ? `api/${version}` : `apis/${group}/${version}`]) {
      for (const one of [kind, listKind]) {
        const found = defined(name).filter(
          (of) => of['group'] === group && of['version'] === version && of['kind'] === one,
        );
        assert.equal(found.length, 1, `${name}: ${one}`);
      }
    }
  }
});

/** JSON names, those of inline messages and of the object's type included. */
function members(message: string): string[] {
  const { fields, typeMeta } = messageType(message);
  return [
    ...(typeMeta ? ['apiVersion', 'kind'] : []),
    ...fields.flatMap((field) => (field.inline ? members(field.messageName) : [field.json])),
  ];
}

test('the properties of every definition are the JSON members of its message', async () => {
  let compared = 0;
  for (const [name, , definitions] of await all()) {
    for (const [model, definition] of Object.entries(definitions) as [string, Json][]) {
      const message = model.replace(/^io\.k8s\./, 'k8s.io.').replaceAll('-', '_');
      assert.equal(modelName(message), model);
      if (messageType(message).class !== 'message') continue;
      const properties = Object.keys((definition['properties'] ?? {}) as Json);
      assert.deepEqual(properties.sort(), members(message).sort(), `${name}: ${model}`);
      for (const required of definition['required'] ?? [])
        assert.ok(properties.includes(required), `${model}.${required}`);
      compared++;
    }
  }
  assert.ok(compared > 800, `${compared} definitions`);
});

test('each fact is about a field that exists, and keys of lists are fields of their elements', () => {
  for (const [message, { fields = {} }] of readOpenApiFacts()) {
    const known = new Map(messageType(message).fields.map((field) => [field.json, field]));
    for (const [json, { listMapKeys = [], listType }] of Object.entries(fields)) {
      const field = known.get(json);
      assert.ok(field, `${message}.${json}`);
      assert.equal(listMapKeys.length > 0, listType === 'map', `${message}.${json}`);
      const inner = listMapKeys.length === 0 ? [] : members(field.messageName);
      for (const key of listMapKeys) assert.ok(inner.includes(key), `${message}.${json}: ${key}`);
    }
  }
});

test('types, formats, keys, strategies, enums and required fields as Kubernetes publishes them', async () => {
  const v2 = (await document('/openapi/v2'))['definitions'] as Json;
  const v3 = (await document('/openapi/v3/api/v1'))['components'].schemas as Json;
  const container = v3['io.k8s.api.core.v1.Container'] as Json;
  assert.deepEqual(container['required'], ['name']);
  assert.deepEqual(container['properties'].ports, {
    type: 'array',
    items: { allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.ContainerPort' }], default: {} },
    'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-patch-merge-key': 'containerPort',
    'x-kubernetes-patch-strategy': 'merge',
  });
  assert.deepEqual(v2['io.k8s.api.core.v1.Container'].properties.imagePullPolicy, {
    type: 'string',
    enum: ['Always', 'IfNotPresent', 'Never'],
  });
  assert.deepEqual(v3['io.k8s.api.core.v1.ContainerPort'].properties.protocol, {
    type: 'string',
    default: 'TCP',
    enum: ['SCTP', 'TCP', 'UDP'],
  });
  const quantity = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
  assert.deepEqual(
    [v2[quantity], v3[quantity]],
    [{ type: 'string' }, { oneOf: [{ type: 'string' }, { type: 'number' }] }],
  );
  const intOrString = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
  assert.deepEqual(v2[intOrString], { type: 'string', format: 'int-or-string' });
  assert.deepEqual(v3[intOrString].oneOf, [{ type: 'integer' }, { type: 'string' }]);
  assert.equal(v3['io.k8s.api.core.v1.NodeSelector']['x-kubernetes-map-type'], 'atomic');
  assert.deepEqual(v3['io.k8s.api.core.v1.Secret'].properties.data, {
    type: 'object',
    additionalProperties: { type: 'string', format: 'byte' },
  });
  assert.deepEqual(v3['io.k8s.api.core.v1.Pod'].properties.spec, {
    allOf: [{ $ref: '#/components/schemas/io.k8s.api.core.v1.PodSpec' }],
    description: 'What is wanted.',
    default: {},
  });
});

test('paths are those that are answered, with nothing but GET, and POST of reviews', async () => {
  const { paths } = await document('/openapi/v2');
  const names = Object.keys(paths as Json);
  assert.ok(names.length > 300, `${names.length} paths`);
  for (const [path, item] of Object.entries(paths as Json)) {
    assert.deepEqual(
      Object.keys(item).filter((verb) => verb !== 'parameters'),
      [path.endsWith('reviews') ? 'post' : 'get'],
      path,
    );
    if (item.get === undefined) continue;
    const parameters = (item.parameters ?? []) as Json[];
    const inPath = parameters.filter((of) => of['in'] === 'path').map((of) => of['name'] as string);
    assert.deepEqual(inPath.sort(), [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!).sort(), path);
    if (item.get['x-kubernetes-action']?.startsWith('watch')) continue;
    const url = path.replaceAll('{namespace}', 'none').replaceAll('{name}', 'none');
    const { statusCode, body } = await get(url);
    if (!path.includes('{name}')) assert.equal(statusCode, 200, path);
    // An object that is not there: a path that is not there has no details.
    else assert.equal((JSON.parse(body) as Json)['details']?.name, 'none', `${path}: ${statusCode} ${body}`);
  }
  for (const kind of servedKinds) {
    const place = `${kind.group === '' ? '/api' : `/apis/${kind.group}`}/${kind.version}`;
    assert.ok(names.includes(`${place}/${kind.resource}`), kind.resource);
  }
});

test('the index names every group and version with the hash of its document', async () => {
  const urls = await urlsOfVersion3();
  assert.deepEqual(urls.map(([key]) => key).slice(0, 5), [
    'api',
    'api/v1',
    'apis',
    'apis/admissionregistration.k8s.io',
    'apis/admissionregistration.k8s.io/v1',
  ]);
  for (const [key, url] of urls) {
    assert.match(url, /^\/openapi\/v3\/[a-z0-9./]+\?hash=[0-9A-F]{128}$/);
    const { headers } = await get(`/openapi/v3/${key}`);
    assert.equal(headers['etag'], `"${url.split('=')[1]}"`);
    assert.equal(headers['cache-control'], 'no-cache, private');
    assert.equal(headers['expires'], undefined);
  }
});

test('a document with its hash may be kept for a year; an old hash leads to the new one', async () => {
  const [, url] = (await urlsOfVersion3()).find(([key]) => key === 'apis/apps/v1')!;
  const { statusCode, headers } = await get(url);
  assert.equal(statusCode, 200);
  assert.equal(headers['cache-control'], 'public, immutable');
  assert.equal(headers['vary'], 'Accept');
  assert.match(String(headers['last-modified']), / GMT$/);
  const days = (Date.parse(String(headers['expires'])) - Date.now()) / 86_400_000;
  assert.ok(days > 364 && days < 366, `${days} days`);
  const old = await get('/openapi/v3/apis/apps/v1?hash=ABC');
  assert.deepEqual([old.statusCode, old.headers['location'], old.body], [301, url, '']);
});

test('who has a document already is told so, whatever its form', async () => {
  for (const path of ['/openapi/v2', '/openapi/v3', '/openapi/v3/apis/apps/v1']) {
    const { headers } = await get(path);
    const etag = String(headers['etag']);
    for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const again = await get(path, { 'if-none-match': tags });
      assert.deepEqual([again.statusCode, again.body, again.headers['etag']], [304, '', etag], `${path} ${tags}`);
    }
    assert.equal((await get(path, { 'if-none-match': '"x"' })).statusCode, 200);
    const since = String(headers['last-modified']);
    assert.equal((await get(path, { 'if-modified-since': since })).statusCode, 304);
    assert.equal((await get(path, { 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' })).statusCode, 200);
    assert.equal((await get(path, { 'if-modified-since': since, 'if-none-match': '"x"' })).statusCode, 200);
  }
});

const forms: readonly (readonly [path: string, accept: string, type: string | undefined])[] = [
  ['/openapi/v2', '', 'application/json'],
  ['/openapi/v2', '*/*', 'application/json'],
  ['/openapi/v2', 'application/*', 'application/json'],
  [
    '/openapi/v2',
    'application/com.github.proto-openapi.spec.v2@v1.0+protobuf',
    'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
  ],
  [
    '/openapi/v2',
    'application/com.github.proto-openapi.spec.v2.v1.0+protobuf, application/json',
    'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
  ],
  [
    '/openapi/v2',
    'application/com.github.proto-openapi.spec.v2.v1.0+protobuf;q=0.5, application/json',
    'application/json',
  ],
  ['/openapi/v2', 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf', undefined],
  ['/openapi/v2', 'text/html', undefined],
  [
    '/openapi/v3/api/v1',
    'application/com.github.proto-openapi.spec.v3@v1.0+protobuf',
    'application/com.github.proto-openapi.spec.v3.v1.0+protobuf',
  ],
  ['/openapi/v3/api/v1', 'application/yaml', undefined],
  ['/openapi/v3', 'application/yaml', 'application/json'],
];
for (const [path, accept, type] of forms) {
  test(`GET ${path} as ${accept || 'anything'}: ${type ?? 406}`, async () => {
    const { statusCode, headers, body } = await get(path, { accept });
    assert.equal(statusCode, type === undefined ? 406 : 200);
    if (type === undefined) assert.equal(body, '');
    else assert.equal(headers['content-type'], type);
    if (path !== '/openapi/v3')
      assert.equal(headers['vary'], path === '/openapi/v2' ? 'Accept-Encoding, Accept' : 'Accept');
  });
}

test('what is compressed still varies by Accept', async () => {
  const plain = await get('/openapi/v2');
  const packed = await get('/openapi/v2', { 'accept-encoding': 'gzip' });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.equal(packed.headers['vary'], 'Accept-Encoding, Accept');
  assert.equal(gunzipSync(packed.rawPayload).toString('utf8'), plain.body);
});

test('a group version that is not served is an empty answer, as upstream gives it', async () => {
  for (const key of ['apis/none/v1', 'apis/apps/v2', '']) {
    const { statusCode, body } = await get(`/openapi/v3/${key}`);
    assert.deepEqual([statusCode, body], [200, ''], key);
  }
  assert.equal((await get('/openapi')).statusCode, 404);
  assert.equal((await get('/openapi/v1')).statusCode, 404);
});

test('those who ask at once get one document', async () => {
  const other = startServing();
  try {
    const ask = () => other.server.inject({ url: '/openapi/v2', headers: { host: 'localhost' } });
    const answers = await Promise.all([ask(), ask(), ask()]);
    assert.equal(new Set(answers.map(({ headers }) => headers['last-modified'])).size, 1);
    assert.equal(new Set(answers.map(({ headers }) => headers['etag'])).size, 1);
  } finally {
    await other.close();
  }
});

const spec = (properties: Json) => ({ type: 'object', properties: { spec: { type: 'object', properties } } });

function boats(schema: Json | undefined, more: Json = {}) {
  const version = { name: 'v1', served: true, storage: true, subresources: { status: {} }, ...more };
  return established({
    metadata: { name: 'boats.harbour.example' },
    spec: {
      group: 'harbour.example',
      scope: 'Namespaced',
      names: { plural: 'boats', singular: 'boat', kind: 'Boat', listKind: 'BoatList' },
      versions: [schema === undefined ? version : { ...version, schema: { openAPIV3Schema: schema } }],
    },
  });
}

const KEY = 'apis/harbour.example/v1';
const MODEL = 'example.harbour.v1.Boat';

async function boat(): Promise<{ v2: Json; v3: Json }> {
  const v2 = await document('/openapi/v2');
  const v3 = await document(`/openapi/v3/${KEY}`);
  return { v2: v2['definitions'][MODEL] as Json, v3: v3['components'].schemas[MODEL] as Json };
}

test('documents follow CustomResourceDefinitions as they come, change and go; others stay', async (t) => {
  t.after(() => serving.kinds.define('boats.harbour.example', undefined));
  const before = new Map(await urlsOfVersion3());
  const v2Before = (await get('/openapi/v2')).headers['etag'];
  assert.ok(!before.has(KEY));

  serving.kinds.define('boats.harbour.example', boats(spec({ sails: { type: 'integer', default: 2n } })));
  const come = new Map(await urlsOfVersion3());
  assert.deepEqual(
    [...come.keys()].filter((key) => !before.has(key)),
    [KEY], // and no document about the group's discovery, as upstream
  );
  for (const [key, url] of before) assert.equal(come.get(key), url, key);
  assert.notEqual((await get('/openapi/v2')).headers['etag'], v2Before);
  const first = await boat();
  assert.deepEqual(first.v3['properties'].spec, {
    type: 'object',
    properties: { sails: { type: 'integer', default: 2 } },
  });
  assert.deepEqual(first.v3['x-kubernetes-group-version-kind'], [
    { group: 'harbour.example', version: 'v1', kind: 'Boat' },
  ]);
  const { paths } = await document(come.get(KEY)!);
  assert.equal(
    paths['/apis/harbour.example/v1/namespaces/{namespace}/boats/{name}/status'].get.operationId,
    'readHarbourExampleV1NamespacedBoatStatus',
  );

  serving.kinds.define('boats.harbour.example', boats(spec({ oars: { type: 'integer' } })));
  const changed = new Map(await urlsOfVersion3());
  assert.notEqual(changed.get(KEY), come.get(KEY));
  assert.deepEqual(
    [...changed].filter(([key, url]) => come.get(key) !== url).map(([key]) => key),
    [KEY],
  );
  assert.equal((await get(come.get(KEY)!)).headers['location'], changed.get(KEY));
  assert.deepEqual(Object.keys((await boat()).v2['properties'].spec.properties), ['oars']);

  serving.kinds.define('boats.harbour.example', undefined);
  assert.deepEqual(new Map(await urlsOfVersion3()), before);
  assert.equal((await get(`/openapi/v3/${KEY}`)).body, '');
  assert.equal((await get('/openapi/v2')).headers['etag'], v2Before);
});

const OPEN = 'x-kubernetes-preserve-unknown-fields';
const schemas: readonly (readonly [title: string, member: Json, v2: Json, v3: Json])[] = [
  [
    'conditions of values are in version 3 only',
    { type: 'string', anyOf: [{ minLength: 1 }], oneOf: [], allOf: [], not: {}, pattern: 'a' },
    { type: 'string', pattern: 'a' },
    { type: 'string', anyOf: [{ minLength: 1 }], oneOf: [], allOf: [], not: {}, pattern: 'a' },
  ],
  [
    'what may be null has no type in version 2',
    { type: 'object', nullable: true, properties: { a: { type: 'string' } } },
    {},
    { type: 'object', nullable: true, properties: { a: { type: 'string' } } },
  ],
  [
    'a required member that may be null is not required in version 2',
    {
      type: 'object',
      required: ['a', 'b'],
      properties: { a: { type: 'string', nullable: true }, b: { type: 'string' } },
    },
    { type: 'object', required: ['b'], properties: { a: {}, b: { type: 'string' } } },
    {
      type: 'object',
      required: ['a', 'b'],
      properties: { a: { type: 'string', nullable: true }, b: { type: 'string' } },
    },
  ],
  [
    'what may hold more is left open in version 2',
    { type: 'object', [OPEN]: true, properties: { a: { type: 'string' } } },
    { [OPEN]: true },
    { type: 'object', [OPEN]: true, properties: { a: { type: 'string' } } },
  ],
  [
    'numbers or strings',
    { 'x-kubernetes-int-or-string': true },
    { 'x-kubernetes-int-or-string': true },
    { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
  ],
  [
    'members that no schema of a CRD may have are left out',
    { type: 'string', id: 'x', $schema: 'y', example: 'z', $ref: '#/nowhere' },
    { type: 'string' },
    { type: 'string' },
  ],
  [
    'a map, and a list with keys',
    {
      type: 'object',
      additionalProperties: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    },
    {
      type: 'object',
      additionalProperties: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    },
    {
      type: 'object',
      additionalProperties: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    },
  ],
];
for (const [title, member, v2, v3] of schemas) {
  test(`custom resources: ${title}`, async (t) => {
    t.after(() => serving.kinds.define('boats.harbour.example', undefined));
    serving.kinds.define('boats.harbour.example', boats(spec({ member })));
    const found = await boat();
    assert.deepEqual(found.v2['properties'].spec.properties.member, v2);
    assert.deepEqual(found.v3['properties'].spec.properties.member, v3);
    for (const version of ['v2', 'v3'] as const) {
      assert.deepEqual(Object.keys(found[version]['properties']), ['apiVersion', 'kind', 'metadata', 'spec']);
    }
  });
}

test('custom resources: embedded objects have what objects have', async (t) => {
  t.after(() => serving.kinds.define('boats.harbour.example', undefined));
  const member = { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: { type: 'object' } } };
  serving.kinds.define(
    'boats.harbour.example',
    boats(spec({ member }), { selectableFields: [{ jsonPath: '.spec.a' }] }),
  );
  const { v2, v3 } = await boat();
  for (const { properties, ...rest } of [v2, v3]) {
    const embedded = properties.spec.properties.member;
    assert.deepEqual(embedded.required, ['kind', 'apiVersion']);
    assert.deepEqual(Object.keys(embedded.properties), ['spec', 'apiVersion', 'kind', 'metadata']);
    assert.deepEqual(rest['x-kubernetes-selectable-fields'], [{ fieldPath: 'spec.a' }]);
  }
});

test('custom resources: without a schema, or one that lets everything pass, nothing is said of members', async (t) => {
  t.after(() => serving.kinds.define('boats.harbour.example', undefined));
  const bare = {
    type: 'object',
    'x-kubernetes-group-version-kind': [{ group: 'harbour.example', version: 'v1', kind: 'Boat' }],
  };
  serving.kinds.define('boats.harbour.example', boats(undefined));
  assert.deepEqual(await boat(), { v2: bare, v3: bare });
  serving.kinds.define('boats.harbour.example', boats({ type: 'object', [OPEN]: true }));
  const { v2, v3 } = await boat();
  assert.deepEqual(v2, bare);
  assert.deepEqual(Object.keys(v3['properties']), ['apiVersion', 'kind', 'metadata']);
});
