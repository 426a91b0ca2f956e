import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';

let world: ControlPlane;

before(async () => {
  world = await startControlPlane();
});
after(() => world?.stop());

test('what a control plane has written of itself is read alike', async () => {
  for (const path of [
    '/api/v1/namespaces',
    '/api/v1/services',
    '/api/v1/configmaps',
    '/apis/apiregistration.k8s.io/v1/apiservices',
    '/apis/rbac.authorization.k8s.io/v1/clusterroles',
    '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
    '/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas',
    '/apis/scheduling.k8s.io/v1/priorityclasses',
    '/apis/networking.k8s.io/v1/servicecidrs',
  ]) {
    const [theirs, ours] = await world.ask(path);
    assert.deepEqual([ours.status, theirs.status], [200, 200], path);
    const itemsOf = ({ body }: { readonly body: Buffer }) =>
      (JSON.parse(body.toString()) as { items: readonly object[] }).items;
    assert.ok(itemsOf(theirs).length > 0, path);
    assert.deepEqual(itemsOf(ours), itemsOf(theirs), path);
  }
});
