import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, pauseProcess } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';
import { type Programs, startPrograms } from './programs.js';
import { startStreams, type StreamClient, type StreamsAnswer } from './stream-client.js';
import { type TlsFiles, writeTlsFiles } from './tls-files.js';

// What client-go does with one HTTP/2 connection: many watches, PINGs when it is silent, resets, and GOAWAY. Who asks is known by
// a client certificate, and nobody else is answered.

let programs: Programs;
let tls: TlsFiles;
let ours: RunningServer;
const clients: StreamClient[] = [];

before(async () => {
  programs = await startPrograms();
  await programs.writeRandom(300, 1);
  tls = await writeTlsFiles();
  ours = await startServer(serverFlags());
});
after(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  await ours?.stop();
  await tls?.[Symbol.asyncDispose]();
  await programs?.[Symbol.asyncDispose]();
});

function serverFlags(...more: string[]): string[] {
  const source = ['--etcd-servers', programs.etcd.endpoint, '--watch-cache-initialization', 'pods'];
  return [...source, ...tls.server, '--anonymous-auth', 'false', ...more];
}

function connect(server: RunningServer, env: NodeJS.ProcessEnv = {}): StreamClient {
  const client = startStreams(programs, ['-server', server.secureUrl, ...tls.client], env);
  clients.push(client);
  return client;
}

/** Each open watch has shown each change after one revision and up to another, and no more. */
async function eachSaw(client: StreamClient, from: number, to: number): Promise<StreamsAnswer> {
  assert.equal((await client.tell(`seen ${to}`)).error, undefined);
  const want = await changes(from, to);
  assert.ok(want >= to - from, `${want} changes`);
  // One revision may be several changes.
  const done = async () => ((await client.tell('report')).fewestEvents >= want ? true : undefined);
  await eventually('the last of them', done).catch(() => undefined);
  const seen = await client.tell('report');
  assert.deepEqual([seen.fewestEvents, seen.mostEvents], [want, want]);
  return seen;
}

/** Changes of pods after one revision and up to another, by etcd's own history. */
async function changes(from: number, to: number): Promise<number> {
  const range = ['-from-revision', String(from + 1), '-to-revision', String(to)];
  return (await programs.lines('etcd-history', ['-endpoints', programs.etcd.endpoint, ...range])).length;
}

async function watchersOf(server: RunningServer): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^listwatch_watchers\{group="",resource="pods"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}

test('200 watches on one connection, known by a certificate: each sees every change', async () => {
  const client = connect(ours);
  const from = await programs.revision();
  const opened = await client.tell('open 200');
  assert.deepEqual([opened.error, opened.open, opened.ended], [undefined, 200, 0]);
  assert.deepEqual([opened.dialled, opened.connections], [1, 1], 'one connection');
  assert.equal(await watchersOf(ours), 200);
  const { lastRevision } = await programs.writeRandom(500, 2);
  const seen = await eachSaw(client, from, lastRevision);
  assert.deepEqual([seen.open, seen.ended, seen.dialled], [200, 0, 1]);
  // Without a certificate, the same client gets nothing.
  const stranger = startStreams(programs, ['-server', ours.secureUrl, '-ca-file', tls.ca]);
  clients.push(stranger);
  assert.match((await stranger.tell('open 1')).error ?? '', /Unauthorized/);
  await client.stop();
  await eventually('the watches have ended', async () => (await watchersOf(ours)) === 0);
});

test('watches that the client resets do not disturb the others', async () => {
  const client = connect(ours);
  const from = await programs.revision();
  assert.equal((await client.tell('open 100')).error, undefined);
  const writes = programs.writeRandom(1_500, 3, 300);
  for (let round = 0; round < 5; round++) {
    assert.equal((await client.tell('open 100')).error, undefined);
    assert.equal((await client.tell('cancel 100')).error, undefined);
  }
  const { lastRevision } = await writes;
  const seen = await eachSaw(client, from, lastRevision);
  assert.deepEqual([seen.open, seen.ended, seen.dialled], [100, 0, 1]);
  await eventually('those that were reset are gone here', async () => (await watchersOf(ours)) === 100);
  await client.stop();
});

test("client-go's health checks of an idle connection are answered; when nothing answers, it gives the connection up", async () => {
  const client = connect(ours, { HTTP2_READ_IDLE_TIMEOUT_SECONDS: '1', HTTP2_PING_TIMEOUT_SECONDS: '1' });
  const { error, bytesWritten, connections } = await client.tell('open 20');
  assert.deepEqual([error, connections], [undefined, 1]);
  await delay(6_000);
  const idle = await client.tell('report');
  const pingBytes = idle.bytesWritten - bytesWritten;
  // A PING and the record of TLS around it take about 40 bytes.
  assert.ok(pingBytes >= 3 * 17 && pingBytes < 2_000, `${pingBytes} bytes were written in 6 s`);
  assert.deepEqual([idle.open, idle.ended, idle.dialled, idle.connections], [20, 0, 1, 1]);
  await pauseProcess(ours.pid);
  try {
    await eventually('the watches have ended', async () => (await client.tell('report')).ended === 20, 15_000, 200);
  } finally {
    process.kill(ours.pid, 'SIGCONT');
  }
  assert.equal((await client.tell('list 1')).failed, undefined, 'another connection is as good');
  await client.stop();
});

test('--goaway-chance: a client moves to new connections, its requests succeed, its watches stay', async () => {
  const server = await startServer(serverFlags('--goaway-chance', '0.02'));
  try {
    const client = connect(server);
    const from = await programs.revision();
    assert.equal((await client.tell('open 20')).error, undefined);
    const moved = await client.tell('list 1500');
    assert.equal(moved.error, undefined);
    assert.equal(moved.failed, undefined);
    // About 30: outside of these bounds once in many millions of runs.
    assert.ok(moved.dialled >= 5 && moved.dialled <= 70, `${moved.dialled} connections for 1,520 requests`);
    assert.deepEqual([moved.open, moved.ended], [20, 0]);
    const { lastRevision } = await programs.writeRandom(100, 4);
    await eachSaw(client, from, lastRevision);
    // One for new requests, and those that watches still use.
    const left = await eventually('connections without watches are closed', async () => {
      const report = await client.tell('report');
      return report.connections <= 21 && report.connections < report.dialled ? report : undefined;
    });
    assert.equal(left.ended, 0);
    await client.stop();
  } finally {
    await server.stop();
  }
});
