import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { groupResourceOf } from '../../src/api/gvr.js';
import { ADMIN, type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { as, disagreement, JSON_TYPE, KUBECTL_TABLE, type Shown, YAML_TYPE } from './agreement.js';
import { ALL_KINDS, collectionOf, createObjects, manifests, nameOf, readKinds } from './objects.js';
import { clusterStates } from './states/cluster.js';
import { networkStates } from './states/network.js';
import { podStates } from './states/pods.js';
import { policyStates } from './states/policy.js';
import { storageStates } from './states/storage.js';
import { NAMESPACE, storeStates } from './states/stored.js';
import { workloadStates } from './states/workloads.js';
import { shownTables, TABLE_DIFFERENCES, withoutDescriptions } from './table-differences.js';

// The Table of every kind, with objects in every state that its cells tell apart, is kube-apiserver's, byte for byte, but for
// what the specification says otherwise (table-differences.ts).

let world: ControlPlane;

before(async () => {
  world = await startControlPlane({ apiserver: ALL_KINDS });
  await createObjects(world, manifests());
  const states = [podStates, clusterStates, workloadStates, networkStates, storageStates, policyStates];
  await storeStates(world, states.flat());
});
after(() => world?.stop());

const TABLE = as(JSON_TYPE, 'Table');
const TABLE_V1BETA1 = as(JSON_TYPE, 'Table', 'v1beta1');
/** What is the same whichever object it is. */
const OBJECTS_MAX = 3;

/** kube-apiserver makes no Table of their status; the specification has the default one (4.3). */
const NO_TABLE_OF_STATUS = ['APIService', 'CustomResourceDefinition', 'ResourceClaim'];

interface Listed {
  readonly metadata: { readonly continue?: string };
  readonly items: { readonly metadata: { readonly name: string; readonly namespace?: string } }[];
}

/** Quotes and folded lines aside, and columns, whose descriptions are ours. */
const rowsOfYaml: Shown = (...bodies) =>
  bodies.map((body) => {
    const { columnDefinitions: _, ...table } = parse(body.toString(), { version: '1.1' }) as Record<string, unknown>;
    return Buffer.from(JSON.stringify(table));
  }) as unknown as ReturnType<Shown>;

for (const kind of readKinds) {
  const groupResource = groupResourceOf(kind.group, kind.resource);
  test(`${nameOf(kind)}`, async () => {
    const shown = shownTables(groupResource);
    const same = (path: string, accept = KUBECTL_TABLE) => disagreement(world, path, { accept }, { shown });
    const all = collectionOf(kind);
    const listed = async (query: string) => JSON.parse((await world.ask(all + query))[0].body.toString()) as Listed;
    const { items } = await listed('');
    assert.ok(items.length > 0, 'no object');
    const found = await Promise.all([
      same(all),
      same(`${all}?includeObject=None`, TABLE),
      same(`${all}?includeObject=Metadata&limit=500`, TABLE_V1BETA1),
      same(`${all}?includeObject=Object`),
      ...(kind.namespaced ? [same(collectionOf(kind, NAMESPACE), TABLE), same(collectionOf(kind, 'nowhere'))] : []),
    ]);
    for (const { metadata } of items.slice(0, OBJECTS_MAX)) {
      const path = `${collectionOf(kind, metadata.namespace)}/${metadata.name}`;
      const questions = ['', '?includeObject=None', '?includeObject=Object'].map((query) => same(path + query));
      found.push(...(await Promise.all([...questions, same(path, TABLE_V1BETA1)])));
      if (!kind.subresources.includes('status')) continue;
      if (NO_TABLE_OF_STATUS.includes(kind.kind)) {
        const answers = await world.ask(`${path}/status`, { ...ADMIN, accept: TABLE });
        assert.deepEqual(
          answers.map(({ status }) => status),
          [406, 200],
        );
      } else found.push(await same(`${path}/status`, TABLE));
    }
    const limit = Math.ceil(items.length / 3);
    let token: string | undefined = '';
    while (token !== undefined) {
      const page: string = token === '' ? `?limit=${limit}` : `?limit=${limit}&continue=${encodeURIComponent(token)}`;
      found.push(await same(all + page));
      token = (await listed(page)).metadata.continue;
    }
    if (TABLE_DIFFERENCES[groupResource] === undefined) {
      const accept = as(YAML_TYPE, 'Table');
      found.push(await disagreement(world, `${all}?limit=${limit}`, { accept }, { shown: rowsOfYaml }));
    }
    assert.deepEqual(
      found.filter((difference) => difference !== undefined),
      [],
    );
  });

  if (TABLE_DIFFERENCES[groupResource] === undefined) continue;
  test(`${nameOf(kind)}: ${TABLE_DIFFERENCES[groupResource].says}`, async () => {
    const differences = [collectionOf(kind), collectionOf(kind, 'nowhere')].map(async (path) => {
      const [theirs, ours] = await world.ask(path, { ...ADMIN, accept: TABLE });
      assert.deepEqual([theirs.status, ours.status], [200, 200]);
      return withoutDescriptions(ours.body.toString()) !== withoutDescriptions(theirs.body.toString());
    });
    assert.ok((await Promise.all(differences)).includes(true), 'kube-apiserver says the same: no difference any more');
  });
}
