import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, listOf, namesOf, openWatch } from '../robustness/client.js';
import { configMap, configMapKey } from '../robustness/objects.js';
import { eventually } from '../support/command.js';
import { startEtcd } from '../support/etcd.js';
import { etcdKv } from '../support/etcd-kv.js';
import { startServer } from '../support/server.js';

const FOOS = '/apis/ex.io/v1/foos';
const NAMESPACE = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'n' } });

/** As kube-apiserver stores it: v1beta1, and what all versions share at the top. */
const CRD = JSON.stringify({
  apiVersion: 'apiextensions.k8s.io/v1beta1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'foos.ex.io' },
  spec: {
    group: 'ex.io',
    names: { kind: 'Foo', listKind: 'FooList', plural: 'foos', singular: 'foo' },
    preserveUnknownFields: false,
    scope: 'Cluster',
    validation: {
      openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties: { a: {} } } } },
    },
    version: 'v1',
    versions: [{ name: 'v1', served: true, storage: true }],
  },
  status: {
    acceptedNames: { kind: 'Foo', listKind: 'FooList', plural: 'foos', singular: 'foo' },
    conditions: [{ type: 'Established', status: 'True', lastTransitionTime: '2026-01-02T03:04:05Z' }],
    storedVersions: ['v1'],
  },
});

test('an overridden resource is read from its own etcd, by its own revisions', async (context) => {
  await using main = await startEtcd();
  await using other = await startEtcd();
  const [mainKv, otherKv] = [etcdKv(main.endpoint), etcdKv(other.endpoint)];
  await mainKv.put(configMapKey('d', 'not-here'), configMap('d', 'not-here'));
  for (let count = 0; count < 5; count++) await mainKv.put('/registry/namespaces/n', NAMESPACE);
  const revision = await otherKv.put(configMapKey('d', 'here'), configMap('d', 'here'));
  const overrides = `/configmaps#${other.endpoint};${other.endpoint}`;
  const server = await startServer(['--etcd-servers', main.endpoint, '--etcd-servers-overrides', overrides]);
  context.after(() => server.stop());
  const { url } = server;
  const listed = await ask(url, '/api/v1/configmaps');
  assert.deepEqual(namesOf(listed), ['here']);
  assert.equal(listOf(listed).metadata.resourceVersion, String(revision));
  assert.deepEqual(namesOf(await ask(url, '/api/v1/namespaces')), ['n']);
  const watch = await openWatch(url, `/api/v1/configmaps?watch=1&resourceVersion=${revision}`);
  await otherKv.put(configMapKey('d', 'later'), configMap('d', 'later'));
  await eventually('the change is seen', () => watch.events.length === 1);
  assert.equal(watch.events[0]!.object.metadata.resourceVersion, String(revision + 1));
  watch.close();
  await other.kill();
  assert.deepEqual(namesOf(await ask(url, '/api/v1/namespaces')), ['n']);
  assert.equal((await ask(url, '/readyz', 15_000)).status, 500);
});

test('CRDs of a real etcd, stored as v1beta1: a kind comes and goes', async (context) => {
  await using etcd = await startEtcd();
  const kv = etcdKv(etcd.endpoint);
  const server = await startServer(['--etcd-servers', etcd.endpoint]);
  context.after(() => server.stop());
  const { url } = server;
  await eventually('the server knows the kinds', async () => (await ask(url, '/readyz')).status === 200);
  assert.equal((await ask(url, FOOS)).status, 404);
  await kv.put(
    '/registry/ex.io/foos/f',
    '{"apiVersion":"ex.io/v1","kind":"Foo","metadata":{"name":"f"},"spec":{"a":1,"b":2}}\n',
  );
  await kv.put('/registry/apiextensions.k8s.io/customresourcedefinitions/foos.ex.io', CRD);
  await eventually('the kind is there', async () => (await ask(url, FOOS)).status === 200);
  const { body } = await ask(url, `${FOOS}/f`);
  assert.match(body.toString(), /"name":"f","resourceVersion":"\d+"\},"spec":\{"a":1\}\}\n$/);
  await kv.delete('/registry/apiextensions.k8s.io/customresourcedefinitions/foos.ex.io');
  await eventually('the kind is gone', async () => (await ask(url, FOOS)).status === 404);
});
