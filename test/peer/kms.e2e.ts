import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask, metric, namesOf, openWatch, statusOf } from '../robustness/client.js';
import { configMap } from '../robustness/objects.js';
import { eventually } from '../support/command.js';
import { etcdKv } from '../support/etcd-kv.js';
import { spawnServer, startServer } from '../support/server.js';
import { EncryptionWorld, IDENTITY, keyed, type RunningPlugin, secret } from './encryption-world.js';

// KMS v2: what Kubernetes' own envelope transformer wrote is read through a plugin over k8s.io/kms's own gRPC service.

let world: EncryptionWorld;
const plugins: RunningPlugin[] = [];
before(async () => {
  world = await EncryptionWorld.start();
});
after(async () => {
  for (const plugin of plugins) await plugin.stop();
  await world?.stop();
});

const socketOf = (name: string) => join(world.folder, `${name}.sock`);
const kms = (name: string, socket = name, timeout = '3s') => ({
  kms: { apiVersion: 'v2', name, endpoint: `unix://${socketOf(socket)}`, timeout },
});

async function plugin(socket: string, keyIds: readonly string[], ...flags: string[]): Promise<RunningPlugin> {
  const started = await world.startPlugin(socketOf(socket), keyIds, ...flags);
  plugins.push(started);
  return started;
}

/** Secrets below the prefix, by a process of its own: so with a seed of its own. */
function write(prefix: string, provider: object, ...names: string[]) {
  const put = names.map((name) => ({ key: `${prefix}/secrets/d/${name}`, object: secret(name) }));
  return world.goes([{ configuration: world.configuration([provider]), put }]);
}

test('every state of a rotation of keys, providers and forms is read as Go reads it', async () => {
  let running: RunningPlugin | undefined;
  const keys =
    (...ids: string[]) =>
    async () => {
      await running?.stop();
      running = await plugin('a', ids);
    };
  await plugin('b', ['b1']);
  const [a, b, gcm] = [kms('a'), kms('b'), keyed('aesgcm', 32, 'k')];
  await world.checkRotation('/kms', [
    { name: 'identity', providers: [IDENTITY, a], writes: 'plain', prepare: keys('1') },
    { name: 'one key', providers: [a, IDENTITY], writes: 'seed' },
    { name: 'as before 1.29', providers: [a, IDENTITY], writes: 'key', dataKeys: 'a' },
    { name: 'the plugin has a new key', providers: [a, IDENTITY], writes: 'new', prepare: keys('2', '1') },
    { name: 'another provider writes', providers: [b, a, IDENTITY], writes: 'b' },
    { name: 'a key in the file writes', providers: [gcm, b, a, IDENTITY], writes: 'gcm' },
    { name: 'identity comes first', providers: [IDENTITY, a, b, gcm] },
    { name: 'a provider is gone', providers: [gcm, a, IDENTITY] },
    { name: 'a provider has another name', providers: [gcm, b, kms('c', 'a'), IDENTITY] },
    { name: 'the plugin has lost the old key', providers: [gcm, b, a, IDENTITY], prepare: keys('2') },
    { name: 'all providers are gone', providers: [gcm, IDENTITY] },
  ]);
});

test('a plugin is asked once for all values of a data key', async () => {
  const writer = await plugin('many', ['1']);
  const provider = kms('many');
  const names = Array.from({ length: 2_000 }, (_, index) => `s${String(index).padStart(4, '0')}`);
  await write('/many', provider, ...names.slice(0, 1_000));
  await write('/many', provider, ...names.slice(1_000));
  const before = writer.calls().length;
  const server = await startServer(world.flags(world.configuration([provider]), '/many'));
  assert.deepEqual(namesOf(await ask(server.url, '/api/v1/secrets')), names);
  const asked = writer.calls().slice(before);
  assert.equal(asked.filter(({ method }) => method === 'Decrypt').length, 2, 'two seeds');
  const sizes = await metric(server.url, 'apiserver_envelope_encryption_dek_source_cache_size');
  assert.deepEqual([...sizes], [['{provider_name="many"}', 2]]);
  const calls = await metric(server.url, 'apiserver_envelope_encryption_kms_operations_latency_seconds_count');
  assert.equal(
    calls.get('{provider_name="many",method_name="/v2.KeyManagementService/Decrypt",grpc_status_code="OK"}'),
    2,
  );
  await server.stop();
});

test('a plugin may be away, at the start and later: its values fail with the reason, all else is served, and it heals by itself', async () => {
  const [provider, elsewhere] = [kms('away', 'away', '500ms'), kms('away', 'elsewhere')];
  const kv = etcdKv(world.etcd.endpoint);
  await plugin('elsewhere', ['1']);
  await write('/away', elsewhere, 'one');
  await kv.put('/away/configmaps/d/c', configMap('d', 'c'));
  await kv.put('/away/secrets/d/plain', JSON.stringify(secret('plain')));
  const server = await spawnServer(world.flags(world.configuration([provider, IDENTITY]), '/away'));
  const { url } = server;
  const status = async (path: string) => (await ask(url, path)).status;
  await eventually('it serves', async () => (await status('/livez')) === 200);
  assert.deepEqual(namesOf(await ask(url, '/api/v1/configmaps')), ['c']);
  const lost = await ask(url, '/api/v1/namespaces/d/secrets/one');
  assert.equal(lost.status, 500);
  assert.match(
    statusOf(lost).message,
    /failed to decrypt DEK, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded: the plugin at unix:.*away\.sock cannot be reached$/,
  );
  assert.equal(await status('/api/v1/secrets'), 500);
  assert.equal(await status('/api/v1/namespaces/d/secrets/plain'), 200);
  assert.equal(await status('/readyz'), 500);
  assert.equal(await status('/healthz'), 500);
  const check = await ask(url, '/readyz/kms-providers');
  assert.equal(check.status, 500);
  assert.match(
    check.body.toString(),
    /kms-provider-0: failed to perform status section of the healthz check for KMS Provider away/,
  );

  let running = await plugin('away', ['1']);
  await eventually('it is read', async () => (await status('/api/v1/secrets')) === 200);
  assert.deepEqual(namesOf(await ask(url, '/api/v1/secrets')), ['one', 'plain']);
  await eventually('it is ready', async () => (await status('/readyz')) === 200);

  await running.stop();
  await write('/away', elsewhere, 'two');
  await eventually('its value fails', async () => (await status('/api/v1/namespaces/d/secrets/two')) === 500);
  assert.equal(await status('/api/v1/namespaces/d/secrets/one'), 200, 'its key is known');
  assert.equal(await status('/api/v1/secrets'), 500);
  assert.equal(await status('/api/v1/configmaps'), 200);
  running = await plugin('away', ['1']);
  await eventually('it is read', async () => (await status('/api/v1/secrets')) === 200);
  assert.deepEqual(namesOf(await ask(url, '/api/v1/secrets')), ['one', 'plain', 'two']);
  await server.stop();
  assert.doesNotMatch(server.stderr(), /hunter2|KEK|uncaught/i);
});

test('when a plugin opens everything and starts last, every kind is there once it is', async () => {
  const provider = kms('all', 'all', '500ms');
  const writer = await plugin('all', ['1']);
  const file = world.configuration([provider, IDENTITY], '*.*');
  const metadata = { name: 'n', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' };
  const objects = [
    ['namespaces', 'n', { apiVersion: 'v1', kind: 'Namespace', metadata }],
    ['configmaps', 'd/n', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...metadata, namespace: 'd' } }],
    ['secrets', 'd/n', secret('n')],
    [
      'leases',
      'd/n',
      { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { ...metadata, namespace: 'd' } },
    ],
  ] as const;
  await world.goes(
    objects.map(([resource, name, object]) => ({
      configuration: file,
      resource: resource === 'leases' ? 'leases.coordination.k8s.io' : resource,
      put: [{ key: `/all/${resource}/${name}`, object }],
    })),
  );
  await writer.stop();
  const server = await spawnServer([...world.flags(file, '/all'), '--watch-cache-initialization=eager']);
  const paths = ['/api/v1/namespaces', '/api/v1/configmaps', '/api/v1/secrets', '/apis/coordination.k8s.io/v1/leases'];
  await eventually('it serves', async () => (await ask(server.url, '/livez')).status === 200);
  await eventually(
    'caches are filled',
    async () => (await ask(server.url, '/readyz/poststarthook/storage-readiness')).status === 200,
  );
  for (const path of paths) assert.equal((await ask(server.url, path)).status, 500, path);
  await plugin('all', ['1']);
  await eventually('it is ready', async () => (await ask(server.url, '/readyz')).status === 200);
  for (const path of paths) {
    await eventually(`${path} is read`, async () => (await ask(server.url, path)).status === 200);
    assert.deepEqual(namesOf(await ask(server.url, path)), ['n'], path);
  }
  await server.stop();
});

test('while a slow plugin is waited for, events of the kind keep their order and others do not wait', async () => {
  await plugin('slow', ['1'], '-delay', '1500ms');
  await plugin('quick', ['1']);
  const [provider, quick] = [kms('slow'), kms('slow', 'quick')];
  const kv = etcdKv(world.etcd.endpoint);
  await kv.put('/slow/secrets/d/plain', JSON.stringify(secret('plain')));
  const server = await startServer(world.flags(world.configuration([provider, IDENTITY]), '/slow'));
  assert.deepEqual(namesOf(await ask(server.url, '/api/v1/secrets')), ['plain']);
  const revision = await kv.revision();
  const path = (resource: string) => `/api/v1/${resource}?watch=1&resourceVersion=${revision}`;
  const [secrets, configMaps] = [
    await openWatch(server.url, path('secrets')),
    await openWatch(server.url, path('configmaps')),
  ];
  await write('/slow', quick, 'a', 'b');
  await kv.put('/slow/secrets/d/c', JSON.stringify(secret('c')));
  await kv.delete('/slow/secrets/d/plain');
  await kv.put('/slow/configmaps/d/c', configMap('d', 'c'));
  await eventually('the other kind is seen', () => configMaps.events.length === 1);
  assert.equal(secrets.events.length, 0, 'the plugin is still at it');
  await eventually('all is seen', () => secrets.events.length === 4);
  assert.deepEqual(
    secrets.events.map(({ type, object }) => `${type} ${object.metadata.name}`),
    ['ADDED a', 'ADDED b', 'ADDED c', 'DELETED plain'],
  );
  secrets.close();
  configMaps.close();
  await server.stop();
});
