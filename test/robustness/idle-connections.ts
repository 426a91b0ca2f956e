import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { eventually } from '../support/command.js';
import { type Etcd, startEtcd } from '../support/etcd.js';
import { type EtcdKv, etcdKv } from '../support/etcd-kv.js';
import { createAgent, send } from '../support/http-client.js';
import { type RunningServer, startServer } from '../support/server.js';
import { Bystander, told } from './bystander.js';
import { ask, metricSum, openWatch } from './client.js';
import { configMap, configMapKey } from './objects.js';

// Ten thousand connections that are held for nothing: what they take is bounded, others hardly notice, and the server ends
// those that do not get on, though their clients never close.

const COUNT = 10_000;
const TLS_COUNT = 500;
/** Measured: 12.5 KB each over plain HTTP, 90 KB over TLS, with and without a handshake, in a process that also grew otherwise. */
const BYTES_EACH_MAX = 24 * 2 ** 10;
const TLS_BYTES_EACH_MAX = 160 * 2 ** 10;
const SLACK_BYTES = 32 * 2 ** 20;
/** From src/lib/limits.ts: for a head, for a client to close, and how often it is looked. */
const HEAD_MS = 32_000;
const LINGER_MS = 10_000;
const LATENCY_MAX_MS = 3_000;

const says: readonly string[] = [
  '',
  'GET /api/v1/configmaps HTTP/1.1\r\nHost: localhost\r\nX-Filler: aaaaaaaa',
  'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n',
];

/** A client that reads what it is told, and never closes. */
async function hold(port: number, text: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => undefined);
  socket.resume();
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  if (text !== '') socket.write(text);
  return socket;
}

async function inBatches<T>(count: number, size: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let from = 0; from < count; from += size) {
    const length = Math.min(size, count - from);
    all.push(...(await Promise.all(Array.from({ length }, (_, index) => open(from + index)))));
  }
  return all;
}

describe('connections that are held', () => {
  let etcd: Etcd;
  let kv: EtcdKv;

  before(async () => {
    etcd = await startEtcd();
    kv = etcdKv(etcd.endpoint);
  });
  after(() => etcd?.stop());

  test(`${COUNT} of them: silent, with half a head, and idle`, { timeout: 150_000 }, async (context) => {
    const server = await startServer(['--etcd-servers', etcd.endpoint]);
    context.after(() => server.stop());
    const port = Number(new URL(server.url).port);
    await ask(server.url, '/api/v1/configmaps');
    const connections = () => metricSum(server.url, 'listwatch_connections');
    const bystander = await Bystander.begin(server.url, kv);
    const held = await inBatches(COUNT, 250, (index) => hold(port, says[index % says.length]!));
    context.after(() => {
      for (const socket of held) socket.destroy();
    });
    assert.ok((await connections()) >= COUNT, `${await connections()} connections`);
    // Two of three have not said what they want.
    await eventually(
      'those without a request are ended',
      async () => (await connections()) < COUNT / 2,
      HEAD_MS + LINGER_MS + 20_000,
      500,
    );
    const seen = await bystander.end();
    context.diagnostic(`${told(seen)}; ${await connections()} connections are left`);
    const each = (seen.bytesMost - seen.bytesBefore - SLACK_BYTES) / COUNT;
    context.diagnostic(`${Math.round((seen.bytesMost - seen.bytesBefore) / COUNT)} bytes each`);
    assert.ok(each < BYTES_EACH_MAX, `${Math.round(each)} bytes each`);
    assert.ok(seen.getMs < LATENCY_MAX_MS && seen.eventMs < LATENCY_MAX_MS, told(seen));
    for (const socket of held) socket.destroy();
    await eventually('all are gone', async () => (await connections()) < 10);
  });

  test(`over TLS: ${TLS_COUNT} without a handshake, ${TLS_COUNT} behind one`, { timeout: 150_000 }, async (context) => {
    const server = await startServer(['--etcd-servers', etcd.endpoint]);
    context.after(() => server.stop());
    const port = Number(new URL(server.secureUrl).port);
    const bystander = await Bystander.begin(server.url, kv);
    const silent = await inBatches(TLS_COUNT, 100, () => hold(port, ''));
    const shaken = await inBatches(TLS_COUNT, 20, async (index) => {
      const ALPNProtocols = [index % 2 === 0 ? 'h2' : 'http/1.1'];
      const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols });
      socket.on('error', () => undefined);
      socket.resume();
      await once(socket, 'secureConnect');
      return socket;
    });
    context.after(() => {
      for (const socket of [...silent, ...shaken]) socket.destroy();
    });
    const connections = () => metricSum(server.url, 'listwatch_connections');
    assert.ok((await connections()) >= 2 * TLS_COUNT);
    // Those of HTTP/2 without streams have longer: 90 seconds.
    await eventually(
      'those that do not get on are ended',
      async () => (await connections()) < TLS_COUNT,
      HEAD_MS + LINGER_MS + 20_000,
      500,
    );
    const seen = await bystander.end();
    context.diagnostic(told(seen));
    const each = (seen.bytesMost - seen.bytesBefore - SLACK_BYTES) / (2 * TLS_COUNT);
    assert.ok(each < TLS_BYTES_EACH_MAX, `${Math.round(each)} bytes each`);
    assert.ok(seen.getMs < LATENCY_MAX_MS && seen.eventMs < LATENCY_MAX_MS, told(seen));
  });

  test('--max-connections: what is too much is closed at once', { timeout: 60_000 }, async (context) => {
    const server = await startServer(['--etcd-servers', etcd.endpoint, '--max-connections', '50']);
    context.after(() => server.stop());
    const port = Number(new URL(server.url).port);
    // Those that are there already go on.
    const agent = createAgent(1);
    const get = () => send(server.url, { path: '/livez' }, agent);
    assert.equal((await get()).status, 200);
    const watch = await openWatch(server.url, '/api/v1/configmaps?watch=1&timeoutSeconds=60');
    const held = await inBatches(300, 50, () => hold(port, ''));
    await eventually(
      'most are closed',
      () => held.filter(({ readableEnded, destroyed }) => readableEnded || destroyed).length > 200,
    );
    assert.equal((await get()).status, 200);
    await kv.put(configMapKey('held', 'a'), configMap('held', 'a'));
    await eventually('the watch sees it', () => watch.events.some(({ object }) => object.metadata.name === 'a'));
    watch.close();
    agent.destroy();
    for (const socket of held) socket.destroy();
    await eventually('there is room', async () => (await ask(server.url, '/livez')).status === 200);
    assert.ok((await metricSum(server.url, 'listwatch_connections_refused_total')) >= 200);
  });

  test('no file descriptors are left: it lives, and serves when there are some', {
    timeout: 60_000,
  }, async (context) => {
    const limited = ['sh', '-c', 'ulimit -n 150 && exec "$0" "$@"'];
    const server: RunningServer = await startServer(['--etcd-servers', etcd.endpoint], {}, limited);
    context.after(() => server.stop());
    const port = Number(new URL(server.url).port);
    const held = await inBatches(400, 50, (index) => hold(port, says[index % 2]!));
    await eventually('all are taken', () => readdirSync(`/proc/${server.pid}/fd`).length >= 148);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.equal(server.child.exitCode, null, server.stderr().slice(-2_000));
    for (const socket of held) socket.destroy();
    await eventually('it serves', async () => (await ask(server.url, '/livez', 2_000)).status === 200);
    assert.equal(server.child.exitCode, null);
  });
});
