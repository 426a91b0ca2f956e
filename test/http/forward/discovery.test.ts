import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeDiscovery } from '../../../src/http/forward/merged-discovery.js';
import { readGroups } from '../../../src/http/forward/group-discovery.js';
import { createDiscovery } from '../../../src/http/discovery.js';
import { TargetConnections } from '../../../src/http/forward/target.js';
import { TargetDiscovery } from '../../../src/http/forward/target-discovery.js';
import { createFakeClock } from '../../../src/lib/clock.js';
import { defaultLimits } from '../../../src/lib/limits.js';
import { certificate, kindOf, servedKinds, startServing } from '../serving.js';
import { send } from './client.js';
import { startForwarding } from './serving.js';
import { startTarget, valuesOf } from './target.js';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const TYPE = `${AGGREGATED};charset=x`.replace(';charset=x', '');

const list = (items: unknown[]) => ({
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  metadata: {},
  items,
});
const resource = (name: string, kind: string, verbs: string[], more: object = {}) => ({
  resource: name,
  responseKind: { group: '', version: '', kind },
  scope: 'Namespaced',
  singularResource: kind.toLowerCase(),
  verbs,
  ...more,
});
const WRITES = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const ALL = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

const core = list([
  {
    metadata: {},
    versions: [
      {
        version: 'v1',
        freshness: 'Current',
        resources: [
          resource('bindings', 'Binding', ['create']),
          resource('pods', 'Pod', ALL, {
            shortNames: ['po'],
            subresources: [
              {
                subresource: 'exec',
                responseKind: { group: '', version: '', kind: 'PodExecOptions' },
                verbs: ['create', 'get'],
              },
              {
                subresource: 'status',
                responseKind: { group: '', version: '', kind: 'Pod' },
                verbs: ['get', 'patch', 'update'],
              },
            ],
          }),
        ],
      },
    ],
  },
]);
const others = list([
  {
    metadata: { name: 'metrics.k8s.io' },
    versions: [
      { version: 'v1beta1', freshness: 'Current', resources: [resource('pods', 'PodMetrics', ['get', 'list'])] },
    ],
  },
  {
    metadata: { name: 'apps' },
    versions: [
      { version: 'v1', freshness: 'Current', resources: [resource('deployments', 'Deployment', WRITES)] },
      { version: 'v2', freshness: 'Current', resources: [resource('deployments', 'Deployment', ALL)] },
    ],
  },
]);

test('both together: the order and the words of the target, and whatever only listwatch has', () => {
  const own = createDiscovery(servedKinds);
  const merged = mergeDiscovery(own, { core: readGroups(core), others: readGroups(others) });
  const [one, ...more] = readGroups(merged.aggregated(true).json);
  assert.ok(one !== undefined && more.length === 0);
  const resources = new Map(one.versions[0]!.resources.map((entry) => [entry.resource, entry]));
  assert.deepEqual(resources.get('bindings')?.verbs, ['create']);
  assert.deepEqual(resources.get('pods')?.verbs, ALL);
  assert.deepEqual(
    resources
      .get('pods')
      ?.subresources.map(({ subresource, verbs }) => [subresource, verbs.join()])
      .slice(0, 2),
    [
      ['exec', 'create,get'],
      ['status', 'get,patch,update'],
    ],
  );
  assert.deepEqual(resources.get('nodes')?.verbs, ['get', 'list', 'watch'], 'the target does not name it');
  assert.deepEqual([...resources.keys()], [...resources.keys()].sort());

  const groups = readGroups(merged.aggregated(false).json);
  assert.deepEqual(
    groups.slice(0, 2).map(({ name }) => name),
    ['metrics.k8s.io', 'apps'],
  );
  assert.deepEqual(
    groups[1]!.versions.map(({ version }) => version),
    ['v1', 'v2'],
  );
  const deployments = groups[1]!.versions[0]!.resources.find((entry) => entry.resource === 'deployments');
  assert.deepEqual(deployments?.verbs, [...WRITES, 'get', 'list', 'watch']);
  assert.deepEqual(
    groups.map(({ name }) => name).sort(),
    ['metrics.k8s.io', ...(own.groupList.json['groups'] as { name: string }[])]
      .map((group) => (typeof group === 'string' ? group : group.name))
      .sort(),
  );

  const classic = merged.resources('', 'v1')!.json['resources'] as Record<string, unknown>[];
  const named = (name: string) => classic.find((entry) => entry['name'] === name);
  assert.deepEqual(named('pods')?.['verbs'], ALL);
  assert.equal(
    named('pods')?.['storageVersionHash'],
    (own.resources('', 'v1')!.json['resources'] as Record<string, unknown>[]).find(
      (entry) => entry['name'] === 'pods',
    )!['storageVersionHash'],
  );
  assert.deepEqual(named('pods/exec'), {
    name: 'pods/exec',
    singularName: '',
    namespaced: true,
    kind: 'PodExecOptions',
    verbs: ['create', 'get'],
  });
  assert.deepEqual(named('pods/status')?.['verbs'], ['get', 'patch', 'update']);
  assert.deepEqual(named('bindings'), {
    name: 'bindings',
    singularName: 'binding',
    namespaced: true,
    kind: 'Binding',
    verbs: ['create'],
  });

  assert.deepEqual(
    (merged.groupList.json['groups'] as { name: string }[]).slice(0, 2).map(({ name }) => name),
    ['metrics.k8s.io', 'apps'],
  );
  assert.deepEqual(
    (merged.group('apps')!.json['versions'] as { version: string }[]).map(({ version }) => version),
    ['v1', 'v2'],
  );
  assert.equal(merged.group('metrics.k8s.io'), undefined, 'it is asked of the target');
  assert.equal(merged.resources('apps', 'v2'), undefined);
});

test('with itself, listwatch says what it says alone', () => {
  const own = createDiscovery(servedKinds);
  const groups = (isCore: boolean) => readGroups(own.aggregated(isCore).json);
  const merged = mergeDiscovery(own, { core: groups(true), others: groups(false) });
  for (const isCore of [true, false]) assert.deepEqual(merged.aggregated(isCore), own.aggregated(isCore));
  assert.deepEqual(merged.groupList, own.groupList);
  for (const { group, version } of servedKinds) {
    assert.deepEqual(merged.resources(group, version), own.resources(group, version));
    if (group !== '') assert.deepEqual(merged.group(group), own.group(group));
  }
});

test('the target is asked once in a while; what it said holds while it is away', async (t) => {
  const { target, port, serving, close } = await startForwarding({
    limits: { forwardDiscoveryMs: 150, forwardDiscoveryTimeoutMs: 500 },
  });
  t.after(close);
  let verbs = ['create'];
  target.answer = (request, response) => {
    response.setHeader('content-type', TYPE);
    const more = list([
      { metadata: { name: 'ex.io' }, versions: [{ version: 'v1', resources: [resource('foos', 'Foo', verbs)] }] },
    ]);
    response.end(JSON.stringify(request.url === '/api' ? core : more));
  };
  const ask = async (path: string, accept = AGGREGATED) => {
    const answer = await send('HTTP/2', port, { path, headers: { accept } });
    return { ...answer, json: answer.text === '' ? undefined : JSON.parse(answer.text) };
  };
  const verbsOf = async () =>
    readGroups((await ask('/apis')).json).find(({ name }) => name === 'ex.io')?.versions[0]?.resources[0]?.verbs;
  assert.deepEqual(await verbsOf(), ['create']);
  assert.equal(target.seen.length, 2);
  assert.deepEqual(target.seen.map(({ url }) => url).sort(), ['/api', '/apis']);
  for (const seen of target.seen) {
    assert.deepEqual(valuesOf(seen, 'x-remote-user'), ['system:listwatch']);
    assert.deepEqual(valuesOf(seen, 'x-remote-group'), ['system:authenticated']);
  }
  const first = await ask('/apis');
  assert.equal(first.headers['content-type'], AGGREGATED.replaceAll(' ', ''));
  const unchanged = await send('HTTP/2', port, {
    path: '/apis',
    headers: { accept: AGGREGATED, 'if-none-match': String(first.headers['etag']) },
  });
  assert.equal(unchanged.code, 304);
  const protobuf = await send('HTTP/2', port, {
    path: '/apis',
    headers: { accept: AGGREGATED.replace('json', 'vnd.kubernetes.protobuf') },
  });
  assert.equal(protobuf.code, 200);
  assert.match(protobuf.text, /ex\.io/);

  verbs = ['create', 'delete'];
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(await verbsOf(), ['create', 'delete']);
  for (const wrong of ['nonsense', '{"kind":"APIGroupList"}', undefined]) {
    target.answer = (_request, response) => void (wrong === undefined ? undefined : response.end(wrong));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(await verbsOf(), ['create', 'delete'], wrong);
  }
  await target.close();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.deepEqual(await verbsOf(), ['create', 'delete']);
  assert.equal((await send('HTTP/2', port, { path: '/livez' })).text, 'ok');
  assert.equal(serving.server.open, 0);
});

test('what the target has said is kept', async (t) => {
  const { target, port, close } = await startForwarding();
  t.after(close);
  target.answer = (request, response) => response.end(JSON.stringify(request.url === '/api' ? core : others));
  const ask = (path: string, accept = AGGREGATED) => send('HTTP/2', port, { path, headers: { accept } });
  for (let count = 0; count < 3; count++) {
    await Promise.all([ask('/api'), ask('/apis'), ask('/api/v1', 'application/json')]);
    assert.deepEqual(target.seen.map(({ url }) => url).sort(), ['/api', '/apis']);
  }
});

test('while kinds come and go, the target is asked each time', async (t) => {
  const target = await startTarget();
  t.after(() => target.close());
  target.answer = (request, response) => response.end(JSON.stringify(request.url === '/api' ? core : others));
  const clock = createFakeClock();
  const connections = new TargetConnections(target.forwardTo, defaultLimits);
  t.after(() => connections.close());
  let own = createDiscovery(servedKinds);
  const discovery = new TargetDiscovery({
    target: connections,
    own: () => own,
    clock,
    limits: defaultLimits,
    changed: () => {},
  });
  const asked = async () => {
    const before = target.seen.length;
    await discovery.current();
    return target.seen.length > before;
  };
  assert.deepEqual([await asked(), await asked()], [true, false]);
  own = createDiscovery(servedKinds.slice(1));
  assert.deepEqual([await asked(), await asked()], [true, true]);
  clock.advance(defaultLimits.forwardDiscoveryMs - 1);
  assert.deepEqual([await asked(), await asked()], [true, true]);
  clock.advance(1);
  assert.deepEqual([await asked(), await asked()], [false, false]);
});

test('a target that was never there leaves what listwatch has alone', async (t) => {
  const target = await startTarget();
  await target.close();
  const serving = startServing({ forwardTo: target.forwardTo });
  t.after(serving.close);
  const { port } = await serving.server.listenSecure('127.0.0.1', 0, await certificate());
  const answer = await send('HTTP/1.1', port, { path: '/apis/apps/v1', headers: { host: 'localhost' } });
  const deployments = JSON.parse(answer.text).resources.find(({ name }: { name: string }) => name === 'deployments');
  assert.deepEqual(deployments.verbs, ['get', 'list', 'watch']);
  assert.equal(kindOf('deployments').group, 'apps');
});
