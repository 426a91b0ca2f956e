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
let appeared: string[];
let known: number;

beforeEach(async () => {
  serving = startServing({ limits: { requestTimeoutMs: 500 } });
  const { service, caches, kinds } = serving;
  appeared = [];
  known = 0;
  customKinds = new CustomKinds({
    kinds,
    reader: service.reader(kindOf('customresourcedefinitions')),
    clock: systemClock,
    limits: defaultLimits,
    appeared: ({ version }) => appeared.push(version),
    known: () => known++,
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
    ['foos', 'foos/status', 'foos/scale'],
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

  await put('none', 0 as never);
  const table = JSON.parse((await get(`${FOOS}/none/scale`, TABLE)).body) as {
    columnDefinitions: { name: string; type: string }[];
    rows: { cells: unknown[] }[];
  };
  assert.deepEqual(
    table.columnDefinitions.map(({ name, type }) => `${name} ${type}`),
    ['Name string', 'Desired integer', 'Available integer', 'Age date'],
  );
  assert.deepEqual(table.rows[0]!.cells, ['none', null, 0, '<unknown>']);
  assert.equal((await get(`${FOOS}/b/scale`, TABLE)).status, 500);
  assert.equal((await get(`${FOOS}/a/scale`, 'application/vnd.kubernetes.protobuf')).status, 406);
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

test('a kind appears once, and again when it is another one', async () => {
  await eventually('the CRDs are known', () => known === 1);
  await serving.put('customresourcedefinitions', crd());
  await eventually('the kind is served', () => served() !== undefined);
  await serving.put('customresourcedefinitions', { ...crd(), metadata: { name: 'foos.ex.io', labels: { a: 'b' } } });
  await serving.put('customresourcedefinitions', crd({ type: 'integer' }));
  await eventually('the kind is another one', () => appeared.length === 2);
  assert.deepEqual([appeared, known], [['v1', 'v1'], 1]);
});

test('HEAD is a GET or a LIST without its body; what is no verb is not supported', async () => {
  await serving.put('customresourcedefinitions', crd());
  await eventually('the kind is served', () => served() !== undefined);
  await put('a', 'red');
  for (const path of [FOOS, `${FOOS}/a`, `${FOOS}/a/status`, '/apis/ex.io/v1/foos?limit=1', `${FOOS}/missing`]) {
    for (const accept of ['application/json', 'application/yaml', TABLE]) {
      const want = await fetch(`${base}${path}`, { headers: { accept } });
      const head = await fetch(`${base}${path}`, { method: 'HEAD', headers: { accept } });
      const size = Buffer.byteLength(await want.text());
      assert.deepEqual(
        [head.status, head.headers.get('content-type'), head.headers.get('content-length'), await head.text()],
        [want.status, want.headers.get('content-type'), String(size), ''],
        `${path} as ${accept}`,
      );
    }
  }
  assert.equal((await fetch(`${base}${FOOS}?watch=1`, { method: 'HEAD' })).status, 405);
  const options = await fetch(`${base}${FOOS}/a`, { method: 'OPTIONS' });
  const status = (await options.json()) as { message: string; reason: string; details: unknown };
  assert.deepEqual(
    [options.status, status.reason, status.message, status.details],
    [405, 'MethodNotAllowed', ' is not supported on resources of kind "foos.ex.io"', { group: 'ex.io', kind: 'foos' }],
  );
});

test('a request may leave managed fields out, in every form', async () => {
  await serving.put('customresourcedefinitions', crd());
  await eventually('the kind is served', () => served() !== undefined);
  // Names and texts that look like what is cut out, on both sides of it.
  const object = (managedFields?: object[]) => ({
    apiVersion: 'ex.io/v1',
    data: { managedFields: [1], metadata: { managedFields: [2], name: 'x' } },
    kind: 'Foo',
    metadata: {
      annotations: { a: '"managedFields":[{}],"', managedFields: 'b' },
      ...(managedFields === undefined ? {} : { managedFields }),
      name: 'a',
      namespace: 'd',
    },
    spec: { color: 'red' },
  });
  const entry = (manager: string) => ({
    apiVersion: 'ex.io/v1',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:spec': { 'f:color': {}, 'k:{"a":"],}"}': {} } },
    manager,
    operation: 'Update',
    time: '2026-01-02T03:04:05Z',
  });
  await serving.put('customresourcedefinitions', crd({ type: 'string' }, { schema: { openAPIV3Schema: OPEN } }));
  const write = async (managedFields?: object[]) => {
    const value = Buffer.from(`${JSON.stringify(object(managedFields))}\n`);
    return serving.store.write([{ type: 'put', key: utf8('/registry/ex.io/foos/d/a'), value }]);
  };
  const headers = (accept: string) => ({ accept, 'x-listwatch-omit-managed-fields': '1' });
  const accepts = [
    'application/json',
    'application/yaml',
    'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  ];
  const bare = await write();
  await eventually('the open schema is served', async () => (await get(`${FOOS}/a`)).body.includes('"data"'));
  const want: string[] = [];
  for (const accept of accepts) want.push((await get(`${FOOS}/a`, accept)).body);
  const list = (await get(FOOS)).body;
  const full = await write([entry('one'), entry('two')]);
  const at = (text: string) => text.replaceAll(String(bare), String(full));
  for (const [index, accept] of accepts.entries()) {
    assert.match((await get(`${FOOS}/a`, accept)).body, /manager"?: ?"?one/);
    const asked = await fetch(`${base}${FOOS}/a`, { headers: headers(accept) });
    assert.equal(await asked.text(), at(want[index]!), accept);
  }
  const asked = await fetch(`${base}${FOOS}`, { headers: headers('application/json') });
  assert.equal(await asked.text(), at(list));
  const watched = await fetch(`${base}${FOOS}?watch=1&resourceVersion=0&timeoutSeconds=1`, {
    headers: headers('application/json'),
  });
  assert.equal(await watched.text(), `{"type":"ADDED","object":${at(want[0]!).trim()}}\n`);
});

/** Knows nothing, and keeps all. */
const OPEN = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };

test('a CRD that is defined again with another scope is another kind', async () => {
  await serving.put('customresourcedefinitions', crd());
  await eventually('the kind is served', () => served() !== undefined);
  await put('a', 'red');
  assert.equal((await get(`${FOOS}/a`)).status, 200);
  await serving.remove('customresourcedefinitions', undefined, 'foos.ex.io');
  await eventually('the kind is gone', () => served() === undefined);
  const definition = crd() as { spec: object };
  await serving.put('customresourcedefinitions', {
    ...definition,
    spec: { ...definition.spec, scope: 'Cluster' },
  });
  await eventually('the kind is back', () => served() !== undefined);
  const object = { apiVersion: 'ex.io/v1', kind: 'Foo', metadata: { name: 'wide' }, spec: { color: 'red' } };
  const value = Buffer.from(`${JSON.stringify(object)}\n`);
  await serving.store.write([{ type: 'put', key: utf8('/registry/ex.io/foos/wide'), value }]);
  assert.match((await get('/apis/ex.io/v1/foos/wide')).body, /"name":"wide"/);
  assert.deepEqual([(await get(FOOS)).status, (await get(FOOS)).body], [404, '404 page not found\n']);
});

test('a CRD that is not established, or has lost its names, is served by what was accepted', async () => {
  const definition = crd() as { status: object };
  const { status } = definition;
  const conditions = [{ type: 'Established', status: 'False', reason: 'NotAccepted' }];
  await serving.put('customresourcedefinitions', { ...definition, status: { ...status, conditions } });
  const others = crd() as { spec: object; status: object };
  await serving.put('customresourcedefinitions', {
    ...others,
    metadata: { name: 'bars.ex.io' },
    // Its short name is another CRD's: established, but without it.
    spec: { ...others.spec, names: { plural: 'bars', singular: 'bar', kind: 'Bar', shortNames: ['fo'] } },
    status: { ...others.status, acceptedNames: { plural: 'bars', singular: 'bar', kind: 'Bar' } },
  });
  await eventually('the other kind is served', () => serving.kinds.find('ex.io', 'v1', 'bars') !== undefined);
  assert.equal(served(), undefined);
  assert.equal((await get(FOOS)).status, 404);
  const { body } = await get('/apis/ex.io/v1');
  assert.match(body, /"name":"bars"/);
  assert.doesNotMatch(body, /shortNames|foos/);
});
