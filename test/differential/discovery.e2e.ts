import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Apiextensions, CRDS, startApiextensions } from '../support/apiextensions.js';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type Answer, documentHeaders, send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';

// Discovery of a group of CRDs, as k8s.io/apiserver negotiates it. apiextensions-apiserver alone has no /apis: that is the aggregator's.

const V2 = 'g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
let etcd: Etcd;
let theirs: Apiextensions;
let ours: RunningServer;

const version = (name: string, storage: boolean) => ({
  name,
  served: true,
  storage,
  schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object' }, status: { type: 'object' } } } },
  ...(storage
    ? { subresources: { status: {}, scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' } } }
    : {}),
});
const crd = (group: string, plural: string, kind: string, versions: readonly object[], more: object = {}) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.${group}` },
  spec: { group, scope: 'Namespaced', names: { plural, kind, singular: kind.toLowerCase(), ...more }, versions },
});

before(async () => {
  etcd = await startEtcd();
  theirs = await startApiextensions(etcd.endpoint);
  const many = ['v1', 'v2', 'v10', 'v1beta1', 'v1alpha2', 'v2beta1', 'other'].map((name) =>
    version(name, name === 'v1'),
  );
  await theirs.write('POST', CRDS, crd('ex.io', 'foos', 'Foo', many, { shortNames: ['f', 'fo'], categories: ['all'] }));
  await theirs.write('POST', CRDS, crd('ex.io', 'bars', 'Bar', [version('v1', true)]));
  ours = await startServer(['--etcd-servers', etcd.endpoint]);
  await eventually('the group is served', async () =>
    (await Promise.all(['/apis/ex.io', '/apis/ex.io/v1'].map((path) => ask(path))))
      .flat()
      .every(({ status }) => status === 200),
  );
});
after(async () => {
  await ours?.stop();
  await theirs?.stop();
  await etcd?.stop();
});

const ask = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  Promise.all([send(theirs.url, { path, headers }), send(ours.secureUrl, { path, headers })]);
const headersOf = (answer: Answer) => documentHeaders(answer, ['content-type', 'vary', 'cache-control']);

const accepts = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'text/plain',
  '*/*',
  `application/json;${V2}`,
  `application/yaml;${V2}`,
  `application/vnd.kubernetes.protobuf;${V2}`,
  `application/cbor;${V2}`,
  `application/json;${V2};profile=nopeer`,
  `application/json;${V2.replace('v2', 'v2beta1')}`,
  `application/json;${V2.replace('v2', 'v2beta1')},application/json`,
  `application/json;${V2.replace('v2', 'v3')},application/json;${V2}`,
  `application/json,application/json;${V2}`,
  `application/json;${V2},application/json`,
  `application/json;${V2.replace('APIGroupDiscoveryList', 'Table')}`,
  'application/json;as=APIGroupDiscoveryList',
  'application/*',
  `application/json;q=0.1,application/json;${V2};q=0.9`,
];
for (const path of ['/apis/ex.io', '/apis/ex.io/v1', '/apis/ex.io/v9']) {
  for (const accept of accepts) {
    test(`${path} as ${accept}`, async () => {
      const [want, got] = await ask(path, { accept });
      assert.deepEqual(headersOf(got), headersOf(want));
      if (want.status >= 400) assert.equal(got.body.toString('latin1'), want.body.toString('latin1'));
    });
  }
}

test('the versions of a group in their order', async () => {
  const [want, got] = await ask('/apis/ex.io', { accept: 'application/json' });
  assert.equal(got.body.toString(), want.body.toString());
  assert.equal((JSON.parse(want.body.toString()) as { versions: object[] }).versions.length, 7);
});
