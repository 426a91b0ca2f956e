import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually, requireProgram, run } from '../support/command.js';
import { type RunningServer, startServer } from '../support/server.js';

// `auth can-i`, `auth whoami`, `--as` and refusals, as people see them.

const kubectl = requireProgram('kubectl', 'KUBECTL', 'install it with: apt-get install kubernetes-client');
let server: RunningServer;
let folder: string;

const OBJECTS = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: dev}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, list]}
- {nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*"], verbs: [get]}
- {apiGroups: [authorization.k8s.io, authentication.k8s.io], resources: ["*"], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: dev}
subjects: [{kind: Group, name: dev, apiGroup: rbac.authorization.k8s.io}]
roleRef: {kind: ClusterRole, name: dev, apiGroup: rbac.authorization.k8s.io}
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'listwatch-access-'));
  await writeFile(join(folder, 'rbac.yaml'), OBJECTS);
  await writeFile(join(folder, 'tokens.csv'), 'token-of-jane,jane,u1,dev\ntoken-of-root,root,u2,system:masters\n');
  const tokens = join(folder, 'tokens.csv');
  const access = ['--token-auth-file', tokens, '--authorization-mode', 'RBAC', '--anonymous-auth', 'false'];
  server = await startServer([...access, '--load', join(folder, 'rbac.yaml'), '--v', '10']);
  await eventually('permissions are known', async () => (await as('jane', 'get', 'pods')).code === 0);
});
after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true });
});

function as(name: string, ...args: string[]) {
  const connection = ['--kubeconfig=/dev/null', '-s', server.secureUrl, '--insecure-skip-tls-verify'];
  return run(kubectl, [...connection, '--token', `token-of-${name}`, ...args], { timeoutMs: 60_000 });
}

const rows: readonly [user: string, command: string, code: number, says: RegExp][] = [
  ['jane', 'auth whoami', 0, /Username +jane\nUID +u1\nGroups +\[dev system:authenticated\]/],
  ['jane', 'auth can-i list pods', 0, /^yes\n$/],
  ['jane', 'auth can-i delete pods', 1, /^no\n/],
  ['jane', 'auth can-i get /api', 0, /^yes\n$/],
  ['jane', 'auth can-i --list', 0, /\npods +\[\] +\[\] +\[get list\]\n/],
  [
    'jane',
    'get nodes',
    1,
    /nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster/,
  ],
  [
    'jane',
    'get pods --as ann',
    1,
    /pods is forbidden: User "jane" cannot impersonate-on:user-info:list resource "pods"/,
  ],
  ['root', 'get nodes', 0, /No resources found/],
  [
    'root',
    'auth whoami --as ann --as-group dev --as-uid u7',
    0,
    /Username +ann\nUID +u7\nGroups +\[dev system:authent/,
  ],
  ['root', 'auth can-i get nodes --as ann --as-group dev', 1, /^no\n/],
  ['nobody', 'get pods', 1, /You must be logged in to the server/],
];
for (const [user, command, code, says] of rows) {
  test(`${user}: kubectl ${command}`, async () => {
    const result = await as(user, ...command.split(' '));
    assert.match(result.stdout + result.stderr, says);
    assert.equal(result.code, code);
  });
}

test('no token is in what the server says', () => {
  assert.match(server.stderr(), /request/);
  assert.doesNotMatch(server.stderr(), /token-of-/);
});
