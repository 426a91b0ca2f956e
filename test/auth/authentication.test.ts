import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import {
  Authenticator,
  type AuthenticatorOptions,
  type Known,
  type TokenAuthenticator,
} from '../../src/auth/authenticator.js';
import { Identities, type Identity } from '../../src/auth/identity.js';
import { Authorities } from '../../src/auth/peer-certificate.js';
import { StaticTokens } from '../../src/auth/token-file.js';
import { type Clock, systemClock } from '../../src/lib/clock.js';
import { openHttp2, read, request } from '../http/client.js';
import { certificate, type Serving, startServing } from '../http/serving.js';
import { openedAccess } from './opened-access.js';
import { ask, type Asked, authority, type Pair } from './support.js';

const users = await authority('users');
const proxies = await authority('proxies');
const jane = await users.client('jane', ['dev', 'ops']);
const UID = '1.3.6.1.4.1.57683.2';
const numbered = await users.sign([
  ['CN', 'jane'],
  [UID, 'u-7'],
]);
const twice = await users.sign([
  ['CN', 'jane'],
  [UID, 'u-7'],
  [UID, 'u-8'],
]);
const emptied = await users.sign([
  ['CN', 'jane'],
  [UID, ''],
]);
const nameless = await users.client('');
const proxy = await proxies.client('front');
const otherProxy = await proxies.client('side');
// By names alone, this user's certificate leads to the proxies' authority.
const forged = await (await authority('proxies')).client('users', [], 'authority');
const front = await users.client('front');
const forger = { key: front.key, cert: [front.cert, forged.cert, proxies.pem].join('\n') };
const server = await users.client('jane', [], 'server');
const stranger = await (await authority('users')).client('jane');

const UNAUTHORIZED =
  '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}\n';

let offsetMs = 0;
const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + offsetMs };
const seen: (Identity | undefined)[] = [];

class Recorder extends Authenticator {
  override authenticate(...parameters: Parameters<Authenticator['authenticate']>): Known | Promise<Known> {
    const user = super.authenticate(...parameters);
    assert.ok(user === undefined || 'groups' in user);
    seen.push(user);
    return user;
  }
}

const options: AuthenticatorOptions = {
  frontProxy: {
    authorities: new Authorities(proxies.pem),
    allowedNames: ['front'],
    usernameHeaders: ['x-remote-user'],
    groupHeaders: ['x-remote-group'],
    uidHeaders: ['x-remote-uid'],
    extraPrefixes: ['x-remote-extra-', 'x-other-'],
  },
  clientAuthorities: new Authorities(users.pem),
  tokens: [new StaticTokens('s3cret,joe,u1,"dev"\n')],
  anonymous: true,
  identities: new Identities(10),
  clock,
};

async function serve(more: Partial<AuthenticatorOptions>): Promise<{ serving: Serving; port: number; plain: number }> {
  const anonymous = more.anonymous ?? options.anonymous;
  const authenticator = new Recorder({ ...options, ...more });
  const serving = startServing({
    access: openedAccess({ authenticator, open: anonymous }),
  });
  const tls = { ...(await certificate()), ca: [users.pem, proxies.pem] };
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, tls);
  const { port: plain } = await serving.server.listenInsecure('127.0.0.1', 0);
  return { serving, port, plain };
}

let opened: Awaited<ReturnType<typeof serve>>;
let closed: Awaited<ReturnType<typeof serve>>;
before(async () => {
  opened = await serve({});
  closed = await serve({ anonymous: false });
});
after(async () => {
  await opened.serving.close();
  await closed.serving.close();
});

const AUTHENTICATED = 'system:authenticated';
const proxied = { 'X-Remote-User': 'ann', 'X-Remote-Group': ['a, b', 'c'], 'X-Remote-Uid': 'u9' } as const;

/** name, uid, groups; undefined: 401. */
const rows: readonly [what: string, asked: Asked, want: readonly [string, string, readonly string[]] | undefined][] = [
  ['nothing', {}, ['system:anonymous', '', ['system:unauthenticated']]],
  ['a certificate', { client: jane }, ['jane', '', ['dev', 'ops', AUTHENTICATED]]],
  // Nobody is known by it, but it is a certificate that is none of a proxy's.
  ['a certificate without a name', { client: nameless }, undefined],
  ['a certificate with a uid', { client: numbered }, ['jane', 'u-7', [AUTHENTICATED]]],
  ['a certificate with two uids', { client: twice }, undefined],
  ['a certificate with an empty uid', { client: emptied }, undefined],
  ['a certificate of nobody that is trusted', { client: stranger }, undefined],
  ['a certificate that is made for servers', { client: server }, undefined],
  ['a token', token('s3cret'), ['joe', 'u1', ['dev', AUTHENTICATED]]],
  ['a wrong token', token('s3cre'), undefined],
  ['another scheme', { headers: { authorization: 'Basic abc' } }, ['system:anonymous', '', ['system:unauthenticated']]],
  ['a wrong certificate and a token', { client: stranger, ...token('s3cret') }, ['joe', 'u1', ['dev', AUTHENTICATED]]],
  ['a certificate and a wrong token', { client: jane, ...token('no') }, ['jane', '', ['dev', 'ops', AUTHENTICATED]]],
  ['a proxy', { client: proxy, headers: proxied }, ['ann', 'u9', ['a, b', 'c', AUTHENTICATED]]],
  [
    'a proxy with an empty group',
    { client: proxy, headers: { 'X-Remote-User': 'ann', 'X-Remote-Group': ['', 'c'] } },
    ['ann', '', ['c', AUTHENTICATED]],
  ],
  ['a proxy that names nobody', { client: proxy }, undefined],
  ['a proxy with another name', { client: otherProxy, headers: proxied }, undefined],
  ['a user who plays the proxy', { client: jane, headers: proxied }, ['jane', '', ['dev', 'ops', AUTHENTICATED]]],
  ['a chain that is only claimed', { client: forger, headers: proxied }, ['front', '', [AUTHENTICATED]]],
  ['nobody who plays the proxy', { headers: proxied }, ['system:anonymous', '', ['system:unauthenticated']]],
];

for (const [what, asked, want] of rows) {
  test(`who shows ${what} is ${want?.[0] ?? 'nobody'}`, async () => {
    seen.length = 0;
    const reply = await ask(opened.port, '/api/v1/pods', asked);
    if (want === undefined) {
      assert.equal(reply.code, 401);
      assert.equal(reply.body, UNAUTHORIZED);
      assert.equal(reply.headers['content-type'], 'application/json');
      assert.equal(reply.headers['www-authenticate'], undefined);
      return;
    }
    assert.equal(reply.code, 200);
    const user = seen.at(-1)!;
    assert.deepEqual([user.name, user.uid, user.groups], want);
  });
}

test('a certificate is named in the extra, and a proxy may add to it', async () => {
  await ask(opened.port, '/version', { client: jane });
  const [id, ...more] = seen.at(-1)!.extra['authentication.kubernetes.io/credential-id']!;
  assert.match(id!, /^X509SHA256=[0-9a-f]{64}$/);
  assert.equal(more.length, 0);
  const headers = { 'X-Remote-User': 'ann', 'X-Remote-Extra-Acme.com%2FProject': ['x, y', 'z'] };
  await ask(opened.port, '/version', { client: proxy, headers });
  assert.deepEqual(seen.at(-1)!.extra, { 'acme.com/project': ['x, y', 'z'] });
});

test('what a proxy adds may be called anything, and several prefixes add to one list, each in its turn', async () => {
  const headers = {
    'X-Remote-User': 'ann',
    'X-Other-Scope': 'last',
    'X-Remote-Extra-__proto__': ['a', 'b'],
    'X-Remote-Extra-constructor': 'c',
    'X-Remote-Extra-Scope': ['first', 'second'],
  };
  await ask(opened.port, '/version', { client: proxy, headers });
  assert.deepEqual(Object.entries(seen.at(-1)!.extra), [
    ['__proto__', ['a', 'b']],
    ['constructor', ['c']],
    ['scope', ['first', 'second', 'last']],
  ]);
});

test('without anonymous requests, nothing is answered to nobody, whatever the path', async () => {
  for (const path of ['/healthz', '/version', '/api', '/metrics', '/nothing', '/api/v1/pods']) {
    assert.equal((await ask(closed.port, path)).code, 401, path);
    assert.notEqual((await ask(closed.port, path, token('s3cret'))).code, 401, path);
  }
});

test('where everybody must say who they are, any Host is answered; else only those that mean this machine', async () => {
  const asked = { headers: { host: 'api.example.com', authorization: 'Bearer s3cret' } };
  assert.equal((await ask(closed.port, '/api/v1/pods', asked)).code, 200);
  assert.equal((await ask(opened.port, '/api/v1/pods', asked)).code, 403);
});

test('the plain listener asks nobody, and goes on refusing other hosts', async () => {
  assert.equal((await fetch(`http://127.0.0.1:${closed.plain}/api/v1/pods`)).status, 200);
  const response = await closed.serving.server.inject({ url: '/api/v1/pods', headers: { host: 'api.example.com' } });
  assert.equal(response.statusCode, 403);
});

test('HTTP/2 requests are known in the same ways', async () => {
  const session = await openHttp2(closed.port);
  const refused = await read(request(session, '/api/v1/pods'));
  assert.equal(refused.code, 401);
  assert.equal(refused.body.toString(), UNAUTHORIZED);
  session.destroy();
  const other = await openHttp2(closed.port);
  const answered = await read(request(other, '/api/v1/pods', { authorization: 'Bearer s3cret' }));
  assert.equal(answered.code, 200);
  other.destroy();
});

test("an HTTP/2 connection's certificate counts for every request, straight from its stream or routed", async () => {
  const session = connectHttp2(`https://localhost:${closed.port}`, { ...jane, rejectUnauthorized: false });
  seen.length = 0;
  assert.equal((await read(request(session, '/api/v1/pods'))).code, 200);
  assert.equal((await read(request(session, '/version', { expect: '100-continue' }))).code, 200);
  assert.equal((await read(request(session, '/healthz', { ':method': 'HEAD' }))).code, 200);
  session.destroy();
  assert.deepEqual(
    seen.map((user) => user?.name),
    ['jane', 'jane', 'jane'],
  );
});

test('a certificate is good for as long as it says, not for as long as its connection', async () => {
  assert.equal((await ask(closed.port, '/version', { client: jane })).code, 200);
  offsetMs = 400 * 24 * 3_600_000;
  try {
    assert.equal((await ask(closed.port, '/version', { client: jane })).code, 401);
  } finally {
    offsetMs = 0;
  }
});

function token(text: string): { headers: Record<string, string>; client?: Pair } {
  return { headers: { authorization: `Bearer ${text}` } };
}

test('a token that one authenticator cannot check is shown to the next', async () => {
  const failure = { kind: 'internal', message: 'away' } as const;
  const failing = (): TokenAuthenticator => ({ find: () => failure });
  const late: TokenAuthenticator = { find: () => Promise.resolve(failure) };
  const knowing = new StaticTokens('s3cret,joe,u1,"dev"\n');
  const none = { frontProxy: undefined, clientAuthorities: undefined };
  const known = async (tokens: readonly TokenAuthenticator[]) => {
    const credentials = { headers: { authorization: 'Bearer s3cret' }, rawHeaders: [], socket: new Socket() };
    const authenticator = new Authenticator({ ...options, ...none, tokens });
    const found = await authenticator.authenticate(credentials, { signal: new AbortController().signal });
    return found !== undefined && 'groups' in found ? found.name : found;
  };
  assert.equal(await known([failing(), knowing]), 'joe');
  assert.equal(await known([late, failing(), knowing]), 'joe');
  assert.deepEqual(await known([late, new StaticTokens('other,joe,u1\n')]), failure);
  assert.equal(await known([new StaticTokens('other,joe,u1\n')]), undefined);
});
