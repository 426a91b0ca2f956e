import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Identity } from '../../../src/auth/identity.js';
import type { ExchangeRequest } from '../../../src/http/exchange.js';
import { headersToClient, headersToTarget, IdentityError, IdentityHeaders } from '../../../src/http/forward/headers.js';

const jane: Identity = { name: 'jane', uid: '', groups: ['dev'], extra: {} };

/** As Node gives them. */
function requestWith(...rawHeaders: string[]): ExchangeRequest {
  const headers: Record<string, string> = {};
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!.toLowerCase();
    headers[name] = headers[name] === undefined ? rawHeaders[at + 1]! : `${headers[name]}, ${rawHeaders[at + 1]}`;
  }
  return { rawHeaders, headers, client: '10.1.2.3' } as unknown as ExchangeRequest;
}

const OWN = {
  'audit-id': ['a1'],
  'x-forwarded-for': ['10.1.2.3'],
  'x-remote-user': ['jane'],
  'x-remote-group': ['dev'],
};

/** What is added to, or replaces, OWN. */
const passed: readonly [what: string, raw: string[], more: Record<string, string[]>][] = [
  ['nothing', [], {}],
  [
    'what is said several times',
    ['Accept', 'a', 'X-Stream-Protocol-Version', 'v5', 'x-stream-protocol-version', 'v4'],
    { accept: ['a'], 'x-stream-protocol-version': ['v5', 'v4'] },
  ],
  [
    'proxies on the way',
    ['X-Forwarded-For', '1.1.1.1', 'x-forwarded-for', '2.2.2.2'],
    { 'x-forwarded-for': ['1.1.1.1, 2.2.2.2, 10.1.2.3'] },
  ],
  ['a cookie in pieces', ['cookie', 'a=1', 'cookie', 'b=2'], { cookie: ['a=1; b=2'] }],
  ['trailers are welcome', ['TE', 'gzip, trailers'], { te: ['trailers'] }],
  ['a length', ['Content-Length', '7', 'Content-Type', 't'], { 'content-length': ['7'], 'content-type': ['t'] }],
  [
    'protocols of a WebSocket',
    ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.c2VjcmV0'],
    { 'sec-websocket-protocol': ['v5.channel.k8s.io'] },
  ],
  ['a token that is offered alone', ['Sec-WebSocket-Protocol', 'Base64url.bearer.authorization.k8s.io.c2VjcmV0'], {}],
];
for (const [what, raw, more] of passed) {
  test(`headers to the target: ${what}`, () => {
    assert.deepEqual(headersToTarget(requestWith(...raw), jane, 'a1', new IdentityHeaders()), { ...OWN, ...more });
  });
}

const dropped: readonly string[][] = [
  ['Authorization', 'Bearer secret'],
  ['authorization', 'Basic secret', 'AUTHORIZATION', 'Bearer secret'],
  ['X-Remote-User', 'root', 'x-remote-user', 'root', 'X-REMOTE-USER', 'root'],
  ['x-ReMoTe-GrOuP', 'system:masters'],
  ['X-Remote-Uid', '0'],
  ['X-Remote-Extra-Scopes', 'all', 'x-remote-extra-scopes', 'all'],
  ['X-Remote-Anything', 'x'],
  [
    'Impersonate-User',
    'root',
    'impersonate-group',
    'system:masters',
    'IMPERSONATE-Uid',
    '0',
    'Impersonate-Extra-a',
    'b',
  ],
  ['X-User', 'root'],
  ['x-more-Scopes', 'all'],
  ['Connection', 'close, X-Odd', 'x-odd', '1', 'Keep-Alive', 'timeout=9'],
  [
    'Transfer-Encoding',
    'chunked',
    'Trailer',
    'x',
    'Upgrade',
    'h2c',
    'HTTP2-Settings',
    'AAA',
    'Proxy-Connection',
    'close',
  ],
  ['Proxy-Authorization', 'Basic secret', 'TE', 'gzip'],
  ['Host', 'elsewhere', 'Expect', '100-continue', 'Audit-ID', 'theirs'],
  [':method', 'GET', ':path', '/', ':authority', 'elsewhere', ':scheme', 'https'],
];
for (const raw of dropped) {
  test(`not passed to the target: ${raw.filter((_, index) => index % 2 === 0).join(', ')}`, () => {
    const got = headersToTarget(requestWith(...raw), jane, 'a1', new IdentityHeaders(['x-user'], ['x-more-']));
    assert.deepEqual(got, OWN);
  });
}

const identities: readonly [what: string, user: Partial<Identity> | undefined, headers: Record<string, string[]>][] = [
  ['nobody', undefined, { 'x-remote-user': ['system:anonymous'], 'x-remote-group': ['system:unauthenticated'] }],
  ['groups in turn', { groups: ['b', 'a', ''] }, { 'x-remote-user': ['jane'], 'x-remote-group': ['b', 'a'] }],
  ['a uid', { uid: 'u1', groups: [] }, { 'x-remote-user': ['jane'], 'x-remote-uid': ['u1'] }],
  [
    'keys are escaped, bytes of UTF-8 and percent signs too',
    { groups: [], extra: { 'example.org/a%b ü': ['1', '2'], scopes: ['x'], none: [] } },
    {
      'x-remote-user': ['jane'],
      'x-remote-extra-example.org%2Fa%25b%20%C3%BC': ['1', '2'],
      'x-remote-extra-scopes': ['x'],
    },
  ],
  [
    'names go as UTF-8',
    { name: 'jörg 日', groups: [] },
    { 'x-remote-user': [Buffer.from('jörg 日').toString('latin1')] },
  ],
];
for (const [what, user, want] of identities) {
  test(`identity: ${what}`, () => {
    const got = headersToTarget(
      requestWith(),
      user === undefined ? undefined : { ...jane, ...user },
      'a',
      new IdentityHeaders(),
    );
    const said = Object.fromEntries(Object.entries(got).filter(([name]) => name.startsWith('x-remote-')));
    assert.deepEqual(said, want);
  });
}

const unsayable: readonly [what: string, user: Partial<Identity>, message: RegExp][] = [
  ['no name', { name: '' }, /^the user has no name$/],
  [
    'a line break in the name',
    { name: 'x\r\nX-Remote-Group: system:masters' },
    /^the name of the user cannot be said in a header: "x\\r\\nX-Remote-Group/,
  ],
  ['a space at the end, which would be lost', { name: 'admin ' }, /^the name of the user cannot/],
  ['a group with a space in front', { groups: [' system:masters'] }, /^the group of the user cannot/],
  ['a tab', { uid: '\t1' }, /^the uid of the user cannot/],
  ['a zero byte', { extra: { a: ['\0'] } }, /^the extra of the user cannot/],
];
for (const [what, user, message] of unsayable) {
  test(`identity that is not passed on: ${what}`, () => {
    const say = () => headersToTarget(requestWith(), { ...jane, ...user }, 'a', new IdentityHeaders());
    assert.throws(say, (error: Error) => error instanceof IdentityError && message.test(error.message));
  });
}

test('headers to the client: all but those of the connection', () => {
  const headers = {
    'content-type': 'application/json',
    warning: '299 - "a", 299 - "b"',
    'set-cookie': ['a=1', 'b=2'],
    connection: 'close, x-odd',
    'x-odd': '1',
    'transfer-encoding': 'chunked',
    trailer: 'x-sum',
    'keep-alive': 'timeout=5',
  };
  const { 'content-type': type, warning, 'set-cookie': cookies } = headers;
  assert.deepEqual(headersToClient(headers), { 'content-type': type, warning, 'set-cookie': cookies });
});
