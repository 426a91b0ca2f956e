import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { authority } from '../auth/support.js';
import { requireProgram, run } from '../support/command.js';
import { type RunningServer, spawnServer, startServer } from '../support/server.js';
import { type Asked, type Said, startWebhook, type Webhook } from '../support/webhook.js';

// People whom a webhook, or a kube-apiserver, knows: `auth whoami`, `auth can-i` and refusals, by the real kubectl.

const kubectl = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
let webhook: Webhook;
let mutual: Webhook;
let byWebhook: RunningServer;
let byApiserver: RunningServer;
let folder: string;

const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: default}\n';
const TOKEN = /^token-of-([a-z]+)$/;

function answer({ review }: Asked): Said {
  const { spec } = review;
  if (review.kind === 'TokenReview') {
    const name = TOKEN.exec(spec.token)?.[1];
    if (name === 'nobody') return { status: { authenticated: false } };
    if (name === 'broken') return { code: 404, text: '' };
    const extra = { 'acme.com/project': ['p1'] };
    return { status: { authenticated: true, user: { username: name, uid: 'u1', groups: ['dev'], extra } } };
  }
  const { user, resourceAttributes: { verb = '', resource = '' } = {}, nonResourceAttributes } = spec;
  if (user === 'lost') return { code: 404, text: '' };
  if (nonResourceAttributes !== undefined)
    return { status: { allowed: nonResourceAttributes.path.startsWith('/api') } };
  if (resource === 'secrets') return { status: { allowed: false, denied: true, reason: 'secrets stay here' } };
  const allowed = /^self/.test(resource) || (resource === 'pods' && /^(get|list|watch)$/.test(verb));
  return { status: { allowed, reason: allowed ? 'dev may read' : '' } };
}

before(async () => {
  const users = await authority('users');
  webhook = await startWebhook(answer);
  mutual = await startWebhook(answer, { clientCa: users.pem });
  folder = await mkdtemp(join(tmpdir(), 'listwatch-webhooks-'));
  const file = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const pods = await file('pods.yaml', POD);
  const { cert, key } = await users.client('listwatch');
  const pair = { 'client-certificate': 'us.crt', 'client-key': 'us.key' };
  await file('us.crt', cert);
  await file('us.key', key);
  const authn = await file('authn.yaml', webhook.kubeconfig({}, '/authenticate'));
  const authz = await file('authz.yaml', webhook.kubeconfig({ token: 'token-of-us' }, '/authorize'));
  const apiserver = await file('apiserver.yaml', mutual.kubeconfig(pair, ''));
  const common = ['--anonymous-auth', 'false', '--load', pods, '--v', '10'];
  byWebhook = await startServer([
    ...common,
    ...['--authentication-token-webhook-config-file', authn, '--authentication-token-webhook-version', 'v1'],
    ...['--authorization-mode', 'RBAC,Webhook', '--authorization-webhook-config-file', authz],
  ]);
  byApiserver = await startServer([
    ...common,
    ...['--authentication-kubeconfig', apiserver, '--authorization-kubeconfig', apiserver],
  ]);
});
after(async () => {
  await byWebhook?.stop();
  await byApiserver?.stop();
  await webhook?.close();
  await mutual?.close();
  await rm(folder, { recursive: true });
});

function as(server: RunningServer, name: string, ...args: string[]) {
  const connection = ['--kubeconfig=/dev/null', '-s', server.secureUrl, '--insecure-skip-tls-verify'];
  return run(kubectl, [...connection, '--token', `token-of-${name}`, ...args], { timeoutMs: 60_000 });
}

const rows: readonly [user: string, command: string, code: number, says: RegExp][] = [
  [
    'jane',
    'auth whoami',
    0,
    /Username +jane\nUID +u1\nGroups +\[dev system:authenticated\]\nExtra: acme.com\/project +\[p1\]/,
  ],
  ['jane', 'auth can-i list pods', 0, /^yes - dev may read\n$|^yes\n$/],
  ['jane', 'auth can-i delete pods', 1, /^no\n/],
  ['jane', 'auth can-i get secrets', 1, /^no - secrets stay here\n/],
  ['jane', 'auth can-i get /api', 0, /^yes\n$/],
  ['jane', 'auth can-i get /metrics', 1, /^no\n/],
  ['jane', 'auth can-i --list', 0, /webhook authorizer does not support user rule resolution/],
  ['jane', 'get pods', 0, /^NAME .*\nweb /],
  [
    'jane',
    'get nodes',
    1,
    /nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster/,
  ],
  [
    'jane',
    'get secret x',
    1,
    /secrets "x" is forbidden: User "jane" cannot get .* in the namespace "default": secrets stay/,
  ],
  [
    'jane',
    'get pods --as ann',
    1,
    /pods is forbidden: User "jane" cannot impersonate-on:user-info:list resource "pods"/,
  ],
  ['lost', 'get pods', 1, /an error on the server .*the server could not find the requested resource/],
  ['nobody', 'get pods', 1, /You must be logged in to the server/],
  ['broken', 'get pods', 1, /You must be logged in to the server/],
];
for (const [user, command, code, says] of rows) {
  test(`${user}: kubectl ${command}, by a webhook`, async () => {
    const result = await as(byWebhook, user, ...command.split(' '));
    assert.match(result.stdout + result.stderr, says);
    assert.equal(result.code, code);
  });

  test(`${user}: kubectl ${command}, by a kube-apiserver`, async () => {
    const result = await as(byApiserver, user, ...command.split(' '));
    assert.match(result.stdout + result.stderr, says);
    assert.equal(result.code, code);
  });
}

test('a webhook is asked where its kubeconfig says, a kube-apiserver where its API has reviews', () => {
  const paths = (one: Webhook) => new Set(one.asked.map(({ path, review }) => `${path} ${review.apiVersion}`));
  assert.deepEqual(
    paths(webhook),
    new Set([
      '/authenticate?timeout=30s authentication.k8s.io/v1',
      '/authorize?timeout=30s authorization.k8s.io/v1beta1',
    ]),
  );
  assert.deepEqual(
    paths(mutual),
    new Set([
      '/apis/authentication.k8s.io/v1/tokenreviews?timeout=10s authentication.k8s.io/v1',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews?timeout=10s authorization.k8s.io/v1',
    ]),
  );
});

test('health needs no kube-apiserver', async () => {
  mutual.asked.length = 0;
  const result = await as(byApiserver, 'jane', 'get', '--raw', '/readyz');
  assert.equal(result.stdout, 'ok');
  const paths = mutual.asked.flatMap(({ review }) => review.spec.nonResourceAttributes?.path ?? []);
  assert.ok(!paths.includes('/readyz'), paths.join());
});

test('no token is in what the server says', async () => {
  for (const server of [byWebhook, byApiserver]) {
    assert.match(server.stderr(), /failed to make webhook/);
    assert.doesNotMatch(server.stderr(), /token-of-/);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.doesNotMatch(metrics, /token-of-/);
    assert.match(metrics, /\napiserver_delegated_authn_request_total\{code="404"\} 1\n/);
    assert.match(metrics, /\napiserver_delegated_authz_request_total\{code="200"\} [0-9]+\n/);
    assert.match(metrics, /\napiserver_delegated_authz_request_duration_seconds_count\{code="200"\} [0-9]+\n/);
  }
});

test('what a kubeconfig lacks is said at the start', async () => {
  const path = join(folder, 'plain.yaml');
  await writeFile(path, JSON.stringify({ 'current-context': 'x' }));
  const server = await spawnServer(['--authorization-kubeconfig', path]);
  assert.equal(await server.exited, 2);
  assert.match(server.stderr(), /--authorization-kubeconfig .*plain\.yaml: contexts has no "x"/);
});
