import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../support/command.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';

// What kube-apiserver encrypts with each of its providers, listwatch reads with the same file. Rotations of keys, and plugins, are
// held by test/peer.

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets';
let world: ControlPlane;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listwatch-encryption-'));
  const file = join(folder, 'encryption.json');
  const keys = [1, 2].map((number) => ({ name: `key${number}`, secret: randomBytes(32).toString('base64') }));
  const resources = [
    { resources: ['secrets'], providers: [{ aescbc: { keys } }, { identity: {} }] },
    { resources: ['configmaps', 'widgets.example.com'], providers: [{ secretbox: { keys } }, { identity: {} }] },
    { resources: ['serviceaccounts'], providers: [{ identity: {} }, { aesgcm: { keys } }] },
    { resources: ['*.apps', '*.'], providers: [{ aesgcm: { keys } }, { identity: {} }] },
    { resources: ['*.*'], providers: [{ aescbc: { keys: keys.slice(1) } }, { identity: {} }] },
  ];
  const configuration = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'EncryptionConfiguration', resources };
  await writeFile(file, JSON.stringify(configuration));
  const flags = ['--encryption-provider-config', file];
  world = await startControlPlane({ apiserver: flags, listwatch: flags });
});
after(async () => {
  await world?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('every provider, wildcards and custom resources', async () => {
  const namespaced = '/api/v1/namespaces/default';
  const metadata = { name: 'x' };
  await world.write('POST', `${namespaced}/secrets`, { metadata, data: { a: 'Yg==' } });
  await world.write('POST', `${namespaced}/configmaps`, { metadata, data: { a: 'b' } });
  await world.write('POST', `${namespaced}/serviceaccounts`, { metadata });
  await world.write('POST', `${namespaced}/services`, { metadata, spec: { ports: [{ port: 80 }] } });
  await world.write('POST', '/apis/apps/v1/namespaces/default/deployments', {
    metadata,
    spec: {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  });
  await world.write('POST', '/apis/storage.k8s.io/v1/storageclasses', { metadata, provisioner: 'p' });
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  await world.write('POST', CRDS, {
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ name: 'v1', served: true, storage: true, schema }],
    },
  });
  await eventually('widgets are served', async () => (await world.ask(WIDGETS)).every(({ status }) => status === 200));
  await world.write('POST', WIDGETS, { apiVersion: 'example.com/v1', kind: 'Widget', metadata, spec: { a: 1 } });
  for (const path of [
    ...['secrets', 'configmaps', 'serviceaccounts', 'services'].map((resource) => `${namespaced}/${resource}`),
    ...['/apis/apps/v1/namespaces/default/deployments', '/apis/storage.k8s.io/v1/storageclasses', CRDS, WIDGETS],
    '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ]) {
    const [theirs, ours] = await world.ask(path);
    type List = { readonly items: readonly object[] };
    const itemsOf = ({ body }: { readonly body: Buffer }) => (JSON.parse(body.toString()) as List).items;
    assert.deepEqual([ours.status, theirs.status], [200, 200], path);
    assert.ok(itemsOf(theirs).length > 0, path);
    assert.deepEqual(itemsOf(ours), itemsOf(theirs), path);
  }
});
