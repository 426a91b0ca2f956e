import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ControlPlane, startControlPlane } from '../support/control-plane.js';
import { as, disagreement, JSON_TYPE, PROTOBUF_TYPE } from './agreement.js';
import { ALL_KINDS, collectionOf, createObjects, manifests, nameOf, readKinds } from './objects.js';

// Every built-in kind that kube-apiserver serves by default: each answer is kube-apiserver's, byte for byte.

let world: ControlPlane;

before(async () => {
  world = await startControlPlane({ apiserver: ALL_KINDS });
  await createObjects(world, manifests());
});
after(() => world?.stop());

/** Clusters have dozens of these by themselves; each is like the others. */
const OBJECTS_MAX = 5;

for (const kind of readKinds) {
  test(`${nameOf(kind)}: objects, lists, status and metadata`, async () => {
    const collections = [collectionOf(kind), ...(kind.namespaced ? [collectionOf(kind, 'harbour')] : [])];
    const [theirs] = await world.ask(collections[0]!);
    const { items } = JSON.parse(theirs.body.toString()) as {
      items: { metadata: { name: string; namespace?: string } }[];
    };
    assert.ok(items.length > 0, 'no object');
    const found: (string | undefined)[] = [];
    for (const type of [JSON_TYPE, PROTOBUF_TYPE]) {
      for (const collection of [...collections, ...(kind.namespaced ? [collectionOf(kind, 'nowhere')] : [])]) {
        found.push(await disagreement(world, collection, { accept: type }));
        found.push(await disagreement(world, collection, { accept: as(type, 'PartialObjectMetadataList') }));
      }
      for (const { metadata } of items.slice(0, OBJECTS_MAX)) {
        const path = `${collectionOf(kind, metadata.namespace)}/${metadata.name}`;
        found.push(await disagreement(world, path, { accept: type }));
        for (const name of kind.subresources.filter((subresource) => ['status', 'scale'].includes(subresource))) {
          found.push(await disagreement(world, `${path}/${name}`, { accept: type }));
        }
        found.push(await disagreement(world, path, { accept: as(type, 'PartialObjectMetadata') }));
      }
    }
    assert.deepEqual(
      found.filter((difference) => difference !== undefined),
      [],
    );
  });
}
