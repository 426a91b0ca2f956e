import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { connect } from 'node:tls';
import { Authenticator } from '../../src/auth/authenticator.js';
import { unionOf } from '../../src/auth/authorizer.js';
import { Identities } from '../../src/auth/identity.js';
import { readBinding, readRole } from '../../src/auth/policy.js';
import { Rbac } from '../../src/auth/rbac.js';
import { ReviewClient } from '../../src/auth/review-client.js';
import { StaticTokens } from '../../src/auth/token-file.js';
import { WebhookAuthorizer } from '../../src/auth/webhook-authorizer.js';
import { WebhookTokens } from '../../src/auth/webhook-tokens.js';
import { OpenWatches } from '../../src/http/access.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits, type Limits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { eventually, openHttp2, read, request } from '../http/client.js';
import { certificate, pod, type Serving, startServing } from '../http/serving.js';
import { type Asked, type Said, startWebhook, type Webhook } from '../support/webhook.js';
import { openedAccess } from './opened-access.js';
import { ask, type Reply } from './support.js';

// Requests whose user and rights a webhook knows: real servers on both sides.

const LIST = '/api/v1/namespaces/default/pods';
const said: string[] = [];
let webhook: Webhook;
let open: Opened;

interface Opened {
  readonly serving: Serving;
  readonly port: number;
  readonly rbac: Rbac;
  readonly watches: OpenWatches;
  /** As RBAC's changes are looked at by open-access.ts. */
  check(): void;
  close(): Promise<void>;
}

async function openServer(limits: Partial<Limits> = {}, isAskedFirst = false): Promise<Opened> {
  const all = { ...defaultLimits, ...limits };
  const url = new URL(`${webhook.url}/review`);
  const client = new ReviewClient({
    server: { url, tls: { ca: webhook.ca }, authorization: () => undefined },
    timeoutMs: 30_000,
    clock: systemClock,
    random: seededRandom(1),
    limits: all,
    userAgent: 'listwatch/v0',
  });
  const identities = new Identities(100);
  const common = {
    client,
    clock: systemClock,
    limits: all,
    version: 'v1',
    failed: (reason: string) => said.push(reason),
  } as const;
  const authenticator = new Authenticator({
    frontProxy: undefined,
    clientAuthorities: undefined,
    tokens: [
      new StaticTokens('t-jane,jane,1,dev\nt-root,root,3,system:masters\n'),
      new WebhookTokens({ ...common, audiences: [], cacheTtlMs: 120_000, errorTtlMs: 0, identities }),
    ],
    anonymous: true,
    identities,
    clock: systemClock,
  });
  const rbac = new Rbac(100);
  rbac.ready = true;
  const remote = new WebhookAuthorizer({ ...common, authorizedTtlMs: 300_000, unauthorizedTtlMs: 0 });
  const authorizer = unionOf(isAskedFirst ? [remote, rbac] : [rbac, remote]);
  const watches = new OpenWatches();
  const serving = startServing({
    limits,
    access: openedAccess({ authenticator, authorizer, watches }),
  });
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  await serving.put('pods', pod('web'));
  return {
    serving,
    port,
    rbac,
    watches,
    check: () => watches.check(authorizer, unionOf([rbac])),
    async close() {
      await serving.close();
      client.close();
    },
  };
}

/** Tokens `w-NAME` are those of NAME; those of `slow` it does not tell. */
function tokenReview({ review }: Asked): Said {
  const name = /^w-(.+)$/.exec(review.spec.token)?.[1];
  if (name === undefined) return { status: { authenticated: false } };
  if (name === 'slow') return 'silence';
  if (name === 'broken') return { code: 404, text: '' };
  return { status: { authenticated: true, user: { username: name, groups: ['remote'] } } };
}

/** By the verb and the user: `ann` may list, `eve` is denied, `bob`'s rights are not to be known, and `sly` waits. */
function accessReview({ review }: Asked): Said {
  const { user, resourceAttributes, nonResourceAttributes } = review.spec;
  switch (user) {
    case 'ann': {
      const allowed = ['list', 'watch', 'get', 'create', 'impersonate'].includes(resourceAttributes?.verb);
      return { status: { allowed: allowed || nonResourceAttributes?.path === '/version', reason: 'ann, you know' } };
    }
    case 'eve':
      return { status: { allowed: false, denied: true, reason: 'not eve' } };
    case 'bob':
      return { code: 404, text: 'lost <b>' };
    case 'sly':
      return 'silence';
    default:
      return { status: { allowed: false } };
  }
}

before(async () => {
  webhook = await startWebhook(() => ({ status: {} }));
  open = await openServer();
});
beforeEach(() => {
  webhook.answer = (asked) => (asked.review.kind === 'TokenReview' ? tokenReview(asked) : accessReview(asked));
  webhook.asked.length = 0;
});
after(async () => {
  await open.close();
  await webhook.close();
});

function as(name: string, path = LIST, headers: Record<string, string | readonly string[]> = {}): Promise<Reply> {
  return ask(open.port, path, { headers: { authorization: `Bearer ${name}`, ...headers } });
}

function reviews(kind: string): Asked[] {
  return webhook.asked.filter(({ review }) => review.kind === kind);
}

const FORBIDDEN = 'cannot list resource "pods" in API group "" in the namespace "default"';
const rows: readonly [token: string, path: string, code: number, body: RegExp][] = [
  ['w-ann', LIST, 200, /"name":"web"/],
  ['w-ann', `${LIST}/web`, 200, /"name":"web"/],
  ['w-ann', '/version', 200, /"gitVersion"/],
  ['w-ann', '/metrics', 403, /"forbidden: User \\"ann\\" cannot get path \\"\/metrics\\": ann, you know"/],
  [
    'w-eve',
    LIST,
    403,
    new RegExp(`pods is forbidden: User \\\\"eve\\\\" ${FORBIDDEN.replaceAll('"', '\\\\"')}: not eve"`),
  ],
  ['w-joe', LIST, 403, new RegExp(`pods is forbidden: User \\\\"joe\\\\" ${FORBIDDEN.replaceAll('"', '\\\\"')}"`)],
  [
    'w-bob',
    LIST,
    500,
    /^Internal Server Error: "\/api\/v1\/namespaces\/default\/pods": the server could not find the requested resource\n$/,
  ],
  ['unknown', LIST, 401, /"message":"Unauthorized"/],
  ['w-broken', LIST, 401, /"message":"Unauthorized"/],
  ['t-root', LIST, 200, /"name":"web"/],
  ['t-jane', LIST, 403, /User \\"jane\\" cannot list/],
];
for (const [token, path, code, body] of rows) {
  test(`${token} ${path}: ${code}`, async () => {
    const reply = await as(token, path);
    assert.equal(reply.code, code, reply.body);
    assert.match(reply.body, body);
    if (code === 500) assert.equal(reply.headers['content-type'], 'text/plain; charset=utf-8');
  });
}

test('what is known is not asked again, and nobody is asked about what is known here', async () => {
  await as('w-ann');
  webhook.asked.length = 0;
  assert.equal((await as('w-ann')).code, 200);
  assert.equal((await as('t-root')).code, 200);
  assert.equal(webhook.asked.length, 0);
  assert.equal((await as('t-jane')).code, 403);
  assert.deepEqual([reviews('TokenReview').length, reviews('SubjectAccessReview').length], [0, 1]);
});

test('who shows nothing is somebody whom nobody knows: the webhook is asked what he may do', async () => {
  const reply = await ask(open.port, '/version');
  assert.equal(reply.code, 403);
  const [{ review }] = reviews('SubjectAccessReview') as [Asked];
  assert.deepEqual(review.spec, {
    nonResourceAttributes: { path: '/version', verb: 'get' },
    user: 'system:anonymous',
    groups: ['system:unauthenticated'],
  });
});

test('selectors are part of the question', async () => {
  await as('w-ann', `${LIST}?fieldSelector=metadata.name%3Dweb,status.phase!%3DFailed&labelSelector=app%20in%20(a,b)`);
  const [{ review }] = reviews('SubjectAccessReview') as [Asked];
  const { name, fieldSelector, labelSelector } = review.spec.resourceAttributes;
  assert.equal(name, 'web');
  assert.deepEqual(fieldSelector.requirements, [
    { key: 'metadata.name', operator: 'In', values: ['web'] },
    { key: 'status.phase', operator: 'NotIn', values: ['Failed'] },
  ]);
  assert.deepEqual(labelSelector.requirements, [{ key: 'app', operator: 'In', values: ['a', 'b'] }]);
});

test('the webhook decides as whom somebody acts; if it does not answer, as nobody', async () => {
  const reply = await as('w-ann', LIST, { 'impersonate-user': 'root', 'impersonate-group': ['system:masters'] });
  assert.equal(reply.code, 200);
  const asked = reviews('SubjectAccessReview').map(({ review }) => review.spec);
  assert.deepEqual(
    asked.map(({ user, resourceAttributes: { verb, resource, name } }) => [user, verb, resource, name]),
    [
      ['ann', 'impersonate-on:user-info:list', 'pods', undefined],
      ['ann', 'impersonate', 'users', 'root'],
      ['ann', 'impersonate', 'groups', 'system:masters'],
    ],
  );
  const refused = await as('w-bob', LIST, { 'impersonate-user': 'root' });
  assert.equal(refused.code, 403);
  assert.match(
    refused.body,
    /pods is forbidden: User \\"bob\\" cannot impersonate-on:user-info:list resource .*: the server could not find/,
  );
});

function review(token: string, kind: string, spec: object): Promise<Reply> {
  return ask(open.port, `/apis/authorization.k8s.io/v1/${kind.toLowerCase()}s`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ kind, apiVersion: 'authorization.k8s.io/v1', spec }),
  });
}

test('questions about oneself are asked of the webhook, and what went wrong is told', async () => {
  const spec = { resourceAttributes: { verb: 'get', resource: 'pods' } };
  const mayAnn = await review('w-ann', 'SelfSubjectAccessReview', spec);
  assert.equal(mayAnn.code, 201);
  assert.deepEqual(JSON.parse(mayAnn.body).status, { allowed: true, reason: 'ann, you know' });
  const { review: asked } = reviews('SubjectAccessReview').at(-1)!;
  assert.deepEqual(asked.spec.resourceAttributes, { verb: 'get', version: '*', resource: 'pods' });

  open.rbac.setRole(
    readRole({ metadata: { name: 'ask' }, rules: [{ verbs: ['create'], apiGroups: ['*'], resources: ['*'] }] }),
  );
  const subjects = ['bob', 'eve'].map((name) => ({ kind: 'User', name }));
  const binding = readBinding({ metadata: { name: 'ask' }, subjects, roleRef: { kind: 'ClusterRole', name: 'ask' } });
  open.rbac.setBinding(binding);
  const mayBob = await review('w-bob', 'SelfSubjectAccessReview', spec);
  assert.equal(mayBob.code, 201);
  const evaluationError = 'the server could not find the requested resource';
  assert.deepEqual(JSON.parse(mayBob.body).status, { allowed: false, evaluationError });
  const mayEve = await review('w-eve', 'SelfSubjectAccessReview', spec);
  assert.deepEqual(JSON.parse(mayEve.body).status, { allowed: false, denied: true, reason: 'not eve' });
  const rules = await review('w-bob', 'SelfSubjectRulesReview', { namespace: 'default' });
  const { incomplete, evaluationError: why, resourceRules } = JSON.parse(rules.body).status;
  assert.deepEqual([incomplete, why], [true, 'webhook authorizer does not support user rule resolution']);
  assert.deepEqual(resourceRules, [{ verbs: ['create'], apiGroups: ['*'], resources: ['*'] }]);
  open.rbac.deleteBinding(binding);
});

test('selectors of such a question are part of what the webhook is asked, and those that do not parse are told of', async () => {
  const fieldSelector = { requirements: [{ key: 'a', operator: 'NotIn', values: ['b'] }] };
  const labelSelector = { rawSelector: 'a in (' };
  const resourceAttributes = { verb: 'list', resource: 'pods', fieldSelector, labelSelector };
  const reply = await review('w-ann', 'SelfSubjectAccessReview', { resourceAttributes });
  const { allowed, evaluationError } = JSON.parse(reply.body).status;
  assert.deepEqual([reply.code, allowed], [201, true]);
  assert.equal(evaluationError, 'spec.resourceAttributes.labelSelector ignored due to parse error');
  const { spec } = reviews('SubjectAccessReview').at(-1)!.review;
  assert.deepEqual(spec.resourceAttributes.fieldSelector, fieldSelector);
  assert.equal(spec.resourceAttributes.labelSelector, undefined);
  const nothing = { verb: 'list', resource: 'pods', labelSelector: {} };
  assert.equal((await review('w-ann', 'SelfSubjectAccessReview', { resourceAttributes: nothing })).code, 422);
});

for (const token of ['w-slow', 'w-sly']) {
  test(`${token}: a request waits no longer than its deadline, nor does the webhook's answer hold anything then`, async () => {
    const reply = await as(token, `${LIST}?timeout=300ms`);
    assert.equal(reply.code, 504);
    assert.match(reply.body, /request did not complete within the allotted timeout/);
    await eventually('the webhook is not asked any more', () => webhook.waiting === 0);
    assert.equal(open.serving.server.open, 0);
  });

  test(`${token}: who leaves ends the question`, async () => {
    const session = await openHttp2(open.port);
    const streams = [LIST, `${LIST}?watch=1`, `${LIST}/web`].map((path) =>
      request(session, path, { authorization: `Bearer ${token}` }),
    );
    for (const stream of streams) stream.on('error', () => undefined);
    await eventually('all are asked about', () => webhook.waiting === (token === 'w-slow' ? 1 : 3));
    for (const stream of streams) stream.close();
    await eventually('nothing is asked, and nothing open', () => webhook.waiting + open.serving.server.open === 0);
    session.destroy();
  });
}

test('who leaves over HTTP/1.1 ends the question, too: about a read, a watch and a review', async () => {
  const body = '{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}';
  const may = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  webhook.answer = (asked) => (asked.review.kind === 'TokenReview' ? tokenReview(asked) : 'silence');
  await as('w-known', `${LIST}?timeout=10ms`);
  const sockets = [
    `GET ${LIST} HTTP/1.1\r\n`,
    `GET ${LIST}?watch=1 HTTP/1.1\r\n`,
    `POST ${may} HTTP/1.1\r\nContent-Length: ${body.length}\r\n`,
  ].map((head) => {
    const socket = connect({ port: open.port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => undefined);
    socket.write(
      `${head}Host: localhost\r\nAuthorization: Bearer w-known\r\n\r\n${head.startsWith('POST') ? body : ''}`,
    );
    return socket;
  });
  await eventually('all are asked about', () => webhook.waiting === 3 && open.serving.server.open === 3);
  for (const socket of sockets) socket.destroy();
  await eventually('nothing is asked, and nothing open', () => webhook.waiting + open.serving.server.open === 0);
});

test('a thousand who come with one new token are one question about who, and one about what', async () => {
  const session = await openHttp2(open.port);
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, () => read(request(session, `${LIST}/web`, { authorization: 'Bearer w-many' }))),
  );
  session.destroy();
  // Those who are counted wait for what they may, and there may be 400 of them.
  const codes = new Set(answers.map(({ code }) => code));
  assert.ok(codes.has(403) && [...codes].every((code) => code === 403 || code === 429), [...codes].join());
  assert.deepEqual([reviews('TokenReview').length, reviews('SubjectAccessReview').length], [1, 1]);
});

test('whose rights are being asked for is counted by --max-requests-inflight; a watch is not, nor who is not known yet', async () => {
  const own = await openServer({ requestsInFlightMax: 2, admissionsWaitingMax: 7 });
  const session = await openHttp2(own.port);
  const start = (token: string, path: string) => {
    const stream = request(session, path, { authorization: `Bearer ${token}` });
    stream.on('error', () => undefined);
    return stream;
  };
  const names = ['/a', '/b', '/c'].map((name) => `${LIST}${name}`);
  const unknown = ['w-slow', 'w-slow', 'w-slow'].map((token) => start(token, LIST));
  await eventually('their owner is asked for', () => own.serving.server.open === 3);
  const held = [start('w-sly', names[0]!), start('w-sly', names[1]!)];
  await eventually('two wait for their rights', () => webhook.waiting === 3);
  const third = await read(start('w-sly', names[2]!));
  assert.equal(third.code, 429);
  assert.equal(third.headers['retry-after'], '1');
  assert.equal((await read(start('t-root', LIST))).code, 429);

  const watches = ['a', 'b'].map((name) => start('w-sly', `${LIST}?watch=1&fieldSelector=metadata.name%3D${name}`));
  await eventually('two watches wait, too', () => webhook.waiting === 5);
  const eighth = await read(start('w-sly', `${LIST}?watch=1`));
  assert.equal(eighth.code, 429, 'seven wait already');
  for (const stream of [...unknown, ...held, ...watches]) stream.close();
  await eventually('nobody waits', () => own.serving.server.open === 0 && webhook.waiting === 0);
  assert.equal((await read(start('t-root', LIST))).code, 200);
  assert.equal((await read(start('w-ann', LIST))).code, 200);
  session.destroy();
  await own.close();
});

test('an open watch that RBAC allowed ends when neither allows it; one that the webhook allowed goes on', async () => {
  open.rbac.setRole(
    readRole({
      metadata: { name: 'watch' },
      rules: [{ verbs: ['watch', 'list'], apiGroups: [''], resources: ['pods'] }],
    }),
  );
  const subjects = ['joe', 'eve', 'jane', 'bob'].map((name) => ({ kind: 'User', name }));
  const binding = readBinding({
    metadata: { name: 'watch' },
    subjects,
    roleRef: { kind: 'ClusterRole', name: 'watch' },
  });
  open.rbac.setBinding(binding);
  const session = await openHttp2(open.port);
  const ended = new Set<string>();
  let begun = 0;
  for (const token of ['w-joe', 'w-eve', 'w-bob', 't-jane', 'w-ann']) {
    const stream = request(session, `${LIST}?watch=1`, { authorization: `Bearer ${token}` });
    stream.on('response', ({ ':status': status }) => {
      assert.equal(status, 200);
      begun++;
    });
    stream.on('end', () => ended.add(token));
    stream.on('error', () => undefined);
    stream.resume();
  }
  await eventually('all watch', () => begun === 5);
  assert.equal(open.watches.size, 4, 'the one that the webhook has allowed is not looked at again');
  webhook.answer = (asked) => (asked.review.spec.user === 'jane' ? { status: { allowed: true } } : accessReview(asked));
  webhook.asked.length = 0;
  open.check();
  assert.equal(webhook.asked.length, 0, 'RBAC still allows it');
  open.rbac.deleteBinding(binding);
  open.check();
  await eventually('three have ended', () => ended.size === 3);
  assert.deepEqual([...ended].sort(), ['w-bob', 'w-eve', 'w-joe']);
  assert.deepEqual(
    reviews('SubjectAccessReview')
      .map(({ review: { spec } }) => spec.user)
      .sort(),
    ['bob', 'eve', 'jane', 'joe'],
  );
  assert.equal(open.watches.size, 0);
  session.destroy();
});

test('while RBAC allows an open watch, a webhook that comes before it is not asked again', async () => {
  const own = await openServer({}, true);
  const rules = [{ verbs: ['watch'], apiGroups: [''], resources: ['pods'] }];
  own.rbac.setRole(readRole({ metadata: { name: 'watch' }, rules }));
  const subjects = [{ kind: 'User', name: 'joe' }];
  const roleRef = { kind: 'ClusterRole', name: 'watch' };
  const binding = readBinding({ metadata: { name: 'watch' }, subjects, roleRef });
  own.rbac.setBinding(binding);
  const session = await openHttp2(own.port);
  const stream = request(session, `${LIST}?watch=1`, { authorization: 'Bearer w-joe' });
  let ended = false;
  stream.on('end', () => (ended = true)).on('error', () => undefined);
  stream.resume();
  await eventually('it watches', () => own.watches.size === 1);
  webhook.asked.length = 0;
  own.check();
  await new Promise((resolve) => setTimeout(resolve, 100)); // a question would have come by then
  assert.equal(webhook.asked.length, 0);
  own.rbac.deleteBinding(binding);
  own.check();
  await eventually('it has ended', () => ended);
  assert.equal(reviews('SubjectAccessReview').length, 1);
  session.destroy();
  await own.close();
});

test('tokens are in nothing that is said, and in no metric', async () => {
  await as('w-secretive');
  await as('w-broken');
  await as('w-bob');
  assert.ok(said.length > 0);
  const metrics = await open.serving.server.metrics.text();
  for (const text of [...said, metrics]) assert.doesNotMatch(text, /\bw-[a-z]|\bt-(jane|root)/);
});
