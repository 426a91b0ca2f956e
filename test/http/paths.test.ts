import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTarget, type ResourcePath } from '../../src/http/paths.js';

const resource = (fields: Partial<ResourcePath>): ResourcePath => ({
  type: 'resource',
  group: '',
  version: 'v1',
  watch: false,
  namespace: undefined,
  resource: '',
  name: undefined,
  subresource: undefined,
  malformed: false,
  ...fields,
});
const other = (path: string) => ({ type: 'other', path });
const long = 'n'.repeat(5_000);

// One row per rule of spec 2.9.
const rows: readonly [target: string, want: unknown][] = [
  ['/api/v1/pods', resource({ resource: 'pods' })],
  ['/api/v1/pods?watch=1', resource({ resource: 'pods' })],
  ['/api/v1/namespaces/ns/pods', resource({ namespace: 'ns', resource: 'pods' })],
  ['/api/v1/namespaces/ns/pods/p', resource({ namespace: 'ns', resource: 'pods', name: 'p' })],
  [
    '/api/v1/namespaces/ns/pods/p/status',
    resource({ namespace: 'ns', resource: 'pods', name: 'p', subresource: 'status' }),
  ],
  [
    '/api/v1/namespaces/ns/pods/p/status/x',
    resource({ namespace: 'ns', resource: 'pods', name: 'p', subresource: 'status', malformed: true }),
  ],
  ['/apis/apps/v1/deployments', resource({ group: 'apps', resource: 'deployments' })],
  ['/api/v1/nodes/n', resource({ resource: 'nodes', name: 'n' })],
  ['/api/v1/namespaces', resource({ resource: 'namespaces' })],
  ['/api/v1/namespaces/ns', resource({ resource: 'namespaces', name: 'ns' })],
  ['/api/v1/namespaces/ns/status', resource({ resource: 'namespaces', name: 'ns', subresource: 'status' })],
  ['/api/v1/namespaces/ns/finalize', resource({ resource: 'namespaces', name: 'ns', subresource: 'finalize' })],
  ['/api/v1/namespaces/ns/', resource({ resource: 'namespaces', name: 'ns' })],
  ['/api/v1/watch/pods', resource({ watch: true, resource: 'pods' })],
  ['/api/v1/watch/namespaces/ns/pods/p', resource({ watch: true, namespace: 'ns', resource: 'pods', name: 'p' })],
  ['/api/v1/watch/namespaces/ns', resource({ watch: true, resource: 'namespaces', name: 'ns' })],
  // A trailing slash is an empty name.
  ['/api/v1/pods/', resource({ resource: 'pods' })],
  ['/api/v1/namespaces/ns/pods//', resource({ namespace: 'ns', resource: 'pods' })],
  // Nothing is cleaned.
  ['//apis/apps/v1/deployments', other('//apis/apps/v1/deployments')],
  ['/api/v1/namespaces//pods', resource({ namespace: '', resource: 'pods' })],
  [
    '/apis/apps/v1/../v1/deployments',
    resource({ group: 'apps', resource: '..', name: 'v1', subresource: 'deployments' }),
  ],
  ['/API/v1/pods', other('/API/v1/pods')],
  // Percent escapes are decoded once, over the whole path.
  ['/api/v1/namespaces/ns/pods/f%31', resource({ namespace: 'ns', resource: 'pods', name: 'f1' })],
  ['/api/v1/namespaces/ns/pods/f%2531', resource({ namespace: 'ns', resource: 'pods', name: 'f%31' })],
  ['/api/v1/namespaces/ns%2Fpods', resource({ namespace: 'ns', resource: 'pods' })],
  ['/api/v1/namespaces/ns/pods/%ff', resource({ namespace: 'ns', resource: 'pods', name: '\ufffd' })],
  ['/api/v1/namespaces/ns/pods/%C3%A9', resource({ namespace: 'ns', resource: 'pods', name: 'é' })],
  ['/api/v1/%zz', { type: 'bad' }],
  ['/api/v1/pods%', { type: 'bad' }],
  ['/api/v1/pods%4', { type: 'bad' }],
  [`/api/v1/namespaces/ns/pods/${long}`, resource({ namespace: 'ns', resource: 'pods', name: long })],
  // Fewer segments are not resources.
  ['/', other('/')],
  ['', other('/')],
  ['/api', other('/api')],
  ['/api/', other('/api/')],
  ['/api/v1', other('/api/v1')],
  ['/api/v1/', other('/api/v1/')],
  // Without a version there is nothing, but a resource is meant, as whoever authorizes it must know.
  ['/api//v1', resource({ version: '', resource: 'v1', malformed: true })],
  ['/api//', other('/api//')],
  ['/api/v1/watch', { type: 'incomplete', target: '/api/v1/watch' }],
  ['/api/v1/proxy/?a=b', { type: 'incomplete', target: '/api/v1/proxy/?a=b' }],
  ['/apis/apps/v1', other('/apis/apps/v1')],
  ['/apis/apps/v1/', other('/apis/apps/v1/')],
  ['/healthz', other('/healthz')],
  // Proxies send the absolute form.
  ['http://localhost:8080/api/v1/pods?limit=1', resource({ resource: 'pods' })],
  ['http://localhost:8080', other('/')],
  ['*', other('*')],
];
for (const [target, want] of rows) {
  test(`path ${target.slice(0, 80)}`, () => assert.deepEqual(parseTarget(target).path, want));
}

test('the query is what follows the first question mark, undecoded', () => {
  assert.equal(parseTarget('/api/v1/pods?a=%31?b').search, 'a=%31?b');
  assert.equal(parseTarget('/api/v1/pods').search, '');
});
