import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attributes } from '../../src/auth/attributes.js';
import {
  allowPaths,
  alwaysAllow,
  alwaysDeny,
  type Authorizer,
  type Decision,
  unionOf,
} from '../../src/auth/authorizer.js';
import { anonymous, type Identity } from '../../src/auth/identity.js';
import { ReviewError } from '../../src/auth/review-client.js';
import { WebhookAuthorizer, type WebhookAuthorizerOptions } from '../../src/auth/webhook-authorizer.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { type ScriptedAnswer, scriptedReviews } from './scripted-reviews.js';

// What is asked of a webhook about a request, and what its answer means beside other authorizers.

const jane: Identity = { name: 'jane', uid: 'u1', groups: ['dev'], extra: { b: ['2'], a: ['1'] } };
const LIST_PODS = {
  user: jane,
  verb: 'list',
  group: '',
  version: 'v1',
  resource: 'pods',
  subresource: '',
  namespace: 'default',
  name: '',
} satisfies Attributes;

function webhook(answer: Parameters<typeof scriptedReviews>[0], more: Partial<WebhookAuthorizerOptions> = {}) {
  const clock = createFakeClock();
  const { client, bodies, signals } = scriptedReviews(answer);
  const failures: string[] = [];
  const authorizer = new WebhookAuthorizer({
    client,
    version: 'v1',
    authorizedTtlMs: 300_000,
    unauthorizedTtlMs: 30_000,
    clock,
    limits: defaultLimits,
    failed: (reason) => failures.push(reason),
    ...more,
  });
  return { authorizer, clock, bodies, signals, failures };
}

const user = { user: 'jane', groups: ['dev'], extra: { a: ['1'], b: ['2'] }, uid: 'u1' };
const asked: readonly [attributes: Attributes, spec: object][] = [
  [LIST_PODS, { resourceAttributes: { namespace: 'default', verb: 'list', version: 'v1', resource: 'pods' }, ...user }],
  [
    {
      ...LIST_PODS,
      verb: 'get',
      group: 'apps',
      resource: 'deployments',
      subresource: 'scale',
      name: 'web',
      namespace: 'ns',
    },
    {
      resourceAttributes: {
        namespace: 'ns',
        verb: 'get',
        group: 'apps',
        version: 'v1',
        resource: 'deployments',
        subresource: 'scale',
        name: 'web',
      },
      ...user,
    },
  ],
  [
    { user: anonymous, verb: 'get', path: '/version' },
    {
      nonResourceAttributes: { path: '/version', verb: 'get' },
      user: 'system:anonymous',
      groups: ['system:unauthenticated'],
    },
  ],
  [
    {
      ...LIST_PODS,
      fields: [
        { field: 'spec.nodeName', operator: '=', value: 'n1' },
        { field: 'status.phase', operator: '!=', value: 'Failed' },
        { field: 'a', operator: 'in', value: '', values: ['x', 'y'] },
        { field: 'b', operator: 'exists', value: '' },
      ],
      labelSelector: 'app=web,tier in (a,b),env!=prod,x,!y,n>5',
    },
    {
      resourceAttributes: {
        namespace: 'default',
        verb: 'list',
        version: 'v1',
        resource: 'pods',
        fieldSelector: {
          requirements: [
            { key: 'spec.nodeName', operator: 'In', values: ['n1'] },
            { key: 'status.phase', operator: 'NotIn', values: ['Failed'] },
            { key: 'a', operator: 'In', values: ['x', 'y'] },
          ],
        },
        labelSelector: {
          requirements: [
            { key: 'app', operator: 'In', values: ['web'] },
            { key: 'env', operator: 'NotIn', values: ['prod'] },
            { key: 'tier', operator: 'In', values: ['a', 'b'] },
            { key: 'x', operator: 'Exists' },
            { key: 'y', operator: 'DoesNotExist' },
          ],
        },
      },
      ...user,
    },
  ],
  [
    { ...LIST_PODS, labelSelector: 'a in (' },
    { resourceAttributes: { namespace: 'default', verb: 'list', version: 'v1', resource: 'pods' }, ...user },
  ],
];
for (const [attributes, spec] of asked) {
  test(`it is asked: ${JSON.stringify(spec).slice(0, 100)}`, async () => {
    const { authorizer, bodies } = webhook({ allowed: true });
    await authorizer.authorize(attributes);
    assert.deepEqual(JSON.parse(bodies[0]!), {
      kind: 'SubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: {},
      spec,
      status: { allowed: false },
    });
    assert.ok(bodies[0]!.endsWith('\n'));
  });
}

test('v1beta1 calls the groups a group', async () => {
  const { authorizer, bodies } = webhook({ allowed: true }, { version: 'v1beta1' });
  await authorizer.authorize(LIST_PODS);
  const { apiVersion, spec } = JSON.parse(bodies[0]!) as { apiVersion: string; spec: { group: string[] } };
  assert.equal(apiVersion, 'authorization.k8s.io/v1beta1');
  assert.deepEqual(spec.group, ['dev']);
});

const remote = true;
const BOTH = 'webhook subject access review returned both allow and deny response';
/** How long it is kept, in seconds. */
const rows: readonly [what: string, answer: ScriptedAnswer, want: Decision, keptSeconds: number][] = [
  ['yes', { allowed: true, reason: 'why not' }, { allowed: true, reason: 'why not', remote }, 300],
  ['no opinion', { allowed: false, reason: 'who knows' }, { allowed: false, reason: 'who knows', remote }, 30],
  ['nothing', {}, { allowed: false, reason: '', remote }, 30],
  ['no', { allowed: false, denied: true, reason: 'no' }, { allowed: false, denied: true, reason: 'no', remote }, 30],
  [
    'yes and no',
    { allowed: true, denied: true },
    { allowed: false, denied: true, reason: '', remote, error: BOTH },
    300,
  ],
  ['an error', new ReviewError('down'), { allowed: false, reason: '', error: 'down', remote }, 0],
  [
    'a text for yes',
    { allowed: 'true' },
    { allowed: false, reason: '', error: 'allowed of the answer is not a boolean', remote },
    0,
  ],
  [
    'a number for a reason',
    { allowed: true, reason: 5 },
    { allowed: false, reason: '', error: 'reason of the answer is not a string', remote },
    0,
  ],
];
for (const [what, answer, want, keptSeconds] of rows) {
  test(`${what} is kept for ${keptSeconds} seconds`, async () => {
    const { authorizer, clock, failures } = webhook(answer);
    const asker = { signal: new AbortController().signal };
    assert.deepEqual(await authorizer.authorize(LIST_PODS, asker), want);
    assert.equal(failures.length, want.error === undefined || want.denied ? 0 : 1);
    if (keptSeconds > 0) {
      clock.advance(keptSeconds * 1_000 - 1);
      assert.deepEqual(authorizer.authorize(LIST_PODS, asker), want, 'at once, without a promise');
      clock.advance(1);
    }
    assert.ok(authorizer.authorize(LIST_PODS, asker) instanceof Promise);
  });
}

test('what is asked for another user, verb, name or selector is another question', async () => {
  const { authorizer, bodies } = webhook({ allowed: true });
  const others: Attributes[] = [
    LIST_PODS,
    { ...LIST_PODS, verb: 'watch' },
    { ...LIST_PODS, name: 'web' },
    { ...LIST_PODS, labelSelector: 'a=b' },
    { ...LIST_PODS, user: { ...jane, groups: ['dev', 'ops'] } },
    { ...LIST_PODS, user: { ...jane, extra: {} } },
    { ...LIST_PODS, user: { ...jane, uid: 'u2' } },
  ];
  for (const attributes of others) await authorizer.authorize(attributes);
  assert.equal(bodies.length, others.length);
  for (const attributes of others) assert.ok(!(authorizer.authorize(attributes) instanceof Promise));
  const reordered = { ...LIST_PODS, user: { ...jane, extra: { a: ['1'], b: ['2'] } } };
  assert.ok(!(authorizer.authorize(reordered) instanceof Promise));
});

test('answers to giant questions, and giant answers, are not kept', async () => {
  const { authorizer, bodies } = webhook({ allowed: true });
  const giant = { ...LIST_PODS, name: 'x'.repeat(10_000) };
  await authorizer.authorize(giant);
  await authorizer.authorize(giant);
  assert.equal(bodies.length, 2);
  const { authorizer: talkative, bodies: posted } = webhook({ allowed: true, reason: 'x'.repeat(10_000) });
  await talkative.authorize(LIST_PODS);
  await talkative.authorize(LIST_PODS);
  assert.equal(posted.length, 2);
});

test('a thousand equal questions at once are one, which ends when all have left', async () => {
  const { authorizer, bodies, signals, failures } = webhook(() => new Promise(() => undefined));
  const controllers = Array.from({ length: 1_000 }, () => new AbortController());
  const all = controllers.map((controller) => authorizer.authorize(LIST_PODS, controller));
  assert.equal(bodies.length, 1);
  for (const controller of controllers) {
    assert.equal(signals[0]!.aborted, false);
    controller.abort();
  }
  assert.equal(signals[0]!.aborted, true);
  const gone = { allowed: false, reason: '', error: 'context canceled', remote };
  for (const decision of await Promise.all(all)) assert.deepEqual(decision, gone);
  assert.deepEqual(failures, []);
});

/** An authorizer of ours, which answers at once. */
function local(decision: Decision): Authorizer {
  return {
    ready: true,
    authorize: () => decision,
    rulesFor: () => ({ resourceRules: [], nonResourceRules: [], error: 'local' }),
  };
}

const NO: ScriptedAnswer = { allowed: false, denied: true, reason: 'denied' };
const YES: ScriptedAnswer = { allowed: true, reason: 'allowed' };
const NONE: ScriptedAnswer = { allowed: false, reason: 'none' };
const DOWN = new ReviewError('down');
const ours = (allowed: boolean, reason = '') => local({ allowed, reason });
const W = 'webhook';
/** Who stands where, what the webhook says, and what comes of it. */
const unions: readonly [order: (Authorizer | typeof W)[], said: ScriptedAnswer, want: object, isAsked: boolean][] = [
  [[ours(true), W], NO, { allowed: true }, false],
  [[ours(false, 'r'), W], NO, { allowed: false, denied: true, reason: 'denied' }, true],
  [[W, ours(true, 'r')], NO, { allowed: false, denied: true, reason: 'denied' }, true],
  [[W, ours(true, 'r')], NONE, { allowed: true, reason: 'r', remote: undefined }, true],
  [[W, ours(true, 'r')], DOWN, { allowed: true, reason: 'r', error: undefined }, true],
  [[W, ours(false, 'r')], DOWN, { allowed: false, reason: 'r', error: 'down' }, true],
  [[ours(false, 'r'), W], NONE, { allowed: false, reason: 'r\nnone', error: undefined, denied: undefined }, true],
  [[ours(false, 'r'), W], YES, { allowed: true, reason: 'allowed' }, true],
  [[W, alwaysAllow], NO, { allowed: false, denied: true }, true],
  [[W, alwaysAllow], DOWN, { allowed: true }, true],
  [[W, alwaysDeny], NONE, { allowed: false, reason: 'none\nEverything is forbidden.' }, true],
];
for (const [index, [order, said, want, isAsked]] of unions.entries()) {
  test(`beside others: row ${index + 1}`, async () => {
    const { authorizer, bodies } = webhook(said);
    const union = unionOf(order.map((one) => (one === W ? authorizer : one)));
    const decision = await union.authorize(LIST_PODS);
    for (const [name, value] of Object.entries(want)) assert.equal(decision[name as keyof Decision], value, name);
    assert.equal(bodies.length > 0, isAsked);
  });
}

test('nobody is asked about masters', async () => {
  const { authorizer, bodies } = webhook(NO);
  const masters = { ...LIST_PODS, user: { ...jane, groups: ['system:masters'] } };
  assert.deepEqual(unionOf([authorizer]).authorize(masters), { allowed: true, reason: '' });
  assert.equal(bodies.length, 0);
});

test('errors of several are told together, equal ones once', async () => {
  const first = webhook(new ReviewError('first')).authorizer;
  const second = webhook(new ReviewError('second')).authorizer;
  const again = webhook(new ReviewError('first')).authorizer;
  const { error } = await unionOf([first, second, again]).authorize(LIST_PODS);
  assert.equal(error, '[first, second]');
});

test('its rules are not known', () => {
  const { authorizer } = webhook(YES);
  assert.deepEqual(unionOf([authorizer]).rulesFor(jane, 'default'), {
    resourceRules: [],
    nonResourceRules: [],
    error: 'webhook authorizer does not support user rule resolution',
    incomplete: true,
  });
  const { error } = unionOf([ours(true), authorizer]).rulesFor(jane, 'default');
  assert.equal(error, '[local, webhook authorizer does not support user rule resolution]');
});

test('paths that are always allowed are so by their whole text, or by what a star follows', () => {
  const paths = allowPaths(['/healthz', '/readyz*', '/livez/*']);
  const allowed = (path: string) => (paths.authorize({ user: anonymous, verb: 'get', path }) as Decision).allowed;
  for (const path of ['/healthz', '/readyz', '/readyz/etcd', '/livez/']) assert.equal(allowed(path), true, path);
  for (const path of ['/healthz/', '/healthz/etcd', '/livez', '/', '/metrics'])
    assert.equal(allowed(path), false, path);
  assert.equal((paths.authorize(LIST_PODS) as Decision).allowed, false);
});
