import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { unreadableReason } from '../../src/api/unreadable-value.js';
import { createLog, type Log } from '../../src/app/log.js';
import { Encryption } from '../../src/app/open-encryption.js';
import { UsageError } from '../../src/app/usage-error.js';
import { decryptingSource } from '../../src/encryption/decrypting-source.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import type { Source, WatchEnd } from '../../src/source/source.js';

const partsWith = (log: Log) => ({
  clock: systemClock,
  random: seededRandom(1),
  limits: defaultLimits,
  log,
  report() {},
});

const PREFIX = Buffer.from('/registry/secrets/');
const SECRETS = { group: '', resource: 'secrets' };
const KEYS: Record<string, Buffer> = { a: Buffer.alloc(32, 1), b: Buffer.alloc(32, 2) };

const configurationOf = (resources: string, ...names: string[]) => `
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [${resources}]
  providers:
  - aescbc:
      keys: [${names.map((name) => `{name: ${name}, secret: ${KEYS[name]!.toString('base64')}}`).join(', ')}]
`;

function encrypted(name: string, plain: string): Buffer {
  const cipher = createCipheriv('aes-256-cbc', KEYS[name]!, Buffer.alloc(16, 9));
  return Buffer.concat([
    Buffer.from(`k8s:enc:aescbc:v1:${name}:`),
    Buffer.alloc(16, 9),
    cipher.update(plain),
    cipher.final(),
  ]);
}

function fileIn(context: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'encryption-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'encryption.yaml');
  writeFileSync(file, text);
  return file;
}

async function valuesOf(source: Source): Promise<string[]> {
  const values: string[] = [];
  await source.range({ from: PREFIX, to: Buffer.from('/registry/secrets0') }, (bytes, _from, _to, start, end) => {
    values.push(unreadableReason(bytes, start, end) ?? Buffer.from(bytes.subarray(start, end)).toString());
  });
  return values;
}

test('a changed file takes effect, ends the watches of its resources, and is kept in mind for checkpoints', async (context) => {
  const file = fileIn(context, configurationOf('secrets', 'a'));
  const log = createLog(0, 'json');
  log.level = 'silent';
  const encryption = new Encryption({ file, reload: true }, partsWith(log));
  context.after(() => encryption.stop());
  const store = createEmbeddedStore({ clock: systemClock, random: seededRandom(1) });
  context.after(() => store.close());
  const source = decryptingSource(store, () => encryption.decryptionOf(SECRETS), 2 ** 20);
  await store.write([
    { type: 'put', key: Buffer.from('/registry/secrets/d/1'), value: encrypted('a', 'one') },
    { type: 'put', key: Buffer.from('/registry/secrets/d/2'), value: encrypted('b', 'two') },
  ]);
  const missing = 'no matching key was found for the provided AES transformer';
  assert.deepEqual(await valuesOf(source), ['one', missing]);
  const ends: WatchEnd['kind'][] = [];
  const watch = () =>
    source.watch(
      { prefix: PREFIX, startRevision: 1_000 },
      { change() {}, commit() {}, progress() {}, ended: ({ kind }) => ends.push(kind) },
    );
  watch();

  writeFileSync(file, 'resources: [');
  await encryption.look();
  assert.deepEqual(await valuesOf(source), ['one', missing]);
  assert.deepEqual(ends, []);

  writeFileSync(file, configurationOf('secrets', 'b', 'a'));
  await encryption.look();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ends, ['replaced']);
  assert.deepEqual(await valuesOf(source), ['one', 'two']);

  watch().close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ends, ['replaced', 'closed']);

  writeFileSync(file, configurationOf('configmaps', 'a'));
  await encryption.look();
  assert.equal(encryption.covers(SECRETS), true);
  assert.equal(encryption.covers({ group: '', resource: 'configmaps' }), true);
  assert.equal(encryption.covers({ group: '', resource: 'pods' }), false);
});

test('what was listed before a change and is watched after it is listed anew', async (context) => {
  const file = fileIn(context, configurationOf('secrets', 'a'));
  const log = createLog(0, 'json');
  log.level = 'silent';
  const encryption = new Encryption({ file, reload: true }, partsWith(log));
  context.after(() => encryption.stop());
  const store = createEmbeddedStore({ clock: systemClock, random: seededRandom(1) });
  context.after(() => store.close());
  const source = decryptingSource(store, () => encryption.decryptionOf(SECRETS), 2 ** 20);
  const revision = await store.write([
    { type: 'put', key: Buffer.from('/registry/secrets/d/2'), value: encrypted('b', 'two') },
  ]);
  const ends: WatchEnd['kind'][] = [];
  const watch = async () => {
    const handle = source.watch(
      { prefix: PREFIX, startRevision: revision + 1 },
      { change() {}, commit() {}, progress() {}, ended: ({ kind }) => ends.push(kind) },
    );
    await new Promise((resolve) => setImmediate(resolve));
    return handle;
  };
  assert.match((await valuesOf(source))[0]!, /no matching key/);
  writeFileSync(file, configurationOf('secrets', 'b', 'a'));
  await encryption.look();
  await watch();
  assert.deepEqual(ends, ['replaced'], 'the list has a value that can be read by now');
  assert.deepEqual(await valuesOf(source), ['two']);
  const handle = await watch();
  assert.deepEqual(ends, ['replaced'], 'this one is watched on');
  handle.close();
  await new Promise((resolve) => setImmediate(resolve));

  // A value that fails after the change, too, is no reason.
  writeFileSync(file, configurationOf('secrets', 'a'));
  await encryption.look();
  assert.match((await valuesOf(source))[0]!, /no matching key/);
  (await watch()).close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ends, ['replaced', 'closed', 'closed']);
});

const provider = (text: string) => configurationOf('secrets', 'a').replace(/- aescbc:[\s\S]*$/, text);
const rejected: [text: string, problem: string][] = [
  ['resources: [', 'not YAML'],
  ['kind: Pod', 'expected kind EncryptionConfiguration'],
  [
    configurationOf("'*'", 'a'),
    "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
  ],
  [configurationOf("secrets, '*.'", 'a'), 'using overlapping resources such as'],
  [configurationOf('secrets, secrets', 'a'), 'the same resource cannot be specified multiple times'],
  [configurationOf('Secrets', 'a'), 'resource name should not contain capital letters'],
  [configurationOf("'pods.*'", 'a'), 'encrypting the same resource across groups is not supported'],
  [configurationOf('secrets'), 'resources[0].providers[0].aescbc.keys: Required value: at least one keys is required'],
  [provider('- {}'), 'provider does not contain any of the expected providers'],
  [provider('- {identity: {}, aescbc: {}}'), 'more than one provider specified in a single element'],
  [
    provider('- {kms: {name: k, endpoint: unix:///k}}'),
    'resources[0].providers[0].kms.apiVersion: Invalid value: "": KMS v1, which is meant where no apiVersion is given, is deprecated in Kubernetes and not supported by listwatch: use v2',
  ],
  [
    provider('- {kms: {apiVersion: v1, name: k, endpoint: unix:///k, cachesize: 7}}'),
    'KMS v1 is deprecated in Kubernetes and not supported by listwatch: use v2',
  ],
  [
    provider('- {kms: {apiVersion: v3, name: k, endpoint: unix:///k}}'),
    'unsupported apiVersion apiVersion for KMS provider, only v2 is supported',
  ],
  [
    provider('- {kms: {apiVersion: v2, name: k, endpoint: unix:///k, cachesize: 7}}'),
    'resources[0].providers[0].kms.cachesize: Invalid value: 7: cachesize is not supported in v2',
  ],
  [
    provider('- {kms: {apiVersion: v2, endpoint: unix:///k}}'),
    'resources[0].providers[0].kms.name: Required value: name is a mandatory field for a provider',
  ],
  [
    provider("- {kms: {apiVersion: v2, name: 'a:b', endpoint: unix:///k}}"),
    "invalid KMS provider name a:b, must not contain ':'",
  ],
  [
    provider(
      '- {kms: {apiVersion: v2, name: k, endpoint: unix:///k}}\n  - {kms: {apiVersion: v2, name: k, endpoint: unix:///l}}',
    ),
    'resources[0].providers[1].kms.name: Invalid value: "k": duplicate KMS provider name k, names must be unique',
  ],
  [
    provider('- {kms: {apiVersion: v2, name: k}}'),
    'resources[0].providers[0].kms.endpoint: Invalid value: "": endpoint is a mandatory field for a kms',
  ],
  [
    provider('- {kms: {apiVersion: v2, name: k, endpoint: tcp://localhost:1}}'),
    'unsupported scheme "tcp" for KMS provider, only unix is supported',
  ],
  [
    provider('- {kms: {apiVersion: v2, name: k, endpoint: unix://k}}'),
    'invalid endpoint for kms provider, error: expected unix:///path/of/the.sock',
  ],
  [
    provider('- {kms: {apiVersion: v2, name: k, endpoint: unix:///k, timeout: 0s}}'),
    'resources[0].providers[0].kms.timeout: Invalid value: "0s": timeout should be a positive value',
  ],
  [
    provider('- {kms: {apiVersion: v2, name: k, endpoint: unix:///k, timeout: 3}}'),
    'resources[0].providers[0].kms.timeout: Invalid value: 3: expected a duration such as 3s',
  ],
  [
    provider('- {kms: {apiVersion: v2, name: k, endpoint: unix:///k, keys: []}}'),
    'strict decoding error: unknown field "resources[0].providers[0].kms.keys"',
  ],
  [provider('- {aescbc: {keys: [{name: a, secret: hunter2!}]}}'), 'secrets must be base64 encoded'],
  [provider('- {secretbox: {keys: [{name: a, secret: aHVudGVyMg==}]}}'), 'got 7, expected one of [32]'],
  [
    provider('- {aescbc: {key: hunter2}}'),
    'strict decoding error: unknown field "resources[0].providers[0].aescbc.key"',
  ],
];
for (const [text, problem] of rejected) {
  test(`a configuration is rejected: ${problem}`, (context) => {
    const file = fileIn(context, text);
    assert.throws(
      () => new Encryption({ file, reload: false }, partsWith(createLog(0, 'json'))),
      (error: Error) =>
        error instanceof UsageError && error.message.includes(problem) && !/hunter2|aHVudGVy/.test(error.message),
    );
  });
}
