import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Random } from '../../src/lib/random.js';
import { eventually, run } from '../support/command.js';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { Differences, freshRandom, inParallel, Posts, type Reviewed } from './access-answers.js';

// Who may do what by the policy that kube-apiserver writes at its start, and by roles of all shapes: both servers are asked the same.

const QUESTIONS = 2_500;
const AUTHORIZATION = '/apis/authorization.k8s.io/v1';
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const NAMESPACES = ['default', 'kube-system', 'team-a', 'team-b'];
const { seed, random } = freshRandom();
const posts = new Posts();
let world: ControlPlane;
let users: readonly User[];

interface User {
  readonly user: string;
  readonly groups: readonly string[];
}

const role = (name: string, rules: readonly object[]) => ({ metadata: { name }, rules });
const bound = (name: string, kind: 'Role' | 'ClusterRole', of: string, subjects: readonly object[]) => ({
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: of },
  subjects,
});
const toGroup = (name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name });
const toUser = (name: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name });
const toAccount = (namespace: string, name: string) => ({ kind: 'ServiceAccount', namespace, name });

const clusterRoles = [
  role('names', [
    { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'configmaps'], resourceNames: ['a', 'b'] },
  ]),
  role('paths', [{ verbs: ['get', 'post'], nonResourceURLs: ['/metrics', '/logs/*', '/debug*', '/a/*/b', '*/c'] }]),
  role('all-paths', [{ verbs: ['*'], nonResourceURLs: ['*'] }]),
  role('subresources', [
    { verbs: ['get'], apiGroups: ['*'], resources: ['*/scale', 'pods/log', 'deployments/*'] },
    { verbs: ['*'], apiGroups: ['apps'], resources: ['deployments/status'], resourceNames: ['a'] },
  ]),
  role('any-verb', [{ verbs: ['*'], apiGroups: ['batch'], resources: ['*'] }]),
  role('odd', [{ verbs: ['get'], apiGroups: ['', 'x y'], resources: ['"quoted"', 'ümlaut'] }]),
  {
    ...role('aggregated', [{ verbs: ['watch'], apiGroups: [''], resources: ['nodes'] }]),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
  },
];
const clusterBindings = [
  bound('names', 'ClusterRole', 'names', [toGroup('readers'), toUser('jane')]),
  bound('paths', 'ClusterRole', 'paths', [toGroup('readers')]),
  bound('all-paths', 'ClusterRole', 'all-paths', [toUser('walker')]),
  bound('subresources', 'ClusterRole', 'subresources', [toUser('jane'), toAccount('team-a', 'bot')]),
  bound('missing', 'ClusterRole', 'is-not-there', [toGroup('readers'), toUser('lost')]),
  bound('missing-too', 'ClusterRole', 'nor-"this"', [toUser('lost')]),
  bound('odd', 'ClusterRole', 'odd', [toUser('o"dd <user>&')]),
  bound('aggregated', 'ClusterRole', 'aggregated', [toGroup('readers')]),
];

/** Controllers and components that the bootstrap policy speaks of, and people. */
async function everybody(): Promise<readonly User[]> {
  const { body } = (await world.ask(`${RBAC}/clusterrolebindings`))[0];
  const { items } = JSON.parse(body.toString()) as {
    readonly items: readonly {
      readonly subjects?: readonly { readonly kind: string; readonly name: string; readonly namespace?: string }[];
    }[];
  };
  const named = items
    .flatMap(({ subjects = [] }) => subjects)
    .flatMap(({ kind, name, namespace }): User[] => {
      if (kind === 'User') return [{ user: name, groups: ['system:authenticated'] }];
      return kind === 'ServiceAccount' ? [accountUser(namespace!, name)] : [];
    });
  const groups = [
    'devs',
    'readers',
    'system:masters',
    'system:nodes',
    'system:monitoring',
    'system:unauthenticated',
    '',
  ];
  return [
    ...named,
    ...['jane', 'walker', 'system:node:n1', 'admin-a', 'edit-b', 'view-a', 'lost', ''].map((user) => ({
      user,
      groups: ['system:authenticated'],
    })),
    ...groups.map((group) => ({ user: 'somebody', groups: [group, 'system:authenticated'] })),
    { user: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] },
    { user: 'system:anonymous', groups: ['system:unauthenticated'] },
    ...['bot', 'default'].map((name) => accountUser('team-a', name)),
  ];
}

function accountUser(namespace: string, name: string): User {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { user: `system:serviceaccount:${namespace}:${name}`, groups };
}

before(async () => {
  world = await startControlPlane();
  for (const name of NAMESPACES.slice(2)) await world.write('POST', '/api/v1/namespaces', { metadata: { name } });
  for (const one of clusterRoles) await world.write('POST', `${RBAC}/clusterroles`, one);
  for (const one of clusterBindings) await world.write('POST', `${RBAC}/clusterrolebindings`, one);
  const within = (namespace: string, resource: string) => `${RBAC}/namespaces/${namespace}/${resource}`;
  await world.write(
    'POST',
    within('team-a', 'roles'),
    role('local', [{ verbs: ['delete'], apiGroups: [''], resources: ['secrets'] }]),
  );
  await world.write(
    'POST',
    within('team-a', 'rolebindings'),
    bound('local', 'Role', 'local', [toAccount('team-a', 'bot'), toUser('jane')]),
  );
  for (const [namespace, kind, user] of [
    ['team-a', 'admin', 'admin-a'],
    ['team-b', 'edit', 'edit-b'],
    ['team-a', 'view', 'view-a'],
  ] as const) {
    await world.write('POST', within(namespace, 'rolebindings'), bound(kind, 'ClusterRole', kind, [toUser(user)]));
  }
  await world.write(
    'POST',
    within('team-b', 'rolebindings'),
    bound('missing', 'Role', 'nothing', [toGroup('readers')]),
  );
  users = await everybody();
  await settled(`${RBAC}/namespaces/team-b/rolebindings/missing`);
});
after(async () => {
  posts.close();
  await world?.stop();
});

/** listwatch has come to what kube-apiserver says last. */
async function settled(path: string): Promise<void> {
  await eventually(`both have ${path}`, async () => {
    const [theirs, ours] = await world.ask(path);
    return theirs.status === ours.status && theirs.body.equals(ours.body);
  });
}

const VERBS = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
  'impersonate',
  'bind',
  'escalate',
  'approve',
  'use',
  '*',
  'post',
  '',
];
const GROUPS = [
  '',
  'apps',
  'batch',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'coordination.k8s.io',
  'certificates.k8s.io',
  'discovery.k8s.io',
  'policy',
  'autoscaling',
  'resource.k8s.io',
  'authorization.k8s.io',
  'x y',
  '*',
];
const RESOURCES = [
  'pods',
  'nodes',
  'secrets',
  'configmaps',
  'services',
  'endpoints',
  'events',
  'namespaces',
  'persistentvolumes',
  'persistentvolumeclaims',
  'deployments',
  'replicasets',
  'daemonsets',
  'jobs',
  'cronjobs',
  'leases',
  'endpointslices',
  'roles',
  'clusterroles',
  'certificatesigningrequests',
  'serviceaccounts',
  'subjectaccessreviews',
  'selfsubjectaccessreviews',
  'volumeattachments',
  'users',
  '"quoted"',
  'ümlaut',
  '*',
  '',
];
const SUBRESOURCES = [
  '',
  '',
  '',
  '',
  'status',
  'scale',
  'log',
  'token',
  'finalizers',
  'approval',
  'binding',
  'eviction',
  '*',
  'x',
];
const NAMES = [
  '',
  '',
  'a',
  'b',
  'n1',
  'kube-scheduler',
  'kube-controller-manager',
  'default',
  'extension-apiserver-authentication',
];
const PATHS = [
  '/',
  '/api',
  '/api/v1',
  '/apis',
  '/apis/x',
  '/healthz',
  '/healthz/etcd',
  '/livez',
  '/readyz',
  '/metrics',
  '/metrics/slis',
  '/version',
  '/version/',
  '/logs',
  '/logs/',
  '/logs/a',
  '/debugger',
  '/openapi/v3',
  '/a/x/b',
  '/x/c',
  '*',
  '',
  '/.well-known/openid-configuration',
  '/openid/v1/jwks',
  '/configz',
];
const FIELDS = ['spec.nodeName=n1', 'metadata.name=a', 'a!=b', 'a', '', 'a==b,c=d'];
const LABELS = ['a=b', 'a in (b,c)', 'a in (', '!a', ''];

function resourceQuestion(random: Random): object {
  const attributes: Record<string, unknown> = {
    verb: random.pick(VERBS),
    group: random.pick(GROUPS),
    resource: random.pick(RESOURCES),
    subresource: random.pick(SUBRESOURCES),
    namespace: random.pick(['', ...NAMESPACES, 'nowhere']),
    name: random.pick(NAMES),
  };
  if (random.chance(0.2)) attributes['version'] = random.pick(['v1', 'v1beta1', '*']);
  if (random.chance(0.2)) attributes['fieldSelector'] = fieldSelector(random);
  if (random.chance(0.2)) attributes['labelSelector'] = labelSelector(random);
  return withoutEmpty(attributes);
}

function fieldSelector(random: Random): object {
  if (random.chance(0.5)) return { rawSelector: random.pick(FIELDS) };
  const requirement = {
    key: random.pick(['spec.nodeName', 'metadata.name', 'a', '']),
    operator: random.pick(['In', 'NotIn', 'Exists', 'Odd']),
    values: random.pick([undefined, ['n1'], ['a', 'b']]),
  };
  return random.chance(0.1) ? { rawSelector: 'a=b', requirements: [requirement] } : { requirements: [requirement] };
}

function labelSelector(random: Random): object {
  if (random.chance(0.5)) return { rawSelector: random.pick(LABELS) };
  const requirements = [0, 1].map(() => ({
    key: random.pick(['a', 'b.c/d']),
    operator: random.pick(['In', 'NotIn', 'Exists', 'DoesNotExist', 'Odd']),
    values: random.pick([undefined, ['n1'], ['a', 'b']]),
  }));
  return { requirements };
}

/** listwatch shows a spec as it was posted, kube-apiserver leaves empty texts out. */
function withoutEmpty<T extends object>(attributes: T): T {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== '')) as T;
}

function question(random: Random): object {
  if (random.chance(0.2))
    return { nonResourceAttributes: withoutEmpty({ verb: random.pick(VERBS), path: random.pick(PATHS) }) };
  return { resourceAttributes: resourceQuestion(random) };
}

/** Bindings come in any order upstream, so it gives one reason or another: errors in any order, and any binding that allows. */
const ALLOWED_BY = /^RBAC: allowed by /;
const AGAIN = 60;

async function compare(
  differences: Differences,
  path: string,
  review: object,
  headers: Record<string, string> = {},
): Promise<boolean> {
  const [theirs, ours] = await Promise.all([
    posts.post(world.theirUrl, path, review, headers),
    posts.post(world.ourUrl, path, review, headers),
  ]);
  const want = withSortedErrors(theirs);
  const got = withSortedErrors(ours);
  if (ALLOWED_BY.test(want.status?.reason ?? '') && want.status.reason !== got.status?.reason) {
    for (let count = 0; count < AGAIN; count++) {
      const again = await posts.post(world.theirUrl, path, review, headers);
      if (again.status.reason === got.status?.reason) return true;
    }
  }
  differences.add(`SEED=${seed} ${path} ${JSON.stringify(review)} ${JSON.stringify(headers)}`, want, got);
  return want.status?.allowed === true;
}

function withSortedErrors(answer: Reviewed): Reviewed {
  if (answer.status === undefined) return answer;
  const { reason, evaluationError } = answer.status;
  return {
    ...answer,
    status: {
      ...answer.status,
      ...(reason === undefined ? {} : { reason: sortedErrors(reason) }),
      ...(evaluationError === undefined ? {} : { evaluationError: sortedErrors(evaluationError as string) }),
    },
  };
}

function sortedErrors(text: string): string {
  return text.replace(/\[(clusterrole.*)\]$/, (_, list: string) => list.split(', ').toSorted().join(' and '));
}

/** Some at a time. */
test('thousands of questions about others', async () => {
  const differences = new Differences();
  let allowed = 0;
  const asked = Array.from({ length: QUESTIONS }, () => {
    const spec = withoutEmpty({ ...random.pick(users), ...question(random) });
    if (random.chance(0.85)) return [`${AUTHORIZATION}/subjectaccessreviews`, { spec }] as const;
    const namespace = random.pick(NAMESPACES);
    const { resourceAttributes } = spec as { readonly resourceAttributes?: object };
    const local =
      resourceAttributes === undefined ? spec : { ...spec, resourceAttributes: { ...resourceAttributes, namespace } };
    return [`${AUTHORIZATION}/namespaces/${namespace}/localsubjectaccessreviews`, { spec: local }] as const;
  });
  await inParallel(asked, async ([path, review]) => {
    if (await compare(differences, path, review)) allowed++;
  });
  differences.assertNone();
  assert.ok(allowed > QUESTIONS / 50, `${allowed} were allowed`);
});

test('questions of somebody about himself, and all that he may', async () => {
  const differences = new Differences();
  const asked = users
    .filter(({ user }) => user !== '')
    .flatMap((one) => NAMESPACES.map((namespace) => [one, namespace] as const));
  await inParallel(asked, async ([{ user, groups }, namespace]) => {
    const headers = { 'impersonate-user': user, ...(groups[0] === '' ? {} : { 'impersonate-group': groups[0]! }) };
    await compare(differences, `${AUTHORIZATION}/selfsubjectaccessreviews`, { spec: question(random) }, headers);
    const path = `${AUTHORIZATION}/selfsubjectrulesreviews`;
    const [theirs, ours] = await Promise.all(
      [world.theirUrl, world.ourUrl].map((url) => posts.post(url, path, { spec: { namespace } }, headers)),
    );
    differences.add(`${user} in ${namespace}`, ...([withSortedRules(theirs!), withSortedRules(ours!)] as const));
  });
  differences.assertNone();
});

/** Upstream goes through bindings in any order. */
function withSortedRules(answer: Reviewed): object {
  const { status, ...rest } = withSortedErrors(answer);
  const sorted = (rules: readonly object[] = []) =>
    rules.map((rule) => JSON.stringify(Object.entries(rule).toSorted())).toSorted();
  const { resourceRules, nonResourceRules, ...others } = status ?? {};
  return {
    ...rest,
    status: { ...others, resourceRules: sorted(resourceRules), nonResourceRules: sorted(nonResourceRules) },
  };
}

test('reviews that are wrong', async () => {
  const differences = new Differences();
  const pod = { verb: 'get', resource: 'pods', namespace: 'default' };
  const path = { verb: 'get', path: '/a' };
  const local = 'namespaces/default/localsubjectaccessreviews';
  const rows: readonly (readonly [string, object])[] = [
    ['selfsubjectaccessreviews', {}],
    ['selfsubjectaccessreviews', { spec: { nonResourceAttributes: path, resourceAttributes: pod } }],
    ['selfsubjectaccessreviews', { spec: { nonResourceAttributes: {}, resourceAttributes: pod } }],
    ['subjectaccessreviews', { spec: { resourceAttributes: pod } }],
    ['subjectaccessreviews', { spec: {} }],
    [
      'subjectaccessreviews',
      {
        spec: {
          user: 'x',
          resourceAttributes: {
            ...pod,
            fieldSelector: {},
            labelSelector: { rawSelector: 'a', requirements: [{ key: 'a', operator: 'In' }] },
          },
        },
      },
    ],
    [local, { metadata: { namespace: 'other' }, spec: { user: 'x', resourceAttributes: pod } }],
    [local, { spec: { user: 'x', resourceAttributes: { ...pod, namespace: 'other' } } }],
    [local, { spec: { user: 'x', nonResourceAttributes: path } }],
    ['localsubjectaccessreviews', { spec: { user: 'x', resourceAttributes: pod } }],
    ['namespaces/default/subjectaccessreviews', { spec: { user: 'x', resourceAttributes: pod } }],
    ['selfsubjectrulesreviews', { spec: {} }],
  ];
  for (const [resource, review] of rows) await compare(differences, `${AUTHORIZATION}/${resource}`, review);
  differences.assertNone();
});

test('roles and bindings change: what is asked after it is answered by it', async () => {
  const differences = new Differences();
  const ask = { verb: 'get', resource: 'secrets', namespace: 'team-a' };
  const review = { spec: { user: 'mover', resourceAttributes: ask } };
  const changes: readonly (readonly [method: string, path: string, object: object | undefined, allowed: boolean])[] = [
    ['POST', 'clusterrolebindings', bound('moving', 'ClusterRole', 'moving', [toUser('mover')]), false],
    ['POST', 'clusterroles', role('moving', [{ verbs: ['get'], apiGroups: [''], resources: ['secrets'] }]), true],
    ['PATCH', 'clusterroles/moving', { rules: [] }, false],
    ['PATCH', 'clusterroles/moving', { rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] }, true],
    ['PATCH', 'clusterrolebindings/moving', { subjects: [toUser('another')] }, false],
    ['POST', 'namespaces/team-a/rolebindings', bound('moving', 'ClusterRole', 'moving', [toUser('mover')]), true],
    ['DELETE', 'clusterroles/moving', undefined, false],
    [
      'POST',
      'clusterroles',
      role('moving', [{ verbs: ['get'], apiGroups: [''], resources: ['secrets'], resourceNames: ['a'] }]),
      false,
    ],
    ['DELETE', 'namespaces/team-a/rolebindings/moving', undefined, false],
  ];
  for (const [method, path, object, allowed] of changes) {
    await world.write(method, `${RBAC}/${path}`, object);
    await settled(`${RBAC}/${path.endsWith('moving') ? path : `${path}/moving`}`);
    const ours = await posts.post(world.ourUrl, `${AUTHORIZATION}/subjectaccessreviews`, review);
    const theirs = await eventually(`kube-apiserver decides by ${method} ${path}`, async () => {
      const answer = await posts.post(world.theirUrl, `${AUTHORIZATION}/subjectaccessreviews`, review);
      return answer.status.allowed === allowed && answer;
    });
    differences.add(`${method} ${path}`, theirs, ours);
  }
  differences.assertNone();
});

test('kubectl auth can-i --list and whoami print the same', async () => {
  const differences = new Differences();
  for (const kubectl of [process.env['KUBECTL'], process.env['KUBECTL_132']]) {
    if (kubectl === undefined) continue;
    for (const token of ['t-admin', 't-jane', 't-bob']) {
      for (const args of [
        ['auth', 'can-i', '--list', '-n', 'team-a'],
        ['auth', 'whoami'],
        ['auth', 'can-i', 'get', 'pods', '-n', 'team-a'],
        ['auth', 'can-i', 'delete', 'secrets', '-n', 'team-a'],
        ['auth', 'can-i', 'get', '/metrics'],
      ]) {
        const [theirs, ours] = await Promise.all(
          [world.theirUrl, world.ourUrl].map((url) =>
            run(kubectl, [...args, '--server', url, '--token', token, '--insecure-skip-tls-verify']),
          ),
        );
        differences.add(`${kubectl} ${token} ${args.join(' ')}`, printed(theirs!), printed(ours!));
      }
    }
  }
  differences.assertNone();
});

function printed({
  code,
  stdout,
  stderr,
}: {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}): object {
  return { code, stdout: stdout.split('\n'), stderr };
}
