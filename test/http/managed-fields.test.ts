import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openRaw } from './client.js';
import { pod, type Serving, startServing } from './serving.js';

const managers = ['kubelet', 'kube-controller-manager'].map((manager) => ({
  manager,
  operation: 'Update',
  apiVersion: 'v1',
  time: '2026-01-02T03:04:05Z',
  fieldsType: 'FieldsV1',
  fieldsV1: { 'f:metadata': { [`f:${manager}`]: {} } },
}));

// The same history twice: once with managed fields, once without.
let full: Serving;
let bare: Serving;
before(async () => {
  full = startServing();
  bare = startServing();
  for (const [serving, managedFields] of [
    [full, managers],
    [bare, undefined],
  ] as const) {
    await serving.server.inject({ url: '/api/v1/pods', headers: { host: 'localhost' } }); // the cache follows from here
    for (let index = 0; index < 150; index++) {
      const object = pod(`p${index}`);
      const metadata = { ...(object['metadata'] as object), managedFields };
      await serving.put('pods', { ...object, metadata });
    }
    await serving.remove('pods', 'default', 'p7');
  }
});
after(async () => {
  await full.close();
  await bare.close();
});

const PROTOBUF = 'application/vnd.kubernetes.protobuf';
const accepts = [
  'application/json',
  'application/yaml',
  PROTOBUF,
  'application/json;as=Table;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  `${PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io`,
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  `${PROTOBUF};as=PartialObjectMetadata;v=v1;g=meta.k8s.io`,
];
const pod3 = '/api/v1/namespaces/default/pods/p3';
const all = '/api/v1/pods?resourceVersion=0';

for (const accept of accepts) {
  const asList = accept.includes('List');
  const asObject = accept.includes('PartialObjectMetadata') && !asList;
  for (const url of [
    ...(asList ? [] : [pod3]),
    ...(asObject ? [] : [all, `${all}&limit=7`, `${all}&includeObject=Object`]),
  ]) {
    test(`${url} as ${accept} without managed fields`, async () => {
      const headers = { accept, host: 'localhost' };
      const want = await bare.server.inject({ url, headers });
      assert.equal(want.statusCode, 200);
      const asked = await full.server.inject({ url, headers: { ...headers, 'x-listwatch-omit-managed-fields': '1' } });
      assert.deepEqual([asked.statusCode, asked.headers['content-length']], [200, want.headers['content-length']]);
      // Pages end in a token that names the store's revision only: it is the same.
      assert.ok(asked.rawPayload.equals(want.rawPayload), asked.body.slice(0, 400));
      const parameter = `${url}${url.includes('?') ? '&' : '?'}listwatchOmitManagedFields=1`;
      assert.ok((await full.server.inject({ url: parameter, headers })).rawPayload.equals(want.rawPayload));
    });
  }
}

test('whoever does not ask gets them', async () => {
  const answer = await full.server.inject({ url: pod3, headers: { host: 'localhost' } });
  assert.match(answer.body, /"managedFields":\[\{"manager":"kubelet"/);
});

for (const accept of accepts.filter((one) => !one.includes('yaml') && !one.includes('List'))) {
  test(`a WATCH as ${accept} without managed fields`, async () => {
    const late = `late${puts++}`;
    const text = async (serving: Serving, managedFields: unknown, more: string) => {
      const { port } = await serving.server.listenInsecure('127.0.0.1', 0);
      const request = (headers: string) =>
        // The last changes, one of which deletes p7, are in the history of both.
        `GET /api/v1/pods?watch=1&resourceVersion=140 HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n${headers}\r\n`;
      // A watch of the same form that does not ask is there first: they must share no frames.
      const plain = await openRaw(port, request(''));
      await plain.until(/p7/);
      const asked = await openRaw(port, request(more));
      await asked.until(/p7/);
      const object = pod(late);
      await serving.put('pods', { ...object, metadata: { ...(object['metadata'] as object), managedFields } });
      await plain.until(new RegExp(late));
      await asked.until(new RegExp(late));
      for (const { socket } of [plain, asked]) socket.destroy();
      // Chunks are as the flushes fell.
      const events = (all: string) => all.slice(all.indexOf('\r\n\r\n')).replace(/\r\n([0-9a-f]+\r\n)?/g, '');
      return { plain: events(plain.text()), asked: events(asked.text()) };
    };
    const want = await text(bare, undefined, '');
    const got = await text(full, managers, 'X-Listwatch-Omit-Managed-Fields: 1\r\n');
    assert.equal(got.asked, want.asked);
    if (!accept.includes('Table')) assert.match(got.plain, /kubelet.*kubelet/s);
    assert.doesNotMatch(got.asked, /kubelet/);
  });
}

let puts = 0;
