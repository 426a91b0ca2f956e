import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { parse as parseYaml } from 'yaml';
import { messageToJson } from '../../src/codec/kind-codec.js';
import { seededRandom } from '../../src/lib/random.js';
import { pod, type Serving, startServing } from './serving.js';

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const PARTIAL_LIST = ';as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const PARTIAL = ';as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

let serving: Serving;
before(async () => {
  serving = startServing();
  await serving.put('pods', pod('p0', 'a'));
  await serving.put('pods', pod('p1', 'b', { status: { phase: '<&>' } }));
  await serving.put('namespaces', { metadata: { name: 'a', uid: 'u' }, status: { phase: 'Active' } });
  await serving.put('deployments', {
    metadata: { name: 'd', namespace: 'a', uid: 'u', creationTimestamp: '2026-01-02T03:04:05Z', generation: 1 },
    spec: { replicas: 2, selector: { matchLabels: { x: 'y' } }, template: { spec: { containers: [] } } },
    status: { replicas: 1, observedGeneration: 9007199254740993n },
  });
  await serving.put('endpoints', { metadata: { name: 'e', namespace: 'a', uid: 'u' } });
});
after(() => serving.close());

async function get(url: string, accept?: string, headers: Record<string, string> = {}) {
  const all = { host: 'localhost', ...(accept === undefined ? {} : { accept }), ...headers };
  const { statusCode, headers: answered, rawPayload } = await serving.server.inject({ url, headers: all });
  return { code: statusCode, headers: answered, body: rawPayload.toString('utf8'), bytes: rawPayload };
}

const P0 =
  '"metadata":{"name":"p0","namespace":"a","uid":"uid-p0","resourceVersion":"2","creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"a"}}';
const P1 =
  '"metadata":{"name":"p1","namespace":"b","uid":"uid-p1","resourceVersion":"3","creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"a"}}';
const REST = '"spec":{"containers":[{"name":"c","image":"i","resources":{}}]}';

test('LIST as JSON: items without kind and apiVersion, one newline at the end', async () => {
  const answer = await get('/api/v1/pods');
  assert.equal(answer.code, 200);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.equal(answer.headers['content-length'], String(answer.bytes.length));
  assert.equal(
    answer.body,
    '{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"6"},"items":[' +
      `{${P0},${REST},"status":{"phase":"Running"}},{${P1},${REST},"status":{"phase":"\\u003c\\u0026\\u003e"}}]}\n`,
  );
});

test('an empty LIST has empty items, also in a namespace that does not exist', async () => {
  const answer = await get('/api/v1/namespaces/none/pods');
  assert.equal(answer.code, 200);
  assert.match(
    answer.body,
    /^\{"kind":"PodList","apiVersion":"v1","metadata":\{"resourceVersion":"\d+"\},"items":\[\]\}\n$/,
  );
});

test('GET as JSON', async () => {
  const answer = await get('/api/v1/namespaces/a/pods/p%30');
  assert.equal(answer.body, `{"kind":"Pod","apiVersion":"v1",${P0},${REST},"status":{"phase":"Running"}}\n`);
});

test('pretty JSON is the same document, two spaces a level, without a newline', async () => {
  for (const url of ['/api/v1/pods', '/api/v1/namespaces/a/pods/p0', '/api/v1/namespaces/none/pods']) {
    const compact = await get(url);
    const pretty = await get(`${url}?pretty=1`);
    const text = JSON.stringify(JSON.parse(compact.body), undefined, 2);
    assert.equal(pretty.body, text.replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026'));
    assert.equal((await get(url, undefined, { 'user-agent': 'curl/8.5.0' })).body, pretty.body);
  }
});

test('LIST as protobuf decodes to the same objects, and its length is known', async () => {
  for (const url of ['/api/v1/pods', '/api/v1/pods?limit=1', '/api/v1/namespaces/none/pods']) {
    const answer = await get(url, PROTOBUF);
    assert.equal(answer.headers['content-type'], PROTOBUF);
    assert.equal(answer.headers['content-length'], String(answer.bytes.length));
    const { kind, apiVersion, raw } = openEnvelope(answer.bytes);
    assert.equal(`${apiVersion} ${kind}`, 'v1 PodList');
    // No element is no field in protobuf, and a nil slice when decoded.
    const json = withoutTypeMeta((await get(url)).body).replace('"items":[]', '"items":null');
    assert.equal(messageToJson('k8s.io.api.core.v1.PodList', raw), json);
  }
});

test('GET as protobuf', async () => {
  const answer = await get('/api/v1/namespaces/a/pods/p0', PROTOBUF);
  const { kind, apiVersion, raw } = openEnvelope(answer.bytes);
  assert.equal(`${apiVersion} ${kind}`, 'v1 Pod');
  assert.equal(
    messageToJson('k8s.io.api.core.v1.Pod', raw),
    withoutTypeMeta((await get('/api/v1/namespaces/a/pods/p0')).body),
  );
});

test('YAML is the same document with sorted keys', async () => {
  for (const url of ['/api/v1/pods?limit=1', '/api/v1/namespaces/none/pods', '/api/v1/namespaces/b/pods/p1']) {
    const answer = await get(url, 'application/yaml');
    assert.equal(answer.headers['content-type'], 'application/yaml');
    assert.deepEqual(parseYaml(answer.body), JSON.parse((await get(url)).body));
    const keys = [...answer.body.matchAll(/^([a-zA-Z]+):/gm)].map(([, key]) => key);
    assert.deepEqual(keys, [...keys].sort());
  }
});

test('64-bit integers stay exact in JSON and YAML', async () => {
  const url = '/apis/apps/v1/namespaces/a/deployments/d';
  assert.match((await get(url)).body, /"observedGeneration":9007199254740993[,}]/);
  assert.match((await get(url, 'application/yaml')).body, /observedGeneration: 9007199254740993\n/);
});

test('metadata only, as JSON', async () => {
  const list = await get('/api/v1/pods', `application/json${PARTIAL_LIST}`);
  const item = (metadata: string) => `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",${metadata}}`;
  assert.equal(
    list.body,
    '{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"6"},' +
      `"items":[${item(P0)},${item(P1)}]}\n`,
  );
  const one = await get('/api/v1/namespaces/a/pods/p0', `application/json${PARTIAL}`);
  assert.equal(one.body, `${item(P0)}\n`);
});

test('metadata only, as protobuf', async () => {
  const META = 'k8s.io.apimachinery.pkg.apis.meta.v1';
  const list = await get('/api/v1/pods?limit=1', `${PROTOBUF}${PARTIAL_LIST}`);
  assert.equal(list.headers['content-length'], String(list.bytes.length));
  const opened = openEnvelope(list.bytes);
  assert.equal(`${opened.apiVersion} ${opened.kind}`, 'meta.k8s.io/v1 PartialObjectMetadataList');
  const json = JSON.parse(messageToJson(`${META}.PartialObjectMetadataList`, opened.raw)) as Partials;
  const want = JSON.parse((await get('/api/v1/pods?limit=1', `application/json${PARTIAL_LIST}`)).body) as Partials;
  assert.deepEqual(json.metadata, want.metadata);
  assert.deepEqual(
    json.items.map(({ metadata }) => metadata),
    want.items.map(({ metadata }) => metadata),
  );
  const one = openEnvelope((await get('/api/v1/namespaces/a/pods/p0', `${PROTOBUF}${PARTIAL}`)).bytes);
  assert.equal(`${one.apiVersion} ${one.kind}`, 'meta.k8s.io/v1 PartialObjectMetadata');
  assert.equal(messageToJson(`${META}.PartialObjectMetadata`, one.raw), `{${P0}}`);
});

interface Partials {
  readonly metadata: unknown;
  readonly items: readonly { readonly metadata: unknown }[];
}

interface Table {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: Record<string, unknown>;
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: Record<string, unknown> | null }[];
}

test('LIST as Table', async () => {
  const answer = await get('/api/v1/pods?limit=1', `${TABLE},application/json`);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.ok(
    answer.body.startsWith(
      '{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"6","continue":"',
    ),
  );
  const table = JSON.parse(answer.body) as Table;
  assert.equal(table.metadata['remainingItemCount'], 1);
  assert.deepEqual(
    table.columnDefinitions.slice(0, 4).map(({ name }) => name),
    ['Name', 'Ready', 'Status', 'Restarts'],
  );
  assert.deepEqual(table.rows[0]!.cells.slice(0, 3), ['p0', '0/1', 'Running']);
  assert.deepEqual(Object.keys(table.rows[0]!.object!), ['kind', 'apiVersion', 'metadata']);
  assert.match(answer.body, /"cells":\["p0","0\/1","Running".*"\\u003cnone\\u003e"/);
});

test('includeObject decides what a row carries', async () => {
  const row = async (query: string, version = 'v1') => {
    const accept = TABLE.replace('v=v1', `v=${version}`);
    return (JSON.parse((await get(`/api/v1/pods?limit=1${query}`, accept)).body) as Table).rows[0]!.object;
  };
  assert.equal((await row(''))!['kind'], 'PartialObjectMetadata');
  assert.equal((await row('&includeObject=Metadata', 'v1beta1'))!['apiVersion'], 'meta.k8s.io/v1beta1');
  assert.equal((await row('&includeObject=Object'))!['kind'], 'Pod');
  assert.equal(await row('&includeObject=None'), null);
  const wrong = await get('/api/v1/pods?includeObject=Foo', `${TABLE},application/json`);
  assert.equal(wrong.code, 400);
  assert.equal(
    (JSON.parse(wrong.body) as { message: string }).message,
    "Unable to convert to Table as requested: includeObject: Invalid value: \"Foo\": must be 'Metadata', 'Object', 'None', or empty",
  );
});

test('GET as Table has one row and the resourceVersion of the object', async () => {
  const table = JSON.parse((await get('/api/v1/namespaces/a/pods/p0', TABLE)).body) as Table;
  assert.deepEqual(table.metadata, { resourceVersion: '2' });
  assert.equal(table.rows.length, 1);
});

test('an empty Table has empty rows', async () => {
  assert.match((await get('/api/v1/namespaces/none/pods', TABLE)).body, /"rows":\[\]\}\n$/);
});

test('a Table as YAML is the same Table', async () => {
  const yaml = await get('/api/v1/pods', TABLE.replace('json', 'yaml'));
  const json = await get('/api/v1/pods', TABLE);
  assert.deepEqual(parseYaml(yaml.body), JSON.parse(json.body));
});

test('scale and status', async () => {
  const url = '/apis/apps/v1/namespaces/a/deployments/d';
  assert.equal(
    (await get(`${url}/scale`)).body,
    '{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"d","namespace":"a","uid":"u","resourceVersion":"5",' +
      '"creationTimestamp":"2026-01-02T03:04:05Z"},"spec":{"replicas":2},"status":{"replicas":1,"selector":"x=y"}}\n',
  );
  const { apiVersion, kind, raw } = openEnvelope((await get(`${url}/scale`, PROTOBUF)).bytes);
  assert.equal(`${apiVersion} ${kind}`, 'autoscaling/v1 Scale');
  assert.match(messageToJson('k8s.io.api.autoscaling.v1.Scale', raw), /"spec":\{"replicas":2\}/);
  assert.equal((await get(`${url}/status`)).body, (await get(url)).body);
});

test('a Scale as a Table, and as metadata alone', async () => {
  const url = '/apis/apps/v1/namespaces/a/deployments/d/scale';
  interface Table {
    readonly metadata: object;
    readonly columnDefinitions: readonly { readonly name: string; readonly type: string; readonly format: string }[];
    readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: unknown }[];
  }
  const tableOf = async (query = '') => JSON.parse((await get(`${url}${query}`, TABLE)).body) as Table;
  const { metadata, columnDefinitions, rows } = await tableOf();
  assert.deepEqual(metadata, { resourceVersion: '5' });
  assert.deepEqual(
    columnDefinitions.map(({ name, type, format }) => `${name} ${type} ${format}`),
    ['Name string name', 'Desired integer ', 'Available integer ', 'Age string '],
  );
  assert.deepEqual(rows[0]!.cells.slice(0, 3), ['d', 2, 1]);
  assert.match(String(rows[0]!.cells[3]), /^\d+[smhdy]/);
  const { apiVersion, kind, metadata: own } = JSON.parse((await get(url)).body) as Record<string, unknown>;
  assert.deepEqual([apiVersion, kind], ['autoscaling/v1', 'Scale']);
  const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: own };
  assert.deepEqual(rows[0]!.object, partial);
  assert.equal((await tableOf('?includeObject=None')).rows[0]!.object, null);
  const whole = (await tableOf('?includeObject=Object')).rows[0]!.object;
  assert.deepEqual(whole, JSON.parse((await get(url)).body));
  const as = (form: string) => `application/json;as=${form};v=v1;g=meta.k8s.io`;
  assert.deepEqual(JSON.parse((await get(url, as('PartialObjectMetadata'))).body), partial);
  const list = await get(url, as('PartialObjectMetadataList'));
  assert.equal(list.code, 406);
  assert.match(list.body, /requested object is not a list \(\*autoscaling\.Scale\)/);
});

test('a deprecated kind carries a Warning', async () => {
  const answer = await get('/api/v1/endpoints');
  assert.equal(
    answer.headers['warning'],
    '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"',
  );
  assert.equal((await get('/api/v1/pods')).headers['warning'], undefined);
});

test('Audit-Id is the request’s, or random; nothing may be cached', async () => {
  const given = await get('/api/v1/pods', undefined, { 'audit-id': 'mine' });
  assert.equal(given.headers['audit-id'], 'mine');
  assert.equal(given.headers['cache-control'], 'no-cache, private');
  assert.match(String((await get('/api/v1/pods')).headers['audit-id']), /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
});

test('gzip above 128 KiB only, for whoever names it', async () => {
  const big = 'x'.repeat(200_000);
  await serving.put('configmaps', { metadata: { name: 'big', namespace: 'z', uid: 'u' }, data: { big } });
  const url = '/api/v1/namespaces/z/configmaps';
  for (const path of [url, `${url}/big`]) {
    const plain = await get(path);
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(plain.headers['vary'], undefined);
    for (const accept of ['application/json', PROTOBUF]) {
      const zipped = await get(path, accept, { 'accept-encoding': 'deflate, gzip' });
      assert.equal(zipped.headers['content-encoding'], 'gzip');
      assert.equal(zipped.headers['vary'], 'Accept-Encoding');
      assert.ok(zipped.bytes.length < 10_000);
      assert.deepEqual(gunzipSync(zipped.bytes), (await get(path, accept)).bytes);
    }
  }
  const small = await get('/api/v1/pods', undefined, { 'accept-encoding': 'gzip' });
  assert.equal(small.headers['content-encoding'], undefined);
});

function openEnvelope(bytes: Buffer): { apiVersion: string; kind: string; raw: Uint8Array } {
  assert.equal(bytes.toString('latin1', 0, 4), 'k8s\0');
  const fields = new Map<number, Uint8Array>();
  for (const [number, value] of fieldsOf(bytes.subarray(4))) fields.set(number, value);
  assert.deepEqual([...fields.keys()], [1, 2, 3, 4]);
  const typeMeta = new Map(fieldsOf(fields.get(1)!));
  const text = (number: number) => Buffer.from(typeMeta.get(number)!).toString();
  return { apiVersion: text(1), kind: text(2), raw: fields.get(2)! };
}

/** Length-delimited fields only. */
function fieldsOf(bytes: Uint8Array): [number, Uint8Array][] {
  const fields: [number, Uint8Array][] = [];
  for (let at = 0; at < bytes.length; ) {
    const number = bytes[at++]! >> 3;
    let length = 0;
    for (let shift = 1, more = true; more; shift *= 128) {
      const byte = bytes[at++]!;
      length += (byte & 127) * shift;
      more = byte > 127;
    }
    fields.push([number, bytes.subarray(at, at + length)]);
    at += length;
  }
  return fields;
}

/** The transcoder writes kind and apiVersion only of messages inside others: the envelope has the outer ones. */
function withoutTypeMeta(json: string): string {
  return json.replace(/^\{"kind":"[^"]*","apiVersion":"[^"]*",/, '{').trimEnd();
}

test('GET of an object that stays large when compressed: compressed once', async () => {
  const random = seededRandom(5);
  const noise = random.hex(700_000);
  await serving.put('configmaps', { metadata: { name: 'noise', namespace: 'a', uid: 'u' }, data: { noise } });
  const answer = await get('/api/v1/namespaces/a/configmaps/noise', 'application/json', { 'accept-encoding': 'gzip' });
  assert.equal(answer.headers['content-encoding'], 'gzip');
  const object = JSON.parse(gunzipSync(answer.bytes).toString('utf8')) as { data: { noise: string } };
  assert.equal(object.data.noise, noise);
});
