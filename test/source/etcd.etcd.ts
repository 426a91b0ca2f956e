import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { ChannelCredentials, Client, Metadata } from '@grpc/grpc-js';
import type { ModRevision } from '../../src/api/revision.js';
import { isProgressTrusted } from '../../src/source/etcd/progress-trusted.js';
import { encode, METHODS } from '../../src/source/etcd/rpc.js';
import { skimWatchResponse, WatchSkim } from '../../src/source/etcd/skim.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { recordWatch } from '../support/watch-recorder.js';
import { sourceSuite } from '../suites/source-suite.js';
import { eventually, faultTest, put, server, source, withEtcd } from './etcd-world.js';

let shared: Promise<Etcd> | undefined;
after(async () => (await shared)?.stop());

sourceSuite('etcd', async () => {
  shared ??= startEtcd();
  const { endpoint, version } = await shared;
  const store = source([endpoint]);
  return { store, dispose: () => store.close(), progressMayOvertake: whyProgressMayOvertake(version) };
});

/** etcd issue 15220, fixed in 3.4.31 and 3.5.13. */
function whyProgressMayOvertake(version: string): string | undefined {
  if (isProgressTrusted(version)) return undefined;
  return `etcd ${version} answers a progress request at once with the store's revision, past the queue of events`;
}

faultTest('a revision larger than a response arrives in fragments and is delivered whole', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'listwatch-fragments-'));
  try {
    const big = await server({ dataDir, extraArgs: ['--max-request-bytes', String(32 * 2 ** 20)] });
    const writer = source([big.endpoint]);
    const value = Buffer.alloc(400_000, 'x');
    // etcd 3.4 takes a write of any size that its flags allow, but does not start again over one of 10 MiB or more.
    const keyCount = 22;
    const write = (prefix: string) =>
      writer.write(
        Array.from({ length: keyCount }, (_, index) => ({ type: 'put', key: Buffer.from(`${prefix}${index}`), value })),
      );
    const before = await put(writer, '/big/before');
    const large = await write('/big/');
    await put(writer, '/big/between');
    const second = await write('/big/');
    const last = await put(writer, '/big/after');
    await writer.close();
    await big.stop();
    // Responses are cut into fragments of the bound on requests and half a MiB: a key or two each.
    const etcd = await server({ dataDir, extraArgs: ['--max-request-bytes', '100000'] });
    assert.ok((await countFragments(etcd.endpoint, before, last)) > 10);
    const store = source([etcd.endpoint]);
    for (const start of [before, large, second]) {
      const recorder = recordWatch(store, '/big/', start, { keepsValues: false });
      await recorder.untilRevision(last);
      const counts = new Map(recorder.revisions.map(({ revision, changes }) => [revision, changes.length]));
      assert.equal(counts.get(second), keyCount);
      if (start <= large) assert.equal(counts.get(large), keyCount);
      assert.equal(counts.size, last - start + 1);
      recorder.handle!.close();
    }
    // A bound below the size of one revision is a clear error, not an endless wait.
    const bounded = source([etcd.endpoint], {
      limits: { watchResponseBytesMax: 4 * 2 ** 20, requestTimeoutMs: 10_000, progressRequestEveryMs: 100 },
    });
    const refused = await recordWatch(bounded, '/big/', large).untilEnd();
    assert.ok(refused.kind === 'cut' && /larger than/.test(refused.error.message), JSON.stringify(refused));
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});

/** Watches without our client, and counts responses that say they continue. */
async function countFragments(endpoint: string, from: ModRevision, to: ModRevision): Promise<number> {
  const client = new Client(endpoint.replace('http://', ''), ChannelCredentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
  });
  const same = (bytes: Buffer) => bytes;
  const stream = client.makeBidiStreamRequest(METHODS.watch, same, same, new Metadata());
  const skim = new WatchSkim();
  let count = 0;
  await new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('data', (bytes: Buffer) => {
      skimWatchResponse(bytes, skim);
      if (skim.fragment) count++;
      if (skim.eventCount > 0 && skim.events[(skim.eventCount - 1) * 7 + 6] === to) resolve();
    });
    const create_request = {
      key: Buffer.from('/big/'),
      range_end: Buffer.from('/big0'),
      start_revision: from,
      fragment: true,
    };
    stream.write(encode('WatchRequest', { create_request }));
  });
  stream.on('error', () => {});
  stream.cancel();
  client.close();
  return count;
}

faultTest('an expired lease with many keys is one revision, however many responses it takes', () =>
  withEtcd(async (_, store) => {
    const lease = await store.grantLease(2);
    const padding = 'k'.repeat(1_000);
    for (let batch = 0; batch < 4_000; batch += 100) {
      await store.write(
        Array.from({ length: 100 }, (_item, index) => ({
          type: 'put',
          key: Buffer.from(`/l/${batch + index}/${padding}`),
          value: Buffer.alloc(0),
          lease,
        })),
      );
    }
    const recorder = recordWatch(store, '/l/', 1 + (await store.currentRevision()));
    await store.revokeLease(lease);
    await recorder.until('the deletes', () => recorder.revisions.length > 0);
    assert.equal(recorder.revisions.length, 1);
    assert.equal(recorder.revisions[0]!.changes.length, 4_000);
    recorder.handle!.close();
  }),
);

faultTest('watches are spread over connections, one watch each', () =>
  withEtcd(
    async (etcd, store) => {
      const recorders = Array.from({ length: 6 }, (_, index) => recordWatch(store, `/s/${index}/`, 2));
      for (let index = 0; index < 6; index++) await put(store, `/s/${index}/a`);
      for (const recorder of recorders) await recorder.until('its event', () => recorder.revisions.length === 1);
      const metrics = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
      assert.match(metrics, /etcd_debugging_mvcc_watcher_total 6\n/);
      assert.match(metrics, /etcd_debugging_mvcc_watch_stream_total 6\n/);
      for (const recorder of recorders) recorder.handle!.close();
      await eventually(async () => {
        const later = await (await fetch(`${etcd.metricsEndpoint}/metrics`)).text();
        assert.match(later, /etcd_debugging_mvcc_watcher_total 0\n/);
      });
    },
    {},
    { connections: 3 },
  ),
);
