import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, namesOf, openWatch } from '../robustness/client.js';
import { configMap, configMapKey } from '../robustness/objects.js';
import { eventually } from '../support/command.js';
import { startEtcd } from '../support/etcd.js';
import { etcdKv } from '../support/etcd-kv.js';
import { startServer } from '../support/server.js';
import { encryptGcm, fileOf, gcm, IDENTITY } from './objects.js';

test('encrypted values are listed and watched, and are not written to checkpoints', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'encryption-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  await using etcd = await startEtcd();
  const kv = etcdKv(etcd.endpoint);
  const file = join(folder, 'encryption.json');
  writeFileSync(file, fileOf('configmaps', [gcm('k'), IDENTITY]));
  const put = async (name: string, keyName = 'k') => {
    const key = configMapKey('d', name);
    return kv.put(key, encryptGcm(key, configMap('d', name), keyName));
  };
  await kv.put(configMapKey('d', 'plain'), configMap('d', 'plain'));
  const revision = await put('one');
  const cache = join(folder, 'cache');
  const server = await startServer([
    '--etcd-servers',
    etcd.endpoint,
    '--encryption-provider-config',
    file,
    '--cache-dir',
    cache,
  ]);
  const { url } = server;
  assert.deepEqual(namesOf(await ask(url, '/api/v1/configmaps')), ['one', 'plain']);
  assert.deepEqual(namesOf(await ask(url, '/api/v1/configmaps?limit=1')), ['one']);
  const watch = await openWatch(url, `/api/v1/configmaps?watch=1&resourceVersion=${revision}`);
  await put('two');
  await eventually('the change is seen', () => watch.events.length === 1);
  assert.equal(watch.events[0]!.object.metadata.name, 'two');
  watch.close();
  await put('lost', 'another');
  await eventually('the value without a key fails its kind', async () => {
    const { status, body } = await ask(url, '/api/v1/configmaps');
    return status === 500 && body.toString().includes('no matching key was found for the provided AES transformer');
  });
  assert.equal((await ask(url, '/api/v1/namespaces')).status, 200);
  await server.stop();
  for (const name of readdirSync(cache)) assert.ok(!readFileSync(join(cache, name)).includes('one'), name);
});
