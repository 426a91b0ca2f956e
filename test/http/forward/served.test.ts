import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeQuery } from '../../../src/api/query.js';
import { KindSet } from '../../../src/codec/kind-set.js';
import { liveDiscovery } from '../../../src/http/discovery.js';
import { isAnsweredHere, isLongRunning } from '../../../src/http/forward/served.js';
import { parseTarget } from '../../../src/http/paths.js';
import { servedKinds } from '../serving.js';

const kinds = new KindSet(servedKinds);
const served = {
  findKind: (group: string, version: string, resource: string) => kinds.find(group, version, resource),
  discovery: liveDiscovery(kinds, []),
};

const POD = '/api/v1/namespaces/a/pods/p';

/** Who answers. */
const rows: readonly [request: string, who: 'listwatch' | 'target'][] = [
  // Reads of kinds that are served.
  ['GET /api/v1/pods', 'listwatch'],
  ['GET /api/v1/namespaces/a/pods?watch=1', 'listwatch'],
  ['GET /api/v1/watch/namespaces/a/pods', 'listwatch'],
  [`GET ${POD}`, 'listwatch'],
  [`GET ${POD}/status`, 'listwatch'],
  ['GET /apis/apps/v1/namespaces/a/deployments/d/scale', 'listwatch'],
  [`HEAD ${POD}`, 'listwatch'],
  ['GET http://elsewhere/api/v1/pods', 'listwatch'],
  ['GET /api/v1/%70ods', 'listwatch'],
  // Everything that is done to them.
  ['POST /api/v1/namespaces/a/pods', 'target'],
  [`PUT ${POD}`, 'target'],
  [`PUT ${POD}/status`, 'target'],
  [`PATCH ${POD}`, 'target'],
  [`DELETE ${POD}`, 'target'],
  ['DELETE /api/v1/namespaces/a/pods', 'target'],
  [`OPTIONS ${POD}`, 'target'],
  [`get ${POD}`, 'target'],
  ['POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 'target'],
  ['POST /apis/authentication.k8s.io/v1/tokenreviews', 'target'],
  // Subresources that somebody acts upon.
  [`GET ${POD}/log?follow=1`, 'target'],
  [`GET ${POD}/exec?command=ls`, 'target'],
  [`POST ${POD}/exec?command=ls`, 'target'],
  [`POST ${POD}/attach`, 'target'],
  [`POST ${POD}/portforward`, 'target'],
  [`POST ${POD}/eviction`, 'target'],
  [`POST ${POD}/binding`, 'target'],
  [`GET ${POD}/proxy/some/where`, 'target'],
  ['GET /api/v1/nodes/n/proxy/healthz', 'target'],
  ['POST /api/v1/namespaces/a/serviceaccounts/s/token', 'target'],
  // What is not served.
  ['GET /api/v1/componentstatuses', 'target'],
  ['GET /api/v1/bananas', 'target'],
  ['GET /api/v2/pods', 'target'],
  ['GET /apis/metrics.k8s.io/v1beta1/nodes', 'target'],
  ['GET /apis/apps/v9/deployments', 'target'],
  ['GET /apis/metrics.k8s.io', 'target'],
  ['GET /apis/metrics.k8s.io/v1beta1', 'target'],
  ['GET /apis/apps/v9', 'target'],
  ['GET /api/v2', 'target'],
  ['GET /openapi/v3/apis/metrics.k8s.io/v1beta1', 'target'],
  ['GET /openapi/v3/apis/metrics.k8s.io', 'target'],
  ['GET /openapi/v3/apis/authorization.k8s.io/v1?hash=00', 'target'],
  ['GET /openapi/v3/api/v2', 'target'],
  ['GET /openapi/v3/version', 'target'],
  ['GET /logs/kube-apiserver.log', 'target'],
  ['GET /.well-known/openid-configuration', 'target'],
  ['GET /openid/v1/jwks', 'target'],
  ['GET /debug/pprof/heap', 'target'],
  ['GET /apisnot', 'target'],
  ['GET /healthzz', 'target'],
  // Documents about what is served, and about the process.
  ['GET /', 'listwatch'],
  ['GET /openapi/v2', 'listwatch'],
  ['GET /openapi/v3', 'listwatch'],
  ['GET /openapi/v3/api', 'listwatch'],
  ['GET /openapi/v3/api/v1?hash=00', 'listwatch'],
  ['GET /openapi/v3/apis/apps', 'listwatch'],
  ['GET /version', 'listwatch'],
  ['GET /metrics', 'listwatch'],
  ['GET /livez', 'listwatch'],
  ['GET /readyz/ping', 'listwatch'],
  ['GET /healthz/nothing', 'listwatch'],
  ['GET /api', 'listwatch'],
  ['GET /apis/', 'listwatch'],
  ['GET /api/v1', 'listwatch'],
  ['GET /apis/apps', 'listwatch'],
  ['GET /apis/apps/v1/', 'listwatch'],
  ['GET /openapi/v2', 'listwatch'],
  ['GET /openapi/v3', 'listwatch'],
  ['GET /openapi/v3/apis/apps/v1', 'listwatch'],
  ['POST /apis', 'listwatch'],
  // What nobody can read.
  ['GET /api/v1/pods%zz', 'listwatch'],
  ['GET /api/v1/watch', 'listwatch'],
  ['OPTIONS *', 'listwatch'],
];
for (const [request, who] of rows) {
  test(`${request} is answered by ${who}`, () => {
    const [method = '', target = ''] = request.split(' ');
    const { path } = parseTarget(target);
    assert.equal(isAnsweredHere({ method, target, path }, served) ? 'listwatch' : 'target', who);
  });
}

const longRunning: readonly [request: string, isLong: boolean][] = [
  ['GET /apis/metrics.k8s.io/v1beta1/nodes', false],
  ['GET /apis/metrics.k8s.io/v1beta1/nodes?watch=true', true],
  ['GET /apis/metrics.k8s.io/v1beta1/nodes?watch=0', false],
  ['GET /apis/metrics.k8s.io/v1beta1/watch/nodes', true],
  ['POST /api/v1/namespaces/a/pods?watch=1', false],
  [`GET ${POD}/log`, true],
  [`GET ${POD}/log?follow=1`, true],
  [`POST ${POD}/exec`, true],
  [`POST ${POD}/attach`, true],
  [`POST ${POD}/portforward`, true],
  [`PUT ${POD}/proxy/upload`, true],
  [`POST ${POD}/eviction`, false],
  ['GET /debug/pprof/profile?seconds=300', true],
  ['GET /logs/', false],
];
for (const [request, isLong] of longRunning) {
  test(`${request} ${isLong ? 'may take any time' : 'has a deadline'}`, () => {
    const [method = '', target = ''] = request.split(' ');
    const { path, search } = parseTarget(target);
    assert.equal(isLongRunning({ method, path, query: decodeQuery(search) }), isLong);
  });
}
