import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Authenticator } from '../../src/auth/authenticator.js';
import { unionOf } from '../../src/auth/authorizer.js';
import { Identities } from '../../src/auth/identity.js';
import { readBinding, readRole } from '../../src/auth/policy.js';
import { Rbac } from '../../src/auth/rbac.js';
import { StaticTokens } from '../../src/auth/token-file.js';
import { openEnvelope } from '../../src/codec/envelope.js';
import { messageToJson } from '../../src/codec/kind-codec.js';
import { envelopeHead } from '../../src/http/encode/envelope.js';
import { encodeMessage } from '../../src/http/encode/messages.js';
import { systemClock } from '../../src/lib/clock.js';
import { certificate, type Serving, startServing } from '../http/serving.js';
import { openedAccess } from './opened-access.js';
import { ask, type Reply } from './support.js';

const rbac = new Rbac(100);
let serving: Serving;
let port: number;
let plain: number;

before(async () => {
  rbac.ready = true;
  const identities = new Identities(10);
  const tokens = [new StaticTokens('t-jane,jane,u1,dev\nt-root,root,3,system:masters\n')];
  const authenticator = new Authenticator({
    frontProxy: undefined,
    clientAuthorities: undefined,
    tokens,
    anonymous: false,
    audiences: ['api'],
    identities,
    clock: systemClock,
  });
  const authorizer = unionOf([rbac]);
  serving = startServing({
    access: openedAccess({ authenticator, authorizer }),
  });
  ({ port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate()));
  ({ port: plain } = await serving.server.listenInsecure('127.0.0.1', 0));
  give('basic', 'system:authenticated', {
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io', 'authentication.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'],
  });
  give('dev', 'dev', { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'], resourceNames: ['web'] });
  give('paths', 'dev', { verbs: ['get'], nonResourceURLs: ['/healthz'] });
});
after(() => serving.close());

function give(name: string, group: string, rule: object): void {
  rbac.setRole(readRole({ metadata: { name }, rules: [rule] }));
  const subjects = [{ kind: 'Group', name: group }];
  rbac.setBinding(readBinding({ metadata: { name }, subjects, roleRef: { kind: 'ClusterRole', name } }));
}

const MAY_I = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const WHAT_MAY_I = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
const WHO_AM_I = '/apis/authentication.k8s.io/v1/selfsubjectreviews';

type Headers = Record<string, string | readonly string[]>;

function post(path: string, body: unknown, headers: Headers = {}, token = 't-jane'): Promise<Reply> {
  const all = { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers };
  return ask(port, path, { method: 'POST', headers: all, body: JSON.stringify(body) });
}

const questions: readonly [spec: object, status: object][] = [
  [
    { resourceAttributes: { verb: 'get', resource: 'pods', name: 'web', namespace: 'x' } },
    { allowed: true, reason: 'RBAC: allowed by ClusterRoleBinding "dev" of ClusterRole "dev" to Group "dev"' },
  ],
  [{ resourceAttributes: { verb: 'list', resource: 'pods' } }, { allowed: false }],
  [
    { nonResourceAttributes: { verb: 'get', path: '/healthz' } },
    { allowed: true, reason: 'RBAC: allowed by ClusterRoleBinding "paths" of ClusterRole "paths" to Group "dev"' },
  ],
  [{ nonResourceAttributes: { verb: 'get', path: '/metrics' } }, { allowed: false }],
];
for (const [spec, status] of questions) {
  test(`may I: ${JSON.stringify(spec)}`, async () => {
    const reply = await post(MAY_I, { spec });
    assert.equal(reply.code, 201);
    const want = { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1', metadata: {}, spec, status };
    assert.deepEqual(JSON.parse(reply.body), want);
  });
}

test('a review in protobuf, as kubectl sends it, is answered in protobuf', async () => {
  const message = 'k8s.io.api.authorization.v1.SelfSubjectAccessReview';
  const spec = { resourceAttributes: { verb: 'get', resource: 'pods', name: 'web' } };
  const raw = encodeMessage(message, { spec });
  const head = envelopeHead('authorization.k8s.io/v1', 'SelfSubjectAccessReview', raw.length);
  const reply = await ask(port, MAY_I, {
    method: 'POST',
    headers: {
      authorization: 'Bearer t-jane',
      'content-type': 'application/vnd.kubernetes.protobuf',
      accept: 'application/vnd.kubernetes.protobuf,application/json',
    },
    body: Buffer.concat([head, raw, Buffer.from([0x1a, 0, 0x22, 0])]),
  });
  assert.equal(reply.code, 201);
  const { kind, rawStart, rawEnd } = openEnvelope(reply.bytes, 0, reply.bytes.length);
  assert.equal(kind, 'SelfSubjectAccessReview');
  const answered = JSON.parse(messageToJson(message, reply.bytes, rawStart, rawEnd)) as {
    status: { allowed: boolean };
  };
  assert.equal(answered.status.allowed, true);
});

test('what may I: the rules of all roles', async () => {
  const reply = await post(WHAT_MAY_I, { spec: { namespace: 'default' } });
  assert.equal(reply.code, 201);
  const { status } = JSON.parse(reply.body) as { status: { resourceRules: object[]; nonResourceRules: object[] } };
  assert.deepEqual(status.resourceRules[0], {
    verbs: ['get', 'list'],
    apiGroups: [''],
    resources: ['pods'],
    resourceNames: ['web'],
  });
  assert.deepEqual(status.nonResourceRules, [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }]);
  assert.equal(status.resourceRules.length, 2);
  assert.equal((await post(WHAT_MAY_I, { spec: {} })).code, 400);
});

test('who am I', async () => {
  const reply = await post(WHO_AM_I, {});
  const userInfo = { username: 'jane', uid: 'u1', groups: ['dev', 'system:authenticated'] };
  const { metadata, ...review } = JSON.parse(reply.body) as {
    readonly metadata: { readonly creationTimestamp: string };
  };
  assert.match(metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(review, {
    kind: 'SelfSubjectReview',
    apiVersion: 'authentication.k8s.io/v1',
    status: { userInfo },
  });
});

test('the plain listener allows everything, to a user with a name', async () => {
  const send = async (path: string, body: object) => {
    const response = await fetch(`http://127.0.0.1:${plain}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    });
    return (await response.json()) as { status: { allowed?: boolean; userInfo?: { username: string } } };
  };
  const spec = { resourceAttributes: { verb: 'get', resource: 'secrets' } };
  assert.equal((await send(MAY_I, { spec })).status.allowed, true);
  assert.equal((await send(WHO_AM_I, {})).status.userInfo?.username, 'system:unsecured');
});

const wrong: readonly [what: string, body: unknown, headers: Headers, code: number][] = [
  ['no spec', {}, {}, 422],
  ['both kinds of attributes', { spec: { resourceAttributes: {}, nonResourceAttributes: {} } }, {}, 422],
  ['a name', { metadata: { name: 'x' }, spec: { resourceAttributes: {} } }, {}, 422],
  ['another kind', { kind: 'Pod', apiVersion: 'v1' }, {}, 400],
  ['no object', [], {}, 400],
  ['another content type', {}, { 'content-type': 'text/plain' }, 415],
  ['JSON that is called protobuf', {}, { 'content-type': 'application/vnd.kubernetes.protobuf' }, 400],
  ['too much', { spec: 'x'.repeat(4 * 2 ** 20) }, {}, 413],
];
for (const [what, body, headers, code] of wrong) {
  test(`a review with ${what} is refused with ${code}`, async () => {
    assert.equal((await post(MAY_I, body, headers)).code, code);
  });
}

const MAY_THEY = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
const THERE = '/apis/authorization.k8s.io/v1/namespaces/ns/localsubjectaccessreviews';
const pod = (namespace?: string) => ({ resourceAttributes: { namespace, verb: 'get', resource: 'pods', name: 'web' } });
const ofOthers: readonly [what: string, path: string, body: object, want: boolean | string][] = [
  ['a group', MAY_THEY, { spec: { groups: ['dev'], ...pod() } }, true],
  ['a user without a group', MAY_THEY, { spec: { user: 'jane', ...pod() } }, false],
  [
    'nobody',
    MAY_THEY,
    { spec: pod() },
    'spec.user: Invalid value: "": at least one of user or group must be specified',
  ],
  ['a path', MAY_THEY, { spec: { groups: ['dev'], nonResourceAttributes: { verb: 'get', path: '/healthz' } } }, true],
  ['a namespace', THERE, { spec: { groups: ['dev'], ...pod('ns') } }, true],
  ['a namespace, named twice', THERE, { metadata: { namespace: 'ns' }, spec: { groups: ['dev'], ...pod('ns') } }, true],
  [
    'a namespace that is another one in the spec',
    THERE,
    { spec: { groups: ['dev'], ...pod() } },
    'spec.resourceAttributes.namespace: Invalid value: "": must match metadata.namespace',
  ],
  [
    'a namespace that is another one in the metadata',
    THERE,
    { metadata: { namespace: 'other' }, spec: { groups: ['dev'], ...pod('ns') } },
    'the namespace of the provided object does not match the namespace sent on the request',
  ],
];
for (const [what, path, body, want] of ofOthers) {
  test(`a review of what others may: ${what}`, async () => {
    const reply = JSON.parse((await post(path, body, {}, 't-root')).body) as {
      readonly status: { readonly allowed: boolean };
      readonly message?: string;
    };
    if (typeof want === 'boolean') assert.equal(reply.status.allowed, want);
    else assert.ok(reply.message?.endsWith(want), reply.message);
  });
}

test('whoever may not create reviews of others is refused', async () => {
  for (const path of [MAY_THEY, THERE]) {
    assert.equal((await post(path, { spec: { groups: ['dev'], ...pod('ns') } })).code, 403);
  }
});

const impersonated: readonly [headers: Headers, want: object | string][] = [
  [{ 'impersonate-user': 'bob' }, { username: 'bob', groups: ['system:authenticated'] }],
  [
    { 'impersonate-user': 'bob', 'impersonate-group': ['a, b', 'c'], 'impersonate-uid': 'u7' },
    { username: 'bob', uid: 'u7', groups: ['a, b', 'c', 'system:authenticated'] },
  ],
  [
    { 'impersonate-user': 'bob', 'Impersonate-Extra-Acme.com%2Fproject': ['x', 'y'] },
    { username: 'bob', groups: ['system:authenticated'], extra: { 'acme.com/project': ['x', 'y'] } },
  ],
  [
    { 'impersonate-user': 'system:serviceaccount:ns:bot' },
    {
      username: 'system:serviceaccount:ns:bot',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:ns', 'system:authenticated'],
    },
  ],
  [
    { 'impersonate-user': 'system:serviceaccount:N_S:bot' },
    { username: 'system:serviceaccount:N_S:bot', groups: ['system:authenticated'] },
  ],
  [
    { 'impersonate-user': 'system:anonymous', 'impersonate-group': 'system:authenticated' },
    { username: 'system:anonymous', groups: ['system:authenticated', 'system:unauthenticated'] },
  ],
  [{ 'impersonate-user': '' }, { username: 'root', uid: '3', groups: ['system:masters', 'system:authenticated'] }],
  [{ 'impersonate-user': '', 'impersonate-uid': 'u' }, 'without impersonating a user name'],
  [{ 'impersonate-user': 'system:anonymous' }, 'forbidden: User'],
  [{ 'impersonate-group': 'system:masters' }, 'without impersonating a user name'],
];
for (const [headers, want] of impersonated) {
  test(`a master acts as ${JSON.stringify(headers)}`, async () => {
    const reply = await post(WHO_AM_I, {}, headers, 't-root');
    if (typeof want === 'string')
      assert.match(reply.body, new RegExp(want.replace('forbidden: User', 'is forbidden: User')));
    else assert.deepEqual((JSON.parse(reply.body) as { status: { userInfo: object } }).status.userInfo, want);
  });
}

test('each part of an impersonation must be allowed', async () => {
  const messageOf = async (headers: Headers) => {
    const reply = await post(WHO_AM_I, {}, headers);
    return [reply.code, (JSON.parse(reply.body) as { message?: string }).message];
  };
  assert.deepEqual(await messageOf({ 'impersonate-user': 'bob' }), [
    403,
    'selfsubjectreviews.authentication.k8s.io is forbidden: User "jane" cannot impersonate-on:user-info:create resource "selfsubjectreviews" in API group "authentication.k8s.io" at the cluster scope',
  ]);
  give('act', 'dev', { verbs: ['impersonate'], apiGroups: [''], resources: ['users'], resourceNames: ['bob'] });
  assert.deepEqual(await messageOf({ 'impersonate-user': 'bob' }), [201, undefined]);
  assert.deepEqual(await messageOf({ 'impersonate-user': 'bob', 'impersonate-group': 'system:masters' }), [
    403,
    'groups "system:masters" is forbidden: User "jane" cannot impersonate resource "groups" in API group "" at the cluster scope',
  ]);
  assert.deepEqual(await messageOf({ 'impersonate-user': 'bob', 'impersonate-extra-k': 'v' }), [
    403,
    'userextras.authentication.k8s.io "v" is forbidden: User "jane" cannot impersonate resource "userextras/k" in API group "authentication.k8s.io" at the cluster scope',
  ]);
  assert.equal((await messageOf({ 'impersonate-user': 'system:serviceaccount:ns:bot' }))[0], 403);
  assert.equal((await messageOf({ 'impersonate-user': 'bob', 'impersonate-uid': 'u' }))[0], 403);
});

test('who acts as somebody may do what that one may, and no more', async () => {
  const headers = { authorization: 'Bearer t-root', 'impersonate-user': 'ann', 'impersonate-group': 'dev' };
  assert.equal((await ask(port, '/api/v1/namespaces/x/pods?fieldSelector=metadata.name%3Dweb', { headers })).code, 200);
  assert.equal((await ask(port, '/api/v1/namespaces/x/secrets', { headers })).code, 403);
});

const WHOSE = '/apis/authentication.k8s.io/v1/tokenreviews';
const JANE = { username: 'jane', uid: 'u1', groups: ['dev', 'system:authenticated'] };
const whose: readonly [spec: object, want: object | string][] = [
  [{ token: 't-jane' }, { authenticated: true, user: JANE, audiences: ['api'] }],
  [
    { token: 't-jane', audiences: ['x', 'api'] },
    { authenticated: true, user: JANE, audiences: ['api'] },
  ],
  [
    { token: 't-jane', audiences: ['x'] },
    { user: {}, error: 'invalid bearer token' },
  ],
  [{ token: 't-jane more' }, { authenticated: true, user: JANE, audiences: ['api'] }],
  [{ token: 'nobody' }, { user: {}, error: 'invalid bearer token' }],
  [{ token: ' ' }, { user: {} }],
  [{ token: '' }, 'token is required for TokenReview in authentication'],
  [{}, 'token is required for TokenReview in authentication'],
];
for (const [spec, want] of whose) {
  test(`whose is the token: ${JSON.stringify(spec)}`, async () => {
    const reply = await post(WHOSE, { spec }, {}, 't-root');
    const body = JSON.parse(reply.body) as { readonly message?: string };
    if (typeof want === 'string') assert.deepEqual([reply.code, body.message], [400, want]);
    else {
      const all = { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', metadata: {}, spec, status: want };
      assert.deepEqual([reply.code, body], [201, all]);
    }
  });
}

test('whose a token is, only those are told who may ask', async () => {
  assert.equal((await post(WHOSE, { spec: { token: 't-root' } })).code, 403);
});
