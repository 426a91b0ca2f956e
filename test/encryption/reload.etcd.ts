import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer } from '../../src/app/compose.js';
import { resolveConfig } from '../../src/app/config.js';
import { createLog } from '../../src/app/log.js';
import { systemClock } from '../../src/lib/clock.js';
import { systemRandom } from '../../src/lib/random.js';
import { ask, metric, namesOf, openWatch, statusOf } from '../robustness/client.js';
import { configMap, configMapKey } from '../robustness/objects.js';
import { eventually, freePort } from '../support/command.js';
import { startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { TestDataKey, TestKmsPlugin } from '../support/kms-plugin.js';
import { encryptGcm, fileOf, gcm, IDENTITY } from './objects.js';

// The whole server, whose file is looked at every 50 ms instead of every minute.

interface World {
  readonly url: string;
  readonly kv: EtcdKv;
  /** Lines of the log. */
  readonly log: { readonly level: string; readonly message: string }[];
  /** At once: half a file would be looked at, too. */
  rewrite(text: string): void;
  /** Names of the ConfigMaps, or the text of the failure. */
  listed(): Promise<readonly string[] | string>;
  put(name: string, keyName: string): Promise<number>;
}

async function serve(context: TestContext, text: string): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'reload-'));
  const file = join(folder, 'encryption.yaml');
  writeFileSync(file, text);
  const etcd = await startEtcd();
  const [plain, secure] = [await freePort(), await freePort()];
  const config = resolveConfig(
    {
      'etcd-servers': etcd.endpoint,
      'encryption-provider-config': file,
      'encryption-provider-config-automatic-reload': true,
      'insecure-port': String(plain),
      'secure-port': String(secure),
      'cert-dir': folder,
    },
    {},
  );
  const log: { level: string; message: string }[] = [];
  const logger = createLog(1, 'json');
  for (const level of ['info', 'warn', 'error'] as const) {
    logger[level] = ((_fields: unknown, message: string) => void log.push({ level, message })) as typeof logger.info;
  }
  const server = await startServer(
    { ...config, limits: { ...config.limits, encryptionPollMs: 50 } },
    { clock: systemClock, random: systemRandom, log: logger, version: '0.0.0-test', reject() {} },
  );
  context.after(async () => {
    await server.stop();
    await etcd.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const kv = etcdKv(etcd.endpoint);
  const { url } = server.listening.insecure!;
  return {
    url,
    kv,
    log,
    rewrite(changed) {
      writeFileSync(`${file}.new`, changed);
      renameSync(`${file}.new`, file);
    },
    async listed() {
      const answer = await ask(url, '/api/v1/configmaps');
      return answer.status === 200 ? namesOf(answer) : statusOf(answer).message;
    },
    put: (name, keyName) => {
      const key = configMapKey('d', name);
      return kv.put(key, encryptGcm(key, configMap('d', name), keyName));
    },
  };
}

const reloads = async (url: string) => {
  const samples = await metric(url, 'apiserver_encryption_config_controller_automatic_reloads_total');
  const of = (status: string) => samples.get(`{status="${status}",apiserver_id_hash=""}`) ?? 0;
  return { success: of('success'), failure: of('failure') };
};

test('keys come and go while the server runs', async (context) => {
  const { url, kv, log, rewrite, listed, put } = await serve(context, fileOf('configmaps', [gcm('old'), IDENTITY]));
  await kv.put(configMapKey('d', 'plain'), configMap('d', 'plain'));
  await put('one', 'old');
  await put('two', 'new');
  const missing = 'no matching key was found for the provided AES transformer';
  assert.match(String(await listed()), new RegExp(`${missing}$`));
  const hashes = () => metric(url, 'apiserver_encryption_config_controller_last_config_info');
  const before = [...(await hashes()).keys()];
  assert.match(before[0]!, /hash="sha256:[0-9a-f]{64}"/);

  rewrite(fileOf('configmaps', [gcm('new', 'old'), IDENTITY]));
  await eventually('all is read', async () => typeof (await listed()) !== 'string');
  assert.deepEqual(await listed(), ['one', 'plain', 'two']);
  assert.deepEqual(await reloads(url), { success: 1, failure: 0 });
  assert.notDeepEqual([...(await hashes()).keys()], before);

  // While the caches start anew, watches are told to come again.
  const three = await put('three', 'new');
  const watch = await eventually('a watch is served', async () => {
    const opened = await openWatch(url, `/api/v1/configmaps?watch=1&resourceVersion=${three}`);
    if (opened.status === 429) return undefined;
    assert.equal(opened.status, 200);
    return opened;
  });
  await put('four', 'new');
  await eventually('changes are seen', () => watch.events.some(({ object }) => object.metadata.name === 'four'));
  watch.close();

  rewrite(fileOf('configmaps', [gcm('new'), IDENTITY]));
  await eventually('the old key is gone', async () => String(await listed()).endsWith(missing));
  assert.equal((await ask(url, '/api/v1/namespaces/d/configmaps/two')).status, 200);
  assert.equal((await ask(url, '/api/v1/namespaces/d/configmaps/one')).status, 500);
  assert.equal((await ask(url, '/api/v1/namespaces')).status, 200);
  assert.deepEqual(await reloads(url), { success: 2, failure: 0 });
  for (const { message } of log) assert.doesNotMatch(message, /[A-Za-z0-9+/]{40}/, 'no key is told');
});

test('a file that is not valid is told of once, changes nothing, and is taken once it is', async (context) => {
  const good = fileOf('configmaps', [gcm('k'), IDENTITY]);
  const { url, log, rewrite, listed, put } = await serve(context, good);
  await put('one', 'k');
  const told = () => log.filter(({ level }) => level === 'error').map(({ message }) => message);
  const fails = async (what: string, text: string) => {
    const { failure } = await reloads(url);
    rewrite(text);
    await eventually(what, async () => (await reloads(url)).failure >= failure + 3);
    assert.deepEqual(await listed(), ['one']);
  };
  await fails('no YAML', 'resources: [');
  assert.equal(told().length, 1);
  assert.match(told()[0]!, /^the encryption configuration stays as it was: not YAML/);
  await fails('no provider', fileOf('configmaps', [{}]));
  assert.equal(told().length, 2);
  assert.match(told()[1]!, /provider does not contain any of the expected providers/);
  rewrite(good);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual([(await reloads(url)).success, told().length], [0, 2], 'it is what is in use');
  rewrite(fileOf('configmaps', [IDENTITY]));
  await eventually('it is taken', async () => (await reloads(url)).success === 1);
  assert.match(String(await listed()), /no matching prefix found$/);
});

test('a plugin that comes with the new file is taken once it is healthy; another one goes', async (context) => {
  await using plugin = new TestKmsPlugin();
  const { url, kv, log, rewrite, listed } = await serve(context, fileOf('configmaps', [IDENTITY]));
  const key = configMapKey('d', 'one');
  await kv.put(key, new TestDataKey(1).encrypt('p', key, configMap('d', 'one')));
  assert.match(String(await listed()), /no matching prefix found$/);
  assert.equal((await ask(url, '/readyz/kms-providers')).status, 200, 'the check is there, as files may name plugins');
  const kms = { kms: { apiVersion: 'v2', name: 'p', endpoint: plugin.endpoint, timeout: '200ms' } };
  plugin.answer = { ...plugin.answer, healthz: 'not yet' };
  await plugin.start();
  rewrite(fileOf('configmaps', [kms, IDENTITY]));
  await eventually('the plugin is asked', () => plugin.count('Status') > 0);
  assert.deepEqual(await reloads(url), { success: 0, failure: 0 });
  plugin.answer = { ...plugin.answer, healthz: 'ok' };
  await eventually('it is taken', async () => (await reloads(url)).success === 1);
  await eventually('its values are read', async () => typeof (await listed()) !== 'string');
  assert.deepEqual(await listed(), ['one']);
  assert.equal(plugin.count('Decrypt'), 1);

  // The same plugin in another place of the file keeps its data keys.
  rewrite(fileOf('configmaps', [gcm('k'), kms, IDENTITY]));
  await eventually('it is taken', async () => (await reloads(url)).success === 2);
  assert.deepEqual(await listed(), ['one']);
  assert.equal(plugin.count('Decrypt'), 1);

  rewrite(fileOf('configmaps', [gcm('k'), IDENTITY]));
  await eventually('it is gone', async () => String(await listed()).endsWith('no matching prefix found'));
  const asked = plugin.calls.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(plugin.calls.length, asked);
  assert.ok(
    log.some(({ message }) => message.includes('the KMS plugin does not work: kmsv2 Provider p is not healthy')),
  );
});
