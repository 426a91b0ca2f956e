import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { parse as parseYaml } from 'yaml';
import { messageToJson } from '../../src/codec/kind-codec.js';
import { compareVersions } from '../../src/api/versions.js';
import type { Kind } from '../../src/codec/kind.js';
import { createDiscovery, storageVersionHash } from '../../src/http/discovery.js';
import { kindOf, type Serving, servedKinds, startServing } from './serving.js';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const CLIENT_GO = `${AGGREGATED},application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json`;
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

let serving: Serving;
before(() => {
  serving = startServing();
});
after(() => serving.close());

function get(url: string, accept?: string, headers: Record<string, string> = {}) {
  const all = { host: 'localhost', ...(accept === undefined ? {} : { accept }), ...headers };
  return serving.server.inject({ url, headers: all });
}

// Golden files: UPDATE_GOLDEN=1 rewrites them, the difference is reviewed.
const goldens: readonly [file: string, path: string, accept: string][] = [
  ['api', '/api', 'application/json'],
  ['apis', '/apis', 'application/json'],
  ['apis-apps', '/apis/apps', 'application/json'],
  ['api-v1', '/api/v1', 'application/json'],
  ['apis-apps-v1', '/apis/apps/v1', 'application/json'],
  ['aggregated-api', '/api', AGGREGATED],
  ['aggregated-apis', '/apis', AGGREGATED],
  ['index', '/', 'application/json'],
];
for (const [name, path, accept] of goldens) {
  test(`golden: ${name}`, async () => {
    const { statusCode, body } = await get(path, accept);
    assert.equal(statusCode, 200);
    const file = new URL(`../../../test/http/golden/${name}.json`, import.meta.url);
    const text = JSON.stringify(JSON.parse(body), undefined, 1);
    if (process.env['UPDATE_GOLDEN'] === '1' || !existsSync(file)) writeFileSync(file, `${text}\n`);
    assert.equal(`${text}\n`, readFileSync(file, 'utf8'));
    // The files are indented for review; the order of the members is that of the wire.
    if (path !== '/') assert.equal(body, `${JSON.stringify(JSON.parse(body))}\n`);
  });
}

test('client-go gets everything at once, and can tell by the content type', async () => {
  const answer = await get('/apis', CLIENT_GO);
  assert.equal(answer.headers['content-type'], AGGREGATED);
  assert.equal(answer.headers['vary'], 'Accept');
  assert.equal(answer.headers['cache-control'], 'public');
  assert.match(String(answer.headers['etag']), /^"[0-9A-F]{128}"$/);
  const again = await get('/apis', CLIENT_GO, { 'if-none-match': String(answer.headers['etag']) });
  assert.equal(again.statusCode, 304);
  assert.equal(again.body, '');
  assert.equal(again.headers['etag'], answer.headers['etag']);
  assert.equal((await get('/apis', CLIENT_GO, { 'if-none-match': '"other"' })).statusCode, 200);
});

test('what is not the current aggregated form is the classic one', async () => {
  const v2beta1 = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json';
  for (const [path, accept] of [
    ['/apis', v2beta1],
    ['/apis', undefined],
    ['/apis/', CLIENT_GO],
  ] as const) {
    const answer = await get(path, accept);
    assert.match(answer.body, /^\{"kind":"APIGroupList","apiVersion":"v1","groups":\[/);
    assert.equal(answer.headers['content-type'], 'application/json');
  }
});

// Where it stands in the list does not matter; `/apis/`, unlike `/api/`, has the classic form only.
const mixed: readonly [path: string, accept: string, isAggregated: boolean][] = [
  ['/apis', `application/json,${AGGREGATED}`, true],
  ['/api', `*/*,${AGGREGATED};q=0.1`, true],
  ['/api/', AGGREGATED, true],
  ['/apis', AGGREGATED.replace('json', 'yaml'), true],
  ['/apis/', CLIENT_GO, false],
  ['/apis', 'application/json;as=Table;g=meta.k8s.io;v=v1,application/json', false],
];
for (const [path, accept, isAggregated] of mixed) {
  test(`GET ${path} as ${accept}: the ${isAggregated ? 'aggregated' : 'classic'} form`, async () => {
    const { statusCode, body } = await get(path, accept);
    assert.equal(statusCode, 200);
    assert.equal(body.includes('APIGroupDiscoveryList'), isAggregated);
  });
}

test('lists of groups, and groups, are read by any method; other documents by GET', async () => {
  for (const method of ['HEAD', 'POST', 'DELETE', 'OPTIONS'] as const) {
    for (const [url, code] of [
      ['/apis', 200],
      ['/apis/', 200],
      ['/apis/apps', 200],
      ['/apis/apps/v1', 405],
      ['/api', 405],
      ['/api/v1', 405],
      ['/apis/authorization.k8s.io/v1', 405],
    ] as const) {
      const answer = await serving.server.inject({ method, url, headers: { host: 'localhost' } });
      assert.equal(answer.statusCode, code, `${method} ${url}`);
    }
  }
});

test('reviews are listed, and have no other method than POST', async () => {
  const { resources } = JSON.parse((await get('/apis/authentication.k8s.io/v1')).body) as { resources: object[] };
  assert.deepEqual(resources[0], {
    ...{ name: 'selfsubjectreviews', singularName: 'selfsubjectreview', namespaced: false, kind: 'SelfSubjectReview' },
    verbs: ['create'],
  });
  const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  assert.equal((await get(review)).statusCode, 405);
  for (const url of [`${review}/x`, '/apis/authentication.k8s.io/v1/none', '/apis/authentication.k8s.io/v2']) {
    const { statusCode, body } = await get(url);
    assert.deepEqual([statusCode, (JSON.parse(body) as { reason: string }).reason], [404, 'NotFound'], url);
  }
});

test('groups of CRDs: the classic list has them by the first names of their APIServices', () => {
  const custom = (group: string, version: string): Kind => ({
    ...kindOf('pods'),
    ...{ group, version, resource: 'foos', subresources: ['scale', 'status'] },
    custom: { storageServed: true } as NonNullable<Kind['custom']>,
  });
  const kinds = [custom('a.io', 'v2'), custom('b.io', 'v1'), custom('b.io', 'v3'), kindOf('deployments')];
  const discovery = createDiscovery([kinds[3]!, ...kinds.slice(0, 3)]);
  const namesOf = (list: unknown) => (list as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(namesOf(discovery.groupList.json['groups']), ['apps', 'b.io', 'a.io']);
  const items = discovery.aggregated(false).json['items'] as { metadata: { name: string } }[];
  assert.deepEqual(namesOf(items.map(({ metadata }) => metadata)), ['apps', 'a.io', 'b.io']);
  assert.deepEqual(namesOf(discovery.resources('a.io', 'v2')!.json['resources']), [
    ...['foos', 'foos/status', 'foos/scale'],
  ]);
});

test('the same documents as YAML and protobuf', async () => {
  const META = 'k8s.io.apimachinery.pkg.apis.meta.v1';
  for (const [path, message] of [
    ['/api', `${META}.APIVersions`],
    ['/apis', `${META}.APIGroupList`],
    ['/apis/apps', `${META}.APIGroup`],
    ['/api/v1', `${META}.APIResourceList`],
    ['/apis/batch/v1', `${META}.APIResourceList`],
  ] as const) {
    const json = JSON.parse((await get(path)).body) as Record<string, unknown>;
    assert.deepEqual(parseYaml((await get(path, 'application/yaml')).body), json);
    const { rawPayload } = await get(path, PROTOBUF);
    assert.deepEqual(without(JSON.parse(messageToJson(message, rawOf(rawPayload)))), without(json));
  }
  const protobuf = await get('/apis', `${PROTOBUF};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`);
  assert.equal(protobuf.headers['content-type'], `${PROTOBUF};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`);
  const decoded = JSON.parse(
    messageToJson('k8s.io.api.apidiscovery.v2.APIGroupDiscoveryList', rawOf(protobuf.rawPayload)),
  );
  const json = JSON.parse((await get('/apis', AGGREGATED)).body) as { items: unknown[] };
  assert.equal((decoded as { items: unknown[] }).items.length, json.items.length);
});

test('groups come in the order of spec 7.2', async () => {
  const list = JSON.parse((await get('/apis')).body) as { groups: { name: string }[] };
  assert.deepEqual(
    list.groups.map(({ name }) => name),
    [
      ...[
        'apiregistration.k8s.io',
        'apps',
        'events.k8s.io',
        'authentication.k8s.io',
        'authorization.k8s.io',
        'autoscaling',
        'batch',
        'certificates.k8s.io',
        'networking.k8s.io',
        'policy',
      ],
      ...['rbac.authorization.k8s.io', 'storage.k8s.io', 'admissionregistration.k8s.io', 'apiextensions.k8s.io'],
      ...['scheduling.k8s.io', 'coordination.k8s.io', 'node.k8s.io', 'discovery.k8s.io', 'resource.k8s.io'],
      'flowcontrol.apiserver.k8s.io',
    ],
  );
});

test('only verbs that are served are advertised, for every kind that is served', async () => {
  for (const kind of servedKinds) {
    const path = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
    const { resources } = JSON.parse((await get(path)).body) as { resources: Record<string, unknown>[] };
    const entry = resources.find(({ name }) => name === kind.resource);
    assert.deepEqual(entry!['verbs'], ['get', 'list', 'watch']);
    assert.equal(entry!['kind'], kind.kind);
    for (const subresource of kind.subresources) {
      assert.deepEqual(resources.find(({ name }) => name === `${kind.resource}/${subresource}`)!['verbs'], ['get']);
    }
  }
});

test('storageVersionHash is that of kube-apiserver', () => {
  assert.equal(storageVersionHash(kindOf('pods')), 'xPOwRZ+Yhw8=');
});

test('versions in kube-aware order', () => {
  const versions = [
    'v1alpha1',
    'foo1',
    'v1',
    'v10',
    'v2beta1',
    'v1beta2',
    'v2',
    'foo10',
    'v1beta1',
    'v11alpha2',
    'v11beta2',
  ];
  assert.deepEqual([...versions].sort(compareVersions), [
    'v10',
    'v2',
    'v1',
    'v11beta2',
    'v2beta1',
    'v1beta2',
    'v1beta1',
    'v11alpha2',
    'v1alpha1',
    'foo1',
    'foo10',
  ]);
});

test('/version is indented, without a newline, and its gitVersion is a semantic version', async () => {
  const { body, headers } = await get('/version');
  assert.equal(headers['content-type'], 'application/json');
  const version = JSON.parse(body) as Record<string, string>;
  assert.equal(body, JSON.stringify(version, undefined, 2));
  assert.deepEqual(Object.keys(version), [
    ...['major', 'minor', 'emulationMajor', 'emulationMinor', 'minCompatibilityMajor', 'minCompatibilityMinor'],
    ...['gitVersion', 'gitCommit', 'gitTreeState', 'buildDate', 'goVersion', 'compiler', 'platform'],
  ]);
  assert.deepEqual([version['major'], version['minor']], ['1', '36']);
  assert.match(version['gitVersion']!, /^v\d+\.\d+\.\d+\+[0-9A-Za-z.-]+$/);
});

test('the index names only paths that answer', async () => {
  const { paths } = JSON.parse((await get('/')).body) as { paths: string[] };
  assert.deepEqual(paths, [...paths].sort());
  for (const path of paths) assert.equal((await get(path)).statusCode, 200, path);
});

/** Of an envelope: the field behind the type. */
function rawOf(bytes: Buffer): Uint8Array {
  assert.equal(bytes.toString('latin1', 0, 4), 'k8s\0');
  let at = 4;
  const length = () => {
    at++;
    let value = 0;
    for (let scale = 1, more = true; more; scale *= 128) {
      value += (bytes[at]! & 127) * scale;
      more = bytes[at++]! > 127;
    }
    return value;
  };
  const typeSize = length();
  at += typeSize;
  const size = length();
  return bytes.subarray(at, at + size);
}

/** Type information lies in the envelope, and protobuf does not tell empty from absent. */
function without(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(without);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(
    ([key, member]) =>
      key !== 'apiVersion' && !(key === 'kind' && 'groups' in value) && member !== '' && member !== null,
  );
  const typeless = 'name' in value && 'singularName' in value ? kept : kept.filter(([key]) => key !== 'kind');
  return Object.fromEntries(typeless.map(([key, member]) => [key, without(member)]));
}
