import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openHttp2, openRaw, read, request } from '../http/client.js';
import { eventually, freePort, type RunningCommand, start } from '../support/command.js';

// What clients see of a process that is told to end (spec 9.4): nothing breaks that can be finished.

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'listwatch-shutdown-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A LIST of these does not fit into what the kernel takes for a client that does not read. */
const OBJECTS = 100;
const manifest = join(folder, 'large.json');
writeFileSync(
  manifest,
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: Array.from({ length: OBJECTS }, (_, index) => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: `large-${index}` },
      data: { text: `${index} `.repeat(100_000) },
    })),
  }),
);

interface Serving extends RunningCommand {
  readonly port: number;
  readonly securePort: number;
  readonly url: string;
}

const running: RunningCommand[] = [];
after(() => Promise.all(running.map((command) => command.stop())));

async function serving(...args: string[]): Promise<Serving> {
  const [port, securePort] = [await freePort(), await freePort()];
  const ports = ['--insecure-port', String(port), '--secure-port', String(securePort), '--cert-dir', folder];
  const command = start(process.execPath, [main, 'serve', ...ports, ...args]);
  running.push(command);
  const url = `http://127.0.0.1:${port}`;
  await eventually('the server is ready', async () => {
    if (command.child.exitCode !== null) throw new Error(command.stderr());
    return (await fetch(`${url}/readyz`)).ok;
  });
  return { ...command, port, securePort, url };
}

/** A response of which nobody has read the body yet. */
function unread(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, resolve).on('error', reject);
  });
}

async function refuses(url: string): Promise<boolean> {
  return fetch(url).then(
    () => false,
    () => true,
  );
}

const itemsOf = (body: Buffer) => (JSON.parse(body.toString()) as { items: unknown[] }).items.length;

test('SIGTERM: watches end cleanly, LISTs that are being sent are finished, HTTP/2 gets GOAWAY, exit 0', async () => {
  const server = await serving('--load', manifest);
  const watch =
    '/api/v1/configmaps?watch=1&resourceVersion=0&fieldSelector=metadata.name=none&allowWatchBookmarks=true';
  const plain = await openRaw(server.port, `GET ${watch} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await plain.until(/initial-events-end/);
  const session = await openHttp2(server.securePort);
  const codes: number[] = [];
  session.on('goaway', (code: number) => codes.push(code));
  const stream = request(session, watch);
  const watched = read(stream);
  const list = request(session, '/api/v1/configmaps');
  await once(list, 'response');
  const list1 = await unread(`${server.url}/api/v1/configmaps`);
  const keptAlive = await openRaw(server.port, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await keptAlive.until(/ok$/);

  server.child.kill('SIGTERM');
  const { code, body } = await watched;
  assert.equal(code, 200);
  assert.equal(stream.rstCode, 0, 'END_STREAM, no reset');
  assert.doesNotMatch(body.toString(), /"type":"ERROR"/);
  await plain.until(/\r\n0\r\n\r\n$/); // the end of a chunked body
  assert.doesNotMatch(plain.text(), /"type":"ERROR"/);
  await eventually('GOAWAY', () => codes[0] === 0);
  await eventually('new connections are refused', () => refuses(`${server.url}/livez`));
  await eventually('connections without a request are closed', () => keptAlive.ended && plain.ended);
  await delay(1_000);
  assert.equal(server.child.exitCode, null, 'it waits for the LISTs');

  const chunks: Buffer[] = [];
  for await (const chunk of list) chunks.push(chunk as Buffer);
  assert.equal(itemsOf(Buffer.concat(chunks)), OBJECTS);
  assert.equal(list.rstCode, 0);
  const chunks1: Buffer[] = [];
  for await (const chunk of list1) chunks1.push(chunk as Buffer);
  assert.equal(itemsOf(Buffer.concat(chunks1)), OBJECTS);
  assert.equal(await server.exited, 0);
  assert.match(server.stderr(), /shutting down signal=SIGTERM/);
  assert.match(server.stderr(), /stopped/);
  session.destroy();
});

test('--shutdown-delay-duration: /readyz fails at once, and everything else goes on for as long', async () => {
  const server = await serving('--sample', 'nodes=2,pods=20,churn=20', '--shutdown-delay-duration', '2s');
  const session = await openHttp2(server.securePort);
  const stream = request(session, '/api/v1/pods?watch=1&resourceVersion=0');
  let received = '';
  stream.on('data', (chunk) => (received += String(chunk)));
  const ended = new Promise<number | undefined>((resolve) => stream.once('close', () => resolve(stream.rstCode)));
  const startMs = performance.now();
  server.child.kill('SIGTERM');
  await eventually('/readyz fails', async () => (await read(request(session, '/readyz'))).code === 500, 900, 10);
  assert.equal((await read(request(session, '/livez'))).code, 200);
  const before = received.length;
  await eventually('the watch goes on', () => received.length > before, 1_500, 10);
  const other = await openHttp2(server.securePort);
  const late = request(other, '/api/v1/pods?watch=1&resourceVersion=0');
  const lateBody = read(late);
  assert.equal(session.closed, false, 'no GOAWAY yet');
  assert.equal(await ended, 0);
  assert.ok(performance.now() - startMs >= 1_900, 'not before the delay is over');
  assert.match((await lateBody).body.toString(), /"type":"ADDED"/);
  assert.equal(await server.exited, 0);
});

test('a second SIGTERM does not wait for the LISTs', async () => {
  const server = await serving('--load', manifest);
  const list = await unread(`${server.url}/api/v1/configmaps`);
  list.on('error', () => {}); // it is cut
  server.child.kill('SIGTERM');
  await delay(600); // an earlier one would count as the same
  assert.equal(server.child.exitCode, null);
  server.child.kill('SIGTERM');
  assert.equal(await server.exited, 1);
});
