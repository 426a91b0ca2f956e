import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningCommand } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.js';
import { finishInformer, startInformer as runInformer, summaryOf, toldByEtcd, toldByInformer } from './informers.js';
import { type Programs, startPrograms } from './programs.js';

// Informers of all three kinds of client, and what becomes of their reflectors when the network or the server goes away.

const SECONDS = Number(process.env['REFLECTOR_SECONDS'] ?? 9);
let programs: Programs;
let ours: RunningServer;
let serverArgs: string[];

before(async () => {
  programs = await startPrograms();
  await programs.writeRandom(1_000, 1);
  serverArgs = ['--etcd-servers', programs.etcd.endpoint, '--watch-cache-initialization', 'pods'];
  ours = await startServer(serverArgs);
});
const informers: RunningCommand[] = [];
after(async () => {
  await Promise.all(informers.map((informer) => informer.stop())); // what a failed test left
  await ours?.stop();
  await programs?.[Symbol.asyncDispose]();
});

async function startInformer(server: string, ...args: string[]): Promise<RunningCommand> {
  const informer = await runInformer(programs, '-server', server, '-insecure', '-resource', 'pods', ...args);
  informers.push(informer);
  return informer;
}
const finish = (informer: RunningCommand) => finishInformer(programs, informer);

test('typed, metadata and dynamic informers hold what etcd holds', async () => {
  const kinds = [
    ['-client', 'typed', '-accept', 'protobuf'],
    ['-client', 'typed', '-accept', 'json', '-watchlist', 'off', '-http', '1'],
    ['-client', 'metadata', '-accept', 'protobuf'],
    ['-client', 'metadata', '-accept', 'json', '-watchlist', 'off'],
    ['-client', 'dynamic', '-accept', 'json'],
    ['-client', 'dynamic', '-accept', 'json', '-watchlist', 'off'],
  ];
  const running = await Promise.all(kinds.map((kind) => startInformer(ours.secureUrl, ...kind)));
  const from = (await programs.revision()) + 1;
  await programs.writeRandom(2_000, 2);
  const to = await programs.revision();
  const want = await toldByEtcd(programs, from, to);
  const stored = await programs.podsAt(to);
  const metadataDigests = new Set<string>();
  for (const [index, informer] of running.entries()) {
    const kind = kinds[index]!.join(' ');
    const lines = await finish(informer);
    assert.deepEqual(toldByInformer(lines), want, kind);
    const objects = lines.filter(({ type }) => type === 'object');
    if (!kind.includes('metadata')) {
      assert.equal(
        objects.map(({ key, resourceVersion, digest }) => `${key}@${resourceVersion} ${digest}\n`).join(''),
        stored.map(({ key, modRevision, digest }) => `${key}@${modRevision} ${digest}\n`).join(''),
        kind,
      );
    }
    metadataDigests.add(objects.map(({ key, metadataDigest }) => `${key} ${metadataDigest}`).join());
    const { lists, watchLists } = summaryOf(lines);
    assert.deepEqual([lists, watchLists], kind.includes('off') ? [1, 0] : [0, 1], kind);
  }
  assert.equal(metadataDigests.size, 1, 'all see the same metadata');
});

test('connections cut every 1.5 s: no relist and no gap, with WatchList and without, over HTTP/2 and HTTP/1.1', async () => {
  await using plain = await startTcpProxy(Number(new URL(ours.url).port));
  await using secure = await startTcpProxy(Number(new URL(ours.secureUrl).port));
  const [http, https] = [`http://127.0.0.1:${plain.port}`, `https://127.0.0.1:${secure.port}`];
  const kinds = [
    [https, '-accept', 'protobuf', '-watchlist', 'on'],
    [https, '-accept', 'protobuf', '-watchlist', 'off'],
    [http, '-accept', 'json', '-watchlist', 'on'],
    [https, '-accept', 'json', '-watchlist', 'off', '-http', '1'],
  ] as const;
  const running = await Promise.all(kinds.map(([url, ...args]) => startInformer(url, ...args)));
  const from = (await programs.revision()) + 1;
  const writes = programs.writeRandom(SECONDS * 300, 3, 300);
  let cuts = 0;
  for (; cuts < SECONDS / 1.5; cuts++) {
    await delay(1_500); // client-go takes a stream that ends within a second for broken, and lists again
    plain.cut();
    secure.cut();
  }
  await writes;
  const want = await toldByEtcd(programs, from, await programs.revision());
  for (const [index, informer] of running.entries()) {
    const kind = kinds[index]!.slice(1).join(' ');
    const lines = await finish(informer);
    assert.deepEqual(toldByInformer(lines), want, kind);
    const { lists = 0, watchLists = 0, watches = 0 } = summaryOf(lines);
    assert.equal(lists + watchLists, 1, `${kind}: listed once`);
    assert.ok(watches >= cuts, `${kind}: ${watches} watches after ${cuts} cuts`);
  }
  for (const { connectionCount } of [plain, secure])
    assert.ok(connectionCount > cuts, `${connectionCount} connections`);
});

test('another replica takes over: the reflector goes on with a resourceVersion of the first', async () => {
  const second = await startServer(serverArgs);
  try {
    await using proxy: TcpProxy = await startTcpProxy(Number(new URL(ours.secureUrl).port));
    const informer = await startInformer(`https://127.0.0.1:${proxy.port}`, '-accept', 'protobuf');
    const from = (await programs.revision()) + 1;
    const writes = programs.writeRandom(1_500, 4, 300);
    const ports = [second, ours, second].map(({ secureUrl }) => Number(new URL(secureUrl).port));
    for (const port of ports) {
      await delay(1_300);
      proxy.target = port;
      proxy.cut();
    }
    await writes;
    const lines = await finish(informer);
    assert.deepEqual(toldByInformer(lines), await toldByEtcd(programs, from, await programs.revision()));
    const { lists = 0, watchLists = 0 } = summaryOf(lines);
    assert.equal(lists + watchLists, 1, 'listed once');
  } finally {
    await second.stop();
  }
});

test('the server is restarted: what it no longer knows expires, and the reflector lists again', async () => {
  let server = await startServer(serverArgs);
  await using proxy = await startTcpProxy(Number(new URL(server.secureUrl).port));
  const informer = await startInformer(`https://127.0.0.1:${proxy.port}`, '-accept', 'protobuf');
  assert.equal(await server.stop(), 0);
  await programs.writeRandom(400, 5); // what happens while nobody listens
  server = await startServer(serverArgs);
  try {
    proxy.target = Number(new URL(server.secureUrl).port);
    const lines = await finish(informer);
    const { lists = 0, watchLists = 0 } = summaryOf(lines);
    assert.ok(lists + watchLists >= 2, 'it listed again');
    assert.ok(
      lines.some(({ stale }) => stale === true),
      'and found deletions that it had not been told of',
    );
  } finally {
    await server.stop();
  }
});
