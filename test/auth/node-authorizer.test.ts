import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeQuery } from '../../src/api/query.js';
import type { Identity } from '../../src/auth/identity.js';
import { NodeAuthorizer } from '../../src/auth/node-authorizer.js';
import { NodeGraph } from '../../src/auth/node-graph.js';
import { attributesOf } from '../../src/http/access.js';
import type { ExchangeRequest } from '../../src/http/exchange.js';
import { parseTarget } from '../../src/http/paths.js';

const graph = new NodeGraph();
graph.setPod({ namespace: 'ns', name: 'web' }, 'n1', [
  { resource: 'secrets', name: 's' },
  { resource: 'configmaps', name: 'c' },
  { resource: 'persistentvolumeclaims', name: 'p' },
  { resource: 'serviceaccounts', name: 'sa' },
  { resource: 'resourceclaims', name: 'r' },
]);
graph.setPod({ namespace: 'ns', name: 'db' }, 'n2', [{ resource: 'secrets', name: 's2' }]);
graph.setVolume('pv', { namespace: 'ns', name: 'p' }, [{ namespace: 'csi', name: 'vs' }]);
graph.setOwner('volumeattachments', 'va', 'n1');
graph.setOwner('resourceslices', 'slice', 'n1');
const authorizer = new NodeAuthorizer(graph);

function kubelet(name: string, ...groups: string[]): Identity {
  return { name, uid: '', groups, extra: {} };
}

function decide(method: string, target: string, user = kubelet('system:node:n1', 'system:nodes')) {
  const { path, search } = parseTarget(target);
  const request = { method, path, query: decodeQuery(search) } as unknown as ExchangeRequest;
  return authorizer.authorize(attributesOf(request, user, { extendedFieldSelectors: false }));
}

const UNRELATED = "no relationship found between node 'n1' and this object";
const ONLY_GET = 'can only get individual resources of this type';
const ONLY_SELECTED = 'can only list/watch pods with spec.nodeName field selector';
const NS = '/api/v1/namespaces/ns';
const SLICES = '/apis/resource.k8s.io/v1/resourceslices';
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
const CSINODES = '/apis/storage.k8s.io/v1/csinodes';

/** `says`: 'yes', or the reason. */
const rows: readonly [request: string, says: string][] = [
  [`GET ${NS}/secrets/s`, 'yes'],
  [`GET ${NS}/secrets?fieldSelector=metadata.name%3Ds`, 'yes'],
  [`GET ${NS}/secrets?watch=1&fieldSelector=metadata.name%3Ds`, 'yes'],
  [`GET ${NS}/secrets?fieldSelector=metadata.name!%3Ds`, 'No Object name found'],
  [`GET ${NS}/secrets`, 'No Object name found'],
  ['GET /api/v1/secrets', 'can only read namespaced object of this type'],
  [`GET ${NS}/secrets/s2`, UNRELATED],
  ['GET /api/v1/namespaces/other/secrets/s', UNRELATED],
  ['GET /api/v1/namespaces/csi/secrets/vs', 'yes'],
  [`PUT ${NS}/secrets/s`, 'can only read resources of this type'],
  [`GET ${NS}/secrets/s/status`, 'cannot read subresource'],
  [`GET ${NS}/configmaps/c`, 'yes'],
  [`GET ${NS}/configmaps/d`, UNRELATED],
  [`GET ${NS}/persistentvolumeclaims/p`, 'yes'],
  [`GET ${NS}/persistentvolumeclaims`, ONLY_GET],
  [`PATCH ${NS}/persistentvolumeclaims/p/status`, 'yes'],
  [`GET ${NS}/persistentvolumeclaims/p/status`, 'can only get/update/patch this type'],
  ['GET /api/v1/persistentvolumes/pv', 'yes'],
  ['GET /api/v1/persistentvolumes/pv2', UNRELATED],
  ['GET /api/v1/persistentvolumes', ONLY_GET],
  ['GET /apis/resource.k8s.io/v1/namespaces/ns/resourceclaims/r', 'yes'],
  ['GET /apis/resource.k8s.io/v1/namespaces/ns/resourceclaims/q', UNRELATED],
  ['GET /apis/storage.k8s.io/v1/volumeattachments/va', 'yes'],
  ['GET /apis/storage.k8s.io/v1/volumeattachments/vb', UNRELATED],
  [`POST ${NS}/serviceaccounts/sa/token`, 'yes'],
  [`POST ${NS}/serviceaccounts/other/token`, UNRELATED],
  [`GET ${NS}/serviceaccounts/sa`, 'yes'],
  [`GET ${NS}/serviceaccounts/other`, UNRELATED],
  [`GET ${NS}/serviceaccounts`, 'can only create tokens for individual service accounts'],
  [`GET ${NS}/serviceaccounts/sa/token`, 'can only create tokens for individual service accounts'],
  [`GET ${LEASES}/n1`, 'yes'],
  [`PUT ${LEASES}/n1`, 'yes'],
  [`POST ${LEASES}`, 'yes'],
  [`GET ${LEASES}/n2`, 'can only access node lease with the same name as the requesting node'],
  [`GET ${LEASES}`, 'can only get, create, update, patch, or delete a node lease'],
  [
    'GET /apis/coordination.k8s.io/v1/namespaces/ns/leases/n1',
    'can only access leases in the "kube-node-lease" system namespace',
  ],
  [`GET ${CSINODES}/n1`, 'yes'],
  [`GET ${CSINODES}/n2`, 'can only access CSINode with the same name as the requesting node'],
  [`GET ${CSINODES}`, 'can only get, create, update, patch, or delete a CSINode'],
  [`GET ${SLICES}/slice`, 'yes'],
  [`GET ${SLICES}/other`, UNRELATED],
  [`GET ${SLICES}?fieldSelector=spec.nodeName%3Dn1`, 'yes'],
  [`GET ${SLICES}`, 'can only list/watch/deletecollection resourceslices with nodeName field selector'],
  ['GET /api/v1/nodes/n1', 'yes'],
  ['GET /api/v1/nodes?watch=1&fieldSelector=metadata.name%3Dn1', 'yes'],
  ['GET /api/v1/nodes', "node 'n1' cannot read all nodes, only its own Node object"],
  ['GET /api/v1/nodes/n2', "node 'n1' cannot read 'n2', only its own Node object"],
  ['PATCH /api/v1/nodes/n1/status', 'yes'],
  ['DELETE /api/v1/nodes/n1', ''],
  [`GET ${NS}/pods/web`, 'yes'],
  [`GET ${NS}/pods/db`, UNRELATED],
  ['GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1', 'yes'],
  ['GET /api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn1', 'yes'],
  ['GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn2', ONLY_SELECTED],
  ['GET /api/v1/pods?fieldSelector=spec.nodeName!%3Dn1', ONLY_SELECTED],
  ['GET /api/v1/pods', ONLY_SELECTED],
  [`GET ${NS}/pods?fieldSelector=metadata.name%3Dweb`, 'yes'],
  [`GET ${NS}/pods/web/log`, ''],
  [`POST ${NS}/pods/web/eviction`, 'yes'],
  ['GET /api/v1/services', 'yes'],
  [`GET ${NS}/endpoints/e`, 'yes'],
  [`GET ${NS}/endpoints`, ''],
  ['GET /apis/node.k8s.io/v1/runtimeclasses?watch=1', 'yes'],
  ['GET /apis/storage.k8s.io/v1/csidrivers', 'yes'],
  ['GET /apis/apps/v1/deployments', ''],
  ['GET /version', ''],
];
for (const [request, says] of rows) {
  test(`${request}: ${says || 'no opinion'}`, () => {
    const [method, target] = request.split(' ') as [string, string];
    const { allowed, reason } = decide(method, target);
    assert.equal(allowed ? 'yes' : reason, says);
  });
}

test('it has an opinion about kubelets only', () => {
  const target = `${NS}/secrets/s`;
  const no = { allowed: false, reason: '' };
  assert.deepEqual(decide('GET', target, kubelet('system:node:n1', 'system:authenticated')), no);
  assert.deepEqual(decide('GET', target, kubelet('jane', 'system:nodes')), no);
  const nameless = decide('GET', target, kubelet('system:node:', 'system:nodes'));
  assert.deepEqual(nameless, { allowed: false, reason: 'unknown node for user "system:node:"' });
});

test('what kubelets may do is not listed as complete', () => {
  const rules = authorizer.rulesFor(kubelet('system:node:n1', 'system:nodes'));
  assert.deepEqual([rules.incomplete, rules.error], [true, 'node authorizer does not support user rule resolution']);
  assert.equal(authorizer.rulesFor(kubelet('jane')).incomplete, undefined);
});
