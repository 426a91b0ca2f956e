import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Apiextensions, CRDS, startApiextensions } from '../support/apiextensions.js';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';
import { plain } from '../support/openapi.js';

// What is said of custom resources in /openapi, beside k8s.io/apiextensions-apiserver on the same etcd: of what is read.

type Json = Readonly<Record<string, unknown>>;

let etcd: Etcd;
let theirs: Apiextensions;
let ours: RunningServer;

const text = { type: 'string' };
const object = (properties: object, more: object = {}) => ({ type: 'object', properties, ...more });
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
const version = (name: string, schema: object, more: object = {}) => ({
  name,
  served: true,
  storage: name === 'v1',
  schema: { openAPIV3Schema: schema },
  ...more,
});
const crd = (plural: string, kind: string, versions: readonly object[], more: object = {}) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.ex.io` },
  spec: {
    group: 'ex.io',
    scope: 'Namespaced',
    names: { plural, kind, singular: kind.toLowerCase() },
    versions,
    ...more,
  },
});

const everything = object(
  {
    color: {
      type: 'string',
      default: 'green',
      enum: ['green', 'red'],
      pattern: '^[a-z]+$',
      maxLength: 9,
      minLength: 1,
    },
    size: { type: 'integer', format: 'int32', minimum: 1, maximum: 9, nullable: true, multipleOf: 2 },
    ratio: { type: 'number', exclusiveMinimum: true, minimum: 0, title: 'Ratio' },
    at: { type: 'string', format: 'date-time' },
    port: { 'x-kubernetes-int-or-string': true },
    any: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
    list: {
      type: 'array',
      items: object({ a: text, b: text }, { required: ['a'] }),
      maxItems: 5,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['a'],
    },
    set: { type: 'array', items: text, 'x-kubernetes-list-type': 'set' },
    map: {
      type: 'object',
      additionalProperties: object({ c: { type: 'integer' } }),
      'x-kubernetes-map-type': 'granular',
    },
    atomic: object({ a: text }, { 'x-kubernetes-map-type': 'atomic' }),
    open,
    part: object({ known: text }, { 'x-kubernetes-preserve-unknown-fields': true }),
    embedded: { ...open, 'x-kubernetes-embedded-resource': true },
    rules: object(
      { n: { type: 'integer' } },
      { 'x-kubernetes-validations': [{ rule: 'self.n > 0', message: 'n must be positive' }] },
    ),
    not: { type: 'string', not: { enum: ['x'] } },
    one: { type: 'object', properties: { a: text, b: text }, oneOf: [{ required: ['a'] }, { required: ['b'] }] },
  },
  { required: ['color'] },
);
const definitions = [
  crd('foos', 'Foo', [
    version(
      'v1',
      object({ spec: everything, status: object({ replicas: { type: 'integer' } }) }, { description: 'A foo.' }),
      {
        subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.replicas' } },
      },
    ),
    version('v2', object({ spec: object({ x: text }) })),
    version('v3', open, { deprecated: true }),
  ]),
  crd('bazes', 'Baz', [version('v1', open)], { scope: 'Cluster' }),
  crd('quxes', 'Qux', [
    version('v1', object({ spec: text, metadata: object({ name: { type: 'string', maxLength: 5 } }) })),
  ]),
];

before(async () => {
  etcd = await startEtcd();
  theirs = await startApiextensions(etcd.endpoint);
  for (const one of definitions) await theirs.write('POST', CRDS, one);
  ours = await startServer(['--etcd-servers', etcd.endpoint]);
  await eventually(
    'both know the kinds',
    async () => {
      const documents = await Promise.all([
        ...['v1', 'v2', 'v3'].flatMap((name) => both(`/openapi/v3/apis/ex.io/${name}`)),
        ...both('/openapi/v2'),
      ]);
      return documents.every((document) =>
        ['foos', ...(JSON.stringify(document).includes('ex.io/v1/') ? ['bazes', 'quxes'] : [])].every((plural) =>
          JSON.stringify(document).includes(`/${plural}"`),
        ),
      );
    },
    60_000,
  );
});
after(async () => {
  await ours?.stop();
  await theirs?.stop();
  await etcd?.stop();
});

async function read(url: string, path: string): Promise<Json> {
  const { status, body } = await send(url, { path, headers: { accept: 'application/json' } });
  return status === 200 && body.length > 0 ? (JSON.parse(body.toString()) as Json) : {};
}

const both = (path: string) => [read(theirs.url, path), read(ours.secureUrl, path)];

/** Version 2 of theirs has parameters that many operations share in a place of their own. */
function parametersOf(document: Json, of: unknown): unknown[] {
  const shared = (document['parameters'] ?? {}) as Json;
  return ((of ?? []) as Json[]).map((parameter) => {
    const ref = parameter['$ref'] as string | undefined;
    return ref === undefined ? parameter : (shared[ref.split('/').pop()!] as Json);
  });
}

/** What reads of custom resources are described as, by path: whether parameters stand at the path or at its one operation is left out. */
function reads(document: Json): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [path, item] of Object.entries(document['paths'] as Record<string, Json>)) {
    if (!path.startsWith('/apis/ex.io/')) continue;
    const { parameters, ...get } = item['get'] as Json;
    const all = [...parametersOf(document, item['parameters']), ...parametersOf(document, parameters)] as {
      name: string;
    }[];
    all.sort((a, b) => (a.name < b.name ? -1 : 1));
    found[path] = plain({ ...get, parameters: all });
  }
  return found;
}

const own = (models: unknown) =>
  Object.fromEntries(Object.entries(models as Json).filter(([name]) => name.startsWith('io.ex.')));

for (const name of ['v1', 'v2', 'v3']) {
  test(`version 3, ex.io/${name}: schemas of custom resources to the letter, of what they refer to without descriptions`, async () => {
    const [want, got] = await Promise.all(both(`/openapi/v3/apis/ex.io/${name}`));
    const models = (document: Json) => (document['components'] as Json)['schemas'] as Json;
    assert.ok(Object.keys(own(models(want!))).length >= 2);
    assert.deepEqual(own(plain(models(got!))), own(plain(models(want!))));
    // Those that only writes and their answers have are not there.
    const wanted = plain(models(want!)) as Json;
    for (const [model, schema] of Object.entries(plain(models(got!)) as Json)) {
      assert.deepEqual(schema, wanted[model], model);
    }
    assert.deepEqual(reads(got!), reads(want!));
  });
}

test('version 3: descriptions of CRDs are theirs', async () => {
  const [want, got] = await Promise.all(both('/openapi/v3/apis/ex.io/v1'));
  const described = (document: Json) => {
    const { Foo } = Object.fromEntries(
      Object.entries((document['components'] as Json)['schemas'] as Json).map(([model, of]) => [
        model.split('.').pop(),
        of,
      ]),
    ) as { Foo: Json };
    return Foo['description'];
  };
  assert.equal(described(got!), 'A foo.');
  assert.equal(described(want!), 'A foo.');
});

test('version 3: the index names the same documents of the group', async () => {
  const [want, got] = await Promise.all(both('/openapi/v3'));
  const keys = (document: Json) => Object.keys(document['paths'] as Json).filter((key) => key.includes('ex.io'));
  assert.deepEqual(keys(want!).sort(), ['apis/ex.io/v1', 'apis/ex.io/v2', 'apis/ex.io/v3']);
  assert.deepEqual(keys(got!).sort(), keys(want!).sort());
});

test('version 2: definitions and reads of custom resources', async () => {
  const [want, got] = await Promise.all(both('/openapi/v2'));
  assert.deepEqual(plain(own(got!['definitions'])), plain(own(want!['definitions'])));
  assert.deepEqual(reads(got!), reads(want!));
});
