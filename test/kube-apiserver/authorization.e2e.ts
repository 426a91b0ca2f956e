import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { ask } from '../auth/support.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { Differences, shown } from './access-answers.js';

// Requests themselves, and not questions about them: who may not is told so in the same words, whatever he asks for.

let world: ControlPlane;

before(async () => {
  world = await startControlPlane({ listwatch: ['--anonymous-auth=true'] });
  const subjects = [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }];
  const rules = [
    { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['a'] },
    { verbs: ['list'], apiGroups: ['apps'], resources: ['deployments'] },
    { verbs: ['impersonate'], apiGroups: [''], resources: ['users'], resourceNames: ['bob'] },
  ];
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  await world.write('POST', `${rbac}/clusterroles`, { metadata: { name: 'some' }, rules });
  await world.write('POST', `${rbac}/clusterrolebindings`, {
    metadata: { name: 'some' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'some' },
    subjects,
  });
  await world.write('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'a' } });
});
after(() => world?.stop());

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
/** Not `//api/v1/pods`: kube-apiserver authorizes it as pods, listwatch as a path like any other. */
const PATHS = [
  ...[CONFIG_MAPS, `${CONFIG_MAPS}/a`, `${CONFIG_MAPS}/b`, `${CONFIG_MAPS}/%22<b>&`, '/api/v1/configmaps'],
  ...['metadata.name=a', 'metadata.name=b', 'metadata.name!=a', 'metadata.name=a,metadata.namespace=default'].map(
    (selector) => `${CONFIG_MAPS}?fieldSelector=${encodeURIComponent(selector)}`,
  ),
  ...['/api/v1/pods/x', '/api/v1/namespaces/default/pods/x/log', '/api/v1/namespaces/default/pods/x/status'],
  ...[
    '/api/v1/nodes?watch=1&timeoutSeconds=1',
    '/api/v1/watch/nodes?timeoutSeconds=1',
    '/api/v1/watch/namespaces/default/pods/x?timeoutSeconds=1',
    '/api/v1/namespaces/x',
  ],
  ...['/api/v1/namespaces/x/status', '/apis/apps/v1/namespaces/default/deployments', '/apis/apps/v1/deployments/a/b'],
  ...[
    '/apis/apps/v1/namespaces/default/deployments/a/scale',
    '/apis/no.such/v1/things',
    '/apis/no.such/v1',
    '/apis/no.such',
  ],
  ...['/api/v1/namespaces/default/secrets?labelSelector=a%3Db', '/api/v1/secrets?fieldSelector=x', '/api/v2/pods'],
  ...['/metrics', '/healthz', '/readyz?verbose=0', '/logs', '/logs/', '/debug/pprof', '/', '/nothing/here'],
];
const USERS: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['jane', { authorization: 'Bearer t-jane' }],
  ['bob', { authorization: 'Bearer t-bob' }],
  ['anonymous', {}],
  ['jane as bob', { authorization: 'Bearer t-jane', 'impersonate-user': 'bob' }],
  ['a kubelet', { ...asAdmin('system:node:n1'), 'impersonate-group': 'system:nodes' }],
  ['the scheduler', asAdmin('system:kube-scheduler')],
  ['a controller', asAdmin('system:serviceaccount:kube-system:deployment-controller')],
  ['a user with markup', asAdmin('<a href="x">&amp;')],
];

function asAdmin(user: string): Readonly<Record<string, string>> {
  return { authorization: 'Bearer t-admin', 'impersonate-user': user };
}

for (const [who, headers] of USERS) {
  test(`refused alike: ${who}`, async () => {
    const differences = new Differences();
    for (const path of PATHS) {
      for (const accept of ['application/json', 'application/yaml']) {
        const answers = await Promise.all(
          [world.theirUrl, world.ourUrl].map((url) =>
            ask(Number(new URL(url).port), path, { headers: { ...headers, accept } }),
          ),
        );
        // What is allowed is the matter of other suites.
        if (answers.every(({ code }) => code !== 403)) continue;
        const [theirs, ours] = answers.map((answer) => (answer.code === 403 ? parsed(shown(answer)) : answer.code));
        differences.add(`${path} as ${accept}`, theirs, ours);
      }
    }
    differences.assertNone();
  });
}

/** Go's YAML folds long lines, and quotes otherwise. */
function parsed(answer: ReturnType<typeof shown>): object {
  const { headers, body } = answer;
  return headers['content-type'] === 'application/yaml'
    ? { ...answer, body: parse(body as string) as unknown }
    : answer;
}
