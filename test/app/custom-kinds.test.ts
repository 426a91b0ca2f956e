import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { CustomKinds } from '../../src/app/custom-kinds.js';
import { established } from '../../src/app/load/definition.js';
import { utf8 } from '../../src/lib/bytes.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { eventually } from '../http/client.js';
import { kindOf, type Serving, startServing } from '../http/serving.js';

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

let serving: Serving;
let customKinds: CustomKinds;
let base: string;

beforeEach(async () => {
  serving = startServing({ limits: { requestTimeoutMs: 500 } });
  const { service, caches, kinds } = serving;
  customKinds = new CustomKinds({
    kinds,
    reader: service.reader(kindOf('customresourcedefinitions')),
    clock: systemClock,
    limits: defaultLimits,
    removed(kind, revision) {
      service.forget(kind);
      caches.retire(kind, revision);
    },
    log: () => undefined,
  });
  customKinds.start();
  const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
  base = `http://127.0.0.1:${port}`;
});
afterEach(async () => {
  customKinds.stop();
  await serving.close();
});

function crd(color: object = { type: 'string' }, more: object = {}) {
  return established({
    metadata: { name: 'foos.ex.io', creationTimestamp: '2026-01-02T03:04:05Z' },
    spec: {
      group: 'ex.io',
      scope: 'Namespaced',
      names: {
        plural: 'foos',
        singular: 'foo',
        kind: 'Foo',
        listKind: 'FooList',
        shortNames: ['fo'],
        categories: ['all'],
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { color } } } },
          },
          additionalPrinterColumns: [{ name: 'Color', type: 'string', jsonPath: '.spec.color' }],
          selectableFields: [{ jsonPath: '.spec.color' }],
          subresources: { status: {}, scale: { specReplicasPath: '.spec.color', statusReplicasPath: '.status.n' } },
          ...more,
        },
      ],
    },
  });
}

async function put(name: string, color?: string) {
  const object = { apiVersion: 'ex.io/v1', kind: 'Foo', metadata: { name, namespace: 'd' }, spec: { color } };
  const value = Buffer.from(`${JSON.stringify(object)}\n`);
  return serving.store.write([{ type: 'put', key: utf8(`/registry/ex.io/foos/d/${name}`), value }]);
}

async function get(path: string, accept = 'application/json') {
  const response = await fetch(`${base}${path}`, { headers: { accept } });
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
}

const FOOS = '/apis/ex.io/v1/namespaces/d/foos';
const served = () => serving.kinds.find('ex.io', 'v1', 'foos');

test('a kind appears, is read in every form, and vanishes', async () => {
  assert.deepEqual([(await get(FOOS)).status, (await get(FOOS)).body], [404, '404 page not found\n']);
  await put('a', 'red');
  const last = await put('b', 'blue');
  const revision = await serving.put('customresourcedefinitions', crd());
  await eventually('the kind is served', () => served() !== undefined);

  const list = await get(FOOS);
  assert.equal(list.status, 200);
  const item = (name: string, at: number, color: string) =>
    `{"apiVersion":"ex.io/v1","kind":"Foo","metadata":{"generation":1,"name":"${name}","namespace":"d","resourceVersion":"${at}"},"spec":{"color":"${color}"}}`;
  assert.equal(
    list.body,
    `{"apiVersion":"ex.io/v1","items":[${item('a', last - 1, 'red')},${item('b', last, 'blue')}],` +
      `"kind":"FooList","metadata":{"continue":"","resourceVersion":"${revision}"}}\n`,
  );
  assert.equal((await get(`${FOOS}/a`)).body, `${item('a', last - 1, 'red')}\n`);
  assert.equal((await get(`${FOOS}/a/status`)).body, `${item('a', last - 1, 'red')}\n`);
  const yaml = (await get(FOOS, 'application/yaml')).body;
  assert.match(
    yaml,
    /^apiVersion: ex.io\/v1\nitems:\n- apiVersion: ex.io\/v1\n[\s\S]*\nkind: FooList\nmetadata:\n {2}continue: ""/,
  );

  const selected = JSON.parse((await get(`${FOOS}?fieldSelector=spec.color%3Dblue`)).body) as {
    items: { metadata: { name: string } }[];
  };
  assert.deepEqual(
    selected.items.map(({ metadata }) => metadata.name),
    ['b'],
  );
  assert.match((await get(`${FOOS}?fieldSelector=spec.x%3D1`)).body, /field label not supported: spec.x/);

  const table = JSON.parse((await get(FOOS, TABLE)).body) as {
    columnDefinitions: { name: string }[];
    rows: { cells: unknown[] }[];
  };
  assert.deepEqual(
    table.columnDefinitions.map(({ name }) => name),
    ['Name', 'Color'],
  );
  assert.deepEqual(
    table.rows.map(({ cells }) => cells),
    [
      ['a', 'red'],
      ['b', 'blue'],
    ],
  );

  assert.equal((await get(FOOS, PROTOBUF)).status, 406);
  assert.equal((await get(FOOS, `${PROTOBUF},application/json`)).type, 'application/json');
  const partial = await get(FOOS, `${PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1`);
  assert.deepEqual([partial.status, partial.type], [200, PROTOBUF]);

  assert.match((await get(`${FOOS}/a/log`)).body, /foos\.ex\.io \\"a\\" not found/);
  assert.equal((await get('/apis/ex.io/v1/foos/a')).body, '404 page not found\n');
  const resources = JSON.parse((await get('/apis/ex.io/v1')).body) as {
    resources: { name: string; shortNames?: string[] }[];
  };
  assert.deepEqual(
    resources.resources.map(({ name }) => name),
    ['foos', 'foos/scale', 'foos/status'],
  );
  assert.deepEqual(resources.resources[0]?.shortNames, ['fo']);
  assert.match((await get('/apis')).body, /"name":"ex.io"/);

  await serving.remove('customresourcedefinitions', undefined, 'foos.ex.io');
  await eventually('the kind is gone', () => served() === undefined);
  assert.equal((await get(FOOS)).status, 404);
  assert.doesNotMatch((await get('/apis')).body, /"ex.io"/);
});

test('watches show the last objects go, and end with the kind', async () => {
  await serving.put('customresourcedefinitions', crd());
  await eventually('the kind is served', () => served() !== undefined);
  await put('a', 'red');
  const response = await fetch(`${base}${FOOS}?watch=1&resourceVersion=0`);
  const body = response.text();
  await eventually('the watch is there', () =>
    serving.caches.all().some(({ kind, stats }) => kind === served() && stats.watchers === 1),
  );
  await serving.store.write([{ type: 'delete', key: utf8('/registry/ex.io/foos/d/a') }]);
  await serving.remove('customresourcedefinitions', undefined, 'foos.ex.io');
  const events = (await body)
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { type: string }).type);
  assert.deepEqual(events, ['ADDED', 'DELETED']);
});

test('a schema that changes changes what is shown, and ends watches; other changes of the CRD do neither', async () => {
  await serving.put('customresourcedefinitions', crd());
  await eventually('the kind is served', () => served() !== undefined);
  await put('a');
  const before = served();
  const watched = (await fetch(`${base}${FOOS}?watch=1&resourceVersion=0`)).text();
  assert.doesNotMatch((await get(FOOS)).body, /spec":\{"color/);
  await serving.put('customresourcedefinitions', { ...crd(), metadata: { name: 'foos.ex.io', labels: { a: 'b' } } });
  assert.match((await get('/apis/apiextensions.k8s.io/v1/customresourcedefinitions/foos.ex.io')).body, /"labels"/);
  assert.equal(served(), before);
  await serving.put('customresourcedefinitions', crd({ type: 'string', default: 'green' }));
  await eventually('the kind is another one', () => served() !== before);
  assert.match((await get(FOOS)).body, /spec":\{"color":"green"\}/);
  assert.match(await watched, /^\{"type":"ADDED",.*\n$/);
  await eventually(
    'the old cache is given back',
    () => serving.caches.all().filter(({ kind }) => kind.resource === 'foos').length === 1,
  );
});

test('scale follows the paths of the CRD, and fails where the object has no replicas', async () => {
  await serving.put('customresourcedefinitions', crd({ type: 'integer' }));
  await eventually('the kind is served', () => served() !== undefined);
  await put('a', 3 as never);
  await put('b');
  const scale = JSON.parse((await get(`${FOOS}/a/scale`)).body) as Record<string, unknown>;
  assert.deepEqual([scale['kind'], scale['spec'], scale['status']], ['Scale', { replicas: 3 }, { replicas: 0 }]);
  const missing = await get(`${FOOS}/b/scale`);
  assert.equal(missing.status, 500);
  assert.match(missing.body, /the spec replicas field \\".spec.color\\" does not exist/);
});

test('an object that cannot be converted fails the LIST, by the name of the CRD', async () => {
  const definition = crd() as { spec: { versions: object[] } };
  const versions = [
    ...definition.spec.versions,
    { name: 'v2', served: true, storage: false, schema: { openAPIV3Schema: {} } },
  ];
  const spec = { ...definition.spec, versions, conversion: { strategy: 'Webhook' } };
  await serving.put('customresourcedefinitions', { ...definition, spec });
  await eventually('the kind is served', () => served() !== undefined);
  await put('a', 'red');
  assert.equal((await get(FOOS)).status, 200);
  const refused = await get('/apis/ex.io/v2/foos');
  assert.equal(refused.status, 500);
  assert.match(refused.body, /CustomResourceDefinition foos\.ex\.io converts by webhook/);
});
