import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { eventually, openRaw } from '../client.js';
import { type Forwarding, startForwarding } from './serving.js';
import { valuesOf } from './target.js';

// exec, attach and port-forward: after the switch, bytes are passed on and nothing is understood.

const EXEC = '/api/v1/namespaces/default/pods/p/exec?command=ls';
let forwarding: Forwarding;

before(async () => {
  forwarding = await startForwarding();
});
after(() => forwarding.close());
beforeEach(() => {
  forwarding.target.seen.length = 0;
  forwarding.target.upgrade = echo;
  forwarding.target.answer = (_request, response) => void response.end('{}');
});

/** Switches, and sends everything back until the client ends; then says so. */
function echo(request: IncomingMessage, socket: Socket, head: Buffer): void {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\nX-Stream-Protocol-Version: v4\r\n\r\nhello `,
  );
  socket.allowHalfOpen = true;
  socket.write(head);
  socket.pipe(socket, { end: false });
  socket.on('end', () => socket.end(' bye'));
}

interface Client {
  readonly socket: Socket;
  readonly text: () => string;
  readonly until: (pattern: RegExp) => Promise<void>;
  readonly isEnded: () => boolean;
}

/** A connection that may be ended on one side. */
async function open(isSecure: boolean, head: string): Promise<Client> {
  const { port, plainPort } = forwarding;
  const socket = isSecure
    ? connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    : connect({ host: '127.0.0.1', port: plainPort });
  socket.allowHalfOpen = true;
  socket.on('error', () => {});
  let text = '';
  let ended = false;
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.on('end', () => (ended = true));
  socket.on('close', () => (ended = true));
  await once(socket, isSecure ? 'secureConnect' : 'connect');
  socket.write(head);
  return {
    socket,
    text: () => text,
    until: (pattern) => eventually(`${pattern} in ${JSON.stringify(text.slice(-200))}`, () => pattern.test(text)),
    isEnded: () => ended,
  };
}

function upgrade(protocol: string, method = 'POST', more = ''): string {
  const credentials = 'Authorization: Bearer t-jane\r\n';
  return (
    `${method} ${EXEC} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n` +
    `X-Stream-Protocol-Version: v5\r\nX-Stream-Protocol-Version: v4\r\n${credentials}${more}\r\n`
  );
}

const WEBSOCKET =
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n';

for (const isSecure of [true, false]) {
  const where = isSecure ? 'HTTPS' : 'plain HTTP';
  for (const [protocol, method, more] of [
    ['SPDY/3.1', 'POST', 'Content-Length: 0\r\n'],
    ['SPDY/3.1', 'GET', ''],
    ['websocket', 'GET', WEBSOCKET],
  ] as const) {
    test(`${where}, ${method}, ${protocol}: both sides talk, and end one after the other`, async () => {
      const { target, serving } = forwarding;
      const client = await open(isSecure, upgrade(protocol, method, more));
      await client.until(/^HTTP\/1\.1 101 Switching Protocols\r\n[\s\S]*\r\n\r\nhello $/);
      assert.match(client.text(), new RegExp(`\\r\\nUpgrade: ${protocol}\\r\\n`));
      assert.match(client.text(), /\r\nX-Stream-Protocol-Version: v4\r\n/);
      const [seen] = target.seen;
      assert.deepEqual([seen!.method, seen!.url, seen!.proxy], [method, EXEC, 'listwatch']);
      assert.deepEqual(valuesOf(seen!, 'x-remote-user'), [isSecure ? 'jane' : 'system:anonymous']);
      assert.deepEqual(valuesOf(seen!, 'x-stream-protocol-version'), ['v5', 'v4']);
      assert.deepEqual([seen!.headers.upgrade, seen!.headers.connection], [protocol, 'Upgrade']);
      assert.equal(seen!.headers.authorization, undefined);
      assert.equal(seen!.headers['sec-websocket-key'], more === WEBSOCKET ? 'AAAAAAAAAAAAAAAAAAAAAA==' : undefined);
      client.socket.write('\x00\xff ping');
      await client.until(/ping$/);
      assert.equal(serving.server.open, 1);
      client.socket.end(' last');
      await client.until(/ last bye$/);
      await eventually('its end', client.isEnded);
      await eventually('nothing is open', () => serving.server.open === 0 && target.connections.size === 0);
    });
  }
}

test('what the client has sent behind its request is not lost', async () => {
  const client = await open(true, `${upgrade('SPDY/3.1')}at once`);
  await client.until(/hello at once$/);
  client.socket.destroy();
});

test('a lot goes through both ways, and waits for who reads', async () => {
  const { target } = forwarding;
  const client = await open(true, upgrade('SPDY/3.1'));
  await client.until(/hello $/);
  const before = client.text().length;
  const block = 'x'.repeat(2 ** 20);
  for (let count = 0; count < 8; count++) client.socket.write(block);
  await eventually('all of it is back', () => client.text().length === before + 8 * 2 ** 20);
  client.socket.destroy();
  await eventually('the target is left', () => target.connections.size === 0);
});

test('an answer that does not switch is an ordinary one', async () => {
  const { target, serving } = forwarding;
  target.upgrade = (_request, socket) => {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"code":"403"}');
  };
  const client = await open(true, upgrade('websocket', 'GET', WEBSOCKET));
  await client.until(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*\r\n\r\n\{"code":"403"\}$/);
  await eventually('its end', client.isEnded);
  client.socket.destroy();
  await eventually('nothing is open', () => serving.server.open === 0);
});

test('a target that breaks off breaks off for the client, and the reverse', async () => {
  const { target, serving } = forwarding;
  const first = await open(true, upgrade('SPDY/3.1'));
  await first.until(/hello $/);
  for (const socket of target.connections) socket.destroy();
  await eventually('its end', first.isEnded);
  const second = await open(false, upgrade('SPDY/3.1'));
  await second.until(/hello $/);
  assert.equal(target.connections.size, 1);
  second.socket.destroy();
  await eventually('the target is left', () => target.connections.size === 0);
  first.socket.destroy();
  await eventually('nothing is open', () => serving.server.open === 0);
});

test('other protocols are answered as if nobody had asked for them; with a body they are refused', async () => {
  const { target, plainPort } = forwarding;
  const h2c = await openRaw(plainPort, upgrade('h2c', 'GET'));
  await h2c.until(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\{\}$/);
  assert.equal(target.seen[0]!.headers.upgrade, undefined);
  const withBody = await openRaw(plainPort, `${upgrade('h2c', 'POST', 'Content-Length: 2\r\n')}{}`);
  await withBody.until(/^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*upgraded to websocket and SPDY\/3\.1 alone$/);
  for (const { socket } of [h2c, withBody]) socket.destroy();
});

test('a page of another origin does not get to exec on a listener without authentication', async () => {
  const { target, plainPort } = forwarding;
  const page = await openRaw(plainPort, upgrade('websocket', 'GET', `${WEBSOCKET}Origin: https://evil.example\r\n`));
  await page.until(/^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*this listener has no authentication/);
  page.socket.destroy();
  assert.equal(target.seen.length, 0);
});

test('a wrong token does not reach the target', async () => {
  const head = upgrade('SPDY/3.1').replace('t-jane', 'wrong');
  const client = await open(true, head);
  await client.until(/^HTTP\/1\.1 401 Unauthorized\r\n/);
  client.socket.destroy();
  assert.equal(forwarding.target.seen.length, 0);
});

test('a WATCH over WebSocket stays here', async () => {
  const head = `GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://localhost\r\n${WEBSOCKET}\r\n`;
  const client = await openRaw(forwarding.plainPort, head);
  await client.until(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  client.socket.destroy();
  assert.equal(forwarding.target.seen.length, 0);
});

test('a target that cannot be reached: 503', async (t) => {
  const lonely = await startForwarding();
  t.after(lonely.close);
  await lonely.target.close();
  const client = await openRaw(lonely.plainPort, upgrade('SPDY/3.1'));
  await client.until(/^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*error trying to reach service: dial tcp/);
  client.socket.destroy();
});

test('at shutdown connections that were switched are closed', async (t) => {
  const other = await startForwarding();
  t.after(other.close);
  other.target.upgrade = echo;
  const client = await openRaw(other.plainPort, upgrade('SPDY/3.1'));
  await client.until(/hello $/);
  await other.serving.server.close();
  await eventually('its end', () => client.ended);
  await eventually('the target is left', () => other.target.connections.size === 0);
});
