import assert from 'node:assert/strict';
import { kindByObject } from '../../../src/codec/kinds.js';
import type { ControlPlane } from '../../support/control-plane.js';
import { etcdKv } from '../../support/etcd-kv.js';
import { collectionOf, type Manifest } from '../objects.js';

/** Where states of objects are. */
export const NAMESPACE = 'states';

/** Some time ago, long enough that ages in days do not change while a test looks. */
export const BORN = '2024-03-01T08:00:00Z';
const DELETED = { deletionTimestamp: '2024-03-02T08:00:00Z', deletionGracePeriodSeconds: 30 };

/** A state of one kind: its name, what it says, and whether it is being deleted. */
export function state(apiVersion: string, kind: string, name: string, content: object, isDeleted = false): Manifest {
  const namespaced = kindByObject(apiVersion, kind)?.namespaced === true;
  const { metadata, ...rest } = content as { metadata?: object };
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespaced ? { namespace: NAMESPACE } : {}),
      uid: `uid-of-${name}`,
      creationTimestamp: BORN,
      ...(isDeleted ? { ...DELETED, finalizers: ['example.com/stays'] } : {}),
      ...metadata,
    },
    ...rest,
  };
}

/**
 * Writes them as a kube-apiserver with `--storage-media-type=application/json` would, with its defaults, but without a controller
 * or rule that has a say: first as they are, then as kube-apiserver shows them.
 */
export async function storeStates(
  world: Pick<ControlPlane, 'etcd' | 'ask'>,
  states: readonly Manifest[],
): Promise<void> {
  const kv = etcdKv(world.etcd.endpoint);
  const store = (objects: readonly Manifest[]) =>
    kv.putAll(objects.map((object) => [keyOf(object), JSON.stringify(object)] as const));
  await store(states);
  const shown = new Map<string, Manifest>();
  for (const collection of new Set(states.map((object) => collectionOf(kindOf(object))))) {
    const [theirs] = await world.ask(collection);
    assert.equal(theirs.status, 200, `${collection}: ${theirs.body}`);
    const list = JSON.parse(theirs.body.toString()) as { kind: string; apiVersion: string; items: Manifest[] };
    const typed = { kind: list.kind.replace(/List$/, ''), apiVersion: list.apiVersion };
    for (const item of list.items) {
      const { resourceVersion: _, ...metadata } = item.metadata;
      const object = { ...typed, ...item, metadata };
      shown.set(keyOf(object), object);
    }
  }
  await store(states.map((object) => shown.get(keyOf(object))!));
}

const kindOf = ({ apiVersion, kind }: Manifest) => kindByObject(apiVersion, kind)!;

function keyOf(object: Manifest): string {
  const { namespace, name } = object.metadata;
  const path = [kindOf(object).directory, ...(namespace === undefined ? [] : [namespace]), name];
  return `/registry/${path.join('/')}`;
}
