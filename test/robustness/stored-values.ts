import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';
import { ask, listOf, metricSum, namesOf, openWatch, statusOf } from './client.js';
import { configMap, configMapKey, envelope, field, golden } from './objects.js';

// Values that etcd should not hold, and keys where none should be: one bad value fails the reads that need
// it, with 500 (spec 1.4), and nothing else; when it is repaired or deleted, so are the reads.

const stored = golden('ConfigMap').stored;
const headEnd = stored.indexOf(Buffer.from('ConfigMap')) + 'ConfigMap'.length;

const badValues: [title: string, value: string | Uint8Array][] = [
  ['an empty value', ''],
  ['a space', ' '],
  ['text', 'hello'],
  ['one byte of the magic', stored.subarray(0, 1)],
  ['the magic alone', stored.subarray(0, 4)],
  ['a wrong magic', Buffer.concat([Buffer.from('k8t\0'), stored.subarray(4)])],
  ['an envelope cut in its type', stored.subarray(0, headEnd - 3)],
  ['an envelope cut in the object', stored.subarray(0, headEnd + Math.floor((stored.length - headEnd) / 2))],
  ['an envelope of random bytes', Buffer.concat([Buffer.from('k8s\0'), Buffer.from('ffffffffffffffffffff', 'hex')])],
  ['a length beyond the value', Buffer.concat([Buffer.from('k8s\0'), Buffer.from('1280ffffff7f', 'hex')])],
  ['an object whose metadata is cut', envelope('v1', 'ConfigMap', Buffer.from('0a7f0a01', 'hex'))],
  ['an object with a wrong wire type', envelope('v1', 'ConfigMap', Buffer.from('0801', 'hex'))],
  ['an object with an end group', envelope('v1', 'ConfigMap', Buffer.from('0c', 'hex'))],
  ['an object with an endless varint', envelope('v1', 'ConfigMap', Buffer.from('ff'.repeat(12), 'hex'))],
  ['an unknown kind', envelope('v1', 'Gizmo', field(1, field(1, Buffer.from('x'))))],
  ['an unknown version', envelope('v7', 'ConfigMap', field(1, field(1, Buffer.from('x'))))],
  ['an unknown group', envelope('example.com/v1', 'ConfigMap', field(1, field(1, Buffer.from('x'))))],
  ['another known kind', golden('Secret').stored],
  ['no kind at all', envelope('', '', field(1, field(1, Buffer.from('x'))))],
  ['an encrypted value without its key', Buffer.concat([Buffer.from('k8s:enc:aescbc:v1:key1:'), stored])],
  ['an encrypted value of an unknown provider', 'k8s:enc:rot13:v1:key1:xyz'],
  ['the encryption prefix alone', 'k8s:enc:'],
  ['JSON that is cut', configMap('bad', 'x').slice(0, -10)],
  ['JSON with a wrong type inside', '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":5}\n'],
  ['JSON without kind and version', '{"metadata":{"name":"x"}}\n'],
  ['JSON of an unknown kind', '{"kind":"Gizmo","apiVersion":"v1","metadata":{"name":"x"}}\n'],
  ['JSON of an unknown version', '{"kind":"ConfigMap","apiVersion":"v7","metadata":{"name":"x"}}\n'],
  ['JSON of a million open brackets', `{"kind":"ConfigMap","apiVersion":"v1","data":${'['.repeat(1_000_000)}`],
  ['a JSON array', '[]'],
  ['JSON null', 'null'],
  ['CBOR', Buffer.from('d9d9f7a0', 'hex')],
  ['a NUL byte', Buffer.of(0)],
  ['half a megabyte of 0xff', Buffer.alloc(500_000, 0xff)],
];

describe('stored values and keys', () => {
  let etcd: Etcd;
  let kv: EtcdKv;
  let server: RunningServer;

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
    await kv.put(configMapKey('good', 'a'), configMap('good', 'a'));
    await kv.put('/registry/secrets/good/s', golden('Secret').stored);
    server = await startServer(['--etcd-servers', etcd.endpoint]);
  });
  after(async () => {
    const code = await server?.stop();
    await etcd?.stop();
    assert.equal(code, 0, 'the process stayed up and ends cleanly');
  });

  const all = '/api/v1/configmaps';
  const key = configMapKey('bad', 'x');

  for (const [index, [title, value]] of badValues.entries()) {
    test(`${title}: 500 where it is read, the rest goes on, and recovers`, async () => {
      await kv.put(key, value);
      for (const path of [all, '/api/v1/namespaces/bad/configmaps', '/api/v1/namespaces/bad/configmaps/x']) {
        for (const query of ['', '?resourceVersion=0']) {
          if (query !== '' && path !== all) continue;
          const answer = await ask(server.url, `${path}${query}`);
          assert.equal(answer.status, 500, `${path}${query}: ${answer.body.toString().slice(0, 300)}`);
          const status = statusOf(answer);
          assert.equal(status.kind, 'Status');
          assert.match(status.message, /configmaps\/bad\/x/, 'the message names the key');
        }
      }
      const protobuf = await send(server.url, {
        path: all,
        headers: { accept: 'application/vnd.kubernetes.protobuf' },
      });
      assert.equal(protobuf.status, 500);
      assert.equal(protobuf.body.toString('latin1', 0, 4), 'k8s\0');

      assert.equal((await ask(server.url, '/api/v1/namespaces/good/configmaps/a')).status, 200);
      assert.deepEqual(namesOf(await ask(server.url, '/api/v1/namespaces/good/configmaps')), ['a']);
      assert.equal((await ask(server.url, '/api/v1/secrets')).status, 200);

      if (index % 2 === 0) {
        await kv.delete(key);
        assert.deepEqual(namesOf(await ask(server.url, all)), ['a']);
        assert.equal((await ask(server.url, '/api/v1/namespaces/bad/configmaps/x')).status, 404);
      } else {
        await kv.put(key, configMap('bad', 'x'));
        assert.deepEqual(namesOf(await ask(server.url, all)), ['x', 'a']);
        assert.equal((await ask(server.url, '/api/v1/namespaces/bad/configmaps/x')).status, 200);
      }
    });
  }

  test('a watch is told of a bad value by one ERROR event, and can be opened again after the repair', async () => {
    await kv.put(key, configMap('bad', 'x'));
    const from = listOf(await ask(server.url, all)).metadata.resourceVersion;
    const watch = await openWatch(server.url, `${all}?watch=1&resourceVersion=${from}&timeoutSeconds=30`);
    await kv.put(configMapKey('bad', 'before'), configMap('bad', 'before'));
    await kv.put(key, 'garbage');
    await eventually('the watch ends', () => watch.ended !== undefined, 5_000);
    assert.deepEqual(
      watch.events.map(({ type }) => type),
      ['ADDED', 'ERROR'],
    );
    assert.equal(watch.events[1]?.object.code, 500);
    assert.equal(watch.ended, 'end');
    await kv.put(key, configMap('bad', 'x', { repaired: 'yes' }));
    const now = listOf(await ask(server.url, all)).metadata.resourceVersion;
    const again = await openWatch(server.url, `${all}?watch=1&resourceVersion=${now}&timeoutSeconds=30`);
    await kv.delete(configMapKey('bad', 'before'));
    await eventually('the deletion arrives', () => again.events.length === 1, 5_000);
    assert.equal(again.events[0]?.type, 'DELETED');
    again.close();
  });

  test('bad values that were there before the start behave the same', async () => {
    await kv.put(key, stored.subarray(0, 20));
    const other = await startServer(['--etcd-servers', etcd.endpoint]);
    try {
      assert.equal((await ask(other.url, all)).status, 500);
      assert.equal((await ask(other.url, '/api/v1/namespaces/bad/configmaps/x')).status, 500);
      assert.equal((await ask(other.url, '/api/v1/namespaces/good/configmaps/a')).status, 200);
      assert.ok((await metricSum(other.url, 'listwatch_unreadable_keys')) === 1);
      await kv.delete(key);
      assert.deepEqual(namesOf(await ask(other.url, all)), ['a']);
    } finally {
      assert.equal(await other.stop(), 0);
    }
  });

  test('nine hundred bad values are one 500 and no flood', async () => {
    const entries = Array.from(
      { length: 900 },
      (_, index) => [configMapKey('bad', `x${index}`), `bad ${index}`] as const,
    );
    await kv.putAll(entries);
    const answer = await ask(server.url, all);
    assert.equal(answer.status, 500);
    assert.ok(answer.body.length < 10_000, `${answer.body.length} bytes`);
    assert.equal((await ask(server.url, '/api/v1/namespaces/bad/configmaps/x899')).status, 500);
    assert.ok(server.stderr().length < 2_000_000, `${server.stderr().length} bytes of log`);
    await kv.putAll(entries.map(([name]) => [name, configMap('bad', 'x')] as const));
    const repaired = await ask(server.url, all);
    assert.equal(repaired.status, 200, repaired.body.toString().slice(0, 300));
    assert.equal(namesOf(repaired).length, 901);
  });

  // Only keys of the layout are objects (spec 1.1). kube-apiserver lists whatever lies below the directory; listwatch does not.
  const oddKeys: (string | Uint8Array)[] = [
    '/registry/configmaps/lonely',
    '/registry/configmaps/a/b/c/d',
    '/registry/configmaps/ns/',
    '/registry/configmaps//x',
    '/registry/configmaps/',
    '/registry/configmaps',
    '/registry/configmapsx/ns/x',
    '/registry/gizmos/ns/x',
    '/registry/',
    '/registryx/configmaps/ns/x',
    'registry/configmaps/ns/x',
    'compact_rev_key',
    Buffer.of(0),
    Buffer.of(0xff),
  ];
  for (const oddKey of oddKeys) {
    test(`key ${JSON.stringify(Buffer.from(oddKey as string).toString('latin1'))}: ignored, harmless, whatever its value`, async () => {
      const before = namesOf(await ask(server.url, all)).length;
      for (const value of [configMap('odd', 'odd-key'), 'garbage']) {
        await kv.put(oddKey, value);
        const during = await ask(server.url, all);
        assert.equal(during.status, 200, during.body.toString().slice(0, 300));
        assert.equal(namesOf(during).length, before);
        assert.equal((await ask(server.url, '/api/v1/namespaces/good/configmaps/a')).status, 200);
        assert.equal((await ask(server.url, `${all}?limit=3`)).status, 200);
      }
      await kv.delete(oddKey);
      assert.equal(namesOf(await ask(server.url, all)).length, before);
    });
  }

  test('a name that is not UTF-8 is listed, and nothing breaks', async () => {
    const oddKey = Buffer.concat([Buffer.from('/registry/configmaps/ns/'), Buffer.of(0xff, 0xfe, 0x00)]);
    const before = namesOf(await ask(server.url, all)).length;
    await kv.put(oddKey, configMap('odd', 'odd-key'));
    assert.equal(namesOf(await ask(server.url, all)).length, before + 1);
    const first = JSON.parse((await ask(server.url, `${all}?limit=${before}`)).body.toString()) as {
      metadata: { continue: string };
    };
    assert.equal((await ask(server.url, `${all}?limit=5&continue=${first.metadata.continue}`)).status, 200);
    await kv.delete(oddKey);
    assert.equal(namesOf(await ask(server.url, all)).length, before);
  });

  test('a good value under a key of another name is served as it is', async () => {
    await kv.put(configMapKey('good', 'renamed'), configMap('elsewhere', 'other'));
    const answer = await ask(server.url, '/api/v1/namespaces/good/configmaps/renamed');
    assert.equal(answer.status, 200);
    assert.match(answer.body.toString(), /"name":"other","namespace":"elsewhere"/);
    await kv.delete(configMapKey('good', 'renamed'));
  });
});
