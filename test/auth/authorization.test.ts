import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Authenticator } from '../../src/auth/authenticator.js';
import { unionOf } from '../../src/auth/authorizer.js';
import { anonymous, Identities } from '../../src/auth/identity.js';
import { LiveRbac } from '../../src/auth/live-rbac.js';
import { StaticTokens } from '../../src/auth/token-file.js';
import { decodeQuery } from '../../src/api/query.js';
import type { ListSyntax } from '../../src/api/list-options.js';
import { attributesOf, OpenWatches } from '../../src/http/access.js';
import type { ExchangeRequest } from '../../src/http/exchange.js';
import { parseTarget } from '../../src/http/paths.js';
import { systemClock } from '../../src/lib/clock.js';
import { defaultLimits } from '../../src/lib/limits.js';
import { eventually, openHttp2, request } from '../http/client.js';
import { certificate, kindOf, pod, type Serving, startServing } from '../http/serving.js';
import { openedAccess } from './opened-access.js';
import { ask, type Reply } from './support.js';

const live = new LiveRbac(systemClock, defaultLimits);
const watches = new OpenWatches();
const authorizer = unionOf([live.rbac]);
let serving: Serving;
let port: number;

before(async () => {
  const authenticator = new Authenticator({
    frontProxy: undefined,
    clientAuthorities: undefined,
    tokens: [new StaticTokens('t-jane,jane,1,dev\nt-<joe>,<joe>,2\nt-root,root,3,system:masters\n')],
    anonymous: true,
    identities: new Identities(10),
    clock: systemClock,
  });
  serving = startServing({
    access: openedAccess({ authenticator, authorizer, watches }),
  });
  ({ port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate()));
  await serving.put('pods', pod('web'));
});
after(async () => {
  live.stop();
  await serving.close();
});

function as(name: string, path: string, method = 'GET'): Promise<Reply> {
  return ask(port, path, { method, headers: name === '' ? {} : { authorization: `Bearer t-${name}` } });
}

const LIST = '/api/v1/namespaces/default/pods';

function give(name: string, rule: object, subject: object, namespace?: string): Promise<unknown> {
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  const apiGroup = 'rbac.authorization.k8s.io';
  const kind = namespace === undefined ? 'ClusterRole' : 'Role';
  const binding = { metadata, subjects: [{ apiGroup, ...subject }], roleRef: { apiGroup, kind, name } };
  return serving
    .put(namespace === undefined ? 'clusterroles' : 'roles', { metadata, rules: [rule] })
    .then(() => serving.put(namespace === undefined ? 'clusterrolebindings' : 'rolebindings', binding));
}

test('until all permissions are known, who might be allowed is asked to come again; masters are not', async () => {
  const reply = await as('jane', LIST);
  assert.equal(reply.code, 429);
  assert.equal(reply.headers['retry-after'], '1');
  assert.equal((await as('root', LIST)).code, 200);
  live.start(
    (resource) => serving.service.reader(kindOf(resource)),
    () => watches.check(authorizer),
  );
  await eventually('RBAC has seen everything', () => live.rbac.ready);
});

const forbidden: readonly [user: string, method: string, path: string, message: string, details: object][] = [
  [
    'jane',
    'GET',
    LIST,
    'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
    { kind: 'pods' },
  ],
  [
    'jane',
    'GET',
    '/api/v1/namespaces/default/pods?fieldSelector=metadata.name%3Dweb&watch=1',
    'pods "web" is forbidden: User "jane" cannot watch resource "pods" in API group "" in the namespace "default"',
    { name: 'web', kind: 'pods' },
  ],
  [
    'jane',
    'GET',
    '/apis/apps/v1/namespaces/default/deployments/web',
    'deployments.apps "web" is forbidden: User "jane" cannot get resource "deployments" in API group "apps" in the namespace "default"',
    { name: 'web', group: 'apps', kind: 'deployments' },
  ],
  [
    'jane',
    'GET',
    '/api/v1/nodes',
    'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope',
    { kind: 'nodes' },
  ],
  [
    'jane',
    'GET',
    '/api/v1/namespaces/default',
    'namespaces "default" is forbidden: User "jane" cannot get resource "namespaces" in API group "" in the namespace "default"',
    { name: 'default', kind: 'namespaces' },
  ],
  [
    'jane',
    'GET',
    '/api/v1/namespaces/default/pods/web/log',
    'pods "web" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "default"',
    { name: 'web', kind: 'pods' },
  ],
  [
    'jane',
    'DELETE',
    LIST,
    'pods is forbidden: User "jane" cannot deletecollection resource "pods" in API group "" in the namespace "default"',
    { kind: 'pods' },
  ],
  [
    'jane',
    'GET',
    '/api/v1/watch/pods',
    'pods is forbidden: User "jane" cannot watch resource "pods" in API group "" at the cluster scope',
    { kind: 'pods' },
  ],
  [
    'jane',
    'PUT',
    '/apis/none.example.com/v1/things/x',
    'things.none.example.com "x" is forbidden: User "jane" cannot update resource "things" in API group "none.example.com" at the cluster scope',
    { name: 'x', group: 'none.example.com', kind: 'things' },
  ],
  ['', 'GET', '/metrics', 'forbidden: User "system:anonymous" cannot get path "/metrics"', {}],
  ['<joe>', 'GET', '/nothing', 'forbidden: User "&lt;joe&gt;" cannot get path "/nothing"', {}],
];
for (const [user, method, path, message, details] of forbidden) {
  test(`${user || 'nobody'}: ${method} ${path} is forbidden`, async () => {
    const reply = await as(user, path, method);
    assert.equal(reply.code, 403);
    assert.equal(reply.headers['x-content-type-options'], 'nosniff');
    assert.deepEqual(JSON.parse(reply.body), {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason: 'Forbidden',
      details,
      code: 403,
    });
  });
}

test('a permission counts once it is written, and ends once it is taken back', async () => {
  await give(
    'pods',
    { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] },
    { kind: 'User', name: 'jane' },
    'default',
  );
  await eventually('jane may list', async () => (await as('jane', LIST)).code === 200);
  assert.equal((await as('jane', `${LIST}/web`)).code, 200);
  assert.equal((await as('jane', '/api/v1/pods')).code, 403);
  assert.equal((await as('<joe>', LIST)).code, 403);
  await serving.remove('rolebindings', 'default', 'pods');
  await eventually('jane may not list', async () => (await as('jane', LIST)).code === 403);
});

test('a role that changes its rules changes what its bindings give', async () => {
  await give(
    'see',
    { verbs: ['get'], nonResourceURLs: ['/version'] },
    { kind: 'Group', name: 'system:unauthenticated' },
  );
  await eventually('nobody may ask for the version', async () => (await as('', '/version')).code === 200);
  await serving.put('clusterroles', { metadata: { name: 'see' }, rules: [] });
  await eventually('nobody may not', async () => (await as('', '/version')).code === 403);
});

test('names that a role lists may be asked for alone, by name or by selector', async () => {
  const rule = { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'], resourceNames: ['web'] };
  await give('web', rule, { kind: 'Group', name: 'dev' });
  await eventually('jane may get', async () => (await as('jane', `${LIST}/web`)).code === 200);
  assert.equal((await as('jane', `${LIST}?fieldSelector=metadata.name%3Dweb`)).code, 200);
  assert.equal((await as('jane', LIST)).code, 403);
  assert.equal((await as('jane', `${LIST}/other`)).code, 403);
  assert.equal((await as('jane', `${LIST}?fieldSelector=metadata.name!%3Dweb`)).code, 403);
});

test('a selector is read once, by the grammar that is served', () => {
  const asked = (syntax: ListSyntax) => {
    const { path, search } = parseTarget(`${LIST}?fieldSelector=metadata.name%3Dweb,spec.nodeName`);
    const request = { method: 'GET', path, query: decodeQuery(search) } as unknown as ExchangeRequest;
    const attributes = attributesOf(request, anonymous, syntax);
    return attributes.path === undefined ? attributes.name : undefined;
  };
  assert.equal(asked({}), '');
  assert.equal(asked({ extendedFieldSelectors: true }), 'web');
});

test('a watch ends when it is not allowed any more; others go on', async () => {
  const rule = { verbs: ['watch', 'list'], apiGroups: [''], resources: ['pods'] };
  await give('watch', rule, { kind: 'User', name: 'jane' });
  await eventually('jane may list', async () => (await as('jane', '/api/v1/pods')).code === 200);
  const session = await openHttp2(port);
  const ended = new Set<string>();
  const heads = new Map<string, number>();
  for (const name of ['jane', 'root']) {
    const stream = request(session, '/api/v1/pods?watch=1', { authorization: `Bearer t-${name}` });
    stream.on('response', (headers) => heads.set(name, Number(headers[':status'])));
    stream.on('end', () => ended.add(name));
    stream.resume();
  }
  await eventually('both watch', () => heads.size === 2 && watches.size === 2);
  assert.deepEqual([...heads.values()], [200, 200]);
  await serving.remove('clusterrolebindings', undefined, 'watch');
  await eventually("jane's watch ends", () => ended.has('jane'));
  assert.equal(ended.has('root'), false);
  assert.equal(watches.size, 1);
  session.destroy();
  await eventually('nobody watches', () => watches.size === 0);
});
