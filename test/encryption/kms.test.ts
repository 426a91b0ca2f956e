import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { unreadableReason } from '../../src/api/unreadable-value.js';
import { decryptingSource } from '../../src/encryption/decrypting-source.js';
import { encodeMessage, type EncryptedObject } from '../../src/encryption/kms-messages.js';
import { type KmsLimits, KmsProvider } from '../../src/encryption/kms-provider.js';
import type { ResourceDecryption } from '../../src/encryption/resource-decryption.js';
import type { Transformer } from '../../src/encryption/transformer.js';
import { systemClock } from '../../src/lib/clock.js';
import { prefixEnd } from '../../src/lib/bytes.js';
import { seededRandom } from '../../src/lib/random.js';
import { createEmbeddedStore } from '../../src/source/embedded/embedded-store.js';
import { PUT, type Source, type WatchHandler, type WritableStore } from '../../src/source/source.js';
import { eventually } from '../http/client.js';
import { TestDataKey, TestKmsPlugin } from '../support/kms-plugin.js';
import { WatchRecorder } from '../support/watch-recorder.js';

const SECRETS = '/registry/secrets/';
const PODS = '/registry/pods/';
const LIMITS: KmsLimits = {
  kmsDataKeysMax: 100,
  kmsDataKeyMs: 60_000,
  kmsFailuresMax: 8,
  kmsRetryMinMs: 50,
  kmsRetryMaxMs: 200,
  kmsCallsMax: 4,
};
const HELD_MAX = 2 ** 20;
const IDENTITY: Transformer = { prefix: '', open: (data) => data };

interface World {
  readonly plugin: TestKmsPlugin;
  readonly provider: KmsProvider;
  /** Secrets are opened by the provider; pods are plain. */
  readonly source: Source;
  readonly store: Source & WritableStore;
  put(key: string, value: string | Uint8Array): Promise<number>;
}

async function world(
  context: TestContext,
  options: { limits?: Partial<KmsLimits>; timeoutMs?: number; heldMax?: number; started?: boolean } = {},
): Promise<World> {
  const plugin = new TestKmsPlugin();
  if (options.started !== false) await plugin.start();
  const store = createEmbeddedStore({ clock: systemClock, random: seededRandom(1) });
  const rereads = new Set<() => void>();
  const settings = { name: 'p', endpoint: plugin.endpoint, path: plugin.path, timeoutMs: options.timeoutMs ?? 2_000 };
  const provider = new KmsProvider(settings, {
    clock: systemClock,
    random: seededRandom(1),
    limits: { ...LIMITS, ...options.limits },
    report() {},
    changed() {},
    recovered: () => {
      for (const reread of [...rereads]) reread();
    },
  });
  const decryption = (transformers: Transformer[] | undefined): ResourceDecryption => ({
    transformers: () => transformers,
    failed() {},
    onReread(reread) {
      rereads.add(reread);
      return () => rereads.delete(reread);
    },
  });
  const secrets = decryption([provider.transformer, IDENTITY]);
  const pods = decryption(undefined);
  const source = decryptingSource(
    store,
    (key) => (Buffer.from(key).toString().startsWith(PODS) ? pods : secrets),
    options.heldMax ?? HELD_MAX,
  );
  context.after(async () => {
    provider.close();
    await store.close();
    await plugin[Symbol.asyncDispose]();
  });
  const put = (key: string, value: string | Uint8Array) =>
    store.write([{ type: 'put', key: Buffer.from(key), value: Buffer.from(value) }]);
  return { plugin, provider, source, store, put };
}

async function valuesOf(source: Source, prefix = SECRETS): Promise<string[]> {
  const values: string[] = [];
  await source.range({ from: Buffer.from(prefix), to: prefixEnd(Buffer.from(prefix)) }, (bytes, _0, _1, start, end) => {
    values.push(unreadableReason(bytes, start, end) ?? Buffer.from(bytes.subarray(start, end)).toString());
  });
  return values;
}

function watch(source: Source, prefix: string, startRevision: number): WatchRecorder {
  const recorder = new WatchRecorder();
  recorder.handle = source.watch({ prefix: Buffer.from(prefix), startRevision }, recorder.handler);
  return recorder;
}

for (const [type, form] of [
  [0, 'a data key'],
  [1, 'a seed'],
] as const) {
  test(`${form} opens its values, by one call for all of them`, async (context) => {
    const { plugin, source, put } = await world(context);
    const key = new TestDataKey(type);
    for (let index = 0; index < 50; index++) {
      const name = `${SECRETS}d/${String(index).padStart(2, '0')}`;
      await put(name, key.encrypt('p', name, `value ${index}`));
    }
    await put(`${SECRETS}d/plain`, 'plain');
    await put(`${SECRETS}d/stolen`, key.encrypt('p', `${SECRETS}d/another`, 'hunter2'));
    const want = [...Array.from({ length: 50 }, (_, index) => `value ${index}`), 'plain'];
    const twice = await Promise.all([valuesOf(source), valuesOf(source)]);
    for (const values of twice) assert.deepEqual(values, [...want, 'cipher: message authentication failed']);
    const page = await source.fetch!({ from: Buffer.from(SECRETS), to: prefixEnd(Buffer.from(SECRETS)), limit: 3 });
    const seen: string[] = [];
    page.visit((bytes, _0, _1, start, end) => seen.push(Buffer.from(bytes.subarray(start, end)).toString()), 0, 1e6);
    assert.deepEqual(seen, want.slice(0, 3));
    assert.equal(plugin.count('Decrypt'), 1);
  });
}

test('a page with more data keys than are kept is read whole', async (context) => {
  const { plugin, provider, source, put } = await world(context, { limits: { kmsDataKeysMax: 2 } });
  for (let index = 0; index < 9; index++) {
    await put(
      `${SECRETS}d/${index}`,
      new TestDataKey(1, String(index)).encrypt('p', `${SECRETS}d/${index}`, `${index}`),
    );
  }
  assert.deepEqual(await valuesOf(source), [...'012345678']);
  assert.equal(provider.size, 2);
  assert.equal(plugin.count('Decrypt'), 9);
});

test('a data key is asked for again after its time', async (context) => {
  const { plugin, source, put } = await world(context, { limits: { kmsDataKeyMs: 0 } });
  await put(`${SECRETS}d/a`, new TestDataKey(1).encrypt('p', `${SECRETS}d/a`, 'a'));
  for (const _ of '12') assert.deepEqual(await valuesOf(source), ['a']);
  assert.equal(plugin.count('Decrypt'), 2);
});

test('what comes after a value whose key is not here yet waits for it, on its own watch only', async (context) => {
  const { plugin, source, store, put } = await world(context);
  const known = new TestDataKey(1);
  const [one, two] = [new TestDataKey(1), new TestDataKey(0)];
  const start = await put(`${SECRETS}d/0`, known.encrypt('p', `${SECRETS}d/0`, 'zero'));
  assert.deepEqual(await valuesOf(source), ['zero']);
  const [secrets, pods] = [watch(source, SECRETS, start + 1), watch(source, PODS, start + 1)];
  let open = () => {};
  plugin.gate = new Promise((resolve) => (open = resolve));
  await put(`${SECRETS}d/1`, known.encrypt('p', `${SECRETS}d/1`, 'one'));
  await store.write([
    { type: 'put', key: Buffer.from(`${SECRETS}d/2`), value: one.encrypt('p', `${SECRETS}d/2`, 'two') },
    { type: 'put', key: Buffer.from(`${SECRETS}d/3`), value: Buffer.from('plain') },
    { type: 'delete', key: Buffer.from(`${SECRETS}d/0`) },
  ]);
  await put(`${SECRETS}d/4`, two.encrypt('p', `${SECRETS}d/4`, 'four'));
  await put(`${SECRETS}d/5`, one.encrypt('p', `${SECRETS}d/5`, 'five'));
  const last = await put(`${PODS}d/1`, 'pod');
  await eventually('the pod is seen', () => pods.revisions.at(-1)?.revision === last);
  await eventually('both keys are asked for', () => plugin.count('Decrypt') === 3);
  assert.deepEqual(
    secrets.revisions.flatMap(({ changes }) => changes.map(({ value }) => value)),
    ['one'],
  );
  open();
  await eventually('all is seen', () => secrets.revisions.length === 4);
  secrets.verify();
  assert.deepEqual(
    secrets.revisions.map(({ changes }) => changes.map(({ type, value }) => `${type} ${value}`)),
    [['PUT one'], ['PUT two', 'PUT plain', 'DELETE '], ['PUT four'], ['PUT five']],
  );
  assert.equal(plugin.count('Decrypt'), 3);
  secrets.handle!.close();
  pods.handle!.close();
});

test('a watch that holds too much is cut, and goes on from what it has delivered', async (context) => {
  const { plugin, provider, source, put } = await world(context, { heldMax: 4_000 });
  const key = new TestDataKey(1);
  const start = await put(`${SECRETS}d/0`, 'plain');
  const first = watch(source, SECRETS, start + 1);
  let open = () => {};
  plugin.gate = new Promise((resolve) => (open = resolve));
  await put(`${SECRETS}d/1`, 'one');
  for (let index = 2; index < 12; index++) {
    await put(`${SECRETS}d/${index}`, key.encrypt('p', `${SECRETS}d/${index}`, 'x'.repeat(500)));
  }
  await eventually('it is cut', () => first.end !== undefined);
  assert.equal(first.end!.kind, 'cut');
  assert.deepEqual(
    first.revisions.map(({ revision }) => revision),
    [start + 1],
  );
  first.verify();
  open();
  await eventually('the key is here', () => provider.size === 1);
  const second = watch(source, SECRETS, start + 2);
  await eventually('the rest is seen', () => second.revisions.length === 10);
  second.verify();
  second.handle!.close();
});

test('a revision whose keys are here waits for the rest of it, and nothing follows a close', async (context) => {
  const { provider } = await world(context);
  let given: WatchHandler | undefined;
  let closes = 0;
  const source = {
    name: 'scripted',
    watch(_request: unknown, handler: WatchHandler) {
      given = handler;
      return { requestProgress() {}, close: () => closes++ };
    },
  } as unknown as Source;
  const decryption: ResourceDecryption = {
    transformers: () => [provider.transformer, IDENTITY],
    failed() {},
    onReread: () => () => {},
  };
  const recorder = watch(
    decryptingSource(source, () => decryption, HELD_MAX),
    SECRETS,
    1,
  );
  const change = (name: string, value: string | Uint8Array, revision: number) => {
    const entry = Buffer.concat([Buffer.from(name), Buffer.from(value)]);
    given!.change(PUT, entry, 0, name.length, name.length, entry.length, revision, revision);
  };
  change('a', new TestDataKey(1).encrypt('p', 'a', 'one'), 5);
  await eventually('the key is here', () => provider.size === 1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(recorder.changeCount, 0);
  change('b', 'two', 5);
  given!.commit(5);
  given!.progress(7);
  assert.deepEqual([recorder.changeCount, recorder.committed, recorder.progress], [2, 5, [7]]);
  change('c', new TestDataKey(1).encrypt('p', 'c', 'three'), 8);
  recorder.handle!.close();
  change('d', 'four', 8);
  given!.commit(8);
  given!.progress(9);
  await eventually('the key is here', () => provider.size === 2);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([recorder.changeCount, recorder.committed, recorder.progress, closes], [2, 5, [7], 1]);
  given!.ended({ kind: 'closed' });
  assert.equal(recorder.end!.kind, 'closed');
  recorder.verify();
});

test('closing a watch that waits ends it at once, and nothing follows', async (context) => {
  const { plugin, source, put } = await world(context);
  const key = new TestDataKey(1);
  const start = await put(`${SECRETS}d/0`, 'plain');
  const recorder = watch(source, SECRETS, start + 1);
  let open = () => {};
  plugin.gate = new Promise((resolve) => (open = resolve));
  await put(`${SECRETS}d/1`, key.encrypt('p', `${SECRETS}d/1`, 'one'));
  await eventually('the key is asked for', () => plugin.count('Decrypt') === 1);
  recorder.handle!.close();
  await eventually('it has ended', () => recorder.end !== undefined);
  open();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([recorder.end!.kind, recorder.changeCount], ['closed', 0]);
});

test('while the plugin is away its values tell so, and are read anew once it is back', async (context) => {
  const { plugin, source, put } = await world(context, { started: false, timeoutMs: 300 });
  const revision = await put(`${SECRETS}d/a`, new TestDataKey(1).encrypt('p', `${SECRETS}d/a`, 'a'));
  await put(`${SECRETS}d/plain`, 'plain');
  const recorder = watch(source, SECRETS, revision + 2);
  const away =
    /^failed to decrypt DEK, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded: the plugin at unix:.*kms\.sock cannot be reached$/;
  const startMs = performance.now();
  const [value, plain] = await valuesOf(source);
  assert.match(value!, away);
  assert.equal(plain, 'plain');
  const seconds = (performance.now() - startMs) / 1_000;
  assert.ok(seconds > 0.25 && seconds < 2, `${seconds} s`);
  // Of a key that has just failed nobody waits.
  assert.match((await valuesOf(source))[0]!, away);
  await plugin.start();
  await eventually('it is to be read anew', () => recorder.end !== undefined);
  assert.equal(recorder.end!.kind, 'replaced');
  assert.deepEqual(await valuesOf(source), ['a', 'plain']);
});

test('many data keys are asked for a few at a time, and all fail at once when the plugin is away', async (context) => {
  const { plugin, provider, source, put } = await world(context, { timeoutMs: 400 });
  for (let index = 0; index < 40; index++) {
    const name = `${SECRETS}d/${index}`;
    await put(name, new TestDataKey(1, String(index)).encrypt('p', name, 'v'));
  }
  let open = () => {};
  plugin.gate = new Promise((resolve) => (open = resolve));
  const first = valuesOf(source);
  await eventually('as many as may be are asked for', () => plugin.count('Decrypt') === 4);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(plugin.count('Decrypt'), 4);
  open();
  assert.deepEqual(new Set(await first), new Set(['v']));
  assert.equal(provider.size, 40);

  const late = await world(context, { timeoutMs: 400, started: false });
  for (let index = 0; index < 40; index++) {
    const name = `${SECRETS}d/${index}`;
    await late.put(name, new TestDataKey(1, String(index)).encrypt('p', name, 'v'));
  }
  const startMs = performance.now();
  for (const value of await valuesOf(late.source)) assert.match(value, /code = DeadlineExceeded/);
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < 1_500, `${tookMs} ms, where one timeout after the other takes 4 s`);
});

test('a key that the plugin refuses is asked for again, more and more rarely, until it does not', async (context) => {
  const { plugin, source, put } = await world(context);
  const revision = await put(`${SECRETS}d/a`, new TestDataKey(1).encrypt('p', `${SECRETS}d/a`, 'a'));
  plugin.failure = 'key 1 is disabled';
  const recorder = watch(source, SECRETS, revision + 1);
  const want = 'failed to decrypt DEK, error: rpc error: code = InvalidArgument desc = key 1 is disabled';
  for (let round = 0; round < 20; round++) assert.deepEqual(await valuesOf(source), [want]);
  assert.ok(plugin.count('Decrypt') <= 3, `${plugin.count('Decrypt')} calls`);
  await eventually('it is asked for again', () => plugin.count('Decrypt') >= 3);
  assert.equal(recorder.end, undefined);
  plugin.failure = undefined;
  await eventually('it is to be read anew', () => recorder.end?.kind === 'replaced');
  assert.deepEqual(await valuesOf(source), ['a']);
});

test('a plugin that does not answer is waited for no longer than its timeout', async (context) => {
  const { plugin, source, put } = await world(context, { timeoutMs: 200 });
  await put(`${SECRETS}d/a`, new TestDataKey(1).encrypt('p', `${SECRETS}d/a`, 'a'));
  let open = () => {};
  plugin.gate = new Promise((resolve) => (open = resolve));
  assert.deepEqual(await valuesOf(source), [
    'failed to decrypt DEK, error: rpc error: code = DeadlineExceeded desc = context deadline exceeded',
  ]);
  open();
  await eventually('it is read', async () => (await valuesOf(source))[0] === 'a');
});

test('a plugin that restarts is connected again', async (context) => {
  const { plugin, source, put } = await world(context);
  await put(`${SECRETS}d/a`, new TestDataKey(1, '1').encrypt('p', `${SECRETS}d/a`, 'a'));
  assert.deepEqual(await valuesOf(source), ['a']);
  plugin.stop();
  assert.deepEqual(await valuesOf(source), ['a'], 'the key is known');
  await plugin.start();
  await put(`${SECRETS}d/b`, new TestDataKey(1, '2').encrypt('p', `${SECRETS}d/b`, 'b'));
  assert.deepEqual(await valuesOf(source), ['a', 'b']);
});

const sound: EncryptedObject = {
  encryptedData: Buffer.alloc(64, 1),
  keyID: '1',
  encryptedDEKSource: Buffer.alloc(32, 2),
  annotations: { 'a.example.com': Buffer.from('x') },
  encryptedDEKSourceType: 1,
};
const unsound: [what: Uint8Array, reason: RegExp][] = [
  [Buffer.from('nonsense'), /^proto: cannot parse invalid wire-format data$/],
  [Buffer.alloc(0), /^encrypted data is empty$/],
  [encoded({ encryptedData: Buffer.alloc(0) }), /^encrypted data is empty$/],
  [encoded({ encryptedDEKSourceType: 7 }), /^unknown encryptedDEKSourceType: 7$/],
  [encoded({ keyID: '' }), /^failed to validate key id: keyID is empty$/],
  [encoded({ keyID: 'x'.repeat(1_025) }), /keyID is 1025 bytes, which exceeds the max size of 1024$/],
  [encoded({ encryptedDEKSource: Buffer.alloc(0) }), /encrypted DEK source is empty$/],
  [encoded({ encryptedDEKSource: Buffer.alloc(1_025) }), /is 1025 bytes, which exceeds the max size of 1024$/],
  [encoded({ annotations: { word: Buffer.alloc(1) } }), /"word" is not a domain of at least two segments/],
  [encoded({ annotations: { 'a.b': Buffer.alloc(40_000) } }), /total size of annotations is 40003, which exceeds/],
];
function encoded(change: Partial<EncryptedObject>): Uint8Array {
  return encodeMessage('EncryptedObject', { ...sound, ...change });
}

test('values that no plugin can have written are errors, and no call', async (context) => {
  const { plugin, source, put } = await world(context);
  for (const [index, [what]] of unsound.entries()) {
    await put(`${SECRETS}d/${index}`, Buffer.concat([Buffer.from('k8s:enc:kms:v2:p:'), what]));
  }
  for (const [index, reason] of (await valuesOf(source)).entries()) assert.match(reason, unsound[index]![1]);
  assert.equal(plugin.count('Decrypt'), 0);
});

test('every flipped bit of a value is an error', async (context) => {
  const { source, put, store } = await world(context, { limits: { kmsFailuresMax: 4 } });
  const name = `${SECRETS}d/a`;
  const whole = new TestDataKey(1).encrypt('p', name, 'hunter2');
  const prefix = 'k8s:enc:kms:v2:p:'.length;
  for (let bit = 0; bit < (whole.length - prefix) * 8; bit += 7) {
    const flipped = Buffer.from(whole);
    flipped[prefix + (bit >> 3)]! ^= 1 << (bit & 7);
    await put(name, flipped);
    assert.notDeepEqual(await valuesOf(source), ['hunter2'], `bit ${bit}`);
  }
  await store.write([{ type: 'put', key: Buffer.from(name), value: whole }]);
  assert.deepEqual(await valuesOf(source), ['hunter2']);
});
