import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, test } from 'node:test';
import { BoundObjects } from '../../src/auth/bound-objects.js';
import { readVerificationKeys } from '../../src/auth/jwt.js';
import { type ServiceAccountOptions, ServiceAccountTokens } from '../../src/auth/service-account-tokens.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { eventually } from '../http/client.js';
import { kindOf, type Serving, startServing } from '../http/serving.js';
import { ecKey, jwt, rsaKey } from './tokens.js';

const rsa = rsaKey();
const ec = ecKey();
const ISSUER = 'https://issuer.example';
const objects = new BoundObjects();
const reasons: string[] = [];
let serving: Serving;
let nowMs = Date.parse('2026-01-01T00:00:00Z');
const clock = { ...systemClock, nowMs: () => nowMs };

const account = { metadata: { name: 'bot', namespace: 'ns', uid: 'u-bot' } };
const boundPod = {
  metadata: { name: 'web', namespace: 'ns', uid: 'u-web' },
  spec: { containers: [{ name: 'a', image: 'a' }] },
};
const OLD = new Date(nowMs - 120_000).toISOString().replace('.000', '');
const JUST_NOW = new Date(nowMs - 30_000).toISOString().replace('.000', '');

before(async () => {
  serving = startServing();
  objects.start((resource) => serving.service.reader(kindOf(resource)));
  await serving.put('serviceaccounts', account);
  await serving.put('serviceaccounts', {
    metadata: { name: 'gone', namespace: 'ns', uid: 'u-gone', deletionTimestamp: OLD },
  });
  await serving.put('serviceaccounts', {
    metadata: { name: 'going', namespace: 'ns', uid: 'u-going', deletionTimestamp: JUST_NOW },
  });
  await serving.put('pods', boundPod);
  await serving.put('nodes', { metadata: { name: 'n1', uid: 'u-n1' } });
  await serving.put('secrets', { metadata: { name: 's', namespace: 'ns', uid: 'u-s' } });
});
after(() => serving.close());

function tokens(options: Partial<ServiceAccountOptions> = {}): ServiceAccountTokens {
  return new ServiceAccountTokens({
    keys: readVerificationKeys(rsa.publicPem + ec.publicPem),
    issuers: [ISSUER],
    audiences: ['api', 'other-api'],
    lookup: true,
    objects,
    clock,
    limits: defaultLimits,
    refused: (reason) => reasons.push(reason),
    ...options,
  });
}

const seconds = (offset: number) => Math.floor(nowMs / 1000) + offset;

function claims(kubernetes: object = {}, more: object = {}) {
  return {
    iss: ISSUER,
    aud: ['api'],
    sub: 'system:serviceaccount:ns:bot',
    exp: seconds(600),
    nbf: seconds(-10),
    iat: seconds(-10),
    jti: 'id-1',
    'kubernetes.io': { namespace: 'ns', serviceaccount: { name: 'bot', uid: 'u-bot' }, ...kubernetes },
    ...more,
  };
}

async function find(token: string, from = tokens()) {
  reasons.length = 0;
  const known = await from.find(token);
  assert.ok(known === undefined || 'groups' in known, JSON.stringify(known));
  return known;
}

test('a token says who its owner is, and what it is bound to', async () => {
  const pod = { name: 'web', uid: 'u-web' };
  const node = { name: 'n1', uid: 'u-n1' };
  assert.deepEqual(await find(jwt(rsa, claims({ pod, node }))), {
    name: 'system:serviceaccount:ns:bot',
    uid: 'u-bot',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'],
    extra: {
      'authentication.kubernetes.io/credential-id': ['JTI=id-1'],
      'authentication.kubernetes.io/pod-name': ['web'],
      'authentication.kubernetes.io/pod-uid': ['u-web'],
      'authentication.kubernetes.io/node-name': ['n1'],
      'authentication.kubernetes.io/node-uid': ['u-n1'],
    },
  });
});

const signers: readonly [string, string][] = [
  ['RS256', ''],
  ['RS384', ''],
  ['RS512', ''],
  ['PS256', ''],
  ['PS512', ''],
  ['ES256', 'P-256'],
  ['ES384', 'P-384'],
  ['ES512', 'P-521'],
];
for (const [alg, curve] of signers) {
  test(`${alg} is verified; one bit of it changed, it is not`, async () => {
    const key = curve === '' ? rsa : ecKey(curve);
    const from = tokens({ keys: readVerificationKeys(key.publicPem) });
    const token = jwt(key, claims(), { alg, kid: key.id });
    assert.ok((await find(token, from)) !== undefined);
    const [head, body, signature] = token.split('.') as [string, string, string];
    const bytes = Buffer.from(signature, 'base64url');
    bytes[10]! ^= 1;
    assert.equal(await find(`${head}.${body}.${bytes.toString('base64url')}`, from), undefined);
    assert.deepEqual(reasons, ['go-jose/go-jose: error in cryptographic primitive']);
  });
}

test('what is not signed by a key of ours, with an algorithm of the key, is refused', async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const none = `${part({ alg: 'none' })}.${part(claims())}.`;
  assert.equal(await find(none), undefined);
  // The public key as the secret of an HMAC: the classic confusion.
  const hmacSigned = `${part({ alg: 'HS256' })}.${part(claims())}`;
  const mac = createHmac('sha256', rsa.publicPem).update(hmacSigned).digest('base64url');
  assert.equal(await find(`${hmacSigned}.${mac}`), undefined);
  assert.equal(await find(jwt(rsaKey(), claims())), undefined);
  assert.equal(await find(jwt(rsa, claims(), { kid: 'unknown' })), undefined);
  assert.deepEqual(reasons, ['invalid signature, no keys found']);
  assert.equal(await find(jwt(rsa, claims(), { crit: ['b64'], b64: false })), undefined);
});

const LATE = 'service account token has expired';
const rows: readonly [string, object, object, string | undefined][] = [
  ['another audience of ours', {}, { aud: 'other-api' }, undefined],
  ['no audience: it is meant for us', {}, { aud: undefined }, undefined],
  [
    'somebody else’s audience',
    {},
    { aud: ['vault'] },
    'token audiences ["vault"] is invalid for the target audiences ["api" "other-api"]',
  ],
  ['expired', {}, { exp: seconds(-61) }, LATE],
  ['expired, within the leeway of a minute', {}, { exp: seconds(-60) }, undefined],
  ['not valid yet', {}, { nbf: seconds(61) }, 'service account token is not valid yet'],
  ['not valid yet, within the leeway', {}, { nbf: seconds(60) }, undefined],
  ['issued in the future', {}, { iat: seconds(61) }, 'service account token is issued in the future'],
  [
    'a time that is no number',
    {},
    { exp: 'soon' },
    'go-jose/go-jose/jwt: expected number value to unmarshal NumericDate',
  ],
  ['an account that is not there', { serviceaccount: { name: 'no', uid: 'u' } }, {}, 'serviceaccounts "no" not found'],
  ['no account at all', { serviceaccount: undefined }, {}, 'resource name may not be empty'],
  [
    'an account that was made anew',
    { serviceaccount: { name: 'bot', uid: 'u-old' } },
    {},
    'service account UID (u-bot) does not match claim (u-old)',
  ],
  [
    'an account that is gone for two minutes',
    { serviceaccount: { name: 'gone', uid: 'u-gone' } },
    {},
    'service account ns/gone has been deleted',
  ],
  ['an account that is going for half a minute', { serviceaccount: { name: 'going', uid: 'u-going' } }, {}, undefined],
  ['a pod that is not there', { pod: { name: 'no', uid: 'u' } }, {}, 'service account token has been invalidated'],
  [
    'a pod that was made anew',
    { pod: { name: 'web', uid: 'u-old' } },
    {},
    'pod UID (u-web) does not match service account pod ref claim (u-old)',
  ],
  ['a secret', { secret: { name: 's', uid: 'u-s' } }, {}, undefined],
  [
    'a secret that was made anew',
    { secret: { name: 's', uid: 'u-old' } },
    {},
    'secret UID (u-s) does not match service account secret ref claim (u-old)',
  ],
  ['a node', { node: { name: 'n1', uid: 'u-n1' } }, {}, undefined],
  ['a node that is not there', { node: { name: 'n2', uid: 'u-n2' } }, {}, 'service account token has been invalidated'],
  [
    'a node of a pod that is not there',
    { pod: { name: 'web', uid: 'u-web' }, node: { name: 'n2', uid: 'u-n2' } },
    {},
    undefined,
  ],
];
for (const [what, kubernetes, more, reason] of rows) {
  test(`${what}: ${reason === undefined ? 'known' : reason}`, async () => {
    const known = await find(jwt(ec, claims(kubernetes, more)));
    assert.equal(known !== undefined, reason === undefined, reasons.join());
    assert.deepEqual(reasons, reason === undefined ? [] : [reason]);
  });
}

test('tokens of other issuers, and what is no token, are left to others, silently', async () => {
  for (const token of [
    jwt(rsa, claims({}, { iss: 'https://other' })),
    jwt(rsa, claims({}, { iss: 7 })),
    'a.b.c',
    'abc',
    '..',
    '{"a":1}.b.c',
  ]) {
    assert.equal(await find(token), undefined);
    assert.deepEqual(reasons, []);
  }
});

test('a token that is known ends with its pod, and in time; meanwhile its owner stays the same object, at once', async () => {
  const from = tokens();
  const first = nowMs;
  await serving.put('pods', { ...boundPod, metadata: { name: 'brief', namespace: 'ns', uid: 'u-brief' } });
  const token = jwt(rsa, claims({ pod: { name: 'brief', uid: 'u-brief' } }));
  const known = await find(token, from);
  assert.ok(known !== undefined);
  assert.equal(from.find(token), known, 'at once, without a promise');
  nowMs += 661_000;
  assert.equal(await find(token, from), undefined);
  assert.deepEqual(reasons, [LATE]);
  nowMs = first;
  assert.ok((await find(token, from)) !== undefined);
  await serving.remove('pods', 'ns', 'brief');
  await eventually('the token has ended', async () => (await from.find(token)) === undefined);
  assert.equal(reasons.at(-1), 'service account token has been invalidated');
});

test('a token may be younger than what the caches know', async () => {
  const from = tokens();
  await find(jwt(rsa, claims()), from);
  await serving.put('serviceaccounts', { metadata: { name: 'young', namespace: 'ns', uid: 'u-young' } });
  assert.ok((await find(jwt(rsa, claims({ serviceaccount: { name: 'young', uid: 'u-young' } })), from)) !== undefined);
});

test('tokens that lie in Secrets: held against the Secret, unless nothing is to be looked up', async () => {
  const legacy = {
    iss: 'kubernetes/serviceaccount',
    sub: 'system:serviceaccount:ns:bot',
    'kubernetes.io/serviceaccount/namespace': 'ns',
    'kubernetes.io/serviceaccount/service-account.name': 'bot',
    'kubernetes.io/serviceaccount/service-account.uid': 'u-bot',
    'kubernetes.io/serviceaccount/secret.name': 'bot-token',
  };
  const token = jwt(rsa, legacy);
  const from = tokens();
  assert.equal(await find(token, from), undefined);
  assert.deepEqual(reasons, ['Token has been invalidated']);
  assert.equal((await find(token, tokens({ lookup: false })))?.name, 'system:serviceaccount:ns:bot');
  const secret = (text: string, labels = {}) => ({
    metadata: { name: 'bot-token', namespace: 'ns', uid: 'u-t', labels },
    data: { token: Buffer.from(text).toString('base64') },
  });
  await serving.put('secrets', secret(`${token}x`));
  await eventually(
    'the Secret is seen',
    async () => (await find(token, from)) === undefined && reasons[0] !== 'Token has been invalidated',
  );
  assert.deepEqual(reasons, ["Token does not match server's copy"]);
  await serving.put('secrets', secret(token));
  await eventually('the Secret holds it', async () => (await find(token, from)) !== undefined);
  await serving.put('secrets', secret(token, { 'kubernetes.io/legacy-token-invalid-since': '2025-01-01' }));
  await eventually('it was marked', async () => (await find(token, from)) === undefined);
  assert.match(reasons[0]!, /^the token in secret ns\/bot-token for service account ns\/bot has been marked invalid/);
  assert.equal(await find(jwt(rsa, { ...legacy, sub: 'system:serviceaccount:ns:root' }), from), undefined);
  assert.deepEqual(reasons, ['sub claim is invalid']);
});

test('keys: several in a file, private, public and in certificates; what is none is named, and not shown', () => {
  assert.deepEqual(
    readVerificationKeys(rsa.privatePem + ec.publicPem).map(({ id }) => id),
    [rsa.id, ec.id],
  );
  assert.throws(() => readVerificationKeys('hello'), /no public or private key or certificate in PEM form/);
  const broken = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n';
  assert.throws(() => readVerificationKeys(rsa.publicPem + broken), /key 2 \(PUBLIC KEY\) does not parse/);
});

test('as many tokens are remembered as there is room for', async () => {
  const from = tokens({ limits: { tokensMax: 2, tokenKeptMs: 1_000 } });
  for (let index = 0; index < 5; index++) await find(jwt(ec, claims({}, { jti: `id-${index}` })), from);
  assert.equal(from.remembered, 2);
});
