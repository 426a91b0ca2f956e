import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Identities } from '../../src/auth/identity.js';
import { ReviewError } from '../../src/auth/review-client.js';
import { WebhookTokens, type WebhookTokensOptions } from '../../src/auth/webhook-tokens.js';
import { createFakeClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { type ScriptedAnswer, scriptedReviews } from './scripted-reviews.js';

// Whose token it is: what a webhook's answer means, and for how long. How it is asked is review-client.test.ts.

const TOKEN = 's3cret-token';
const asker = { signal: new AbortController().signal };

function tokens(answer: Parameters<typeof scriptedReviews>[0], more: Partial<WebhookTokensOptions> = {}) {
  const clock = createFakeClock();
  const { client, bodies, signals } = scriptedReviews(answer);
  const failures: string[] = [];
  const found = new WebhookTokens({
    client,
    version: 'v1',
    audiences: [],
    cacheTtlMs: 120_000,
    errorTtlMs: 10_000,
    identities: new Identities(10),
    clock,
    limits: defaultLimits,
    failed: (reason) => failures.push(reason),
    ...more,
  });
  return { found, clock, bodies, signals, failures, find: (token = TOKEN) => found.find(token, asker) };
}

const JANE = JSON.parse(
  `{"authenticated":true,"user":{"username":"jane","uid":"u1","groups":["dev"],` +
    `"extra":{"acme.com/Project":["x","y"],"__proto__":["z"]}}}`,
) as object;

test('the user is whom the webhook names, and has shown who it is', async () => {
  const { find, bodies } = tokens(JANE);
  const user = await find();
  assert.ok(user !== undefined && 'groups' in user);
  const { name, uid, groups, extra } = user;
  assert.deepEqual([name, uid, groups], ['jane', 'u1', ['dev', 'system:authenticated']]);
  assert.deepEqual(Object.entries(extra), [
    ['acme.com/Project', ['x', 'y']],
    ['__proto__', ['z']],
  ]);
  assert.deepEqual(bodies, [
    `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{"token":"${TOKEN}"},"status":{"user":{}}}\n`,
  ]);
});

test('the version is that of the flag', async () => {
  const { find, bodies } = tokens(JANE, { version: 'v1beta1' });
  await find();
  assert.match(bodies[0]!, /"apiVersion":"authentication.k8s.io\/v1beta1"/);
});

/** A name; nobody: remembered as long as somebody; unanswered: for ten seconds, and there is a reason. */
const rows: readonly [
  what: string,
  answer: ScriptedAnswer,
  audiences: readonly string[],
  want: string,
  reason?: RegExp,
][] = [
  ['no status', {}, [], 'nobody'],
  ['no', { authenticated: false }, [], 'nobody'],
  ['no, because', { authenticated: false, error: 'expired' }, [], 'unanswered', /^expired$/],
  ['yes, though', { ...JANE, error: 'odd' }, [], 'jane'],
  ['no user', { authenticated: true }, [], 'unanswered', /names no user/],
  ['a number for yes', { authenticated: 1 }, [], 'unanswered', /^authenticated of the answer is not a boolean$/],
  ['null for a list', { authenticated: true, user: { username: 'a', groups: null } }, [], 'a'],
  ['a text for groups', { authenticated: true, user: { username: 'a', groups: 'g' } }, [], 'unanswered', /^groups of/],
  ['numbers for groups', { authenticated: true, user: { username: 'a', groups: [1] } }, [], 'unanswered', /^groups of/],
  [
    'odd extra',
    { authenticated: true, user: { username: 'a', extra: { k: 'v' } } },
    [],
    'unanswered',
    /^k of the answer/,
  ],
  ['a list for a user', { authenticated: true, user: ['a'] }, [], 'unanswered', /^user of the answer is not an object/],
  ['an error', new ReviewError('connection refused'), [], 'unanswered', /^connection refused$/],
  ['an error with the token', { error: `bad token ${TOKEN}!` }, [], 'unanswered', /^bad token \[token\]!$/],
  ['our audience', { ...JANE, audiences: ['x', 'api'] }, ['api', 'other'], 'jane'],
  ['another audience', { ...JANE, audiences: ['vault'] }, ['api'], 'nobody'],
  ['no audience where we have one', JANE, ['api'], 'jane'],
  ['an audience where we have none', { ...JANE, audiences: ['vault'] }, [], 'jane'],
];
for (const [what, answer, audiences, want, reason] of rows) {
  test(`${what}: ${want}`, async () => {
    const { find, clock, bodies, failures } = tokens(answer, { audiences });
    const user = await find();
    assert.equal(
      user !== undefined && 'groups' in user ? user.name : undefined,
      want === 'nobody' || want === 'unanswered' ? undefined : want,
    );
    const { spec } = JSON.parse(bodies[0]!) as { spec: object };
    assert.deepEqual(spec, { token: TOKEN, ...(audiences.length === 0 ? {} : { audiences }) });
    if (reason === undefined) assert.deepEqual(failures, []);
    else assert.match(failures[0]!, reason);
    assert.equal(find(), user, 'at once, without a promise');
    clock.advance(9_999);
    assert.equal(find(), user);
    clock.advance(1);
    if (want === 'unanswered') assert.ok(find() instanceof Promise, 'asked again after ten seconds');
    else {
      clock.advance(109_999);
      assert.equal(find(), user);
      clock.advance(1);
      assert.ok(find() instanceof Promise, 'asked again after two minutes');
    }
  });
}

test('a token that the webhook repeats is not told, quoted or not', async () => {
  const odd = 'a"b\u00e4\u0001';
  for (const text of [`no ${odd}!`, `an error on the server ("no a\\"b\u00e4\\x01!") has`]) {
    const { find, failures } = tokens(new ReviewError(text));
    assert.equal(await find(odd), undefined);
    assert.match(failures[0]!, /no \[token\]!/);
  }
});

test('without times nothing is kept', async () => {
  const { find, bodies } = tokens(JANE, { cacheTtlMs: 0, errorTtlMs: 0 });
  await find();
  await find();
  assert.equal(bodies.length, 2);
});

test('a thousand who come at once with one token are one question', async () => {
  const { found, bodies } = tokens(() => new Promise((resolve) => setImmediate(() => resolve(JANE))));
  const all = Array.from({ length: 1_000 }, () => found.find(TOKEN, { signal: new AbortController().signal }));
  const other = found.find('another', asker);
  const users = await Promise.all(all);
  assert.ok(users[0] !== undefined);
  assert.ok(users.every((user) => user === users[0]));
  await other;
  assert.equal(bodies.length, 2);
});

test('who leaves ends the question only if nobody else waits, and what nobody waited for is not kept', async () => {
  let answer: (status: object) => void = () => undefined;
  const { found, signals, bodies, failures } = tokens(() => new Promise((resolve) => (answer = resolve)));
  const [first, second] = [new AbortController(), new AbortController()];
  const left = found.find(TOKEN, first);
  const stayed = found.find(TOKEN, second);
  first.abort();
  assert.equal(await left, undefined);
  assert.equal(signals[0]!.aborted, false);
  answer(JANE);
  const user = await stayed;
  assert.ok(user !== undefined && 'groups' in user && user.name === 'jane');

  const third = new AbortController();
  const alone = found.find('another', third);
  third.abort();
  assert.equal(await alone, undefined);
  assert.equal(signals[1]!.aborted, true);
  answer(new ReviewError('context canceled'));
  await new Promise(setImmediate);
  assert.equal(found.remembered, 1);
  assert.deepEqual(failures, []);
  void found.find('another', asker);
  assert.equal(bodies.length, 3, 'it is asked anew');
});

test('one user is one object, whatever becomes of the cache: what RBAC keeps of him stays', async () => {
  const { find, clock } = tokens(JANE);
  const before = await find();
  clock.advance(200_000);
  assert.equal(await find(), before);
  assert.equal(await find('another token'), before);
});

test('no more than the bound is kept; who was not seen for longest goes', async () => {
  const { find, found, bodies } = tokens(JANE, { limits: { reviewedTokensMax: 2 } });
  await find('a');
  await find('b');
  void find('a');
  await find('c');
  assert.equal(found.remembered, 2);
  assert.equal(bodies.length, 3);
  await find('a');
  assert.equal(bodies.length, 3);
  await find('b');
  assert.equal(bodies.length, 4);
});
