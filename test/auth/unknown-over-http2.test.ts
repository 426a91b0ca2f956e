import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Authenticator } from '../../src/auth/authenticator.js';
import { Identities } from '../../src/auth/identity.js';
import { StaticTokens } from '../../src/auth/token-file.js';
import { systemClock } from '../../src/lib/clock.js';
import { eventually, openHttp2, read, request } from '../http/client.js';
import { certificate, pod, type Serving, startServing } from '../http/serving.js';
import { openedAccess } from './opened-access.js';
import { ask } from './support.js';

// As kube-apiserver does since CVE-2023-44487: an HTTP/2 connection is for those who are known.

let serving: Serving;
let port: number;

before(async () => {
  const identities = new Identities(10);
  const authenticator = new Authenticator({
    frontProxy: undefined,
    clientAuthorities: undefined,
    tokens: [new StaticTokens('t-jane,jane,1\n')],
    anonymous: true,
    identities,
    clock: systemClock,
  });
  serving = startServing({ access: openedAccess({ authenticator }) });
  ({ port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate()));
  await serving.put('pods', pod('web'));
});
after(() => serving.close());

const strangers: readonly [who: string, headers: Record<string, string>, code: number][] = [
  ['nobody', {}, 200],
  ['a wrong token', { authorization: 'Bearer wrong' }, 401],
];
for (const [who, headers, code] of strangers) {
  test(`${who}: one request, then GOAWAY, and the connection ends`, async () => {
    for (const more of [{}, { ':method': 'POST' }]) {
      const session = await openHttp2(port);
      let goAway: number | undefined;
      session.on('goaway', (reason: number) => (goAway = reason));
      const closed = once(session, 'close');
      const answer = await read(request(session, '/api/v1/namespaces/default/pods', { ...headers, ...more }));
      assert.equal(answer.code, ':method' in more && code === 200 ? 405 : code);
      assert.equal(answer.headers['connection'], undefined);
      await closed;
      assert.equal(goAway, 0);
    }
  });
}

test('a watch of nobody goes on behind the GOAWAY', async () => {
  const session = await openHttp2(port);
  const stream = request(session, '/api/v1/pods?watch=1&timeoutSeconds=30');
  await once(stream, 'response');
  await eventually('GOAWAY', () => session.closed);
  await serving.put('pods', pod('late'));
  const [chunk] = (await once(stream, 'data')) as [Buffer];
  assert.match(chunk.toString(), /"type":"ADDED"/);
  session.destroy();
});

test('who is known keeps the connection, and so does HTTP/1.1 of anybody', async () => {
  const session = await openHttp2(port);
  for (let turn = 0; turn < 3; turn++) {
    const { code } = await read(request(session, '/api/v1/pods', { authorization: 'Bearer t-jane' }));
    assert.equal(code, 200);
  }
  assert.equal(session.closed, false);
  session.destroy();
  const kept = { connection: 'keep-alive' };
  assert.equal((await ask(port, '/api/v1/pods', { headers: kept })).headers['connection'], 'keep-alive');
});
