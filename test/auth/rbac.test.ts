import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attributes } from '../../src/auth/attributes.js';
import { alwaysDeny, unionOf } from '../../src/auth/authorizer.js';
import type { Identity } from '../../src/auth/identity.js';
import { type Binding, type PolicyRule, type Role, readBinding, readRole } from '../../src/auth/policy.js';
import { Rbac } from '../../src/auth/rbac.js';
import type { seededRandom } from '../../src/lib/random.js';
import { withSeed } from '../engine/with-seed.js';
import { modelAllows } from './rbac-model.js';

function user(name: string, ...groups: string[]): Identity {
  return { name, uid: '', groups, extra: {} };
}

interface Request {
  readonly by?: Identity;
  readonly verb?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly path?: string;
}

function attributes({ by = user('jane', 'dev'), path, ...request }: Request): Attributes {
  if (path !== undefined) return { user: by, verb: request.verb ?? 'get', path };
  const absent = {
    verb: 'get',
    group: '',
    version: 'v1',
    resource: 'pods',
    subresource: '',
    namespace: 'ns',
    name: 'p',
  };
  return { user: by, ...absent, ...request };
}

const pods = { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] };
const toJane = [{ kind: 'User', name: 'jane' }];

/** One rule given to subjects: by a ClusterRoleBinding, or by a RoleBinding in `ns`. */
type Row = readonly [rule: object, subjects: readonly object[], request: Request, allowed: boolean];

const cluster: readonly Row[] = [
  [pods, toJane, {}, true],
  [pods, toJane, { namespace: '' }, true],
  [pods, toJane, { verb: 'delete' }, false],
  [pods, toJane, { group: 'apps' }, false],
  [pods, toJane, { resource: 'secrets' }, false],
  [{ ...pods, verbs: ['*'] }, toJane, { verb: 'delete' }, true],
  [{ ...pods, apiGroups: ['*'] }, toJane, { group: 'apps' }, true],
  [{ ...pods, resources: ['*'] }, toJane, { resource: 'secrets' }, true],
  [{ ...pods, resources: ['*'] }, toJane, { subresource: 'log' }, true],
  // A subresource is a resource of its own.
  [pods, toJane, { subresource: 'log' }, false],
  [{ ...pods, resources: ['pods/log'] }, toJane, { subresource: 'log' }, true],
  [{ ...pods, resources: ['pods/log'] }, toJane, {}, false],
  [{ ...pods, resources: ['*/log'] }, toJane, { subresource: 'log' }, true],
  [{ ...pods, resources: ['*/log'] }, toJane, {}, false],
  [{ ...pods, resources: ['pods/*'] }, toJane, { subresource: 'log' }, false],
  // Names: a collection has none, unless a selector names one.
  [{ ...pods, resourceNames: ['p', 'q'] }, toJane, { name: 'q' }, true],
  [{ ...pods, resourceNames: ['p', 'q'] }, toJane, { name: 'r' }, false],
  [{ ...pods, resourceNames: ['p'] }, toJane, { verb: 'list', name: '' }, false],
  [{ ...pods, resourceNames: ['*'] }, toJane, { name: 'p' }, false],
  // Subjects.
  [pods, [{ kind: 'User', name: 'joe' }], {}, false],
  [pods, [{ kind: 'Group', name: 'dev' }], {}, true],
  [pods, [{ kind: 'Group', name: 'jane' }], {}, false],
  [pods, [{ kind: 'User', name: 'dev' }], {}, false],
  [pods, [{ kind: 'User', name: '*' }], {}, false],
  [pods, [{ kind: 'Robot', name: 'jane' }], {}, false],
  [pods, [], {}, false],
  [pods, [{ kind: 'ServiceAccount', namespace: 'a', name: 'bot' }], { by: user('system:serviceaccount:a:bot') }, true],
  [pods, [{ kind: 'ServiceAccount', namespace: 'b', name: 'bot' }], { by: user('system:serviceaccount:a:bot') }, false],
  // Without a namespace a service account of a ClusterRoleBinding is nobody.
  [pods, [{ kind: 'ServiceAccount', name: 'bot' }], { by: user('system:serviceaccount:ns:bot') }, false],
  [pods, [{ kind: 'ServiceAccount', name: 'bot' }], { by: user('system:serviceaccount::bot') }, false],
  // Paths.
  [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }, toJane, { path: '/healthz' }, true],
  [{ verbs: ['get'], nonResourceURLs: ['/healthz'] }, toJane, { path: '/healthz/etcd' }, false],
  [{ verbs: ['get'], nonResourceURLs: ['/healthz/*'] }, toJane, { path: '/healthz/etcd' }, true],
  [{ verbs: ['get'], nonResourceURLs: ['/healthz/*'] }, toJane, { path: '/healthz' }, false],
  [{ verbs: ['get'], nonResourceURLs: ['/*/etcd'] }, toJane, { path: '/healthz/etcd' }, false],
  [{ verbs: ['get'], nonResourceURLs: ['*'] }, toJane, { path: '/metrics' }, true],
  [{ verbs: ['get'], nonResourceURLs: ['*'] }, toJane, { path: '/metrics', verb: 'post' }, false],
  [{ verbs: ['*'], nonResourceURLs: ['*'] }, toJane, { path: '/metrics', verb: 'post' }, true],
  [{ verbs: ['*'], nonResourceURLs: ['*'] }, toJane, {}, false],
  [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, toJane, { path: '/metrics' }, false],
];

const inNamespace: readonly Row[] = [
  [pods, toJane, {}, true],
  [pods, toJane, { namespace: 'other' }, false],
  [pods, toJane, { namespace: '', verb: 'list', name: '' }, false],
  [pods, [{ kind: 'ServiceAccount', name: 'bot' }], { by: user('system:serviceaccount:ns:bot') }, true],
  [pods, [{ kind: 'ServiceAccount', name: 'bot' }], { by: user('system:serviceaccount:other:bot') }, false],
  [{ verbs: ['*'], nonResourceURLs: ['*'] }, toJane, { path: '/metrics' }, false],
  // A namespace is an object in itself.
  [{ ...pods, resources: ['namespaces'] }, toJane, { resource: 'namespaces', name: 'ns' }, true],
];

for (const [namespace, rows] of [
  ['', cluster],
  ['ns', inNamespace],
] as const) {
  for (const [rule, subjects, request, allowed] of rows) {
    const binding = namespace === '' ? 'ClusterRoleBinding' : 'RoleBinding';
    const title = `${binding} of ${JSON.stringify(rule)} to ${JSON.stringify(subjects)}: ${JSON.stringify(request)}`;
    test(title, () => {
      const rbac = new Rbac(10);
      rbac.setRole(readRole({ metadata: { name: 'r' }, rules: [rule] }));
      rbac.setBinding(
        readBinding({ metadata: { name: 'b', namespace }, subjects, roleRef: { kind: 'ClusterRole', name: 'r' } }),
      );
      assert.equal(rbac.authorize(attributes(request)).allowed, allowed);
    });
  }
}

test('a Role is found in the namespace of its binding only', () => {
  const rbac = new Rbac(10);
  rbac.setRole(readRole({ metadata: { name: 'r', namespace: 'ns' }, rules: [pods] }));
  const roleRef = { kind: 'Role', name: 'r' };
  rbac.setBinding(readBinding({ metadata: { name: 'b', namespace: 'other' }, subjects: toJane, roleRef }));
  const refused = rbac.authorize(attributes({ namespace: 'other' }));
  assert.deepEqual(refused, { allowed: false, reason: 'RBAC: role.rbac.authorization.k8s.io "r" not found' });
  rbac.setBinding(readBinding({ metadata: { name: 'b', namespace: 'ns' }, subjects: toJane, roleRef }));
  assert.deepEqual(rbac.authorize(attributes({})), {
    allowed: true,
    reason: 'RBAC: allowed by RoleBinding "b/ns" of Role "r" to User "jane"',
  });
});

test('what is missing is named, and does not keep others from allowing', () => {
  const rbac = new Rbac(10);
  for (const name of ['x', 'y', 'admin']) {
    const subjects = [{ kind: 'Group', name: 'dev' }];
    rbac.setBinding(readBinding({ metadata: { name }, subjects, roleRef: { kind: 'ClusterRole', name } }));
  }
  assert.equal(
    rbac.authorize(attributes({})).reason,
    'RBAC: [clusterrole.rbac.authorization.k8s.io "x" not found, clusterrole.rbac.authorization.k8s.io "y" not found, ' +
      'clusterrole.rbac.authorization.k8s.io "admin" not found]',
  );
  rbac.setRole(readRole({ metadata: { name: 'admin' }, rules: [pods] }));
  assert.deepEqual(rbac.authorize(attributes({})), {
    allowed: true,
    reason: 'RBAC: allowed by ClusterRoleBinding "admin" of ClusterRole "admin" to Group "dev"',
  });
});

test('masters may do everything; reasons of all modes are joined', () => {
  const rbac = new Rbac(10);
  const union = unionOf([rbac, alwaysDeny]);
  const ofRoot = union.authorize(attributes({ by: user('root', 'system:masters') }));
  assert.deepEqual(ofRoot, { allowed: true, reason: '' });
  assert.deepEqual(union.authorize(attributes({})), { allowed: false, reason: 'Everything is forbidden.' });
  assert.equal(union.ready, false);
});

test('a binding without subjects may come and go', () => {
  const rbac = new Rbac(10);
  const roleRef = { kind: 'ClusterRole', name: 'r' };
  rbac.setBinding(readBinding({ metadata: { name: 'none', namespace: 'ns' }, subjects: null, roleRef }));
  rbac.setBinding(readBinding({ metadata: { name: 'some', namespace: 'ns' }, subjects: toJane, roleRef }));
  rbac.deleteBinding({ namespace: 'ns', name: 'some' });
  rbac.deleteBinding({ namespace: 'ns', name: 'none' });
  assert.equal(rbac.authorize(attributes({})).allowed, false);
});

const NAMES = ['a', 'b', 'c'];
const NAMESPACES = ['', 'n1', 'n2'];
const RESOURCES = ['pods', 'pods/log', 'secrets', '*', '*/log', 'pods/*'];
const VERBS = ['get', 'list', 'watch', '*'];
const GROUPS = ['', 'apps', '*'];
const PATHS = ['/healthz', '/healthz/*', '/api*', '*', '/version'];

test('the compiled policy agrees with the model after every change, for everybody and everything', () =>
  withSeed((random: ReturnType<typeof seededRandom>) => {
    const pick = <T>(from: readonly T[]): T => from[random.int(from.length)]!;
    const some = <T>(from: readonly T[]): T[] => from.filter(() => random.int(3) === 0);
    const rbac = new Rbac(6);
    const roles = new Map<string, Role>();
    const bindings = new Map<string, Binding>();
    const people = ['a', 'b', 'system:serviceaccount:n1:a', 'system:serviceaccount:n2:b'].map((name) =>
      user(name, ...some(['g1', 'g2', 'g3'])),
    );
    const rule = (): PolicyRule => ({
      verbs: some(VERBS),
      apiGroups: some(GROUPS),
      resources: some(RESOURCES),
      resourceNames: random.int(2) === 0 ? [] : some(NAMES),
      nonResourceURLs: some(PATHS),
    });
    let agreedToAllow = 0;
    for (let step = 0; step < 400; step++) {
      const namespace = pick(NAMESPACES);
      const name = pick(NAMES);
      const key = `${namespace}/${name}`;
      switch (random.int(5)) {
        case 0:
          roles.delete(key);
          rbac.deleteRole({ namespace, name });
          break;
        case 1:
          bindings.delete(key);
          rbac.deleteBinding({ namespace, name });
          break;
        case 2: {
          const role = { namespace, name, rules: [rule(), rule()] };
          roles.set(key, role);
          rbac.setRole(role);
          break;
        }
        default: {
          const subjects = [
            { kind: 'User', name: pick(NAMES), namespace: '' },
            { kind: 'Group', name: pick(['g1', 'g2', 'g3']), namespace: '' },
            { kind: 'ServiceAccount', name: pick(NAMES), namespace: pick(NAMESPACES) },
          ].filter(() => random.int(2) === 0);
          const roleRef = { kind: pick(['ClusterRole', 'Role']), name: pick(NAMES) };
          const binding = { namespace, name, subjects, roleRef };
          bindings.set(key, binding);
          rbac.setBinding(binding);
        }
      }
      for (let question = 0; question < 40; question++) {
        const asked: Attributes =
          random.int(4) === 0
            ? {
                user: pick(people),
                verb: pick(['get', 'post']),
                path: pick(['/healthz', '/healthz/etcd', '/apis', '/']),
              }
            : {
                user: pick(people),
                verb: pick(['get', 'list', 'watch']),
                group: pick(['', 'apps']),
                version: 'v1',
                resource: pick(['pods', 'secrets']),
                subresource: pick(['', 'log']),
                namespace: pick(NAMESPACES),
                name: pick(['', ...NAMES]),
              };
        const want = modelAllows([...roles.values()], [...bindings.values()], asked);
        if (want) agreedToAllow++;
        assert.equal(rbac.authorize(asked).allowed, want, JSON.stringify(asked));
      }
    }
    assert.ok(agreedToAllow > 100, `${agreedToAllow} were allowed`);
  }));

test('what one asks about oneself, with any text in any part, is not taken for another question', () => {
  const rbac = new Rbac(100);
  rbac.setRole(readRole({ metadata: { name: 'paths' }, rules: [{ verbs: ['get'], nonResourceURLs: ['*'] }] }));
  const roleRef = { kind: 'ClusterRole', name: 'paths' };
  rbac.setBinding(readBinding({ metadata: { name: 'b' }, subjects: [{ kind: 'User', name: 'eve' }], roleRef }));
  const by = user('eve');
  const secrets = attributes({ by, resource: 'secrets' });
  for (const path of ['\nsecrets\n\nns', 'secretsns', '3,0,7,0 getsecretsns', '0,7,0 secretsns', '\n']) {
    assert.equal(rbac.authorize(attributes({ by, path })).allowed, true);
    assert.equal(rbac.authorize(secrets).allowed, false, JSON.stringify(path));
  }
});

test('a binding that means a user twice gives its rules once, and names its first subject', () => {
  const rbac = new Rbac(10);
  rbac.setRole(readRole({ metadata: { name: 'r' }, rules: [pods] }));
  const subjects = [
    { kind: 'Group', name: 'ops' },
    { kind: 'Group', name: 'dev' },
    { kind: 'User', name: 'jane' },
  ];
  rbac.setBinding(readBinding({ metadata: { name: 'b' }, subjects, roleRef: { kind: 'ClusterRole', name: 'r' } }));
  const jane = { ...user('jane'), groups: ['dev', 'ops'] };
  assert.match(rbac.authorize(attributes({ by: jane })).reason, /to Group "ops"$/);
  assert.equal(rbac.rulesFor(jane, 'ns').resourceRules.length, 1);
});
