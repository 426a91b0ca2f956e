import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask } from '../auth/support.js';
import { jwt, rsaKey, type TokenKey } from '../auth/tokens.js';
import { eventually } from '../support/command.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { Differences, Posts, type Reviewed } from './access-answers.js';

// Tokens that kube-apiserver has issued by TokenRequest, or could have: both servers know the same account by them, or refuse them.

const ISSUER = 'https://kubernetes.default.svc.cluster.local';
const NAMESPACE = '/api/v1/namespaces/default';
const posts = new Posts();
let world: ControlPlane;
let key: TokenKey;
let uid: string;

before(async () => {
  world = await startControlPlane({ listwatch: ['--anonymous-auth=true'] });
  const privatePem = await readFile(join(world.folder, 'sa.key'), 'utf8');
  const privateKey = createPrivateKey(privatePem);
  const publicKey = createPublicKey(privateKey);
  key = { ...rsaKey(), privatePem, privateKey, publicKey };
  ({ uid } = (await world.write('POST', `${NAMESPACE}/serviceaccounts`, { metadata: { name: 'bot' } })).metadata);
});
after(async () => {
  posts.close();
  await world?.stop();
});

const whoAmI = (url: string, token: string) =>
  posts.post(url, '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, { authorization: `Bearer ${token}` });

async function agree(differences: Differences, what: string, token: string, code: number): Promise<void> {
  const [theirs, ours] = await Promise.all([whoAmI(world.theirUrl, token), whoAmI(world.ourUrl, token)]);
  differences.add(what, theirs, ours);
  differences.add(`${what}: code`, theirs.code, code);
  for (const audiences of [undefined, [ISSUER], ['vault'], ['vault', 'x', ISSUER]]) {
    differences.add(`${what}: whose it is, for ${String(audiences)}`, ...(await reviewed(token, audiences)));
  }
}

/** What both say to somebody who asks whose a token is. */
async function reviewed(token: string, audiences?: readonly string[]): Promise<readonly [Reviewed, Reviewed]> {
  const spec = { token, ...(audiences === undefined ? {} : { audiences }) };
  const path = '/apis/authentication.k8s.io/v1/tokenreviews';
  return Promise.all([posts.post(world.theirUrl, path, { spec }), posts.post(world.ourUrl, path, { spec })]);
}

/** kube-apiserver knows a token for ten seconds after it has last asked who it is. */
async function refused(differences: Differences, what: string, token: string): Promise<void> {
  const until = async (url: string): Promise<Reviewed> =>
    eventually(`${what}: ${url} refuses it`, async () => {
      const answer = await whoAmI(url, token);
      return answer.code === 401 && answer;
    });
  differences.add(what, ...((await Promise.all([until(world.theirUrl), until(world.ourUrl)])) as [Reviewed, Reviewed]));
}

async function requested(spec: object, account = 'bot'): Promise<string> {
  const path = `${NAMESPACE}/serviceaccounts/${account}/token`;
  const { status } = await world.write('POST', path, { spec: { expirationSeconds: 600, ...spec } });
  return (status as { readonly token: string }).token;
}

const boundTo = (kind: string, metadata: { readonly name: string; readonly uid: string }) => ({
  boundObjectRef: { apiVersion: 'v1', kind, name: metadata.name, uid: metadata.uid },
});

test('tokens of an account, and bound to a pod, a secret or a node, until these are gone', async () => {
  const differences = new Differences();
  const { metadata: node } = await world.write('POST', '/api/v1/nodes', { metadata: { name: 'n1' } });
  const { metadata: secret } = await world.write('POST', `${NAMESPACE}/secrets`, { metadata: { name: 's' } });
  const podOf = (name: string, nodeName: object) => ({
    metadata: { name },
    spec: {
      ...nodeName,
      serviceAccountName: 'bot',
      automountServiceAccountToken: false,
      containers: [{ name: 'c', image: 'i' }],
    },
  });
  const { metadata: pod } = await world.write('POST', `${NAMESPACE}/pods`, podOf('p', { nodeName: 'n1' }));
  const { metadata: unbound } = await world.write('POST', `${NAMESPACE}/pods`, podOf('q', {}));
  const tokens = {
    plain: await requested({}),
    pod: await requested(boundTo('Pod', pod)),
    unbound: await requested(boundTo('Pod', unbound)),
    secret: await requested(boundTo('Secret', secret)),
    node: await requested(boundTo('Node', node)),
  };
  for (const [what, token] of Object.entries(tokens)) await agree(differences, what, token, 201);
  await agree(differences, 'another audience', await requested({ audiences: ['vault'] }), 401);
  await agree(differences, 'two audiences', await requested({ audiences: ['vault', ISSUER] }), 201);
  await agree(differences, 'a part of it', tokens.plain.slice(0, -8), 401);
  await agree(differences, 'another end', `${tokens.plain.slice(0, -8)}AAAAAAAA`, 401);

  await world.write('DELETE', `${NAMESPACE}/pods/p?gracePeriodSeconds=0`);
  await world.write('DELETE', `${NAMESPACE}/secrets/s`);
  await world.write('DELETE', '/api/v1/nodes/n1');
  await Promise.all(
    (['pod', 'secret', 'node'] as const).map((what) => refused(differences, `${what} is gone`, tokens[what])),
  );
  await agree(differences, 'the account is there', tokens.plain, 201);
  differences.assertNone();
});

test('tokens that are signed by the same key, and say this and that', async () => {
  const differences = new Differences();
  const now = Math.floor(Date.now() / 1_000);
  const { metadata: pod } = await world.write('POST', `${NAMESPACE}/pods`, {
    metadata: { name: 'r' },
    spec: { serviceAccountName: 'bot', automountServiceAccountToken: false, containers: [{ name: 'c', image: 'i' }] },
  });
  const kubernetes = { namespace: 'default', serviceaccount: { name: 'bot', uid } };
  const claims = { iss: ISSUER, aud: [ISSUER], exp: now + 600, iat: now, nbf: now, jti: 'id-7' };
  const token = (more: object, own: object = {}) =>
    jwt(key, {
      ...claims,
      sub: 'system:serviceaccount:default:bot',
      'kubernetes.io': { ...kubernetes, ...own },
      ...more,
    });
  const rows: readonly (readonly [string, string, number])[] = [
    ['as it should be', token({}), 201],
    ['expired', token({ exp: now - 600 }), 401],
    ['expired a moment ago', token({ exp: now - 10 }), 201],
    ['not yet', token({ nbf: now + 600 }), 401],
    ['in a moment', token({ nbf: now + 30 }), 201],
    ['issued in the future', token({ iat: now + 600 }), 401],
    ['another issuer', token({ iss: 'https://other' }), 401],
    ['no audience', token({ aud: undefined }), 201],
    ['an empty list of audiences', token({ aud: [] }), 201],
    ['one audience', token({ aud: ISSUER }), 201],
    ['another subject', token({ sub: 'system:serviceaccount:default:other' }), 201],
    ['no id', token({ jti: undefined }), 201],
    ['no expiry', token({ exp: undefined }), 201],
    ['times with fractions', token({ exp: now + 600.5, nbf: now - 0.5 }), 201],
    ['an expiry that is a text', token({ exp: 'soon' }), 401],
    ['another uid', token({}, { serviceaccount: { name: 'bot', uid: 'x' } }), 401],
    ['another account', token({}, { serviceaccount: { name: 'nobody', uid } }), 401],
    ['another namespace', token({}, { namespace: 'kube-system' }), 401],
    ['a pod', token({}, { pod: { name: 'r', uid: pod.uid } }), 201],
    [
      'a pod and a node that is not there',
      token({}, { pod: { name: 'r', uid: pod.uid }, node: { name: 'n', uid: 'x' } }),
      201,
    ],
    ['a pod of before', token({}, { pod: { name: 'r', uid: 'x' } }), 401],
    ['a node that is not there', token({}, { node: { name: 'n', uid: 'x' } }), 401],
    ['nothing of Kubernetes', jwt(key, claims), 401],
    ['another key', jwt(rsaKey(), { ...claims, 'kubernetes.io': kubernetes }), 401],
    ['another algorithm of the key', jwt(key, { ...claims, 'kubernetes.io': kubernetes }, { alg: 'PS256' }), 201],
  ];
  for (const [what, text, code] of rows) await agree(differences, what, text, code);
  differences.assertNone();
});

test('tokens that lie in Secrets, and an account that is made anew', async () => {
  const differences = new Differences();
  const own = (secret: string, of = uid) => {
    const prefix = 'kubernetes.io/serviceaccount';
    return jwt(key, {
      iss: 'kubernetes/serviceaccount',
      sub: 'system:serviceaccount:default:bot',
      [`${prefix}/namespace`]: 'default',
      [`${prefix}/secret.name`]: secret,
      [`${prefix}/service-account.name`]: 'bot',
      [`${prefix}/service-account.uid`]: of,
    });
  };
  const store = (name: string, token: string) =>
    world.write('POST', `${NAMESPACE}/secrets`, {
      metadata: { name, annotations: { 'kubernetes.io/service-account.name': 'bot' } },
      type: 'kubernetes.io/service-account-token',
      data: { token: Buffer.from(token).toString('base64') },
    });
  const [good, stale] = [own('t1'), own('t2', 'x')];
  await store('t1', good);
  await store('t2', stale);
  await store('t3', good);
  await agree(differences, 'in its Secret', good, 201);
  await agree(differences, 'of another account', stale, 401);
  await agree(differences, 'in no Secret', own('t4'), 401);
  await agree(differences, 'another one lies there', own('t3'), 401);
  const plain = await requested({});
  await agree(differences, 'before', plain, 201);
  await world.write('DELETE', `${NAMESPACE}/serviceaccounts/bot`);
  await world.write('POST', `${NAMESPACE}/serviceaccounts`, { metadata: { name: 'bot' } });
  await Promise.all([refused(differences, 'an account of before', plain), refused(differences, 'in a Secret', good)]);
  await agree(differences, 'after', await requested({}), 201);
  differences.assertNone();
});

test('whose other tokens are, and what is no token', async () => {
  const differences = new Differences();
  const tokens = [
    't-jane',
    't-admin',
    'nobody',
    'a.b.c',
    ' ',
    't-jane more',
    ' t-jane',
    '\tt-jane',
    'ä',
    'x'.repeat(9_000),
  ];
  for (const token of tokens) {
    for (const audiences of [undefined, [], [ISSUER], ['vault'], ['vault', ISSUER]]) {
      differences.add(`${token} for ${String(audiences)}`, ...(await reviewed(token, audiences)));
    }
  }
  const path = '/apis/authentication.k8s.io/v1/tokenreviews';
  const metadata = { name: 'x', labels: { a: 'b' } };
  const rows: readonly (readonly [object, Record<string, string>?])[] = [
    ...[[{}], [{ spec: {} }], [{ spec: { token: '' } }], [{ metadata, spec: { token: 't-jane' } }]].map(
      ([review]) => [review!] as const,
    ),
    [{ spec: { token: 't-jane' } }, { authorization: 'Bearer t-jane' }],
    [{ spec: { token: 't-jane' }, status: { authenticated: true, user: { username: 'eve' } } }],
  ];
  for (const [review, headers] of rows) {
    const ask = (url: string) => posts.post(url, path, review, headers);
    differences.add(
      JSON.stringify([review, headers]),
      ...(await Promise.all([ask(world.theirUrl), ask(world.ourUrl)])),
    );
  }
  differences.assertNone();
});

test('a TokenReview in each encoding, and what of it comes back', async () => {
  const differences = new Differences();
  const types = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
  const body = JSON.stringify({
    kind: 'TokenReview',
    apiVersion: 'authentication.k8s.io/v1',
    spec: { token: 't-jane' },
  });
  for (const accept of types) {
    const answers = await Promise.all(
      [world.theirUrl, world.ourUrl].map(async (url) => {
        const headers = { ...ADMIN, accept, 'content-type': 'application/json' };
        const path = '/apis/authentication.k8s.io/v1/tokenreviews';
        const {
          code,
          bytes,
          headers: got,
        } = await ask(Number(new URL(url).port), path, { method: 'POST', headers, body });
        // listwatch keeps no record of who has set which member of a review.
        const text = bytes.toString('latin1');
        return {
          code,
          type: got['content-type'],
          has: ['jane', 'u2', 'devs', 'system:authenticated', ISSUER].map((one) => text.includes(one)),
        };
      }),
    );
    differences.add(accept, ...(answers as [object, object]));
  }
  differences.assertNone();
});
