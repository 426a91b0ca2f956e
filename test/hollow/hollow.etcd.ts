import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKindCodec } from '../../src/codec/kind-codec.js';
import { PODS } from '../../src/hollow/kinds.js';
import { createEtcdSource } from '../../src/source/etcd/etcd-source.js';
import { systemClock } from '../../src/lib/clock.js';
import { seededRandom } from '../../src/lib/random.js';
import { utf8 } from '../../src/lib/bytes.js';
import { startEtcd } from '../support/etcd.js';
import { assertLived, runSmall } from './small-cluster.js';

test('a hollow cluster over a real etcd, with a twin: it lives, and no answer differs', async () => {
  await using etcd = await startEtcd();
  const ran = await runSmall({ 'etcd-servers': etcd.endpoint, twin: 'hash' });
  assert.equal(ran.result.status, 'done', ran.result.message);
  assertLived(ran);
  assert.ok(ran.result.twin !== undefined && ran.result.twin.comparisons > 100);
  assert.equal(ran.result.twin.differences, 0);

  // What lies in etcd is what kube-apiserver writes: protobuf values below /registry, without a resourceVersion.
  const source = createEtcdSource({ endpoints: [etcd.endpoint] }, { clock: systemClock, random: seededRandom(1) });
  try {
    const pods: string[] = [];
    const request = { from: utf8('/registry/pods/hollow-1/'), to: utf8('/registry/pods/hollow-10') };
    await source.range(request, (bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      pods.push(Buffer.from(bytes.subarray(keyStart, keyEnd)).toString());
      const value = Buffer.from(bytes.subarray(valueStart, valueEnd));
      assert.equal(value.subarray(0, 4).toString('latin1'), 'k8s\0');
      const into = { bytes: Buffer.alloc(65_536), position: 0, start: 0, headerStart: 0, reserve() {} };
      const codec = createKindCodec(PODS);
      codec.toWire(value, 0, value.length, 7, into);
      assert.equal(codec.slowDecodes, 0, 'as a current server writes it');
    });
    assert.ok(pods.length >= 15, `${pods.length} pods`);
    await assert.rejects(runSmall({ 'etcd-servers': etcd.endpoint }), {
      name: 'UsageError',
      message: /there are \d+ objects below \/registry already/,
    });
  } finally {
    await source.close();
  }
});
