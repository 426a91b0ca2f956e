import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { after, before, beforeEach, test } from 'node:test';
import type { Authorizer } from '../../../src/auth/authorizer.js';
import { ask, authority } from '../../auth/support.js';
import { eventually, openRaw } from '../client.js';
import { pod, startServing } from '../serving.js';
import { begin, protocols, send } from './client.js';
import { asJane, type Forwarding, startForwarding } from './serving.js';
import { openedAccess } from '../../auth/opened-access.js';
import { bodyOf, startTarget, valuesOf } from './target.js';

// What is passed on, as whom, and what becomes of the answer, over both protocols, through real sockets.

const PODS = '/api/v1/namespaces/default/pods';
let forwarding: Forwarding;

before(async () => {
  forwarding = await startForwarding();
  await forwarding.serving.put('pods', pod('web'));
});
after(() => forwarding.close());
beforeEach(() => {
  const { target } = forwarding;
  target.seen.length = 0;
  target.answer = (_request, response) => void response.end('{}');
});

for (const protocol of protocols) {
  test(`${protocol}: a write reaches the target as its user wrote it, under the user's name`, async () => {
    const { target, port } = forwarding;
    const bodies: string[] = [];
    target.answer = async (request, response) => {
      bodies.push(await bodyOf(request));
      response.writeHead(
        201,
        [
          ['Content-Type', 'application/json'],
          ['Warning', '299 - "one"'],
          ['Warning', '299 - "two"'],
          ['Cache-Control', 'no-store'],
          ['X-Large', 'x'.repeat(30_000)],
          ['X-Kubernetes-Pf-Flowschema-Uid', 'f1'],
        ].flat(),
      );
      response.end('{"kind":"Pod"}');
    };
    const answer = await send(protocol, port, {
      method: 'POST',
      path: `${PODS}?fieldManager=a%2Fb&dryRun=All`,
      headers: {
        ...asJane,
        'content-type': 'application/json',
        'audit-id': 'audit-1',
        accept: 'application/json',
        'X-Remote-User': 'root',
        'x-remote-group': 'system:masters',
        'x-remote-extra-scopes': 'all',
      },
      body: '{"metadata":{"name":"p"}}',
    });
    assert.deepEqual([answer.code, answer.text, answer.isWhole], [201, '{"kind":"Pod"}', true]);
    assert.equal(answer.headers['warning'], '299 - "one", 299 - "two"');
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['x-kubernetes-pf-flowschema-uid'], 'f1');
    assert.equal(answer.headers['audit-id'], 'audit-1');
    assert.deepEqual(bodies, ['{"metadata":{"name":"p"}}']);
    const [seen] = target.seen;
    assert.ok(seen !== undefined && target.seen.length === 1);
    assert.deepEqual(
      [seen.method, seen.url, seen.proxy],
      ['POST', `${PODS}?fieldManager=a%2Fb&dryRun=All`, 'listwatch'],
    );
    assert.deepEqual(valuesOf(seen, 'x-remote-user'), ['jane']);
    assert.deepEqual(valuesOf(seen, 'x-remote-group'), ['dev', 'ops', 'system:authenticated']);
    assert.deepEqual(valuesOf(seen, 'x-remote-uid'), ['u1']);
    assert.equal(seen.headers['x-remote-extra-scopes'], undefined);
    assert.equal(seen.headers.authorization, undefined);
    assert.equal(seen.headers['audit-id'], 'audit-1');
    assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen.headers.host, `127.0.0.1:${target.port}`);
    assert.equal(seen.headers['content-type'], 'application/json');
  });

  test(`${protocol}: a user who acts as another one is passed on as that one, and nobody as nobody`, async () => {
    const { target, port } = forwarding;
    const impersonate = { 'impersonate-user': 'ann', 'impersonate-group': 'qa', 'impersonate-extra-scopes': 'x' };
    await send(protocol, port, { method: 'DELETE', path: `${PODS}/web`, headers: { ...asJane, ...impersonate } });
    await send(protocol, port, { method: 'DELETE', path: `${PODS}/web` });
    const [ann, nobody] = target.seen;
    assert.deepEqual(valuesOf(ann!, 'x-remote-user'), ['ann']);
    assert.deepEqual(valuesOf(ann!, 'x-remote-group'), ['qa', 'system:authenticated']);
    assert.deepEqual(valuesOf(ann!, 'x-remote-extra-scopes'), ['x']);
    assert.equal(
      ann!.rawHeaders.some((name) => /^impersonate/i.test(name)),
      false,
    );
    assert.deepEqual(valuesOf(nobody!, 'x-remote-user'), ['system:anonymous']);
    assert.deepEqual(valuesOf(nobody!, 'x-remote-group'), ['system:unauthenticated']);
    const bytes = Buffer.from('jörg 日').toString('latin1');
    const named = { ...asJane, 'impersonate-user': bytes };
    await send(protocol, port, { method: 'DELETE', path: `${PODS}/web`, headers: named });
    assert.deepEqual(valuesOf(target.seen[2]!, 'x-remote-user'), [bytes], 'names are UTF-8');
    target.seen.pop();
    const refused = await send(protocol, port, {
      method: 'DELETE',
      path: `${PODS}/web`,
      headers: { authorization: 'Bearer wrong' },
    });
    assert.deepEqual([refused.code, target.seen.length], [401, 2], 'who is not known does not reach it');
  });

  test(`${protocol}: reads stay here`, async () => {
    const { target, port } = forwarding;
    const read = await send(protocol, port, { path: `${PODS}/web`, headers: asJane });
    assert.match(read.text, /"name":"web"/);
    const unknown = await send(protocol, port, { path: '/apis/metrics.k8s.io/v1beta1/nodes', headers: asJane });
    assert.deepEqual([unknown.code, unknown.text], [200, '{}']);
    assert.deepEqual(
      target.seen.map(({ url }) => url),
      ['/apis/metrics.k8s.io/v1beta1/nodes'],
    );
  });

  test(`${protocol}: the answer to a HEAD is the target's, with its length and without a body`, async () => {
    const { target, port } = forwarding;
    target.answer = (_request, response) =>
      void response.writeHead(200, { 'content-length': '12345', etag: '"e"' }).end();
    const answer = await send(protocol, port, { method: 'HEAD', path: '/logs/some', headers: asJane });
    const { code, headers, text, isWhole } = answer;
    assert.deepEqual(
      [code, headers['content-length'], headers['etag'], text, isWhole],
      [200, '12345', '"e"', '', true],
    );
    assert.equal(target.seen[0]!.method, 'HEAD');
  });

  for (const code of [204, 304, 404, 409, 500]) {
    test(`${protocol}: ${code} is passed on as it is`, async () => {
      const { target, port } = forwarding;
      target.answer = (_request, response) =>
        void response.writeHead(code, { 'x-it': 'is' }).end(code < 400 ? undefined : 'why');
      const answer = await send(protocol, port, { method: 'PUT', path: `${PODS}/web`, headers: asJane, body: '{}' });
      assert.deepEqual([answer.code, answer.headers['x-it'], answer.text], [code, 'is', code < 400 ? '' : 'why']);
    });
  }

  test(`${protocol}: a body without a length, and no body at all`, async () => {
    const { target, port } = forwarding;
    const lengths: unknown[] = [];
    target.answer = async (request, response) => {
      lengths.push([request.headers['content-length'], request.headers['transfer-encoding'], await bodyOf(request)]);
      response.end('{}');
    };
    await send(protocol, port, {
      method: 'PATCH',
      path: `${PODS}/web`,
      headers: asJane,
      body: (to) => to.end('{"a":1}'),
    });
    await send(protocol, port, { method: 'DELETE', path: `${PODS}/web`, headers: asJane });
    await send(protocol, port, {
      method: 'DELETE',
      path: `${PODS}/web`,
      headers: asJane,
      body: (to) => to.end('{"kind":"DeleteOptions"}'),
    });
    assert.deepEqual(lengths.map(String), [',chunked,{"a":1}', '0,,', ',chunked,{"kind":"DeleteOptions"}']);
  });
}

test('a client that expects to be asked for its body is asked, and sends it', async () => {
  const { target, plainPort } = forwarding;
  target.answer = async (request, response) => void response.end(`got ${await bodyOf(request)}`);
  const head = `POST ${PODS} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`;
  const client = await openRaw(plainPort, head);
  await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  client.socket.write('hello');
  await client.until(/got hello/);
  assert.equal(target.seen[0]!.headers.expect, undefined);
  client.socket.destroy();
});

test('without --forward-to, writes are refused as ever', async (t) => {
  const serving = startServing();
  t.after(serving.close);
  const answer = await serving.server.inject({ method: 'POST', url: PODS, headers: { host: 'localhost' } });
  assert.equal(answer.statusCode, 405);
  assert.match(answer.body, /listwatch is read-only and does not serve POST/);
});

test("who may do what is the target's to say, but who may act as whom is said here", async (t) => {
  const refused: string[] = [];
  const authorizer: Authorizer = {
    ready: true,
    authorize({ verb }: { verb: string }) {
      refused.push(verb);
      return { allowed: false, reason: '' };
    },
    rulesFor: () => assert.fail('nobody asks'),
  } as unknown as Authorizer;
  const strict = await startForwarding({ authorizer });
  t.after(strict.close);
  const write = { method: 'POST', path: PODS, body: '{}' };
  assert.equal((await send('HTTP/1.1', strict.port, { ...write, headers: asJane })).code, 200);
  assert.deepEqual(refused, []);
  assert.equal((await send('HTTP/1.1', strict.port, { path: PODS, headers: asJane })).code, 403);
  const acting = await send('HTTP/1.1', strict.port, { ...write, headers: { ...asJane, 'impersonate-user': 'root' } });
  assert.equal(acting.code, 403);
  assert.match(acting.text, /cannot impersonate-on:user-info:create resource \\"pods\\"/);
  assert.deepEqual(
    [refused, strict.target.seen.length],
    [['list', 'impersonate-on:user-info:create', 'impersonate'], 1],
  );
});

test('a target that cannot be reached: 503 in the words of the aggregator, counted', async (t) => {
  const target = await startTarget();
  await target.close();
  const lonely = await startForwarding({ forwardTo: target.forwardTo });
  t.after(lonely.close);
  for (const protocol of protocols) {
    const answer = await send(protocol, lonely.port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
    assert.deepEqual([answer.code, answer.headers['retry-after']], [503, undefined]);
    const { message, reason } = JSON.parse(answer.text);
    assert.equal(
      message,
      `error trying to reach service: dial tcp 127.0.0.1:${target.port}: connect: connection refused`,
    );
    assert.equal(reason, 'ServiceUnavailable');
  }
  assert.match(
    await lonely.serving.server.metrics.text(),
    /listwatch_forwarded_requests_total\{method="POST",code="error"\} 2\n/,
  );
});

test('a target whose certificate nobody vouches for is not told anything', async (t) => {
  const target = await startTarget();
  t.after(target.close);
  const { pem } = await authority('others');
  const wary = await startForwarding({ forwardTo: { ...target.forwardTo, ca: pem } });
  t.after(wary.close);
  const answer = await send('HTTP/1.1', wary.port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
  assert.equal(answer.code, 503);
  assert.match(JSON.parse(answer.text).message, /^error trying to reach service: .*certificate/);
  assert.equal(target.seen.length, 0);
});

test('a target that ends the connection instead of an answer: 503', async () => {
  const { target, port } = forwarding;
  // On a connection that was used before, as on one that was not.
  await send('HTTP/1.1', port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
  target.answer = (request) => void request.socket.destroy();
  const answer = await send('HTTP/1.1', port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
  assert.deepEqual([answer.code, JSON.parse(answer.text).message], [503, 'error trying to reach service: EOF']);
  assert.equal(target.seen.length, 2, 'a write is not sent twice');
});

test('a GET whose idle connection the target had just closed is sent again', async () => {
  const { target, port } = forwarding;
  const get = { path: '/apis/metrics.k8s.io/v1beta1/nodes', headers: asJane };
  assert.equal((await send('HTTP/1.1', port, get)).code, 200);
  let isFirst = true;
  target.answer = (request, response) => {
    if (isFirst) request.socket.destroy();
    else response.end('{}');
    isFirst = false;
  };
  assert.equal((await send('HTTP/1.1', port, get)).code, 200);
  assert.equal(target.seen.length, 3);
});

test('connections to the target are used again, and the certificate is renewed', async () => {
  const { target, port, serving } = forwarding;
  const post = { method: 'POST', path: PODS, headers: asJane, body: '{}' };
  await send('HTTP/1.1', port, post);
  const before = [...target.connections];
  await send('HTTP/2', port, post);
  assert.deepEqual([...target.connections], before);
  serving.server.renewForwardCertificate(await (await authority('strangers')).client('other'));
  await send('HTTP/1.1', port, post);
  assert.deepEqual(
    target.seen.map(({ proxy }) => proxy),
    ['listwatch', 'listwatch', ''],
  );
  serving.server.renewForwardCertificate(target.forwardTo.pair!);
});

test('bounds: writes and reads are counted apart; what may take any time is not counted', async (t) => {
  const narrow = await startForwarding({ limits: { requestsInFlightMax: 1, postsInFlightMax: 2 } });
  t.after(narrow.close);
  const { target, port } = narrow;
  const held: (() => void)[] = [];
  target.answer = (request, response) => {
    if (request.url!.includes('now')) response.end('{}');
    else held.push(() => response.end('{}'));
  };
  const paths = [
    `POST ${PODS}`,
    `DELETE ${PODS}/a`,
    'GET /logs/',
    `GET ${PODS}/a/log?follow=1`,
    `POST ${PODS}/a/proxy/x`,
  ];
  const waiting = paths.map((line) => {
    const [method = '', path = ''] = line.split(' ');
    return send('HTTP/1.1', port, { method, path, headers: asJane });
  });
  await eventually('all of them are at the target', () => held.length === paths.length);
  const code = async (method: string, path: string) =>
    (await send('HTTP/1.1', port, { method, path, headers: asJane })).code;
  assert.deepEqual(
    [await code('PUT', `${PODS}/now`), await code('GET', '/logs/now'), await code('GET', PODS)],
    [429, 429, 429],
  );
  assert.equal(await code('GET', `${PODS}/now/log`), 200);
  assert.match(await narrow.serving.server.metrics.text(), /apiserver_longrunning_requests\{/);
  for (const release of held.splice(0)) release();
  assert.deepEqual(
    (await Promise.all(waiting)).map((answer) => answer.code),
    [200, 200, 200, 200, 200],
  );
  await eventually('nothing is open', () => narrow.serving.server.open === 0);
  assert.equal(await code('PUT', `${PODS}/now`), 200);
  assert.match(
    await narrow.serving.server.metrics.text(),
    /listwatch_forwarded_requests_total\{method="PUT",code="200"\} 1\n/,
  );
});

test('a target that does not answer in time: 504, and it is not asked any more', async (t) => {
  const hasty = await startForwarding({ limits: { requestTimeoutMs: 300 } });
  t.after(hasty.close);
  let isGone = false;
  hasty.target.answer = (request) => void request.socket.once('close', () => (isGone = true));
  for (const protocol of protocols) {
    isGone = false;
    const answer = await send(protocol, hasty.port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
    assert.equal(answer.code, 504);
    assert.match(answer.text, /request did not complete within the allotted timeout/);
    await eventually('the target knows', () => isGone);
  }
});

test('a page of another origin cannot have anything done on a listener without authentication', async () => {
  const { target, plainPort } = forwarding;
  const post = (origin: string) =>
    fetch(`http://127.0.0.1:${plainPort}${PODS}`, { method: 'POST', headers: { origin }, body: '{}' });
  const refused = await post('https://evil.example');
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /^Forbidden: this listener has no authentication/);
  assert.equal((await post('null')).status, 403);
  assert.equal(target.seen.length, 0);
  assert.equal((await post('http://localhost:3000')).status, 200);
  const [seen] = target.seen;
  assert.deepEqual(valuesOf(seen!, 'x-remote-user'), ['system:anonymous']);
});

test('a tunnel is refused in words', async () => {
  const { port, plainPort } = forwarding;
  const client = await openRaw(plainPort, 'CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n');
  await client.until(/^HTTP\/1\.1 405 Method Not Allowed\r\n[\s\S]*CONNECT is not supported$/);
  client.socket.destroy();
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const stream = session.request({ ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
  stream.on('error', () => {});
  const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
  assert.equal(head[':status'], 405);
  session.destroy();
  assert.equal(forwarding.target.seen.length, 0);
});

test('a user whom no header can name is not passed on', async (t) => {
  const users = await authority('users');
  const { Authenticator } = await import('../../../src/auth/authenticator.js');
  const { Authorities } = await import('../../../src/auth/peer-certificate.js');
  const { Identities } = await import('../../../src/auth/identity.js');
  const { systemClock } = await import('../../../src/lib/clock.js');
  const { certificate } = await import('../serving.js');
  const identities = new Identities(10);
  const authenticator = new Authenticator({
    frontProxy: undefined,
    clientAuthorities: new Authorities(users.pem),
    tokens: [],
    anonymous: false,
    identities,
    clock: systemClock,
  });
  const target = await startTarget();
  t.after(target.close);
  const serving = startServing({ access: openedAccess({ authenticator }), forwardTo: target.forwardTo });
  t.after(serving.close);
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, { ...(await certificate()), ca: [users.pem] });
  const padded = await ask(port, PODS, { method: 'POST', client: await users.client('admin '), body: '{}' });
  assert.equal(padded.code, 500);
  assert.match(padded.body, /the name of the user cannot be said in a header: \\"admin \\"/);
  assert.equal(target.seen.length, 0);
  assert.equal((await ask(port, PODS, { method: 'POST', client: await users.client('admin'), body: '{}' })).code, 200);
});

test('a target that is listwatch itself is noticed', async (t) => {
  const { target, port: own, close } = await startForwarding({ isPlainTarget: true });
  t.after(close);
  target.answer = async (request, response) => {
    // Somebody in between sends it back.
    const headers = { 'x-listwatch-forwarded': String(request.headers['x-listwatch-forwarded']) };
    const again = await send('HTTP/1.1', own, { method: 'POST', path: request.url!, headers });
    response.writeHead(again.code).end(again.text);
  };
  const answer = await send('HTTP/2', own, { method: 'POST', path: PODS, headers: asJane });
  assert.equal(answer.code, 500);
  assert.match(answer.text, /Internal error occurred: --forward-to leads back to listwatch/);
});

test('a plain target on this machine', async (t) => {
  const plain = await startForwarding({ isPlainTarget: true });
  t.after(plain.close);
  const begun = await begin('HTTP/2', plain.port, { method: 'POST', path: PODS, headers: asJane, body: '{}' });
  assert.equal(await bodyOf(begun.body), '{}');
  begun.leave();
  assert.deepEqual(valuesOf(plain.target.seen[0]!, 'x-remote-user'), ['jane']);
});
