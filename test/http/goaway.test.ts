import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Stream, constants } from 'node:http2';
import { after, before, beforeEach, test } from 'node:test';
import { seededRandom } from '../../src/lib/random.js';
import { ask } from '../auth/support.js';
import { eventually, openHttp2, read, request } from './client.js';
import { certificate, pod, type Serving, startServing } from './serving.js';

// --goaway-chance, as kube-apiserver has it: with an answer a connection is asked to leave, and nothing that is under way suffers.

const CHANCE = 0.01;
let serving: Serving;
let port: number;
/** What has been drawn for, and what the next draws are; false when there are no more. */
const drawn: number[] = [];
const draws: boolean[] = [];

before(async () => {
  const random = {
    ...seededRandom(1),
    chance(probability: number) {
      drawn.push(probability);
      return draws.shift() ?? false;
    },
  };
  serving = startServing({ goAwayChance: CHANCE, random });
  for (let index = 0; index < 20; index++) await serving.put('pods', pod(`p${index}`));
  ({ port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate()));
});
after(() => serving.close());
beforeEach(() => {
  drawn.length = 0;
  draws.length = 0;
});

async function openSession() {
  const session = await openHttp2(port);
  const codes: number[] = [];
  session.on('goaway', (code: number) => codes.push(code));
  return { session, codes, closed: once(session, 'close') };
}

test('each request over HTTP/2 draws once; who is not drawn keeps the connection', async () => {
  const { session, codes } = await openSession();
  for (const path of [
    '/api/v1/pods',
    '/api/v1/namespaces/default/pods/p0',
    '/healthz',
    '/none',
    '/api/v1/pods?limit=x',
  ]) {
    await read(request(session, path));
  }
  assert.deepEqual(drawn, [CHANCE, CHANCE, CHANCE, CHANCE, CHANCE]);
  assert.deepEqual(codes, []);
  assert.equal(session.closed, false);
  session.destroy();
});

const drawing: readonly [what: string, path: string, method: string, code: number][] = [
  ['a LIST', '/api/v1/pods', 'GET', 200],
  ['a GET', '/api/v1/namespaces/default/pods/p0', 'GET', 200],
  ['a HEAD', '/healthz', 'HEAD', 200],
  ['an error', '/api/v1/namespaces/default/pods/none', 'GET', 404],
  ['a write', '/api/v1/namespaces/default/pods', 'POST', 405],
  ['a watch that ends', '/api/v1/pods?watch=1&timeoutSeconds=1', 'GET', 200],
];
for (const [what, path, method, code] of drawing) {
  test(`${what} that is drawn is answered whole, with GOAWAY, and the connection ends`, async () => {
    const { session, codes, closed } = await openSession();
    draws.push(true);
    const stream = request(session, path, { ':method': method });
    const answer = await read(stream);
    assert.equal(answer.code, code);
    assert.equal(answer.headers['connection'], undefined);
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    await closed;
    assert.equal(codes[0], constants.NGHTTP2_NO_ERROR);
  });
}

test('watches go on behind the GOAWAY, and the connection stays for them', async () => {
  const { session, codes } = await openSession();
  const watch = request(session, '/api/v1/pods?watch=1&resourceVersion=0&timeoutSeconds=60');
  let received = '';
  watch.on('data', (chunk) => (received += String(chunk)));
  await eventually('the state', () => received.includes('"name":"p19"'));
  draws.push(true);
  assert.equal((await read(request(session, '/healthz'))).code, 200);
  await eventually('GOAWAY', () => codes.length > 0 && session.closed);
  // Longer than the server looks at connections that were asked to leave.
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  await serving.put('pods', pod('later'));
  await eventually('the event', () => received.includes('"name":"later"'));
  assert.equal(session.destroyed, false);
  // Meanwhile the client is elsewhere, with all that is new.
  const { session: other } = await openSession();
  assert.equal((await read(request(other, '/api/v1/pods'))).code, 200);
  other.destroy();
  watch.close(constants.NGHTTP2_CANCEL);
  await eventually('the connection has ended', () => session.destroyed);
});

test('what was on its way when the GOAWAY came is answered', async () => {
  const { session, closed } = await openSession();
  draws.push(false, false, true);
  const streams: ClientHttp2Stream[] = [];
  for (let index = 0; index < 100; index++) streams.push(request(session, `/api/v1/pods?limit=${(index % 20) + 1}`));
  const codes = await Promise.all(streams.map(async (stream) => (await read(stream)).code));
  assert.deepEqual(new Set(codes), new Set([200]));
  await closed;
});

test('HTTP/1.1 draws nothing and keeps its connection', async () => {
  draws.push(true, true);
  const { code, headers } = await ask(port, '/api/v1/pods', { headers: { connection: 'keep-alive' } });
  assert.equal(code, 200);
  assert.equal(headers['connection'], 'keep-alive');
  assert.deepEqual(drawn, []);
});
