import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask, namesOf, openWatch, statusOf } from '../robustness/client.js';
import { eventually, freePort, type RunningCommand, start } from '../support/command.js';
import { etcdKv } from '../support/etcd-kv.js';
import { type RunningServer, startServer } from '../support/server.js';
import { EncryptionWorld, IDENTITY, keyed, secret, secretOf } from './encryption-world.js';

// Secrets that Kubernetes' own transformers encrypted, in every state of a rotation, are read as these read them.

let world: EncryptionWorld;
before(async () => {
  world = await EncryptionWorld.start();
});
after(() => world?.stop());

const PROVIDERS = [
  ['aescbc', 16],
  ['aescbc', 24],
  ['aescbc', 32],
  ['aesgcm', 16],
  ['aesgcm', 24],
  ['aesgcm', 32],
  ['secretbox', 32],
] as const;
for (const [provider, size] of PROVIDERS) {
  test(`${provider} with keys of ${size} bytes: every state of a rotation is read as Go reads it`, async () => {
    const keys = (...names: string[]) => keyed(provider, size, ...names);
    const another = keyed(provider === 'aesgcm' ? 'secretbox' : 'aesgcm', 32, 'another');
    const wrong = { [provider]: { keys: [{ name: 'old', secret: secretOf('a wrong one', size) }] } };
    const usual = [
      { name: 'identity', providers: [IDENTITY, keys('old')], writes: 'plain' },
      { name: 'one key', providers: [keys('old'), IDENTITY], writes: 'one' },
      { name: 'the new key is known', providers: [keys('old', 'new'), IDENTITY], writes: 'two' },
      { name: 'the new key writes', providers: [keys('new', 'old'), IDENTITY], writes: 'three' },
    ];
    if (size < 32) return world.checkRotation(`/${provider}${size}`, [usual[1]!, usual[3]!]);
    await world.checkRotation(`/${provider}${size}`, [
      ...usual,
      { name: 'two providers of a kind', providers: [keys('new'), keys('old'), IDENTITY] },
      { name: 'another provider writes', providers: [another, keys('new', 'old'), IDENTITY], writes: 'four' },
      { name: 'identity comes first', providers: [IDENTITY, keys('new', 'old'), another] },
      { name: 'the old key is gone', providers: [another, keys('new'), IDENTITY] },
      { name: 'the provider is gone', providers: [another, IDENTITY] },
      { name: 'a wrong key has the name', providers: [another, wrong, IDENTITY] },
      {
        name: 'a wrong key has the name, and the right one comes later',
        providers: [another, wrong, keys('new', 'old')],
      },
      { name: 'nothing is plain', providers: [another, keys('new', 'old')] },
      { name: 'nothing is encrypted', providers: [IDENTITY] },
    ]);
  });
}

test('what the Go apiserver answers of its own secrets, and of those that it cannot open, is answered', async () => {
  const providers = [keyed('aesgcm', 32, 'k'), IDENTITY];
  const file = world.configuration(providers);
  const [plain, tls] = [await freePort(), await freePort()];
  const peerUrl = `http://127.0.0.1:${plain}`;
  const flags = ['-etcd', world.etcd.endpoint, '-http', `127.0.0.1:${plain}`, '-tls-port', String(tls)];
  const peer: RunningCommand = start(join(world.bin, 'peer'), [...flags, '-encryption-provider-config', file]);
  let server: RunningServer | undefined;
  try {
    await eventually('the peer is ready', async () => (await fetch(`${peerUrl}/readyz`)).ok, 120_000, 200);
    server = await startServer(world.flags(file, '/registry'));
    const create = async (name: string) => {
      const body = JSON.stringify(secret(name));
      const headers = { 'content-type': 'application/json' };
      const created = await fetch(`${peerUrl}/api/v1/namespaces/d/secrets`, { method: 'POST', headers, body });
      assert.equal(created.status, 201, await created.text());
    };
    await create('one');
    assert.deepEqual(namesOf(await ask(server.url, '/api/v1/secrets')), ['one']);
    const watch = await openWatch(
      server.url,
      '/api/v1/secrets?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true',
    );
    await create('two');
    await eventually('the change is seen', () => watch.events.some(({ object }) => object.metadata.name === 'two'));
    watch.close();
    for (const path of ['/api/v1/namespaces/d/secrets/one', '/api/v1/namespaces/d/secrets/two']) {
      assert.equal((await ask(server.url, path)).body.toString(), (await ask(peerUrl, path)).body.toString());
    }
    // A value that was moved to another key: what authenticates it is the key.
    const kv = etcdKv(world.etcd.endpoint);
    await kv.put('/registry/secrets/d/moved', (await kv.get('/registry/secrets/d/one'))!);
    const moved = '/api/v1/namespaces/d/secrets/moved';
    await eventually('ours has seen it', async () => (await ask(server!.url, moved)).status === 500);
    for (const path of [moved, '/api/v1/secrets?limit=500']) {
      const want = statusOf(await ask(peerUrl, path));
      const got = statusOf(await ask(server.url, path));
      // Ours names the key in GETs, too.
      const cause = /[^:]*: [^:]*$/.exec(want.message)![0].trim();
      assert.equal(cause, 'cipher: message authentication failed', want.message);
      assert.deepEqual([got.code, got.reason], [want.code, want.reason], path);
      assert.match(got.message, /^Internal error occurred: .*"\/registry\/secrets\/d\/moved": /, path);
      assert.ok(got.message.endsWith(cause), got.message);
    }
  } finally {
    await server?.stop();
    await peer.stop();
  }
});
