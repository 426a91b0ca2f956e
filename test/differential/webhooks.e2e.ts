import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, freePort, type RunningCommand, start } from '../support/command.js';
import { buildGoPrograms } from '../support/go-programs.js';
import { type RunningServer, startServer } from '../support/server.js';
import { type Asked, type Said, startWebhook, type Webhook } from '../support/webhook.js';

// The filters of k8s.io/apiserver (test/peer/webhooks) and listwatch, with one webhook: what the webhook is asked must be the same,
// and so must be the refusals that its answers lead to.

let webhook: Webhook;
let folder: string;

interface Pair {
  readonly peerUrl: string;
  readonly ours: RunningServer;
  readonly stop: () => Promise<void>;
}

let pairs: Readonly<Record<'v1' | 'v1beta1', Pair>>;

before(async () => {
  const bin = await buildGoPrograms('peer');
  folder = await mkdtemp(join(tmpdir(), 'listwatch-webhooks-'));
  webhook = await startWebhook(answer);
  const authn = join(folder, 'authn.yaml');
  const authz = join(folder, 'authz.yaml');
  await writeFile(authn, webhook.kubeconfig({ token: 'ours' }, '/authenticate'));
  await writeFile(authz, webhook.kubeconfig({ username: 'u', password: 'p' }, '/authorize'));
  await writeFile(join(folder, 'pods.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: default}\n');

  const open = async (version: string, audiences: string): Promise<Pair> => {
    const port = await freePort();
    const peer: RunningCommand = start(join(bin, 'webhooks'), [
      ...['-http', `127.0.0.1:${port}`, '-authentication', authn, '-authorization', authz],
      ...['-version', version, '-audiences', audiences],
    ]);
    const ours = await startServer([
      ...['--authentication-token-webhook-config-file', authn, '--authentication-token-webhook-version', version],
      ...['--authorization-mode', 'Webhook', '--authorization-webhook-config-file', authz],
      ...['--authorization-webhook-version', version, ...(audiences === '' ? [] : ['--api-audiences', audiences])],
    ]);
    const peerUrl = `http://127.0.0.1:${port}`;
    await eventually('the peer answers', async () => (await fetch(`${peerUrl}/x`)).status > 0, 30_000, 100);
    return {
      peerUrl,
      ours,
      async stop() {
        await ours.stop();
        await peer.stop();
      },
    };
  };
  pairs = { v1: await open('v1', ''), v1beta1: await open('v1beta1', 'api,other') };
});
after(async () => {
  for (const pair of Object.values(pairs ?? {})) await pair.stop();
  await webhook?.close();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

const json = { 'content-type': 'application/json' };
const text = (said: string, headers: Record<string, string> = json): Said => ({ code: 200, headers, text: said });
const status = (code: number, message: string, reason: string): Said => ({
  code,
  headers: json,
  text: JSON.stringify({ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }),
});

const FULL = { username: 'full', uid: 'u1', groups: ['g1', 'g2'], extra: { 'acme.com/Key': ['a', 'b'], z: [] } };

/** By the token. */
const TOKENS: Readonly<Record<string, Said>> = {
  nobody: { status: { authenticated: false } },
  because: { status: { authenticated: false, error: 'expired' } },
  nothing: { status: {} },
  ours: { status: { authenticated: true, user: { username: 'ours' }, audiences: ['api', 'x'] } },
  theirs: { status: { authenticated: true, user: { username: 'theirs' }, audiences: ['x'] } },
  full: { status: { authenticated: true, user: FULL } },
  master: { status: { authenticated: true, user: { username: 'master', groups: ['system:masters'] } } },
  empty: text(''),
  html: text('<html>', { 'content-type': 'text/html' }),
  list: text('[]'),
  typed: { status: { authenticated: 'yes' } },
  missing: { code: 404, text: 'no such path' },
  refused: status(403, 'tokenreviews is forbidden', 'Forbidden'),
};

/** By the user. */
const ACCESS: Readonly<Record<string, Said>> = {
  yes: { status: { allowed: true, reason: 'because' } },
  no: { status: { allowed: false } },
  why: { status: { allowed: false, reason: 'because <b> & "c"' } },
  denied: { status: { allowed: false, denied: true, reason: 'never' } },
  both: { status: { allowed: true, denied: true, reason: 'who knows' } },
  evaluated: { status: { allowed: false, evaluationError: 'odd' } },
  e404: { code: 404, text: 'no such path' },
  e400: { code: 400, text: 'bad' },
  e401: { code: 401, text: 'who are you' },
  e403: { code: 403, text: 'go away <b>' },
  e405: { code: 405, text: '' },
  e302: { code: 302, text: '' },
  e503: { code: 503, text: 'later' },
  status: status(403, 'subjectaccessreviews is forbidden', 'Forbidden'),
};

function answer({ review }: Asked): Said {
  const { spec } = review;
  if (review.kind === 'TokenReview') {
    if (/^full-/.test(spec.token)) return { status: { authenticated: true, user: { ...FULL, username: spec.token } } };
    const known: Said = { status: { authenticated: true, user: { username: spec.token } } };
    return TOKENS[spec.token] ?? known;
  }
  return ACCESS[spec.user] ?? { status: { allowed: true } };
}

const LIST = '/api/v1/namespaces/default/pods';
type Row = readonly [path: string, method?: string, headers?: Record<string, string | readonly string[]>];
const PATHS: readonly Row[] = [
  [LIST],
  [`${LIST}/web`],
  [`${LIST}/web/status`],
  ['/apis/apps/v1/deployments?limit=1'],
  ['/api/v1/nodes/n1'],
  ['/api/v1/namespaces/default'],
  ['/version'],
  ['/healthz/ping'],
  [`${LIST}?fieldSelector=metadata.name%3Dweb,status.phase!%3DFailed`],
  [`${LIST}?labelSelector=app%3Dweb,tier+in+(b,a),env!%3Dprod,x,!y,n%3E5`],
  [`${LIST}?labelSelector=app+in+(`],
  [`${LIST}?fieldSelector=nothing`],
  [`${LIST}/web?labelSelector=a`],
  [`${LIST}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name%3Dweb`],
  ['/api/v1/watch/namespaces/default/pods?timeoutSeconds=1&labelSelector=a'],
  [LIST, 'DELETE'],
  [LIST, 'HEAD'],
  [`${LIST}/web`, 'PUT'],
  [`${LIST}/web`, 'GET', { 'impersonate-user': 'ann', 'impersonate-group': ['g', 'h'], 'impersonate-uid': 'u' }],
  [LIST, 'GET', { 'impersonate-user': 'system:serviceaccount:ns:sa' }],
  [LIST, 'GET', { 'impersonate-user': 'ann', 'impersonate-extra-a%2Fb': 'c' }],
];

interface Seen {
  readonly code: number;
  readonly body: string;
  readonly type: string | undefined;
  readonly reviews: readonly unknown[];
}

/** What came back, and what the webhook was asked meanwhile. */
async function seen(url: string, token: string, [path, method = 'GET', headers = {}]: Row): Promise<Seen> {
  webhook.asked.length = 0;
  const all = { ...headers, ...(token === '' ? {} : { authorization: `Bearer ${token}` }) };
  const reply = await send(`${url}${path}`, method, all);
  const reviews = webhook.asked.map(({ path: where, headers: sent, body }) => {
    const { accept, authorization, 'content-type': type } = sent;
    return { where, accept, authorization, type, body: body.endsWith('\n'), review: sorted(JSON.parse(body)) };
  });
  return { ...reply, reviews };
}

function send(
  url: string,
  method: string,
  headers: Record<string, string | readonly string[]>,
): Promise<Omit<Seen, 'reviews'>> {
  return new Promise((resolve, reject) => {
    const options = { method, headers: headers as Record<string, string>, agent: false } as const;
    const sent = url.startsWith('http:')
      ? plainRequest(url, options)
      : tlsRequest(url, { ...options, rejectUnauthorized: false });
    sent.on('error', reject).on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        resolve({ code: response.statusCode!, body, type: response.headers['content-type'] });
      });
    });
    sent.end();
  });
}

/** Go keeps the values of a label's requirement in the order of a set: none. */
function sorted(review: Asked['review']): unknown {
  for (const { values } of review.spec.resourceAttributes?.labelSelector?.requirements ?? []) values?.sort();
  return review;
}

async function same(version: 'v1' | 'v1beta1', token: string, row: Row): Promise<Seen> {
  const { peerUrl, ours } = pairs[version];
  const want = await seen(peerUrl, token, row);
  const got = await seen(ours.secureUrl, token, row);
  assert.deepEqual(got.reviews, want.reviews);
  // Behind the filters the peer answers everything with 200.
  if (want.code !== 200) assert.deepEqual({ ...got, body: got.body.trimEnd() }, { ...want, body: want.body.trimEnd() });
  else assert.ok(![401, 403].includes(got.code), `${got.code} ${got.body}`);
  return got;
}

for (const version of ['v1', 'v1beta1'] as const) {
  for (const token of ['', ...Object.keys(TOKENS)]) {
    test(`${version}: the token ${token || '(none)'}`, async () => {
      await same(version, token, [LIST]);
      // Whatever it was, it is known now.
      const { reviews } = await same(version, token, [LIST]);
      assert.deepEqual(reviews, []);
    });
  }
  for (const user of Object.keys(ACCESS)) {
    test(`${version}: what the webhook says about ${user}`, async () => {
      const { code } = await same(version, user, [LIST]);
      assert.equal(code, user === 'yes' ? 200 : /^(no|why|denied|evaluated)$/.test(user) ? 403 : 500);
      await same(version, user, ['/version']);
    });
  }
  for (const [index, row] of PATHS.entries()) {
    test(`${version}: what is asked about ${row[1] ?? 'GET'} ${row[0]} ${JSON.stringify(row[2] ?? '')}`, async () => {
      const { reviews } = await same(version, `full-${index}`, row); // nobody knows yet what this one may do
      assert.ok(reviews.length > 0);
      await same(version, 'no', row);
    });
  }
}

test('who answers with 500 is asked five times by both', async () => {
  const { peerUrl, ours } = pairs.v1;
  webhook.answer = (asked) => (asked.review.kind === 'TokenReview' ? answer(asked) : { code: 500, text: 'boom <b>' });
  try {
    const want = await seen(peerUrl, 'retried', [LIST]);
    const got = await seen(ours.secureUrl, 'retried', [LIST]);
    assert.equal(want.reviews.length, 6);
    assert.deepEqual(got, want);
  } finally {
    webhook.answer = answer;
  }
});
