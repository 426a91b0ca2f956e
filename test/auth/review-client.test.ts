import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import {
  ReviewClient,
  type ReviewClientOptions,
  ReviewError,
  type ReviewServer,
} from '../../src/auth/review-client.js';
import { type Clock, systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { seededRandom } from '../../src/lib/random.js';
import { eventually } from '../http/client.js';
import { type Said, startWebhook, type Webhook } from '../support/webhook.js';
import { authority } from './support.js';

// Posting a review to a real server over TLS. A clock that goes a hundred times as fast shortens the waits between tries, but not what a try may take.

const SECRET = 's3cret-token';
const NEVER = new AbortController().signal;
const slept: number[] = [];
const fast: Clock = {
  ...systemClock,
  setTimer(delayMs, run) {
    if (delayMs >= 10_000) return systemClock.setTimer(delayMs, run);
    slept.push(delayMs);
    return systemClock.setTimer(delayMs / 100, run);
  },
};

let webhook: Webhook;
before(async () => {
  webhook = await startWebhook(() => ({ status: { allowed: true } }));
});
after(() => webhook.close());
beforeEach(() => {
  webhook.asked.length = 0;
  slept.length = 0;
});

function serverOf(one: Webhook, more: Partial<ReviewServer> = {}): ReviewServer {
  return {
    url: new URL(`${one.url}/review?timeout=30s`),
    tls: { ca: one.ca },
    authorization: () => undefined,
    ...more,
  };
}

function clientOf(server: ReviewServer, more: Partial<ReviewClientOptions> = {}): ReviewClient {
  return new ReviewClient({
    server,
    timeoutMs: 30_000,
    clock: fast,
    random: seededRandom(1),
    limits: defaultLimits,
    userAgent: 'listwatch/v0',
    ...more,
  });
}

const BODY = `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":"${SECRET}"}}`;

function ask(client: ReviewClient, signal = NEVER) {
  return client.review('TokenReview', 'authentication.k8s.io/v1', BODY, signal);
}

test('a review is posted, and the status of the answer read', async () => {
  const client = clientOf(serverOf(webhook, { authorization: () => 'Bearer ours' }));
  assert.deepEqual(await ask(client), { allowed: true });
  const [{ path, headers, body }] = webhook.asked as [Webhook['asked'][0]];
  assert.equal(path, '/review?timeout=30s');
  assert.equal(body, BODY);
  assert.equal(headers.authorization, 'Bearer ours');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['user-agent'], 'listwatch/v0');
  client.close();
});

test('a connection is used again, and one that the webhook has closed is replaced at once', async () => {
  const one = await startWebhook(() => ({ status: {} }));
  const client = clientOf(serverOf(one));
  await ask(client);
  await ask(client);
  assert.equal(one.connections, 1);
  one.dropIdle();
  await ask(client);
  assert.equal(one.connections, 2);
  assert.deepEqual(slept, []);
  client.close();
  await one.close();
});

/** In turn; the last goes on. */
function saying(...answers: readonly Said[]): void {
  webhook.answer = (_asked, count) => answers[Math.min(count, answers.length) - 1]!;
}

const YES: Said = { status: { allowed: true } };
const text = (code: number, said = 'boom', headers = {}): Said => ({ code, text: said, headers });

const again: readonly [what: string, first: Said, waits: RegExp, timeoutMs?: number][] = [
  ['500', text(500), /^5\d\d,$/],
  ['502', text(502), /^5\d\d,$/],
  ['504', text(504), /^5\d\d,$/],
  ['429', text(429), /^5\d\d,$/],
  ['429 with Retry-After', text(429, '', { 'retry-after': '3' }), /^3000,$/],
  ['429 with Retry-After of a day', text(429, '', { 'retry-after': '86400' }), /^9000,$/, 9_000],
  ['503 with Retry-After', text(503, '', { 'retry-after': '1' }), /^1000,$/],
  ['a reset', 'reset', /^5\d\d,$/],
];
for (const [what, first, waits, timeoutMs = 20_000] of again) {
  test(`after ${what} it asks again`, async () => {
    saying(first, YES);
    const client = clientOf(serverOf(webhook), { timeoutMs });
    assert.deepEqual(await ask(client), { allowed: true });
    assert.equal(webhook.asked.length, 2);
    // Besides, each try has its nine seconds.
    const waited = slept.filter((ms, index) => ms !== 9_000 || index === 1);
    assert.match(waited.map((ms) => `${Math.round(ms)},`).join(''), waits);
    client.close();
  });
}

const refused: readonly [what: string, said: Said, tries: number, message: RegExp][] = [
  ['500', text(500), 5, /^an error on the server \("boom"\) has prevented the request from succeeding$/],
  ['503 without Retry-After', text(503), 1, /^the server is currently unable to handle the request$/],
  ['404', text(404), 1, /^the server could not find the requested resource$/],
  ['401', text(401), 1, /^the server has asked for the client to provide credentials$/],
  ['403', text(403, 'go away'), 1, /^go away$/],
  ['302', text(302, '', { location: '/x' }), 1, /^the server responded with the status code 302 but did not/],
  [
    'a Status',
    {
      code: 403,
      headers: { 'content-type': 'application/json' },
      text: '{"kind":"Status","apiVersion":"v1","status":"Failure","message":"tokenreviews is forbidden","code":403}',
    },
    1,
    /^tokenreviews is forbidden$/,
  ],
  ['nothing', text(200, ''), 1, /^the answer is empty$/],
  ['HTML', text(200, '<html>'), 1, /^the answer is not a JSON object$/],
  ['a list', text(200, '[]'), 1, /^the answer is not a JSON object$/],
  ['half of it', text(200, '{"kind":"Tok'), 1, /^the answer is not a JSON object$/],
  [
    'another kind',
    { status: {}, more: { kind: 'Pod' } },
    1,
    /^the answer is not a TokenReview of authentication.k8s.io\/v1$/,
  ],
  [
    'another version',
    { status: {}, more: { apiVersion: 'authentication.k8s.io/v1beta1' } },
    1,
    /^the answer is not a TokenReview of authentication.k8s.io\/v1$/,
  ],
  ['a status that is a text', { status: 'x' as never }, 1, /^the status of the answer is not an object$/],
  ['a megabyte and more', text(200, ' '.repeat(2 ** 20 + 1)), 1, /the answer is too large$/],
];
for (const [what, said, tries, message] of refused) {
  test(`who answers with ${what} has not answered`, async () => {
    saying(said);
    const client = clientOf(serverOf(webhook));
    await assert.rejects(ask(client), (error) => {
      assert.ok(error instanceof ReviewError);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, new RegExp(SECRET));
      return true;
    });
    assert.equal(webhook.asked.length, tries);
    client.close();
  });
}

test('five tries wait half a second, and half as long again each time, with a fifth of jitter', async () => {
  saying(text(500));
  const client = clientOf(serverOf(webhook));
  await assert.rejects(ask(client));
  assert.equal(slept.length, 4);
  slept.forEach((ms, index) => {
    const least = 500 * 1.5 ** index;
    assert.ok(ms >= least && ms < least * 1.2, `${ms} after ${index} tries`);
  });
  client.close();
});

test('who cannot be reached is not asked again', async () => {
  const gone = await startWebhook(() => YES);
  await gone.close();
  const client = clientOf(serverOf(gone));
  await assert.rejects(
    ask(client),
    /^Error: Post "https:\/\/127.0.0.1:\d+\/review\?timeout=30s": connect ECONNREFUSED/,
  );
  assert.deepEqual(slept, []);
  client.close();
});

test('who is not the one whom the authority vouches for is told nothing', async () => {
  const client = clientOf(serverOf(webhook, { tls: {} }));
  await assert.rejects(ask(client), /self[- ]signed certificate/);
  assert.equal(webhook.asked.length, 0);
  client.close();
});

test('the client shows its certificate', async () => {
  const users = await authority('users');
  const mutual = await startWebhook(() => YES, { clientCa: users.pem });
  const client = clientOf(serverOf(mutual, { tls: { ca: mutual.ca, ...(await users.client('listwatch')) } }));
  assert.deepEqual(await ask(client), { allowed: true });
  const stranger = clientOf(serverOf(mutual));
  await assert.rejects(ask(stranger));
  assert.equal(mutual.asked.length, 1);
  client.close();
  stranger.close();
  await mutual.close();
});

test('an answer that is late is none, and all tries together have their time, too', async () => {
  saying('silence');
  const client = clientOf(serverOf(webhook), { timeoutMs: 2_000 });
  await assert.rejects(ask(client), /no answer within 2s$/);
  await eventually('the request is given up', () => webhook.waiting === 0);
  client.close();
  const hasty = clientOf(serverOf(webhook), { totalMs: 1_000 });
  await assert.rejects(ask(hasty), /context deadline exceeded$/);
  hasty.close();
});

test('who does not want to know any more ends it: while it is answered, and between tries', async () => {
  saying('silence');
  const client = clientOf(serverOf(webhook), { clock: systemClock });
  const gone = new AbortController();
  const asked = ask(client, gone.signal);
  await eventually('it is asked', () => webhook.waiting === 1);
  gone.abort();
  await assert.rejects(asked, /context canceled$/);
  await eventually('nobody waits', () => webhook.waiting === 0);

  saying(text(500));
  webhook.asked.length = 0;
  const left = new AbortController();
  const retried = ask(client, left.signal);
  await eventually('it is asked', () => webhook.asked.length === 1);
  left.abort();
  await assert.rejects(retried);
  await assert.rejects(ask(client, AbortSignal.abort()), /context canceled$/);
  assert.equal(webhook.asked.length, 1);
  client.close();
});

test('there are no more connections than the bound', async () => {
  const one = await startWebhook(async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return YES;
  });
  const client = clientOf(serverOf(one), { limits: { ...defaultLimits, reviewConnectionsMax: 3 } });
  await Promise.all(Array.from({ length: 20 }, () => ask(client)));
  assert.equal(one.asked.length, 20);
  assert.ok(one.connections <= 3, `${one.connections}`);
  client.close();
  await one.close();
});
