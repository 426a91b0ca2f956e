import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask, authority, type Pair } from '../auth/support.js';
import { jwt, rsaKey } from '../auth/tokens.js';
import { systemClock } from '../../src/lib/clock.js';
import { eventually, requireProgram, run } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';

// A pod with its token, and a kubelet with its certificate, as they come to a server with --authorization-mode=Node,RBAC.

const kubectl = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
const key = rsaKey();
let server: RunningServer;
let folder: string;
let kubeletPair: Pair;

const OBJECTS = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: bot, namespace: default, uid: u-bot}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, uid: u-web}
spec:
  nodeName: n1
  serviceAccountName: bot
  containers: [{name: web, image: web, envFrom: [{secretRef: {name: used}}]}]
---
apiVersion: v1
kind: Secret
metadata: {name: used, namespace: default}
---
apiVersion: v1
kind: Secret
metadata: {name: unused, namespace: default}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: basics}
rules:
- {nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*"], verbs: [get]}
- {apiGroups: [authorization.k8s.io, authentication.k8s.io], resources: ["*"], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: basics}
subjects: [{kind: Group, name: "system:authenticated", apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: ClusterRole, name: basics, apiGroup: rbac.authorization.k8s.io}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: read-pods, namespace: default}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read-pods, namespace: default}
subjects: [{kind: ServiceAccount, name: bot}]
roleRef: {kind: Role, name: read-pods, apiGroup: rbac.authorization.k8s.io}
`;

function token(more: object = {}, bound: object = {}): string {
  const now = Math.floor(systemClock.nowMs() / 1000);
  const kubernetes = { namespace: 'default', serviceaccount: { name: 'bot', uid: 'u-bot' }, ...bound };
  const claims = {
    iss: 'https://issuer.example',
    aud: ['https://issuer.example'],
    iat: now,
    nbf: now,
    exp: now + 3600,
  };
  return jwt(key, { ...claims, jti: 'id-7', 'kubernetes.io': kubernetes, ...more }, { kid: key.id });
}

const pod = { pod: { name: 'web', uid: 'u-web' } };

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listwatch-accounts-'));
  const users = await authority('kubelets');
  kubeletPair = await users.client('system:node:n1', ['system:nodes']);
  const file = (name: string) => join(folder, name);
  await writeFile(file('objects.yaml'), OBJECTS);
  await writeFile(file('sa.pub'), key.publicPem);
  await writeFile(file('ca.crt'), users.pem);
  server = await startServer([
    ...['--service-account-key-file', file('sa.pub'), '--service-account-issuer', 'https://issuer.example'],
    ...['--client-ca-file', file('ca.crt'), '--authorization-mode', 'Node,RBAC', '--anonymous-auth', 'false'],
    ...['--load', file('objects.yaml'), '--v', '10'],
  ]);
  await eventually('permissions are known', async () => (await as(token(), 'get', 'pods')).code === 0);
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

function as(bearer: string, ...args: string[]) {
  const connection = ['--kubeconfig=/dev/null', '-s', server.secureUrl, '--insecure-skip-tls-verify'];
  return run(kubectl, [...connection, '--token', bearer, ...args], { timeoutMs: 60_000 });
}

const rows: readonly [who: string, bearer: () => string, command: string, code: number, says: RegExp][] = [
  ['an account', () => token(), 'auth whoami', 0, /Username +system:serviceaccount:default:bot\nUID +u-bot\n/],
  ['a pod', () => token({}, pod), 'auth whoami', 0, /Extra: authentication.kubernetes.io\/pod-name +\[web\]\n/],
  ['a pod', () => token({}, pod), 'auth can-i list pods', 0, /^yes\n$/],
  ['a pod', () => token({}, pod), 'get pods -o name', 0, /^pod\/web\n$/],
  ['a pod', () => token({}, pod), 'auth can-i list secrets', 1, /^no\n/],
  [
    'a pod',
    () => token({}, pod),
    'get nodes',
    1,
    /User "system:serviceaccount:default:bot" cannot list resource "nodes"/,
  ],
  ['an old token', () => token({ exp: 1_000_000 }), 'get pods', 1, /You must be logged in to the server/],
  ['another API', () => token({ aud: 'vault' }), 'get pods', 1, /You must be logged in to the server/],
  ['a pod of before', () => token({}, { pod: { name: 'web', uid: 'x' } }), 'get pods', 1, /You must be logged in/],
];
for (const [who, bearer, command, code, says] of rows) {
  test(`${who}: kubectl ${command}`, async () => {
    const result = await as(bearer(), ...command.split(' '));
    assert.match(result.stdout + result.stderr, says);
    assert.equal(result.code, code);
  });
}

test('why a token was refused is in the log, and no token is', () => {
  assert.match(server.stderr(), /service account token has expired/);
  assert.match(server.stderr(), /pod UID \(u-web\) does not match service account pod ref claim \(x\)/);
  assert.doesNotMatch(server.stderr(), /eyJ/);
});

test('a kubelet reads what its pods need, and its own pods and Node', async () => {
  const port = Number(new URL(server.secureUrl).port);
  const get = (path: string) => ask(port, path, { client: kubeletPair });
  const secrets = '/api/v1/namespaces/default/secrets';
  assert.equal((await get(`${secrets}/used`)).code, 200);
  const refused = await get(`${secrets}/unused`);
  assert.equal(refused.code, 403);
  assert.match(refused.body, /no relationship found between node 'n1' and this object/);
  assert.equal((await get('/api/v1/nodes/n1')).code, 200);
  assert.equal((await get('/api/v1/nodes')).code, 403);
  const own = await get('/api/v1/pods?fieldSelector=spec.nodeName%3Dn1');
  assert.equal(own.code, 200);
  assert.match(own.body, /"name":"web"/);
  assert.match((await get('/api/v1/pods')).body, /can only list\/watch pods with spec.nodeName field selector/);
});
